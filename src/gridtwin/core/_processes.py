"""Tasks of an `Executor` in processes of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from gridtwin.core._tasks import attempt_apart
from gridtwin.core.errors import WorkerLostError

__all__ = ["processes"]


@contextmanager
def processes(fn: Callable[[Any], Any], workers: int, retries: int) -> Iterator["_Processes"]:
    """Give a pool of processes; end it without waiting for tasks that have not begun."""
    tasks = _Processes(fn, workers or os.cpu_count() or 1, retries)
    try:
        yield tasks
    finally:
        tasks.pool.shutdown(cancel_futures=True)


class _Processes:
    def __init__(self, fn: Callable[[Any], Any], workers: int, retries: int) -> None:
        self.fn, self.workers, self.retries = fn, workers, retries
        self.most = 2 * workers
        self.pool = _pool(workers)

    def submit(self, item: Any) -> Future[Any]:  # noqa: ANN401 - any item
        """Hand out an item; a pool that has lost a process is replaced."""
        try:
            return self.pool.submit(attempt_apart, self.fn, item)
        except BrokenProcessPool:
            self.pool.shutdown()
            self.pool = _pool(self.workers)
            return self.pool.submit(attempt_apart, self.fn, item)

    def result(self, item: Any, handle: Future[Any]) -> Any:  # noqa: ANN401
        """Return the outcome.

        A pool that loses a process drops all its tasks. Each is run again alone, so that the one
        that ends its process is known.
        """
        try:
            return handle.result()
        except BrokenProcessPool:
            pass
        for _ in range(self.retries):
            with _pool(1) as alone:
                future = alone.submit(attempt_apart, self.fn, item)
                if not isinstance(future.exception(), BrokenProcessPool):
                    return future.result()
        raise WorkerLostError(self.retries)


def _pool(workers: int) -> ProcessPoolExecutor:
    # "spawn": forked children may inherit locks held by polars' and numba's threads
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
