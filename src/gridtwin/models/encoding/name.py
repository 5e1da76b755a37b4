"""Cells of a text or a list: the frequent ones each, the others in buckets by how often they occur.

A name that occurs in fewer than five rows is never given out: a made-up one stands for it.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gridtwin.models.encoding.columns import made_up
from gridtwin.models.encoding.number import atom_count

__all__ = ["Name"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Name:
    """A name as a cell and a place in it.

    A name that is an atom (`atom_count`) has a cell; the others share a cell with those that occur
    half to twice as often, and the place (0 to 1) says which one it is, each with the share of its
    rows. Cells are in order of what `fit` was given to order by. Names are indices into
    `vocabulary`; NaN is no name, with a cell of its own where that occurs.
    """

    vocabulary: tuple[str, ...]
    """The names as they are read."""
    public: tuple[str, ...]
    """The names as they are given out; only these are saved."""
    cell: NDArray[np.int32]
    """Of each name, and at the end of no name, (names + 1,)."""
    start: Floats
    """Where the name's places begin in its cell, (names + 1,)."""
    width: Floats
    """How long they are, (names + 1,); 0 for no name if that does not occur."""
    mass: Floats
    """Share of the training rows of each cell, (cells,)."""

    @classmethod
    def fit(
        cls,
        codes: Floats,
        vocabulary: tuple[str, ...],
        by: Floats,
        rng: np.random.Generator,
        *,
        prefix: str | None,
    ) -> Self:
        """Learn from indices into `vocabulary`; cells are ordered by their mean of `by`.

        Made-up names are `prefix` and a number; without a prefix the names are words of a system
        (a status, an exit code), which identify nobody and are all given out.
        """
        n, names = max(len(codes), 1), len(vocabulary)
        index = np.where(np.isnan(codes), names, codes).astype(np.int64)
        count = np.bincount(index, minlength=names + 1)
        common = count >= atom_count(len(codes))
        common[names] = True
        # a name has its own group, a rare one that of its logarithm
        group = np.where(common, np.arange(names + 1), names + 1)
        group[~common] += np.log2(np.maximum(count[~common], 1)).astype(np.int64)
        group = np.unique(group, return_inverse=True)[1]
        rows = np.bincount(group, count)
        mean = np.bincount(group[index], by, minlength=len(rows)) / np.maximum(rows, 1)
        empty = rows == 0  # no name, where it does not occur
        order = np.lexsort((np.arange(len(rows)), mean, empty))
        rank = np.empty(len(rows), dtype=np.int32)
        rank[order] = np.arange(len(rows))
        cell = rank[group]
        width = count / np.maximum(rows[group], 1)
        ordered = np.lexsort((rng.random(names + 1), cell))
        before = np.cumsum(width[ordered]) - width[ordered]
        first = np.searchsorted(cell[ordered], np.arange(len(rows)))
        start = np.empty(names + 1)
        start[ordered] = before - before[first[cell[ordered]]]
        mass = rows[order][~empty[order]] / n
        public = vocabulary if prefix is None else made_up(vocabulary, count[:names], prefix, rng)
        return cls(vocabulary, public, cell, start, width, mass)

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.mass)

    @property
    def part(self) -> NDArray[np.int32]:
        """-1 for each cell: nothing in a cell is a continuum."""
        return np.full(self.size, -1, dtype=np.int32)

    @property
    def shared(self) -> float:
        """Share of the training rows in cells of several names."""
        several = np.bincount(self.cell, self.width > 0, minlength=self.size)[: self.size] > 1
        return float(self.mass[several].sum())

    def encode(self, codes: Floats) -> tuple[NDArray[np.int32], Floats]:
        """Return the cell and the place of each index."""
        index = np.where(np.isnan(codes), len(self.vocabulary), codes).astype(np.int64)
        return np.minimum(self.cell[index], self.size - 1), (self.start + self.width / 2)[index]

    def decode(self, cell: NDArray[np.int32], place: Floats) -> Floats:
        """Return the indices, NaN for no name."""
        there = np.flatnonzero(self.width > 0)
        there = there[np.lexsort((self.start[there], self.cell[there]))]
        keys = self.cell[there] + np.minimum(self.start[there], 1.0)
        at = np.searchsorted(keys, cell + np.clip(place, 0.0, 1 - 1e-9), "right") - 1
        first = np.searchsorted(self.cell[there], cell)
        index = there[np.maximum(at, first)].astype(np.float64)
        index[index == len(self.vocabulary)] = np.nan
        return index

    def index(self, vocabulary: tuple[str, ...], codes: Floats) -> Floats:
        """Return indices into the own vocabulary; an unknown name becomes one of the rarest."""
        place = {word: i for i, word in enumerate(self.vocabulary)}
        rarest = int(np.argmin(np.where(self.width > 0, self.mass[self._last], np.inf)))
        to = np.array([place.get(word, rarest) for word in vocabulary] + [0], dtype=np.float64)
        own = to[np.where(np.isnan(codes), len(vocabulary), codes).astype(np.int64)]
        return np.where(np.isnan(codes) | (own == len(self.vocabulary)), np.nan, own)

    @property
    def _last(self) -> NDArray[np.int32]:
        return np.minimum(self.cell, self.size - 1)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with `prefix`."""
        text = np.frombuffer(json.dumps(self.public).encode(), dtype=np.uint8)
        arrays: dict[str, NDArray[Any]] = {"cell": self.cell, "public": text}
        arrays |= {"start": self.start, "width": self.width, "mass": self.mass}
        return {f"{prefix}.{key}": value for key, value in arrays.items()}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: dict[str, NDArray[Any]]) -> Self:
        """Undo `to_arrays`; rare names are no longer known by what they were."""
        public = tuple(json.loads(arrays[f"{prefix}.public"].tobytes()))
        keys = ("cell", "start", "width", "mass")
        return cls(public, public, *(arrays[f"{prefix}.{key}"] for key in keys))
