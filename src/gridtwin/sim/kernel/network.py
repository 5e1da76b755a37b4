"""Flows that share links as in SimGrid's LV08 model, by virtual time.

All flows of a route form a class and have the same rate, so that the state is one clock a class:
the bytes that a flow present all the time would have had. A flow ends when that clock reaches its
size past the reading at its start; the first to end stands at the root of the class's heap.

The rates are weighted max-min: x * penalty is levelled, x is bound by `cap` and by the links, and
a flow gets 0.97 x (Velho and Legrand, SIMUTools 2009; the figures are those of SimGrid 4.1). A link
that could give all its flows the most that they and their other links allow binds nobody and joins
nobody: only classes that meet at other links are solved together, and only those that something
changed for.
"""

import numpy as np

from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.state import State

__all__ = [
    "EFFICIENCY",
    "GAMMA",
    "LATENCY",
    "SCALE",
    "add_flow",
    "first_class",
    "level",
]

LATENCY = 13.01
"""A flow begins after so many times its route's latency."""
EFFICIENCY = 0.97
"""Share of a rate that arrives as payload."""
SCALE = 20537.0
"""Bytes: penalty = latency + sum over links of SCALE / bandwidth."""
GAMMA = 4194304.0
"""Bytes of the TCP window: a flow has no more than GAMMA / (2 latency)."""

_NEARLY = 1.0 - 1e-9
"""A link wanted by more than this share of its bandwidth may bind (the sum is kept by adding)."""


@part
def set_key(st: State, c: int, time: float) -> None:
    """Say when the next flow of a class ends."""
    tree = st.tree
    k = c + (len(tree) >> 1)
    if tree[k] == time:
        return
    tree[k] = time
    k >>= 1
    while k:
        least = min(tree[2 * k], tree[2 * k + 1])
        if tree[k] == least:
            break
        tree[k] = least
        k >>= 1


@part
def first_class(st: State) -> int:
    """Return the class of the flow that ends next."""
    tree = st.tree
    half, k = len(tree) >> 1, 1
    while k < half:
        k = 2 * k + int(tree[2 * k] > tree[2 * k + 1])
    return k - half


@part
def merge(st: State, a: int, b: int) -> int:
    """Join two skew heaps by `finish`; return the root (Sleator and Tarjan, 1986)."""
    slots = st.slots
    if a < 0:
        return b
    if b < 0:
        return a
    if slots[b].finish < slots[a].finish:
        a, b = b, a
    root = a
    while True:
        right = slots[a].right
        slots[a].right = slots[a].left
        if right >= 0 and slots[b].finish < slots[right].finish:
            right, b = b, right
        if right < 0:
            right, b = b, -1
        slots[a].left = right
        slots[right].up = a
        if b < 0:
            break
        a = right
    return root


@rare
def unlink(st: State, root: int, slot: int) -> int:
    """Take a flow out of its heap; return the root."""
    slots = st.slots
    above = slots[slot].up
    below = merge(st, slots[slot].left, slots[slot].right)
    if below >= 0:
        slots[below].up = above
    if above < 0:
        return below
    if slots[above].left == slot:
        slots[above].left = below
    else:
        slots[above].right = below
    return root


@part
def serve(st: State, c: int, now: float) -> None:
    """Bring a class's clock to now."""
    classes = st.classes
    classes[c].served += classes[c].rate * (now - classes[c].at)
    classes[c].at = now


@part
def alone(st: State, c: int, now: float) -> None:
    """Set the rate and the next end of a class that shares no link that binds."""
    classes = st.classes
    if classes[c].flows:
        rate = EFFICIENCY * min(classes[c].cap, classes[c].pipe / classes[c].flows)
        classes[c].rate = rate
        rest = st.slots[classes[c].root].finish - classes[c].served
        set_key(st, c, now + max(rest, 0.0) / rate if rate > 0.0 else np.inf)
    else:
        classes[c].rate = 0.0
        set_key(st, c, np.inf)


@rare
def _note(
    st: State,
    c: int,
    change: int,
) -> None:
    """Count a flow that came (1) or went (-1) on its links, and who is to be solved anew."""
    world, classes, crossings, links, work = (
        st.world,
        st.classes,
        st.crossings,
        st.links,
        st.work,
    )
    half = len(work) >> 1
    flows, cap, pipe = classes[c].flows, classes[c].cap, classes[c].pipe
    before = flows - change
    more = min(flows * cap, pipe) - min(before * cap, pipe)
    if not classes[c].dirty:
        classes[c].dirty = 1
        work[world[0].dirty_classes] = c
        world[0].dirty_classes += 1
    for k in range(classes[c].first, classes[c].last):
        link = crossings[k].link
        binds = links[link].wanted > links[link].bandwidth * _NEARLY
        links[link].flows += change
        if links[link].flows:
            links[link].wanted += more * crossings[k].use
        else:
            links[link].wanted = 0.0
        binds = binds or links[link].wanted > links[link].bandwidth * _NEARLY
        if binds and not links[link].dirty:
            links[link].dirty = 1
            work[half + world[0].dirty_links] = link
            world[0].dirty_links += 1
        if before == 0:  # the class wakes up
            head = links[link].head
            crossings[k].next = head
            crossings[k].previous = -1
            if head >= 0:
                crossings[head].previous = k
            links[link].head = k
            links[link].active += 1
        elif flows == 0:
            after, ahead = crossings[k].next, crossings[k].previous
            if after >= 0:
                crossings[after].previous = ahead
            if ahead >= 0:
                crossings[ahead].next = after
            else:
                links[link].head = after
            links[link].active -= 1


