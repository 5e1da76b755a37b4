"""Cells of a number: atoms, quantile bins, a tail; and the state of having no value."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gridtwin.models.encoding.columns import granularity

__all__ = ["Number", "atom_count", "unit_of"]

Floats = NDArray[np.float64]
BINS = 100
ROWS_PER_BIN = 20
TAIL_SHARE, TAIL_ROWS = 0.001, 20
"""The tail begins at this share of the loose rows, or at this number of them if that is more."""
TAIL_NEEDS = 400
"""Fewer loose rows than this have no tail: they end at the largest one."""
MAX_SEEN = 2000
"""A number that repeats and has no more values than this keeps to the values seen."""


def atom_count(n: int) -> float:
    """Return how often a value must occur among `n` rows to be an atom: 10 times, or n/1500."""
    return max(10.0, n / 1500)


def unit_of(values: Floats) -> float:
    """Return the largest unit of which all values are multiples, 0 where there is none.

    Of whole numbers that is their greatest common divisor (minutes, 64 cores); of others 0.1, …
    1e-6 as `gridtwin.models.encoding.columns.granularity` finds it.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0
    if np.all(known == np.round(known)) and np.abs(known).max() < 2**53:
        return float(max(1, np.gcd.reduce(np.abs(known).astype(np.int64))))
    unit = granularity(known)
    near = np.abs(in_units(known, unit) - known) <= 1e-9 + 1e-7 * np.abs(known)
    return unit if near.all() else 0.0


def in_units(values: Floats, unit: float) -> Floats:
    """Return the nearest multiples of a unit (none where it is 0)."""
    if unit <= 0:
        return values
    if unit >= 1:
        return np.round(values / unit) * unit
    parts = np.round(1 / unit)
    return np.asarray(np.round(values * parts) / parts)


