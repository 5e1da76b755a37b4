"""Say who starts next: by a score, by a compiled function, by a plain one."""

from math import log1p

import numpy as np
from numba import njit

import gridtwin
from gridtwin.sim import Policy
from gridtwin.sim.waiting import Queue, ranking


def patient(request: float, width: float, submit: float, wait: float) -> float:
    """Score a job by its area, less the longer it waits; the lowest is first."""
    return log1p(request * width) - log1p(wait)


@njit
def widest(here: np.record, queue: np.ndarray) -> int:
    """Name the widest job that fits, else the first."""
    best, most = 0, 0
    for k in range(len(queue)):
        if most < queue[k].cores <= here.free:
            best, most = k, queue[k].cores
    return best


def slowed(queue: Queue) -> int:
    """Name the job that waits longest for what it asks."""
    return int((queue.wait / (queue.request + 1.0)).argmax())


jobs = gridtwin.examples.load("lublin", n=2000, seed=1, load=0.9)
for policy in (
    Policy("patient", order="called", backfill="easy", choose=ranking(patient)),
    Policy("widest", order="called", backfill="easy", choose=widest),
    slowed,
):
    result = gridtwin.simulate(jobs, cores=256, policy=policy)
    print(result.policy, result.summary())
