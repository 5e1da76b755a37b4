"""Step many sequences, and write what each shows, in one compiled call.

Works on the tables of the batch machine (`gridtwin.policy.batch.state`) and on a `Look`. A row of
the window is a waiting job; an action is a row. Two kinds of decision:

- *choosing*: any waiting job; it is the head then and blocks until it starts;
- *overtaking*: a queueing policy says who is the head; while that does not fit, row 0 is the head
  and stands for nobody overtaking it now, and the other rows are jobs that fit.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numba import types
from numba.experimental import structref
from numpy.typing import NDArray

from gridtwin.policy.batch.machine import await_job, choose, clear, fingerprint, instant
from gridtwin.policy.batch.order import line_up
from gridtwin.policy.batch.overtake import begin
from gridtwin.policy.batch.state import Jobs, Rule, State
from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare

__all__ = [
    "ANEW",
    "CHOOSE",
    "FEATURES",
    "LEAVE",
    "OBJECTIVES",
    "OVERTAKE",
    "OVERTAKE_EASY",
    "STEP",
    "Look",
    "Tables",
    "step_all",
]

FEATURES = 8
STEP, ANEW, LEAVE = range(3)
"""What a call does with a sequence: step it, put it to a beginning, leave it alone."""
CHOOSE, OVERTAKE, OVERTAKE_EASY = range(3)
"""What is decided: who is next, or who overtakes: all that fit, or who does not delay the head."""
BSLD, WAIT, TURNAROUND, UTILIZATION, MEAN_USER, WORST_USER, FAIRNESS = range(7)
OBJECTIVES = {
    "bsld": BSLD,
    "wait": WAIT,
    "turnaround": TURNAROUND,
    "utilization": UTILIZATION,
    "mean_user": MEAN_USER,
    "worst_user": WORST_USER,
    "fairness": FAIRNESS,
}
"""As in `gridtwin.policy.compare`; ``fairness`` is Jain's index of the users' averages."""

_ALMOST = 1.0 - 1e-5
_PER_TWELVE_HOURS = 1 / 43200.0
_HOUR = 3600.0


class Look(NamedTuple):
    """What is decided, shown and rewarded. n jobs, B sequences of L jobs, W rows, U users."""

    kind: int
    """`CHOOSE` or one of the others."""
    clean: int
    """1: our features, 0: those of RLScheduler."""
    objective: int
    same_step: int
    """1: a sequence that ends begins anew in the same call."""
    fixed: NDArray[np.float32]
    """(n, 8), each job's row as far as it never changes."""
    padding: NDArray[np.float32]
    """(8,), the row of nobody."""
    rank: NDArray[np.int64]
    """(2, n), places of the jobs in the two orders that fill a full window in turns."""
    at: NDArray[np.int64]
    """(2, n), the job at a place."""
    obs: NDArray[np.float32]
    """(B, W, 8)."""
    mask: NDArray[np.int8]
    """(B, W), 1: may be chosen."""
    shown: NDArray[np.int32]
    """(B, W), the job of each row, numbered in its sequence; `rows` entries."""
    rows: NDArray[np.int64]
    """(B,)."""
    written: NDArray[np.int64]
    """(B,), rows of `obs` that are not padding."""
    over: NDArray[np.int8]
    """(B,), 1: its end was told."""
    reward: NDArray[np.float64]
    """(B,)."""
    done: NDArray[np.bool_]
    """(B,), whether it ended in this call."""
    score: NDArray[np.float64]
    """(B,), the objective of the sequence that ended last."""
    illegal: NDArray[np.int64]
    """(B,), actions that were no row one may choose."""
    order: NDArray[np.int32]
    """(B, 2, L), a sequence's jobs in the two orders, …"""
    ordered: NDArray[np.int8]
    """(B,), … if this is 1."""
    heap: NDArray[np.int64]
    """(L,)."""
    mark: NDArray[np.int8]
    """(L,), 1: waits, 2: is shown."""
    per_user: NDArray[np.float64]
    """(U, 2), summed slowdown and jobs; zero between calls."""


@part
def _sift(heap: NDArray[np.int64], size: int, p: int) -> None:
    """Let an entry of a heap sink to its place."""
    value = heap[p]
    while 2 * p + 1 < size:
        child = 2 * p + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[p] = heap[child]
        p = child
    heap[p] = value


