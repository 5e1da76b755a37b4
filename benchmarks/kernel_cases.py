"""Made-up platforms and workloads for ``kernel.py``, with a fixed seed.

The grids are those that simulators of data grids are judged by: sites of equal cores, files that
come from an origin or from other sites, jobs that hold their cores while their inputs come.
"""

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.parts import Link, Pool, Route, Site, Storage
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Files, Workload

__all__ = ["busy", "compute", "copies", "stars"]

Floats = NDArray[np.float64]
_SPEED = 1e10
_LOAD = 0.85


def _submits(rng: np.random.Generator, run: Floats, width: NDArray[np.int64], cores: int) -> Floats:
    """Return arrivals over the time in which the cores can do 0.85 of the work."""
    return np.sort(rng.uniform(0.0, np.dot(run, width) / (cores * _LOAD), len(run)))


def compute(jobs: int, sites: int = 150, seed: int = 1) -> tuple[Platform, Workload]:
    """Return sites of 50 to 400 cores and jobs of 1 or 8 cores without files."""
    rng = np.random.default_rng(seed)
    cores = rng.integers(50, 401, sites)
    width = rng.choice(np.array([1, 8]), jobs, p=[0.6, 0.4])
    run = rng.exponential(3600.0, jobs)
    platform = Platform(tuple(Site.of(f"s{k}", int(size)) for k, size in enumerate(cores)))
    return platform, Workload(_submits(rng, run, width, int(cores.sum())), width, run)


def stars(
    jobs: int, sites: int = 50, cores: int = 200, uplink: float | None = None, seed: int = 1
) -> tuple[Platform, Workload]:
    """Return sites that read one file a job from an origin, each by a WAN link of its own.

    The WAN links are used to 0.4 by the payload; all routes begin with the uplink if there is one,
    whose bandwidth is `uplink` times the mean of what is read.
    """
    rng = np.random.default_rng(seed)
    run, size = rng.lognormal(8.0, 1.0, jobs), rng.lognormal(23.0, 1.0, jobs)
    width = np.ones(jobs, np.int64)
    mean = np.exp(23.5) * _LOAD / np.exp(8.5) * cores  # bytes/s of a site
    links = [Link(f"wan{k}", mean / 0.4, 0.005) for k in range(sites)]
    first = ()
    if uplink is not None:
        links.append(Link("uplink", uplink * sites * mean))
        first = ("uplink",)
    platform = Platform(
        tuple(Site(f"s{k}", (Pool(cores, speed=_SPEED),)) for k in range(sites)),
        tuple(links),
        tuple(Route("origin", f"s{k}", (*first, f"wan{k}")) for k in range(sites)),
        ("origin",),
    )
    return platform, _one_file(_submits(rng, run, width, sites * cores), run, size, sites)


def _one_file(submit: Floats, run: Floats, size: Floats, origin: int) -> Workload:
    each = np.arange(len(submit))
    return Workload(
        submit,
        np.ones(len(submit), np.int64),
        np.zeros(len(submit)),
        flop=run * _SPEED,
        input_ptr=np.arange(len(submit) + 1),
        input_file=each,
        files=Files(size, replica_file=each, replica_node=np.full(len(submit), origin)),
    )


def busy(
    jobs: int, flows: int, sites: int = 50, *, shared: bool, seed: int = 1
) -> tuple[Platform, Workload]:
    """Return a grid with about so many flows at any time: jobs that do nothing but read."""
    cores = max(flows // sites, 1)
    sites = min(sites, flows)
    platform, _ = stars(0, sites, cores, 0.4 if shared else None)
    rng = np.random.default_rng(seed)
    size = rng.lognormal(23.0, 1.0, jobs)
    return platform, _one_file(np.zeros(jobs), np.full(jobs, 1e-3), size, sites)


def copies(
    jobs: int,
    sites: int = 50,
    cores: int = 200,
    *,
    wan: float = 5e8,
    stream: bool = False,
    seed: int = 1,
) -> tuple[Platform, Workload]:
    """Return sites with disks and caches that read each other's files, jobs of 1 to 4 inputs.

    100 files a site, read by popularity (Zipf), one or two replicas each; a cache holds a third of
    all and is empty at first; disks of 2 GB/s each way; the WAN links of `wan` bytes/s meet in the
    middle, so that a route from a site to another takes a part of both links; 500 MB of output
    stay where they are written.
    """
    rng = np.random.default_rng(seed)
    count = 100 * sites
    size = rng.lognormal(21.0, 0.7, count)
    number = rng.integers(1, 5, jobs)
    ptr = np.concatenate([[0], np.cumsum(number)])
    weight = 1.0 / np.arange(1, count + 1)
    files = rng.permutation(count)[rng.choice(count, int(ptr[-1]), p=weight / weight.sum())]
    home = rng.integers(0, sites, count)
    second = np.flatnonzero(rng.random(count) < 0.5)
    away = (home[second] + rng.integers(1, max(sites, 2), len(second))) % sites
    storages = (
        Storage("disk", read=2e9, write=2e9),
        Storage("cache", float(size.sum()) / 3, 2e9, 2e9, "cache"),
    )
    platform = Platform(
        tuple(Site(f"s{k}", (Pool(cores, speed=_SPEED),), storages) for k in range(sites)),
        tuple(Link(f"wan{k}", wan, 0.005, ends=(f"s{k}", "core")) for k in range(sites)),
        routers=("core",),
    )
    run, width = rng.lognormal(8.0, 1.0, jobs), np.ones(jobs, np.int64)
    return platform, Workload(
        _submits(rng, run, width, sites * cores),
        width,
        np.zeros(jobs),
        flop=run * _SPEED,
        stream=np.full(jobs, stream),
        output=np.full(jobs, 5e8),
        input_ptr=ptr,
        input_file=files,
        files=Files(
            size,
            replica_file=np.concatenate([np.arange(count), second]),
            replica_node=np.concatenate([home, away]),
        ),
    )
