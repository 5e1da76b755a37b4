"""Backfilling: who may start while the head of the queue waits."""

import numpy as np

from gridtwin.policy.batch.order import leave, use
from gridtwin.policy.batch.state import CONSERVATIVE, NO_BACKFILL, STATIC, Jobs, Rule, State
from gridtwin.sim.kernel.jit import part, rare

__all__ = ["begin", "finish", "overtake", "overtake_before", "reservation"]


@part
def begin(st: State, jobs: Jobs, rule: Rule, b: int, k: int) -> None:
    """Start a job that waits and fits."""
    env, ends, who, now = st.env, st.ends, st.who, st.env[b].now
    j = env[b].first + k
    leave(st, rule, b, k)
    use(st, jobs, rule, b, j)
    st.start[b, k] = now
    env[b].free -= jobs.need[j]
    end, p = now + jobs.run[j], env[b].running
    while p > 0 and ends[b, p - 1] <= end:  # of equal ends the earlier started is the next
        ends[b, p] = ends[b, p - 1]
        who[b, p] = who[b, p - 1]
        p -= 1
    ends[b, p] = end
    who[b, p] = k
    if rule.backfill != NO_BACKFILL:
        due, held = now + jobs.request[j], st.held
        p = env[b].running
        while p > 0 and st.due[b, p - 1] > due:
            st.due[b, p] = st.due[b, p - 1]
            held[b, p] = held[b, p - 1]
            p -= 1
        st.due[b, p] = due
        held[b, p] = jobs.need[j]
    env[b].running += 1


