"""A platform from job records: cores from what ran at the same time, speeds from CPU times."""

from dataclasses import replace

import numpy as np

from gridtwin.core.errors import InputError
from gridtwin.sim.builders.speeds import WORK, Speeds, relative_speeds
from gridtwin.sim.platform import Platform, Pool, Site
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import JobTable

__all__ = ["SPEED", "from_records"]

SPEED = 12 * FLOPS_PER_HS23
"""flop/s per core of a site of mean speed: an estimate; only ratios matter for run times."""


def from_records(
    jobs: JobTable, *, speed: float = SPEED, work: tuple[str, ...] | None = None
) -> Platform:
    """Return the sites that the records name, with cores and speeds, without a network.

    Cores are those of `Platform.observed`; speeds are `speed` times the ratios of
    `relative_speeds`, by `work`. Where nothing can be compared (one
    site, no CPU times, no tasks) the pools have no speed: jobs take as long as in their records.
    """
    if not speed > 0 or not np.isfinite(speed):
        raise InputError(f"speed: expected flop/s above 0, got {speed}")
    platform = Platform.observed(jobs)
    notes = [f"cores: those in use at the same time in {jobs.provenance.source}"]
    if "site" in jobs and (without := jobs.collect(["site"])["site"].null_count()):
        notes.append(f"{without:,} jobs without a site are not counted")
    if not _comparable(jobs, work):
        notes.append("speeds: not known; jobs take as long as in their records")
        return replace(platform, notes=tuple(notes))
    speeds = relative_speeds(jobs, work=work)
    if not speeds.known.any():
        notes.append(
            f"speeds: not known, no work of equal {' and '.join(speeds.work)} ran at several "
            "sites; jobs take as long as in their records"
        )
        return replace(platform, notes=tuple(notes))
    at = {name: k for k, name in enumerate(speeds.sites)}
    sites = tuple(_with_speed(site, speeds, at[site.name], speed) for site in platform.sites)
    rest = [name for name, known in zip(speeds.sites, speeds.known, strict=True) if not known]
    notes.append(
        f"speeds: estimated at {int(speeds.known.sum())} of {len(sites)} sites from the CPU times "
        f"of {int(speeds.jobs.sum()):,} jobs of equal {' and '.join(speeds.work)} at several "
        f"sites; the mean is set to {speed:.4g} flop/s per core"
    )
    if rest:
        notes.append(f"speeds: the mean, as not comparable, at {', '.join(rest)}")
    return replace(platform, sites=sites, notes=tuple(notes))


def _comparable(jobs: JobTable, work: tuple[str, ...] | None) -> bool:
    """Return whether the table has what speeds need; columns that were asked for must exist."""
    if work is not None:
        return True
    has_work = any(all(name in jobs for name in columns) for columns in WORK)
    return has_work and "site" in jobs and "cpu_time" in jobs


def _with_speed(site: Site, speeds: Speeds, k: int, speed: float) -> Site:
    pool: Pool = replace(site.pools[0], speed=float(f"{speed * speeds.ratio[k]:.4g}"))
    if speeds.known[k]:
        how = f"from {speeds.jobs[k]} jobs, standard error {100 * speeds.error[k]:.2g} %"
    else:
        how = "the mean, as not comparable"
    return replace(site, pools=(pool,), properties=(*site.properties, ("speed", how)))
