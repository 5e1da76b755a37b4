"""Level 0: jobs, sites with cores, one queue per site; compiled.

All events of one instant are taken together: completions, then arrivals in the order given, then
one scheduling pass per site touched. A job without run time holds its cores during that pass and
gives them back in another round of the same instant. The outcome so never depends on the order in
which equal times leave the heap. `gridtwin.sim.kernel.plain` says the same in plain Python.

The state is tables (record arrays: one row is one cache line, and one argument is one array).

A queue is a chain of packs of up to 64 jobs in order of arrival. Backfilling passes over a full
pack in one step if none of its jobs can start by what the pack knows of them: its least width and,
for each power of two, the least request among the jobs that are not wider.

All is in one file, as numba's cache notices changes of that file only.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gridtwin.sim.kernel.jit import compiled

__all__ = ["CHOOSE", "run_jobs"]

CHOOSE = -1
"""As a job's site: the least loaded one when it arrives."""

_ARRIVED, _CHANGED = 1, 2
_WIDE = np.iinfo(np.int64).max

Table = Any  # a record array; numpy's types do not know fields

_JOB = np.dtype(
    [
        ("width", np.int64),
        ("run", np.float64),
        ("request", np.float64),
        ("start", np.float64),
        ("site", np.int64),
    ]
)
_SITE = np.dtype(
    [
        ("cores", np.int64),
        ("free", np.int64),
        ("held", np.int64),  # cores of queued and running jobs
        ("head", np.int64),  # first job of the queue, -1 if it is empty
        ("front", np.int64),  # first and last pack of the queue; the head is first in its pack
        ("back", np.int64),
        ("new_pack", np.int64),  # where the first arrival of this instant stands, pack and place
        ("new_place", np.int64),
        ("old", np.int64),  # whether there was a head before the arrivals of this instant
        ("narrow", np.int64),  # no job behind the head is narrower
        ("touched", np.int64),  # at this instant: _ARRIVED, _CHANGED (cores came free), or both
        # what backfilling knows: the running jobs' slots, and the head's reservation
        ("at", np.int64),
        ("running", np.int64),
        ("reserved", np.int64),  # whether the next two hold for the present head
        ("shadow", np.float64),  # when the head is expected to start
        ("extra", np.int64),  # cores that the head will not need then
    ]
)
_SLOT = np.dtype([("end", np.float64), ("width", np.int64)])  # a running job as it was requested
_EVENT = np.dtype([("time", np.float64), ("job", np.int64)])
_PACK = np.dtype(
    [
        ("begin", np.int64),  # its jobs are queue[begin:end]
        ("end", np.int64),
        ("next", np.int64),  # the pack behind it; of pack 0, the first one that is not in use
        ("known", np.int64),  # whether the bounds hold
        ("narrow", np.int64),  # no job (but the head of the queue) is narrower
    ]
)
_FULL = 64
"""Jobs of a pack."""


class _Queues(NamedTuple):
    packs: Table
    """Shape (packs,)."""
    queue: NDArray[np.int64]
    """The packs' jobs, shape (packs, `_FULL`)."""
    short: NDArray[np.float64]
    """The least request of a pack's jobs that are narrower than 2^(k + 1), shape (packs, k)."""


def _part(function: Any) -> Any:  # noqa: ANN401 - numba is untyped
    """Make a function part of its caller; calls count references and cost a third of the time."""
    return njit(function, inline="always", error_model="numpy")


@_part
def _push(heap: Table, t: float, job: int) -> None:
    """Add an event to the binary heap ``heap[1:]``; ``heap[0].job`` is its size."""
    k = heap[0].job + 1
    heap[0].job = k
    while k > 1:
        parent = k >> 1
        if heap[parent].time <= t:
            break
        heap[k].time = heap[parent].time
        heap[k].job = heap[parent].job
        k = parent
    heap[k].time = t
    heap[k].job = job


@_part
def _pop(heap: Table) -> int:
    """Remove the earliest event and return its job."""
    first, last = heap[1].job, heap[0].job
    heap[0].job = last - 1
    t, job = heap[last].time, heap[last].job
    k, child = 1, 2
    while child < last:
        child += int(heap[child + 1].time < heap[child].time)  # at most `last`: no bound to check
        heap[k].time = heap[child].time
        heap[k].job = heap[child].job
        k = child
        child = 2 * k
    parent = k >> 1  # the hole went down to a leaf; the last event rarely rises far from there
    while k > 1 and heap[parent].time > t:
        heap[k].time = heap[parent].time
        heap[k].job = heap[parent].job
        k = parent
        parent = k >> 1
    heap[k].time = t
    heap[k].job = job
    return first  # type: ignore[no-any-return]


