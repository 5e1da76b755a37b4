"""Checks that all formats share: what no job record may say, whatever file it comes from."""

from collections.abc import Iterator

import polars as pl

from gridtwin.trace.readers._columns import reject
from gridtwin.trace.schema import TraceSchema

__all__ = ["DUPLICATE", "NO_SUBMIT", "check", "reasons"]

NO_SUBMIT = "no submit time"
DUPLICATE = "duplicate job_id"

_LATEST = 253402300800.0  # the year 10000: later times are milliseconds or rubbish
_LARGEST = 2.0**53  # beyond it a float no longer holds every whole number, and sums overflow
_SIGNED = ("priority",)
_ORDER = (("start_time", "submit_time"), ("end_time", "start_time"), ("end_time", "submit_time"))


def check(frame: pl.DataFrame) -> pl.DataFrame:
    """Give every row that cannot be true a reason in `REJECT`; the first reason found counts.

    Numbers must be floats still. Of the rows with the same ``job_id`` that are good otherwise,
    the first is kept.
    """
    frame = frame.with_columns(reject(dict(reasons(frame))))
    good = pl.col("_reject").is_null()
    first = frame.with_row_index("_row").filter(good).unique("job_id", keep="first")
    again = good & ~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(first["_row"].implode())
    return frame.with_columns(reject({DUPLICATE: again}))


def reasons(frame: pl.DataFrame) -> Iterator[tuple[str, pl.Expr]]:
    """Yield why rows with these columns cannot be true, and the test; the rows do not matter."""
    fields = [field for field in TraceSchema.canonical() if field.name in frame.columns]
    if "submit_time" in frame.columns:
        yield NO_SUBMIT, pl.col("submit_time").is_null()
    for field in fields:
        value = pl.col(field.name)
        if field.dtype in ("int", "float") and field.kind != "time":
            if field.name not in _SIGNED:
                yield f"negative {field.name.replace('_', ' ')}", value < 0
            if field.dtype == "int":
                yield f"not a whole number: {field.name}", value != value.round()
            yield f"too large: {field.name}", value.abs() > _LARGEST
    for field in fields:
        if field.kind == "time":
            yield f"time out of range: {field.name}", ~pl.col(field.name).is_between(0, _LATEST)
    for later, earlier in _ORDER:
        if later in frame.columns and earlier in frame.columns:
            words = f"{later} before {earlier}".replace("_time", "")
            yield words, pl.col(later) < pl.col(earlier)
