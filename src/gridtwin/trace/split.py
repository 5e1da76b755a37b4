"""Divide a trace in two: by time, by rows, or by sessions of users."""

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.seeds import generator
from gridtwin.trace.table import JobTable

__all__ = ["by_row", "by_session", "by_time", "session_ids"]


def by_time(jobs: JobTable, fraction: float) -> tuple[JobTable, JobTable]:
    """Return the first `fraction` of the jobs in order of submit, and the rest.

    A model that is judged on the second part has seen nothing of its future.
    """
    jobs.require("submit_time", for_what="a split by time")
    frame = jobs.collect().sort("submit_time", maintain_order=True)
    first = np.arange(frame.height) < _count(frame.height, fraction)
    return _parts(jobs, frame, first, f"{fraction:.0%} of the jobs by time")


def by_row(jobs: JobTable, fraction: float, seed: int) -> tuple[JobTable, JobTable]:
    """Return a random `fraction` of the jobs, and the rest, both in the order they had."""
    frame = jobs.collect()
    first = np.zeros(frame.height, bool)
    chosen = generator(seed).permutation(frame.height)[: _count(frame.height, fraction)]
    first[chosen] = True
    return _parts(jobs, frame, first, f"{fraction:.0%} of the jobs at random (seed {seed})")


def by_session(jobs: JobTable, fraction: float, gap: float, seed: int) -> tuple[JobTable, JobTable]:
    """Return random sessions with about `fraction` of the jobs, and the rest.

    The jobs of a session (see `session_ids`) stay together, so that near copies of a job do not
    stand in both parts. Sessions are taken in random order as long as that brings the number of
    jobs nearer to `fraction` of all.
    """
    jobs.require("user", "submit_time", for_what="a split by sessions")
    frame = jobs.collect()
    session = _sessions(frame, gap)
    wanted = _count(frame.height, fraction)
    size = np.bincount(session)
    order = generator(seed).permutation(len(size))
    taken = np.cumsum(size[order])
    # the number of sessions whose jobs come nearest to what is wanted
    sums = np.concatenate([[0], taken])
    best = int(np.argmin(np.abs(sums - wanted)))
    first = np.isin(session, order[:best])
    what = f"{fraction:.0%} of the jobs by sessions with gaps under {gap:g} s (seed {seed})"
    return _parts(jobs, frame, first, what)


def session_ids(jobs: JobTable, gap: float) -> NDArray[np.int64]:
    """Return the session of each job, counted from 0 in order of first appearance.

    A session is a run of jobs of one user in which each is submitted less than `gap` seconds
    after the one before. A job of an unknown user is a session of its own.

    Returns
    -------
    Array (jobs,), in the order of ``jobs.collect()``.
    """
    jobs.require("user", "submit_time", for_what="finding sessions")
    return _sessions(jobs.collect(["user", "submit_time"]), gap)


def _sessions(frame: pl.DataFrame, gap: float) -> NDArray[np.int64]:
    if not gap > 0:
        raise InputError(f"the gap between sessions is {gap} s; give a positive number of seconds")
    row = pl.int_range(pl.len()).alias("row")
    rows = frame.select("user", "submit_time", row).sort("user", "submit_time", "row")
    new = (
        (rows["user"] != rows["user"].shift()).fill_null(value=True)
        | ~(rows["submit_time"].diff() < gap).fill_null(value=False)
    ).to_numpy()
    label = np.empty(frame.height, np.int64)
    label[rows["row"].to_numpy()] = np.cumsum(new) - 1
    # number the sessions by first appearance
    _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _count(rows: int, fraction: float) -> int:
    if not 0 <= fraction <= 1:
        raise InputError(f"the fraction of a split is {fraction}; give a number from 0 to 1")
    return math.floor(rows * fraction + 0.5)


def _parts(
    jobs: JobTable, frame: pl.DataFrame, first: NDArray[np.bool_], what: str
) -> tuple[JobTable, JobTable]:
    mask = pl.Series(first)
    one = jobs.with_frame(frame.filter(mask), f"Only {what}.")
    return one, jobs.with_frame(frame.filter(~mask), f"All but {what}.")
