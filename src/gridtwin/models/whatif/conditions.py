"""What jobs asked for must have: which training rows may give values, and how many jobs of each."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.models.encoding.columns import Column
from gridtwin.models.whatif.question import Value, WhatIf
from gridtwin.trace import TraceSchema

__all__ = ["Conditions", "Share", "quota"]

_FITTED = ("run_time", "cpu_time")
"""Numbers that are fitted to the job after they were drawn."""
_MOST_NAMES = 10_000


@dataclass(frozen=True)
class Share:
    """Values of one column and the shares of the jobs that have them; the others come last."""

    column: str
    values: tuple[Value, ...]
    shares: NDArray[np.float64]
    """One more than `values`; they sum to 1."""
    row: NDArray[np.int64]
    """Which of the values each training row has."""


@dataclass(frozen=True)
class Conditions:
    """What a what-if question means for `n` training rows."""

    allowed: NDArray[np.bool_]
    """Rows whose places are taken and that give values."""
    placed: Share | None = None
    """Shares of a column that a job has from its place, as its user."""
    drawn: tuple[Share, ...] = ()
    """Shares of columns that are drawn."""

    @classmethod
    def read(
        cls, asked: WhatIf, n: int, columns: Mapping[str, Column], placed: Callable[[str], bool]
    ) -> "Conditions":
        """Translate a question for columns of `n` rows; `placed` tells which come from the place.

        Raises `UnknownNameError` for a column and `InputError` for a value that there is not, for
        columns without repeating values, and where the parts contradict each other.
        """
        allowed = np.ones(n, dtype=bool)
        for name, values in asked.where:
            column = _column(columns, name)
            allowed &= np.logical_or.reduce([_having(column, value) for value in values])
        if not allowed.any():
            raise InputError(
                f"no job in training has {asked.asked['where']} together; ask for less"
            )
        if asked.without_users:
            if "user" not in columns:
                raise InputError("without_users needs the column 'user', which was not fitted")
            users = [_having(columns["user"], user) for user in asked.without_users]
            allowed &= ~np.logical_or.reduce(users)
        if not allowed.any():
            raise InputError("without these users no job is left; leave out fewer")
        shares = [_share(_column(columns, name), found, allowed) for name, found in asked.mix]
        fixed = [share for share in shares if placed(share.column)]
        if len(fixed) > 1:
            raise InputError(
                f"mix: {' and '.join(s.column for s in fixed)} both go with who sends the job; "
                "give shares of one of them"
            )
        drawn = tuple(share for share in shares if not placed(share.column))
        return cls(allowed, fixed[0] if fixed else None, drawn)


def _column(columns: Mapping[str, Column], name: str) -> Column:
    """Return the column of that name, whose values repeat and stay as drawn."""
    if name not in columns:
        raise UnknownNameError("column of the model", name, columns)
    column = columns[name]
    if name in _FITTED or not column.discrete:
        raise InputError(
            f"{name} is a number that hardly repeats or follows from others; where and mix take "
            "columns with repeating values, as site, status or cores_req"
        )
    if TraceSchema.canonical()[name].polars == pl.List(pl.String()):
        raise InputError(f"{name} holds lists; where and mix take columns of single values")
    return column


def _having(column: Column, value: Value) -> NDArray[np.bool_]:
    """Return which training rows have the value; raises `InputError` if none has."""
    sought: float | None = None
    near = ""
    if value is None:
        sought = np.nan
    elif column.vocabulary is not None:
        if str(value) in column.vocabulary:
            sought = float(column.vocabulary.index(str(value)))
        elif close := difflib.get_close_matches(str(value), column.vocabulary[:_MOST_NAMES], n=1):
            near = f"did you mean {close[0]!r}?"
        else:
            near = f"there are {', '.join(column.vocabulary[:5])}, …"
    else:
        try:
            sought = float(value)
        except ValueError:
            near = "it is a number"
    rows = np.zeros(len(column), dtype=bool)
    if sought is not None:
        rows = np.isnan(column.values) if np.isnan(sought) else column.values == sought
        if not rows.any() and column.vocabulary is None and not np.isnan(column.values).all():
            near = f"the nearest is {column.values[np.nanargmin(np.abs(column.values - sought))]:g}"
    if not rows.any():
        end = f"; {near}" if near else ""
        raise InputError(f"no job in training has {column.name} {value!r}{end}")
    return np.asarray(rows)


def _share(
    column: Column, found: tuple[tuple[Value, float], ...], allowed: NDArray[np.bool_]
) -> Share:
    """Return the shares of a column; each above 0 must occur among the allowed rows."""
    row = np.full(len(column), len(found), dtype=np.int64)
    for i, (value, share) in enumerate(found):
        having = _having(column, value)
        if share > 0 and not (having & allowed).any():
            raise InputError(
                f"mix: no job that where and without_users leave has {column.name} {value!r}; "
                "ask for one or the other"
            )
        row[having] = i
    shares = np.array([share for _, share in found])
    rest = max(0.0, 1.0 - shares.sum())
    rest = 0.0 if rest < 1e-9 else rest
    if rest and not (allowed & (row == len(found))).any():
        raise InputError(
            f"mix: the jobs left have no other {column.name} than those given, whose shares sum "
            f"to {1 - rest:g}; make it 1"
        )
    return Share(column.name, tuple(value for value, _ in found), np.append(shares, rest), row)


def quota(shares: NDArray[Any], n: int) -> NDArray[np.int64]:
    """Divide `n` jobs by these shares or counts: largest remainders, of equal ones the first."""
    exact = shares / max(shares.sum(), 1e-300) * n
    counts: NDArray[np.int64] = np.floor(exact + 1e-9).astype(np.int64)
    left = n - int(counts.sum())
    by = np.argsort(-np.round(exact - counts, 9), kind="stable")
    counts[by[:left]] += 1
    return counts
