"""Days on which a site failed more jobs than it does by itself."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, special

from gridtwin.analysis.base import HOUR, by_label, collect, needs, per
from gridtwin.analysis.errors import blame, combinations, named
from gridtwin.trace import JobTable

__all__ = ["SITE_STAGES", "detect", "incident_days", "judge", "site_days"]

DAY = 24 * HOUR
SITE_STAGES = (
    "auth", "batch", "container", "environment", "heartbeat", "network", "stagein", "stageout",
)  # fmt: skip
"""Stages of error codes that a site can be the cause of; a payload fails by its own fault."""

Floats = NDArray[np.float64]


def site_days(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Count finished and failed jobs by site and day of their end, and how they cluster in tasks.

    A failed job counts as ``bad`` where one of its blamed codes is of a stage that a site can
    cause (`SITE_STAGES`); without error codes, or without their `names`, every failed job does.

    Columns ``site``, ``day`` (date), ``n`` (finished + failed), ``bad``, ``tasks``, ``cluster``
    (mean size of the task of a job: sum of squared task sizes / n). Memory grows with the
    (site, day, task) triples.
    """
    needs(jobs, "status", "end_time")
    place = per(jobs)
    failed = pl.col("status") == "failed"
    if "error_codes" in jobs and names is not None:
        words = pl.col("error_codes").list.drop_nulls().list.unique().list.sort().list.join(" + ")
        failed = failed & words.fill_null("").is_in(_of_sites(jobs, names))
    task = next((pl.col(c) for c in ("task_id", "user") if c in jobs), pl.col("job_id"))
    day = (pl.col("end_time") / DAY).floor().cast(pl.Int32).alias("day")
    by_task = (
        jobs.frame.filter(pl.col("status").is_in(["finished", "failed"]))
        .filter(pl.col("end_time").is_between(0, 4e9))
        .select(by_label(place).alias("site"), day, task.alias("task"), failed.alias("bad"))
        .group_by("site", "day", "task")
        .agg(pl.len().cast(pl.Int64).alias("n"), pl.col("bad").sum().cast(pl.Int64))
    )
    size = pl.col("n").cast(pl.Float64)
    found = by_task.group_by("site", "day").agg(
        pl.col("n").sum(),
        pl.col("bad").sum(),
        pl.len().cast(pl.Int64).alias("tasks"),
        ((size * size).sum() / size.sum()).alias("cluster"),
    )
    return collect(found).sort("site", "day").with_columns(pl.col("day").cast(pl.Date))


def _of_sites(jobs: JobTable, names: pl.DataFrame) -> list[str]:
    """Return the combinations of codes with one that is blamed and that a site can cause."""
    words = combinations(jobs)["combination"].to_list()
    codes = pl.DataFrame({"code": sorted({c for w in words for c in w.split(" + ")})})
    stages = dict(named(codes, names).select("code", "stage").iter_rows())
    return [w for w in words if any(stages.get(c) in SITE_STAGES for c in blame(w.split(" + ")))]


