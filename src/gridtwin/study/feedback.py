"""Introspection: the monitoring of a window teaches the model that makes the next one.

The first window is the workload's own first days. When its jobs have ended, their records train the
surrogate, a row for each job: the last attempt, sent when the first one was, without the time that
its files took. The surrogate draws as many jobs for the next window as the windows before had, and
so on. The sites' chances of failure, and their speeds if asked for, are learnt again from the
records of all attempts and used in the next window. Each window begins with empty queues, and what
goes on over its border is cut. What is not learnt again: how many jobs there are, cores, links,
delays, and how retries are made.

A loop that loses nothing stays where it began: how far it has gone is in the drift of each window.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from gridtwin import models
from gridtwin.core.errors import InputError
from gridtwin.metrics.detection import c2st
from gridtwin.metrics.marginal import ks_distance
from gridtwin.metrics.temporal import interarrival
from gridtwin.sim import Platform, Result, build
from gridtwin.study.jobs import DAY, Given
from gridtwin.study.spec import Feedback, Scenario
from gridtwin.study.world import Setting, observed_faults
from gridtwin.trace import JobTable

__all__ = ["DRIFT", "run_windows"]

DRIFT = {
    "window": "0 is the workload's own first days; what is below compares with it",
    "jobs": "that were simulated",
    "work_ratio": "core seconds of the jobs' last attempts a job / those of window 0",
    "mean_wait": "of attempts that started, s",
    "wait_ks": "Kolmogorov-Smirnov distance of the waits",
    "run_ks": "of the last attempts' run times, without the time for files",
    "cores_ks": "of the sizes",
    "gaps_ks": "of log(1 + gap between submissions)",
    "site_tv": "total variation distance of the last attempts' sites",
    "c2st": "AUC of trees that tell the windows' jobs apart by what they ask for and do; 0.5: not",
    "failure_rate": "attempts that failed / that finished or failed",
    "chance": "mean chance of a failure that the window was simulated with",
    "speed_error": "median |learnt / given - 1| of the sites' speeds in the window",
}
"""What the columns of ``feedback.parquet`` mean."""

_ROWS = 2000
"""Rows a side of the classifier test."""
_ASKED = ("user", "activity", "cores_req", "walltime_req", "run_time", "input_bytes", "input_files")


def run_windows(
    table: Feedback,
    setting: Setting,
    scenario: Scenario,
    seed: int,
    simulate: Callable[[Setting, Scenario, int], Result],
) -> tuple[list[Result], tuple[dict[str, Any], ...]]:
    """Return the windows' results, and a row of `DRIFT` for each.

    Memory: the attempts of all windows.
    """
    given, length = setting.given, table.every_days * DAY
    last = float(given.frame["submit_time"].max())  # type: ignore[arg-type]
    windows = table.windows or max(2, int(np.ceil((last - given.begin + 1.0) / length)))
    now = replace(setting, given=_between(given, given.begin, given.begin + length))
    results: list[Result] = []
    rows: list[dict[str, Any]] = []
    for k in range(windows):
        if not len(now.given.jobs):
            raise InputError(f"feedback: window {k} of {table.every_days:g} days has no job")
        results.append(simulate(now, scenario, seed))
        rows.append({"window": k} | _drift(results[0], results[-1], now, setting.platform, seed))
        if k + 1 < windows:
            now = _learnt(table, setting, results, seed, k + 1)
    return results, tuple(rows)


def _between(given: Given, start: float, end: float) -> Given:
    frame = given.frame
    kept = frame.filter((pl.col("submit_time") >= start) & (pl.col("submit_time") < end))
    return given.having(kept, f"{kept.height} jobs of the first window")


def _learnt(table: Feedback, setting: Setting, results: list[Result], seed: int, k: int) -> Setting:
    """Return the next window, as what was monitored says."""
    used = results[-1:] if table.learn == "last" else results
    begin = setting.given.begin + k * table.every_days * DAY
    last = _together(used, [_monitored(result) for result in used])
    seen = _together(used, [result.jobs.collect() for result in used])
    model = models.get(table.model)(seed=seed).fit(last)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 11, k]))
    n = max(1, round(len(last) / len(used)))
    drawn = model.sample(n, days=table.every_days, start=begin, seed=rng)
    platform, faults = setting.platform, setting.faults
    if table.failures:
        faults = observed_faults(seen, platform, faults)
    if table.speeds:
        platform = _with_speeds(platform, seen)
    jobs = drawn.with_frame(drawn.collect())
    given = replace(setting.given, jobs=jobs)
    return replace(setting, given=given, faults=faults, platform=platform)


def _together(results: list[Result], frames: list[pl.DataFrame]) -> JobTable:
    """Return the records of windows as one table, with ids that do not meet."""
    parts = []
    for k, frame in enumerate(frames):
        ids = [name for name in ("job_id", "parent_id", "task_id") if name in frame.columns]
        parts.append(frame.with_columns(pl.col(ids) + f"/{k}"))
    whole = pl.concat(parts, how="diagonal").sort("submit_time", maintain_order=True)
    return results[-1].jobs.with_frame(whole)


def _monitored(result: Result) -> pl.DataFrame:
    """Return a row for each job: its last attempt, as if that had been the only one."""
    frame = result.jobs.collect()
    base = frame["job_id"] if result.base is None else result.base
    frame = frame.with_columns(_job=base)
    first = frame.group_by("_job", maintain_order=True).agg(pl.col("submit_time").min())
    moved = result.transfers.filter(pl.col("kind") != "stream")
    spent = moved.group_by("job_id", "kind", maintain_order=True).agg(
        spent=pl.col("end").max() - pl.col("start").min()
    )
    spent = spent.group_by("job_id", maintain_order=True).agg(pl.col("spent").sum())
    last = frame.unique("_job", keep="last", maintain_order=True).drop("submit_time")
    last = last.join(first, on="_job", maintain_order="left", how="left")
    last = last.join(spent, on="job_id", maintain_order="left", how="left")
    run = (pl.col("run_time") - pl.col("spent").fill_null(0.0)).clip(lower_bound=0.0)
    return last.with_columns(
        job_id=pl.col("_job"),
        attempt=pl.lit(0, pl.Int64),
        parent_id=pl.lit(None, pl.String),
        run_time=run,
        wait_time=pl.col("start_time") - pl.col("submit_time"),
    ).select(name for name in frame.columns if name != "_job")


def _with_speeds(platform: Platform, seen: JobTable) -> Platform:
    """Return the sites with the speeds that their jobs' CPU times show."""
    speeds = build.relative_speeds(seen)
    ratio = {
        name: float(value)
        for name, value, known in zip(speeds.sites, speeds.ratio, speeds.known, strict=True)
        if known
    }
    before = {site.name: site.speed for site in platform.sites if site.speed is not None}
    both = [name for name in ratio if name in before]
    if not both:
        return platform
    # the unit of a speed cannot be seen: the compared sites keep their geometric mean
    scale = np.exp(np.mean([np.log(before[name] / ratio[name]) for name in both]))
    sites = []
    for site in platform.sites:
        if site.name in both:
            change = float(scale * ratio[site.name] / before[site.name])
            pools = (
                replace(p, speed=None if p.speed is None else p.speed * change) for p in site.pools
            )
            site = replace(site, pools=tuple(pools))
        sites.append(site)
    return replace(platform, sites=tuple(sites))


