"""Traces of many sites: how work and arrivals are spread over them."""

import numpy as np
import polars as pl

from gridtwin.core.errors import SchemaError
from gridtwin.metrics.base import Score, metric
from gridtwin.metrics.marginal import ks_distance
from gridtwin.trace import JobTable
from gridtwin.trace.arrivals import submit_times
from gridtwin.trace.derive import runnable

__all__ = ["site_arrivals", "site_work"]


def sites_of(jobs: JobTable) -> int:
    """Return the number of distinct sites, 1 if one has 95 % of the jobs, 0 if none is named."""
    if "site" not in jobs:
        return 0
    counts = jobs.collect(["site"])["site"].drop_nulls().value_counts(name="n")["n"].to_numpy()
    return 1 if len(counts) and counts.max() >= 0.95 * counts.sum() else len(counts)


def cannot_run(real: JobTable, synthetic: JobTable) -> str:
    """Say why one of the traces gives a machine no work, or nothing."""
    for side, jobs in (("real", real), ("synthetic", synthetic)):
        try:
            n = len(runnable(jobs))
        except SchemaError as error:
            return f"the {side} trace cannot run: {error}"
        if n < 2:
            return f"the {side} trace has {n} jobs with submit time, run time and size"
    return ""


@metric("site_work", goal="min", group="scheduling", on="arrivals")
def site_work(real: JobTable, synthetic: JobTable) -> Score:
    """Total-variation distance of the sites' shares of the work (run time x size).

    0 = every site is loaded as in the real trace, 1 = no common site. By column: the synthetic
    over the real work rate of the ten sites with most work.
    """
    reason = _no_sites(real, synthetic) or cannot_run(real, synthetic)
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
    return frame.group_by("site", maintain_order=True).agg(pl.col("rate").sum())


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
