"""What follows from a job table: what a scheduler can run, machine size, slowdown, load."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace.table import JobTable

__all__ = [
    "Runnable",
    "bounded_slowdown",
    "machine_size",
    "offered_load",
    "peak_width",
    "runnable",
]

Unit = Literal["cores", "gpus", "nodes"]

_WIDTHS: tuple[tuple[Unit, tuple[str, ...]], ...] = (
    ("cores", ("cores_req", "cores_alloc")),
    ("gpus", ("gpus_req",)),
    ("nodes", ("nodes_req", "nodes_alloc")),
)
_NEEDED = ("submit_time", "start_time", "end_time", "run_time", "walltime_req")


@dataclass(frozen=True)
class Runnable:
    """The jobs that a scheduler can run, in order of submission (ties in table order).

    All arrays have one entry per job kept.
    """

    row: NDArray[np.int64]
    """Index of the job in the collected table."""
    submit: NDArray[np.float64]
    """Seconds, finite, never falling."""
    width: NDArray[np.int64]
    """Size, 1 or more, in `unit`."""
    run: NDArray[np.float64]
    """Seconds, finite, 0 or more."""
    request: NDArray[np.float64]
    """Seconds, finite: the requested wall time, or the run time where none was requested."""
    unit: Unit
    """What `width` counts."""
    dropped: dict[str, int]
    """Jobs that cannot be run, by reason; a job is counted under its first reason."""

    def __len__(self) -> int:
        return len(self.row)


def runnable(jobs: JobTable) -> Runnable:
    """Return the jobs that have a submit time, a run time and a size.

    The size is ``cores_req`` where it is above 0, else ``cores_alloc``; in a table without any
    core count it is GPUs, else nodes. One table has one unit: sizes are never mixed. The run
    time is ``run_time``, else ``end_time - start_time``.

    Raises `SchemaError` if the table has no column at all for one of the three.
    """
    present = jobs.columns
    _require(jobs, present)
    sizes = [name for _, names in _WIDTHS for name in names if name in present]
    frame = jobs.collect([name for name in _NEEDED if name in present] + sizes)
    submit, run = _number(frame, "submit_time"), _run_time(frame)
    unit, width = _width(frame)
    request = _number(frame, "walltime_req")
    keep = np.ones(frame.height, dtype=bool)
    dropped: dict[str, int] = {}
    for reason, bad in (
        ("no submit time", ~np.isfinite(submit)),
        ("no run time", ~np.isfinite(run)),
        ("negative run time", run < 0),
        ("no size", width <= 0),
    ):
        if count := int(np.count_nonzero(bad & keep)):
            dropped[reason] = count
        keep &= ~bad
    row = np.flatnonzero(keep)
    row = row[np.argsort(submit[row], kind="stable")]
    run = run[row]
    asked = request[row]
    usable = np.isfinite(asked) & (asked > 0)
    return Runnable(
        row=row,
        submit=submit[row],
        width=width[row],
        run=run,
        request=np.where(usable, asked, run),
        unit=unit,
        dropped=dropped,
    )


def machine_size(jobs: JobTable, ready: Runnable | None = None) -> int:
    """Return how many cores (GPUs, nodes: the unit of `runnable`) the machine has, 1 or more.

    That is what the source states; otherwise what was in use at the same time by the recorded
    start and end times (all but the busiest 0.1 % of the time); without those, what would be if
    every job had started when it was submitted. Records can overlap far beyond the machine: where
    the use peaks above 1.5 times the widest job, is below that job half of the time, and most
    jobs waited over ten minutes all the same, the widest job is taken for the machine. An
    estimate is never smaller than the widest job; a stated size is taken as it is. `ready` saves
    deriving it again.
    """
    ready = runnable(jobs) if ready is None else ready
    stated = jobs.provenance.machine_cores
    if stated is not None and stated > 0 and ready.unit == "cores":
        return int(stated)
    if not len(ready):
        return 1
    widest = int(ready.width.max())
    start, end = ready.submit, ready.submit + ready.run
    known, waited = np.ones(len(start), dtype=bool), 0.0
    if "start_time" in jobs:
        names = [name for name in ("start_time", "end_time") if name in jobs]
        recorded = jobs.collect(names)
        begun = _number(recorded, "start_time")[ready.row]
        ended = _number(recorded, "end_time")[ready.row]
        ended = np.where(ended >= begun, ended, begun + ready.run)
        both = np.isfinite(begun) & np.isfinite(ended)
        if both.any():
            start, end, known = begun, ended, both
            waited = float(np.mean((begun - ready.submit)[both] > 600))
    half, most = _use(start[known], end[known], ready.width[known], (0.5, 0.999))
    overlapping = most > 1.5 * widest and half <= widest and waited > 0.5
    return widest if overlapping else max(most, widest)


def _use(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    width: NDArray[np.int64],
    shares: tuple[float, ...],
) -> list[int]:
    """Return the width in use that is not passed during these shares of the busy time."""
    time = np.concatenate([end, start])
    order = np.argsort(time, kind="stable")
    use = np.cumsum(np.concatenate([-width, width])[order])[:-1]
    lasts = np.diff(time[order])
    busy = (use > 0) & (lasts > 0)
    use, lasts = use[busy], lasts[busy]
    if not len(use):
        return [0] * len(shares)
    rising = np.argsort(use)
    passed = np.cumsum(lasts[rising]) / lasts.sum()
    at = np.minimum(np.searchsorted(passed, shares), len(use) - 1)
    return [int(value) for value in use[rising][at]]


def peak_width(start: ArrayLike, end: ArrayLike, width: ArrayLike) -> int:
    """Return the largest total `width` of intervals ``[start, end)`` that share an instant."""
    start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    width = np.asarray(width, dtype=np.int64)
    if not len(start):
        return 0
    time = np.concatenate([end, start])  # ends first: what ends at t makes room at t
    change = np.concatenate([-width, width])
    order = np.argsort(time, kind="stable")
    # empty intervals end before they start in this order; they never raise the peak
    return max(int(np.cumsum(change[order]).max()), 0)


def bounded_slowdown(wait: ArrayLike, run: ArrayLike, tau: float = 10.0) -> NDArray[np.float64]:
    """Return ``max(1, (wait + run) / max(run, tau))`` for each job; times in seconds.

    Feitelson et al., "Theory and practice in parallel job scheduling", JSSPP 1997; `tau` keeps
    very short jobs from dominating the mean.
    """
    wait, run = np.asarray(wait, dtype=np.float64), np.asarray(run, dtype=np.float64)
    if not tau > 0:
        raise InputError(f"the bound of the slowdown is {tau} s; it must be above 0, usually 10")
    return np.asarray(np.maximum(1.0, (wait + run) / np.maximum(run, tau)), dtype=np.float64)


def offered_load(run: ArrayLike, width: ArrayLike, submit: ArrayLike, cores: int) -> float:
    """Return ``sum(run * width) / (cores * (last submit - first submit))``.

    The share of the machine that the jobs ask for while they arrive; above 1 the queue grows. NaN
    for fewer than two distinct submit times.
    """
    if cores < 1:
        raise InputError(f"a machine of {cores} cores; give a size of 1 or more")
    submit = np.asarray(submit, dtype=np.float64)
    span = float(np.ptp(submit)) if submit.size else 0.0
    if span == 0:
        return float("nan")
    # not np.dot: its last digits depend on the number of threads
    area = float((np.asarray(run, np.float64) * np.asarray(width, np.float64)).sum())
    return area / (cores * span)


def _require(jobs: JobTable, present: list[str]) -> None:
    jobs.require("submit_time", for_what="running jobs")
    if "run_time" not in present:
        jobs.require("start_time", "end_time", for_what="running jobs without 'run_time'")
    sizes = [name for _, names in _WIDTHS for name in names]
    if not any(name in present for name in sizes):
        raise SchemaError(
            f"running jobs needs their size in one of the columns {', '.join(sizes)}; "
            f"none is in this table ({', '.join(present)})"
        )


def _number(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is null or absent."""
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    column = frame[name].cast(pl.Float64).fill_null(float("nan"))
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _run_time(frame: pl.DataFrame) -> NDArray[np.float64]:
    run = _number(frame, "run_time")
    between = _number(frame, "end_time") - _number(frame, "start_time")
    return np.where(np.isnan(run), between, run)


def _width(frame: pl.DataFrame) -> tuple[Unit, NDArray[np.int64]]:
    """Return the unit and each job's size in it, 0 where there is none."""
    for unit, names in _WIDTHS:
        width = np.zeros(frame.height, dtype=np.int64)
        for name in names:
            if name in frame.columns:
                size = frame[name].cast(pl.Int64).fill_null(0).to_numpy()
                width = np.where(width > 0, width, size)
        if (width > 0).any():
            return unit, width
    return "cores", np.zeros(frame.height, dtype=np.int64)
