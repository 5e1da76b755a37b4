"""Run jobs through the grid kernel, as its tests need it."""

import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS
from gridtwin.sim.kernel.grid import DONE, LIMIT, REACHED, advance
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.sim.workload import Files, Workload

NOBODY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda job: -1)


def run(platform, jobs, rules=None, faults=NO_FAULTS, *, seed=0, stops=(), few=0, until=np.inf):
    """Return the state at the end, its attempts and its transfers.

    `stops` are instants to pause at, `few` pauses every so many events, `until` ends it there.
    """
    state = assemble(platform, jobs, rules or Rules(), faults, seed)
    for stop in stops:
        assert advance(state, stop, sys.maxsize, NOBODY) in (DONE, REACHED)
    while few and advance(state, np.inf, state.world[0]["events"] + few, NOBODY) == LIMIT:
        assert state.heap[0]["what"] < len(state.heap)
    assert advance(state, until, sys.maxsize, NOBODY) in (DONE, REACHED)
    assert until < np.inf or state.heap[0]["what"] == state.soon[0]["what"] == 0
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


def platform_from(rng, *, storages=True):
    """Return a random platform: sites around an origin, links of all kinds, disks and caches."""
    count = int(rng.integers(1, 5))
    kinds = ("shared", "shared", "fatpipe", "split")
    latency = 10 ** rng.uniform(-4, -0.5, 2 * count + 2) * (rng.random(2 * count + 2) < 0.8)
    latency *= rng.random() < 0.9
    links = [Link("up", 10 ** rng.uniform(7, 9), latency[0], str(rng.choice(kinds)))]
    sites, routes = [], []
    for k in range(count):
        for name in ("wan", "lan"):
            bandwidth, sharing = 10 ** rng.uniform(6.5, 9), str(rng.choice(kinds))
            links.append(Link(f"{name}{k}", bandwidth, latency[len(links)], sharing))
        pools = tuple(
            Pool(
                int(rng.integers(1, 5)),
                hosts=int(rng.integers(1, 4)),
                speed=10 ** rng.uniform(9, 10),
                memory=float(rng.choice([4e9, 16e9])) if rng.random() < 0.4 else None,
            )
            for _ in range(rng.integers(1, 3))
        )
        stores = _storages(rng) if storages else ()
        sites.append(Site(f"s{k}", pools, stores, f"lan{k}" if rng.random() < 0.5 else None))
        routes.append(Route("o", f"s{k}", ("up", f"wan{k}")))
        routes += [Route(f"s{k}", f"s{j}", (f"wan{k}", f"wan{j}")) for j in range(k)]
    return Platform(tuple(sites), tuple(links), tuple(routes), ("o",))


def _storages(rng):
    slow = rng.random() < 0.5
    speed = {"read": 10 ** rng.uniform(7, 9), "write": 10 ** rng.uniform(7, 9)} if slow else {}
    stores = []
    if rng.random() < 0.5:
        stores.append(Storage("disk", rng.choice([None, 3e9]), **speed))
    if rng.random() < 0.5:
        stores.append(Storage("cache", 10 ** rng.uniform(8, 10), kind="cache", **speed))
    return tuple(stores)


def jobs_from(rng, platform, most=40, **columns):
    """Return random jobs that read files from the origin and the sites."""
    n, files = int(rng.integers(0, most)), int(rng.integers(1, 12))
    nodes = len(platform.sites) + 1
    at = [
        np.unique(np.append(rng.integers(0, nodes, rng.integers(0, 2)), nodes - 1))
        for _ in range(files)
    ]
    reads = [rng.integers(0, files, rng.integers(0, 4)) for _ in range(n)]
    submit = np.cumsum(rng.exponential(rng.choice([1.0, 30.0]), n) * (rng.random(n) < 0.8))
    flop = 10 ** rng.uniform(8, 12, n) * (rng.random(n) < 0.9)
    values = {
        "flop": flop,
        "memory": rng.choice([0.0, 1e9, 6e9], n),
        "priority": rng.integers(0, 3, n),
        "request": np.where(rng.random(n) < 0.7, np.inf, 10 ** rng.uniform(-1, 3, n)),
        "output": 10 ** rng.uniform(6, 9, n) * (rng.random(n) < 0.5),
        "site": np.where(rng.random(n) < 0.7, -1, rng.integers(0, len(platform.sites), n)),
    }
    cores = rng.integers(1, 5, n)
    sizes = np.floor(10 ** rng.uniform(6, 9.5, files)) * (rng.random(files) < 0.9)
    return work(submit, 0.0, cores, reads=reads, sizes=sizes, at=at, **values | columns)


@pytest.fixture(scope="session")
def grid():
    """Return what runs a platform's jobs and what makes platforms and jobs."""
    return SimpleNamespace(run=run, work=work, platform=platform_from, jobs=jobs_from)
