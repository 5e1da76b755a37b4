"""Columns of a trace as arrays: what a model keeps, predicts from and gives back."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace import TraceSchema

__all__ = ["FLOOR", "Column", "granularity", "leaders", "made_up", "read_columns"]

FLOOR = 5
"""A name of fewer rows than this is rare."""
_SEPARATOR = "\x1f"
"""Between the items of a list inside a vocabulary; no record holds this control character."""


@dataclass(frozen=True)
class Column:
    """One column of `n` training rows.

    A number has its values in `values` (NaN for a missing one). A text or a list has codes there
    (NaN for a missing one) that point into `vocabulary`.
    """

    name: str
    values: NDArray[np.float64]
    vocabulary: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def discrete(self) -> bool:
        """Whether values repeat: a text, or a number with five rows a value on average."""
        return self.vocabulary is not None or len(np.unique(self.values)) <= len(self.values) / 5

    def codes(self) -> NDArray[np.int64]:
        """Return 0, 1, … by rising value; a missing value has the last code."""
        return np.unique(self.values, return_inverse=True)[1].astype(np.int64)

    def axis(self, by: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the column on one axis on which a tree can split.

        Numbers on a signed log scale; texts by the rank of their mean of `by`. A missing value
        lies below all others.
        """
        if self.vocabulary is None:
            axis = np.sign(self.values) * np.log1p(np.abs(self.values))
        else:
            codes = self.codes()
            count = np.bincount(codes)
            mean = np.bincount(codes, by) / count
            rank = np.empty(len(count))
            rank[np.lexsort((np.arange(len(count)), mean))] = np.arange(len(count))
            axis = rank[codes]
        missing = np.isnan(self.values)
        if missing.any():
            low = float(axis[~missing].min()) if not missing.all() else 0.0
            axis = np.where(missing, low - 3.0, axis)
        return axis.astype(np.float32)

    def give(self, values: NDArray[np.float64]) -> pl.Series:
        """Return these values or codes as a column of the canonical type."""
        dtype = TraceSchema.canonical()[self.name].polars
        missing = np.isnan(values)
        if self.vocabulary is None:
            series = pl.Series(self.name, np.where(missing, 0.0, values))
            if dtype == pl.Int64():
                series = series.round().cast(pl.Int64)
        else:
            words = pl.Series("words", self.vocabulary or ("",), dtype=pl.String)
            series = words.gather(np.where(missing, 0, values).astype(np.int64))
            if dtype == pl.List(pl.String()):
                series = series.str.split(_SEPARATOR).list.filter(pl.element() != "")
        if missing.any():
            series = series.zip_with(pl.Series(~missing), pl.Series([None], dtype=series.dtype))
        return series.cast(dtype).alias(self.name)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that `from_arrays` takes, under names that begin with the column's."""
        arrays: dict[str, NDArray[Any]] = {f"{self.name}.values": self.values}
        if self.vocabulary is not None:
            text = json.dumps(self.vocabulary).encode()
            arrays[f"{self.name}.vocabulary"] = np.frombuffer(text, dtype=np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, name: str, arrays: dict[str, NDArray[Any]]) -> "Column":
        """Undo `to_arrays`."""
        text = arrays.get(f"{name}.vocabulary")
        vocabulary = None if text is None else tuple(json.loads(text.tobytes()))
        return cls(name, arrays[f"{name}.values"], vocabulary)


def read_columns(frame: pl.DataFrame, names: list[str]) -> list[Column]:
    """Return these columns of a canonical frame as arrays."""
    columns = []
    for name in names:
        series = frame[name]
        if series.dtype == pl.List(pl.String()):
            series = series.list.join(_SEPARATOR)
        if series.dtype == pl.String:
            words = series.drop_nulls().unique().sort()
            index = series.replace_strict(
                words, pl.Series(range(len(words)), dtype=pl.Float64), default=None
            )
            values = index.cast(pl.Float64).fill_null(float("nan")).to_numpy()
            columns.append(Column(name, values, tuple(words.to_list())))
        else:
            number = series.cast(pl.Float64)
            columns.append(Column(name, number.fill_null(float("nan")).to_numpy()))
    return columns


def made_up(
    vocabulary: tuple[str, ...],
    count: NDArray[np.int64],
    prefix: str,
    rng: np.random.Generator,
    floor: float = FLOOR,
) -> tuple[str, ...]:
    """Return the names with made-up ones, numbered at random, for those of fewer rows than `floor`.

    `count` is the number of rows of each. The made-up ones are `prefix`, a tilde and a number.
    """
    while any(word.startswith(f"{prefix}~") for word in vocabulary):
        prefix += "~"
    rare = np.flatnonzero(count < floor)
    numbers = dict(zip(rare.tolist(), (rng.permutation(len(rare)) + 1).tolist(), strict=True))
    return tuple(
        f"{prefix}~{numbers[i]}" if i in numbers else word for i, word in enumerate(vocabulary)
    )


def leaders(columns: list[Column], fixed: str) -> dict[str, str]:
    """Return for each column that another one determines the name of that other one.

    ``cores = 64 x nodes``, ``user -> group``, ``exit code -> status``: a column that has one value
    for each value of its leader is taken from the row that gave the leader's value, so that no
    combination arises that was never seen. A leader has no leader itself; of two columns that
    determine each other the first leads; the column named `fixed` never follows.
    """
    codes = {c.name: c.codes() for c in columns if c.discrete}
    codes = {name: own for name, own in codes.items() if own.max() > 0}
    order = list(codes)
    found: dict[str, str] = {}
    for name in order:
        if name == fixed or name in found.values():
            continue
        for other in order:
            if other == name or other in found or not _determines(codes[other], codes[name]):
                continue
            mutual = _determines(codes[name], codes[other])
            if not mutual or order.index(other) < order.index(name):
                found[name] = other
                break
    return found


def _determines(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    """Whether each value of `a` comes with one value of `b`; a sample of rows is tried first."""
    for rows in (slice(0, 20_000), slice(None)):
        first = np.full(int(a[rows].max()) + 1, -1)
        first[a[rows]] = b[rows]
        if not np.array_equal(first[a[rows]], b[rows]):
            return False
    return True


def granularity(values: NDArray[np.float64]) -> float:
    """Return the largest of 1, 0.1, … 1e-6 of which (nearly) all values are multiples, else 0."""
    known = values[np.isfinite(values)][:100_000]
    for unit in (1.0, 0.1, 0.01, 1e-3, 1e-6):
        off = np.abs(known / unit - np.round(known / unit))
        if np.mean(off < 1e-4) > 0.999:
            return unit
    return 0.0
