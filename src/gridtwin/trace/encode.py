"""From job tables to matrices: which columns carry information, and two numeric forms of them.

Models and metrics share this, so that both speak of the same columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import JobTable

__all__ = ["Columns", "Encoder", "modelled_columns"]

MAX_LEVELS = 2000
"""A text column with more distinct values than this is a label, not a category."""

_LABELS = ("job_id", "parent_id", "task_id")
_DERIVED = {
    "eligible_time": ("submit_time",),
    "start_time": ("submit_time", "wait_time"),
    "end_time": ("submit_time", "run_time"),
    "work": ("run_time",),
}
"""Columns that others of the same row give (nearly): left out where those are there."""


@dataclass(frozen=True)
class Columns:
    """The columns of a table that carry information, by the way they are treated."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict, compare=False)
    """The other columns of the table and why each is left out."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, numbers first."""
        return self.numbers + self.categories

    def __len__(self) -> int:
        return len(self.numbers) + len(self.categories)

    def without(self, *names: str, reason: str = "asked for") -> "Columns":
        """Return the columns less these; names that are not among them are ignored."""
        gone = {name: reason for name in names if name in self.names}
        return Columns(
            tuple(name for name in self.numbers if name not in gone),
            tuple(name for name in self.categories if name not in gone),
            {**self.left_out, **gone},
        )

    def within(self, jobs: JobTable) -> "Columns":
        """Return those columns that a table has."""
        here = set(jobs.columns)
        missing = [name for name in self.names if name not in here]
        return self.without(*missing, reason="the other table lacks it")


def modelled_columns(jobs: JobTable) -> Columns:
    """Return the columns worth modelling and comparing.

    Left out are labels of a single job or task (``job_id``, ``parent_id``, ``task_id``), columns
    that others give (``start_time``, ``end_time``, ``work``…), columns without a value or with
    one value only, and texts of more than 2,000 distinct values or distinct in over half of the
    rows (they name things; see `Columns.left_out`). A column of numbers is a number, texts and
    lists of texts are categories.
    """
    frame = _flat(jobs, jobs.columns)
    numbers: list[str] = []
    categories: list[str] = []
    left_out: dict[str, str] = {}
    for name in frame.columns:
        reason = _useless(frame, name)
        if reason:
            left_out[name] = reason
        elif frame.schema[name] == pl.String:
            categories.append(name)
        else:
            numbers.append(name)
    return Columns(tuple(numbers), tuple(categories), left_out)


def _useless(frame: pl.DataFrame, name: str) -> str:
    """Say why a column is not modelled, or nothing."""
    if name in _LABELS:
        return "a label of one job or task"
    if name in _DERIVED and all(other in frame.columns for other in _DERIVED[name]):
        return f"follows, nearly, from {' and '.join(_DERIVED[name])}"
    column = frame[name]
    filled = column.len() - column.null_count()
    if filled == 0:
        return "no values"
    distinct = column.n_unique() - (column.null_count() > 0)
    if distinct == 1 and filled == column.len():
        return "one value only"
    many = distinct > MAX_LEVELS or (distinct > 50 and 2 * distinct > filled)
    if column.dtype == pl.String and many:
        return f"{distinct} distinct texts in {filled} rows: names, not categories"
    return ""


def _flat(jobs: JobTable, names: Sequence[str]) -> pl.DataFrame:
    """Collect columns with NaN and infinities as null and lists joined to one text."""
    schema = TraceSchema.canonical()
    expressions = []
    for name in names:
        column, dtype = pl.col(name), schema[name].dtype
        if dtype == "list":
            column = column.list.join(" ")
        elif dtype == "float":
            column = pl.when(column.is_finite()).then(column)
        expressions.append(column.alias(name))
    return jobs.frame.select(expressions).collect()


