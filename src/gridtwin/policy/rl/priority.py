"""Learnt priorities: a score of each waiting job, anew at every event; compiled.

The lowest score is first, and all are scored anew at every event and after every start, as the
heuristics of `gridtwin.policy.queueing` that move. A score is linear in the features, plus a small
net of them (ReLU between its layers) where there is one. It knows what a scheduler knows:

=====================  ==========================================================================
static                 at submission; r the requested time, n the processors, M the machine
``request``            log(1 + r) / log(1 + 30 d), as in the environments
``share``              n / M, as in the environments
``width``              log(1 + n) / log(1 + M)
``request2``           ``request`` squared; so ``width2``
``area``               ``request`` times ``width``
``f1`` ... ``f4``      log10(r) n, sqrt(r) n, r n, r sqrt(n), each over M: terms of F1 to F4
``log_submit``         log10(s), s counted from the trace's first job: the other term of these
---------------------  --------------------------------------------------------------------------
moving                 w the wait
``wait_1h``            w / (w + 1 h), as in the environments; so ``wait_1d``
``wait_request``       w / (w + r), as in the environments
``wait``               w in days
``free``               share of the machine that is free, as in the environments
``crowd``              jobs that wait / (those + 128), as in the environments
``fits``               1 if it fits now, as in the environments
``fits_request``       ``fits`` times ``request``; so ``fits_width``
``crowd_request``      ``crowd`` times ``request``; so ``crowd_width``
``expected``           as ``request``, of the geometric mean run time of the last two ended jobs of
                       the same user, request and processors, else of the user's, else of r; at
                       most r (after Tsafrir et al., IEEE TPDS 2007)
``accuracy``           mean of log(run / r) of the user's ended jobs, halved with each; else 0
``fits_expected``      ``fits`` times ``expected``
=====================  ==========================================================================

A sequence begins with an empty machine, so that all jobs of the stream before it count as ended.
F1 to F4 are those of Carastan-Santos and de Camargo, SC 2017.
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
from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare
from gridtwin.sim.policies import Backfill

__all__ = ["FEATURES", "MOVING", "STATIC", "Scores", "Searched", "static_features"]

STATIC = (
    *("request", "share", "width", "request2", "width2", "area"),
    *("f1", "f2", "f3", "f4", "log_submit"),
)
MOVING = (
    *("wait_1h", "wait_1d", "wait_request", "wait", "free", "crowd"),
    *("fits", "fits_request", "fits_width", "crowd_request", "crowd_width"),
    *("expected", "accuracy", "fits_expected"),
)
FEATURES = STATIC + MOVING
_S, _F = len(STATIC), len(FEATURES)
_HOUR, _DAY = 3600.0, 86400.0
_MONTH = float(np.log1p(30 * _DAY))
_ROOM = 128.0


class Scores(NamedTuple):
    """What the scores are made of; n jobs, L of a sequence, U users, G groups."""

    static: NDArray[np.float64]
    """(n, S)."""
    linear: NDArray[np.float64]
    """(F,), the weights of `FEATURES`."""
    sizes: NDArray[np.int64]
    """Inputs, hidden units ..., 1; empty without a net."""
    net: NDArray[np.float64]
    """Of each layer the matrix (outputs, inputs), then the biases."""
    base: NDArray[np.float64]
    """(L,), the part of the score that stays."""
    group: NDArray[np.int64]
    """(n, 2), rows of `history`: of the job's user, and of those who ask for the same as well."""
    before: NDArray[np.int64]
    """(n, 2), the job before it in each of the two groups, or -1."""
    history: NDArray[np.float64]
    """(U + G, 4): `expected`, the last log run time, `accuracy`, ended jobs."""
    x: NDArray[np.float64]
    """(F,), the features of one job."""
    hidden: NDArray[np.float64]
    """(2, widest layer)."""


@part
def _begin_anew(st: State, jobs: Jobs, sc: Scores, b: int) -> None:
    first = st.env[b].first
    for k in range(st.env[b].count):
        j, total = first + k, 0.0
        for c in range(_S):
            total += sc.linear[c] * sc.static[j, c]
        sc.base[k] = total
        for side in range(2):
            last = sc.before[j, side]
            if last < first:  # it is the first of its group here
                sc.history[sc.group[j, side], 3] = 0.0
                if last >= 0:
                    if sc.before[last, side] >= 0:
                        _count(jobs, sc, sc.group[j, side], sc.before[last, side])
                    _count(jobs, sc, sc.group[j, side], last)


