"""Workloads, platforms and faults of a study, built once a process and kept for its runs."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from gridtwin import models
from gridtwin.core.errors import FormatError
from gridtwin.sim import Failure, Faults, Platform, Rules, build, failures, outages
from gridtwin.sim.calibrate import Calibration
from gridtwin.sim.formats import load_platform
from gridtwin.study.jobs import DAY, Given, midnight
from gridtwin.study.platforms import with_share
from gridtwin.study.scenarios import FaultsTable, PlatformTable, WorkloadTable
from gridtwin.study.spec import Scenario, Spec
from gridtwin.study.whatif import change_faults, change_jobs, change_platform
from gridtwin.trace import JobTable, examples
from gridtwin.trace.derive import machine_size, runnable
from gridtwin.trace.readers import read
from gridtwin.trace.resample import bootstrap_blocks

__all__ = ["Setting", "World", "observed_faults"]

T = TypeVar("T")
_KEPT = 4
"""Things of a kind that are kept: all runs of a seed come one after another."""
_CODES = 40


@dataclass(frozen=True)
class Setting:
    """What a run simulates."""

    given: Given
    begin: float
    """Midnight (UTC, s) from which the days of the what-if count."""
    platform: Platform
    faults: Faults
    rules: Rules | None
    local: JobTable | None


class World:
    """Builds what the runs of a study need; the same bits in every process.

    Memory: up to four workloads and as many changed ones, and the platforms of all scenarios.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.root = spec.root
        self._made: dict[str, dict[Hashable, Any]] = {}

    def setting(self, scenario: Scenario, seed: int) -> Setting:
        """Return what a scenario simulates under a seed."""
        given = self.jobs(scenario, seed)
        platform = self.platform(scenario)
        faults = self._keep(
            "faults",
            (scenario.faults, scenario.platform),
            lambda: self._faults(scenario.faults, self._platform(scenario.platform)[0]),
            most=64,
        )
        faults = change_faults(scenario.whatif, faults, platform, given.begin, self.root)
        local = scenario.workload.local
        return Setting(
            given,
            given.begin,
            platform,
            faults,
            self._platform(scenario.platform)[1],
            None if local is None else self._keep("local", local, lambda: _rows(self.root / local)),
        )

    def jobs(self, scenario: Scenario, seed: int) -> Given:
        """Return the jobs of a scenario under a seed."""
        table, whatif = scenario.workload, scenario.whatif
        base = self._keep("workloads", (_text(table), seed), lambda: self._workload(table, seed))
        rng = np.random.default_rng(np.random.SeedSequence([seed, 7]))
        changes = whatif.model_dump_json(include={"removed", "added", "load", "renewal"})
        return self._keep(
            "jobs",
            (_text(table), seed, changes),
            lambda: change_jobs(whatif, base, self._reference(table).frame, self.root, rng),
        )

    def platform(self, scenario: Scenario) -> Platform:
        """Return the platform of a scenario."""
        changes = scenario.whatif.model_dump_json(include={"new", "link", "storage"})
        return self._keep(
            "changed",
            (_text(scenario.platform), changes),
            lambda: change_platform(scenario.whatif, self._platform(scenario.platform)[0]),
            most=64,
        )

    def base(self) -> Given:
        """Return the jobs of the base scenario before its what-if, as no seed has changed them."""
        return self._reference(self.spec.by_id[self.spec.base].workload)

    def _keep(self, kind: str, key: Hashable, make: Callable[[], T], most: int = _KEPT) -> T:
        """Return what was made for a key, or make it and forget the oldest."""
        kept = self._made.setdefault(kind, {})
        if key not in kept:
            kept[key] = make()
            if len(kept) > most:
                del kept[next(iter(kept))]
        return kept[key]  # type: ignore[no-any-return]

    def _reference(self, table: WorkloadTable) -> Given:
        """Return the jobs that no seed has changed."""
        return self._keep("reference", _text(table), lambda: self._workload(table, None))

    def _workload(self, table: WorkloadTable, seed: int | None) -> Given:
        """Return the jobs under a seed; None: as they are."""
        if seed is not None and table.drawn == "fixed":
            return self._reference(table)
        jobs = self._source(table, 0 if seed is None or table.drawn != "new" else seed)
        if seed is not None and table.drawn == "days":
            rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
            jobs = bootstrap_blocks(jobs, rng, days=1)
        frames = (_frame(self.root, name) for name in (table.replicas, table.files, table.parents))
        given = Given(jobs, midnight(jobs.collect()), *frames)
        if table.then is not None:
            others = self._workload(table.then, seed).jobs
            last = float(jobs.collect(["submit_time"])["submit_time"].max())  # type: ignore[arg-type]
            end = given.begin + np.ceil((last - given.begin + 1.0) / DAY) * DAY
            given = given.joined(others, (float(end), np.inf), ".then")
        return given

    def _source(self, table: WorkloadTable, seed: int) -> JobTable:
        """Return the jobs of a file, of a model, or of an example."""
        if table.records is not None:
            name = table.records
            jobs = self._keep("records", name, lambda: _rows(self.root / name))
            return _cut(jobs, table.skip_days, table.days)
        if table.model is not None:
            name = table.model
            model = self._keep("models", name, lambda: models.load(self.root / name))
            drawn = model.sample(
                table.jobs,
                seed=np.random.default_rng(np.random.SeedSequence([table.seed, seed])),
                days=table.days,
                start=table.start,
                rate=table.rate,
                where=table.where or None,
                mix=table.mix or None,
                without_users=table.without_users,
            )
            return drawn.with_frame(drawn.collect())
        asked: dict[str, Any] = {"seed": table.seed + seed}
        if table.example == "panda":
            asked |= {"days": int(table.days or 7), "scale": table.scale}
        elif table.jobs is not None:
            asked["n"] = table.jobs
        jobs = examples.load(str(table.example), **asked)
        jobs = jobs.with_frame(jobs.collect())
        return jobs if table.example == "panda" else _cut(jobs, 0.0, table.days)

    def _platform(self, table: PlatformTable) -> tuple[Platform, Rules | None]:
        """Return the platform before the what-if, and rules that come with it."""
        return self._keep("platforms", _text(table), lambda: self._built(table), most=64)

    def _built(self, table: PlatformTable) -> tuple[Platform, Rules | None]:
        rules = None
        if table.calibration is not None:
            found = Calibration.load(self.root / table.calibration)
            platform, rules = found.platform, found.rules
        elif table.file is not None:
            platform = load_platform(self.root / table.file)
        elif table.cores is not None:
            platform = Platform.single(table.cores)
        else:
            jobs = self.base().jobs
            if table.example is not None:
                whole = build.wlcg()
                share = machine_size(jobs) / float(whole.cores.sum())
                platform = with_share(whole, share * table.share, least=16)
                return platform, None
            several = "site" in jobs and jobs.collect(["site"])["site"].n_unique() > 1
            if table.observed or several:
                platform = Platform.observed(jobs)
            else:
                platform = Platform.single(machine_size(jobs))
        if table.share != 1.0:
            widest = int(runnable(self.base().jobs).width.max(initial=1))
            platform = with_share(platform, table.share, least=widest)
        return platform, rules

    def _faults(self, table: FaultsTable, platform: Platform) -> Faults:
        """Return what goes wrong before the what-if."""
        # not NO_FAULTS itself: one kernel answers all scenarios
        faults = Faults() if table.file is None else failures.load(self.root / table.file)
        if table.observed:
            faults = observed_faults(self.base().jobs, platform)
        given = ("chance", "attempts", "retry_delay", "elsewhere", "again")
        values = {key: getattr(table, key) for key in given if getattr(table, key) is not None}
        if table.outages is not None:
            values["outages"] = outages.load(self.root / table.outages)
        return replace(faults, **values)


