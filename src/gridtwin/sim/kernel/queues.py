"""Who is next at a site: the queue, its order, and who may overtake."""

import numpy as np

from gridtwin.sim.kernel.backfill import expected, plan, profile_of, shadow_of, usable
from gridtwin.sim.kernel.called import line_up
from gridtwin.sim.kernel.codes import Backfilling, Ordering
from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.life import begin, note_load
from gridtwin.sim.kernel.state import State

__all__ = ["enter", "serve_queue"]

_FCFS, _PRIORITY, _FAIR = (
    int(Ordering.FCFS),
    int(Ordering.PRIORITY),
    int(Ordering.FAIR_SHARE),
)
_CALLED = int(Ordering.CALLED)
_NO_BACKFILL, _EASY = int(Backfilling.NONE), int(Backfilling.EASY)


@part
def pool_for(st: State, s: int, job: int) -> int:
    """Return the first of a site's pools that has room for a job now, -1 if none has."""
    for p in range(st.sites[s].first_pool, st.sites[s].last_pool):
        if usable(st, p) >= st.jobs[job].cores and st.pools[p].memory_free >= st.jobs[job].memory:
            return p
    return -1


@rare
def enter(st: State, a: int, now: float) -> None:
    """Let an attempt come to its site: it starts at once where nobody waits and there is room."""
    s, job = st.attempts[a].site, st.attempts[a].job
    if st.sites[s].queued == 0 and st.sites[s].order != _CALLED:
        p = pool_for(st, s, job)
        if p >= 0:
            if st.sites[s].order == _FAIR:
                _use(st, s, job, now)
            begin(st, a, p, now)
            note_load(st, s)
            return
    _append(st, a)
    note_load(st, s)
    if not st.sites[s].touched:
        st.touched[st.world[0].touched % len(st.touched)] = s
        st.world[0].touched += 1
        st.sites[s].touched = 1


@rare
def _append(st: State, a: int) -> None:
    attempts, s = st.attempts, st.attempts[a].site
    st.sites[s].queued += 1
    if st.sites[s].order == _FAIR:
        _append_user(st, a)
    elif st.sites[s].order == _PRIORITY and st.sites[s].backfill == _NO_BACKFILL:
        attempts[a].next = attempts[a].previous = -1
        head = st.sites[s].head if st.sites[s].queued > 1 else -1
        st.sites[s].head = _join(st, head, a)
    else:
        _insert(st, s, a)


@rare
def _insert(st: State, s: int, a: int) -> None:
    """Put an attempt into the list of its site's queue: last, or behind those of its priority."""
    attempts, ahead = st.attempts, st.sites[s].tail if st.sites[s].queued > 1 else -1
    if st.sites[s].order == _PRIORITY:
        while ahead >= 0 and _before(st, a, ahead):
            ahead = attempts[ahead].previous
    behind = st.sites[s].head if st.sites[s].queued > 1 else -1
    if ahead >= 0:
        behind = attempts[ahead].next
        attempts[ahead].next = a
    else:
        st.sites[s].head = a
    attempts[a].previous = ahead
    attempts[a].next = behind
    if behind >= 0:
        attempts[behind].previous = a
    else:
        st.sites[s].tail = a


@rare
def _leave(st: State, s: int, a: int) -> None:
    """Take an attempt out of the list."""
    attempts, ahead, behind = st.attempts, st.attempts[a].previous, st.attempts[a].next
    if ahead >= 0:
        attempts[ahead].next = behind
    else:
        st.sites[s].head = behind
    if behind >= 0:
        attempts[behind].previous = ahead
    else:
        st.sites[s].tail = ahead
    st.sites[s].queued -= 1


@rare
def _before(st: State, a: int, b: int) -> bool:
    first, second = (
        st.jobs[st.attempts[a].job].priority,
        st.jobs[st.attempts[b].job].priority,
    )
    return first > second or (first == second and a < b)


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
        earlier = best >= 0 and a < best
        if used < lowest or (used == lowest and earlier):
            best, lowest = a, used
    return best


@part
def _first(st: State, s: int, now: float) -> int:
    if st.sites[s].order == _FAIR:
        return _least_used(st, s, now)
    return st.sites[s].head