@_part
def _slot(slots: Table, low: int, high: int, end: float) -> int:
    """Return the first of the slots whose expected end is not before `end`."""
    while low < high:
        middle = (low + high) >> 1
        if slots[middle].end < end:
            low = middle + 1
        else:
            high = middle
    return low


@_part
def _expect(sites: Table, slots: Table, s: int, end: float, width: int) -> None:
    """Add a running job."""
    k = sites[s].at + sites[s].running
    first = _slot(slots, sites[s].at, k, end)
    while k > first:
        slots[k].end = slots[k - 1].end
        slots[k].width = slots[k - 1].width
        k -= 1
    slots[k].end = end
    slots[k].width = width
    sites[s].running += 1


@_part
def _forget(sites: Table, slots: Table, s: int, end: float, width: int) -> None:
    """Remove a running job; jobs of equal end and width stand for each other."""
    last = sites[s].at + sites[s].running - 1
    k = _slot(slots, sites[s].at, last + 1, end)
    while slots[k].width != width:
        k += 1
    while k < last:
        slots[k].end = slots[k + 1].end
        slots[k].width = slots[k + 1].width
        k += 1
    sites[s].running -= 1


@_part
def _reserve(jobs: Table, sites: Table, slots: Table, s: int, now: float) -> None:
    """Set when the head is expected to fit, and how many more cores will be free then.

    A job past its request is expected to end now.
    """
    need, free = jobs[sites[s].head].width, sites[s].free
    k = sites[s].at
    stop = k + sites[s].running
    while free < need:
        free += slots[k].width
        k += 1
    shadow = max(slots[k - 1].end, now)
    while k < stop and slots[k].end <= shadow:
        free += slots[k].width
        k += 1
    sites[s].shadow = shadow
    sites[s].extra = free - need
    sites[s].reserved = 1


@_part
def _start(jobs: Table, sites: Table, slots: Table, heap: Table, job: int, now: float) -> None:
    s = jobs[job].site
    jobs[job].start = now
    sites[s].free -= jobs[job].width
    _push(heap, now + jobs[job].run, job)
    if len(slots):
        _expect(sites, slots, s, now + jobs[job].request, jobs[job].width)


@_part
def _end(jobs: Table, sites: Table, slots: Table, load: NDArray[np.float64], heap: Table) -> int:
    """Give back the cores of the job that ends first; return its site."""
    job = _pop(heap)
    s, width = jobs[job].site, jobs[job].width
    sites[s].free += width
    sites[s].held -= width
    load[s] = sites[s].held / sites[s].cores
    if len(slots):
        _forget(sites, slots, s, jobs[job].start + jobs[job].request, width)
        sites[s].reserved = 0
    return s  # type: ignore[no-any-return]


@_part
def _least_loaded(sites: Table, load: NDArray[np.float64], width: int) -> int:
    """Return the first of the sites with the smallest load among those wide enough."""
    best, lowest = -1, np.inf
    for s in range(len(load)):
        if load[s] < lowest and sites[s].cores >= width:
            best, lowest = s, load[s]
            if lowest == 0:
                break
    return best


@_part
def _arrive(jobs: Table, sites: Table, load: NDArray[np.float64], job: int) -> int:
    """Return the site of a job that arrives, and count the job there."""
    if jobs[job].site == CHOOSE:
        jobs[job].site = _least_loaded(sites, load, jobs[job].width)
    s = jobs[job].site
    sites[s].held += jobs[job].width
    load[s] = sites[s].held / sites[s].cores
    return s  # type: ignore[no-any-return]


@_part
def _wait(jobs: Table, sites: Table, queues: _Queues, s: int, job: int) -> None:
    """Put a job at the end of its site's queue."""
    packs, back = queues.packs, sites[s].back
    if packs[back].end == _FULL:
        fresh = packs[0].next
        packs[0].next = fresh + 1
        packs[back].next = fresh
        sites[s].back = back = fresh
    place = packs[back].end
    queues.queue[back, place] = job
    packs[back].end = place + 1
    if sites[s].touched & _ARRIVED == 0:
        sites[s].new_pack = back
        sites[s].new_place = place
        sites[s].old = sites[s].head >= 0
    if sites[s].head < 0:
        sites[s].head = job
        sites[s].narrow = _WIDE
    else:
        sites[s].narrow = min(sites[s].narrow, jobs[job].width)