@rare
def add_flow(
    st: State,
    slot: int,
    c: int,
    size: float,
    now: float,
    shared: bool,
) -> None:
    """Let a slot's flow of some bytes begin."""
    classes, slots = st.classes, st.slots
    if classes[c].flows == 0:
        classes[c].served = 0.0
        classes[c].at = now
    else:
        serve(st, c, now)
    slots[slot].class_ = c
    slots[slot].finish = classes[c].served + size
    slots[slot].left = -1
    slots[slot].right = -1
    classes[c].root = merge(st, classes[c].root, slot)
    slots[classes[c].root].up = -1
    classes[c].flows += 1
    if shared:
        _note(st, c, 1)
    else:
        alone(st, c, now)


@rare
def end_flow(
    st: State,
    now: float,
    shared: bool,
) -> int:
    """End the flow that is first to end; return its slot."""
    classes, slots = st.classes, st.slots
    c = first_class(st)
    slot = classes[c].root
    classes[c].served = slots[slot].finish  # exactly, so that equals end at once
    classes[c].at = now
    below = merge(st, slots[slot].left, slots[slot].right)
    if below >= 0:
        slots[below].up = -1
    classes[c].root = below
    classes[c].flows -= 1
    slots[slot].class_ = -1
    if shared:
        # until the solver has seen it: nobody else ends at this instant but equals
        equal = below >= 0 and slots[below].finish <= classes[c].served
        set_key(st, c, now if equal else np.inf)
        _note(st, c, -1)
    else:
        alone(st, c, now)
    return slot


@rare
def drop_flow(
    st: State,
    slot: int,
    now: float,
    shared: bool,
) -> None:
    """Break off a flow that has not ended."""
    classes, slots = st.classes, st.slots
    c = slots[slot].class_
    serve(st, c, now)
    root = unlink(st, classes[c].root, slot)
    classes[c].root = root
    if root >= 0:
        slots[root].up = -1
    classes[c].flows -= 1
    slots[slot].class_ = -1
    if shared:
        _note(st, c, -1)
    else:
        alone(st, c, now)


@rare
def _component(st: State, seed: int, now: float) -> tuple[int, int]:
    """Collect who shares binding links with a class, and these links; return how many of each."""
    world, classes, crossings, links = st.world, st.classes, st.crossings, st.links
    members, shares, meets = st.members, st.shares, st.meets
    stamp = world[0].stamp
    classes[seed].mark = stamp
    members[0].class_ = seed
    count, found, seen, taken = 1, 0, 0, 0
    while seen < count:
        c = members[seen].class_
        serve(st, c, now)
        limit, flows, penalty = classes[c].cap, classes[c].flows, classes[c].penalty
        members[seen].first = taken
        for k in range(classes[c].first, classes[c].last):
            link, takes = crossings[k].link, flows * crossings[k].use
            if links[link].wanted <= links[link].bandwidth * _NEARLY:
                continue
            if links[link].active == 1:
                limit = min(limit, links[link].bandwidth / takes)
                continue
            if links[link].mark != stamp:
                links[link].mark = stamp
                links[link].place = found
                meets[found].rest = links[link].bandwidth
                meets[found].use = 0.0
                meets[found].head = -1
                found += 1
                other = links[link].head
                while other >= 0:
                    d = crossings[other].class_
                    if classes[d].mark != stamp:
                        classes[d].mark = stamp
                        members[count].class_ = d
                        count += 1
                    other = crossings[other].next
            place, weight = links[link].place, takes / penalty
            shares[taken].link = place
            shares[taken].member = seen
            shares[taken].takes = takes
            shares[taken].weight = weight
            shares[taken].next = meets[place].head
            meets[place].head = taken
            meets[place].use += weight
            taken += 1
        members[seen].last = taken
        members[seen].limit = limit
        members[seen].low = limit * penalty
        members[seen].penalty = penalty
        seen += 1
    return count, found


@part
def _end(st: State, c: int, value: float, now: float) -> float:
    """Set a class's rate; return when its first flow will end at that rate."""
    rate = EFFICIENCY * value
    st.classes[c].rate = rate
    rest = max(st.slots[st.classes[c].root].finish - st.classes[c].served, 0.0)
    return now + rest / rate if rate > 0.0 else np.inf


