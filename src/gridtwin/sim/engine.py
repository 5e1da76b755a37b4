"""Run jobs on a platform: check, assign, run a kernel, put the outcome into a result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.assemble import Rules
from gridtwin.sim.brokers import (
    Broker,
    Chooser,
    assign,
    broker_name,
    brokerage,
    check_broker,
    chooser_of,
)
from gridtwin.sim.collect import collected
from gridtwin.sim.demand import Demand, demand, recorded_sites
from gridtwin.sim.faults import NO_FAULTS, Faults
from gridtwin.sim.formats import load_platform
from gridtwin.sim.kernel import run_jobs
from gridtwin.sim.platform import Platform
from gridtwin.sim.policies import Chooser as Called
from gridtwin.sim.policies import Policy, resolve
from gridtwin.sim.result import Result, Schedule
from gridtwin.sim.run import Simulation
from gridtwin.sim.workload import Workload
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.derive import Runnable, machine_size, runnable

__all__ = ["schedule", "simulate"]

_TIMES = ("submit", "run", "request")
_LATEST = 1e15
_NONE, _UNKNOWN = -1, -2


def schedule(
    submit: ArrayLike,
    width: ArrayLike,
    run: ArrayLike,
    request: ArrayLike,
    *,
    cores: int,
    backfill: Literal["none", "easy"],
) -> NDArray[np.float64]:
    """Return the start times of jobs on one machine, first come, first served.

    Parameters
    ----------
    submit, width, run, request
        One entry per job: submit time (s, never falling), size (1 to `cores`), run time and
        requested time (s, 0 or more). Jobs run as long as they run, past their request too.
    cores
        Size of the machine.
    backfill
        ``"none"`` or ``"easy"``: whether jobs behind the first in the queue may overtake.

    Raises
    ------
    InputError
        For values that are not finite, negative or out of order, lengths that differ, and jobs
        wider than the machine.
    """
    if backfill not in ("none", "easy"):
        raise InputError(f"backfill is {backfill!r}; expected 'none' or 'easy'")
    size = Platform.single(cores).cores
    times = [_seconds(name, v) for name, v in zip(_TIMES, (submit, run, request), strict=True)]
    widths = _whole(width)
    if len({len(values) for values in (*times, widths)}) > 1:
        raise InputError("submit, width, run and request differ in length; give one entry per job")
    if (np.diff(times[0]) < 0).any():
        raise InputError("the submit times fall somewhere; sort the jobs by them")
    if len(widths) and widths.max() > size[0]:
        first = int(np.argmax(widths > size[0]))
        raise InputError(
            f"job {first} is {widths[first]} wide, the machine has {size[0]}; "
            "leave such jobs out or give the machine's true size"
        )
    site = np.zeros(len(widths), dtype=np.int64)
    return _run(times[0], widths, times[1], times[2], site, size, backfill == "easy")[0]


def simulate(
    jobs: JobTable,
    *,
    cores: int | None = None,
    platform: Platform | Path | str | None = None,
    policy: str | Policy | Called | Mapping[str, str | Policy | Called] | None = None,
    broker: Broker | str | Chooser | None = None,
    seed: int = 0,
    faults: Faults | None = None,
    rules: Rules | None = None,
    local: JobTable | None = None,
    files: pl.DataFrame | None = None,
    replicas: pl.DataFrame | None = None,
    origin: str | Sequence[str] | None = None,
    parents: pl.DataFrame | None = None,
    work: Workload | None = None,
    stream: bool = False,
    walltime: bool = False,
    limit: int | None = None,
    drive: Callable[[Simulation], object] | None = None,
) -> Result:
    """Run the jobs of a table on a platform and return what happened.

    Parameters
    ----------
    jobs
        Needs submit time, run time and size: see `gridtwin.trace.derive.runnable`.
    cores, platform
        The size of one machine, or a platform or its file, of any form that
        `gridtwin.sim.formats.load_platform` knows. Neither: one machine of
        `gridtwin.trace.derive.machine_size`.
    policy
        Who starts next at a site, by name, or a function that says it: see
        `gridtwin.sim.waiting.namer`. Or a policy for each site by name, ``fcfs`` for the others.
        None is ``easy``, or ``fcfs`` where a site has several pools, over which nothing is
        backfilled.
    broker
        Which site a job goes to: ``"least_loaded"`` (also for None), ``"fewest_jobs"``,
        ``"random"``, ``"round_robin"``, ``"data_local"`` (most bytes of its input), or
        ``"recorded"``, the jobs' own ``site``. Or one of `gridtwin.policy.brokerage`, by name. Or
        a callable, see `gridtwin.sim.view.caller`.
    seed
        Of the broker ``"random"``, of failures and of retries.
    faults
        What goes wrong, and who tries again. With retries, those of the records are left out.
    rules
        Delays, pilots, blocks of streams; its broker, order and backfilling are not used.
    local
        Jobs of others, at their own sites, in whose midst `jobs` are run.
    files, replicas, origin, parents, stream, walltime
        See `gridtwin.sim.demand.demand`.
    work
        The jobs as arrays, one entry for each row of the table, as workflows and workloads of
        `gridtwin.sim.formats` give them; else they are made from the table.
    limit
        Events after which it stops, whatever is left.
    drive
        What lets the run go on until it is done, instead of `Simulation.until` at once.

    Returns
    -------
    result
        What a plain question asks (one pool a site, no speeds, memory or links, nothing of the
        other options) is answered by the kernel ``compute``: a job that fits no site, or not its
        own if that is recorded, is counted in `Result.rejected`, as are those without a time or a
        size. All else runs on the kernel ``grid``, where each job has one of the outcomes of
        `gridtwin.sim.kernel.codes.Outcome`. `Result.kernel` says which.
    """
    broker = broker or "least_loaded"
    check_broker(broker)
    jobs = jobs.with_frame(jobs.collect())
    ready = None if platform is not None or cores is not None else runnable(jobs)
    platform = _platform(jobs, ready, cores, platform)
    rule = _rule(policy, platform)
    options = (local, files, replicas, origin, parents, work, limit, drive)
    plain = all(option is None for option in options) and not stream and not walltime
    plain = plain and (faults is None or faults is NO_FAULTS) and (rules or Rules()) == Rules()
    if plain and isinstance(rule, Policy) and _is_plain(platform, rule, broker):
        return _compute(jobs, ready or runnable(jobs), platform, rule, str(broker), seed)
    faults = faults or NO_FAULTS
    recorded = broker == "recorded"
    if work is None:
        asked = demand(
            jobs,
            platform,
            recorded=recorded,
            local=local,
            files=files,
            replicas=replicas,
            origin=origin,
            parents=parents,
            stream=stream,
            walltime=walltime,
            first_attempts=faults.attempts > 1,
        )
    else:
        asked = _given(jobs, platform, work, options[:5], recorded=recorded)
    run = Simulation(
        platform,
        asked,
        rules=replace(rules or Rules(), broker=brokerage(broker)),
        faults=faults,
        seed=seed,
        policy=rule,
        broker=chooser_of(broker, seed),
        limit=limit,
    )
    (drive or Simulation.until)(run)
    return collected(run, jobs.provenance, policy=_named(rule), broker=broker_name(broker))


def _rule(
    policy: str | Policy | Called | Mapping[str, str | Policy | Called] | None, platform: Platform
) -> Policy | dict[str, Policy]:
    """Find the policies by name."""
    if policy is None:
        policy = "fcfs" if any(len(site.pools) > 1 for site in platform.sites) else "easy"
    if isinstance(policy, Mapping):
        return {site: resolve(name) for site, name in policy.items()}
    return resolve(policy)


def _is_plain(platform: Platform, rule: Policy, broker: str | Chooser) -> bool:
    """Return whether the kernel `compute` can answer."""
    if platform.links or broker not in ("least_loaded", "random", "round_robin", "recorded"):
        return False
    if rule.order != "fcfs" or rule.backfill not in ("none", "easy"):
        return False
    return all(
        len(site.pools) == 1 and site.pools[0].speed is None and site.pools[0].memory is None
        for site in platform.sites
    )


def _named(rule: Policy | Mapping[str, Policy]) -> str:
    if isinstance(rule, Policy):
        return rule.name
    return ", ".join(f"{site}: {one.name}" for site, one in rule.items()) or "fcfs"


def _given(
    jobs: JobTable,
    platform: Platform,
    work: Workload,
    others: tuple[object, ...],
    *,
    recorded: bool,
) -> Demand:
    """Return a workload that was given, beside its records."""
    if any(other is not None for other in others):
        raise InputError(
            "work is given beside local, files, replicas, origin or parents; it says these itself"
        )
    frame = jobs.collect()
    if frame.height != len(work):
        raise InputError(
            f"work has {len(work)} jobs, the table {frame.height} rows; expected one for each"
        )
    if recorded:
        site = recorded_sites(frame, np.arange(frame.height), platform)
        if len(site) and site.min() < 0:
            name = frame["job_id"][int(np.argmin(site))]
            raise InputError(f"job {name!r} has no site of the platform; the broker wants that")
        work = replace(work, site=site)
    return Demand(work, frame, np.zeros(len(work), bool))


def _compute(
    jobs: JobTable, ready: Runnable, platform: Platform, rule: Policy, broker: str, seed: int
) -> Result:
    """Run the kernel `compute`."""
    recorded = None
    if broker == "recorded":
        jobs.require("site", for_what="the broker 'recorded'")
        recorded = recorded_sites(jobs.collect(["site"]), ready.row, platform)
    keep, rejected = _admit(ready.width, platform, recorded)
    row, submit, width = ready.row[keep], ready.submit[keep], ready.width[keep]
    run, request = ready.run[keep], ready.request[keep]
    recorded = None if recorded is None else recorded[keep]
    site = assign(broker, width, platform.cores, recorded=recorded, seed=seed)
    start, site = _run(submit, width, run, request, site, platform.cores, rule.backfill == "easy")
    done = Schedule(submit, start, start + run, run, width, site)
    rejected = ready.dropped | rejected
    provenance = Provenance(
        source=f"simulation of {jobs.provenance.source}",
        format="simulation",
        rows_read=len(row) + sum(rejected.values()),
        dropped=rejected,
        machine_cores=int(platform.cores.sum()) if ready.unit == "cores" else None,
        notes=(*jobs.provenance.notes, f"start, end, wait and site are simulated: {rule.name}"),
    )
    table = JobTable.from_frame(_simulated(jobs.collect()[row], done, platform), provenance)
    outcomes = {"finished": len(row), "rejected": sum(rejected.values())}
    return Result(
        jobs=table,
        rejected=rejected,
        platform=platform,
        policy=rule.name,
        broker=broker,
        seed=seed,
        unit=ready.unit,
        schedule=done,
        outcomes={name: count for name, count in outcomes.items() if count},
    )


def _seconds(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return the values as floats; refuse what is no finite time of 0 or more."""
    out = np.ascontiguousarray(values, dtype=np.float64)
    if out.ndim != 1:
        raise InputError(f"{name} has {out.ndim} dimensions; expected one entry per job")
    if not np.isfinite(out).all():
        raise InputError(f"{name} holds NaN or infinity; leave such jobs out")
    if name != "submit" and (out < 0).any():
        raise InputError(f"{name} holds a negative time ({out.min()}); expected 0 or more")
    return out