@_part
def _next_head(sites: Table, queues: _Queues, s: int) -> int:
    """Take the head out of the queue and return the next one, -1 if there is none."""
    packs, front = queues.packs, sites[s].front
    packs[front].begin += 1
    while packs[front].begin == packs[front].end and front != sites[s].back:
        front = packs[front].next
    sites[s].front = front
    if packs[front].begin == packs[front].end:
        packs[front].begin = packs[front].end = 0
        return -1
    return queues.queue[front, packs[front].begin]  # type: ignore[no-any-return]


@_part
def _start_heads(
    jobs: Table, sites: Table, slots: Table, queues: _Queues, heap: Table, s: int, now: float
) -> int:
    """Start jobs in order until one does not fit; return how many."""
    started = 0
    job = sites[s].head
    while job >= 0 and jobs[job].width <= sites[s].free:
        _start(jobs, sites, slots, heap, job, now)
        job = _next_head(sites, queues, s)
        started += 1
    sites[s].head = job
    return started


@_part
def _all_to_try(jobs: Table, sites: Table, slots: Table, s: int, now: float) -> bool:
    """Return whether backfilling has to look at all jobs behind the head, not only at new ones.

    As long as no core came free and the head is the same, what did not fit before does not fit
    now; except that, once the reservation has passed, more jobs are past their request.
    """
    if sites[s].touched & _CHANGED:
        return True
    if sites[s].reserved and sites[s].shadow < now:
        before = sites[s].extra
        _reserve(jobs, sites, slots, s, now)
        return sites[s].extra > before  # type: ignore[no-any-return]
    return False


@_part
def _passes(queues: _Queues, sites: Table, s: int, pack: int, now: float) -> bool:
    """Return whether none of a pack's jobs can start, by its bounds."""
    if not queues.packs[pack].known:
        return False
    free, narrow = sites[s].free, queues.packs[pack].narrow
    if narrow > free:
        return True
    if not sites[s].reserved or narrow <= sites[s].extra:
        return False
    size = min(math.frexp(float(free))[1], queues.short.shape[1]) - 1
    return now + queues.short[pack, size] > sites[s].shadow  # type: ignore[no-any-return]


@_part
def _bound(jobs: Table, queues: _Queues, pack: int, first: int) -> None:
    """Learn the bounds of a pack from its jobs, the first ones left out."""
    packs, short = queues.packs, queues.short
    short[pack] = np.inf
    for place in range(first, packs[pack].end):
        job = queues.queue[pack, place]
        size = math.frexp(float(jobs[job].width))[1] - 1
        short[pack, size] = min(short[pack, size], jobs[job].request)
    for size in range(1, short.shape[1]):
        short[pack, size] = min(short[pack, size], short[pack, size - 1])
    packs[pack].known = 1


@_part
def _try(
    jobs: Table,
    sites: Table,
    slots: Table,
    queues: _Queues,
    heap: Table,
    s: int,
    pack: int,
    first: int,
    now: float,
) -> int:
    """Start what can start of a pack's jobs from a place on, close ranks, return how many."""
    packs, queue, narrow = queues.packs, queues.queue, _WIDE
    place, kept, end = first, first, packs[pack].end
    while place < end and sites[s].free >= sites[s].narrow:
        job = queue[pack, place]
        width, starts = jobs[job].width, False
        if width <= sites[s].free:
            if not sites[s].reserved:
                _reserve(jobs, sites, slots, s, now)
            in_time = now + jobs[job].request <= sites[s].shadow
            starts = in_time or width <= sites[s].extra
            if starts:
                if not in_time:
                    sites[s].extra -= width
                _start(jobs, sites, slots, heap, job, now)
        if not starts:
            narrow = min(narrow, width)
            queue[pack, kept] = job
            kept += 1
        place += 1
    started = place - kept
    if place == end:
        packs[pack].narrow = narrow
    while place < end:
        queue[pack, kept] = queue[pack, place]
        kept += 1
        place += 1
    packs[pack].end = kept
    return started


@_part
def _backfill(
    jobs: Table, sites: Table, slots: Table, queues: _Queues, heap: Table, s: int, now: float
) -> int:
    """Start what fits now and does not delay the head's reservation; return how many."""
    packs, started, narrow = queues.packs, 0, _WIDE
    all_seen = _all_to_try(jobs, sites, slots, s, now)
    pack, first = sites[s].new_pack, sites[s].new_place
    if all_seen:
        pack = sites[s].front
        first = packs[pack].begin + 1
    while sites[s].free >= sites[s].narrow:
        if not _passes(queues, sites, s, pack, now):
            started += _try(jobs, sites, slots, queues, heap, s, pack, first, now)
            if sites[s].free < sites[s].narrow:
                break
            if all_seen and pack != sites[s].back:
                _bound(jobs, queues, pack, first)
        narrow = min(narrow, packs[pack].narrow)
        if pack == sites[s].back:
            if all_seen:
                sites[s].narrow = narrow
            break
        pack = packs[pack].next
        first = packs[pack].begin
    return started


