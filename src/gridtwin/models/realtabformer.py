"""REaLTabFormer: a causal transformer on digits of rows (Solatorio & Dupriez, 2023)."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from gridtwin.core.errors import InputError
from gridtwin.models.encoding import Cells
from gridtwin.models.neural import NeuralModel
from gridtwin.models.neural.causal import Causal
from gridtwin.models.neural.critic import HELD_MOST, Critic
from gridtwin.models.neural.strings import Strings
from gridtwin.models.neural.training import Course, Rows

__all__ = ["REaLTabFormer"]

WIDTH, LAYERS = {"paper": 768, "fast": 128}, {"paper": 6, "fast": 2}
HELD = 0.1
"""Share of the rows held out for the critic, `HELD_MOST` at most."""
EVERY, PATIENCE = 5, 2
"""The critic looks every five epochs; training stops when it finds fault twice in a row."""
FEWEST = 20
"""With fewer rows held out than this there is no critic."""
CACHE_NUMBERS = 50_000_000
"""What is noted of strings while they are drawn: as many rows at a time as fit (200 MB)."""
MOST = 0.999
"""Of the shares left out: with all of them there is nothing to learn from."""


class REaLTabFormer(NeuralModel):
    """A transformer that writes rows symbol by symbol, each given all before it.

    The paper writes numbers as strings of their digits, of equal length in a column. Here it is
    the digits of the encoder's cell and of the place in it (`Strings`), so that atoms, bounds,
    units and names hold as in all models of rows. Drawing is constrained: only symbols that
    continue a string to one of the column's cells can come, so no number leaves the range seen.

    Masks stand in for a tenth of what is to be learnt, and are never drawn: less is learnt by
    heart. Every five epochs a sample's distances to the closest training rows are compared with
    those of rows held out, a tenth (`Critic`, the paper's Q_delta); when more of it is too near
    twice in a row training stops and the last weights without fault are kept.

    The paper's net is for a GPU: a CPU core takes 0.6 s for a step of 8 rows of 23 symbols, so some
    25 minutes for an epoch of 20,000 rows, and there may be a thousand.

    Parameters
    ----------
    layers, width
        Of the transformer; 0 leaves them to the budget: 6 x 768 as in the paper, or 2 x 128 for
        ``"fast"``.
    learning_rate
        At a width of 768; in inverse proportion to the width, and falling to 0 in a line.
    mask
        Share of the symbols that are masked.

    The others are those of `NeuralModel`.
    """

    epochs = 1000
    fast_steps = 6000
    ranges = NeuralModel.ranges | {
        "layers": (0, math.inf),
        "width": (0, math.inf),
        "dropout": (0.0, MOST),
        "mask": (0.0, MOST),
    }
    net_: Causal

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 8,
        learning_rate: float = 5e-5,
        epsilon: float = 0.0,
        delta: float = 0.0,
        layers: int = 0,
        width: int = 0,
        dropout: float = 0.1,
        mask: float = 0.1,
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
        self.layers = layers
        self.width = width
        self.dropout = dropout
        self.mask = mask
        self._critic: Critic | None = None

    @property
    def _width(self) -> int:
        return self.width or WIDTH[self.budget]

    def _build(self) -> nn.Module:
        if self._width > 64 and self._width % 64:
            raise InputError(f"width={self.width}: expected a multiple of 64, or less than that")
        self._strings = Strings.of(self.encoder_)
        layers = self.layers or LAYERS[self.budget]
        return Causal(self._strings.sizes, layers, self._width, self.dropout)

    def _optimizers(self) -> list[Optimizer]:
        rate = self.learning_rate * WIDTH["paper"] / self._width
        return [AdamW(self.net_.parameters(), lr=rate, weight_decay=0.0)]

    def _rate(self, at: int, steps: int) -> float:
        return 1 - at / steps

    def _rows(self, cells: Cells) -> Rows:
        """Return the training rows; those that are held out are kept aside."""
        order = torch.randperm(len(cells)).numpy()
        count = min(int(HELD * len(cells)), HELD_MOST)
        count *= count >= FEWEST and not self.epsilon
        held, own = cells[order[:count]], cells[order[count:]]
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        self._critic = Critic.of(self.encoder_, held, own, rng) if count else None
        return {"symbol": torch.from_numpy(Strings.of(self.encoder_).write(own))}

    def _train(self, course: Course) -> int:
        steps = super()._train(course)
        if self._critic is not None:
            self._look(course, steps)
            course.net.load_state_dict(course.memory["best"])
        self._critic = None
        return steps

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        net, symbol = self.net_, rows["symbol"]
        target = symbol + net.first
        masked = torch.rand(target.shape, device=target.device) < self.mask
        target = torch.where(masked, 1, target)
        each = functional.cross_entropy(
            net(symbol).flatten(0, 1), target.flatten(), reduction="none"
        )
        share = each.view(symbol.shape).mean(0) / symbol.shape[1]
        losses: dict[str, Tensor] = {}
        for column, loss in zip(self._strings.columns, share.unbind(), strict=True):
            name = self.encoder_.names[column]
            losses[name] = losses.get(name, 0.0) + loss
        return losses

    def _done(self, course: Course, at: int) -> bool:
        epoch = max(1, course.count // min(course.batch, course.count))
        if self._critic is not None and at and at % (EVERY * epoch) == 0:
            self._look(course, at)
        return bool(course.memory.get("faults", 0) >= PATIENCE)

    def _look(self, course: Course, at: int) -> None:
        """Note whether a sample is too near to the training rows, and the weights if it is not."""
        memory, critic = course.memory, self._critic
        if critic is None or memory.get("looked") == at:  # taken up again here
            return
        net = self.net_.eval()
        with torch.no_grad():
            torch.manual_seed(at)
            sample = self._cells(self._generate(len(critic.held)), np.random.default_rng(at))
        net.train()
        near = critic.excess(sample) > critic.limit
        memory.update(looked=at, faults=memory.get("faults", 0) + 1 if near else 0)
        if not near or "best" not in memory:
            memory["best"] = {key: t.detach().clone() for key, t in net.state_dict().items()}

    def _generate(self, n: int) -> Rows:
        net = self.net_
        per_row = 2 * len(net.blocks) * net.places.weight.numel()
        most = max(1, CACHE_NUMBERS // per_row)
        parts = [self._write(min(most, n - begin)) for begin in range(0, n, most)]
        return {"symbol": torch.cat(parts)}

    def _write(self, n: int) -> Tensor:
        net, sizes = self.net_, self._strings.sizes
        symbol = torch.zeros(n, len(sizes), dtype=torch.int64, device=self.device)
        cache = net.cache(n)
        for at in range(len(sizes)):
            allowed = self._strings.allowed(symbol, at)
            odds = net.next(symbol, at, cache).masked_fill(~allowed, -torch.inf)
            symbol[:, at] = torch.multinomial(functional.softmax(odds, 1), 1)[:, 0]
        return symbol

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        return self._strings.read(rows["symbol"].cpu().numpy(), rng)