@part
def _count(jobs: Jobs, sc: Scores, row: int, j: int) -> None:
    """Count a job that ended into a row of the history."""
    history, run = sc.history, np.log1p(jobs.run[j]) / _MONTH
    ratio = np.log((jobs.run[j] + 1.0) / (jobs.request[j] + 1.0))
    some = history[row, 3] > 0.0
    history[row, 0] = 0.5 * (history[row, 1] + run) if some else run
    history[row, 1] = run
    history[row, 2] = 0.5 * (history[row, 2] + ratio) if some else ratio
    history[row, 3] += 1.0


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
            _count(jobs, sc, sc.group[ended, side], ended)
        finish(st, jobs, rule, b)
    while env[b].arrived < env[b].count and jobs.submit[first + env[b].arrived] <= now:
        st.line[b, env[b].inline] = env[b].arrived
        env[b].inline += 1
        arrive(st, jobs, rule, b)
    env[b].lined = env[b].arrived


@part
def _show(st: State, jobs: Jobs, rule: Rule, sc: Scores, b: int, k: int) -> None:
    """Write the moving features of a job."""
    j, x, free = st.env[b].first + k, sc.x, st.env[b].free
    wait = max(st.env[b].now - jobs.submit[j], 0.0)
    request, width = sc.static[j, 0], sc.static[j, 2]
    crowd = st.env[b].queued / (st.env[b].queued + _ROOM)
    fits = 1.0 if jobs.need[j] <= free else 0.0
    user, alike, expected = sc.group[j, 0], sc.group[j, 1], request
    if sc.history[alike, 3] > 0.0:
        expected = min(request, sc.history[alike, 0])
    elif sc.history[user, 3] > 0.0:
        expected = min(request, sc.history[user, 0])
    x[_S] = wait / (wait + _HOUR)
    x[_S + 1] = wait / (wait + _DAY)
    x[_S + 2] = wait / (wait + max(jobs.request[j], 1.0))
    x[_S + 3] = wait / _DAY
    x[_S + 4] = free / rule.cores
    x[_S + 5] = crowd
    x[_S + 6] = fits
    x[_S + 7] = fits * request
    x[_S + 8] = fits * width
    x[_S + 9] = crowd * request
    x[_S + 10] = crowd * width
    x[_S + 11] = expected
    x[_S + 12] = sc.history[user, 2] if sc.history[user, 3] > 0.0 else 0.0
    x[_S + 13] = fits * expected


@rare
def _through(sc: Scores, j: int) -> float:
    """Return what the net makes of the features."""
    for c in range(_S):
        sc.x[c] = sc.static[j, c]
    at, side, value = 0, 0, 0.0
    for layer in range(len(sc.sizes) - 1):
        inputs, outputs = sc.sizes[layer], sc.sizes[layer + 1]
        for o in range(outputs):
            value = sc.net[at + outputs * inputs + o]
            for c in range(inputs):
                value += sc.net[at + o * inputs + c] * (
                    sc.x[c] if layer == 0 else sc.hidden[side, c]
                )
            sc.hidden[1 - side, o] = max(value, 0.0)
        at += outputs * (inputs + 1)
        side = 1 - side
    return value


@part
def _lead(st: State, jobs: Jobs, rule: Rule, sc: Scores, b: int) -> int:
    """Score all who wait; return the first, or -1 if nobody fits."""
    some, need, first = False, jobs.need, st.env[b].first
    for p in range(st.env[b].inline):
        if need[first + st.line[b, p]] <= st.env[b].free:
            some = True
            break
    if not some:
        return -1
    lead, least = -1, np.inf
    for p in range(st.env[b].inline):
        k = st.line[b, p]
        _show(st, jobs, rule, sc, b, k)
        score = sc.base[k]
        for c in range(_S, _F):
            score += sc.linear[c] * sc.x[c]
        if len(sc.sizes) > 0:
            score += _through(sc, first + k)
        st.score[b, k] = score
        if lead < 0 or score < least or (score == least and k < lead):
            lead, least = k, score
    return lead


@part
def _serve(st: State, jobs: Jobs, rule: Rule, sc: Scores, b: int) -> None:
    """Start who is first while it fits; then let others overtake it."""
    env = st.env
    while env[b].queued > 0 and env[b].free > 0:
        lead = _lead(st, jobs, rule, sc, b)
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
def _run(st: State, jobs: Jobs, rule: Rule, sc: Scores, first: int, count: int) -> None:
    clear(st, jobs, rule, 0, first, count)
    _begin_anew(st, jobs, sc, 0)
    while st.env[0].queued > 0 or st.env[0].arrived < st.env[0].count:
        _happen(st, jobs, rule, sc, 0)
        _serve(st, jobs, rule, sc, 0)


