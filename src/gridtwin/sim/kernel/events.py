"""The heap of events, and numbers that look random but hang on nothing but their keys."""

import numpy as np

from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.state import State

__all__ = [
    "DOOMED",
    "FLOW",
    "KILL",
    "OUTAGE",
    "QUEUE",
    "READY",
    "TIMER",
    "event",
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


def event(kind: int, id_: int) -> int:
    """Return what an event without a stamp says, for those that are there from the start."""
    return ((kind << _ID) | id_) << _STAMP


@part
def push(st: State, time: float, kind: int, id_: int, stamp: int) -> None:
    """Add an event; ``heap[0].what`` is how many there are. Equal times go by kind, then by id."""
    heap, what = st.heap, (((kind << _ID) | id_) << _STAMP) | (stamp & _STAMPS)
    k = heap[0].what + 1
    heap[0].what = k
    while k > 1:
        parent = k >> 1
        above = heap[parent].time
        if above < time or (above == time and heap[parent].what < what):
            break
        heap[k].time = above
        heap[k].what = heap[parent].what
        k = parent
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
def pop(st: State) -> int:
    """Remove the first event and return what it says."""
    heap = st.heap
    first, last = heap[1].what, heap[0].what
    heap[0].what = last - 1
    time, what = heap[last].time, heap[last].what
    k, child = 1, 2
    while child < last:  # the hole goes down to a leaf; the last event rarely rises far from there
        left, right = heap[child].time, heap[child + 1].time
        child += int(right < left or (right == left and heap[child + 1].what < heap[child].what))
        heap[k].time = heap[child].time
        heap[k].what = heap[child].what
        k = child
        child = 2 * k
    parent = k >> 1
    while k > 1:
        above = heap[parent].time
        if above < time or (above == time and heap[parent].what < what):
            break
        heap[k].time = above
        heap[k].what = heap[parent].what
        k = parent
        parent = k >> 1
    heap[k].time = time
    heap[k].what = what
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