@dataclass(frozen=True)
class Encoder:
    """Turns the modelled columns of a table into a matrix; fitted on one, used on many."""

    columns: Columns
    low: np.ndarray
    """Least fitted value of each number, shape (numbers,)."""
    high: np.ndarray
    """Greatest fitted value of each number, shape (numbers,)."""
    has_null: tuple[bool, ...]
    """Whether the fitted values of each number had a null."""
    levels: tuple[tuple[str, ...], ...]
    """Fitted values of each category, most frequent first, equals in order of the alphabet."""

    @classmethod
    def fit(cls, jobs: JobTable, columns: Columns | None = None) -> Self:
        """Learn ranges and levels of `columns` (of all modelled ones, where None).

        Raises `SchemaError` for a column that the table lacks, `InputError` for no rows.
        """
        columns = modelled_columns(jobs) if columns is None else columns
        frame = cls._collect(jobs, columns)
        if frame.height == 0:
            raise InputError("an encoder needs rows to fit; this table has none")
        numbers = frame.select(pl.col(columns.numbers).cast(pl.Float64))
        return cls(
            columns,
            np.array([_or_nan(numbers[name].min()) for name in columns.numbers], float),
            np.array([_or_nan(numbers[name].max()) for name in columns.numbers], float),
            tuple(numbers[name].null_count() > 0 for name in columns.numbers),
            tuple(_levels(frame[name]) for name in columns.categories),
        )

    @staticmethod
    def _collect(jobs: JobTable, columns: Columns) -> pl.DataFrame:
        missing = [name for name in columns.names if name not in jobs.columns]
        if missing:
            raise SchemaError(
                f"expected the columns {', '.join(columns.names)}; {', '.join(missing)} missing; "
                f"use columns.within(jobs) to compare what both tables have"
            )
        return _flat(jobs, columns.names)

    def codes(self, jobs: JobTable) -> np.ndarray:
        """Return float64 of shape (n, numbers + categories).

        Numbers are as they are, a category is the rank of its level by frequency (0 = the most
        frequent), a value not seen at fit is ``len(levels)``, a null is NaN.
        """
        frame = self._collect(jobs, self.columns)
        out = np.empty((frame.height, len(self.columns)))
        for k, name in enumerate(self.columns.numbers):
            out[:, k] = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        for k, (name, levels) in enumerate(
            zip(self.columns.categories, self.levels, strict=True), len(self.columns.numbers)
        ):
            out[:, k] = _ranks(frame[name], levels)
        return out

    def scaled(self, jobs: JobTable) -> np.ndarray:
        """Return `codes` with the numbers mapped to 0..1 on the fitted range."""
        out = self.codes(jobs)
        p = len(self.columns.numbers)
        out[:, :p] = (out[:, :p] - self.low) / _width(self.low, self.high)
        return out

    def unit(self, jobs: JobTable, *, max_levels: int = 256) -> np.ndarray:
        """Return float32 of shape (n, `width`): numbers on 0..1 and one-hot categories.

        Values outside the fitted range lie outside 0..1. A number that had a null at fit gets a
        second column, 1 where null (the number itself is 0 there). Each category has one column
        for each of its `max_levels` most frequent levels and one for all other values and null,
        so a row never has more than ``2 numbers + (max_levels + 1) categories`` columns.
        """
        codes = self.scaled(jobs)
        out = np.zeros((len(codes), len(self.unit_names(max_levels=max_levels))), np.float32)
        rows, at = np.arange(len(codes)), 0
        for k, nullable in enumerate(self.has_null):
            out[:, at] = np.nan_to_num(codes[:, k], nan=0.0)
            if nullable:
                out[:, at + 1] = np.isnan(codes[:, k])
            at += 1 + nullable
        for k, levels in enumerate(self.levels, len(self.has_null)):
            kept = min(len(levels), max_levels)
            spot = np.nan_to_num(codes[:, k], nan=kept).astype(np.int64)
            out[rows, at + np.minimum(spot, kept)] = 1
            at += kept + 1
        return out

    def unit_names(self, *, max_levels: int = 256) -> list[str]:
        """Return the names of the columns of `unit`."""
        names: list[str] = []
        for name, nullable in zip(self.columns.numbers, self.has_null, strict=True):
            names += [name, f"{name} is null"] if nullable else [name]
        for name, levels in zip(self.columns.categories, self.levels, strict=True):
            names += [f"{name}={level}" for level in levels[:max_levels]] + [f"{name} other"]
        return names


def _or_nan(value: object) -> float:
    return np.nan if value is None else float(value)  # type: ignore[arg-type]


def _width(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return high - low, with 1 where that is 0 or unknown."""
    width = high - low
    return np.where(width > 0, width, 1.0)


def _levels(column: pl.Series) -> tuple[str, ...]:
    counts = column.drop_nulls().rename("level").value_counts(name="n")
    ordered = counts.sort(["n", "level"], descending=[True, False])
    return tuple(ordered["level"].to_list())


def _ranks(column: pl.Series, levels: tuple[str, ...]) -> np.ndarray:
    """Return the position of each value in `levels`; their number for others, NaN for null."""
    known = pl.DataFrame(
        {"level": pl.Series(levels, dtype=pl.String), "rank": np.arange(len(levels), dtype=float)}
    )
    frame = pl.DataFrame({"level": column}).join(
        known, on="level", how="left", maintain_order="left"
    )
    rank = (
        pl.when(pl.col("level").is_null())
        .then(np.nan)
        .otherwise(pl.col("rank").fill_null(float(len(levels))))
    )
    return frame.select(rank).to_series().to_numpy()
