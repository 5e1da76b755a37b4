"""The grid kernel's clock: what happens next, at all sites and on all links."""

import numpy as np

from gridtwin.sim.kernel.codes import LATER, Brokerage, Draw, Outcome
from gridtwin.sim.kernel.events import (
    FIRST,
    FLOW,
    KILL,
    OUTAGE,
    QUEUE,
    READY,
    TIMER,
    earlier,
    holds,
    id_of,
    kind_of,
    pop,
    push,
    uniform,
)
from gridtwin.sim.kernel.handle import prefetch
from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare, sources
from gridtwin.sim.kernel.life import (
    CLOSED,
    break_off,
    decide,
    flow_begins,
    flow_ends,
    note_load,
    timer,
)
from gridtwin.sim.kernel.network import end_flow, level
from gridtwin.sim.kernel.queues import enter, serve_queue
from gridtwin.sim.kernel.state import State

__all__ = ["advance"]

_NO_SITE, _PARENT = int(Outcome.NO_SITE), int(Outcome.PARENT_FAILED)
_OUT, _WALLTIME = int(Outcome.OUTAGE), int(Outcome.WALLTIME)
_ROUND, _RANDOM = int(Brokerage.ROUND_ROBIN), int(Brokerage.RANDOM)
_DATA, _CALLED = int(Brokerage.DATA_LOCAL), int(Brokerage.CALLED)
_ELSEWHERE, _SITE = int(Draw.ELSEWHERE), int(Draw.SITE)
DONE, REACHED, LIMIT, STOPPED, ASKED = range(5)


@part
def _fits(st: State, s: int, job: int) -> bool:
    if st.sites[s].widest < st.jobs[job].cores:
        return False
    if st.jobs[job].memory <= 0.0:
        return True
    for p in range(st.sites[s].first_pool, st.sites[s].last_pool):
        if st.pools[p].cores >= st.jobs[job].cores and st.pools[p].memory >= st.jobs[job].memory:
            return True
    return False


@part
def _least(st: State, job: int, avoid: int) -> int:
    """Return the first of the sites with the least load that the job fits, -1 if there is none."""
    best, lowest = -1, np.inf
    for s in range(len(st.load)):
        if st.load[s] < lowest and s != avoid and _fits(st, s, job):
            best, lowest = s, st.load[s]
            if lowest <= 0.0:
                break
    return best


@rare
def _other(st: State, job: int, avoid: int) -> int:
    """Choose by the rules that the least load does not cover."""
    rule, n = st.world[0].broker, len(st.load)
    if rule == _DATA:
        best, most, lowest = -1, -1.0, np.inf
        for s in range(n):
            if s == avoid or not _fits(st, s, job):
                continue
            here = 0.0
            for k in range(st.input_ptr[job], st.input_ptr[job + 1]):
                r = st.file_head[st.input_file[k]]
                while r >= 0:
                    if st.replicas[r].node == s:
                        here += st.file_bytes[st.input_file[k]]
                        break
                    r = st.replicas[r].next
            if st.load[s] >= CLOSED:
                here = -0.5
            if here > most or (here == most and st.load[s] < lowest):
                best, most, lowest = s, here, st.load[s]
        return best
    number = st.jobs[job].attempts
    at = int(uniform(st, job, number, _SITE) * n) if rule == _RANDOM else st.world[0].turn
    for open_only in range(2):
        for k in range(n):
            s = (at + k) % n
            shut = st.load[s] >= CLOSED
            if s != avoid and (open_only or not shut) and _fits(st, s, job):
                if rule == _ROUND:
                    st.world[0].turn = (s + 1) % n
                return s
    return -1


@rare
def _site_for(st: State, job: int, last: int) -> int:
    """Return where an attempt goes; a retry may avoid the site of the last one."""
    fixed = st.jobs[job].site
    if fixed >= 0:
        return fixed if _fits(st, fixed, job) else -1
    avoid = -1
    if last >= 0 and uniform(st, job, st.jobs[job].attempts, _ELSEWHERE) < st.world[0].elsewhere:
        avoid = last
    s = _least(st, job, avoid) if st.world[0].broker < _ROUND else _other(st, job, avoid)
    if s < 0 and avoid >= 0:
        s = _least(st, job, -1) if st.world[0].broker < _ROUND else _other(st, job, -1)
    return s


@rare
def _arrive(st: State, job: int, s: int, now: float) -> None:
    """Make an attempt of a job and send it to a site."""
    attempts, a = st.attempts, st.world[0].attempts
    st.world[0].attempts = a + 1
    attempts[a].job = job
    attempts[a].number = st.jobs[job].attempts
    attempts[a].site = s
    attempts[a].pool = -1
    attempts[a].ready = now
    attempts[a].start = np.nan
    attempts[a].staged = np.nan
    attempts[a].computed = np.nan
    attempts[a].end = np.nan
    attempts[a].outcome = 0
    attempts[a].code = -1
    st.jobs[job].attempts += 1
    if s < 0:
        attempts[a].outcome = _NO_SITE
        decide(st, job, _NO_SITE, now)
        return
    st.jobs[job].outcome = -1 - a  # the last attempt, until the end is known
    st.sites[s].held += st.jobs[job].cores
    if st.sites[s].dispatch > 0.0:
        st.sites[s].coming += 1
        note_load(st, s)
        push(st.heap, now + st.sites[s].dispatch, QUEUE, a, 0)
    else:
        enter(st, a, now)


