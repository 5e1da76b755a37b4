"""TabDDPM: diffusion of rows, Gaussian on numbers, multinomial on states (Kotelnikov et al.)."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gridtwin.models.encoding import Cells
from gridtwin.models.neural import Layout, NeuralModel
from gridtwin.models.neural.base import DRAWN_AT_A_TIME
from gridtwin.models.neural.devices import device, seeded
from gridtwin.models.neural.diffusion import (
    Categories,
    Denoiser,
    Schedule,
    gaussian_step,
    noised,
    origin,
)
from gridtwin.models.neural.layout import SCALE
from gridtwin.models.neural.training import Rows

__all__ = ["TabDDPM"]

PAPER_STEPS = 30_000
LAYERS = {"paper": (512, 1024, 1024, 512), "fast": (256, 256, 256)}
FAST_BATCH = 1024
FAST_WIDTH = 400
FAST_SAMPLING = 100
LEVELS, DRAWS = 10, 4
"""Steps of the chain by which a row is judged, and how often the noise of each is drawn."""


class TabDDPM(NeuralModel):
    """Diffusion of rows: one net takes Gaussian noise off the scores, other noise off the states.

    Kotelnikov et al., "TabDDPM: modelling tabular data with diffusion models", ICML 2023. Numbers
    are the encoder's normal scores; which atom, name or loose value a column has is its state. A
    score where there is no loose value is replaced by noise in training, so that it says nothing.
    The loss of the scores is the mean squared error of the noise, of the states the variational
    bound, each as a mean over the columns.

    The budget ``"paper"`` is one of the paper's larger settings: 30,000 steps of 4096 rows, and
    samples in 1000 steps; hours on a CPU. ``"fast"`` takes a smaller net and smaller batches, 2500
    steps, fewer for rows that open to more than 400 numbers, and in sampling goes over ten steps at
    once.

    Parameters
    ----------
    batch
        Rows a step; the budget ``"fast"`` takes 1024 at most.
    layers
        Widths of the net; none leaves them to the budget: 512, 1024, 1024 and 512 for
        ``"paper"``, three of 256 for ``"fast"``.
    times
        Steps in which the noise is added.
    sampling
        Steps in which it is taken off; 0 leaves that to the budget: all, or 100.
    width
        Of the embeddings of the row and of the time.
    weight_decay
        Of the optimizer.

    The others are those of `NeuralModel`.
    """

    fast_steps = 2500
    ranges = NeuralModel.ranges | {
        "times": (1, math.inf),
        "sampling": (0, math.inf),
        "width": (1, math.inf),
        "weight_decay": (0.0, math.inf),
    }
    net_: "_Net"

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 4096,
        learning_rate: float = 1e-3,
        epsilon: float = 0.0,
        delta: float = 0.0,
        layers: Sequence[int] = (),
        times: int = 1000,
        sampling: int = 0,
        width: int = 128,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__(
            seed=seed,
            budget=budget,
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            epsilon=epsilon,
            delta=delta,
        )
        self.layers = tuple(layers)
        self.times = times
        self.sampling = sampling
        self.width = width
        self.weight_decay = weight_decay

    def _steps(self, n: int) -> int:
        super()._steps(n)  # checks what was given
        if self.steps or self.budget == "paper":
            return self.steps or PAPER_STEPS
        layout = getattr(self, "layout_", None)  # seconds a step grow with the width of a row
        width = max(FAST_WIDTH, layout.width if layout else 0)
        return math.ceil(self.fast_steps * FAST_WIDTH / width)

    def _batch(self) -> int:
        return self.batch if self.budget == "paper" else min(self.batch, FAST_BATCH)

    def _build(self) -> nn.Module:
        layers = self.layers or LAYERS[self.budget]
        return _Net(self.layout_, self.times, layers, self.width)

    def _optimizers(self) -> list[Optimizer]:
        rate, decay = self.learning_rate, self.weight_decay
        return [AdamW(self.net_.parameters(), lr=rate, weight_decay=decay)]

    def _rate(self, at: int, steps: int) -> float:
        return 1 - at / steps

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        net, layout = self.net_, self.layout_
        score, state = net.opened(rows)
        time = torch.randint(1, self.times + 1, (len(score),), device=score.device)
        kept, earlier = net.schedule.at(time), net.schedule.at(time - 1)
        noise = torch.randn_like(score)
        z, s = noised(score, kept, noise), net.states.noised(state, kept)
        guess, log_x = net(z, s, time)
        off = ((guess - noise) ** 2).mean(0)
        # one time stands for all of them
        bound = self.times * net.states.divergence(state, s, log_x, kept, earlier).mean(0)
        losses: dict[str, Tensor] = {}
        for k, block in enumerate(layout.scores()):
            losses[block.column] = off[k] / len(layout.scores())
        for k, block in enumerate(layout.states()):
            part = bound[k] / len(layout.states())
            losses[block.column] = losses.get(block.column, 0.0) + part
        return losses

    def _generate(self, n: int) -> Rows:
        net = self.net_
        path = net.schedule.path(self._path())
        z = torch.randn(n, len(net.score_of), device=self.device)
        s = net.states.draw(net.states.uniform.log().expand(n, -1))
        for t, before in pairwise(path):
            time = torch.full((n,), t, device=self.device)
            kept, earlier = net.schedule.at(time), net.schedule.at(time * 0 + before)
            noise, log_x = net(z, s, time)
            z = gaussian_step(z, noise, kept, earlier)
            s = net.states.draw(net.states.earlier(s, log_x, kept, earlier))
        return net.closed(z, s)

    def _surprise(self, cells: Cells) -> NDArray[np.float64]:
        """Return the variational bound of each value's likelihood, to about a tenth of a sigma."""
        if not self.layout_.blocks:
            return np.zeros(cells.cell.shape)
        out = np.zeros(cells.cell.shape)
        self.net_.to(device()).eval()
        with seeded(self.seed, 1), torch.no_grad():
            for begin in range(0, len(cells), DRAWN_AT_A_TIME):
                part = slice(begin, min(begin + DRAWN_AT_A_TIME, len(cells)))
                rows = {k: t.to(self.device) for k, t in self._rows(cells[part]).items()}
                out[part] = self._bound(rows).cpu().numpy()
        self.net_.cpu()
        return out

    def _bound(self, rows: Rows) -> Tensor:
        """Return what is lost of each value on a few steps from much noise to none, in nats.

        That is the bound of a chain of so few steps: the divergence of the guessed from the true
        one, (batch, columns), as a mean over some draws of the noise.
        """
        net, layout = self.net_, self.layout_
        path = net.schedule.path(LEVELS)
        bound = torch.zeros(rows["score"].shape, device=self.device)
        loose = torch.stack([layout.has_score(rows, b) for b in layout.scores()] or [bound[:, 0]])
        for t, before in [pair for pair in pairwise(path) for _ in range(DRAWS)]:
            score, state = net.opened(rows)
            time = torch.full((len(score),), t, device=score.device)
            kept, earlier = net.schedule.at(time), net.schedule.at(time * 0 + before)
            z = noised(score, kept, torch.randn_like(score))
            s = net.states.noised(state, kept)
            noise, log_x = net(z, s, time)
            gain = (_precision(earlier) - _precision(kept)).float()
            off = 0.5 * gain * (score - origin(z, noise, kept)) ** 2 * loose.T[:, : z.shape[1]]
            bound[:, net.score_of] += off / DRAWS
            bound[:, net.state_of] += net.states.divergence(state, s, log_x, kept, earlier) / DRAWS
        return bound

    def _path(self) -> int:
        return self.sampling or (self.times if self.budget == "paper" else FAST_SAMPLING)


