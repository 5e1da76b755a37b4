"""Nets that score the rows of many decisions at once, without padding.

The waiting jobs of n decisions stand one below the other, (N, 8); `Packed` says which belong to
which. A net gives each row a logit and each decision a value.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError, MissingExtraError
from gridtwin.policy.rl.features import FEATURES
from gridtwin.policy.rl.kernel import FEATURES as COLUMNS

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.nets", "torch", "rl") from error

__all__ = [
    "Kernel",
    "Kind",
    "Packed",
    "SetTransformer",
    "as_priority",
    "build",
    "packed",
    "restored",
]

Kind = Literal["kernel", "set"]
_INNER = (32, 16, 8)


class Packed(NamedTuple):
    """Rows of n decisions."""

    rows: Tensor
    """(N, 8), float32."""
    decision: Tensor
    """(N,), which decision a row belongs to, 0 to n - 1, never falling."""
    counts: Tensor
    """(n,), rows of each decision, 1 or more."""


def packed(rows: NDArray[np.float32], counts: NDArray[np.int64]) -> Packed:
    """Return rows as tensors, given how many each decision has."""
    number = torch.from_numpy(np.asarray(counts, np.int64))
    decision = torch.repeat_interleave(torch.arange(len(number)), number)
    return Packed(torch.from_numpy(np.ascontiguousarray(rows)), decision, number)


def log_softmax(logits: Tensor, of: Packed) -> Tensor:
    """Return the log-probability of each row within its decision, (N,)."""
    most = torch.full((len(of.counts),), -torch.inf)
    most = most.scatter_reduce(0, of.decision, logits.detach(), "amax")
    shifted = logits - most[of.decision]
    total = torch.zeros(len(of.counts)).index_add(0, of.decision, shifted.exp())
    return shifted - total.log()[of.decision]


class Critic(nn.Module):
    """What a decision's rows promise: of their mean and of how many they are."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(COLUMNS + 1, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1)
        )

    def forward(self, of: Packed) -> Tensor:
        """Return (n,)."""
        summed = torch.zeros(len(of.counts), COLUMNS).index_add(0, of.decision, of.rows)
        counts = of.counts.float()[:, None]
        pooled = torch.cat([summed / counts, torch.log(counts) / 5.0], 1)
        return self.layers(pooled).squeeze(1)  # type: ignore[no-any-return]


class Kernel(nn.Module):
    """One small net for every row (Zhang et al., RLScheduler, SC 2020): 8-32-16-8-1."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((COLUMNS, *_INNER), _INNER, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(_INNER[-1], 1))
        self.critic = Critic()

    def forward(self, of: Packed) -> Tensor:
        """Return logits, (N,)."""
        return self.layers(of.rows).squeeze(1)  # type: ignore[no-any-return]


class SetTransformer(nn.Module):
    """Rows that attend to those of their decision (Lee et al., Set Transformer, ICML 2019).

    Two blocks of self-attention, 4 heads of 8; only attention itself is padded, to the most rows
    among the decisions at hand: memory n x rows^2.
    """

    width, heads = 32, 4

    def __init__(self) -> None:
        super().__init__()
        wide = self.width
        self.embed = nn.Linear(COLUMNS, wide)
        self.attend = nn.ModuleList(nn.Linear(wide, 3 * wide) for _ in range(2))
        self.mix = nn.ModuleList(nn.Linear(wide, wide) for _ in range(2))
        self.inner = nn.ModuleList(
            nn.Sequential(nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, wide)) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(wide) for _ in range(4))
        self.score = nn.Linear(wide, 1)
        self.critic = Critic()

    def forward(self, of: Packed) -> Tensor:
        """Return logits, (N,)."""
        n, most = len(of.counts), int(of.counts.max())
        begins = torch.cumsum(of.counts, 0) - of.counts
        place = of.decision * most + torch.arange(len(of.rows)) - begins[of.decision]
        shown = (torch.arange(most) < of.counts[:, None])[:, None, None, :]
        x = self.embed(of.rows)
        for k in range(2):
            three = self.attend[k](self.norms[2 * k](x))
            dense = torch.zeros(n * most, three.shape[1]).index_copy(0, place, three)
            query, key, value = (
                part.reshape(n, most, self.heads, -1).transpose(1, 2)
                for part in dense.reshape(n, most, -1).chunk(3, 2)
            )
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=shown)
            x = x + self.mix[k](mixed.transpose(1, 2).reshape(n * most, -1)[place])
            x = x + self.inner[k](self.norms[2 * k + 1](x))
        return self.score(x).squeeze(1)  # type: ignore[no-any-return]


def build(kind: Kind, seed: int = 0) -> Kernel | SetTransformer:
    """Return a net with weights drawn from a seed; torch's own generator stays as it is."""
    if kind not in get_args(Kind):
        raise InputError(f"net {kind!r}; expected kernel or set")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Kernel() if kind == "kernel" else SetTransformer()
        last = net.layers[-1] if isinstance(net, Kernel) else net.score
        assert isinstance(last, nn.Linear)
        with torch.no_grad():  # rows about alike at first
            last.weight.mul_(0.1)
    return net


def restored(arrays: dict[str, NDArray[np.float32]]) -> Kernel | SetTransformer:
    """Return the net of these weights, by the names of its parameters."""
    net = build("set" if any(name.startswith("embed") for name in arrays) else "kernel")
    try:
        net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise FormatError(f"these weights are of another net ({error}); train it again") from error
    return net


def as_priority(net: Kernel) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Return the net as layers and weights of `gridtwin.policy.rl.priority.Searched`.

    The highest logit is the lowest score. For windows of 128 rows and the clean features.
    """
    columns = [FEATURES.index(name) for name in _AS_SHOWN]
    weights, sizes = [np.zeros(len(FEATURES))], [len(FEATURES)]
    linear = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
    for layer in linear:
        matrix = layer.weight.detach().numpy().astype(np.float64)
        bias = layer.bias.detach().numpy().astype(np.float64)
        if layer is linear[0]:
            bias = bias + matrix[:, 7]  # the feature that is 1
            wide = np.zeros((len(matrix), len(FEATURES)))
            wide[:, columns] = matrix[:, :7]
            matrix = wide
        if layer is linear[-1]:
            matrix, bias = -matrix, -bias
        weights += [matrix.ravel(), bias]
        sizes.append(len(matrix))
    return tuple(sizes), np.concatenate(weights)


_AS_SHOWN = ("wait_1h", "request", "share", "wait_request", "free", "fits", "crowd")
