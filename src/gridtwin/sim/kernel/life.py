"""What a running attempt goes through: pilot, inputs, payload, output, end."""

import numpy as np

from gridtwin.sim.kernel.arrival import COPYING, copy_ends
from gridtwin.sim.kernel.backfill import expect, expected, forget
from gridtwin.sim.kernel.codes import AT_ONCE, Access, Brokerage, Draw, Moves, Outcome
from gridtwin.sim.kernel.events import DOOMED, FLOW, KILL, READY, TIMER, push, uniform
from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.network import LATENCY, add_flow, drop_flow
from gridtwin.sim.kernel.state import State
from gridtwin.sim.kernel.store import keep, replica_for, touch, write

__all__ = [
    "CLOSED",
    "ask_for",
    "begin",
    "break_off",
    "flow_begins",
    "flow_ends",
    "give_up",
    "note_load",
    "timer",
]

_PILOT, _FETCH, _WORK, _STREAM, _STORE = range(5)
_STREAMED = int(Access.STREAM)
_FINISHED, _FAILED, _WALLTIME = (
    int(Outcome.FINISHED),
    int(Outcome.FAILED),
    int(Outcome.WALLTIME),
)
_OUTAGE, _NO_REPLICA = int(Outcome.OUTAGE), int(Outcome.NO_REPLICA)
_FULL = int(Outcome.STORAGE_FULL)
_IN, _BLOCKS, _OUT = int(Moves.STAGE_IN), int(Moves.STREAM), int(Moves.OUTPUT)
_FEWEST = int(Brokerage.FEWEST_JOBS)
_FAILS, _CODE, _MOMENT = int(Draw.FAILS), int(Draw.CODE), int(Draw.MOMENT)
CLOSED = 1e18
"""What a closed site's load has more than it would have: no open site has as much."""


@part
def note_load(st: State, s: int) -> None:
    """Keep what the broker compares."""
    if st.world[0].broker == _FEWEST:
        load = float(st.sites[s].coming + st.sites[s].queued + st.sites[s].running)
    elif st.sites[s].cores:
        load = st.sites[s].held / st.sites[s].cores
    else:
        load = np.inf
    st.load[s] = load if st.sites[s].open > 0.0 else load + CLOSED


@rare
def begin(st: State, a: int, p: int, now: float) -> None:
    """Give an attempt cores of a pool."""
    world, slots = st.world, st.slots
    job, s = st.attempts[a].job, st.attempts[a].site
    slot = world[0].free_slot
    world[0].free_slot = slots[slot].next
    world[0].slots = max(world[0].slots, slot + 1)
    st.attempts[a].start = now
    st.attempts[a].pool = p
    st.pools[p].free -= st.jobs[job].cores
    st.pools[p].memory_free -= st.jobs[job].memory
    st.sites[s].running += 1
    if st.sites[s].backfill:
        expect(st, s, now + expected(st, job, p), job)
    slots[slot].attempt = a
    slots[slot].job = job
    slots[slot].class_ = -1
    slots[slot].replica = -1
    slots[slot].input = st.input_ptr[job]
    if st.sites[s].pilot > 0.0:
        slots[slot].phase = _PILOT
        push(st.heap, now + st.sites[s].pilot, TIMER, slot, slots[slot].stamp)
    elif st.input_ptr[job] == st.input_ptr[job + 1]:
        _work(st, slot, now)
    else:
        _open(st, slot, now)


@rare
def _open(st: State, slot: int, now: float) -> None:
    """Start reading."""
    a = st.slots[slot].attempt
    job = st.attempts[a].job
    due = st.attempts[a].start + st.jobs[job].request
    if due < np.inf:
        push(st.heap, due, KILL, slot, st.slots[slot].stamp)
    if st.jobs[job].access == _STREAMED and _prepare(st, slot):
        _stream(st, slot, now)
    else:
        st.slots[slot].phase = _FETCH
        _fetch(st, slot, now)


@rare
def ask_for(st: State, slot: int, c: int, size: float, now: float) -> None:
    """Ask for bytes by a class; they flow after its latency."""
    slots = st.slots
    slots[slot].reading = size
    slots[slot].class_ = -1
    slots[slot].flow_stamp += 1
    wait = LATENCY * st.classes[c].latency
    slots[slot].left = c  # until the flow begins
    if wait > 0.0:
        push(st.soon, now + wait, FLOW, slot, slots[slot].flow_stamp)
    else:
        _flow(st, slot, now)


@rare
def _flow(st: State, slot: int, now: float) -> None:
    c = st.slots[slot].left
    add_flow(
        st,
        slot,
        c,
        st.slots[slot].reading,
        now,
        st.world[0].level > 1,
    )


