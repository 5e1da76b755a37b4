"""Where files are: replicas, caches that throw away what was used longest ago, full disks."""

import numpy as np

from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.state import State

__all__ = ["add", "free", "keep", "replica_for", "touch", "write"]


@part
def replica_for(st: State, file: int, node: int) -> int:
    """Return the replica that is read from a node: there, else the nearest; -1 if none is."""
    best, lowest = -1, np.inf
    r = st.file_head[file]
    while r >= 0:
        dear = st.rank[st.replicas[r].node, node]
        if dear < lowest:
            best, lowest = r, dear
        r = st.replicas[r].next
    return best


@rare
def touch(st: State, r: int) -> None:
    """Say that a copy in a cache was used now."""
    node, replicas = st.replicas[r].node, st.replicas
    if not replicas[r].cached or st.nodes[node].newest == r:
        return
    _leave(st, r)
    _enter(st, r)


@rare
def _leave(st: State, r: int) -> None:
    node, replicas = st.replicas[r].node, st.replicas
    older, newer = replicas[r].older, replicas[r].newer
    if older >= 0:
        replicas[older].newer = newer
    else:
        st.nodes[node].oldest = newer
    if newer >= 0:
        replicas[newer].older = older
    else:
        st.nodes[node].newest = older


@rare
def _enter(st: State, r: int) -> None:
    node, replicas = st.replicas[r].node, st.replicas
    newest = st.nodes[node].newest
    replicas[r].older = newest
    replicas[r].newer = -1
    if newest >= 0:
        replicas[newest].newer = r
    else:
        st.nodes[node].oldest = r
    st.nodes[node].newest = r


@rare
def add(st: State, file: int, node: int, cached: int) -> int:
    """Say that a node has a copy; its space is counted by the caller."""
    world, replicas = st.world, st.replicas
    r = world[0].free_replica
    if r >= 0:
        world[0].free_replica = replicas[r].next
    else:
        r = world[0].replicas
        world[0].replicas = r + 1
    replicas[r].file = file
    replicas[r].node = node
    replicas[r].next = st.file_head[file]
    replicas[r].pins = 0
    replicas[r].cached = cached
    replicas[r].kept = 1 - cached
    st.file_head[file] = r
    return r


@rare
def _remove(st: State, r: int) -> None:
    """Throw a copy away."""
    file, node = st.replicas[r].file, st.replicas[r].node
    _leave(st, r)
    st.nodes[node].cached -= st.file_bytes[file]
    free(st, r)


@rare
def free(st: State, r: int) -> None:
    """Take a copy out of its file's list; its row says file -1 until it is used again."""
    replicas, file = st.replicas, st.replicas[r].file
    k = st.file_head[file]
    if k == r:
        st.file_head[file] = replicas[r].next
    else:
        while replicas[k].next != r:
            k = replicas[k].next
        replicas[k].next = replicas[r].next
    replicas[r].file = -1
    replicas[r].next = st.world[0].free_replica
    st.world[0].free_replica = r


@rare
def keep(st: State, file: int, node: int) -> None:
    """Put a copy of a file that was read into a node's cache, if it has room or can make it.

    What is being read stays. A file that is there already, or that does not fit, is not added.
    """
    nodes, replicas, size = st.nodes, st.replicas, st.file_bytes[file]
    if size > nodes[node].cache:
        return
    r = st.file_head[file]
    while r >= 0:
        if replicas[r].node == node:
            return
        r = replicas[r].next
    r = nodes[node].oldest
    while nodes[node].cached + size > nodes[node].cache and r >= 0:
        newer = replicas[r].newer
        if not replicas[r].pins:
            _remove(st, r)
        r = newer
    if nodes[node].cached + size > nodes[node].cache:
        return
    r = add(st, file, node, 1)
    _enter(st, r)
    nodes[node].cached += size


@rare
def write(st: State, file: int, node: int, size: float) -> bool:
    """Keep what a job wrote; return whether there was room. `file` is -1 for nobody's input."""
    if st.nodes[node].used + size > st.nodes[node].capacity:
        return False
    st.nodes[node].used += size
    if file >= 0:
        add(st, file, node, 0)
    return True
