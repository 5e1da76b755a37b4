"""What happens when a copy that placement ordered is there."""

from gridtwin.sim.kernel.jit import rare
from gridtwin.sim.kernel.state import State
from gridtwin.sim.kernel.store import add

__all__ = ["COPYING", "copy_ends"]

COPYING = 5
"""The phase of a slot whose flow is a copy; `gridtwin.sim.kernel.life` has those before."""


@rare
def copy_ends(st: State, slot: int, now: float) -> None:
    """Let the copy be used, and its slot."""
    slots, k = st.slots, st.slots[slot].input
    st.replicas[slots[slot].replica].pins -= 1
    add(st, st.copies[k].file, st.copies[k].node, 0)
    st.copies[k].end = now
    slots[slot].replica = -1
    slots[slot].phase = 0
    slots[slot].flow_stamp += 1
    slots[slot].next = st.world[0].free_slot
    st.world[0].free_slot = slot
    st.world[0].copying -= 1