@rare
def flow_begins(st: State, slot: int, now: float) -> None:
    """Let what was asked for flow, after the latency."""
    if st.classes[st.slots[slot].left].cap == np.inf:
        flow_ends(st, slot, now)
    else:
        _flow(st, slot, now)


@rare
def _fetch(st: State, slot: int, now: float) -> None:
    """Read the inputs one after another; then work."""
    slots, a = st.slots, st.slots[slot].attempt
    job, node = st.attempts[a].job, st.attempts[a].site
    while slots[slot].input < st.input_ptr[job + 1]:
        file = st.input_file[slots[slot].input]
        r = replica_for(st, file, node)
        if r < 0:
            give_up(st, slot, _NO_REPLICA, now)
            return
        source = st.replicas[r].node
        c = st.route[source, node]
        touch(st, r)
        if c != AT_ONCE and st.file_bytes[file] > 0.0:
            slots[slot].source = source
            slots[slot].replica = r
            slots[slot].begin = now
            st.replicas[r].pins += 1
            ask_for(st, slot, c, st.file_bytes[file], now)
            return
        slots[slot].input += 1
    st.attempts[a].staged = now
    _work(st, slot, now)


@rare
def flow_ends(st: State, slot: int, now: float) -> None:
    """Take note of a flow that ended, and go on."""
    if st.slots[slot].phase == COPYING:
        copy_ends(st, slot, now)
    elif st.slots[slot].phase == _FETCH:
        _log(st, slot, st.input_file[st.slots[slot].input], _IN, now)
        _has(st, slot)
        _fetch(st, slot, now)
    elif st.slots[slot].phase == _STREAM:
        st.slots[slot].ready += st.slots[slot].reading
        st.slots[slot].reading = 0.0
        _stream(st, slot, now)
    else:
        _log(
            st,
            slot,
            st.jobs[st.attempts[st.slots[slot].attempt].job].output_file,
            _OUT,
            now,
        )
        _stored(st, slot, now)


@rare
def _has(st: State, slot: int) -> None:
    """Let go of the source of an input that was read, and keep a copy if it was elsewhere."""
    slots, node = st.slots, st.attempts[st.slots[slot].attempt].site
    file = st.input_file[slots[slot].input]
    st.replicas[slots[slot].replica].pins -= 1
    slots[slot].replica = -1
    slots[slot].input += 1
    if slots[slot].source != node and st.nodes[node].cache > 0.0:
        keep(st, file, node)


@rare
def _log(st: State, slot: int, file: int, kind: int, now: float) -> None:
    """Keep a transfer that ended."""
    if st.world[0].log:
        k, log, a = st.world[0].transfers, st.transfers, st.slots[slot].attempt
        st.world[0].transfers = k + 1
        log[k].attempt = a
        log[k].file = file
        log[k].kind = kind
        log[k].source = st.slots[slot].source
        log[k].destination = st.attempts[a].site
        log[k].bytes = st.file_bytes[file] if kind != _OUT else st.jobs[st.attempts[a].job].output
        log[k].start = st.slots[slot].begin
        log[k].end = now


@part
def _duration(st: State, a: int) -> float:
    """Return how long the payload takes where the attempt is, s."""
    job, speed = st.attempts[a].job, st.pools[st.attempts[a].pool].speed
    long = st.jobs[job].flop / speed
    return long if long == long else st.jobs[job].run


@rare
def _fault(st: State, a: int) -> float:
    """Return after what share of its payload an attempt fails, 2 if it does not."""
    job, number, s = st.attempts[a].job, st.attempts[a].number, st.attempts[a].site
    kind = st.jobs[job].kind
    chance = st.chance[s, kind]
    if number > 0:
        chance += st.world[0].again * (1.0 - chance) * (chance > 0.0)
    if uniform(st, job, number, _FAILS) >= chance:
        return 2.0
    u, code = uniform(st, job, number, _CODE), 0
    while code < st.codes.shape[1] - 1 and u >= st.codes[kind, code]:
        code += 1
    st.attempts[a].code = code
    points = st.moment.shape[1] - 1
    x = uniform(st, job, number, _MOMENT) * points
    k = min(int(x), points - 1)
    return st.moment[code, k] + (x - k) * (st.moment[code, k + 1] - st.moment[code, k])