@rare
def _fill_one(st: State, count: int, now: float) -> None:
    """Level the classes that meet at one link only: `_fill` without its order."""
    members, shares = st.members, st.shares
    first, when, rest, use, left = -1, np.inf, st.meets[0].rest, 0.0, count
    for i in range(count):
        use += shares[i].weight
    bounded = 0
    while bounded < left:  # those that their own limit holds lower leave the rest more
        left -= bounded
        bounded = 0
        level_ = max(rest, 0.0) / use
        for i in range(count):
            if members[i].low <= level_:
                bounded += 1
                rest -= shares[i].takes * members[i].limit
                use -= shares[i].weight
                end = _end(st, members[i].class_, members[i].limit, now)
                set_key(st, members[i].class_, np.inf)
                members[i].low = np.inf
                if end < when:
                    first, when = members[i].class_, end
        if not bounded:
            break
    for i in range(count):
        if members[i].low < np.inf:
            end = _end(st, members[i].class_, level_ / members[i].penalty, now)
            set_key(st, members[i].class_, np.inf)
            if end < when:
                first, when = members[i].class_, end
    if first >= 0:
        set_key(st, first, when)


@part
def _sink(st: State, k: int, left: int) -> None:
    """Let a link go down the heap of those that are open, by level."""
    meets, order = st.meets, st.work[len(st.work) >> 1 :]
    link = order[k]
    child = 2 * k + 1
    while child < left:
        if child + 1 < left and meets[order[child + 1]].level < meets[order[child]].level:
            child += 1
        if meets[order[child]].level >= meets[link].level:
            break
        order[k] = order[child]
        k, child = child, 2 * child + 1
    order[k] = link


@part
def _fix(st: State, i: int, value: float, now: float) -> float:
    """Give a class its share, and take it from its links; return when its first flow ends."""
    members, shares, meets = st.members, st.shares, st.meets
    for k in range(members[i].first, members[i].last):
        meets[shares[k].link].rest -= shares[k].takes * value
    members[i].low = np.inf
    set_key(st, members[i].class_, np.inf)
    return _end(st, members[i].class_, value, now)


@rare
def _fill(st: State, count: int, found: int, now: float) -> None:
    """Level the classes of a component, and await its first end: all is solved anew then.

    Progressive filling: the link that is full at the lowest level settles its classes, but those
    that their own limit holds lower first. That only raises the levels of others, so that a link
    whose level is not what it was goes back in the heap, and each class is settled once.
    """
    members, shares, meets, order = st.members, st.shares, st.meets, st.work[len(st.work) >> 1 :]
    first, when, left = -1, np.inf, found
    for j in range(found):
        meets[j].level = meets[j].rest / meets[j].use
        order[j] = j
    for j in range(found >> 1):
        _sink(st, (found >> 1) - 1 - j, found)
    while left:
        j = order[0]
        reached, use, bounded, kept = meets[j].level, 0.0, False, -1
        k = meets[j].head
        while k >= 0:
            i, behind = shares[k].member, shares[k].next
            if members[i].low <= reached:
                bounded = True
                end = _fix(st, i, members[i].limit, now)
                if end < when:
                    first, when = members[i].class_, end
            elif members[i].low < np.inf:
                use += shares[k].weight
                shares[k].next = kept
                kept = k
            k = behind
        meets[j].head = kept
        level_ = max(meets[j].rest, 0.0) / use if kept >= 0 else np.inf
        if kept < 0 or (not bounded and level_ <= reached * (1.0 + 1e-12)):
            while kept >= 0:
                i = shares[kept].member
                end = _fix(st, i, level_ / members[i].penalty, now)
                if end < when:
                    first, when = members[i].class_, end
                kept = shares[kept].next
            left -= 1
            order[0] = order[left]
        else:
            meets[j].level = level_
        if left:
            _sink(st, 0, left)
    if first >= 0:
        set_key(st, first, when)


@rare
def level(st: State, now: float) -> None:
    """Solve what changed at this instant: new rates, new ends."""
    world, classes, crossings, links, work = (
        st.world,
        st.classes,
        st.crossings,
        st.links,
        st.work,
    )
    half = len(work) >> 1
    world[0].stamp += 1
    for j in range(world[0].dirty_links):  # who shares a link with what changed, changed too
        link = work[half + j]
        links[link].dirty = 0
        joins = links[link].wanted > links[link].bandwidth * _NEARLY
        k = links[link].head
        while k >= 0:
            c = crossings[k].class_
            if not classes[c].dirty:
                classes[c].dirty = 1
                work[world[0].dirty_classes] = c
                world[0].dirty_classes += 1
            if joins:  # the others are of its component
                break
            k = crossings[k].next
    world[0].dirty_links = 0
    for j in range(world[0].dirty_classes):
        c = work[j]
        classes[c].dirty = 0
        if classes[c].flows == 0:
            classes[c].rate = 0.0
            set_key(st, c, np.inf)
        elif classes[c].mark != world[0].stamp:
            count, found = _component(st, c, now)
            if found == 0:
                set_key(st, c, _end(st, c, st.members[0].limit, now))
            elif found == 1:
                _fill_one(st, count, now)
            else:
                _fill(st, count, found, now)
    world[0].dirty_classes = 0