def _drift(first: Result, last: Result, now: Setting, given: Platform, seed: int) -> dict[str, Any]:
    """Return how far a window is from the first one."""
    a, b = (_monitored(result) for result in (first, last))
    waits = [_waits(result) for result in (first, last)]
    kept = [name for name in _ASKED if name in a.columns and name in b.columns]
    sides = [last.jobs.with_frame(frame.select("job_id", *kept)) for frame in (a, b)]
    told = None if last is first else c2st(*sides, seed=seed, max_rows=_ROWS).value
    gaps = interarrival(*(first.jobs.with_frame(frame) for frame in (a, b)))
    over = last.jobs.collect(["status"])["status"]
    failed, finished = int((over == "failed").sum()), int((over == "finished").sum())
    return {
        "jobs": b.height,
        "work_ratio": _work(b) / _work(a) if _work(a) else None,
        "mean_wait": float(waits[1].mean()) if len(waits[1]) else None,
        "wait_ks": _finite(ks_distance(*waits)),
        "run_ks": _ks(a, b, "run_time"),
        "cores_ks": _ks(a, b, "cores_req"),
        "gaps_ks": _finite(gaps.value),
        "site_tv": _distance(a, b, "site"),
        "c2st": _finite(told),
        "failure_rate": failed / (failed + finished) if failed + finished else None,
        "chance": _chance(now),
        "speed_error": _speed_error(now.platform, given),
    }


def _waits(result: Result) -> np.ndarray:
    wait = result.schedule.start - result.schedule.submit
    return np.asarray(wait[np.isfinite(wait)])


def _work(frame: pl.DataFrame) -> float:
    if not {"run_time", "cores_req"} <= set(frame.columns):
        return 0.0
    spent = (frame["run_time"] * frame["cores_req"]).drop_nulls().to_numpy()
    return float(spent.mean()) if len(spent) else 0.0


def _ks(a: pl.DataFrame, b: pl.DataFrame, name: str) -> float | None:
    if name not in a.columns or name not in b.columns:
        return None
    sides = (side[name].drop_nulls().cast(pl.Float64).to_numpy() for side in (a, b))
    return _finite(ks_distance(*sides))


def _distance(a: pl.DataFrame, b: pl.DataFrame, name: str) -> float | None:
    if name not in a.columns or name not in b.columns:
        return None
    p, q = (_shares(side[name]) for side in (a, b))
    return 0.5 * sum(abs(p.get(key, 0.0) - q.get(key, 0.0)) for key in sorted({*p, *q}))


def _shares(column: pl.Series) -> Mapping[str, float]:
    found = column.drop_nulls().value_counts(sort=False)
    total = found["count"].sum()
    return {str(key): n / total for key, n in found.iter_rows()}


def _chance(now: Setting) -> float:
    names = now.platform.names
    chance = now.faults.chances(names, 1)
    return float(chance.mean()) if len(chance) else 0.0


def _speed_error(now: Platform, given: Platform) -> float | None:
    pairs = [
        abs(mine.speed / theirs.speed - 1.0)
        for mine, theirs in zip(now.sites, given.sites, strict=True)
        if mine.speed is not None and theirs.speed is not None
    ]
    return float(np.median(pairs)) if pairs else None


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
