"""CPU consumption, its efficiency, and the computing power of sites."""

import numpy as np
import polars as pl

from gridtwin.analysis.base import (
    HOUR,
    by_label,
    collect,
    core_seconds,
    histogram,
    needs,
    per,
    size,
)
from gridtwin.trace import JobTable

__all__ = ["cpu_time", "efficiency", "efficiency_histogram", "site_power"]

OUTLIER = 3.5
"""Of the modified z-score: B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, 1993."""
STEP = 0.02


def cpu_time(jobs: JobTable) -> pl.DataFrame:
    """Count jobs by CPU time (core seconds, summed over cores), by status where it is known.

    Bins of a tenth of a decade; ``low`` = ``high`` = 0 are jobs without CPU time. Columns
    ``status``, ``low``, ``high``, ``n``, ``share`` (of all jobs with a known CPU time).
    """
    needs(jobs, "cpu_time")
    status = by_label("status") if "status" in jobs else pl.lit("all")
    frame = jobs.frame.with_columns(status.alias("status"))
    return histogram(frame, pl.col("cpu_time"), by=["status"])


def _efficiency(jobs: JobTable) -> pl.Expr:
    needs(jobs, "cpu_time")
    used = core_seconds(jobs)
    return pl.when((used > 0) & (pl.col("cpu_time") >= 0)).then(pl.col("cpu_time") / used)


def efficiency_histogram(jobs: JobTable) -> pl.DataFrame:
    """Count jobs by CPU efficiency, cpu_time / (wall time x cores), in steps of 0.02.

    Values above 1 cannot be true; they are counted at 1 and flagged in a row of their own
    (``clipped``). Columns ``low``, ``high``, ``clipped``, ``n``, ``share``.
    """
    value = _efficiency(jobs).alias("x")
    over = pl.col("x") > 1
    last = round(1 / STEP) - 1
    place = (pl.col("x").clip(0, 1) / STEP + 1e-9).floor().cast(pl.Int64).clip(0, last)
    found = collect(
        jobs.frame.select(value)
        .drop_nulls()
        .group_by(place.alias("bin"), over.alias("clipped"))
        .agg(pl.len().cast(pl.Int64).alias("n"))
    )
    return found.sort("bin", "clipped").select(
        (pl.col("bin") * STEP).round(2).alias("low"),
        ((pl.col("bin") + 1) * STEP).round(2).alias("high"),
        "clipped",
        "n",
        (pl.col("n") / pl.col("n").sum()).alias("share"),
    )


def efficiency(jobs: JobTable, *, by_place: bool = False) -> pl.DataFrame:
    """Return the CPU efficiency of all jobs, or of each site.

    Columns ``group``, ``n`` (jobs with CPU time, wall time and cores), ``clipped`` (those above
    1, counted as 1), ``mean`` and ``p10``, ``p50``, ``p90`` over jobs, ``total`` = sum of CPU
    time / sum of core time (weighted by size; each job clipped).
    """
    label = by_label(per(jobs)) if by_place else pl.lit("all")
    clipped = pl.col("x").clip(0, 1)
    used = core_seconds(jobs)
    found = collect(
        jobs.frame.select(label.alias("group"), _efficiency(jobs).alias("x"), used.alias("used"))
        .drop_nulls("x")
        .group_by("group")
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            (pl.col("x") > 1).sum().cast(pl.Int64).alias("clipped"),
            clipped.mean().alias("mean"),
            *(
                clipped.quantile(q, interpolation="linear").alias(name)
                for name, q in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
            ),
            ((clipped * pl.col("used")).sum() / pl.col("used").sum()).alias("total"),
        )
    )
    return found.sort(["n", "group"], descending=[True, False])


def site_power(jobs: JobTable, *, gflops_per_hs23: float = 0.25) -> pl.DataFrame:
    """Return the power of each site against its cores, with outliers marked.

    Cores are the most that the jobs of the table held at any full hour, so a lower bound for a
    site that other jobs use too. Power is the mean ``core_power`` over jobs x cores. A site is an
    outlier where the logarithm of its ``core_power`` is more than 3.5 modified standard
    deviations (0.6745 x distance from the median / median absolute deviation) from the median
    site.

    Columns ``site``, ``n`` (jobs), ``cores``, ``core_power`` (HS23 per core), ``power`` (HS23),
    ``gflops`` (`gflops_per_hs23` x power: an assumed factor, only ratios mean something),
    ``score``, ``outlier``.
    """
    needs(jobs, "core_power", "start_time", "end_time")
    place = per(jobs)
    known = pl.when(pl.col("core_power") > 0).then("core_power")
    power = collect(
        jobs.frame.group_by(by_label(place).alias("site")).agg(
            pl.len().cast(pl.Int64).alias("n"), known.mean().alias("core_power")
        )
    ).drop_nulls("core_power")
    found = power.join(_held(jobs, place), on="site", how="inner").filter(pl.col("cores") > 0)
    score = _scores(np.log(found["core_power"].to_numpy()))
    return (
        found.with_columns(
            (pl.col("core_power") * pl.col("cores")).alias("power"), pl.Series("score", score)
        )
        .with_columns(
            (pl.col("power") * gflops_per_hs23).alias("gflops"),
            (pl.col("score").abs() > OUTLIER).alias("outlier"),
        )
        .sort(["power", "site"], descending=[True, False])
    )


def _held(jobs: JobTable, place: str) -> pl.DataFrame:
    """Return the most cores in use at a full hour by site; memory grows with sites x hours."""
    used, _ = size(jobs)
    change = []
    ran = jobs.frame.filter(pl.col("end_time") > pl.col("start_time"))
    for column, sign in (("start_time", 1), ("end_time", -1)):
        hour = (pl.col(column) / HOUR).ceil().cast(pl.Int64).alias("hour")
        rows = ran.select(by_label(place).alias("site"), hour, (used * sign).alias("change"))
        change.append(rows.group_by("site", "hour").agg(pl.col("change").sum()))
    steps = collect(pl.concat(change).group_by("site", "hour").agg(pl.col("change").sum()))
    held = steps.sort("site", "hour").with_columns(pl.col("change").cum_sum().over("site"))
    return held.group_by("site").agg(pl.col("change").max().cast(pl.Int64).alias("cores"))


def _scores(values: np.ndarray) -> np.ndarray:
    """Return modified z-scores; the mean absolute deviation steps in where the median one is 0."""
    if not len(values):
        return np.zeros(0)
    away = values - np.median(values)
    spread = float(np.median(np.abs(away))) / 0.6745
    if spread < 1e-9:
        spread = float(np.mean(np.abs(away))) * 1.2533
    return away / spread if spread > 1e-9 else np.zeros(len(values))
