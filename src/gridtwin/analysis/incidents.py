"""Days on which a site failed more jobs than it does by itself."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

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
CUT = 2.5


def site_days(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Count finished and failed jobs by site, day of their end, and sender.

    A failed job counts as ``bad`` where one of its blamed codes is of a stage that a site can
    cause (`SITE_STAGES`); without error codes, or without their `names`, every failed job does.
    The sender is the user, else the task, else the job itself.

    Columns ``site``, ``day`` (date), ``sender``, ``n`` (finished + failed), ``bad``. Memory grows
    with the rows of the answer.
    """
    needs(jobs, "status", "end_time")
    place = per(jobs)
    failed = pl.col("status") == "failed"
    if "error_codes" in jobs and names is not None:
        words = pl.col("error_codes").list.drop_nulls().list.unique().list.sort().list.join(" + ")
        failed = failed & words.fill_null("").is_in(_of_sites(jobs, names))
    sender = [pl.col(c) for c in ("user", "task_id", "job_id") if c in jobs]
    day = (pl.col("end_time") / DAY).floor().cast(pl.Int32).alias("day")
    found = collect(
        jobs.frame.filter(pl.col("status").is_in(["finished", "failed"]))
        .filter(pl.col("end_time").is_between(0, 4e9))
        .select(
            by_label(place).alias("site"),
            day,
            pl.coalesce(sender).alias("sender"),
            failed.alias("bad"),
        )
        .group_by("site", "day", "sender")
        .agg(pl.len().cast(pl.Int64).alias("n"), pl.col("bad").sum().cast(pl.Int64))
    )
    ordered = found.sort("site", "day", "sender")
    return ordered.select("site", pl.col("day").cast(pl.Date), "sender", "n", "bad")


def _of_sites(jobs: JobTable, names: pl.DataFrame) -> list[str]:
    """Return the combinations of codes with one that is blamed and that a site can cause."""
    words = combinations(jobs)["combination"].to_list()
    codes = pl.DataFrame(
        {"code": sorted({c for w in words for c in w.split(" + ")})}, schema={"code": pl.String}
    )
    stages = dict(named(codes, names).select("code", "stage").iter_rows())
    return [w for w in words if any(stages.get(c) in SITE_STAGES for c in blame(w.split(" + ")))]