def _whole(width: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(width)
    if given.ndim != 1:
        raise InputError(f"width has {given.ndim} dimensions; expected one entry per job")
    if not given.size:
        return np.zeros(0, dtype=np.int64)
    if given.dtype.kind not in "iuf" or not np.isfinite(given).all():
        raise InputError(f"width holds {given.dtype} values, some no numbers; expected 1, 2, ...")
    out = np.ascontiguousarray(given, dtype=np.int64)
    if (out != given).any() or out.min() < 1:
        raise InputError(f"width holds {given.min()}, or a fraction; expected whole numbers from 1")
    return out


def _run(
    submit: NDArray[np.float64],
    width: NDArray[np.int64],
    run: NDArray[np.float64],
    request: NDArray[np.float64],
    site: NDArray[np.int64],
    cores: NDArray[np.int64],
    easy: bool,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Call the kernel unless the clock could run out of numbers."""
    if len(submit) and not submit[-1] + run.sum() + request.max() < _LATEST:
        raise InputError(
            f"the jobs' times reach beyond {_LATEST:.0e} s; check that they are in seconds"
        )
    return run_jobs(submit, width, run, request, site, cores, easy)


def _platform(
    jobs: JobTable,
    ready: Runnable | None,
    cores: int | None,
    platform: Platform | Path | str | None,
) -> Platform:
    if platform is None:
        return Platform.single(machine_size(jobs, ready) if cores is None else cores)
    if cores is not None:
        raise InputError("both cores and a platform are given; give one of them")
    return platform if isinstance(platform, Platform) else load_platform(platform)


def _admit(
    width: NDArray[np.int64], platform: Platform, recorded: NDArray[np.int64] | None
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Return which jobs can run at all, and how many cannot, by reason."""
    cores = platform.cores
    if recorded is None:
        one = len(cores) == 1
        reasons = {f"wider than {'the machine' if one else 'every site'}": width > cores.max()}
    else:
        reasons = {
            "no site recorded": recorded == _NONE,
            "site not in the platform": recorded == _UNKNOWN,
            "wider than its site": (recorded >= 0) & (width > cores[recorded]),
        }
    keep = ~np.logical_or.reduce(list(reasons.values()))
    return keep, {reason: int(bad.sum()) for reason, bad in reasons.items() if bad.any()}


def _simulated(frame: pl.DataFrame, done: Schedule, platform: Platform) -> pl.DataFrame:
    """Replace what the records say of the past by what was simulated."""
    names = pl.Series(platform.names, dtype=pl.String)
    return frame.drop("eligible_time", strict=False).with_columns(
        site=names.gather(done.site),
        start_time=pl.Series(done.start, dtype=pl.Float64),
        end_time=pl.Series(done.end, dtype=pl.Float64),
        run_time=pl.Series(done.run, dtype=pl.Float64),
        wait_time=pl.Series(done.start - done.submit, dtype=pl.Float64),
    )