def observed_faults(jobs: JobTable, platform: Platform, like: Faults | None = None) -> Faults:
    """Return the failures of records: each site's share of them, and the frequent error codes.

    All else is as in `like`. Sites without records have the share of all.
    """
    faults = Faults() if like is None else like
    have = [c for c in ("site", "status", "raw_status", "error_codes") if c in jobs.columns]
    if "status" not in have:
        return faults
    frame = jobs.collect(have).filter(pl.col("status").is_in(["finished", "failed"]))
    if jobs.provenance.format == "simulation":  # what an outage ends does not count
        frame = frame.filter(pl.col("raw_status").is_in(["finished", "failed"]))
    bad = (frame["status"] == "failed").to_numpy()
    overall = float(bad.mean()) if len(bad) else 0.0
    chance: dict[str, float] | float = overall
    if "site" in have:
        site = frame["site"].to_numpy()
        chance = {
            name: float(bad[mine].mean()) if (mine := site == name).any() else overall
            for name in platform.names
        }
    faults = replace(faults, chance=chance)
    if "error_codes" in have:
        codes = frame["error_codes"].list.first().drop_nulls().value_counts(sort=True)
        codes = codes.sort(["count", "error_codes"], descending=[True, False]).head(_CODES)
        if codes.height:
            some = tuple(Failure(code, float(n)) for code, n in codes.iter_rows())
            faults = replace(faults, failures=some)
    return faults


def _text(table: WorkloadTable | PlatformTable) -> str:
    return table.model_dump_json()


def _rows(path: Path) -> JobTable:
    jobs = read(path)
    return jobs.with_frame(jobs.collect())


def _cut(jobs: JobTable, skip: float, days: float | None) -> JobTable:
    """Return the jobs of some days, from the midnight before the first one."""
    if not skip and days is None:
        return jobs
    frame = jobs.collect()
    start = midnight(frame) + skip * DAY
    end = np.inf if days is None else start + days * DAY
    kept = frame.filter((pl.col("submit_time") >= start) & (pl.col("submit_time") < end))
    return jobs.with_frame(kept, f"{kept.height} jobs of {days or 'all'} days after {skip:g} days")


def _frame(root: Path, name: str | None) -> pl.DataFrame | None:
    if name is None:
        return None
    try:
        return pl.read_parquet(root / name)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(f"{root / name} is no readable Parquet file: {error}") from error
