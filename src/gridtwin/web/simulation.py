"""A live simulation in the process of its own: made from what was asked, stepped, looked at."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.sim import Platform, Simulation
from gridtwin.trace import JobTable, examples
from gridtwin.web.shapes import MOST_JOBS, Start

__all__ = ["Drive", "frame_of", "load", "platform_for"]

_SLICE = 0.02
_FEWEST, _MOST = 100, 1_000_000


def load(start: Start, root: Path) -> JobTable:
    """Return the jobs that were asked for; at most `MOST_JOBS`."""
    if start.records is not None:
        import gridtwin

        jobs = gridtwin.read(root / start.records)
    elif start.example == "panda":
        jobs = examples.load("panda", days=start.days, scale=start.scale, seed=start.seed)
    else:
        jobs = examples.load("lublin", n=start.jobs, seed=start.seed)
    count = len(jobs)
    if not 1 <= count <= MOST_JOBS:
        raise InputError(f"a live simulation takes 1 to {MOST_JOBS:,} jobs, not {count:,}")
    return jobs


def platform_for(start: Start, jobs: JobTable) -> Platform:
    """Return the sites; with `cores`, each is made larger or smaller in proportion."""
    if start.platform == "machine":
        if start.cores is not None:
            return Platform.single(start.cores)
        from gridtwin.trace.derive import machine_size

        return Platform.single(machine_size(jobs))
    if start.platform == "wlcg":
        from gridtwin.sim import build

        whole = build.wlcg()
    else:
        whole = Platform.observed(jobs)
    if start.cores is None:
        return whole
    share = start.cores / int(whole.cores.sum())
    sites = []
    for site in whole.sites:
        pools = (replace(p, cores=max(1, round(p.cores * share)), hosts=1) for p in site.pools)
        sites.append(replace(site, pools=tuple(pools)))
    return replace(whole, sites=tuple(sites))


@dataclass
class Drive:
    """Drives a simulation at a pace: so many simulated seconds a second, if it keeps up."""

    run: Simulation
    speed: float
    begin: float = field(init=False)
    """First submission, in the clock of the jobs."""
    lag: bool = False
    """Whether the last step did not reach what the pace asked for."""
    _bound: int = field(init=False)
    _slice: int = 2000

    def __post_init__(self) -> None:
        self.begin = float(self.run.demand.work.submit[0])
        self._bound = self.run.limit

    @property
    def since(self) -> float:
        """Simulated seconds since the first submission."""
        return max(0.0, self.run.clock - self.begin)

    @property
    def over(self) -> bool:
        """Whether nothing more can happen."""
        return self.run.stop == "done" or self.run.events >= self._bound

    def step(self, seconds: float, budget: float) -> None:
        """Go on by the pace's share of `seconds`, with at most about `budget` s of work.

        The work is done in slices of so many events as take 20 ms, so that it can be left off
        anywhere; what happens does not depend on where.
        """
        goal = self.begin + self.since + self.speed * seconds
        begin = perf_counter()
        why = "limit"
        while why == "limit" and not self.over and perf_counter() - begin < budget:
            before, since = self.run.events, perf_counter()
            self.run.limit = min(self._bound, before + self._slice)
            why = self.run.until(goal)
            took, done = perf_counter() - since, self.run.events - before
            if why == "limit" and took > 0.0:
                self._slice = min(_MOST, max(_FEWEST, round(done / took * _SLICE)))
        self.lag = why == "limit" and not self.over


def frame_of(drive: Drive) -> dict[str, Any]:
    """Return where a simulation stands, as plain values; the work is in what runs."""
    run = drive.run
    at = run.look()
    queued = at["queued"] + at["coming"]
    open_cores = (at["open"] * pl.Series(run.platform.cores)).sum()
    return {
        "now": {
            "time": drive.since,
            "queued": queued.sum(),
            "running": at["running"].sum(),
            "busy_cores": at["busy_cores"].sum(),
            "open_cores": round(open_cores),
            "rate": at["bytes_per_s"].sum(),
        },
        "progress": {
            "arrived": run.arrived,
            "finished": at["finished"].sum(),
            "failed": at["failed"].sum(),
            "transfers": at["transfers"].sum(),
            "events": run.events,
            "lag": drive.lag,
        },
        "at_sites": {
            "queued": queued.to_list(),
            "running": at["running"].to_list(),
            "busy_cores": at["busy_cores"].to_list(),
            "open": at["open"].to_list(),
        },
    }
