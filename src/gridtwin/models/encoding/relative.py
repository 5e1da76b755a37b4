"""Cells of a number that is bounded by others of its row: run times and requests, cpu and cores."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from gridtwin.models.encoding.number import Number, atom_count, in_units, unit_of
from gridtwin.models.encoding.relations import AT_LIMIT

__all__ = ["Kind", "Relative"]

Floats = NDArray[np.float64]
Kind = Literal["limit", "product"]
"""A run time and the time requested; or a part of a product, such as cpu time of cores x run."""
SHORT = 0.1
"""A value below this share of its limit has nothing to do with it."""
_REGIMES: dict[Kind, tuple[str, ...]] = {
    "limit": ("short", "share", "over", "free"),
    "product": ("share", "over", "free"),
}


class Part(NamedTuple):
    """The values of one regime: which rows have one, what is modelled of it, and by what."""

    rows: NDArray[np.bool_]
    inner: Floats
    number: Number
    first: int
    """The regime's first cell."""


@dataclass(frozen=True)
class Relative:
    """A number in regimes, each with cells of its own.

    ``short``: less than 0.1 of the base, as it is; ``share``: of the base; ``over``: what exceeds
    the base (from 0.98 of it on for a limit), for a product as a share above 1; ``free``: the
    value where the base is unknown or 0. Where rows without a value occur, cell 0 is theirs. A
    value passes its base only in a cell of ``over``, hence as often as such cells are drawn.
    """

    kind: Kind
    regimes: tuple[str, ...]
    numbers: tuple[Number, ...]
    weights: Floats
    """Share of the training rows of each regime; the rest have no value."""
    unit: float

    @classmethod
    def fit(cls, values: Floats, base: Floats, kind: Kind) -> Self:
        """Learn from values and what bounds them, NaN for unknown."""
        names = _REGIMES[kind]
        regime = _regime(values, base, kind)
        atoms = atom_count(len(values))
        kept, numbers, weights = [], [], []
        for k, name in enumerate(names):
            rows = regime == k
            if rows.any():
                inner = _inner(values[rows], base[rows], name, kind)
                linear = name == "share"
                kept.append(name)
                numbers.append(Number.fit(inner, linear=linear, tail=name == "free", atoms=atoms))
                weights.append(float(rows.mean()))
        return cls(kind, tuple(kept), tuple(numbers), np.array(weights), unit_of(values))

    @property
    def _first(self) -> list[int]:
        """The first cell of each regime, and at the end how many cells there are."""
        sizes = [number.size for number in self.numbers]
        begin = int(self.weights.sum() < 1 - 1e-12)
        return [begin + sum(sizes[:k]) for k in range(len(sizes) + 1)]

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self._first[-1]

    @property
    def mass(self) -> Floats:
        """Share of the training rows of each cell, (cells,)."""
        start = [1 - self.weights.sum()] * self._first[0]
        pairs = zip(self.weights, self.numbers, strict=True)
        return np.concatenate([np.array(start), *(w * number.mass for w, number in pairs)])

    @property
    def part(self) -> NDArray[np.int32]:
        """The regime where the place counts, -1 elsewhere, (cells,)."""
        start = np.full(self._first[0], -1)
        parts = [np.where(number.part < 0, -1, k) for k, number in enumerate(self.numbers)]
        return np.concatenate([start, *parts]).astype(np.int32)

    def encode(self, values: Floats, base: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Return the cell and the place of each value; one of a regime not learnt: cell 0."""
        cell, place = np.zeros(len(values), dtype=np.int32), np.full(len(values), 0.5)
        for part in self.split(values, base):
            at, place[part.rows] = part.number.encode(part.inner)
            cell[part.rows] = at + part.first
        return cell, place

    def split(self, values: Floats, base: Floats) -> list["Part"]:
        """Return the values by regime, one part for each that was learnt, in their order."""
        regime = _regime(values, base, self.kind)
        parts = []
        for name, number, first in zip(self.regimes, self.numbers, self._first, strict=False):
            rows = regime == _REGIMES[self.kind].index(name)
            inner = _inner(values[rows], base[rows], name, self.kind)
            parts.append(Part(rows, inner, number, first))
        return parts

    def decode(
        self, cell: NDArray[np.int32], place: Floats, base: Floats, rng: np.random.Generator
    ) -> Floats:
        """Return the values, NaN where there is none.

        Where a cell does not fit the base (a share of an unknown one), another is drawn as the
        training rows have them.
        """
        cell, place = self._fitting(cell, place, base, rng)
        out = np.full(len(cell), np.nan)
        for name, number, first in zip(self.regimes, self.numbers, self._first, strict=False):
            rows = (cell >= first) & (cell < first + number.size)
            inner = number.decode(cell[rows] - first, place[rows])
            out[rows] = self._outer(inner, base[rows], name)
        return out

    def _fitting(
        self, cell: NDArray[np.int32], place: Floats, base: Floats, rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], Floats]:
        sizes = [number.size for number in self.numbers]
        free = np.repeat([name == "free" for name in self.regimes], sizes)
        free = np.r_[np.zeros(self._first[0], bool), free]
        valued = np.arange(self.size) >= self._first[0]
        usable = base > 0
        for known in (False, True):
            wrong = (usable == known) & valued[cell] & (free[cell] == known)
            weight = np.where(valued & (free != known), self.mass, 0.0)
            if wrong.any() and weight.sum() > 0:
                cell, place = cell.copy(), place.copy()
                count = int(wrong.sum())
                cell[wrong] = rng.choice(self.size, count, p=weight / weight.sum())
                place[wrong] = rng.random(count)
        return cell, place

    def _outer(self, inner: Floats, base: Floats, name: str) -> Floats:
        """Undo `_inner`; a base that is unknown gives no value, but in the regime ``free``."""
        unit = self.unit
        if name == "free":
            return in_units(inner, unit)
        if self.kind == "product":
            values = in_units(inner * base, unit)
            return np.minimum(values, base) if name == "share" else np.maximum(values, base)
        if name == "over":
            return np.maximum(in_units(base + inner, unit), 0.0)
        values = inner if name == "short" else inner * base
        limit = AT_LIMIT * base
        return np.where(np.isnan(base), np.nan, np.minimum(in_units(values, unit), limit))

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with `prefix`."""
        arrays: dict[str, NDArray[Any]] = {
            f"{prefix}.weights": self.weights,
            f"{prefix}.unit": np.array(self.unit),
            f"{prefix}.regimes": np.array([_REGIMES[self.kind].index(r) for r in self.regimes]),
        }
        for name, number in zip(self.regimes, self.numbers, strict=True):
            arrays |= number.to_arrays(f"{prefix}.{name}")
        return arrays

    @classmethod
    def from_arrays(cls, prefix: str, arrays: dict[str, NDArray[Any]], kind: Kind) -> Self:
        """Undo `to_arrays`."""
        regimes = tuple(_REGIMES[kind][int(k)] for k in arrays[f"{prefix}.regimes"])
        numbers = tuple(Number.from_arrays(f"{prefix}.{name}", arrays) for name in regimes)
        unit = float(arrays[f"{prefix}.unit"])
        return cls(kind, regimes, numbers, arrays[f"{prefix}.weights"], unit)


def _regime(values: Floats, base: Floats, kind: Kind) -> NDArray[np.int64]:
    """Return the number of each value's regime, -1 for no value."""
    known = np.isfinite(base) & (base > 0)
    share = np.where(known, values, 0.0) / np.where(known, base, 1.0)
    names = _REGIMES[kind]
    if kind == "limit":
        regime = np.where(share < SHORT, 0, np.where(share < AT_LIMIT, 1, 2))
    else:
        regime = np.where(share <= 1, 0, 1)
    regime = np.where(known, regime, names.index("free"))
    return np.where(np.isfinite(values), regime, -1)


def _inner(values: Floats, base: Floats, name: str, kind: Kind) -> Floats:
    """Return what a regime models of the values."""
    if name in ("short", "free"):
        return values
    if kind == "limit" and name == "over":
        return values - base
    return values / base
