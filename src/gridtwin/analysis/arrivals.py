"""When jobs arrive: the week, days, bursts and gaps. The formulas are in `trace.arrivals`."""

import numpy as np
import polars as pl

from gridtwin.analysis.base import HOUR, collect, needs
from gridtwin.trace import JobTable
from gridtwin.trace import arrivals as formulas

__all__ = [
    "arrival_acf",
    "arrival_days",
    "arrival_gaps",
    "arrival_week",
    "bursts",
    "dispersions",
]

DAY = 24 * HOUR
MOST_DAYS = 50 * 366
"""Longer traces have a wrong clock; nothing by day or hour is said of them."""
BURST_GAP = 60.0
"""Seconds: jobs of a sender that are closer than this belong to one burst."""


def spans(submit: np.ndarray) -> bool:
    """Tell whether there are times, and few enough days between them to be counted."""
    return len(submit) > 0 and float(np.ptp(submit)) <= MOST_DAYS * DAY


def arrival_week(submit: np.ndarray) -> pl.DataFrame:
    """Return the mean number of jobs in each hour of the week (UTC; 0 = Monday 00:00).

    `submit` in s, sorted, finite. Columns ``hour`` (0 to 167; those that the trace spans),
    ``jobs`` (mean per hour), ``relative`` (1 = the mean hour).
    """
    hour, jobs = formulas.hour_of_week(submit)
    frame = pl.DataFrame({"hour": hour, "jobs": jobs})
    return frame.with_columns((pl.col("jobs") / pl.col("jobs").mean()).alias("relative"))


def arrival_days(submit: np.ndarray) -> pl.DataFrame:
    """Return the number of jobs on each day (UTC) from the first to the last.

    Columns ``day`` (date), ``jobs``, ``relative`` (1 = the mean day), ``weekday`` (1 = Monday).
    The first and the last day may be cut short.
    """
    if not spans(submit):
        schema = {"day": pl.Date, "jobs": pl.Int64, "relative": pl.Float64, "weekday": pl.Int8}
        return pl.DataFrame(schema=schema)
    days = np.floor(submit / DAY).astype(np.int64)
    jobs = np.bincount(days - days[0])
    frame = pl.DataFrame({"day": np.arange(len(jobs)) + days[0], "jobs": jobs})
    frame = frame.with_columns(pl.col("day").cast(pl.Int32).cast(pl.Date), pl.col("jobs").cast(int))
    relative = (pl.col("jobs") / pl.col("jobs").mean()).alias("relative")
    return frame.with_columns(relative, pl.col("day").dt.weekday().alias("weekday"))


def arrival_gaps(submit: np.ndarray, per_decade: int = 5) -> pl.DataFrame:
    """Count the times between successive submissions (s) in bins of a fifth of a decade.

    Columns ``low``, ``high`` (0 and 0: within the clock's step), ``n``, ``share``.
    """
    gaps = np.diff(submit)
    place = np.where(gaps > 0, np.log10(np.where(gaps > 0, gaps, 1.0)) * per_decade + 1e-9, -np.inf)
    bins, n = np.unique(np.floor(place), return_counts=True)
    low, high = (10.0 ** ((bins + i) / per_decade) for i in (0, 1))
    frame = pl.DataFrame({"low": low, "high": high, "n": n.astype(np.int64)})
    return frame.with_columns((pl.col("n") / pl.col("n").sum()).alias("share"))


def arrival_acf(submit: np.ndarray, longest: int = 336) -> pl.DataFrame:
    """Return the autocorrelation of hourly job counts at lags of 1 h to two weeks.

    Columns ``lag`` (h), ``acf``, ``n`` (hours counted); lags of more than half the trace are
    left out.
    """
    schema = {"lag": pl.Int64, "acf": pl.Float64, "n": pl.Int64}
    if not spans(submit):
        return pl.DataFrame(schema=schema)
    values = formulas.counts(submit, HOUR)
    lags = range(1, min(longest, len(values) // 2) + 1)
    rows = [(lag, formulas.autocorrelation(values, lag), len(values)) for lag in lags]
    return pl.DataFrame([r for r in rows if np.isfinite(r[1])], schema, orient="row")


def dispersions(submit: np.ndarray) -> pl.DataFrame:
    """Return the Fano factor (variance / mean) of job counts by the hour and by the day.

    1 for chance alone (a Poisson process), more for bursts. Columns ``bin``, ``fano``, ``n``
    (bins counted).
    """
    rows = []
    for name, width in (("hour", HOUR), ("day", DAY)) if spans(submit) else ():
        values = formulas.counts(submit, width)
        rows.append((name, formulas.fano(values), len(values)))
    schema = {"bin": pl.String, "fano": pl.Float64, "n": pl.Int64}
    return pl.DataFrame([row for row in rows if np.isfinite(row[1])], schema, orient="row")


def bursts(jobs: JobTable, gap: float = BURST_GAP) -> pl.DataFrame:
    """Count bursts by their size: runs of jobs of one sender with at most `gap` s between them.

    The sender is the ``user``; without that column all jobs are of one sender, and jobs of
    unknown users are too. Columns ``size`` (jobs: classes 1, 2, 3 to 4, 5 to 8 ...), ``low``,
    ``high``, ``n`` (bursts), ``share``, ``jobs`` (in them), ``share_jobs``. 24 bytes a job in
    memory.
    """
    needs(jobs, "submit_time")
    sender = pl.col("user").fill_null("").hash() if "user" in jobs else pl.lit(0, pl.UInt64)
    rows = collect(
        jobs.frame.select(sender.alias("sender"), pl.col("submit_time").alias("at"))
        .filter(pl.col("at").is_finite())
    )  # fmt: skip
    who, at = rows["sender"].to_numpy(), rows["at"].to_numpy()
    order = np.lexsort((at, who))
    who, at = who[order], at[order]
    begin = np.ones(len(at), dtype=bool)
    begin[1:] = (who[1:] != who[:-1]) | (np.diff(at) > gap)
    sizes = np.diff(np.append(np.flatnonzero(begin), len(at)))
    place = np.ceil(np.log2(np.maximum(sizes, 1)) - 1e-12).astype(np.int64)
    n, jobs_in = np.bincount(place), np.bincount(place, weights=sizes)
    kept = np.flatnonzero(n)
    high = 2 ** kept.astype(np.int64)
    low = high // 2 + 1
    frame = pl.DataFrame({
        "size": [str(b) if b <= 2 else f"{a} to {b}" for a, b in zip(low, high, strict=True)],
        "low": low, "high": high, "n": n[kept].astype(np.int64),
        "jobs": jobs_in[kept].astype(np.int64),
    }, schema_overrides={"size": pl.String})  # fmt: skip
    shares = ((pl.col(c) / pl.col(c).sum()).alias(s) for c, s in _SHARES)
    return frame.with_columns(shares)


_SHARES = (("n", "share"), ("jobs", "share_jobs"))
