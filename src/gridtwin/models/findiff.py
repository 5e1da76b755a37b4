"""FinDiff: Gaussian diffusion of rows whose states are embedded (Sattarov et al.)."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gridtwin.models.neural import Layout, NeuralModel
from gridtwin.models.neural.diffusion import Denoiser, Schedule, gaussian_step, noised
from gridtwin.models.neural.layout import SCALE
from gridtwin.models.neural.training import Rows

__all__ = ["FinDiff"]

LAYERS = {"paper": (1024, 1024, 1024, 1024), "fast": (512, 512, 512, 512)}
FAST_SAMPLING, FAST_RATE = 100, 10.0


class FinDiff(NeuralModel):
    """Diffusion of rows in which each state is a fixed point of the plane, drawn at random.

    Sattarov, Schreyer and Borth, "FinDiff: diffusion models for financial tabular data
    generation", ICAIF 2023. The points and the encoder's normal scores make one row of numbers;
    a net takes Gaussian noise off it, and a column has the state of the nearest of its points. A
    score where there is no loose value is replaced by noise in training, so that it says nothing.

    The budget ``"fast"`` takes a narrower net and a higher learning rate, and in sampling goes over
    five steps at once.

    Parameters
    ----------
    learning_rate
        Of the optimizer; the budget ``"fast"`` takes ten times as much.
    layers
        Widths of the net; none leaves them to the budget: four of 1024 for ``"paper"``, of 512
        for ``"fast"``.
    times
        Steps in which the noise is added.
    sampling
        Steps in which it is taken off; 0 leaves that to the budget: all, or 100.
    width
        Of the embeddings of the row and of the time.
    dimensions
        Of the points that stand for states.

    The others are those of `NeuralModel`.
    """

    epochs = 500
    fast_steps = 3000
    ranges = NeuralModel.ranges | {
        "times": (1, math.inf),
        "sampling": (0, math.inf),
        "width": (1, math.inf),
        "dimensions": (1, math.inf),
    }
    net_: "_Net"

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 512,
        learning_rate: float = 1e-4,
        epsilon: float = 0.0,
        delta: float = 0.0,
        layers: Sequence[int] = (),
        times: int = 500,
        sampling: int = 0,
        width: int = 64,
        dimensions: int = 2,
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
        self.dimensions = dimensions

    def _build(self) -> nn.Module:
        layers = self.layers or LAYERS[self.budget]
        return _Net(self.layout_, self.times, layers, self.width, self.dimensions)

    def _optimizers(self) -> list[Optimizer]:
        faster = FAST_RATE if self.budget == "fast" else 1.0
        return [Adam(self.net_.parameters(), lr=faster * self.learning_rate)]

    def _rate(self, at: int, steps: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * at / steps))

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        net = self.net_
        x = net.opened(rows)
        time = torch.randint(1, self.times + 1, (len(x),), device=x.device)
        noise = torch.randn_like(x)
        z = noised(x, net.schedule.at(time), noise)
        off = ((net.denoiser(z, time) - noise) ** 2).mean(0) / x.shape[1]
        losses: dict[str, Tensor] = {}
        for block, part in zip(self.layout_.blocks, off.split(net.widths), strict=True):
            losses[block.column] = losses.get(block.column, 0.0) + part.sum()
        return losses

    def _generate(self, n: int) -> Rows:
        net = self.net_
        steps = self.sampling or (self.times if self.budget == "paper" else FAST_SAMPLING)
        z = torch.randn(n, sum(net.widths), device=self.device)
        for t, before in pairwise(net.schedule.path(steps)):
            time = torch.full((n,), t, device=self.device)
            kept, earlier = net.schedule.at(time), net.schedule.at(time * 0 + before)
            z = gaussian_step(z, net.denoiser(z, time), kept, earlier)
        return net.closed(z)


class _Net(nn.Module):
    """The net, its schedule, and the points of each column's states, in the order of blocks."""

    points: Tensor

    def __init__(
        self, layout: Layout, times: int, layers: Sequence[int], width: int, dimensions: int
    ) -> None:
        super().__init__()
        self.layout = layout
        self.widths = [1 if block.kind == "score" else dimensions for block in layout.blocks]
        self.schedule = Schedule.linear(times)
        self.register_buffer("points", torch.randn(layout.width, dimensions))
        inputs = sum(self.widths)
        self.denoiser = Denoiser(
            inputs, inputs, layers=layers, width=width, activation=nn.LeakyReLU(0.4)
        )

    def opened(self, rows: Rows) -> Tensor:
        """Return rows of numbers; scores are noise where there is none."""
        parts = []
        for block in self.layout.blocks:
            if block.kind == "score":
                score = rows["score"][:, block.index] * SCALE
                loose = self.layout.has_score(rows, block)
                parts.append(torch.where(loose, score, torch.randn_like(score))[:, None])
            else:
                parts.append(self.points[block.place][rows["state"][:, block.index]])
        return torch.cat(parts, 1)

    def closed(self, z: Tensor) -> Rows:
        """Undo `opened`; the nearest point's state."""
        score = z.new_zeros((len(z), len(self.layout.sizes)))
        state = torch.zeros_like(score, dtype=torch.int64)
        for block, part in zip(self.layout.blocks, z.split(self.widths, 1), strict=True):
            if block.kind == "score":
                score[:, block.index] = part[:, 0] / SCALE
            else:
                state[:, block.index] = torch.cdist(part, self.points[block.place]).argmin(1)
        return {"score": score, "state": state}
