"""A live simulation in the process of its own: made from what was asked, stepped, looked at."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gridtwin.core.errors import InputError
from gridtwin.sim import Platform, Rules, Simulation
from gridtwin.sim.brokers import brokerage, check_broker, chooser_of
from gridtwin.sim.demand import demand
from gridtwin.sim.kernel.codes import Backfilling, Ordering
from gridtwin.sim.policies import resolve
from gridtwin.trace import JobTable, examples
from gridtwin.web.shapes import MOST_JOBS, Start

__all__ = ["Drive", "frame_of", "load", "platform_for", "prepare"]

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


def prepare(start: Start, jobs: JobTable) -> Simulation:
    """Return the simulation before its first event."""
    check_broker(start.broker)
    rule = resolve(start.policy)
    platform = platform_for(start, jobs)
    asked = demand(jobs, platform, recorded=start.broker == "recorded")
    if not len(asked.work):
        raise InputError("none of the jobs can be simulated; they need submit and run times")
    return Simulation(
        platform,
        asked,
        rules=Rules(
            broker=brokerage(start.broker),
            order=Ordering[rule.order.upper()],
            backfill=Backfilling[rule.backfill.upper()],
        ),
        seed=start.seed,
        broker=chooser_of(start.broker, start.seed),
    )


@dataclass
class Drive:
    """Drives a simulation at a pace: so many simulated seconds a second, if it keeps up."""

    run: Simulation
    speed: float
    clock: float = field(init=False)
    """Simulated time that is reached, in the clock of the jobs."""
    lag: bool = False
    """Whether the last step did not reach what the pace asked for."""
    _bound: int = field(init=False)
    _slice: int = 2000

    def __post_init__(self) -> None:
        self.clock = float(self.run.demand.work.submit[0])
        self._bound = self.run.limit

    @property
    def over(self) -> bool:
        """Whether nothing more can happen."""
        return self.run.stop == "done" or self.run.events >= self._bound

    def step(self, seconds: float, budget: float) -> None:
        """Go on by the pace's share of `seconds`, with at most about `budget` s of work.

        The work is done in slices of so many events as take 20 ms, so that it can be left off
        anywhere; what happens does not depend on where.
        """
        goal = self.clock + self.speed * seconds
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
        self.clock = self.run.now if why != "reached" else goal


def frame_of(drive: Drive) -> dict[str, Any]:
    """Return where a simulation stands, as plain values; the work is in the sites."""
    run = drive.run
    state, world = run.state, run.state.world[0]
    sites, pools = state.sites, state.pools
    busy = np.bincount(pools["site"], pools["cores"] - pools["free"], len(sites)).astype(np.int64)
    waiting = sites["queued"] + sites["coming"]
    open_cores = int((sites["cores"] * sites["open"]).sum())
    flowing = state.classes["flows"] * state.classes["rate"]
    return {
        "now": {
            "time": drive.clock - float(run.demand.work.submit[0]),
            "queued": int(waiting.sum()),
            "running": int(sites["running"].sum()),
            "busy_cores": int(busy.sum()),
            "open_cores": open_cores,
            "rate": float(flowing.sum()),
        },
        "progress": {
            "arrived": int(world["arrived"]),
            "attempts": int(world["attempts"]),
            "ended": int(world["attempts"] - waiting.sum() - sites["running"].sum()),
            "moved_bytes": 0.0,
            "events": int(world["events"]),
            "lag": drive.lag,
        },
        "at_sites": {
            "queued": waiting.tolist(),
            "running": sites["running"].tolist(),
            "busy_cores": busy.tolist(),
            "open": sites["open"].tolist(),
        },
    }