@rare
def _work(st: State, slot: int, now: float) -> None:
    """Start the payload; its end is known."""
    a = st.slots[slot].attempt
    job = st.attempts[a].job
    end, outcome = now + _duration(st, a), _FINISHED
    if len(st.chance):
        share = _fault(st, a)
        if share <= 1.0:
            end, outcome = now + share * (end - now), _FAILED
    due = st.attempts[a].start + st.jobs[job].request
    if due < end:
        end, outcome = max(due, now), _WALLTIME
    st.slots[slot].phase = _WORK
    st.slots[slot].stamp += 1
    st.attempts[a].outcome = outcome
    push(st.heap, end, TIMER, slot, st.slots[slot].stamp)


@rare
def timer(st: State, slot: int, now: float) -> None:
    """Go on with the next phase."""
    slots, a = st.slots, st.slots[slot].attempt
    if slots[slot].phase == _WORK:
        _worked(st, slot, now)
    elif slots[slot].phase == _STREAM:
        slots[slot].worked += slots[slot].working
        slots[slot].working = 0.0
        if slots[slot].worked >= slots[slot].fails:
            break_off(st, slot, _FAILED, now)
        else:
            _stream(st, slot, now)
    elif st.input_ptr[st.attempts[a].job] == st.input_ptr[st.attempts[a].job + 1]:
        _work(st, slot, now)
    else:
        _open(st, slot, now)


@rare
def _worked(st: State, slot: int, now: float) -> None:
    """End the payload; write its output."""
    a = st.slots[slot].attempt
    job = st.attempts[a].job
    st.attempts[a].computed = now
    if st.attempts[a].outcome == _FINISHED and st.jobs[job].output > 0.0:
        _store(st, slot, now)
    else:
        end(st, slot, st.attempts[a].outcome, now)


@rare
def _store(st: State, slot: int, now: float) -> None:
    """Write the output to the site's own storage, where there is a limit to it."""
    a = st.slots[slot].attempt
    job, s = st.attempts[a].job, st.attempts[a].site
    due = st.attempts[a].start + st.jobs[job].request
    st.slots[slot].phase = _STORE
    st.slots[slot].stamp += 1
    c = st.sites[s].writes
    if c == AT_ONCE:
        _stored(st, slot, now)
        return
    if due < np.inf:
        push(st.heap, max(due, now), KILL, slot, st.slots[slot].stamp)
    st.slots[slot].begin = now
    st.slots[slot].source = s
    ask_for(st, slot, c, st.jobs[job].output, now)


@rare
def _stored(st: State, slot: int, now: float) -> None:
    a = st.slots[slot].attempt
    job = st.attempts[a].job
    room = write(st, st.jobs[job].output_file, st.attempts[a].site, st.jobs[job].output)
    end(st, slot, _FINISHED if room else _FULL, now)


@rare
def _prepare(st: State, slot: int) -> bool:
    """Set a stream up; return whether there is anything to read."""
    slots, a = st.slots, st.slots[slot].attempt
    job, total = st.attempts[a].job, 0.0
    for k in range(st.input_ptr[job], st.input_ptr[job + 1]):
        total += st.file_bytes[st.input_file[k]]
    if total <= 0.0:
        return False
    slots[slot].phase = _STREAM
    slots[slot].stamp += 1
    slots[slot].per_byte = _duration(st, a) / total
    slots[slot].ready = 0.0
    slots[slot].reading = 0.0
    slots[slot].working = 0.0
    slots[slot].worked = 0.0
    slots[slot].fails = np.inf
    slots[slot].bytes = st.file_bytes[st.input_file[slots[slot].input]]
    if len(st.chance):
        share = _fault(st, a)
        if share <= 1.0:
            slots[slot].fails = share * total
    due = st.attempts[a].start + st.jobs[job].request
    if due < np.inf:
        push(st.heap, due, KILL, slot, slots[slot].stamp)
    return True


@rare
def _stream(st: State, slot: int, now: float) -> None:
    """Work on what is there, ask for the next block; end when all is done.

    With prefetch one block is read while one is worked on; without, one after the other.
    """
    slots, a = st.slots, st.slots[slot].attempt
    last = st.input_ptr[st.attempts[a].job + 1]
    while True:
        if slots[slot].reading == 0.0:
            _whole(st, slot, now)
        if slots[slot].working == 0.0 and slots[slot].ready > 0.0:
            todo = min(slots[slot].ready, max(slots[slot].fails - slots[slot].worked, 0.0))
            slots[slot].working = max(todo, 1e-300)
            slots[slot].ready = 0.0
            push(st.heap, now + todo * slots[slot].per_byte, TIMER, slot, slots[slot].stamp)
        if slots[slot].reading > 0.0 or slots[slot].ready > 0.0:
            return
        if slots[slot].working > 0.0 and not st.world[0].prefetch:
            return
        if slots[slot].input >= last:
            break
        if not _next_block(st, slot, now):
            return
    if slots[slot].working == 0.0:
        st.attempts[a].computed = now
        st.attempts[a].outcome = _FINISHED
        _worked(st, slot, now)