@dataclass(frozen=True)
class Number:
    """A number as a cell and a place in it.

    Cells are in order of value; where rows without a value occur, cell 0 is theirs. A point is one
    value; a bin holds the loose values between two quantiles of them, and the place (0 to 1) runs
    between its ends on a signed log scale. The last bin can be a generalised Pareto tail (fitted
    by probability-weighted moments; Hosking & Wallis, Technometrics 29, 1987), in which the place
    is the probability. All arrays are (cells,).
    """

    low: Floats
    high: Floats
    mass: Floats
    """Share of the training rows."""
    part: NDArray[np.int32]
    """0 where the place counts, -1 for points and for no value."""
    seen: Floats
    """The values to keep to, in rising order; empty if any value may come."""
    tail: Floats
    """Index of the tail's cell (-1: none), shape and scale of its distribution, (3,)."""
    options: Floats
    """Whether cell 0 is for no value, whether the scale is linear, and the unit, (3,)."""

    @classmethod
    def fit(
        cls, values: Floats, *, linear: bool = False, tail: bool = True, atoms: float | None = None
    ) -> Self:
        """Learn from values, NaN (or infinite) where there is none; `linear` drops the log scale.

        `atoms` is how often an atom occurs, where not as `atom_count` says.
        """
        n = max(len(values), 1)
        known = values[np.isfinite(values)]
        found, count = np.unique(known, return_counts=True)
        points = count >= (atom_count(len(values)) if atoms is None else atoms)
        if len(found) == 1:
            points[:] = True
        loose = np.repeat(found[~points], count[~points])
        repeats = len(found) <= min(len(known) / 5, MAX_SEEN)
        bins, pareto = _bins(loose, tail=tail and not linear and not repeats)
        low = np.concatenate([found[points], bins[:-1]])
        high = np.concatenate([found[points], bins[1:]])
        inside = np.histogram(loose, bins)[0] if len(loose) else np.zeros(0)
        mass = np.concatenate([count[points], inside]) / n
        part = np.repeat([-1, 0], [int(points.sum()), len(inside)])
        order = np.lexsort((part, (low + high) / 2))
        at = int(np.flatnonzero(order == len(low) - 1)[0]) if len(pareto) else -1
        missing = len(known) < len(values) or not len(known)
        if missing:
            order, at = np.r_[len(low), order], at + (at >= 0)
            low, high = np.append(low, np.nan), np.append(high, np.nan)
            mass, part = np.append(mass, 1 - len(known) / n), np.append(part, -1)
        unit = unit_of(known)
        return cls(
            low[order],
            high[order],
            mass[order],
            part[order].astype(np.int32),
            found if repeats else np.zeros(0),
            np.array([at, *(pareto or (0.0, 0.0))]),
            np.array([float(missing), float(linear), unit]),
        )

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.mass)

    def encode(self, values: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Return the cell and the place of each value; values outside the range go to its ends."""
        cell = np.zeros(len(values), dtype=np.int32)
        place = np.full(len(values), 0.5)
        known = np.isfinite(values)
        v = values[known]
        points = np.flatnonzero((self.part < 0) & ~np.isnan(self.low))
        bins = np.flatnonzero(self.part == 0)
        at, w = np.zeros(len(v), dtype=np.int64), np.full(len(v), 0.5)
        if len(bins):
            at = bins[np.clip(np.searchsorted(self.low[bins], v, "right") - 1, 0, None)]
            w = self._place(v, at)
        if len(points):
            near = points[_nearest(self.low[points], v)]
            hit = (self.low[near] == v) | (len(bins) == 0)
            at, w = np.where(hit, near, at), np.where(hit, 0.5, w)
        cell[known], place[known] = at, w
        return cell, place

    def _place(self, v: Floats, cell: NDArray[np.int64]) -> Floats:
        low, high = self._scale(self.low[cell]), self._scale(self.high[cell])
        width = np.where(high > low, high - low, 1.0)
        w = (self._scale(v) - low) / width
        at, shape, scale = self.tail
        if at >= 0:
            beyond = np.maximum(v - self.low[int(at)], 0.0) / scale
            p = -np.expm1(-beyond if shape == 0 else -np.log1p(shape * beyond) / shape)
            w = np.where(cell == int(at), p, w)
        return np.clip(w, 0.0, 1.0)

    def decode(self, cell: NDArray[np.int32], place: Floats) -> Floats:
        """Return the values, NaN where there is none; loose ones in units or as seen."""
        low, high = self._scale(self.low[cell]), self._scale(self.high[cell])
        values = np.clip(self._unscale(low + place * (high - low)), self.low[cell], self.high[cell])
        at, shape, scale = self.tail
        if at >= 0:
            rest = -np.log(np.maximum(1.0 - place, 1e-6))
            beyond = scale * (rest if shape == 0 else np.expm1(shape * rest) / shape)
            values = np.where(cell == int(at), self.low[int(at)] + beyond, values)
        loose = self.part[cell] == 0
        if loose.any():
            out = in_units(values[loose], float(self.options[2]))
            values[loose] = self.seen[_nearest(self.seen, out)] if len(self.seen) else out
        points = (self.part[cell] < 0) & ~np.isnan(self.low[cell])
        values[points] = self.low[cell][points]
        return values

    def position(self, cell: NDArray[np.int32], place: Floats) -> Floats:
        """Return the values on the scale on which places run: signed log, or linear."""
        return self._scale(self.decode(cell, place))

    def at(self, position: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Return the cell and the place of each position; those outside go to the ends."""
        return self.encode(self._unscale(position))

    def _scale(self, v: Floats) -> Floats:
        return v if self.options[1] else np.asarray(np.sign(v) * np.log1p(np.abs(v)))

    def _unscale(self, v: Floats) -> Floats:
        return v.copy() if self.options[1] else np.asarray(np.sign(v) * np.expm1(np.abs(v)))

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with `prefix`."""
        return {f"{prefix}.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: dict[str, NDArray[Any]]) -> Self:
        """Undo `to_arrays`."""
        return cls(*(arrays[f"{prefix}.{f.name}"] for f in fields(cls)))


def _bins(loose: Floats, *, tail: bool) -> tuple[Floats, tuple[float, float] | tuple[()]]:
    """Return the ends of the bins of sorted loose values, and shape and scale of a tail.

    With a tail the last two ends are where it begins and the largest value.
    """
    if not len(loose):
        return np.zeros(0), ()
    count = max(1, min(BINS, len(loose) // ROWS_PER_BIN))
    share = max(TAIL_SHARE, TAIL_ROWS / len(loose))
    if tail and len(loose) >= TAIL_NEEDS:
        begin = float(np.quantile(loose, 1 - share))
        beyond = loose[loose > begin] - begin
        if len(beyond) >= TAIL_ROWS // 2:
            ends = np.unique(np.quantile(loose[loose <= begin], np.linspace(0, 1, count)))
            ends[-1] = begin
            return np.unique(np.append(ends, loose[-1])), _pareto(beyond)
    ends = np.unique(np.quantile(loose, np.linspace(0, 1, count + 1)))
    return (ends if len(ends) > 1 else np.repeat(ends, 2)), ()


def _pareto(beyond: Floats) -> tuple[float, float]:
    """Return shape (0 to 0.5) and scale of a generalised Pareto distribution of sorted values."""
    n, mean = len(beyond), float(beyond.mean())
    plotting = (np.arange(1, n + 1) - 0.35) / n
    weighted = float(np.mean((1 - plotting) * beyond))
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.5
    shape = float(np.clip(shape, 0.0, 0.5))
    return shape, mean * (1 - shape)


def _nearest(ordered: Floats, values: Floats) -> NDArray[np.int64]:
    """Return the index of the entry of a rising array that is nearest to each value."""
    after = np.clip(np.searchsorted(ordered, values), 1, max(len(ordered) - 1, 1))
    if len(ordered) == 1:
        return np.zeros(len(values), dtype=np.int64)
    closer = values - ordered[after - 1] <= ordered[after] - values
    return np.asarray(np.where(closer, after - 1, after))