@rare
def _order(st: State, look: Look, b: int) -> None:
    """Lay out a sequence's jobs in the two orders that fill a full window."""
    first, count, heap = st.env[b].first, st.env[b].count, look.heap
    for side in range(2):
        for k in range(count):
            heap[k] = look.rank[side, first + k]
        for p in range(count // 2 - 1, -1, -1):
            _sift(heap, count, p)
        for p in range(count):
            look.order[b, side, p] = look.at[side, heap[0]] - first
            heap[0] = heap[count - p - 1]
            _sift(heap, count - p - 1, 0)
    look.ordered[b] = 1


@rare
def _fill_in_turns(st: State, look: Look, b: int) -> None:
    """Fill the window from two orders in turns, for more jobs wait than it has rows."""
    if look.ordered[b] == 0:
        _order(st, look, b)
    mark, order, rows, p, q = look.mark, look.order, 0, 0, 0
    for k in range(st.env[b].count):
        mark[k] = k < st.env[b].arrived and st.start[b, k] != st.start[b, k]  # has not started
    while rows < look.shown.shape[1]:
        while mark[order[b, 0, p]] == 0:
            p += 1
        rows = _add(look, b, order[b, 0, p], rows)
        while mark[order[b, 1, q]] == 0:
            q += 1
        rows = _add(look, b, order[b, 1, q], rows)
        p += 1
        q += 1
    look.rows[b] = rows


@part
def _add(look: Look, b: int, k: int, rows: int) -> int:
    """Show a job unless it is shown, or no row is left; return the rows."""
    if look.mark[k] == 2 or rows == look.shown.shape[1]:
        return rows
    look.mark[k] = 2
    look.shown[b, rows] = k
    return rows + 1


@part
def _shadow(st: State, jobs: Jobs, b: int, head: int) -> tuple[float, int]:
    """Return when the head is expected to fit, and what is free beside it then."""
    env, now = st.env, st.env[b].now
    need, free, shadow, p = jobs.need[env[b].first + head], env[b].free, now, 0
    while free < need:
        free += st.held[b, p]
        shadow = max(st.due[b, p], now)
        p += 1
    while p < env[b].running and st.due[b, p] <= shadow:
        free += st.held[b, p]
        p += 1
    return shadow, free - need


@part
def _find_overtakers(st: State, jobs: Jobs, look: Look, b: int) -> None:
    """Fill the window with the head and those that may overtake it, by submit time."""
    env, first, rows, window = st.env, st.env[b].first, 1, look.shown.shape[1]
    head = st.line[b, 0]
    shadow, extra = np.inf, env[b].free
    if look.kind == OVERTAKE_EASY:
        shadow, extra = _shadow(st, jobs, b, head)
    look.shown[b, 0] = head
    for p in range(env[b].queued):
        k = st.fifo[b, p]
        need = jobs.need[first + k]
        if k == head or need > env[b].free or rows == window:
            continue
        if need <= extra or env[b].now + jobs.request[first + k] <= shadow:
            look.shown[b, rows] = k
            rows += 1
    look.rows[b] = rows


@part
def _advance(st: State, jobs: Jobs, rule: Rule, look: Look, b: int) -> None:
    """Go on to the next decision, or to the end: nobody waits then."""
    env = st.env
    look.rows[b] = 0
    if look.kind == CHOOSE:
        await_job(st, jobs, rule, b)
        return
    while env[b].queued > 0 or env[b].arrived < env[b].count:
        while env[b].queued > 0:
            line_up(st, jobs, rule, b)
            k = st.line[b, 0]
            if jobs.need[env[b].first + k] > env[b].free:
                break
            begin(st, jobs, rule, b, k)
        if env[b].queued > 1:
            _find_overtakers(st, jobs, look, b)
            if look.rows[b] > 1:
                return
        if env[b].queued > 0 or env[b].arrived < env[b].count:
            instant(st, jobs, rule, b)
    look.rows[b] = 0


@part
def _show(st: State, jobs: Jobs, rule: Rule, look: Look, b: int) -> None:
    """Write the rows; features are those of `gridtwin.policy.rl.batched`."""
    obs, first, now, free = look.obs, st.env[b].first, st.env[b].now, st.env[b].free
    share = np.float32(free / rule.cores)
    crowd = np.float32(st.env[b].queued / (st.env[b].queued + look.shown.shape[1]))
    for row in range(look.rows[b]):
        j = first + look.shown[b, row]
        wait = max(now - jobs.submit[j], 0.0)
        for c in range(FEATURES):
            obs[b, row, c] = look.fixed[j, c]
        if look.clean:
            obs[b, row, 0] = wait / (wait + _HOUR)
            obs[b, row, 3] = wait / (wait + max(jobs.request[j], 1.0))
            obs[b, row, 4] = share
            obs[b, row, 5] = 1.0 if jobs.need[j] <= free else 0.0
            obs[b, row, 6] = crowd
        else:
            obs[b, row, 0] = min(wait * _PER_TWELVE_HOURS, _ALMOST)
            obs[b, row, 7] = _ALMOST if jobs.need[j] <= free else 1e-5


@part
def _observe(st: State, jobs: Jobs, rule: Rule, look: Look, b: int) -> None:
    """Write the window; what is padding already stays."""
    if look.kind == CHOOSE:
        waiting = st.env[b].queued
        if waiting > look.shown.shape[1]:
            _fill_in_turns(st, look, b)
        else:
            look.rows[b] = waiting
            for row in range(waiting):
                look.shown[b, row] = st.fifo[b, row]
    rows = look.rows[b]
    _show(st, jobs, rule, look, b)
    for row in range(look.written[b], rows):
        look.mask[b, row] = 1
    if look.kind != CHOOSE and rows > 0 and look.clean:
        _tell_delays(st, jobs, look, b)
    for row in range(rows, look.written[b]):
        for c in range(FEATURES):
            look.obs[b, row, c] = look.padding[c]
        look.mask[b, row] = 0
    look.mask[b, 0] = 1  # at the end, too, where any action is ignored: somebody may draw one
    look.written[b] = rows


@part
def _tell_delays(st: State, jobs: Jobs, look: Look, b: int) -> None:
    """Tell in feature 6 who is not expected to delay the head."""
    first = st.env[b].first
    shadow, extra = _shadow(st, jobs, b, look.shown[b, 0])
    for row in range(look.rows[b]):
        j = first + look.shown[b, row]
        harmless = jobs.need[j] <= extra or st.env[b].now + jobs.request[j] <= shadow
        look.obs[b, row, 6] = 1.0 if row == 0 or harmless else 0.0


@rare
def _score(st: State, jobs: Jobs, rule: Rule, look: Look, b: int) -> float:
    """Return the objective of a sequence whose jobs have all started."""
    first, count, aim, until = st.env[b].first, st.env[b].count, look.objective, -np.inf
    slowdown, wait, run, area = 0.0, 0.0, 0.0, 0.0
    by_user = aim >= MEAN_USER
    for k in range(count):
        j = first + k
        waited, ran = st.start[b, k] - jobs.submit[j], jobs.run[j]
        slow = max(1.0, (waited + ran) / max(ran, 10.0))
        slowdown += slow
        wait += waited
        run += ran
        area += ran * jobs.need[j]
        until = max(until, st.start[b, k] + (0.0 if rule.compat else ran))
        if by_user:
            look.per_user[jobs.user[j], 0] += slow
            look.per_user[jobs.user[j], 1] += 1.0
    if by_user:
        return _by_user(st, jobs, look, b)
    if aim == UTILIZATION:
        span = (until - jobs.submit[first]) * rule.cores
        return area / span if span > 0.0 else 0.0
    total = slowdown if aim == BSLD else wait if aim == WAIT else wait + run
    return total / count


@part
def _by_user(st: State, jobs: Jobs, look: Look, b: int) -> float:
    """Return mean, largest or Jain's index of the users' averages; clear their sums."""
    users, total, squares, largest = 0, 0.0, 0.0, 0.0
    for k in range(st.env[b].count):
        user = jobs.user[st.env[b].first + k]
        if look.per_user[user, 1] > 0.0:
            average = look.per_user[user, 0] / look.per_user[user, 1]
            look.per_user[user, 0] = look.per_user[user, 1] = 0.0
            users += 1
            total += average
            squares += average * average
            largest = max(largest, average)
    if look.objective == FAIRNESS:
        return total * total / (users * squares)
    return largest if look.objective == WORST_USER else total / users


@part
def _act(st: State, jobs: Jobs, rule: Rule, look: Look, b: int, action: int) -> None:
    """Do what was decided; what is no row means row 0."""
    row = action
    if row < 0 or row >= look.rows[b]:
        look.illegal[b] += 1
        row = 0
    k = look.shown[b, row]
    if look.kind == CHOOSE:
        choose(st, jobs, rule, b, k)
    elif row == 0:
        instant(st, jobs, rule, b)
    else:
        begin(st, jobs, rule, b, k)
        st.env[b].decisions += 1


@structref.register
class _TablesType(types.StructRef):  # type: ignore[misc]
    """The compiled type of `Tables`."""


class Tables(structref.StructRefProxy):  # type: ignore[misc]
    """All tables under one reference: to hand over forty arrays at each call takes 10 µs."""

    def __new__(cls, st: State, jobs: Jobs, rule: Rule, look: Look) -> Self:
        """Refer to the tables."""
        made: Self = structref.StructRefProxy.__new__(cls, st, jobs, rule, look)
        return made


structref.define_proxy(Tables, _TablesType, ["state", "jobs", "rule", "look"])


def _entry(version: str) -> Compiled:
    """Return the entry, compiled anew when any part of the machine changes."""

    def step_all(tables, action, what, first, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018 - see `gridtwin.sim.kernel.jit.sources`
        st, jobs, rule, look = tables.state, tables.jobs, tables.rule, tables.look
        for b in range(len(what)):
            if what[b] == LEAVE:
                continue
            look.reward[b], look.done[b] = 0.0, False
            again = what[b] == ANEW
            while again or look.over[b] == 0:
                if again:
                    clear(st, jobs, rule, b, first[b], count)
                    look.over[b] = look.ordered[b] = 0
                elif st.env[b].queued > 0:
                    _act(st, jobs, rule, look, b, action[b])
                _advance(st, jobs, rule, look, b)
                if again or st.env[b].queued > 0:
                    break
                score = _score(st, jobs, rule, look, b)
                better = look.objective == UTILIZATION or look.objective == FAIRNESS
                look.score[b], look.reward[b] = score, score if better else -score
                look.done[b], look.over[b] = True, 1
                again = look.same_step != 0
            _observe(st, jobs, rule, look, b)

    return compiled(step_all)


step_all: Any = _entry(fingerprint())
"""``step_all(tables, action, what, first, count)``: do with each sequence `what` says
(`STEP`, `ANEW`, `LEAVE`) and write all that `Look` shows; those that begin do so at job `first`."""