@_part
def _pass(
    jobs: Table, sites: Table, slots: Table, queues: _Queues, heap: Table, s: int, now: float
) -> int:
    """Start what can start at one site; return how many."""
    started: int = _start_heads(jobs, sites, slots, queues, heap, s, now)
    if len(slots) and sites[s].head >= 0:
        if started or not sites[s].old:  # another head
            sites[s].touched |= _CHANGED
            sites[s].reserved = 0
        started += _backfill(jobs, sites, slots, queues, heap, s, now)
    sites[s].touched = 0
    return started


@compiled
def _events(
    submit: NDArray[np.float64],
    jobs: Table,
    sites: Table,
    slots: Table,
    queues: _Queues,
    heap: Table,
) -> None:
    """Run the clock until every job has started."""
    load = np.zeros(len(sites))
    touched = np.empty(len(sites), np.int64)
    n, arrived, waiting = len(submit), 0, 0
    while arrived < n or waiting > 0:
        now = submit[arrived] if arrived < n else np.inf
        if heap[0].job:
            now = min(now, heap[1].time)
        count = 0
        while heap[0].job and heap[1].time <= now:
            s = _end(jobs, sites, slots, load, heap)
            if not sites[s].touched:
                touched[count] = s
                count += 1
            sites[s].touched |= _CHANGED
        while arrived < n and submit[arrived] <= now:
            s = _arrive(jobs, sites, load, arrived)
            if sites[s].head < 0 and jobs[arrived].width <= sites[s].free:
                _start(jobs, sites, slots, heap, arrived, now)
            else:
                _wait(jobs, sites, queues, s, arrived)
                if not sites[s].touched:
                    touched[count] = s
                    count += 1
                sites[s].touched |= _ARRIVED
                waiting += 1
            arrived += 1
        for k in range(count):
            waiting -= _pass(jobs, sites, slots, queues, heap, touched[k], now)


def run_jobs(
    submit: NDArray[np.float64],
    width: NDArray[np.int64],
    run: NDArray[np.float64],
    request: NDArray[np.float64],
    site: NDArray[np.int64],
    cores: NDArray[np.int64],
    easy: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return when and where each job starts.

    Parameters
    ----------
    submit, width, run, request
        One entry per job, `submit` never falling, `width` 1 or more; times in seconds, finite.
    site
        Index into `cores`, or `CHOOSE`. The caller has made sure that the job fits there, or,
        for `CHOOSE`, that it fits somewhere.
    cores
        One entry per site.
    easy
        Whether jobs may overtake by EASY backfilling (Lifka, JSSPP 1995; Mu'alem and Feitelson,
        IEEE TPDS 12(6), 2001): a job behind the head starts if it fits now and either is
        expected to end by the head's reservation or needs only cores that the head leaves free.
    """
    n = len(submit)
    jobs = np.empty(n, _JOB)
    for name, values in (("width", width), ("run", run), ("request", request), ("site", site)):
        jobs[name] = values
    narrowest = int(width.min()) if n else 1
    room = np.minimum(cores // narrowest, n)  # jobs that can run at the same time
    sites = np.zeros(len(cores), _SITE)
    sites["cores"] = sites["free"] = cores
    sites["head"] = -1
    sites["front"] = sites["back"] = 1 + np.arange(len(cores))
    sites["at"] = np.cumsum(room) - room
    slots = np.empty(int(room.sum()) if easy else 0, _SLOT)
    heap = np.empty(1 + min(n, int(room.sum())), _EVENT)
    heap[0] = (0.0, 0)
    packs = np.zeros(1 + len(cores) + n // _FULL, _PACK)
    packs[0]["next"] = 1 + len(cores)
    sizes = int(width.max()).bit_length() if easy and n else 1
    queues = _Queues(
        packs,
        np.empty((len(packs), _FULL), np.int64),
        np.empty((len(packs) if easy else 0, sizes)),
    )
    _events(submit, jobs, sites, slots, queues, heap)
    return jobs["start"].copy(), jobs["site"].copy()