def _entries(version: str) -> tuple[Compiled, Compiled]:
    """Return the entries, compiled anew when any part of the machine changes."""

    def starts_all(st, jobs, rule, sc, first, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018 - see `gridtwin.sim.kernel.jit.sources`
        for s in range(len(first)):
            _run(st, jobs, rule, sc, first[s], out.shape[1])
            for k in range(out.shape[1]):
                out[s, k] = st.start[0, k]

    def slowdowns_all(st, jobs, rule, sc, weights, first, count, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018
        for c in range(len(weights)):
            for f in range(len(sc.linear)):
                sc.linear[f] = weights[c, f]
            for f in range(len(sc.net)):
                sc.net[f] = weights[c, len(sc.linear) + f]
            for s in range(len(first)):
                _run(st, jobs, rule, sc, first[s], count)
                for k in range(count):
                    j = first[s] + k
                    run = jobs.run[j]
                    wait = st.start[0, k] - jobs.submit[j]
                    out[c, s, 0] += max(1.0, (wait + run) / max(run, 10.0)) / count
                    out[c, s, 1] += wait / count

    return compiled(starts_all), compiled(slowdowns_all)


_starts_all, _slowdowns_all = _entries(fingerprint())


def static_features(stream: Stream) -> NDArray[np.float64]:
    """Return the static features of a stream's jobs, (n, S)."""
    n, r = stream.width.astype(np.float64), np.maximum(stream.request, 0.0)
    some, size = np.where(r > 0.0, r, 0.1), float(stream.width.max(initial=1))
    submit = stream.submit - (stream.submit.min() if len(stream) else 0.0)
    request, width = np.log1p(r) / _MONTH, np.log1p(n) / np.log1p(size)
    terms = (np.log10(some) * n, np.sqrt(some) * n, some * n, some * np.sqrt(n))
    columns = (
        *(request, stream.need / stream.cores, width, request**2, width**2, request * width),
        *(term / size for term in terms),
        np.log10(np.where(submit > 0.0, submit, 0.1)),
    )
    return np.ascontiguousarray(np.stack(columns, axis=1))


def groups(stream: Stream) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two groups of each job, and the job before it in each, (n, 2) both."""
    user = np.unique(stream.user, return_inverse=True)[1]
    alike = np.stack([stream.user, stream.request, stream.width], axis=1)
    same = np.unique(alike, axis=0, return_inverse=True)[1].ravel()
    group = np.stack([user, same + user.max(initial=-1) + 1], axis=1).astype(np.int64)
    before = np.full(group.shape, -1, np.int64)
    for side in range(2):
        order = np.argsort(group[:, side], kind="stable")
        again = np.flatnonzero(np.diff(group[order, side]) == 0)
        before[order[again + 1], side] = order[again]
    return group, before


class Searched:
    """A stream under learnt priorities: many weights, many sequences, one compiled call.

    Parameters
    ----------
    sizes
        Of the net's layers, `FEATURES` to 1; empty: no net.

    Notes
    -----
    Memory: up to 8 S + 96 bytes a job of the stream and 36 for each of a sequence.
    """

    def __init__(
        self,
        stream: Stream,
        length: int,
        *,
        backfill: Backfill = "none",
        sizes: tuple[int, ...] = (),
    ) -> None:
        if not 1 <= length <= len(stream):
            raise InputError(f"sequences of {length} jobs out of {len(stream)}; choose fewer")
        if sizes and (len(sizes) < 2 or sizes[0] != _F or sizes[-1] != 1):
            raise InputError(f"a net of layers {sizes}; expected {_F}, ..., 1")
        self.stream, self.length = stream, length
        self.jobs, self.rule = tables(stream, backfill)
        self.state: State = blank(self.jobs, self.rule, 1, length)
        layers = np.array(sizes, np.int64)
        group, before = groups(stream)
        self.scores = Scores(
            static=static_features(stream),
            linear=np.zeros(_F),
            sizes=layers,
            net=np.zeros(int((layers[1:] * (layers[:-1] + 1)).sum())),
            base=np.zeros(length),
            group=group,
            before=before,
            history=np.zeros((int(group.max()) + 1, 4)),
            x=np.zeros(_F),
            hidden=np.zeros((2, max(sizes, default=1))),
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
        state = (self.state, self.jobs, self.rule, self.scores)
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
        _starts_all(self.state, self.jobs, self.rule, self.scores, begins, out)
        return out

    def _begins(self, first: ArrayLike) -> NDArray[np.int64]:
        begins = np.atleast_1d(np.asarray(first, np.int64))
        if len(begins) and not 0 <= begins.min() <= begins.max() <= len(self.stream) - self.length:
            raise InputError(
                f"sequences of {self.length} jobs cannot begin at {begins[:5].tolist()}; expected "
                f"0 to {len(self.stream) - self.length}"
            )
        return begins
