"""Run a function over many items: here, or in local processes."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["Executor"]

Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Executor:
    """``map(fn, items)`` on this process or on local processes; results come in item order.

    With ``processes`` at most ``2 * workers`` items are under way or waiting to be handed out, so
    that a long iterable of large items stays bounded in memory. Functions and items must be
    picklable then.
    """

    kind: Literal["serial", "processes"] = "serial"
    workers: int = 0
    """Number of processes; 0 means one per core of this machine."""

    def map(self, fn: Callable[[Item], Out], items: Iterable[Item]) -> Iterator[Out]:
        """Yield ``fn(item)`` for each item, in order; the first exception is raised."""
        if self.kind == "serial":
            yield from map(fn, items)
            return
        workers = self.workers or os.cpu_count() or 1
        # "spawn": forked children may inherit locks held by polars' and numba's threads
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            waiting: list[Future[Out]] = []
            for item in items:
                waiting.append(pool.submit(fn, item))
                if len(waiting) >= 2 * workers:
                    wait(waiting[:1], return_when=FIRST_COMPLETED)
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
