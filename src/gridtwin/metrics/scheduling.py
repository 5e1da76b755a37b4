"""The queues that a scheduler makes of the synthetic trace, against those of the real one.

Both traces are replayed on one machine of the same size. Traces of many sites have no common
queue: for them load and arrivals are compared site by site instead.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from gridtwin.core.errors import SchemaError
from gridtwin.metrics.base import Score, metric
from gridtwin.metrics.marginal import ks_distance
from gridtwin.metrics.temporal import submit_times
from gridtwin.trace import JobTable
from gridtwin.trace.derive import (
    Runnable,
    bounded_slowdown,
    machine_size,
    offered_load,
    runnable,
)

__all__ = [
    "Replay",
    "load",
    "replay",
    "site_arrivals",
    "site_work",
    "slowdown_easy",
    "slowdown_fcfs",
    "wait_easy",
    "wait_fcfs",
]

QUIET = 0.3
"""Below this offered load a trace does not queue, and waits tell little."""

Policy = Literal["fcfs", "easy"]


@dataclass(frozen=True)
class Replay:
    """What a policy makes of a trace; plain numbers, waits in s."""

    wait: dict[str, float]
    """mean, median, p90, p95, p99."""
    slowdown: dict[str, float]
    """The same of the bounded slowdown (10 s)."""
    load: float
    unit: str
    """What the sizes count: cores, gpus or nodes."""
    dropped: dict[str, int]
    """Jobs that could not run, by reason."""


Memo = MutableMapping[tuple[int, int, str], Replay]
"""Replays made already, by ``id`` of the table, cores and policy; the tables must stay alive."""


def sites_of(jobs: JobTable) -> int:
    """Return the number of distinct sites; 0 without that column."""
    if "site" not in jobs:
        return 0
    return int(jobs.frame.select(pl.col("site").drop_nulls().n_unique()).collect().item())


def _fitting(jobs: JobTable, cores: int) -> tuple[Runnable, np.ndarray, dict[str, int]]:
    """Return the runnable jobs, which of them fit the machine, and what is dropped."""
    ready = runnable(jobs)
    fits = ready.width <= cores
    dropped = dict(ready.dropped)
    if not fits.all():
        dropped["larger than the machine"] = int((~fits).sum())
    return ready, fits, dropped


def replay(jobs: JobTable, cores: int, policy: Policy, memo: Memo | None = None) -> Replay:
    """Run the jobs on one machine under first come first served, or with EASY backfilling.

    Raises `SchemaError` where the table has no submit time, run time or size.
    """
    from gridtwin.sim import schedule

    key = (id(jobs), cores, policy)
    if memo is not None and key in memo:
        return memo[key]
    ready, fits, dropped = _fitting(jobs, cores)
    submit, width, run, request = (
        a[fits] for a in (ready.submit, ready.width, ready.run, ready.request)
    )
    backfill: Literal["none", "easy"] = "easy" if policy == "easy" else "none"
    start = schedule(submit, width, run, request, cores=cores, backfill=backfill)
    wait = np.asarray(start) - submit
    out = Replay(
        _figures(wait),
        _figures(bounded_slowdown(wait, run)),
        _load(run, width, submit, cores),
        ready.unit,
        dropped,
    )
    if memo is not None:
        memo[key] = out
    return out


def _load(run: np.ndarray, width: np.ndarray, submit: np.ndarray, cores: int) -> float:
    """Return the offered load of a trace's body."""
    edge = len(submit) // 200
    inside = slice(edge, len(submit) - edge)
    return offered_load(run[inside], width[inside], submit[inside], cores)


def _figures(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("mean", "median", "p90", "p95", "p99"), float("nan"))
    quantiles = np.quantile(values, [0.5, 0.9, 0.95, 0.99])
    names = ("median", "p90", "p95", "p99")
    return {"mean": float(values.mean())} | dict(zip(names, map(float, quantiles), strict=True))


def _refusal(real: JobTable, synthetic: JobTable, *, one_machine: bool) -> str:
    """Say why the traces cannot be replayed or weighed, or nothing."""
    for side, jobs in (("real", real), ("synthetic", synthetic)):
        try:
            n = len(runnable(jobs))
        except SchemaError as error:
            return f"the {side} trace cannot run: {error}"
        if n < 2:
            return f"the {side} trace has {n} jobs with submit time, run time and size"
    if one_machine and (n := sites_of(real)) > 1:
        return f"{n} sites have no common queue; see site_work and site_arrivals"
    return ""


def _queue(
    real: JobTable,
    synthetic: JobTable,
    policy: Policy,
    figure: Literal["wait", "slowdown"],
    cores: int | None,
    memo: Memo | None,
) -> Score:
    reason = _refusal(real, synthetic, one_machine=True)
    if reason:
        return Score.none(reason)
    cores = machine_size(real) if cores is None else cores
    a, b = replay(real, cores, policy, memo), replay(synthetic, cores, policy, memo)
    x, y = (a.wait, b.wait) if figure == "wait" else (a.slowdown, b.slowdown)
    detail: dict[str, object] = {
        "cores": cores,
        "real": x,
        "synthetic": y,
        "load_real": a.load,
        "load_synthetic": b.load,
        "dropped_real": a.dropped,
        "dropped_synthetic": b.dropped,
    }
    if a.load < QUIET:
        detail["note"] = (
            f"the real trace does not queue (offered load {a.load:.2f} on {cores:,} "
            f"{a.unit}): this says little"
        )
    if not x["mean"] > 0:
        return Score.none(
            f"no real job waits under {policy.upper()} "
            f"(offered load {a.load:.2f} on {cores:,} {a.unit})"
        )
    ratios = {name: y[name] / x[name] for name in x if name != "mean" and x[name] > 0}
    return Score(y["mean"] / x["mean"], ratios, detail)


