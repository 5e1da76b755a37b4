"""Who is next at a site: the queue, its order, and who may overtake."""

import numpy as np

from gridtwin.sim.kernel.codes import Backfilling, Ordering
from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.life import begin, note_load
from gridtwin.sim.kernel.state import State

__all__ = ["enter", "serve_queue"]

_FCFS, _PRIORITY, _FAIR = int(Ordering.FCFS), int(Ordering.PRIORITY), int(Ordering.FAIR_SHARE)
_NO_BACKFILL = int(Backfilling.NONE)


@part
def pool_for(st: State, s: int, job: int) -> int:
    """Return the first of a site's pools that has room for a job now, -1 if none has."""
    pools, cores, memory = st.pools, st.jobs[job].cores, st.jobs[job].memory
    for p in range(st.sites[s].first_pool, st.sites[s].last_pool):
        free = pools[p].free
        if st.sites[s].open < 1.0:
            free -= int(np.ceil(pools[p].cores * (1.0 - st.sites[s].open)))
        if free >= cores and pools[p].memory_free >= memory:
            return p
    return -1


@part
def enter(st: State, a: int, now: float) -> None:
    """Let an attempt come to its site: it starts at once where nobody waits and there is room."""
    s, job = st.attempts[a].site, st.attempts[a].job
    if st.sites[s].queued == 0:
        p = pool_for(st, s, job)
        if p >= 0:
            begin(st, a, p, now)
            note_load(st, s)
            return
    _append(st, a)
    note_load(st, s)
    if not st.sites[s].touched:
        st.touched[st.world[0].touched] = s
        st.world[0].touched += 1
        st.sites[s].touched = 1


@part
def _append(st: State, a: int) -> None:
    attempts, s = st.attempts, st.attempts[a].site
    attempts[a].order = st.world[0].order
    st.world[0].order += 1
    st.sites[s].queued += 1
    if st.sites[s].order == _FCFS:
        tail = st.sites[s].tail
        attempts[a].next = -1
        attempts[a].previous = tail
        if st.sites[s].queued == 1:
            st.sites[s].head = a
        else:
            attempts[tail].next = a
        st.sites[s].tail = a
    elif st.sites[s].order == _PRIORITY:
        attempts[a].next = attempts[a].previous = -1
        head = st.sites[s].head if st.sites[s].queued > 1 else -1
        st.sites[s].head = _join(st, head, a)
    else:
        _append_user(st, a)


@part
def _before(st: State, a: int, b: int) -> bool:
    first, second = st.jobs[st.attempts[a].job].priority, st.jobs[st.attempts[b].job].priority
    return first > second or (first == second and st.attempts[a].order < st.attempts[b].order)


@rare
def _join(st: State, a: int, b: int) -> int:
    """Join two heaps of attempts by priority (skew heaps; `next` and `previous` are below)."""
    attempts = st.attempts
    if a < 0 or b < 0:
        return max(a, b)
    if _before(st, b, a):
        a, b = b, a
    root = a
    while True:
        right = attempts[a].next
        attempts[a].next = attempts[a].previous
        if right < 0:
            attempts[a].previous = b
            return root
        if _before(st, b, right):
            right, b = b, right
        attempts[a].previous = right
        a = right


@rare
def _append_user(st: State, a: int) -> None:
    attempts, s, users = st.attempts, st.attempts[a].site, st.users
    user = st.jobs[attempts[a].job].user
    attempts[a].next = -1
    if users[s, user, 0] < 0:
        users[s, user, 0] = a
        users[s, user, 2] = st.sites[s].waiting
        users[s, st.sites[s].waiting, 3] = user
        st.sites[s].waiting += 1
    else:
        attempts[users[s, user, 1]].next = a
    users[s, user, 1] = a


@rare
def _least_used(st: State, s: int, now: float) -> int:
    """Return the first job of the user that used the site least lately."""
    best, lowest, half_life = -1, np.inf, st.world[0].half_life
    for k in range(st.sites[s].waiting):
        user = st.users[s, k, 3]
        a = st.users[s, user, 0]
        used = st.usage[s, user, 0] * 0.5 ** ((now - st.usage[s, user, 1]) / half_life)
        earlier = best >= 0 and st.attempts[a].order < st.attempts[best].order
        if used < lowest or (used == lowest and earlier):
            best, lowest = a, used
    return best


@part
def _first(st: State, s: int, now: float) -> int:
    if st.sites[s].order == _FAIR:
        return _least_used(st, s, now)
    return st.sites[s].head  # type: ignore[no-any-return]


@part
def _take(st: State, s: int, a: int, now: float) -> None:
    """Take the first one out of the queue."""
    attempts = st.attempts
    st.sites[s].queued -= 1
    if st.sites[s].order == _FCFS:
        st.sites[s].head = attempts[a].next
        if attempts[a].next >= 0:
            attempts[attempts[a].next].previous = -1
    elif st.sites[s].order == _PRIORITY:
        st.sites[s].head = _join(st, attempts[a].next, attempts[a].previous)
    else:
        _take_user(st, s, a, now)


@rare
def _take_user(st: State, s: int, a: int, now: float) -> None:
    """Take a user's first job out; count what it asked for as used from now on."""
    users, usage, job = st.users, st.usage, st.attempts[a].job
    user = st.jobs[job].user
    users[s, user, 0] = st.attempts[a].next
    if st.attempts[a].next < 0:
        last = st.sites[s].waiting - 1
        place, other = users[s, user, 2], users[s, last, 3]
        users[s, place, 3] = other
        users[s, other, 2] = place
        st.sites[s].waiting = last
    request = st.jobs[job].request
    long = request if request < np.inf else st.jobs[job].run
    decay = 0.5 ** ((now - usage[s, user, 1]) / st.world[0].half_life)
    usage[s, user, 0] = usage[s, user, 0] * decay + long * st.jobs[job].cores
    usage[s, user, 1] = now


@part
def serve_queue(st: State, s: int, now: float) -> None:
    """Start what can start at a site."""
    st.sites[s].touched = 0
    while st.sites[s].queued:
        a = _first(st, s, now)
        p = pool_for(st, s, st.attempts[a].job)
        if p < 0:
            break
        _take(st, s, a, now)
        begin(st, a, p, now)
    note_load(st, s)
