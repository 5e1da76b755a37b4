"""Send jobs to the sites of a grid: by name, by a Python function, by a compiled one."""

from numba import njit
from numpy.typing import NDArray

import gridtwin
from gridtwin.sim import Faults, Link, Platform, Site
from gridtwin.sim.view import View

jobs = gridtwin.examples.load("lublin", n=300, seed=1)
sites = (Site.of("fast", 256, 4e9), Site.of("large", 512, 2e9), Site("store"))
links = tuple(Link(f"to {s.name}", 1e9, 0.01, ends=("store", s.name)) for s in sites[:2])
platform = Platform(sites, links)


def emptiest(view: View) -> int:
    """Choose the site with most free cores; the view shows what is known at submission."""
    return int(view.free.argmax())


@njit
def first_with_room(job: int, jobs: NDArray, sites: NDArray, pools: NDArray) -> int:
    """Choose the first site that can start the job now, else the large one."""
    for s in range(2):
        if pools[sites[s].first_pool].free >= jobs[job].cores:
            return s
    return 1


for broker in ("least_loaded", emptiest, first_with_room):
    result = gridtwin.simulate(
        jobs, platform=platform, policy="fcfs", broker=broker, faults=Faults(0.1, attempts=3)
    )
    summary = result.summary()
    print(f"{result.broker:16} {dict(result.outcomes)}, mean wait {summary['mean_wait']:.0f} s")
