"""What to learn from: sequences of a trace that queue, and the trace mixed anew."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream
from gridtwin.sim.policies import Backfill
from gridtwin.trace.derive import bounded_slowdown

__all__ = ["CALM", "beginnings", "mixed", "reference", "span"]

WEEK = 7 * 86400.0
CALM = 1.2
"""Sequences whose mean bounded slowdown under shortest-first is not above this tell nothing."""
_NAMES = ("submit", "need", "width", "run", "request", "user", "row")


def span(stream: Stream, begin: float, end: float) -> Stream:
    """Return the jobs from one share of the trace to another, 0 to 1."""
    if not 0 <= begin < end <= 1:
        raise InputError(f"from {begin} to {end} of the trace; expected 0 <= from < to <= 1")
    part = slice(int(begin * len(stream)), int(end * len(stream)))
    return replace(stream, **{name: getattr(stream, name)[part] for name in _NAMES})


def mixed(
    stream: Stream,
    copies: int,
    rng: np.random.Generator,
    *,
    load: tuple[float, float] = (0.85, 1.15),
) -> Stream:
    """Return the trace `copies` times one after another, first as it is, then mixed anew.

    There all jobs of a user move by the same whole number of weeks, around the trace's end to its
    beginning, so that sessions and times of day stay and what meets in the queue does not
    (Zakay and Feitelson, ICPE 2013); then all intervals are divided by one draw from `load`. A
    copy begins a week after the last submission of the one before.
    """
    if copies < 1 or not len(stream):
        raise InputError(f"{copies} copies of {len(stream)} jobs; expected 1 or more of each")
    since = stream.submit - stream.submit[0]
    weeks = int(since[-1] // WEEK) + 1
    users = int(stream.user.max()) + 1
    submit, order, begin = [], [], 0.0
    for copy in range(copies):
        moves = WEEK * rng.integers(0, weeks, users) * (copy > 0)
        moved = (since + moves[stream.user]) % (weeks * WEEK)
        order.append(np.argsort(moved, kind="stable"))
        submit.append(begin + moved[order[-1]] / (rng.uniform(*load) if copy else 1.0))
        begin = submit[-1][-1] + WEEK
    taken = {name: getattr(stream, name)[np.concatenate(order)] for name in _NAMES}
    return replace(stream, **(taken | {"submit": np.concatenate(submit)}))


def beginnings(
    jobs: int, copies: int, length: int, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw where `count` sequences begin, each within one of the copies of `jobs` jobs."""
    if length > jobs:
        raise InputError(f"sequences of {length} jobs out of {jobs}; choose fewer")
    copy = np.sort(np.arange(count) % copies)
    return copy * jobs + rng.integers(0, jobs - length + 1, count)


def reference(
    stream: Stream, first: NDArray[np.int64], length: int, backfill: Backfill = "none"
) -> NDArray[np.float64]:
    """Return the mean bounded slowdown of sequences under shortest-first, (S,)."""
    start = start_times(stream, "sjf", first=first, length=length, backfill=backfill)
    jobs = first[:, None] + np.arange(length)
    return np.asarray(bounded_slowdown(start - stream.submit[jobs], stream.run[jobs]).mean(1))
