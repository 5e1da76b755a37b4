"""Run the jobs of one site under a setting."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.sim.assemble import Rules
from gridtwin.sim.calibration.records import Records
from gridtwin.sim.calibration.settings import Setting
from gridtwin.sim.demand import Demand
from gridtwin.sim.kernel import run_jobs
from gridtwin.sim.kernel.codes import Backfilling, Ordering
from gridtwin.sim.parts import Pool
from gridtwin.sim.platform import Platform
from gridtwin.sim.run import Simulation
from gridtwin.sim.workload import Workload

__all__ = ["Outcome", "run_trial", "with_setting"]

Floats = NDArray[np.float64]

DEPTH = 200
"""Jobs behind the first that backfilling looks at."""
_QUEUES = {
    "fcfs": (Ordering.FCFS, Backfilling.NONE),
    "easy": (Ordering.FCFS, Backfilling.EASY),
    "conservative": (Ordering.FCFS, Backfilling.CONSERVATIVE),
    "priority": (Ordering.PRIORITY, Backfilling.NONE),
    "fair_share": (Ordering.FAIR_SHARE, Backfilling.NONE),
}
_WEEK, _DAY = 7 * 86400.0, 86400.0


@dataclass(frozen=True)
class Outcome:
    """What a run says of each job; NaN: it did not start, or did not end."""

    wait: Floats
    """s from submission to start."""
    wall: Floats
    """s from start to end."""


def run_trial(records: Records, setting: Setting, seed: int) -> Outcome:
    """Run the jobs of a site, all of them, from the first on.

    A job joins the queue a log-normal time after its submission. Under a limit it then waits until
    its user's jobs leave room, first come, first served: the limit counts a job from then on for as
    long as it will run, as if it started at once. Jobs of the background are copies of the site's
    jobs, moved by half the span in whole weeks (days), around its end.
    """
    platform = with_setting(records.platform, setting, records.work)
    work = _payloads(records, setting)
    submit = work.submit + _delays(len(work), setting, seed)
    caps = records.caps if setting.caps == "seen" else {}
    if setting.limit < 1 or caps:
        most = max(1, round(setting.limit * int(platform.cores[0])))
        submit = _limited(work, submit, [caps.get(user, most) for user in records.users])
    source, submit = _with_background(submit, setting.background, seed)
    order = np.argsort(submit, kind="stable")
    jobs = _taken(work, source[order], submit[order], copies=order >= len(work))
    ordering, backfilling = _QUEUES[setting.policy]
    rules = Rules(
        order=ordering,
        backfill=backfilling,
        depth=DEPTH,
        pilot=setting.pilot,
        transfers=False,
    )
    nobody = np.zeros(len(jobs), bool)
    run = Simulation(platform, Demand(jobs, pl.DataFrame(), nobody), rules=rules)
    run.until()
    state = run.state
    made = state.attempts[: int(state.world[0]["attempts"])]
    of = order[made["job"]]
    ours = of < len(work)
    start, end = np.full(len(work), np.nan), np.full(len(work), np.nan)
    start[of[ours]], end[of[ours]] = made["start"][ours], made["end"][ours]
    return Outcome(start - work.submit, end - start)


def with_setting(platform: Platform, setting: Setting, work: Workload | None = None) -> Platform:
    """Return a platform of one site with its share of cores and bandwidth; every job fits still."""
    site = platform.sites[0]
    widest = 1 if work is None or not len(work) else int(work.cores.max())
    size = max(round(setting.cores * site.cores), widest)
    if size != site.cores:
        pool = Pool(size, speed=site.speed, name=site.pools[0].name)
        site = replace(site, pools=(pool,))
    links = tuple(
        replace(link, bandwidth=link.bandwidth * setting.bandwidth) for link in platform.links
    )
    return replace(platform, sites=(site,), links=links)


def _payloads(records: Records, setting: Setting) -> Workload:
    """Return the workload with the payloads and the estimates of a setting."""
    work, run = records.work, records.work.run
    if records.from_cpu:
        run = np.where(np.isnan(records.cpu), run, records.cpu * setting.stretch)
    base = np.where(np.isnan(records.asked), run, records.asked)
    return replace(work, run=run, estimate=base * setting.estimate)


def _delays(n: int, setting: Setting, seed: int) -> Floats:
    """Return each job's time to the queue; the same random numbers for every setting."""
    normal = np.random.default_rng([seed, 0]).standard_normal(n)
    return setting.dispatch * np.exp(setting.spread * normal)


def _limited(work: Workload, ready: Floats, most: list[int]) -> Floats:
    """Return when each job's user has room for it: the cores of `most`, or of its widest job."""
    users = np.zeros(len(work), np.int64) if work.user is None else work.user
    cores = np.array(most, np.int64)
    np.maximum.at(cores, users, work.cores)
    order = np.argsort(ready, kind="stable")
    run = np.ascontiguousarray(work.run[order])
    start, _ = run_jobs(
        ready[order],
        np.ascontiguousarray(work.cores[order]),
        run,
        run,
        np.ascontiguousarray(users[order]),
        cores,
        False,
    )
    out = np.empty(len(work))
    out[order] = start
    return out


def _with_background(submit: Floats, share: float, seed: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the jobs and copies of some of them, as rows and times."""
    rows = np.arange(len(submit))
    span = float(np.ptp(submit)) if len(submit) else 0.0
    step = _WEEK if span >= 2 * _WEEK else _DAY
    if share <= 0 or span < 2 * step:
        return rows, submit
    draw = np.random.default_rng([seed, 1]).random(len(submit))
    copied = np.flatnonzero(draw < share)
    first = submit.min()
    moved = first + (submit[copied] - first + step * np.floor(span / 2 / step)) % span
    return np.concatenate([rows, copied]), np.concatenate([submit, moved])


def _taken(
    work: Workload, rows: NDArray[np.int64], submit: Floats, copies: NDArray[np.bool_]
) -> Workload:
    """Return jobs of a workload in another order, at other times; copies read no data."""
    names = ("cores", "run", "request", "estimate", "memory", "priority", "user", "kind", "stream")
    arrays = {name: getattr(work, name) for name in names}
    taken: dict[str, Any] = {name: a[rows] for name, a in arrays.items() if a is not None}
    if work.input_ptr is not None and work.input_file is not None:
        counts = np.where(copies, 0, np.diff(work.input_ptr)[rows])
        ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        at = np.arange(ptr[-1]) - np.repeat(ptr[:-1], counts)
        file = work.input_file[np.repeat(work.input_ptr[:-1][rows], counts) + at]
        taken |= {"input_ptr": ptr, "input_file": file, "files": work.files}
    return Workload(submit=submit, **taken)
