"""Resample a trace in whole blocks of real time: what another such period might have been."""

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.trace.table import JobTable

__all__ = ["block_length", "body", "bootstrap_blocks"]

_DAY = 86400.0
_HOUR = 3600.0
_FEWEST = 4
"""A bootstrap of fewer blocks than this says nothing."""


def body(submit: np.ndarray) -> np.ndarray:
    """Return sorted submit times (s) less the first and the last 0.5 %.

    Records are cut by start or end time, so that a few jobs submitted weeks before the others can
    stretch the span: rates over the whole span would mean little.
    """
    edge = len(submit) // 200
    return submit[edge : len(submit) - edge]


def block_length(submit: np.ndarray, days: float = 7) -> float:
    """Return the block length (s) for sorted submit times (s), or 0 where they span too little.

    It is `days` if the trace has at least four such blocks, else a day, else an hour.
    """
    if len(submit) < 2:
        return 0.0
    span = submit[-1] - _origin(submit)
    for length in (days * _DAY, _DAY, _HOUR):
        if length <= days * _DAY and span >= _FEWEST * length:
            return length
    return 0.0


def _origin(submit: np.ndarray) -> float:
    """Return the first full hour at or before the first job."""
    return float(np.floor(submit[0] / _HOUR) * _HOUR)


def bootstrap_blocks(jobs: JobTable, rng: np.random.Generator, days: float = 7) -> JobTable:
    """Return a trace of the same span put together from whole real weeks, drawn at random.

    The `body` of the trace is cut into blocks of `days` from the hour of its first job, the jobs
    around it (1 %) are left out; each place is filled
    with a block drawn with replacement, moved there by a whole number of blocks, so that the hour
    of the week (of the day, for blocks of a day) is kept. Submit, start and end move together. The
    last, shorter place takes the head of a drawn block or the last block itself. Traces of
    less than four blocks are cut into days, else into hours (`block_length`).

    Jobs without a submit time are left out; ids get a suffix, as a block may come twice. This is
    the block bootstrap of Künsch (1989) with blocks that do not overlap.

    Raises `SchemaError` without ``submit_time``, `InputError` for less than four hours of jobs.
    """
    jobs.require("submit_time", for_what="a block bootstrap")
    frame = jobs.collect().drop_nulls("submit_time").sort("submit_time", maintain_order=True)
    edge = frame.height // 200
    frame = frame[edge : frame.height - edge]
    submit = frame["submit_time"].to_numpy()
    length = block_length(submit, days)
    if length == 0:
        raise InputError(
            "a block bootstrap needs jobs over at least 4 hours; "
            f"got {frame.height} jobs within {submit[-1] - submit[0] if len(submit) else 0:.0f} s"
        )
    take, place, moved = _draw(submit, length, rng)
    shift = pl.Series(moved)
    suffix = pl.lit(".") + pl.Series(place.astype(str))
    drawn = frame[take]
    times = [c for c in ("submit_time", "eligible_time", "start_time", "end_time") if c in drawn]
    ids = [c for c in ("job_id", "parent_id", "task_id") if c in drawn]
    drawn = drawn.with_columns(
        *(pl.col(name) + shift for name in times), *(pl.col(name) + suffix for name in ids)
    ).sort("submit_time", maintain_order=True)
    return jobs.with_frame(drawn, f"resampled: blocks of {length / _DAY:g} days, drawn at random")


def _draw(
    submit: np.ndarray, length: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the drawn rows, the block each is put into and by how much (s) each is moved."""
    origin = _origin(submit)
    span = submit[-1] - origin
    full = int(span // length)
    starts = np.searchsorted(submit, origin + length * np.arange(full + 2))
    take: list[np.ndarray] = []
    place: list[np.ndarray] = []
    moved: list[np.ndarray] = []
    for block in range(full + 1):
        # the last place is shorter; only there may the last, shorter block come
        source = int(rng.integers(full + (block == full)))
        rows = np.arange(starts[source], starts[source + 1])
        if block == full:
            inside = submit[rows] - (origin + source * length) <= span - full * length
            rows = rows[inside]
        take.append(rows)
        place.append(np.full(len(rows), block))
        moved.append(np.full(len(rows), (block - source) * length))
    return np.concatenate(take), np.concatenate(place), np.concatenate(moved)