def incident_days(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the days of each site with their bad jobs, and those flagged as incidents.

    Bad are failed jobs whose blamed code a site can cause; a day is flagged where it has more
    than the site's own rate, clustering in tasks and chance explain, at a false discovery rate
    of 5 %. Columns ``site``, ``day``, ``n`` (finished + failed), ``bad``, ``tasks``,
    ``cluster``, ``rate``, ``baseline``, ``p_value``, ``incident``: see `site_days`, `detect`.
    """
    return detect(site_days(jobs, names))


def detect(days: pl.DataFrame, fdr: float = 0.05, fewest: int = 5) -> pl.DataFrame:
    """Flag site-days with more bad jobs than chance, at a controlled false discovery rate.

    The bad jobs of a quiet day at site s follow ``Var(k) = n p (1 - p) (1 + rho (m - 1) + phi
    (n - m))``: p is the site's own rate, m the mean task size of a job (`site_days`), rho the
    correlation within a task, phi that between tasks of a day; both are common to all sites and
    fitted by least squares to the squared residuals. The day is tested against a binomial with
    n divided by that factor (its tail as an incomplete beta function), one-sided, and days are
    flagged by Benjamini and Hochberg (J. R. Stat. Soc. B 57 (1995) 289). Rates and correlations
    are fitted again without the flagged days, four times.

    Parameters
    ----------
    days
        Of `site_days`.
    fdr
        Expected share of false alarms among the flagged days.
    fewest
        Days with fewer jobs are not tested (``p_value`` null).

    Returns
    -------
    frame
        `days` with ``rate`` (bad / n), ``baseline`` (the site's own p), ``p_value``,
        ``incident`` (flagged).
    """
    n, bad = (days[c].to_numpy().astype(float) for c in ("n", "bad"))
    cluster = days["cluster"].to_numpy().astype(float)
    _, site = np.unique(days["site"].to_numpy().astype(str), return_inverse=True)
    quiet = np.ones(len(n), dtype=bool)
    p, p_value = np.zeros(len(n)), np.ones(len(n))
    tested = n >= fewest
    for _ in range(4 if len(n) else 0):
        p = _baseline(n, bad, site, quiet)
        factor = _overdispersion(n, bad, cluster, p, quiet & tested)
        p_value = _tail(bad / factor, n / factor, p)
        # days that stand out do not speak for the quiet ones, even where they are not flagged
        quiet = ~(tested & (p_value < 0.005))
    flagged = np.zeros(len(n), dtype=bool)
    flagged[tested] = benjamini_hochberg(p_value[tested], fdr)
    return days.with_columns(
        (pl.col("bad") / pl.col("n")).alias("rate"),
        pl.Series("baseline", p),
        pl.Series("p_value", np.where(tested, p_value, np.nan)).fill_nan(None),
        pl.Series("incident", flagged),
    )


def _baseline(n: Floats, bad: Floats, site: NDArray[np.int64], quiet: NDArray[np.bool_]) -> Floats:
    """Return the rate of each day's site on quiet days, drawn to that of all sites.

    The rate of all sites counts like 100 jobs, so that a site of ten jobs has a rate.
    """
    everyone = (bad[quiet].sum() + 0.5) / (n[quiet].sum() + 1.0)
    jobs = np.bincount(site, weights=n * quiet)
    rate = (np.bincount(site, weights=bad * quiet) + 100 * everyone) / (jobs + 100)
    held: Floats = np.clip(rate, 1e-6, 1 - 1e-6)[site]
    return held


def _overdispersion(
    n: Floats, bad: Floats, cluster: Floats, p: Floats, used: NDArray[np.bool_]
) -> Floats:
    """Return the factor by which each day's variance passes the binomial one, 1 or more."""
    if used.sum() < 10:
        return np.maximum(1.0, cluster)
    squared = (bad - n * p) ** 2 / (n * p * (1 - p))
    excess = np.minimum(squared, np.quantile(squared[used], 0.995)) - 1
    terms = np.stack([np.maximum(cluster - 1, 0), np.maximum(n - cluster, 0)], axis=1)
    weight = 1 / (1 + terms.sum(axis=1) * 0.1)  # large days vary more: they count for less
    (rho, phi), _ = optimize.nnls((terms * weight[:, None])[used], (excess * weight)[used])
    factor: Floats = 1 + terms @ np.array([min(rho, 1.0), min(phi, 1.0)])
    return factor


def _tail(k: Floats, n: Floats, p: Floats) -> Floats:
    """Return the probability of k or more in n; neither need be whole."""
    tail = special.betainc(np.maximum(k, 1e-12), np.maximum(n - k, 0) + 1, p)
    return np.asarray(np.where(k <= 0, 1.0, tail), dtype=np.float64)


def benjamini_hochberg(p_value: Floats, fdr: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected at this false discovery rate."""
    order = np.argsort(p_value, kind="stable")
    below = p_value[order] <= fdr * np.arange(1, len(order) + 1) / max(len(order), 1)
    kept = np.zeros(len(order), dtype=bool)
    if below.any():
        kept[order[: np.flatnonzero(below)[-1] + 1]] = True
    return kept


def judge(
    found: pl.DataFrame, incidents: pl.DataFrame | Iterable[tuple[str, float, float]]
) -> dict[str, float]:
    """Compare flagged site-days with known incidents.

    Parameters
    ----------
    found
        Of `detect`.
    incidents
        ``site``, ``begin``, ``end`` (s) of each; every day that one touches is a day of incident.

    Returns
    -------
    figures
        ``detected`` (share of tested days of incident that are flagged), ``false_alarms``
        (share of other tested days that are), ``false_discoveries`` (share of the flagged days
        without an incident), and the numbers ``days``, ``incident_days``, ``flagged``.
    """
    if isinstance(incidents, pl.DataFrame):
        incidents = incidents.select("site", "begin", "end").iter_rows()
    known = {
        (site, day)
        for site, begin, end in incidents
        for day in range(int(begin // DAY), int(end // DAY) + 1)
    }
    tested = found.drop_nulls("p_value").select("site", pl.col("day").cast(pl.Int32), "incident")
    rows = [((site, day) in known, flagged) for site, day, flagged in tested.iter_rows()]
    true, flagged = (np.array([row[i] for row in rows], dtype=bool) for i in (0, 1))
    return {
        "detected": _share(flagged[true]),
        "false_alarms": _share(flagged[~true]),
        "false_discoveries": _share(~true[flagged]),
        "days": float(len(rows)),
        "incident_days": float(true.sum()),
        "flagged": float(flagged.sum()),
    }


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else float("nan")
