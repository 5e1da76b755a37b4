"""Copies and removals of files as placement orders them, between two events."""

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.kernel.arrival import COPYING
from gridtwin.sim.kernel.codes import AT_ONCE, Order
from gridtwin.sim.kernel.jit import Compiled, compiled, rare, sources
from gridtwin.sim.kernel.life import ask_for
from gridtwin.sim.kernel.network import level
from gridtwin.sim.kernel.state import State
from gridtwin.sim.kernel.store import add, free, replica_for, touch

__all__ = ["carry_out"]

_DONE, _BUSY, _FULL = int(Order.DONE), int(Order.BUSY), int(Order.FULL)
_THERE, _NO_WAY = int(Order.THERE), int(Order.NO_WAY)
_ABSENT, _IN_USE, _LAST = int(Order.ABSENT), int(Order.IN_USE), int(Order.LAST)


@rare
def _kept(st: State, file: int, node: int) -> int:
    """Return the copy of a file that stays at a node, -1 if there is none."""
    r = st.file_head[file]
    while r >= 0 and (st.replicas[r].node != node or st.replicas[r].cached):
        r = st.replicas[r].next
    return r


@rare
def _comes(st: State, file: int, node: int) -> bool:
    """Return whether a copy of a file is under way to a node."""
    for slot in range(st.world[0].slots):
        if st.slots[slot].phase == COPYING:
            k = st.slots[slot].input
            if st.copies[k].file == file and st.copies[k].node == node:
                return True
    return False


@rare
def _copy(st: State, file: int, node: int, now: float) -> int:
    """Begin to copy a file from the nearest replica; its space is taken at once."""
    world, size = st.world, st.file_bytes[file]
    if world[0].copying >= world[0].most_copying or world[0].copies >= len(st.copies):
        return _BUSY
    if _kept(st, file, node) >= 0 or _comes(st, file, node):
        return _THERE
    if st.nodes[node].used + size > st.nodes[node].capacity:
        return _FULL
    r = replica_for(st, file, node)
    if r < 0:
        return _NO_WAY
    k, source = world[0].copies, st.replicas[r].node
    world[0].copies = k + 1
    st.nodes[node].used += size
    st.copies[k].file = file
    st.copies[k].source = source
    st.copies[k].node = node
    st.copies[k].bytes = size
    st.copies[k].begin = now
    st.copies[k].end = now
    touch(st, r)
    c = st.route[source, node]
    if c == AT_ONCE or size <= 0.0:
        add(st, file, node, 0)
        return _DONE
    st.copies[k].end = np.nan
    slot = world[0].free_slot
    world[0].free_slot = st.slots[slot].next
    world[0].slots = max(world[0].slots, slot + 1)
    world[0].copying += 1
    st.replicas[r].pins += 1
    st.slots[slot].phase = COPYING
    st.slots[slot].input = k
    st.slots[slot].replica = r
    ask_for(st, slot, c, size, now)
    return _DONE


@rare
def _remove(st: State, file: int, node: int) -> int:
    """Remove a copy that stays, unless it is read or no other stays anywhere."""
    r = _kept(st, file, node)
    if r < 0:
        return _ABSENT
    if st.replicas[r].pins:
        return _IN_USE
    other = st.file_head[file]
    while other >= 0 and (other == r or st.replicas[other].cached):
        other = st.replicas[other].next
    if other < 0:
        return _LAST
    if st.replicas[r].kept:
        st.nodes[node].used -= st.file_bytes[file]
    free(st, r)
    return _DONE


def _orders(version: str) -> Compiled:
    """Make what carries orders out; `version` is there to be compiled in."""

    def carry_out(
        st: State, wanted: NDArray[np.int64], told: NDArray[np.int64], now: float
    ) -> None:
        """Carry orders out, rows of (file, node, 1 to copy or 0 to remove); tell of each.

        `told` gets an `Order` for each.
        """
        if not version:
            return
        st.world[0].now = now
        for k in range(len(wanted)):
            if wanted[k, 2]:
                told[k] = _copy(st, wanted[k, 0], wanted[k, 1], now)
            else:
                told[k] = _remove(st, wanted[k, 0], wanted[k, 1])
        if st.world[0].level > 1 and st.world[0].dirty_classes:
            level(st, now)

    return compiled(carry_out, _nrt=False)


carry_out = _orders(sources())
