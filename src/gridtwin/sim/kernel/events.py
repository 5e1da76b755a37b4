"""The heap of events, and numbers that look random but hang on nothing but their keys."""

import numpy as np

from gridtwin.sim.kernel.jit import part
from gridtwin.sim.kernel.state import State

__all__ = ["DOOMED", "FLOW", "KILL", "OUTAGE", "QUEUE", "READY", "TIMER", "pop", "push", "uniform"]

TIMER, FLOW, KILL, QUEUE, READY, OUTAGE, DOOMED = range(7)
"""Kinds: a running job's phase ends; its flow begins; its time is up; a job reaches its site's
queue; a job comes to the broker; a site's state changes; a parent failed."""


@part
def push(st: State, time: float, kind: int, id_: int, stamp: int) -> None:
    """Add an event; ``heap[0].id`` is how many there are. Equal times leave as they came."""
    heap = st.heap
    order = st.world[0].order
    st.world[0].order = order + 1
    k = heap[0].id + 1
    heap[0].id = k
    while k > 1:
        parent = k >> 1
        if heap[parent].time <= time:
            break
        heap[k] = heap[parent]
        k = parent
    heap[k].time = time
    heap[k].order = order
    heap[k].kind = kind
    heap[k].id = id_
    heap[k].stamp = stamp


@part
def pop(st: State) -> None:
    """Remove the first event; the caller has read it from ``heap[1]``."""
    heap = st.heap
    last = heap[0].id
    heap[0].id = last - 1
    time, order = heap[last].time, heap[last].order
    k, child = 1, 2
    while child < last:
        if child + 1 < last and (
            heap[child + 1].time < heap[child].time
            or (
                heap[child + 1].time == heap[child].time
                and heap[child + 1].order < heap[child].order
            )
        ):
            child += 1
        if time < heap[child].time or (time == heap[child].time and order < heap[child].order):
            break
        heap[k] = heap[child]
        k = child
        child = 2 * k
    heap[k] = heap[last]


@part
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
