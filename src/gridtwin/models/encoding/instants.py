"""Instants as differences and back, without losing a row."""

import polars as pl

__all__ = ["with_instants", "without_instants"]


def with_instants(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with waits and run times in place of the instants that follow from them.

    ``eligible_time`` becomes seconds since submit. An instant stays a column where there is
    nothing to take it from (a start without submit times). No row is left out; numbers that are
    not finite become null.
    """
    numbers = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    frame = frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in numbers
    )
    have, gone, derived = set(frame.columns), [], {}
    for later, earlier, length in (
        ("start_time", "submit_time", "wait_time"),
        ("end_time", "start_time", "run_time"),
    ):
        if {later, earlier} <= have:
            between = pl.col(later) - pl.col(earlier)
            derived[length] = pl.coalesce(length, between) if length in have else between
            gone.append(later)
    if {"submit_time", "eligible_time"} <= have:
        derived["eligible_time"] = pl.col("eligible_time") - pl.col("submit_time")
    return frame.with_columns(**derived).drop(gone)


def without_instants(frame: pl.DataFrame, output: list[str]) -> pl.DataFrame:
    """Undo `with_instants` and return these columns: start = submit + wait, end = start + run."""
    have = set(frame.columns)
    if "start_time" in output and "start_time" not in have:
        frame = frame.with_columns(start_time=pl.col("submit_time") + pl.col("wait_time"))
    if "end_time" in output and "end_time" not in have:
        frame = frame.with_columns(end_time=pl.col("start_time") + pl.col("run_time"))
    if {"submit_time", "eligible_time"} <= have:
        frame = frame.with_columns(pl.col("eligible_time") + pl.col("submit_time"))
    return frame.select(output)
