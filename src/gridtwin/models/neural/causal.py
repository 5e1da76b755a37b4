"""A small causal transformer like GPT-2 (Radford et al., 2019), with a cache for sampling."""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Causal"]

HEAD = 64
"""Numbers of each attention head; a narrower net has one head."""
SPREAD = 0.02
"""Standard deviation of the first weights."""
Cache = list[tuple[Tensor, Tensor]]


class Causal(nn.Module):
    """Reads a string of symbols and says of each position what may come, given those before it.

    Each position has symbols of its own; the numbers of all are rows of one table, which stand
    both for what is read and for what is said. Row 0 is read before the first position, row 1 is
    said in place of a masked symbol.

    Parameters
    ----------
    sizes
        Symbols of each position.
    """

    first: Tensor
    own: Tensor

    def __init__(self, sizes: tuple[int, ...], layers: int, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads = max(1, width // HEAD)
        length = torch.tensor(sizes)
        self.symbols = nn.Embedding(2 + sum(sizes), width)
        self.places = nn.Embedding(len(sizes), width)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=SPREAD)
        first = 2 + length.cumsum(0) - length
        at = torch.arange(2 + sum(sizes))
        own = (at >= first[:, None]) & (at < (first + length)[:, None])
        own[:, 1] = True
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("own", own, persistent=False)

    def forward(self, strings: Tensor) -> Tensor:
        """Return the log odds of all rows of the table at each position, (n, T, rows)."""
        start = torch.zeros_like(strings[:, :1])
        symbols = torch.cat([start, (strings + self.first)[:, :-1]], 1)
        x = self.dropout(self.symbols(symbols) + self.places.weight)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x) @ self.symbols.weight.T
        return out.masked_fill(~self.own, -torch.inf)

    def cache(self, n: int) -> Cache:
        """Return room for what the layers note of `n` strings."""
        weight: Tensor = self.places.weight
        shape = (n, self.heads, len(weight), weight.shape[1] // self.heads)
        return [(weight.new_empty(shape), weight.new_empty(shape)) for _ in self.blocks]

    def next(self, strings: Tensor, at: int, cache: Cache) -> Tensor:
        """Return the log odds of a position's symbols, (n, symbols), each in turn."""
        last = strings[:, at - 1] + self.first[at - 1] if at else torch.zeros_like(strings[:, 0])
        x = (self.symbols(last) + self.places.weight[at])[:, None]
        for block, notes in zip(self.blocks, cache, strict=True):
            x = block(x, notes, at)
        begin = int(self.first[at])
        rows = self.symbols.weight[begin : begin + int(self.own[at].sum()) - 1]
        out: Tensor = self.norm(x[:, 0]) @ rows.T
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.look = nn.Linear(width, 3 * width)
        self.seen = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, notes: tuple[Tensor, Tensor] | None = None, at: int = 0) -> Tensor:
        n, length, width = x.shape
        parts = (
            self.look(self.norms[0](x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        )
        query, key, value = parts.unbind(0)
        if notes is not None:
            for note, new in zip(notes, (key, value), strict=True):
                note[:, :, at] = new[:, :, 0]
            key, value = (note[:, :, : at + 1] for note in notes)
        rate = self.dropout.p if self.training else 0.0
        seen = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=rate, is_causal=notes is None
        )
        x = x + self.dropout(self.seen(seen.transpose(1, 2).reshape(n, length, width)))
        out: Tensor = x + self.dropout(self.think(self.norms[1](x)))
        return out
