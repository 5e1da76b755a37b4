"""What the trace model keeps of the trace that it learns, and what its trees see of that."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.encoding.columns import (
    FLOOR,
    Column,
    granularity,
    leaders,
    made_up,
    read_columns,
)
from gridtwin.models.encoding.relations import AT_LIMIT
from gridtwin.models.tracing.sessions import Sessions
from gridtwin.models.trees.targets import indicators, rank, standard
from gridtwin.trace import TraceSchema

__all__ = ["ATOM", "Training", "asked"]

_NOT_DRAWN = ("job_id", "parent_id", "task_id", "submit_time", "start_time", "end_time", "user")
_OWN = ("user", "task_id", "group", "vo")
"""Who sends the job and what for: as in the place that it takes."""
_WHOSE = {"user": FLOOR, "group": FLOOR, "dataset": FLOOR, "task_id": np.inf}
"""Names that could tell whose job it was: those of fewer rows than this are made up."""
_WIDTHS = ("cores_req", "cores_alloc", "gpus_req", "nodes_req", "nodes_alloc")
"""The size of a job is the first of these that the trace has."""
ATOM = 5
"""A number that occurs this often in training is kept as it is."""


@dataclass(frozen=True)
class Training:
    """The `n` jobs of the training trace, in order of submission."""

    sessions: Sessions
    keys: dict[str, Column]
    """Who sends the jobs and what for: a job has them from its place."""
    columns: dict[str, Column]
    """What the jobs ask for and do, what is known at submit first."""
    leaders: dict[str, str]
    """Columns that another one determines, and which one."""
    drawn: list[str]
    """The other ones, in the order in which they are drawn."""
    units: dict[str, float]
    """What the numbers of a column are multiples of."""
    unit: float
    """What submit times are multiples of, in s; 0 for nothing."""

    @classmethod
    def learn(cls, frame: pl.DataFrame, gap: float, rng: np.random.Generator) -> "Training":
        """Read the jobs of a frame; a session ends where its user pauses for more than `gap` s.

        Names that could tell whose job it was are replaced by made-up ones.
        """
        known = ("submit", "start", "end")
        fields = [f for f in TraceSchema.canonical() if f.name in frame.columns]
        names = [f.name for f in sorted(fields, key=lambda f: known.index(f.known))]
        others = read_columns(frame, [n for n in names if n not in (*_NOT_DRAWN, *_OWN)])
        own = read_columns(frame, [n for n in _OWN if n in frame.columns])
        hidden = rng.spawn(1)[0]
        keys = {c.name: _disguised(c, hidden) for c in own}
        columns = {c.name: _disguised(c, hidden) for c in others}
        user = keys["user"].codes() if "user" in keys else np.zeros(frame.height)
        submit = frame["submit_time"].to_numpy().astype(np.float64)
        follow = [c for c in (*keys.values(), *columns.values()) if c.name != "task_id"]
        led = leaders(follow, fixed="user")
        drawn = [n for n, c in columns.items() if n not in led and len(np.unique(c.codes())) > 1]
        numbers = [c for c in columns.values() if c.vocabulary is None]
        units = {c.name: granularity(c.values) for c in numbers}
        return cls(
            Sessions.learn(submit, user.astype(np.int32), gap),
            keys,
            columns,
            led,
            drawn,
            {name: unit for name, unit in units.items() if unit},
            granularity(submit),
        )

    def __len__(self) -> int:
        return len(self.sessions.submit)

    def placed(self, name: str) -> bool:
        """Whether a job has the column from the place that it takes."""
        drawn = name in self.drawn or self.leaders.get(name) in self.drawn
        return name in self.keys or not drawn

    def number(self, name: str) -> NDArray[np.float64]:
        """Return a column's numbers, 0 where missing; all 0 if there is no such column."""
        column = self.columns.get(name)
        return np.zeros(len(self)) if column is None else np.nan_to_num(column.values)

    @property
    def width(self) -> str | None:
        """The column in which the trace counts the size of a job."""
        return next((name for name in _WIDTHS if name in self.columns), None)

    def axes(self) -> dict[str, NDArray[np.float32]]:
        """Return each column on the axis on which the trees split it."""
        by = np.log1p(self.number("run_time"))
        return {name: column.axis(by) for name, column in self.columns.items()}

    def context(self) -> NDArray[np.float32]:
        """Return what is known of each job from its place: (n, features)."""
        submit, user = self.sessions.submit, self.sessions.user
        count = np.bincount(user)
        features = [submit - submit[0], submit / 3600.0 % 24.0]
        width = np.zeros(len(self)) if self.width is None else self.number(self.width)
        for by in (self.number("run_time"), width):
            mean = np.bincount(user, np.log1p(by)) / np.maximum(count, 1)
            features.append(np.argsort(np.argsort(mean, kind="stable"))[user])
        features.append(np.argsort(np.argsort(count, kind="stable"))[user])
        by = np.log1p(self.number("run_time"))
        features += [c.axis(by) for c in self.keys.values() if c.name in ("group", "vo")]
        return np.column_stack(features).astype(np.float32)

    def targets(
        self, name: str, axis: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the trees of a column predict: (n, targets), each of about unit variance.

        Numbers: log, rank and linear scale (the last one keeps the heavy tail together). Values
        that repeat: eight random projections of their indicators, whose summed variance stands
        for the Gini index at the cost of eight columns (Johnson-Lindenstrauss). Run time: also
        its share of the requested time and whether it was stopped there.
        """
        column = self.columns[name]
        targets = []
        if column.vocabulary is None:
            linear = np.nan_to_num(column.values)
            targets += [standard(axis), rank(axis), standard(linear)]
        if column.discrete:
            codes = column.codes()
            points = rng.normal(size=(codes.max() + 1, 8))
            rare = np.bincount(codes) < max(ATOM, len(self) / 1500)
            points[rare] = 0.0
            targets += indicators(codes, points, 1.5 if column.vocabulary is not None else 0.5)
        if name == "run_time" and "walltime_req" in self.columns:
            limit = self.number("walltime_req")
            share = np.where(limit > 0, np.nan_to_num(column.values) / np.maximum(limit, 1), -1)
            targets += [rank(share), standard(share >= AT_LIMIT)]
        if name == "run_time" and self.width is not None:
            targets.append(standard(np.nan_to_num(column.values) * self.number(self.width)))
        return np.column_stack(targets).astype(np.float64)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that `from_arrays` takes."""
        arrays = self.sessions.to_arrays()
        for column in (*self.columns.values(), *self.keys.values()):
            arrays |= column.to_arrays()
        return arrays

    def to_json(self) -> dict[str, Any]:
        """Return what `from_arrays` takes besides the arrays."""
        return {
            "columns": list(self.columns),
            "keys": list(self.keys),
            "drawn": self.drawn,
            "leaders": self.leaders,
            "units": self.units,
            "unit": self.unit,
        }

    @classmethod
    def from_arrays(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "Training":
        """Undo `to_json` and `to_arrays`."""
        return cls(
            Sessions.from_arrays(arrays),
            {name: Column.from_arrays(name, arrays) for name in meta["keys"]},
            {name: Column.from_arrays(name, arrays) for name in meta["columns"]},
            meta["leaders"],
            meta["drawn"],
            meta["units"],
            meta["unit"],
        )


def asked(name: str) -> bool:
    """Whether a column is known at submit."""
    return TraceSchema.canonical()[name].known == "submit"


def _disguised(column: Column, rng: np.random.Generator) -> Column:
    """Return a column with made-up names for those that could tell whose job it was."""
    if column.name not in _WHOSE or column.vocabulary is None:
        return column
    known = column.values[~np.isnan(column.values)].astype(np.int64)
    count = np.bincount(known, minlength=len(column.vocabulary))
    names = made_up(column.vocabulary, count, column.name, rng, _WHOSE[column.name])
    return replace(column, vocabulary=names)
