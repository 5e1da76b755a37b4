"""The batch machine in plain Python: the oracle of its tests, the yardstick of its speed.

Lists, sorted whenever somebody looks at them, and no cleverness.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["run_clean", "run_rlscheduler"]

Key = Callable[[int, float], Any]
"""``key(job, now)``, lowest first; equal ones stay as they stand."""


def run_rlscheduler(
    submit: Sequence[float],
    need: Sequence[int],
    run: Sequence[float],
    request: Sequence[float],
    *,
    cores: int,
    backfill: bool,
    key: Key,
) -> list[float]:
    """Return start times by the semantics of RLScheduler (Zhang et al., SC 2020)."""
    n, now, free, arrived = len(submit), submit[0], cores, 0
    start = [math.nan] * n
    queue: list[int] = []
    running: list[int] = []

    def one_event() -> None:
        nonlocal now, free, arrived
        running.sort(key=lambda j: start[j] + run[j])
        ends = start[running[0]] + run[running[0]] if running else math.inf
        if arrived < n and submit[arrived] <= ends:
            now = max(now, submit[arrived])
            queue.append(arrived)
            arrived += 1
        else:
            now = max(now, ends)
            free += need[running.pop(0)]

    def begin(j: int) -> None:
        nonlocal free
        start[j] = now
        free -= need[j]
        queue.remove(j)
        running.append(j)

    while queue or arrived < n:
        if not queue:
            one_event()
            continue
        queue.sort(key=lambda j: key(j, now))
        head, reserved = queue[0], now
        if need[head] > free:
            running.sort(key=lambda j: start[j] + request[j])
            room = free
            for j in running:
                room += need[j]
                reserved = start[j] + request[j]
                if room >= need[head]:
                    break
        while need[head] > free:
            if backfill:
                queue.sort(key=lambda j: submit[j])
                for j in tuple(queue):
                    if need[j] <= free and now + request[j] < reserved:
                        begin(j)
            one_event()
        begin(head)
    return start


def run_clean(
    submit: Sequence[float],
    need: Sequence[int],
    run: Sequence[float],
    request: Sequence[float],
    *,
    cores: int,
    backfill: str,
    key: Key,
) -> list[float]:
    """Return start times by the clean semantics; `key` tells all jobs apart."""
    n, free, arrived = len(submit), cores, 0
    start = [math.nan] * n
    queue: list[int] = []
    running: list[int] = []

    def begin(j: int) -> None:
        nonlocal free
        start[j] = now
        free -= need[j]
        queue.remove(j)
        running.append(j)

    while queue or arrived < n:
        now = min([start[j] + run[j] for j in running] + list(submit[arrived : arrived + 1]))
        free += sum(need[j] for j in running if start[j] + run[j] <= now)
        running = [j for j in running if start[j] + run[j] > now]
        while arrived < n and submit[arrived] <= now:
            queue.append(arrived)
            arrived += 1
        queue.sort(key=lambda j: key(j, now))
        while queue and need[queue[0]] <= free:
            begin(queue[0])
        if backfill == "none" or not queue:
            continue
        plan = [(max(start[j] + request[j], now), start[j] + request[j], need[j]) for j in running]
        if backfill == "easy":
            _easy(queue, now, free, [(a, c) for a, _, c in plan], need, request, begin)
        else:
            soon = math.nextafter(now, math.inf)
            held = [(now, max(due, soon), size) for _, due, size in plan]
            _conservative(queue, now, cores, held, need, request, begin)
    return start


def _easy(
    queue: list[int],
    now: float,
    free: int,
    running: list[tuple[float, int]],
    need: Sequence[int],
    request: Sequence[float],
    begin: Callable[[int], None],
) -> None:
    """Backfill around the first (Lifka, JSSPP 1995); `running` has ends and sizes."""
    head = queue[0]
    shadow = next(
        end
        for end, _ in sorted(running)
        if free + sum(size for other, size in running if other <= end) >= need[head]
    )
    extra = free + sum(size for end, size in running if end <= shadow) - need[head]
    for j in queue[1:]:
        in_time = now + request[j] <= shadow
        if need[j] <= free and (in_time or need[j] <= extra):
            extra -= 0 if in_time else need[j]
            free -= need[j]
            begin(j)


def _conservative(
    queue: list[int],
    now: float,
    cores: int,
    held: list[tuple[float, float, int]],
    need: Sequence[int],
    request: Sequence[float],
    begin: Callable[[int], None],
) -> None:
    """Plan all in order (Feitelson and Weil, IPPS 1998); `held` has begins, ends and sizes."""
    for j in tuple(queue):
        for at in sorted({now, *(end for _, end, _ in held)}):
            end = max(at + request[j], math.nextafter(at, math.inf))
            moments = [at, *(begins for begins, _, _ in held if at < begins < end)]
            used = [sum(size for a, b, size in held if a <= t < b) for t in moments]
            if max(used) + need[j] <= cores:
                held.append((at, end, need[j]))
                if at == now:
                    begin(j)
                break