@rare
def _whole(st: State, slot: int, now: float) -> None:
    """Go to the next input where all of one is there."""
    slots, a = st.slots, st.slots[slot].attempt
    last = st.input_ptr[st.attempts[a].job + 1]
    while slots[slot].input < last and slots[slot].bytes <= 0.0:
        if slots[slot].replica >= 0:
            if st.route[slots[slot].source, st.attempts[a].site] != AT_ONCE:
                _log(st, slot, st.input_file[slots[slot].input], _BLOCKS, now)
            _has(st, slot)
        else:
            slots[slot].input += 1
        st.attempts[a].staged = now
        if slots[slot].input < last:
            slots[slot].bytes = st.file_bytes[st.input_file[slots[slot].input]]


@rare
def _next_block(st: State, slot: int, now: float) -> bool:
    """Ask for a block; return whether it is there at once."""
    slots, node = st.slots, st.attempts[st.slots[slot].attempt].site
    file = st.input_file[slots[slot].input]
    if slots[slot].replica < 0:
        r = replica_for(st, file, node)
        if r < 0:
            break_off(st, slot, _NO_REPLICA, now)
            return False
        touch(st, r)
        slots[slot].replica = r
        slots[slot].source = st.replicas[r].node
        slots[slot].begin = now
        st.replicas[r].pins += 1
    size = min(slots[slot].bytes, st.world[0].block)
    slots[slot].bytes -= size
    c = st.route[slots[slot].source, node]
    if c == AT_ONCE:
        slots[slot].ready += size
        return True
    ask_for(st, slot, c, size, now)
    return False


@rare
def end(st: State, slot: int, outcome: int, now: float) -> None:
    """Take an attempt's cores back and see what follows from its outcome."""
    slots, a = st.slots, st.slots[slot].attempt
    job, s, p = st.attempts[a].job, st.attempts[a].site, st.attempts[a].pool
    slots[slot].attempt = -1
    slots[slot].stamp += 1
    slots[slot].flow_stamp += 1
    slots[slot].next = st.world[0].free_slot
    st.world[0].free_slot = slot
    st.attempts[a].end = now
    st.attempts[a].outcome = outcome
    st.pools[p].free += st.jobs[job].cores
    st.pools[p].memory_free += st.jobs[job].memory
    if st.pools[p].free == st.pools[p].cores:
        st.pools[p].memory_free = st.pools[p].memory  # what sums have lost by rounding
    if st.sites[s].backfill:
        due = st.attempts[a].start + expected(st, job, p)
        forget(st, s, due, job)
    st.sites[s].running -= 1
    st.sites[s].held -= st.jobs[job].cores
    st.sites[s].finished += int(outcome == _FINISHED)
    st.sites[s].failed += int(outcome != _FINISHED)
    note_load(st, s)
    if not st.sites[s].touched:
        st.touched[st.world[0].touched % len(st.touched)] = s
        st.world[0].touched += 1
        st.sites[s].touched = 1
    if outcome != _FINISHED or len(st.child):
        decide(st, job, outcome, now)
    else:
        st.jobs[job].outcome = outcome


@rare
def decide(st: State, job: int, outcome: int, now: float) -> None:
    """Try again what may be tried again; free or doom the children."""
    again = outcome in (_FAILED, _OUTAGE, _FULL, _NO_REPLICA)
    if again and st.jobs[job].attempts < st.world[0].most_attempts:
        push(st.heap, now + st.world[0].retry_delay, READY, job, 0)
        return
    st.jobs[job].outcome = outcome
    for k in range(st.child_ptr[job], st.child_ptr[job + 1]):
        child = st.child[k]
        if outcome != _FINISHED:
            push(st.heap, now, DOOMED, child, 0)
            continue
        st.jobs[child].waits_for -= 1
        if st.jobs[child].waits_for == 0 and child < st.world[0].arrived:
            push(st.heap, now, READY, child, 0)


@rare
def break_off(st: State, slot: int, outcome: int, now: float) -> None:
    """End an attempt in the middle of something."""
    slots = st.slots
    if slots[slot].class_ >= 0:
        drop_flow(
            st,
            slot,
            now,
            st.world[0].level > 1,
        )
    give_up(st, slot, outcome, now)


@rare
def give_up(st: State, slot: int, outcome: int, now: float) -> None:
    """End an attempt that has no flow."""
    if st.slots[slot].replica >= 0:
        st.replicas[st.slots[slot].replica].pins -= 1
        st.slots[slot].replica = -1
    end(st, slot, outcome, now)
