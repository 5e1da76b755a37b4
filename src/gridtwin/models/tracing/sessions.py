"""When jobs arrive: the sessions of the training trace, moved and re-timed.

A session is a run of jobs of one user with gaps of at most `gap` seconds. The calendar (which
sessions in which week) follows the training trace; inside it

- each session as a whole moves by a normal step, the less the larger its bursts are, and
- each gap inside a session is replaced by one of nearly the same rank among that user's gaps,
  while large bursts and every 24th job of a session keep their place in it.

Bursts, cycles, day levels and the share of each user survive, which decide how a queue builds up.
Beyond the length of the training trace, whole weeks of it are drawn at random.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sessions"]

DAY = 86_400.0
_PACE = 24
_BURST_GAP = 60.0
"""Seconds between two jobs of a burst, at most."""
_BURST = 8
"""Jobs from which on a burst shows where it was."""


@dataclass(frozen=True)
class Sessions:
    """The arrivals of `n` training jobs, in order of submission."""

    submit: NDArray[np.float64]
    user: NDArray[np.int32]
    gap: NDArray[np.float64]
    """Seconds since the same user's job before, in the same session; NaN where one begins."""
    rank: NDArray[np.int64]
    """Place of the gap in `ranked`, -1 where a session begins."""
    ranked: NDArray[np.float64]
    """The gaps inside sessions, by user and then by size."""
    first: NDArray[np.int64]
    """Gaps of user ``u`` are ``ranked[first[u] : first[u + 1]]``."""

    @classmethod
    def learn(cls, submit: NDArray[np.float64], user: NDArray[np.int32], gap: float) -> "Sessions":
        """Cut the stream of each user into sessions wherever it pauses for more than `gap` s."""
        order = np.lexsort((np.arange(len(user)), user))
        gaps = np.full(len(user), np.nan)
        step = np.diff(submit[order])
        inside = (np.diff(user[order]) == 0) & (step <= gap)
        gaps[order[1:][inside]] = step[inside]
        members = np.flatnonzero(~np.isnan(gaps))
        by_size = members[np.lexsort((gaps[members], user[members]))]
        rank = np.full(len(user), -1)
        rank[by_size] = np.arange(len(by_size))
        count = np.bincount(user[members], minlength=int(user.max()) + 1)
        first = np.concatenate([[0], np.cumsum(count)])
        return cls(submit, user, gaps, rank, gaps[by_size], first)

    def plan(
        self, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return `n` training jobs to imitate and by how many seconds each is moved.

        The first ones are the training trace itself, from its beginning; then come weeks drawn at
        random (days, if the trace is shorter than two weeks; the whole, if shorter than two days).
        """
        have = len(self.submit)
        begin = self.submit[0]
        span = float(self.submit[-1] - begin)
        period = 7 * DAY if span >= 14 * DAY else DAY if span >= 2 * DAY else span + 1.0
        block = np.floor((self.submit - begin) / period).astype(np.int64)
        whole = max(1, int(span // period))
        edges = np.searchsorted(block, np.arange(whole + 1))
        rows, moves = [np.arange(have)], [np.zeros(have)]
        filled, at = have, int(block[-1]) + 1
        while filled < n:
            week = int(rng.integers(whole))
            jobs = np.arange(edges[week], edges[week + 1])
            rows.append(jobs)
            moves.append(np.full(len(jobs), (at - week) * period))
            filled, at = filled + len(jobs), at + 1
        return np.concatenate(rows)[:n], np.concatenate(moves)[:n]

    def times(
        self,
        rows: NDArray[np.int64],
        moves: NDArray[np.float64],
        rng: np.random.Generator,
        *,
        shift: float,
        width: float,
        layer: NDArray[np.int64] | None = None,
        added: NDArray[np.int64] | None = None,
        span: tuple[float, float] | None = None,
    ) -> NDArray[np.float64]:
        """Return an arrival time for each planned job, inside `span`.

        A session whose largest burst has k jobs (gaps of a minute at most) moves by a normal step
        of ``shift / k**2`` seconds: a burst shows where it was. A gap takes the size of another
        one that is at most the fraction `width` of the user's gaps (at least 2) away in rank; up
        to every large burst and every 24th job the gaps keep their sum, lest their errors add up.
        Sessions do not reach from one `layer` to another. Jobs with the same number in `added`
        (-1 for none) move together by half of `shift` whatever their bursts, lest these fall on
        those they are copies of.
        """
        if not len(rows):
            return np.empty(0)
        order, begins = self.arrange(rows, moves, layer)
        row = rows[order]
        session = np.cumsum(begins) - 1
        gaps = np.where(begins, 0.0, self._near(row, rng, width))
        old = np.where(begins, 0.0, self.gap[row])
        burst = np.cumsum(begins | (old > _BURST_GAP)) - 1
        size = np.bincount(burst)[burst]
        gaps = _anchored(gaps, old, session, np.where(size >= _BURST, burst, -1))
        elapsed = np.cumsum(gaps)
        largest = np.maximum.reduceat(size, np.flatnonzero(begins))
        step = rng.normal(0.0, shift, len(largest)) / largest**2
        if added is not None:
            copy = added[order][begins]
            together = rng.normal(0.0, shift / 2, int(copy.max()) + 2)
            step = np.where(copy < 0, step, together[copy])
        starts = (self.submit[row] + moves[order])[begins] + step
        times = np.empty(len(rows))
        times[order] = starts[session] + elapsed - elapsed[begins][session]
        low, high = span or (self.submit[0], float((self.submit[rows] + moves).max()))
        times = np.where(times < low, 2 * low - times, times)
        times = np.where(times > high, 2 * high - times, times)
        return np.asarray(np.clip(times, low, high))

    def arrange(
        self,
        rows: NDArray[np.int64],
        moves: NDArray[np.float64],
        layer: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the order of planned jobs by layer, user and time, and where sessions begin."""
        layer = np.zeros(len(rows), dtype=np.int64) if layer is None else layer
        order = np.lexsort((self.submit[rows] + moves, self.user[rows], layer))
        row = rows[order]
        same = (np.diff(self.user[row]) == 0) & (np.diff(moves[order]) == 0)
        same &= np.diff(layer[order]) == 0
        return order, np.isnan(self.gap[row]) | ~np.r_[False, same]

    def _near(
        self, row: NDArray[np.int64], rng: np.random.Generator, width: float
    ) -> NDArray[np.float64]:
        """Return for each training row a gap of nearly the same rank among its user's."""
        low, high = self.first[self.user[row]], self.first[self.user[row] + 1] - 1
        reach = np.maximum(2, (width * (high - low + 1)).astype(np.int64))
        place = self.rank[row] + rng.integers(-reach, reach + 1)
        place = np.where(place < low, 2 * low - place - 1, place)
        place = np.where(place > high, 2 * high - place + 1, place)
        if not len(self.ranked):
            return np.zeros(len(row))
        return np.asarray(self.ranked[np.clip(place, np.minimum(low, high), high).clip(0)])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with ``sessions``."""
        return {f"sessions.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Sessions":
        """Undo `to_arrays`."""
        return cls(*(arrays[f"sessions.{f.name}"] for f in fields(cls)))


def _anchored(
    gaps: NDArray[np.float64],
    old: NDArray[np.float64],
    session: NDArray[np.int64],
    burst: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return `gaps` scaled so that anchors are as far into their session as with the `old` ones.

    Anchors are the first jobs of large bursts (`burst`, -1 elsewhere) and every 24th job.
    """
    begins = np.r_[True, np.diff(session) != 0]
    place = np.arange(len(session)) - np.flatnonzero(begins)[session]
    anchor = (burst >= 0) & (np.diff(burst, prepend=-1) != 0)
    anchor = (anchor | (place % _PACE == 0)) & ~begins
    part = np.cumsum(begins | np.r_[False, anchor[:-1]]) - 1  # an anchor ends its part
    ours, theirs = np.bincount(part, gaps), np.bincount(part, old)
    ends = np.bincount(part, anchor) > 0
    scale = np.divide(theirs, ours, out=np.ones(len(ours)), where=ends & (ours > 0))
    return np.asarray(gaps * scale[part])