@part
def finish(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Let the next running job end."""
    env = st.env
    env[b].running -= 1
    last = env[b].running
    k = st.who[b, last]
    j = env[b].first + k
    env[b].free += jobs.need[j]
    env[b].blocked = -1
    if rule.backfill != NO_BACKFILL:
        due, low, high = st.start[b, k] + jobs.request[j], 0, last + 1
        while low < high:
            middle = (low + high) >> 1
            if st.due[b, middle] < due:
                low = middle + 1
            else:
                high = middle
        while st.held[b, low] != jobs.need[j]:  # equal times and sizes are alike
            low += 1
        for p in range(low, last):
            st.due[b, p] = st.due[b, p + 1]
            st.held[b, p] = st.held[b, p + 1]


@part
def reservation(st: State, jobs: Jobs, b: int, need: int) -> float:
    """Return when a job is expected to fit, by ``compat``; sorts equal ends as that would.

    Ends that are equal stand in the order in which the list of running jobs was last sorted, by
    requested end, at such a time.
    """
    env, ends, who, first = st.env, st.ends, st.who, st.env[b].first
    free, when = env[b].free, env[b].now
    for p in range(env[b].running):
        free += st.held[b, p]
        when = st.due[b, p]
        if free >= need:
            break
    last = env[b].running - 1
    for p in range(last - 1, -1, -1):
        k, q, end = who[b, p], p, ends[b, p]
        if ends[b, p + 1] != end:
            continue
        due = st.start[b, k] + jobs.request[first + k]
        while q < last and ends[b, q + 1] == end:
            other = who[b, q + 1]
            if st.start[b, other] + jobs.request[first + other] <= due:
                break
            who[b, q] = other
            q += 1
        who[b, q] = k
    return when


@part
def overtake_before(st: State, jobs: Jobs, rule: Rule, b: int, when: float, newest: bool) -> None:
    """Start all that fit and are expected to end before a time, by submit time (``compat``).

    `newest`: only the last arrival can, for nothing else has happened since the others were seen.
    """
    env, fifo, p = st.env, st.fifo, 0
    if newest:
        k = env[b].arrived - 1
        j = env[b].first + k
        if jobs.need[j] <= env[b].free and env[b].now + jobs.request[j] < when:
            begin(st, jobs, rule, b, k)
        return
    while p < env[b].queued and env[b].free > 0:
        k = fifo[b, p]
        j = env[b].first + k
        if jobs.need[j] <= env[b].free and env[b].now + jobs.request[j] < when:
            begin(st, jobs, rule, b, k)
        else:
            p += 1
    env[b].timed = 1


@part
def overtake(st: State, jobs: Jobs, rule: Rule, b: int, head: int, by_score: bool) -> None:
    """Start who may overtake the head, in order of score or of submit time."""
    env = st.env
    if env[b].free <= 0 or env[b].running == 0 or env[b].queued < 2:
        return
    if rule.backfill == CONSERVATIVE:
        _conservative(st, jobs, rule, b, head, by_score)
        return
    # without a completion, and while nobody runs longer than asked, only new ones can fit in
    newest = rule.kind == STATIC and env[b].blocked == head and st.due[b, 0] > env[b].now
    since = env[b].seen if newest else 0
    if since < env[b].arrived:
        _easy(st, jobs, rule, b, head, by_score, since)
    env[b].blocked, env[b].seen = head, env[b].arrived


@part
def _waiting(st: State, b: int, p: int, by_score: bool) -> int:
    return st.line[b, p] if by_score else st.fifo[b, p]


@part
def _easy(st: State, jobs: Jobs, rule: Rule, b: int, head: int, by_score: bool, since: int) -> None:
    """Start what fits and does not delay the head (Lifka, JSSPP 1995)."""
    env, first, now = st.env, st.env[b].first, st.env[b].now
    need, free, shadow, p = jobs.need[first + head], env[b].free, now, 0
    while free < need:
        free += st.held[b, p]
        shadow = max(st.due[b, p], now)
        p += 1
    while p < env[b].running and st.due[b, p] <= shadow:
        free += st.held[b, p]
        p += 1
    extra = free - need
    p = 0 if by_score else max(env[b].queued - (env[b].arrived - since), 0)  # new ones stand last
    while p < env[b].queued and env[b].free > 0:
        k = _waiting(st, b, p, by_score)
        j = first + k
        if k >= since and k != head and jobs.need[j] <= env[b].free:
            in_time = now + jobs.request[j] <= shadow
            if in_time or jobs.need[j] <= extra:
                if not in_time:
                    extra -= jobs.need[j]
                begin(st, jobs, rule, b, k)
                continue
        p += 1


@rare
def _conservative(st: State, jobs: Jobs, rule: Rule, b: int, head: int, by_score: bool) -> None:
    """Plan all in order, each as early as those before let it; start who is due now."""
    env, first = st.env, st.env[b].first
    least = np.int64(2**62)
    for p in range(env[b].queued):
        k = _waiting(st, b, p, by_score)
        if k != head:
            least = min(least, jobs.need[first + k])
    count = _profile(st, b)
    _, count = _plan(st, b, count, jobs.need[first + head], jobs.request[first + head])
    p = 0
    while p < env[b].queued and st.profile[b, 0, 1] >= least:
        k = _waiting(st, b, p, by_score)
        p += 1
        if k == head:
            continue
        at, count = _plan(st, b, count, jobs.need[first + k], jobs.request[first + k])
        if at == 0:
            begin(st, jobs, rule, b, k)
            p -= 1


@part
def _profile(st: State, b: int) -> int:
    """Lay out what will be free from when on; return the number of times."""
    profile, now, count = st.profile, st.env[b].now, 1
    profile[b, 0, 0] = now
    profile[b, 0, 1] = st.env[b].free
    soon = np.nextafter(now, np.inf)
    for p in range(st.env[b].running):
        end = max(st.due[b, p], soon)  # past its time: it may end any moment, but runs now
        if end > profile[b, count - 1, 0]:
            profile[b, count, 0] = end
            profile[b, count, 1] = profile[b, count - 1, 1]
            count += 1
        profile[b, count - 1, 1] += st.held[b, p]
    return count


@part
def _plan(st: State, b: int, count: int, need: int, long: float) -> tuple[int, int]:
    """Reserve at the earliest time that lasts long enough; return its place, and the times now.

    Feitelson and Weil, IPPS 1998. The last time has the whole machine free, so that one is found.
    """
    profile, at, k, end = st.profile, 0, 0, 0.0
    while True:
        start = profile[b, at, 0]
        end, k = max(start + long, np.nextafter(start, np.inf)), at
        while k < count and profile[b, k, 0] < end and profile[b, k, 1] >= need:
            k += 1
        if k == count or profile[b, k, 0] >= end:
            break
        at = k + 1
    if k == count or profile[b, k, 0] > end:
        for q in range(count, k, -1):
            profile[b, q, 0] = profile[b, q - 1, 0]
            profile[b, q, 1] = profile[b, q - 1, 1]
        profile[b, k, 0] = end
        profile[b, k, 1] = profile[b, k - 1, 1]
        count += 1
    for q in range(at, k):
        profile[b, q, 1] -= need
    return at, count
