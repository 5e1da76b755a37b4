"""Learnt priorities: a score of each waiting job, anew at every event; compiled.

The lowest score is first, and all are scored anew at every event and after every start, as the
heuristics of `gridtwin.policy.queueing` that move. A score is linear in the features of
`gridtwin.policy.rl.features`, plus a small net of them (ReLU between its layers) where there is
one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.machine import clear, fingerprint
from gridtwin.policy.batch.order import arrive, sort_line
from gridtwin.policy.batch.overtake import begin, finish, overtake
from gridtwin.policy.batch.run import tables
from gridtwin.policy.batch.state import NO_BACKFILL, Jobs, Rule, State, blank
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.features import (
    FEATURES,
    GROUP,
    HIDDEN,
    SOURCE,
    STATIC,
    Scores,
    count_ended,
    groups,
    score_of,
    static_features,
)
from gridtwin.policy.rl.foresight import WEIGHTS
from gridtwin.sim.kernel.jit import Compiled, compiled, part
from gridtwin.sim.policies import Backfill

__all__ = ["Searched"]

_S, _F = len(STATIC), len(FEATURES)
_DEPTH = 8


class Sequence(NamedTuple):
    """What only sequences of a stream need."""

    base: NDArray[np.float64]
    """(L,), the part of the score that stays."""
    before: NDArray[np.int64]
    """(n, 2), the job before it in each of its two groups, or -1."""
    past: NDArray[np.int64]
    """(`_DEPTH`,)."""


@part
def _begin_anew(st: State, jobs: Jobs, sc: Scores, sq: Sequence, b: int) -> None:
    first = st.env[b].first
    for k in range(st.env[b].count):
        j, total = first + k, 0.0
        for c in range(_S):
            total += sc.linear[c] * sc.static[j, c]
        sq.base[k] = total
        sc.known[k] = -1.0
        for side in range(2):
            last = sq.before[j, side]
            if last < first:  # it is the first of its group here
                sc.history[sc.group[j, side], 3] = 0.0
                depth = 0
                while last >= 0 and depth < _DEPTH:
                    sq.past[depth] = last
                    last = sq.before[last, side]
                    depth += 1
                for p in range(depth - 1, -1, -1):
                    ended = sq.past[p]
                    row = sc.group[j, side]
                    count_ended(sc.history, row, jobs.run[ended], jobs.request[ended])


@part
def _happen(st: State, jobs: Jobs, rule: Rule, sc: Scores, b: int) -> None:
    """Let all happen that happens next, as `machine.instant`, and remember who ended."""
    env, first, next_ = st.env, st.env[b].first, np.inf
    if env[b].arrived < env[b].count:
        next_ = jobs.submit[first + env[b].arrived]
    if env[b].running > 0:
        next_ = min(next_, st.ends[b, env[b].running - 1])
    now = max(env[b].now, next_)
    env[b].now = now
    while env[b].running > 0 and st.ends[b, env[b].running - 1] <= now:
        ended = first + st.who[b, env[b].running - 1]
        for side in range(2):
            row = sc.group[ended, side]
            count_ended(sc.history, row, jobs.run[ended], jobs.request[ended])
        finish(st, jobs, rule, b)
    while env[b].arrived < env[b].count and jobs.submit[first + env[b].arrived] <= now:
        st.line[b, env[b].inline] = env[b].arrived
        env[b].inline += 1
        arrive(st, jobs, rule, b)
    env[b].lined = env[b].arrived


@part
def _lead(st: State, jobs: Jobs, rule: Rule, sc: Scores, sq: Sequence, b: int) -> int:
    """Score all who wait; return the first, or -1 if nobody fits."""
    some, need, first = False, jobs.need, st.env[b].first
    for p in range(st.env[b].inline):
        if need[first + st.line[b, p]] <= st.env[b].free:
            some = True
            break
    if not some:
        return -1
    lead, least, now, free = -1, np.inf, st.env[b].now, st.env[b].free
    for p in range(st.env[b].inline):
        k = st.line[b, p]
        j = first + k
        wait, fits = max(now - jobs.submit[j], 0.0), 1.0 if need[j] <= free else 0.0
        share, base, waiting = free / rule.cores, sq.base[k], st.env[b].queued
        score = score_of(sc, j, k, base, wait, jobs.request[j], fits, share, waiting)
        st.score[b, k] = score
        if lead < 0 or score < least or (score == least and k < lead):
            lead, least = k, score
    return lead


@part
def _serve(st: State, jobs: Jobs, rule: Rule, sc: Scores, sq: Sequence, b: int) -> None:
    """Start who is first while it fits; then let others overtake it."""
    env = st.env
    while env[b].queued > 0 and env[b].free > 0:
        lead = _lead(st, jobs, rule, sc, sq, b)
        if lead < 0:
            return
        if jobs.need[env[b].first + lead] > env[b].free:
            if rule.backfill != NO_BACKFILL:
                sort_line(st, jobs, rule, b, 0)
                overtake(st, jobs, rule, b, lead, True)
            return
        begin(st, jobs, rule, b, lead)
        env[b].decisions += 1


@part
def _run(
    st: State, jobs: Jobs, rule: Rule, sc: Scores, sq: Sequence, first: int, count: int
) -> None:
    clear(st, jobs, rule, 0, first, count)
    _begin_anew(st, jobs, sc, sq, 0)
    while st.env[0].queued > 0 or st.env[0].arrived < st.env[0].count:
        _happen(st, jobs, rule, sc, 0)
        _serve(st, jobs, rule, sc, sq, 0)


def _entries(version: str) -> tuple[Compiled, Compiled]:
    """Return the entries, compiled anew when any part of the machine changes."""

    def starts_all(st, jobs, rule, sc, sq, first, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018 - see `gridtwin.sim.kernel.jit.sources`
        for s in range(len(first)):
            _run(st, jobs, rule, sc, sq, first[s], out.shape[1])
            for k in range(out.shape[1]):
                out[s, k] = st.start[0, k]

    def slowdowns_all(st, jobs, rule, sc, sq, weights, first, count, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018
        for c in range(len(weights)):
            for f in range(len(sc.linear)):
                sc.linear[f] = weights[c, f]
            for f in range(len(sc.net)):
                sc.net[f] = weights[c, len(sc.linear) + f]
            for s in range(len(first)):
                _run(st, jobs, rule, sc, sq, first[s], count)
                for k in range(count):
                    j = first[s] + k
                    run = jobs.run[j]
                    wait = st.start[0, k] - jobs.submit[j]
                    out[c, s, 0] += max(1.0, (wait + run) / max(run, 10.0)) / count
                    out[c, s, 1] += wait / count

    return compiled(starts_all), compiled(slowdowns_all)


_starts_all, _slowdowns_all = _entries(fingerprint() + SOURCE)


class Searched:
    """A stream under learnt priorities: many weights, many sequences, one compiled call.

    Parameters
    ----------
    sizes
        Of the net's layers, `FEATURES` to 1; empty: no net.
    foresight
        Weights of `gridtwin.policy.rl.foresight`; None: ``likely`` is ``expected``.

    Notes
    -----
    Memory: up to 8 S + 112 bytes a job of the stream and 52 for each of a sequence.
    """

    def __init__(
        self,
        stream: Stream,
        length: int,
        *,
        backfill: Backfill = "none",
        sizes: tuple[int, ...] = (),
        foresight: NDArray[np.float64] | None = None,
    ) -> None:
        if not 1 <= length <= len(stream):
            raise InputError(f"sequences of {length} jobs out of {len(stream)}; choose fewer")
        if sizes and (len(sizes) < 2 or sizes[0] != _F or sizes[-1] != 1):
            raise InputError(f"a net of layers {sizes}; expected {_F}, ..., 1")
        self.stream, self.length = stream, length
        self.jobs, self.rule = tables(stream, backfill)
        self.state: State = blank(self.jobs, self.rule, 1, length)
        if foresight is not None and foresight.shape != (WEIGHTS,):
            raise InputError(f"foresight of shape {foresight.shape}; expected ({WEIGHTS},)")
        layers = np.array(sizes, np.int64)
        group, before = groups(stream.user, stream.request, stream.width)
        self.sequence = Sequence(np.zeros(length), before, np.zeros(_DEPTH, np.int64))
        self.scores = Scores(
            static=static_features(stream),
            linear=np.zeros(_F),
            sizes=layers,
            net=np.zeros(int((layers[1:] * (layers[:-1] + 1)).sum())),
            foresight=np.zeros(0) if foresight is None else np.array(foresight, np.float64),
            group=group,
            history=np.zeros((int(group.max()) + 1, GROUP)),
            likely=np.zeros(length),
            known=np.zeros(length),
            x=np.zeros(_F),
            hidden=np.zeros((2, max(HIDDEN, *sizes))) if sizes else np.zeros((2, HIDDEN)),
        )

    @property
    def weights(self) -> int:
        """How many numbers a priority has: linear ones, then those of the net."""
        return _F + len(self.scores.net)

    def figures(self, weights: ArrayLike, first: ArrayLike) -> NDArray[np.float64]:
        """Return the mean bounded slowdown and wait (C, S, 2) of C priorities on S sequences."""
        rows = np.ascontiguousarray(np.atleast_2d(weights), np.float64)
        begins = self._begins(first)
        if rows.shape[1] != self.weights:
            raise InputError(f"{rows.shape[1]} weights; expected {self.weights}")
        out = np.zeros((len(rows), len(begins), 2))
        state = (self.state, self.jobs, self.rule, self.scores, self.sequence)
        _slowdowns_all(*state, rows, begins, self.length, out)
        return out

    def start_times(self, weights: ArrayLike, first: ArrayLike) -> NDArray[np.float64]:
        """Return when each job starts under one priority, (S, L), s."""
        row, begins = np.asarray(weights, np.float64), self._begins(first)
        if row.shape != (self.weights,):
            raise InputError(f"weights of shape {row.shape}; expected {self.weights}")
        self.scores.linear[:] = row[:_F]
        self.scores.net[:] = row[_F:]
        out = np.empty((len(begins), self.length))
        state = (self.state, self.jobs, self.rule, self.scores, self.sequence)
        _starts_all(*state, begins, out)
        return out

    def _begins(self, first: ArrayLike) -> NDArray[np.int64]:
        begins = np.atleast_1d(np.asarray(first, np.int64))
        if len(begins) and not 0 <= begins.min() <= begins.max() <= len(self.stream) - self.length:
            raise InputError(
                f"sequences of {self.length} jobs cannot begin at {begins[:5].tolist()}; expected "
                f"0 to {len(self.stream) - self.length}"
            )
        return begins
