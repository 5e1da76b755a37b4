"""The level-0 kernel in plain Python: the oracle of its tests, the yardstick of its speed.

Same arguments, same outcome as `gridtwin.sim.kernel.compute.run_jobs`, and no cleverness: at each
instant each site touched looks at its whole queue again.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

__all__ = ["run_jobs"]


@dataclass
class _Site:
    cores: int
    free: int
    held: int = 0
    """Cores of queued and running jobs."""
    queue: list[int] = field(default_factory=list)
    expected: list[tuple[float, int]] = field(default_factory=list)
    """Expected end and width of each running job, by expected end."""


def run_jobs(
    submit: Sequence[float],
    width: Sequence[int],
    run: Sequence[float],
    request: Sequence[float],
    site: Sequence[int],
    cores: Sequence[int],
    easy: bool,
) -> tuple[list[float], list[int]]:
    """Return when and where each job starts."""
    n, arrived, waiting = len(submit), 0, 0
    start, where = [0.0] * n, list(site)
    sites = [_Site(size, size) for size in cores]
    running: list[tuple[float, int]] = []
    while arrived < n or waiting:
        now = submit[arrived] if arrived < n else float("inf")
        if running:
            now = min(now, running[0][0])
        touched = set()
        while running and running[0][0] <= now:
            job = heappop(running)[1]
            at = sites[where[job]]
            at.free += width[job]
            at.held -= width[job]
            at.expected.remove((start[job] + request[job], width[job]))
            touched.add(where[job])
        while arrived < n and submit[arrived] <= now:
            if where[arrived] < 0:
                where[arrived] = _least_loaded(sites, width[arrived])
            sites[where[arrived]].queue.append(arrived)
            sites[where[arrived]].held += width[arrived]
            touched.add(where[arrived])
            arrived += 1
            waiting += 1
        for s in touched:
            for job in _startable(sites[s], now, width, request, easy):
                start[job] = now
                heappush(running, (now + run[job], job))
                waiting -= 1
    return start, where


def _least_loaded(sites: list[_Site], width: int) -> int:
    fitting = [s for s, at in enumerate(sites) if at.cores >= width]
    return min(fitting, key=lambda s: sites[s].held / sites[s].cores)


def _startable(
    at: _Site, now: float, width: Sequence[int], request: Sequence[float], easy: bool
) -> list[int]:
    """Take the jobs that start now out of the queue and put them into `expected`."""
    started: list[int] = []
    left: list[int] = []
    shadow, extra = float("inf"), 0
    for job in at.queue:
        fits, in_time = width[job] <= at.free, True
        if left:  # the first of them is the blocked head
            in_time = now + request[job] <= shadow
            fits = easy and fits and (in_time or width[job] <= extra)
        if fits:
            started.append(job)
            at.free -= width[job]
            insort(at.expected, (now + request[job], width[job]))
            extra -= 0 if in_time else width[job]
            continue
        left.append(job)
        if not easy:
            left = at.queue[len(started) :]
            break
        if len(left) == 1:
            shadow, extra = _reservation(at, now, width[job])
    at.queue = left
    return started


def _reservation(at: _Site, now: float, need: int) -> tuple[float, int]:
    """Return when `need` cores are expected to be free and how many more will be."""
    free, shadow = at.free, now
    for end, width in at.expected:
        if free >= need and end > shadow:
            break
        free += width
        shadow = max(shadow, end)
    return shadow, free - need
