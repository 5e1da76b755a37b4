"""Run jobs on a platform: check, assign, run the kernel, put the outcome into a result."""

from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.brokers import Broker, assign, check_broker
from gridtwin.sim.kernel import run_jobs
from gridtwin.sim.platform import Platform
from gridtwin.sim.policies import Backfill, Policy, resolve
from gridtwin.sim.result import Result, Schedule
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
    backfill: Backfill,
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
    if backfill not in get_args(Backfill):
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
    return _run(times[0], widths, times[1], times[2], site, size, backfill)[0]


def simulate(
    jobs: JobTable,
    *,
    cores: int | None = None,
    platform: Platform | Path | str | None = None,
    policy: str | Policy = "easy",
    broker: Broker | None = None,
    seed: int = 0,
) -> Result:
    """Run the jobs of a table on a platform and return what happened.

    Parameters
    ----------
    jobs
        Needs submit time, run time and size: see `gridtwin.trace.derive.runnable`.
    cores, platform
        The size of one machine, or a platform or its TOML file. Neither: one machine of
        `gridtwin.trace.derive.machine_size`.
    policy
        Who starts next at a site.
    broker
        Which site a job goes to: ``"least_loaded"`` (also for None), ``"random"``,
        ``"round_robin"``, or ``"recorded"``, the jobs' own ``site``.
    seed
        Of the broker ``"random"``.

    A job that fits no site, or not its own if that is recorded, is not run but counted in
    `Result.rejected`, as are those without a time or a size.
    """
    rule, broker = resolve(policy), broker or "least_loaded"
    check_broker(broker)
    jobs = jobs.with_frame(jobs.collect())
    ready = runnable(jobs)
    platform = _platform(jobs, ready, cores, platform)
    recorded = _recorded(jobs, ready, platform) if broker == "recorded" else None
    keep, rejected = _admit(ready.width, platform, recorded)
    row, submit, width = ready.row[keep], ready.submit[keep], ready.width[keep]
    run, request = ready.run[keep], ready.request[keep]
    recorded = None if recorded is None else recorded[keep]
    site = assign(broker, width, platform.cores, recorded=recorded, seed=seed)
    start, site = _run(submit, width, run, request, site, platform.cores, rule.backfill)
    done = Schedule(submit, start, run, width, site)
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
    return Result(table, rejected, platform, rule.name, broker, seed, ready.unit, done)


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
    backfill: Backfill,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Call the kernel unless the clock could run out of numbers."""
    if len(submit) and not submit[-1] + run.sum() + request.max() < _LATEST:
        raise InputError(
            f"the jobs' times reach beyond {_LATEST:.0e} s; check that they are in seconds"
        )
    return run_jobs(submit, width, run, request, site, cores, backfill == "easy")


def _platform(
    jobs: JobTable, ready: Runnable, cores: int | None, platform: Platform | Path | str | None
) -> Platform:
    if platform is None:
        return Platform.single(machine_size(jobs, ready) if cores is None else cores)
    if cores is not None:
        raise InputError("both cores and a platform are given; give one of them")
    return platform if isinstance(platform, Platform) else Platform.load(platform)


def _recorded(jobs: JobTable, ready: Runnable, platform: Platform) -> NDArray[np.int64]:
    """Return each job's own site as an index, -1 if none is recorded, -2 if it is unknown."""
    jobs.require("site", for_what="the broker 'recorded'")
    index = {name: k for k, name in enumerate(platform.names)}
    names = jobs.collect(["site"])["site"].gather(ready.row)
    found = names.replace_strict(index, default=_UNKNOWN, return_dtype=pl.Int64)
    return np.where(names.is_null().to_numpy(), _NONE, found.to_numpy()).astype(np.int64)


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
