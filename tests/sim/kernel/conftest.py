"""Run jobs through the grid kernel, as its tests need it."""

import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS
from gridtwin.sim.kernel.grid import DONE, advance
from gridtwin.sim.workload import Files, Workload

NOBODY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda job: -1)


def run(platform, jobs, rules=None, faults=NO_FAULTS, *, seed=0, stops=()):
    """Return the final state, its attempts and its transfers; `stops` are instants to pause at."""
    state = assemble(platform, jobs, rules or Rules(), faults, seed)
    for until in stops:
        advance(state, until, sys.maxsize, NOBODY)
    assert advance(state, np.inf, sys.maxsize, NOBODY) == DONE
    assert state.heap[0]["what"] == 0
    world = state.world[0]
    attempts = state.attempts[: world["attempts"]]
    return SimpleNamespace(
        state=state,
        jobs=state.jobs,
        attempts=attempts,
        transfers=state.transfers[: world["transfers"]],
        **{name: attempts[name] for name in attempts.dtype.names if name != "job"},
    )


def work(submit, run=0.0, cores=1, *, reads=None, sizes=(), at=(), **columns):
    """Return a workload; numbers stand for all jobs, `at` gives each file's nodes."""
    n = len(submit)

    def column(values, kind):
        return np.broadcast_to(np.asarray(values, kind), n).copy()

    kinds = {"user": int, "kind": int, "site": int, "stream": bool, "output_file": int}
    kinds |= {"parent": int, "parent_ptr": int}
    columns = {
        name: np.asarray(v, int) if name.startswith("parent") else column(v, kinds.get(name, float))
        for name, v in columns.items()
    }
    if reads is not None:
        nodes = [np.atleast_1d(nodes) for nodes in at]
        columns["input_ptr"] = np.cumsum([0, *map(len, reads)])
        columns["input_file"] = np.array([f for files in reads for f in files], int)
        columns["files"] = Files(
            np.asarray(sizes, float),
            replica_file=np.repeat(np.arange(len(nodes)), [len(n) for n in nodes]),
            replica_node=np.concatenate(nodes).astype(int) if nodes else np.zeros(0, int),
        )
    return Workload(np.asarray(submit, float), column(cores, int), column(run, float), **columns)


@pytest.fixture(scope="session")
def grid():
    """Return what runs a platform's jobs and what makes jobs."""
    return SimpleNamespace(run=run, work=work)