@rare
def _outage(st: State, row: int, now: float) -> None:
    """Open or close a site."""
    s, share = int(st.outage[row, 1]), st.outage[row, 2]
    st.sites[s].open = share
    note_load(st, s)
    if not st.sites[s].touched:
        st.touched[st.world[0].touched % len(st.touched)] = s
        st.world[0].touched += 1
        st.sites[s].touched = 1
    if share > 0.0 or not st.world[0].kill:
        return
    for slot in range(st.world[0].slots):
        a = st.slots[slot].attempt
        if a >= 0 and st.attempts[a].site == s:
            break_off(st, slot, _OUT, now)


@rare
def _doom(st: State, job: int, now: float) -> None:
    """Give up a job whose parent failed, once."""
    if st.jobs[job].outcome == 0 and st.jobs[job].attempts == 0:
        decide(st, job, _PARENT, now)


@part
def _look_ahead(st: State) -> None:
    """Fetch what the next events are about while this one is done: that is most of the waiting.

    The next one's slot was fetched when it stood below the first; now follow its attempt and job.
    """
    heap = st.heap
    if heap[0].what > 4:
        for k in range(FIRST + 1, FIRST + 5):
            prefetch(st.slots, id_of(heap[k].what))
        slot = id_of(heap[FIRST].what)
        if kind_of(heap[FIRST].what) == TIMER and st.slots[slot].attempt >= 0:
            prefetch(st.attempts, st.slots[slot].attempt)
            prefetch(st.jobs, st.slots[slot].job)


@rare
def _event(st: State, ask: object, now: float) -> int:
    """Do what the first event of the heaps says; return 1 to stop."""
    if earlier(st.soon, FIRST, st.heap, FIRST):
        what = pop(st.soon)
    else:
        what = pop(st.heap)
        _look_ahead(st)
    kind, id_ = kind_of(what), id_of(what)
    if kind == TIMER:
        if holds(what, st.slots[id_].stamp):
            timer(st, id_, now)
    elif kind == FLOW:
        if holds(what, st.slots[id_].flow_stamp):
            flow_begins(st, id_, now)
    elif kind == QUEUE:
        st.sites[st.attempts[id_].site].coming -= 1
        enter(st, id_, now)
    elif kind == READY:
        return _ready(st, ask, id_, now)
    elif kind == KILL:
        if holds(what, st.slots[id_].stamp):
            break_off(st, id_, _WALLTIME, now)
    elif kind == OUTAGE:
        _outage(st, id_, now)
    else:
        _doom(st, id_, now)
    return 0


@rare
def _ready(st: State, ask: object, job: int, now: float) -> int:
    """Broker a job; return 1 to stop, 2 where the broker wants to be asked again."""
    st.world[0].asking = 0
    if st.world[0].broker == _CALLED and st.jobs[job].site < 0:
        st.world[0].now = now
        s = ask(job)  # type: ignore[operator]
        if s == LATER:
            st.world[0].asking = job + 1
            return 2
        if s < -1 or s >= len(st.load) or (s >= 0 and not _fits(st, s, job)):
            st.world[0].turn = s
            return 1
        _arrive(st, job, s, now)
        return 0
    before = st.jobs[job].outcome
    last = st.attempts[-1 - before].site if before < 0 else -1
    _arrive(st, job, _site_for(st, job, last), now)
    return 0


def _clock(version: str) -> Compiled:
    """Make the clock; `version` is there to be compiled in."""

    def advance(st: State, until: float, limit: int, ask: object) -> int:
        """Run the clock; return why it stopped.

        `DONE`: nothing more happens. `REACHED`: the next event is after `until`. `LIMIT`: there
        were `limit` events. `STOPPED`: `ask` gave no site for a job. `ASKED`: it said `LATER`;
        the next call goes on at the same place of the same instant, and asks again.
        """
        if not version:
            return LIMIT
        world, heap, soon, tree, n = st.world, st.heap, st.soon, st.tree, len(st.jobs)
        shared = world[0].level > 1
        events = world[0].events
        why = DONE
        again = world[0].asking > 0
        while True:
            arrived = world[0].arrived
            now = st.jobs[arrived].submit if arrived < n else np.inf
            now = min(now, tree[1], heap[FIRST].time, soon[FIRST].time)
            if again:
                now = world[0].now
            if now == np.inf:
                break
            if now > until:
                why = REACHED
                break
            if events >= limit:
                why = LIMIT
                break
            world[0].now = now
            stop = 0
            if again:
                stop = _ready(st, ask, world[0].asking - 1, now)
                again = False
            else:
                while tree[1] <= now:
                    slot = end_flow(st, now, shared)
                    flow_ends(st, slot, now)
                    events += 1
            while min(heap[FIRST].time, soon[FIRST].time) <= now and not stop:
                stop = _event(st, ask, now)
                events += 1
            while arrived < n and st.jobs[arrived].submit <= now and not stop:
                arrived += 1
                world[0].arrived = arrived  # from now on its last parent's end makes it ready
                if st.jobs[arrived - 1].waits_for == 0:
                    stop = _ready(st, ask, arrived - 1, now)
                events += 1
            if stop > 1:
                why = ASKED
                break
            k = 0
            while k < world[0].touched:
                stop |= serve_queue(st, st.touched[k % len(st.touched)], now)
                k += 1
            world[0].touched = 0
            if shared and world[0].dirty_classes:
                level(st, now)
            if stop:
                why = STOPPED
                break
        world[0].events = events
        return why

    return compiled(advance, _nrt=False)


advance = _clock(sources())
