"""Parts of adversarial nets: generator, critic and its penalty, heads, conditions on a state."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import grad
from torch.nn import functional

from gridtwin.models.neural.layout import Block, Layout

__all__ = [
    "Conditions",
    "Critic",
    "Generator",
    "RowsByState",
    "between",
    "gradient_penalty",
    "heads",
]


class Generator(nn.Module):
    """Residual blocks from noise and a condition to what `heads` opens (Xu et al. 2019).

    A block is a linear layer, batch norm and ReLU, joined to what came in.
    """

    def __init__(self, inputs: int, layers: Sequence[int], width: int) -> None:
        super().__init__()
        self.hidden, self.norms = nn.ModuleList(), nn.ModuleList()
        for size in layers:
            self.hidden.append(nn.Linear(inputs, size))
            self.norms.append(nn.BatchNorm1d(size))
            inputs += size
        self.last = nn.Linear(inputs, width)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Return (batch, width): of each block of a layout a number, or logits."""
        x = torch.cat([noise, condition], 1)
        for hidden, norm in zip(self.hidden, self.norms, strict=True):
            x = torch.cat([torch.relu(norm(hidden(x))), x], 1)
        return torch.as_tensor(self.last(x))


class Critic(nn.Module):
    """A score for every `pack` rows together, which shows it a lack of variety (Lin et al. 2018).

    The number of rows must be a multiple of `pack`.
    """

    def __init__(
        self, width: int, layers: Sequence[int], *, pack: int = 10, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.pack = pack
        parts: list[nn.Module] = []
        inputs = width * pack
        for size in layers:
            parts += [nn.Linear(inputs, size), nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            inputs = size
        self.net = nn.Sequential(*parts, nn.Linear(inputs, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Return (batch / pack, 1)."""
        return torch.as_tensor(self.net(rows.reshape(len(rows) // self.pack, -1)))


def between(real: Tensor, fake: Tensor, pack: int = 1) -> Tensor:
    """Return rows at random places on the lines from real to fake ones, one place a pack."""
    share = torch.rand(len(real) // pack, device=real.device).repeat_interleave(pack)
    share = share.reshape(-1, *[1] * (real.dim() - 1))
    return share * real + (1 - share) * fake


def gradient_penalty(critic: Callable[[Tensor], Tensor], rows: Tensor, pack: int = 1) -> Tensor:
    """Return the mean squared distance from 1 of the norm of the critic's gradient (WGAN-GP).

    Source: Gulrajani et al., Improved training of Wasserstein GANs, NeurIPS 2017.
    """
    slope = grad(lambda at: critic(at).sum())(rows)
    norm = torch.linalg.vector_norm(slope.reshape(len(rows) // pack, -1), dim=1)
    return torch.mean((norm - 1) ** 2)


def heads(layout: Layout, out: Tensor, tau: float = 0.2, reach: float = 1.0) -> Tensor:
    """Return opened rows, (batch, width), from a generator's output of that shape.

    A score is a tanh, bent at `reach`; states are drawn by Gumbel-softmax with temperature `tau`.
    Where the state has no score, the score is 0 as it is in training rows. `Layout.close` makes
    rows of it.
    """
    parts = [out] * len(layout.blocks)
    loose: dict[int, Tensor] = {}
    for k, block in enumerate(layout.blocks):
        if block.kind == "state":
            parts[k] = functional.gumbel_softmax(out[:, block.place], tau)
            loose[block.index] = parts[k][:, : layout.continua[block.index]].sum(1, keepdim=True)
    for k, block in enumerate(layout.blocks):
        if block.kind == "score":
            score = reach * torch.tanh(out[:, block.place] / reach)
            parts[k] = score * loose.get(block.index, 1.0)
    return torch.cat(parts, 1)


class Conditions(nn.Module):
    """The states that a generator can be asked for, of one column at a time.

    A condition is a number: the state's place among those of all the columns, one after the other.

    Parameters
    ----------
    blocks
        The columns, each as its block of states.
    shares
        For each column the share of the rows of each state.
    """

    frequency: Tensor

    def __init__(self, blocks: Sequence[Block], shares: Sequence[Tensor]) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.width = sum(block.width for block in self.blocks)
        empty = torch.zeros(0, dtype=torch.float64)
        self.register_buffer("frequency", torch.cat([empty, *(s.double() for s in shares)]))

    def draw(self, n: int) -> Tensor:
        """Return `n` conditions: any column alike, of its states each as often as in the rows."""
        return _pick(self.frequency, n)

    def of(self, state: Tensor) -> Tensor:
        """Return for each row, (n, columns), one of its own states: that of any column."""
        if not self.blocks:
            return self.draw(len(state))
        widths = torch.tensor([block.width for block in self.blocks], device=state.device)
        index = torch.tensor([block.index for block in self.blocks], device=state.device)
        column = torch.randint(len(self.blocks), (len(state), 1), device=state.device)
        first = torch.cumsum(widths, 0) - widths
        return (first[column] + state.gather(1, index[column]))[:, 0]

    def open(self, conditions: Tensor) -> Tensor:
        """Return indicators, (n, width)."""
        if not self.width:
            return torch.zeros((len(conditions), 0), device=conditions.device)
        return functional.one_hot(conditions, self.width).float()

    def losses(self, out: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Return by column the cross entropy of a generator's output where a state was asked for.

        Their sum is the mean over the rows.
        """
        losses, first = {}, 0
        for block in self.blocks:
            rows = (conditions >= first) & (conditions < first + block.width)
            wanted = conditions[rows] - first
            each = functional.cross_entropy(out[rows][:, block.place], wanted, reduction="sum")
            losses[block.column] = each / len(out)
            first += block.width
        return losses


class RowsByState:
    """Training by sampling: a condition, and a training row that meets it (Xu et al. 2019).

    Any column alike; of its states each by the logarithm of its number of rows, so that rare ones
    are learnt too. Without columns, any row alike. Memory: 8 bytes a row and column.

    Parameters
    ----------
    conditions
        What can be asked for.
    state
        Of the training rows, (n, columns).
    """

    def __init__(self, conditions: Conditions, state: Tensor) -> None:
        counts, orders = [], []
        for block in conditions.blocks:
            own = state[:, block.index]
            orders.append(torch.argsort(own, stable=True))
            counts.append(torch.bincount(own, minlength=block.width))
        if not counts:
            orders = [torch.arange(len(state), device=state.device)]
            counts = [torch.tensor([len(state)], device=state.device)]
        self._order, self._count = torch.cat(orders), torch.cat(counts)
        self._first = torch.cumsum(self._count, 0) - self._count
        logs = [torch.log1p(count.double()) for count in counts]
        self._weight = torch.cat([log / log.sum() for log in logs])

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Return `n` conditions, and for each the index of a training row that meets it."""
        conditions = _pick(self._weight, n)
        count = self._count[conditions]
        at = (torch.rand(n, dtype=torch.float64, device=count.device) * count).long()
        return conditions, self._order[self._first[conditions] + torch.minimum(at, count - 1)]


def _pick(weight: Tensor, n: int) -> Tensor:
    """Return `n` indices drawn by weight; all 0 where there is nothing to choose from."""
    if not len(weight):
        return torch.zeros(n, dtype=torch.int64, device=weight.device)
    return torch.multinomial(weight, n, replacement=True)