def _precision(kept: Tensor) -> Tensor:
    """Return the ratio of signal to noise, up to that of a tenth of a sigma."""
    return (kept / (1 - kept)).clamp(max=100.0)


class _Net(nn.Module):
    """The net, its schedule, and which columns have a score or states."""

    def __init__(self, layout: Layout, times: int, layers: Sequence[int], width: int) -> None:
        super().__init__()
        self.columns = len(layout.sizes)
        self.score_of = [block.index for block in layout.scores()]
        self.state_of = [block.index for block in layout.states()]
        self.continua = list(layout.continua)
        self.schedule = Schedule.cosine(times)
        self.states = Categories([block.width for block in layout.states()])
        self.denoiser = Denoiser(
            layout.width, layout.width, layers=layers, width=width, activation=nn.ReLU()
        )

    def forward(self, z: Tensor, s: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise in the scores and the probabilities of the states without noise."""
        out = self.denoiser(torch.cat([z, s], 1), time)
        count = len(self.score_of)
        return out[:, :count], self.states.normal(out[:, count:])

    def opened(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Return the scores, noise where there is none, and the states as indicators."""
        score = rows["score"][:, self.score_of] * SCALE
        limit = torch.tensor(self.continua, device=score.device)
        loose = (rows["state"] < limit)[:, self.score_of]
        score = torch.where(loose, score, torch.randn_like(score))
        return score, self.states.open(rows["state"][:, self.state_of])

    def closed(self, z: Tensor, s: Tensor) -> Rows:
        """Undo `opened`."""
        score = z.new_zeros((len(z), self.columns))
        state = torch.zeros_like(score, dtype=torch.int64)
        score[:, self.score_of] = z / SCALE
        state[:, self.state_of] = self.states.close(s)
        return {"score": score, "state": state}
