"""Heaps of events, and numbers that look random but hang on nothing but their keys."""

from collections.abc import Sequence

import numpy as np

from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare, sources
from gridtwin.sim.kernel.state import EVENT, State, Table, rows

__all__ = [
    "DOOMED",
    "FIRST",
    "FLOW",
    "KILL",
    "OUTAGE",
    "QUEUE",
    "READY",
    "TIMER",
    "add_event",
    "earlier",
    "event",
    "heap_of",
    "holds",
    "id_of",
    "kind_of",
    "pop",
    "push",
    "uniform",
]

TIMER, FLOW, KILL, QUEUE, READY, OUTAGE, DOOMED = range(7)
"""Kinds: a running job's phase ends; its flow begins; its time is up; a job reaches its site's
queue; a job comes to the broker; a site's state changes; a parent failed."""


_ID, _STAMP = 32, 24
_STAMPS = (1 << _STAMP) - 1
_NEVER = (1 << 63) - 1
"""What stands where no event is, with an infinite time."""
FIRST = 3
"""Where the first event stands. Those below it, 4 to 7, and below any other k, 4 (k - 2) to
4 (k - 2) + 3, are one cache line; the heap's row 0 says how many events there are."""


def event(kind: int, id_: int) -> int:
    """Return what an event without a stamp says, for those that are there from the start."""
    return ((kind << _ID) | id_) << _STAMP


def heap_of(room: int, events: Sequence[tuple[float, int]] = ()) -> Table:
    """Return a heap with room for some events more than those given, which are in order."""
    heap = rows(room + len(events) + 8, EVENT)
    filled = FIRST + len(events)
    heap[0] = (0.0, len(events))
    for k, (time, what) in enumerate(events):
        heap[FIRST + k] = (time, what)
    heap[filled : max(filled + -filled % 4, 8)] = (np.inf, _NEVER)
    return heap


@part
def push(heap: Table, time: float, kind: int, id_: int, stamp: int) -> None:
    """Add an event. Equal times go by kind, then by id."""
    what = (((kind << _ID) | id_) << _STAMP) | (stamp & _STAMPS)
    k = heap[0].what + FIRST
    heap[0].what += 1
    if not k & 3:
        for other in range(k + 1, k + 4):
            heap[other].time = np.inf
            heap[other].what = _NEVER
    _rise(heap, k, time, what)


@part
def _rise(heap: Table, k: int, time: float, what: int) -> None:
    """Put an event into the hole at k, or above."""
    while k > FIRST:
        above = (k >> 2) + 2
        if heap[above].time < time or (heap[above].time == time and heap[above].what < what):
            break
        heap[k].time = heap[above].time
        heap[k].what = heap[above].what
        k = above
    heap[k].time = time
    heap[k].what = what


@part
def kind_of(what: int) -> int:
    """Return the kind of an event."""
    return what >> (_ID + _STAMP)


@part
def id_of(what: int) -> int:
    """Return what it concerns."""
    return (what >> _STAMP) & ((1 << _ID) - 1)


@part
def holds(what: int, stamp: int) -> bool:
    """Return whether nothing has made an event void."""
    return (what & _STAMPS) == (stamp & _STAMPS)


@part
def earlier(heap: Table, a: int, other: Table, b: int) -> bool:
    """Return whether an event of a heap comes before another of the same or another heap."""
    return heap[a].time < other[b].time or (
        heap[a].time == other[b].time and heap[a].what < other[b].what
    )


@part
def pop(heap: Table) -> int:
    """Remove the first event and return what it says."""
    first, last = heap[FIRST].what, heap[0].what + FIRST - 1
    heap[0].what -= 1
    time, what = heap[last].time, heap[last].what
    heap[last].time = np.inf
    heap[last].what = _NEVER
    if last == FIRST:
        return first
    k, child = FIRST, FIRST + 1
    while child < last:  # the hole goes down to a leaf; the last event rarely rises far from there
        a = child + int(earlier(heap, child + 1, heap, child))
        b = child + 2 + int(earlier(heap, child + 3, heap, child + 2))
        a = b if earlier(heap, b, heap, a) else a
        heap[k].time = heap[a].time
        heap[k].what = heap[a].what
        k = a
        child = 4 * (k - 2)
    _rise(heap, k, time, what)
    return first


@rare
def uniform(st: State, job: int, number: int, draw: int) -> float:
    """Return a number in [0, 1) for a draw of an attempt (Steele et al., OOPSLA 2014: SplitMix)."""
    x = np.uint64(st.world[0].seed) * np.uint64(0x9E3779B97F4A7C15)
    x ^= np.uint64(job) * np.uint64(0xD1B54A32D192ED03)
    x += np.uint64(number * 16 + draw + 1) * np.uint64(0x9E3779B97F4A7C15)
    for _ in range(2):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return float(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


def _adding(version: str) -> Compiled:
    """Make what adds an event from outside; `version` is there to be compiled in."""

    def add_event(st: State, time: float, kind: int, id_: int) -> bool:
        """Add an event between two calls of the clock; there is room for one."""
        push(st.heap, time, kind, id_, 0)
        return bool(version)

    return compiled(add_event, _nrt=False)


add_event = _adding(sources())
