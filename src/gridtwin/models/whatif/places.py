"""Places for another trace than the one learnt: other days, more or fewer sessions.

A plan names the training jobs whose places are taken and by how many seconds each is moved, as
`Sessions.plan` does for a trace like the training one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridtwin.models.tracing.sessions import Sessions
from gridtwin.models.whatif.conditions import Share, quota
from gridtwin.models.whatif.question import DAY, MOST_DAYS, WhatIf

__all__ = ["Plan", "draw_places", "resize"]

WEEK = 7 * DAY
_SLACK = 3600.0
"""A stretch counts as seen if the trace begins or ends this much inside it."""
_GOLDEN = 0.6180339887498949
_PARTS = 200
"""No run of jobs that is kept or dropped together has more than this part of the trace."""

Piece = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True)
class Plan:
    """Training jobs to imitate."""

    rows: NDArray[np.int64]
    moves: NDArray[np.float64]
    layer: NDArray[np.int64]
    """Sessions do not reach from one layer to another."""
    span: tuple[float, float]

    def joined(
        self, rows: NDArray[np.int64], moves: NDArray[np.float64], layer: NDArray[np.int64]
    ) -> "Plan":
        """Return the plan with more jobs, on layers that are counted on from those it has."""
        layer = layer + self.layer.max(initial=-1) + 1
        return Plan(
            np.concatenate([self.rows, rows]),
            np.concatenate([self.moves, moves]),
            np.concatenate([self.layer, layer]),
            self.span,
        )


def draw_places(
    submit: NDArray[np.float64],
    seen: tuple[float, float],
    asked: WhatIf,
    n: int | None,
    rng: np.random.Generator,
) -> Plan:
    """Return the places of the jobs, in the days asked for, before any rate.

    Parameters
    ----------
    submit
        Times of the training jobs whose places may be taken, sorted, in s.
    seen
        Begin and end of the training trace, in s.
    n
        Number of jobs wanted; it decides how long the trace gets where no days are asked for.

    Without days or start, the training trace from its beginning comes first. The rest are weeks
    drawn at random, or parts of weeks, that begin at the same weekday and hour.
    """
    first, moved = np.arange(len(submit)), np.zeros(len(submit))
    if asked.days is None and asked.start is None and asked.weekday is None:
        if n is None or n <= len(submit):
            last = seen[1] if n is None or n == 0 else float(submit[n - 1])
            kept = first[:n]
            return Plan(
                kept, moved[: len(kept)], np.zeros(len(kept), dtype=np.int64), (seen[0], last)
            )
        begin, pieces = seen[0], [(first, moved)]
        at = begin + (math.floor((seen[1] - begin) / DAY) + 1) * DAY
    else:
        at, pieces = asked.begin(seen[0]), [(first[:0], moved[:0])]
        begin = at
    stop = at + MOST_DAYS * DAY
    if asked.days is not None:
        stop = at + asked.days * DAY
    elif n is None:
        stop = at + max(seen[1] - seen[0], 1.0)
    most = None if asked.days is not None or n is None else n - sum(len(p[0]) for p in pieces)
    pieces += _drawn(submit, seen, (at, stop), most, rng)
    rows = np.concatenate([piece[0] for piece in pieces])
    moves = np.concatenate([piece[1] for piece in pieces])
    layer = np.repeat(_layers(pieces), [len(piece[0]) for piece in pieces])
    if most is not None and len(rows) >= (n or 0):
        rows, moves, layer = rows[:n], moves[:n], layer[:n]
        stop = float((submit[rows] + moves).max(initial=begin))
    return Plan(rows, moves, layer, (begin, stop))


def _layers(pieces: list[Piece]) -> NDArray[np.int64]:
    """Return a number for each piece, the same for those that follow each other as in training."""
    step = [float(moves[0]) if len(moves) and np.ptp(moves) == 0 else np.nan for _, moves in pieces]
    return np.cumsum(np.diff(step, prepend=np.nan) != 0)


def _drawn(
    submit: NDArray[np.float64],
    seen: tuple[float, float],
    span: tuple[float, float],
    most: int | None,
    rng: np.random.Generator,
) -> Iterator[Piece]:
    """Yield pieces one after the other until the span is full or has `most` jobs."""
    at, stop = span
    filled = 0
    while at < stop and (most is None or filled < most):
        source, length = _stretch(seen, at, stop - at, rng)
        if source is None:  # less than a day was seen: each day has its hours
            rows, moves = _folded(submit[submit < seen[0] + DAY], at, DAY)
            inside = submit[rows] + moves < at + length
            rows, moves = rows[inside], moves[inside]
        else:
            low, high = np.searchsorted(submit, [source, source + length])
            rows, moves = np.arange(low, high), np.full(high - low, at - source)
        yield rows, moves
        at, filled = at + length, filled + len(rows)


def _stretch(
    seen: tuple[float, float], at: float, rest: float, rng: np.random.Generator
) -> tuple[float | None, float]:
    """Return where in training a stretch begins that may stand at `at`, and its length in s.

    A week (or the rest, if shorter) of the same weekday and hour, if there are two to choose from;
    else a day of the same weekday; else any day. None where not one day was seen.
    """
    begin, end = seen[0] - _SLACK, seen[1] + _SLACK
    for period, longest, least in ((WEEK, WEEK, 2), (WEEK, DAY, 1), (DAY, DAY, 1)):
        length = min(longest, rest)
        first = begin + (at - begin) % period
        count = math.floor((end - length - first) / period) + 1
        if count >= least:
            return first + period * int(rng.integers(count)), length
    return None, min(DAY, rest)


def _folded(submit: NDArray[np.float64], at: float, period: float) -> Piece:
    """Return all these jobs, moved by whole periods into the one that begins at `at`."""
    times = at + (submit - at) % period
    order = np.argsort(times, kind="stable")
    return order, (times - submit)[order]


def resize(
    plan: Plan,
    sessions: Sessions,
    parts: Share | None,
    n: int,
    rng: np.random.Generator,
    *,
    users: bool = True,
) -> tuple[Plan, NDArray[np.int64], NDArray[np.bool_]]:
    """Return a plan with sessions added, what each job was added with, and what to keep: `n` jobs.

    Jobs of one added session have the same number, those of the plan -1. Sessions are added or
    dropped whole, those with more than a 200th of the jobs in runs of so many; without `users`,
    when sessions say nothing, job by job. With `parts`, the jobs of each value have their share of
    `n`; a value without a job in the plan takes all places that have it, moved by whole weeks or
    days.
    """
    part = np.zeros(len(plan.rows), dtype=np.int64) if parts is None else parts.row[plan.rows]
    wanted = np.array([n]) if parts is None else quota(parts.shares, n)
    for k in np.flatnonzero((wanted > 0) & (np.bincount(part, minlength=len(wanted)) == 0)):
        own = np.arange(len(sessions.submit)) if parts is None else np.flatnonzero(parts.row == k)
        rows, moves = _squeezed(sessions.submit[own], plan.span)
        plan = plan.joined(own[rows], moves, np.zeros_like(rows))
        part = np.append(part, np.full(len(rows), k))
    have = len(plan.rows)
    order, begins = sessions.arrange(plan.rows, plan.moves, plan.layer)
    begins = begins[:have] if users else np.ones(have, dtype=bool)
    session = np.cumsum(begins) - 1
    times = (sessions.submit[plan.rows] + plan.moves)[order]
    keep = np.zeros(have, dtype=bool)
    more, runs, copies = ([np.empty(0, dtype=np.int64)] for _ in range(3))
    for value, count in enumerate(wanted):
        mine = np.flatnonzero(part[order] == value)
        whole, rest = divmod(int(count), max(1, len(mine)))
        run = _runs(session[mine])
        some = _some(run, times[mine], rest, rng)
        keep[order[mine if whole else mine[some]]] = True
        for copy in range(1, whole + 1):
            extra = some if copy == whole else np.ones(len(mine), dtype=bool)
            more.append(order[mine[extra]])
            runs.append((len(runs) - 1) * have + run[extra])
            copies.append(copy * have + session[mine[extra]])
    source, added = np.concatenate(more), np.concatenate(copies)
    grown = plan.joined(plan.rows[source], plan.moves[source], np.concatenate(runs))
    number = np.unique(added, return_inverse=True)[1].astype(np.int64)
    kept = np.append(keep, np.ones(len(source), dtype=bool))
    return grown, np.append(np.full(have, -1), number), kept


def _squeezed(submit: NDArray[np.float64], span: tuple[float, float]) -> Piece:
    """Return all these jobs inside the span, moved by whole weeks or days if it has any."""
    length = span[1] - span[0]
    period = next((p for p in (WEEK, DAY) if p <= length), max(length, 1.0))
    return _folded(submit, span[0], period * max(1.0, length // period))


def _runs(session: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the run in which each job stays; jobs are arranged by session."""
    have = len(session)
    begin = np.flatnonzero(np.diff(session, prepend=-1))
    place = np.arange(have) - np.repeat(begin, np.diff(np.append(begin, have)))
    return np.asarray(np.cumsum(place % max(1, have // _PARTS) == 0) - 1)


def _some(
    run: NDArray[np.int64], times: NDArray[np.float64], n: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose exactly `n` jobs, in whole runs, evenly over time and size of the run.

    Each run has the same chance: it takes its turn by a sequence of golden steps, of which any part
    is spread evenly. Of the last run only the first jobs are taken.
    """
    have = len(run)
    begin = np.flatnonzero(np.diff(run, prepend=-1))
    size = np.diff(np.append(begin, have))
    key = np.empty(len(begin))
    order = np.lexsort((times[begin], np.log2(size).astype(np.int64)))
    key[order] = (np.arange(len(begin)) * _GOLDEN + rng.random()) % 1.0
    turn = np.argsort(key, kind="stable")
    taken = np.empty(len(begin), dtype=np.int64)
    taken[turn] = np.clip(n - (np.cumsum(size[turn]) - size[turn]), 0, size[turn])
    return np.asarray(np.arange(have) - begin[run] < taken[run])