@rare
def _take(st: State, s: int, a: int, now: float) -> None:
    """Take the first one out of the queue."""
    if st.sites[s].order == _FAIR:
        st.sites[s].queued -= 1
        _take_user(st, s, a, now)
    elif st.sites[s].order == _PRIORITY and st.sites[s].backfill == _NO_BACKFILL:
        st.sites[s].queued -= 1
        st.sites[s].head = _join(st, st.attempts[a].next, st.attempts[a].previous)
    else:
        _leave(st, s, a)


@rare
def _take_user(st: State, s: int, a: int, now: float) -> None:
    """Take a user's first job out."""
    users, job = st.users, st.attempts[a].job
    user = st.jobs[job].user
    users[s, user, 0] = st.attempts[a].next
    if st.attempts[a].next < 0:
        last = st.sites[s].waiting - 1
        place, other = users[s, user, 2], users[s, last, 3]
        users[s, place, 3] = other
        users[s, other, 2] = place
        st.sites[s].waiting = last
    _use(st, s, job, now)


@rare
def _use(st: State, s: int, job: int, now: float) -> None:
    """Count what a job is expected to use as used from now on."""
    usage, user = st.usage, st.jobs[job].user
    long = expected(st, job, st.sites[s].first_pool)
    decay = 0.5 ** ((now - usage[s, user, 1]) / st.world[0].half_life)
    usage[s, user, 0] = usage[s, user, 0] * decay + long * st.jobs[job].cores
    usage[s, user, 1] = now


@rare
def serve_queue(st: State, s: int, now: float) -> int:
    """Start what can start at a site; return 1 if its policy named nobody that waits."""
    st.sites[s].touched = 0
    if st.sites[s].order == _CALLED and _start_named(st, s, now):
        return 1
    while st.sites[s].queued:
        a = _first(st, s, now)
        p = pool_for(st, s, st.attempts[a].job)
        if p < 0:
            break
        _take(st, s, a, now)
        begin(st, a, p, now)
    if st.sites[s].backfill and st.sites[s].queued > 1 and st.sites[s].open > 0.0:
        if st.sites[s].backfill == _EASY:
            _easy(st, s, now)
        else:
            _conservative(st, s, now)
    note_load(st, s)
    return 0


@rare
def _start_named(st: State, s: int, now: float) -> int:
    """Start who is named next while it fits; else let it stand first. Return 1 to stop."""
    called = st.called
    while st.sites[s].queued:
        if not called[s].commits and not _is_free(st, s):
            return 0
        if line_up(st, s, now):
            return 1
        a = st.sites[s].head
        p = pool_for(st, s, st.attempts[a].job)
        if p < 0:
            if called[s].commits:
                called[s].chosen = a
            return 0
        called[s].chosen = -1
        _leave(st, s, a)
        begin(st, a, p, now)
    return 0


@rare
def _is_free(st: State, s: int) -> bool:
    most = 0
    for p in range(st.sites[s].first_pool, st.sites[s].last_pool):
        most = max(most, usable(st, p))
    return most > 0


@rare
def _easy(st: State, s: int, now: float) -> None:
    """Start what fits and does not delay the first (Lifka, JSSPP 1995)."""
    attempts, p = st.attempts, st.sites[s].first_pool
    free, room = usable(st, p), st.pools[p].memory_free
    shadow, extra, spare = shadow_of(st, s, attempts[st.sites[s].head].job, free, room, now)
    a, left = attempts[st.sites[s].head].next, st.world[0].depth
    while a >= 0 and left > 0 and free > 0:
        behind, job = attempts[a].next, attempts[a].job
        width, memory = st.jobs[job].cores, st.jobs[job].memory
        if width <= free and memory <= st.pools[p].memory_free:
            in_time = now + expected(st, job, p) <= shadow
            if in_time or (width <= extra and memory <= spare):
                if not in_time:
                    extra -= width
                    spare -= memory
                free -= width
                _leave(st, s, a)
                begin(st, a, p, now)
        a = behind
        left -= 1


@rare
def _conservative(st: State, s: int, now: float) -> None:
    """Plan all in order, each as early as what is planned before lets it; start who is due now."""
    attempts, p = st.attempts, st.sites[s].first_pool
    count = profile_of(st, s, usable(st, p), st.pools[p].memory_free, now)
    a, left = st.sites[s].head, st.world[0].depth + 1
    while a >= 0 and left > 0:
        behind, job = attempts[a].next, attempts[a].job
        at, count = plan(st, count, job, expected(st, job, p))
        if at == 0 and st.pools[p].memory_free >= st.jobs[job].memory:
            _leave(st, s, a)
            begin(st, a, p, now)
        a = behind
        left -= 1
