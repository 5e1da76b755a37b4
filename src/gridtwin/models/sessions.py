"""When jobs arrive: the sessions of the training trace, moved and re-timed.

A session is a run of jobs of one user with gaps of at most `gap` seconds. The calendar (which
sessions in which week) follows the training trace; inside it

- each session as a whole moves by a normal step, and
- each gap inside a session is replaced by one of nearly the same rank among that user's gaps.

Bursts, cycles, day levels and the share of each user survive, which decide how a queue builds up;
no arrival time is kept. Beyond the length of the training trace, whole weeks of it are drawn at
random.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sessions"]

DAY = 86_400.0
_PACE = 24


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
    ) -> NDArray[np.float64]:
        """Return an arrival time for each planned job.

        A session of k jobs moves by a normal step of ``shift / sqrt(k)`` seconds: the more jobs
        show where it was, the less. A gap takes the size of another one that is at most the
        fraction `width` of the user's gaps (at least 2) away in rank; over every 24 jobs of a
        long session the gaps keep their sum, lest the error of each add up.
        """
        if not len(rows):
            return np.empty(0)
        order = np.lexsort((self.submit[rows] + moves, self.user[rows]))
        row, move = rows[order], moves[order]
        same = np.r_[False, (np.diff(self.user[row]) == 0) & (np.diff(move) == 0)]
        begins = np.isnan(self.gap[row]) | ~same
        session = np.cumsum(begins) - 1
        gaps = np.where(begins, 0.0, self._near(row, rng, width))
        gaps = _paced(gaps, np.where(begins, 0.0, self.gap[row]), session)
        elapsed = np.cumsum(gaps)
        step = rng.normal(0.0, shift, session[-1] + 1) / np.sqrt(np.bincount(session))
        starts = (self.submit[row] + move)[begins] + step
        times = np.empty(len(rows))
        times[order] = starts[session] + elapsed - elapsed[begins][session]
        low = self.submit[0]
        high = float((self.submit[rows] + moves).max())
        times = np.where(times < low, 2 * low - times, times)
        times = np.where(times > high, 2 * high - times, times)
        return np.asarray(np.clip(times, low, high))

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


def _paced(
    gaps: NDArray[np.float64], old: NDArray[np.float64], session: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return `gaps` scaled to the sum of the `old` ones over every full 24 jobs of a session."""
    begins = np.r_[True, np.diff(session) != 0]
    place = np.arange(len(session)) - np.flatnonzero(begins)[session]
    block = np.cumsum(place % _PACE == 0) - 1
    ours, theirs = np.bincount(block, gaps), np.bincount(block, old)
    full = (np.bincount(block) == _PACE) & (ours > 0)
    scale = np.divide(theirs, ours, out=np.ones(len(ours)), where=full)
    return np.asarray(gaps * scale[block])
