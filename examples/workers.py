"""Run tasks here, in local processes or on Ray: the same results."""

from functools import partial

import numpy as np

from gridtwin.core.executor import Executor, Shared


# --8<-- [start:task]
def mean_wait(table: Shared[np.ndarray], row: int) -> float:
    """Return the mean of a row of the table that all tasks share."""
    return float(table.get()[row].mean())


def waits(executor: Executor) -> list[float]:
    """Hand the table over once, and one number with each task."""
    table = np.random.default_rng(0).exponential(600.0, (8, 100_000))
    with executor, executor.share(table) as shared:
        return list(executor.map(partial(mean_wait, shared), range(8)))


# --8<-- [end:task]
if __name__ == "__main__":  # processes begin by reading this file
    here = waits(Executor())
    print(here)
    assert waits(Executor("processes", workers=2)) == here
    # on Ray: Executor("ray"), or Executor("ray", address="head:6379")
