"""What is wrong, or worth knowing, in a table of jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from gridtwin.trace.table import JobTable

__all__ = ["Finding", "check"]

Level = Literal["error", "warning", "note"]

_NOT_NEGATIVE = (
    "wait_time",
    "run_time",
    "cpu_time",
    "walltime_req",
    "cores_req",
    "cores_alloc",
    "nodes_req",
    "nodes_alloc",
    "gpus_req",
    "mem_req",
    "mem_used",
    "input_bytes",
    "output_bytes",
)
_ORDER = (("submit_time", "start_time"), ("start_time", "end_time"))
_SLACK = 1.0
"""Seconds by which recorded times may disagree: sources round."""


@dataclass(frozen=True)
class Finding:
    """One thing found."""

    level: Level
    """An ``error`` makes rows unusable or numbers wrong; a ``warning`` may; a ``note`` informs."""
    what: str
    rows: int
    """How many rows it concerns."""
    detail: str
    """What was expected, and what it means."""


def check(jobs: JobTable, *, cores: int | None = None) -> list[Finding]:
    """Return what is wrong or worth knowing in the table, errors first.

    Parameters
    ----------
    jobs
        The table; rows that its reader dropped are found too.
    cores
        Size of the machine; by default what the source states, if it does.
    """
    frame = jobs.collect()
    cores = cores or jobs.provenance.machine_cores
    found = [*_source(jobs, frame), *_identity(frame), *_ranges(frame), *_times(frame)]
    found += [*_sizes(frame, cores), *_requests(frame), *_gaps(frame)]
    order = ("error", "warning", "note")
    return sorted((f for f in found if f.rows), key=lambda f: order.index(f.level))


def _source(jobs: JobTable, frame: pl.DataFrame) -> Iterator[Finding]:
    if frame.height == 0:
        yield Finding("error", "no jobs", 1, "expected one job or more, none could be kept")
    for reason, rows in jobs.provenance.dropped.items():
        yield Finding("error", f"not kept: {reason}", rows, "see ingest --rejects for the rows")
    for needed in ("submit_time", "run_time"):
        if needed not in frame.columns:
            text = "models of arrivals and simulations need it"
            yield Finding("warning", f"no column {needed}", frame.height, text)


def _identity(frame: pl.DataFrame) -> Iterator[Finding]:
    again = frame.height - frame["job_id"].n_unique()
    yield Finding("error", "job_id not unique", again, "each job needs an id of its own")


def _ranges(frame: pl.DataFrame) -> Iterator[Finding]:
    for name in _NOT_NEGATIVE:
        if name in frame.columns:
            rows = _count(frame, pl.col(name) < 0)
            yield Finding("error", f"{name} below 0", rows, "expected 0 or more, or nothing")
    for name, dtype in frame.schema.items():
        if dtype == pl.Float64:
            rows = _count(frame, pl.col(name).is_infinite() | pl.col(name).is_nan())
            yield Finding("error", f"{name} no number", rows, "expected a finite number or nothing")


def _times(frame: pl.DataFrame) -> Iterator[Finding]:
    has = set(frame.columns)
    for early, late in _ORDER:
        if {early, late} <= has:
            rows = _count(frame, pl.col(late) < pl.col(early) - _SLACK)
            yield Finding("error", f"{late} before {early}", rows, "check the clock and time zone")
    if {"start_time", "end_time", "run_time"} <= has:
        gap = (pl.col("end_time") - pl.col("start_time") - pl.col("run_time")).abs()
        text = "the source counts suspended time, or rounds"
        rows = _count(frame, gap > 2 * _SLACK)
        yield Finding("warning", "run_time is not end - start", rows, text)
    if "submit_time" in has:
        rows = _count(frame, ~pl.col("submit_time").is_between(0, 4e9))
        yield Finding("warning", "submit_time not of 1970-2096", rows, "expected seconds UTC")


def _sizes(frame: pl.DataFrame, cores: int | None) -> Iterator[Finding]:
    for name in ("cores_req", "cores_alloc"):
        if name not in frame.columns:
            continue
        text = "such jobs can never start"
        rows = _count(frame, pl.col(name) > cores) if cores else 0
        yield Finding("error", f"{name} above the machine's {cores}", rows, text)
        text = "a simulation cannot place a job of no size"
        yield Finding("warning", f"{name} is 0", _count(frame, pl.col(name) == 0), text)


def _requests(frame: pl.DataFrame) -> Iterator[Finding]:
    if {"run_time", "walltime_req"} <= set(frame.columns):
        over = (pl.col("run_time") > pl.col("walltime_req")) & (pl.col("walltime_req") > 0)
        rows = _count(frame, over)
        share = f"{rows / max(frame.height, 1):.1%} of the jobs; a scheduler would have ended them"
        yield Finding("note", "run_time above walltime_req", rows, share)


def _gaps(frame: pl.DataFrame) -> Iterator[Finding]:
    for name in frame.columns:
        rows = frame[name].null_count()
        share = f"{rows / max(frame.height, 1):.1%} of the jobs"
        yield Finding("note", f"{name} unknown", rows, share)


def _count(frame: pl.DataFrame, condition: pl.Expr) -> int:
    return int(frame.select(condition.fill_null(value=False).sum()).item() or 0)
