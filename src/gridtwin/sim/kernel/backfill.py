"""Who may overtake the first in a site's queue: EASY and conservative backfilling.

The state keeps what runs at a site as it is expected to end, in order (`State.ends`).
"""

import numpy as np

from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.state import State

__all__ = ["expect", "expected", "forget", "plan", "profile_of", "shadow_of", "usable"]


@part
def usable(st: State, p: int) -> int:
    """Return a pool's free cores, less what an outage keeps shut."""
    s = st.pools[p].site
    if st.sites[s].open < 1.0:
        shut = int(np.ceil(st.pools[p].cores * (1.0 - st.sites[s].open)))
        return st.pools[p].free - shut
    return st.pools[p].free


@rare
def expected(st: State, job: int, p: int) -> float:
    """Return how long a job is expected to hold its cores, s: its estimate, else its payload."""
    estimate = st.jobs[job].estimate
    if estimate == estimate:
        return estimate
    long = st.jobs[job].flop / st.pools[p].speed
    return long if long == long else st.jobs[job].run


@part
def _place(st: State, low: int, high: int, end: float) -> int:
    """Return the first of a site's running jobs that is not expected to end before."""
    while low < high:
        middle = (low + high) >> 1
        if st.ends[middle, 0] < end:
            low = middle + 1
        else:
            high = middle
    return low


@rare
def expect(st: State, s: int, end: float, job: int) -> None:
    """Add a running job; `running` counts it already."""
    ends = st.ends
    first = st.sites[s].ends
    k = first + st.sites[s].running - 1
    place = _place(st, first, k, end)
    while k > place:
        ends[k, 0] = ends[k - 1, 0]
        ends[k, 1] = ends[k - 1, 1]
        ends[k, 2] = ends[k - 1, 2]
        k -= 1
    ends[k, 0] = end
    ends[k, 1] = st.jobs[job].cores
    ends[k, 2] = st.jobs[job].memory


@rare
def forget(st: State, s: int, end: float, job: int) -> None:
    """Remove a running job; `running` still counts it. Equal ends, widths, memories are alike."""
    ends, width, memory = st.ends, st.jobs[job].cores, st.jobs[job].memory
    first = st.sites[s].ends
    last = first + st.sites[s].running - 1
    k = _place(st, first, last + 1, end)
    while ends[k, 1] != width or ends[k, 2] != memory:
        k += 1
    while k < last:
        ends[k, 0] = ends[k + 1, 0]
        ends[k, 1] = ends[k + 1, 1]
        ends[k, 2] = ends[k + 1, 2]
        k += 1


@rare
def shadow_of(
    st: State, s: int, job: int, free: int, room: float, now: float
) -> tuple[float, int, float]:
    """Return when the first of the queue is expected to fit, and what it leaves free then.

    That is a time, cores and bytes of memory. Jobs past their time are expected to end now.
    """
    need, memory = st.jobs[job].cores, st.jobs[job].memory
    k, shadow = st.sites[s].ends, now
    stop = k + st.sites[s].running
    while (free < need or room < memory) and k < stop:
        free += int(st.ends[k, 1])
        room += st.ends[k, 2]
        shadow = max(st.ends[k, 0], now)
        k += 1
    if free < need or room < memory:  # in an outage: it waits for the end of that
        return np.inf, 0, 0.0
    while k < stop and st.ends[k, 0] <= shadow:
        free += int(st.ends[k, 1])
        room += st.ends[k, 2]
        k += 1
    return shadow, free - need, room - memory


@rare
def profile_of(st: State, s: int, free: int, room: float, now: float) -> int:
    """Lay out what cores and memory will be free from when on; return the number of times."""
    profile, count = st.profile, 1
    profile[0, 0] = now
    profile[0, 1] = free
    profile[0, 2] = room
    first, soon = st.sites[s].ends, np.nextafter(now, np.inf)
    for k in range(first, first + st.sites[s].running):
        end = max(st.ends[k, 0], soon)  # past its time: it may end any moment, but runs now
        if end > profile[count - 1, 0]:
            profile[count, 0] = end
            profile[count, 1] = profile[count - 1, 1]
            profile[count, 2] = profile[count - 1, 2]
            count += 1
        profile[count - 1, 1] += st.ends[k, 1]
        profile[count - 1, 2] += st.ends[k, 2]
    return count


@part
def _has(st: State, k: int, width: int, memory: float) -> bool:
    return st.profile[k, 1] >= width and st.profile[k, 2] >= memory


@rare
def plan(st: State, count: int, job: int, long: float) -> tuple[int, int]:
    """Reserve cores and memory at the earliest time they stay free for long enough.

    Returns the place of that time in the profile, -1 if there is none, and how many times the
    profile has now. Feitelson and Weil, IPPS 1998.
    """
    profile, at, k, end = st.profile, 0, 0, 0.0
    width, memory = st.jobs[job].cores, st.jobs[job].memory
    while at < count:
        begin = profile[at, 0]
        end, k = max(begin + long, np.nextafter(begin, np.inf)), at
        while k < count and profile[k, 0] < end and _has(st, k, width, memory):
            k += 1
        if k == count or profile[k, 0] >= end:
            break
        at = k + 1
    if at >= count:
        return -1, count
    if end < np.inf and (k == count or profile[k, 0] > end):
        for j in range(count, k, -1):
            profile[j, 0] = profile[j - 1, 0]
            profile[j, 1] = profile[j - 1, 1]
            profile[j, 2] = profile[j - 1, 2]
        profile[k, 0] = end
        profile[k, 1] = profile[k - 1, 1]
        profile[k, 2] = profile[k - 1, 2]
        count += 1
    for j in range(at, k):
        profile[j, 1] -= width
        profile[j, 2] -= memory
    return at, count