def incident_days(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the days of each site with their bad jobs, and those flagged as incidents.

    Bad are failed jobs whose blamed code a site can cause. A day is flagged where more senders
    fail more often than they do elsewhere, the site's own rate allowed for: see `detect`.
    Columns ``site``, ``day``, ``n`` (finished + failed), ``bad``, ``senders``, ``expected`` (bad
    jobs), ``p_value``, ``incident``.
    """
    return detect(site_days(jobs, names))


def detect(cells: pl.DataFrame, fdr: float = 0.05, fewest: int = 5) -> pl.DataFrame:
    """Flag site-days on which many senders fail more than they do elsewhere.

    Failures cluster by sender: one whose jobs all fail is no incident. Each sender's bad jobs on
    a site-day are therefore held against a beta-binomial, whose mean is the sender's rate in all
    other cells (drawn to the rate of all) times the site's own factor, and whose spread is the
    correlation within senders, found by moments. The tail probabilities (mid-p) become normal
    scores, cut at 2.5 so that no sender can make an incident alone, and are summed with weights
    ``(effective jobs) ** 0.25`` (Stouffer). The scores of all days are scaled by their own middle
    half (the empirical null of Efron, JASA 99 (2004) 96), and days flagged one-sidedly by
    Benjamini and Hochberg (J. R. Stat. Soc. B 57 (1995) 289). The factors of sites are fitted
    again without the days that stand out.

    Parameters
    ----------
    cells
        Of `site_days`.
    fdr
        Wanted share of false alarms among the flagged days; where failures cluster by more than
        senders, the true share is larger.
    fewest
        Days with fewer jobs are not tested (``p_value`` null).

    Returns
    -------
    frame
        One row a site-day, as in `incident_days`.
    """
    if cells.is_empty():
        return cells.drop("sender").with_columns(
            senders=pl.lit(0, pl.Int64), expected=0.0, p_value=0.0, incident=pl.lit(value=False)
        )
    n, bad = (cells[c].to_numpy().astype(np.float64) for c in ("n", "bad"))
    sender, site, day = (
        _codes(cells.select(*c)) for c in (("sender",), ("site",), ("site", "day"))
    )
    jobs = np.bincount(day, weights=n)
    expected: Floats = np.zeros(len(jobs))
    p_value: Floats = np.ones(len(jobs))
    quiet = np.ones(len(jobs), dtype=bool)
    for _ in range(2):
        rate, known = _rates(n, bad, sender, site, quiet[day])
        score, weight = _scores(n, bad, rate, known)
        total = np.bincount(day, weights=weight * score)
        p_value = _tails(total / np.sqrt(np.bincount(day, weights=weight**2)), jobs >= fewest)
        expected = np.bincount(day, weights=n * rate).astype(np.float64)
        quiet = p_value > 0.01
    flagged = np.zeros(len(jobs), dtype=bool)
    flagged[jobs >= fewest] = benjamini_hochberg(p_value[jobs >= fewest], fdr)
    days = cells.group_by("site", "day", maintain_order=True).agg(
        pl.col("n", "bad").sum(), pl.len().cast(pl.Int64).alias("senders")
    )
    return days.sort("site", "day").with_columns(
        pl.Series("expected", expected),
        pl.Series("p_value", np.where(jobs >= fewest, p_value, np.nan)).fill_nan(None),
        pl.Series("incident", flagged),
    )


def _codes(labels: pl.DataFrame) -> NDArray[np.int64]:
    """Return the rank of each row's label, from 0."""
    rank = pl.struct(labels.columns).rank("dense").cast(pl.Int64) - 1
    return np.asarray(labels.select(rank.alias("rank"))["rank"].to_numpy(), dtype=np.int64)


def _rates(
    n: Floats,
    bad: Floats,
    sender: NDArray[np.int64],
    site: NDArray[np.int64],
    quiet: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Return each cell's expected rate, and how many jobs that knowledge is worth."""
    sent, lost = np.bincount(sender, weights=n), np.bincount(sender, weights=bad)
    overall = (lost.sum() + 0.5) / (sent.sum() + 1)
    many = sent > 1
    # two jobs of one sender fail together with the probability p² + rho p (1 - p)
    both = float(np.sum(lost[many] * (lost[many] - 1) / (sent[many] - 1)))
    both /= max(float(sent[many].sum()), 1.0)
    rho = (both - overall**2) / (overall * (1 - overall))
    prior = 1 / min(max(rho, 1e-3), 0.99) - 1
    elsewhere = sent[sender] - n
    rate = (lost[sender] - bad + prior * overall) / (elsewhere + prior)
    factor = (np.bincount(site, weights=bad * quiet) + 20) / (
        np.bincount(site, weights=n * rate * quiet) + 20
    )
    known = np.minimum(prior + elsewhere, 200.0)  # senders change: no rate is known for ever
    return np.clip(rate * factor[site], 1e-6, 1 - 1e-6), known


def _scores(n: Floats, bad: Floats, rate: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Return each cell's normal score, cut at 2.5, and its weight."""
    law = stats.betabinom(n.astype(np.int64), rate * known, (1 - rate) * known)
    tail = np.clip(law.sf(bad) + 0.5 * law.pmf(bad), 1e-9, 1 - 1e-9)
    effective = n / (1 + (n - 1) / (known + 1))
    return np.clip(stats.norm.isf(tail), -CUT, CUT), effective**0.25


def _tails(score: Floats, tested: NDArray[np.bool_]) -> Floats:
    """Return one-sided tail probabilities of scores, in units of their own middle half."""
    if tested.sum() >= 20:
        low, middle, high = np.quantile(score[tested], [0.25, 0.5, 0.75])
        score = (score - max(middle, 0.0)) / max((high - low) / 1.349, 1.0)
    return np.asarray(stats.norm.sf(score), dtype=np.float64)


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
