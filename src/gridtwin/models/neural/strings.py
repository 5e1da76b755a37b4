"""Rows as strings of symbols, a vocabulary for each position, and which strings there are."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gridtwin.models.encoding import Cells, Encoder
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.views import token_masks

__all__ = ["PRECISION", "Strings"]

PRECISION = 2
"""Digits of the place in a cell."""


@dataclass(frozen=True)
class _Word:
    """A column's part of a string."""

    column: int
    begin: int
    digits: int
    """Of the cell's number; 0 for a name, whose cell is one symbol, and where there is one cell."""
    size: int
    """Cells."""
    split: NDArray[np.bool_] | None
    """The cells with a place, None if there are none; the others have zeros there."""
    sizes: tuple[int, ...]
    """How many symbols each position has."""

    @property
    def head(self) -> int:
        """How many positions the cell takes."""
        return len(self.sizes) - PRECISION * (self.split is not None)


@dataclass(frozen=True)
class Strings:
    """How the cells of an encoder are written.

    A name is a symbol. A number is the digits of its cell, which are in order of value, and
    `PRECISION` digits of the place in it: what a thermometer with an uneven scale would show. All
    strings of a column are of equal length. Those that are no row (a cell beyond the last one, a
    place in an atom) are found out digit by digit: `allowed`.
    """

    words: tuple[_Word, ...]

    @classmethod
    def of(cls, encoder: Encoder) -> "Strings":
        """Return how an encoder's rows are written."""
        masks = token_masks(encoder)
        splits = [masks[i + 1] if i + 1 < len(masks) else None for i in _cells_of(masks)]
        words, begin = [], 0
        for k, (coder, split) in enumerate(zip(encoder.coders.values(), splits, strict=True)):
            digits = 0
            sizes: tuple[int, ...] = (coder.size,) if coder.size > 1 else ()
            if sizes and not isinstance(coder, Name):
                digits = len(str(coder.size - 1))
                sizes = ((coder.size - 1) // 10 ** (digits - 1) + 1,) + (10,) * (digits - 1)
            sizes += (10,) * PRECISION * (split is not None)
            words.append(_Word(k, begin, digits, coder.size, split, sizes))
            begin += len(sizes)
        return cls(tuple(words))

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many symbols each position has."""
        return tuple(size for word in self.words for size in word.sizes)

    @property
    def columns(self) -> tuple[int, ...]:
        """The column of each position."""
        return tuple(word.column for word in self.words for _ in word.sizes)

    def write(self, cells: Cells) -> NDArray[np.int64]:
        """Return the strings of rows, (n, positions)."""
        out = np.zeros((len(cells), len(self.sizes)), dtype=np.int64)
        for word in self.words:
            cell, place = cells.cell[:, word.column], cells.place[:, word.column]
            if word.head == 1 and not word.digits:
                out[:, word.begin] = cell
            for i in range(word.digits):
                out[:, word.begin + i] = cell // 10 ** (word.digits - 1 - i) % 10
            if word.split is not None:
                fine = np.minimum((place * 10**PRECISION).astype(np.int64), 10**PRECISION - 1)
                fine[~word.split[cell]] = 0
                for i in range(PRECISION):
                    digit = fine // 10 ** (PRECISION - 1 - i) % 10
                    out[:, word.begin + word.head + i] = digit
        return out

    def read(self, strings: NDArray[np.int64], rng: np.random.Generator) -> Cells:
        """Undo `write`; between two digits the place is uniform."""
        shape = (len(strings), len(self.words))
        cells = Cells(np.zeros(shape, dtype=np.int32), np.full(shape, 0.5))
        for word in self.words:
            cell = _value(strings[:, word.begin : word.begin + word.head])
            cells.cell[:, word.column] = cell
            if word.split is not None:
                begin = word.begin + word.head
                fine = _value(strings[:, begin : begin + PRECISION])
                place = (fine + rng.random(len(fine))) / 10**PRECISION
                cells.place[:, word.column] = np.where(word.split[cell], place, 0.5)
        return cells

    def allowed(self, strings: Tensor, position: int) -> Tensor:
        """Return which symbols may come there after what stands before, (n, symbols)."""
        word = next(w for w in reversed(self.words) if w.begin <= position and w.sizes)
        i = position - word.begin
        symbols = torch.arange(word.sizes[i], device=strings.device)[None]
        before = _number(strings[:, word.begin : word.begin + min(i, word.head)])
        if i >= word.head:
            assert word.split is not None
            split = torch.from_numpy(word.split).to(strings.device)
            return (symbols == 0) | split[before][:, None]
        if not word.digits:
            return symbols.expand(len(strings), -1) >= 0
        rest = 10 ** (word.digits - 1 - i)
        allowed: Tensor = (before[:, None] * 10 + symbols) * rest < word.size
        return allowed


def _cells_of(masks: list[NDArray[np.bool_] | None]) -> list[int]:
    return [i for i, mask in enumerate(masks) if mask is None]


def _value(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    out = np.zeros(len(digits), dtype=np.int64)
    for digit in digits.T:
        out = out * 10 + digit
    return out


def _number(digits: Tensor) -> Tensor:
    out = torch.zeros(len(digits), dtype=torch.int64, device=digits.device)
    for digit in digits.T:
        out = out * 10 + digit
    return out
