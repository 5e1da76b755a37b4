"""The jobs of one site as a calibration needs them: a workload, and what was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.sim.demand import demand
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Workload
from gridtwin.trace import JobTable

__all__ = ["Records", "at_site", "records_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Records:
    """Jobs of one site in order of submission; arrays have one entry per job, NaN is unknown."""

    platform: Platform
    """The one site; the others, from which data may come, are routers."""
    work: Workload
    """Its payloads take as long as recorded."""
    job_id: pl.Series
    asked: Floats
    """Requested time, s."""
    wait: Floats
    """Recorded time from submission to start, s."""
    wall: Floats
    """Recorded time from start to end, s."""
    cpu: Floats
    """Recorded CPU time per core, s."""
    from_cpu: bool
    """Whether payloads follow from CPU times, so that wall times can be judged."""
    stated: bool
    """Whether the platform's cores are known, not only those that were seen in use."""
    users: tuple[str, ...] = ()
    """Names of the users of the workload."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """Cores that single users are held to."""
    left_out: tuple[tuple[str, int], ...] = ()
    """Jobs of the site that cannot be run, by reason."""

    @property
    def site(self) -> str:
        """The site's name."""
        return self.platform.names[0]

    @property
    def cores(self) -> int:
        """The site's cores."""
        return int(self.platform.cores[0])

    def __len__(self) -> int:
        return len(self.work)


def at_site(jobs: JobTable, platform: Platform, site: str) -> JobTable:
    """Return the jobs of one site; of a table without ``site``, all if there is one site."""
    frame = jobs.collect()
    if "site" in frame.columns and (len(platform.sites) > 1 or site in frame["site"]):
        return jobs.with_frame(frame.filter(pl.col("site") == site))
    if len(platform.sites) > 1:
        raise SchemaError(
            f"the platform has {len(platform.sites)} sites, the jobs have no column site: add it, "
            "or give a platform of one site"
        )
    return jobs.with_frame(frame)


def records_of(
    jobs: JobTable,
    platform: Platform,
    site: str,
    *,
    stated: bool,
    origin: str | Sequence[str] | None = None,
) -> Records | None:
    """Return the jobs of a site as a workload with what was measured, None if there are none."""
    part = at_site(jobs, platform, site)
    if not len(part):
        return None
    alone = _alone(platform, site)
    asked = demand(part, alone, origin=origin)
    fits = asked.work.cores <= alone.cores[0]
    left = dict(asked.rejected)
    if not fits.all():
        left["wider than the site"] = int((~fits).sum())
        ids = asked.frame["job_id"].filter(pl.Series(fits))
        part = part.with_frame(part.collect().filter(pl.col("job_id").is_in(ids.implode())))
        asked = demand(part, alone, origin=origin)
    if not len(asked.work):
        return None
    frame, work = asked.frame, replace(asked.work, flop=None, site=None, output=None)
    wait, wall = _between(frame, work)
    cpu = _column(frame, "cpu_time") / work.cores
    cpu[~(cpu > 0)] = np.nan
    return Records(
        platform=alone,
        work=work,
        job_id=frame["job_id"],
        asked=_positive(_column(frame, "walltime_req")),
        wait=wait,
        wall=wall,
        cpu=cpu,
        from_cpu="site" in frame.columns and bool(np.isfinite(cpu).mean() >= 0.5),
        stated=stated,
        users=_users(frame),
        left_out=tuple(left.items()),
    )


def _alone(platform: Platform, site: str) -> Platform:
    """Return the platform with one site; the others are nodes that data may come from."""
    others = [name for name in platform.names if name != site]
    one = next(s for s in platform.sites if s.name == site)
    if not one.pools:
        raise InputError(f"site {site!r} has no cores, but jobs ran there; correct the platform")
    if not platform.links:
        return Platform((one,))
    return replace(platform, sites=(one,), routers=(*platform.routers, *others))


def _users(frame: pl.DataFrame) -> tuple[str, ...]:
    if "user" not in frame.columns:
        return ("",)
    return tuple(frame["user"].fill_null("").unique().sort().to_list())


def _between(frame: pl.DataFrame, work: Workload) -> tuple[Floats, Floats]:
    """Return recorded waits and wall times."""
    start, end = _column(frame, "start_time"), _column(frame, "end_time")
    wait = start - work.submit
    wait = np.where(np.isnan(wait), _column(frame, "wait_time"), wait)
    wall = _column(frame, "run_time")
    wall = np.where(np.isnan(wall), end - start, wall)
    return np.where(wait >= 0, wait, np.nan), np.where(wall >= 0, wall, np.nan)


def _column(frame: pl.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(frame.height, np.nan)
    return np.array(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), np.float64)


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)