@metric("wait_fcfs", goal="one", group="scheduling", on="queue")
def wait_fcfs(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean wait under first come first served, synthetic over real, on the same machine.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return _queue(real, synthetic, "fcfs", "wait", cores, memo)


@metric("wait_easy", goal="one", group="scheduling", on="queue")
def wait_easy(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean wait under EASY backfilling, synthetic over real, on the same machine.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return _queue(real, synthetic, "easy", "wait", cores, memo)


@metric("slowdown_fcfs", goal="one", group="scheduling", on="queue")
def slowdown_fcfs(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean bounded slowdown (10 s) under first come first served, synthetic over real.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return _queue(real, synthetic, "fcfs", "slowdown", cores, memo)


@metric("slowdown_easy", goal="one", group="scheduling", on="queue")
def slowdown_easy(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean bounded slowdown (10 s) under EASY backfilling, synthetic over real.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return _queue(real, synthetic, "easy", "slowdown", cores, memo)


@metric("load", goal="one", group="scheduling", on="arrivals")
def load(real: JobTable, synthetic: JobTable, *, cores: int | None = None) -> Score:
    """Offered load, synthetic over real: sum of run time x size / (machine x span of submits).

    1 = the same demand. Of the jobs between the first and the last 0.5 % of submits, so that a few
    stray ones do not stretch the span. The machine's size cancels out; detail has both loads.
    """
    reason = _refusal(real, synthetic, one_machine=False)
    if reason:
        return Score.none(reason)
    a, b = runnable(real), runnable(synthetic)
    cores = machine_size(real, a) if cores is None else cores
    x, y = (_load(ready.run, ready.width, ready.submit, cores) for ready in (a, b))
    if not x > 0 or not np.isfinite(y):
        return Score.none("the real or the synthetic trace asks for no work over its span")
    detail = {
        "real": x,
        "synthetic": y,
        "cores": cores,
        "unit": a.unit,
        "dropped_real": a.dropped,
        "dropped_synthetic": b.dropped,
    }
    return Score(y / x, detail=detail)


@metric("site_work", goal="min", group="scheduling", on="arrivals")
def site_work(real: JobTable, synthetic: JobTable) -> Score:
    """Total-variation distance of the sites' shares of the work (run time x size).

    0 = every site is loaded as in the real trace, 1 = no common site. By column: the synthetic
    over the real work rate of the ten sites with most work.
    """
    reason = _no_sites(real, synthetic) or _refusal(real, synthetic, one_machine=False)
    if reason:
        return Score.none(reason)
    both = _work(real).join(_work(synthetic), on="site", how="full", coalesce=True).fill_null(0.0)
    both = both.sort(["rate", "site"], descending=[True, False])
    a, b = both["rate"].to_numpy(), both["rate_right"].to_numpy()
    if not a.sum() > 0 or not b.sum() > 0:
        return Score.none("no work at any site")
    distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
    top = [k for k in range(min(10, len(a))) if a[k] > 0]
    return Score(distance, {both["site"][k]: float(b[k] / a[k]) for k in top})


def _no_sites(real: JobTable, synthetic: JobTable) -> str:
    if (n := sites_of(real)) < 2:
        return f"{n or 'no'} site in the real trace: the queues of one machine are compared"
    if not sites_of(synthetic):
        return "the synthetic trace names no site"
    return ""


def _work(jobs: JobTable) -> pl.DataFrame:
    """Return each site's work per second of the trace."""
    ready = runnable(jobs)
    span = max(float(np.ptp(ready.submit)), 1.0)
    frame = pl.DataFrame(
        {
            "site": jobs.collect(["site"])["site"].fill_null("unknown")[ready.row],
            "rate": ready.run * ready.width / span,
        }
    )
    return frame.group_by("site").agg(pl.col("rate").sum())


@metric("site_arrivals", goal="min", group="scheduling", on="arrivals")
def site_arrivals(real: JobTable, synthetic: JobTable) -> Score:
    """Kolmogorov-Smirnov distance of the gaps between jobs at one site (log(1 + s)).

    Mean over the sites with 30 real jobs or more, weighed by their jobs; a site without two
    synthetic jobs counts 1. By column: the ten sites with most jobs.
    """
    reason = _no_sites(real, synthetic)
    if reason or "submit_time" not in real or "submit_time" not in synthetic:
        return Score.none(reason or "no submit times")
    parts = [_by_site(jobs) for jobs in (real, synthetic)]
    sites = {site: times for site, times in parts[0].items() if len(times) >= 30}
    if not sites:
        return Score.none("no site has 30 jobs")
    distance = {}
    for site in sorted(sites, key=lambda s: (-len(sites[s]), s)):
        other = parts[1].get(site, np.empty(0))
        gaps = [np.log1p(np.diff(times)) for times in (sites[site], other)]
        distance[site] = ks_distance(*gaps) if len(other) > 1 else 1.0
    weights = [len(sites[site]) for site in distance]
    value = float(np.average(list(distance.values()), weights=weights))
    return Score(value, dict(list(distance.items())[:10]), {"sites": len(sites)})


def _by_site(jobs: JobTable) -> dict[str, np.ndarray]:
    frame = jobs.collect(["site", "submit_time"]).with_columns(pl.col("site").fill_null("unknown"))
    return {
        str(key[0]): submit_times(JobTable(part.lazy()))
        for key, part in frame.partition_by("site", as_dict=True).items()
    }
