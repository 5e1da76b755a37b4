"""What batch machines add: requested against used time, job sizes, users."""

import polars as pl

from gridtwin.analysis.base import by_label, collect, core_seconds, needs, size, top, wall
from gridtwin.analysis.queue import size_class
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable

__all__ = ["run_over_request", "sizes", "users"]

STEP = 0.02


def run_over_request(jobs: JobTable) -> pl.DataFrame:
    """Count jobs by run time / requested wall time, in steps of 0.02, by status where known.

    Jobs that ran past their request are in one last row, ``low`` = 1 and ``high`` null. Columns
    ``status``, ``low``, ``high``, ``n``, ``share`` (of the jobs with both times).
    """
    needs(jobs, "walltime_req")
    asked = pl.when(pl.col("walltime_req") > 0).then("walltime_req")
    ratio = (wall(jobs) / asked).alias("x")
    status = by_label("status") if "status" in jobs else pl.lit("all")
    last = round(1 / STEP)
    place = (pl.col("x") / STEP + 1e-9).floor().clip(0, last).cast(pl.Int64).alias("bin")
    found = collect(
        jobs.frame.select(status.alias("status"), ratio)
        .filter(pl.col("x").is_finite())
        .group_by("status", place)
        .agg(pl.len().cast(pl.Int64).alias("n"))
    )
    return found.sort("status", "bin").select(
        "status",
        (pl.col("bin") * STEP).round(2).alias("low"),
        pl.when(pl.col("bin") < last).then(((pl.col("bin") + 1) * STEP).round(2)).alias("high"),
        "n",
        (pl.col("n") / pl.col("n").sum()).alias("share"),
    )


def sizes(jobs: JobTable) -> pl.DataFrame:
    """Count jobs and core-hours by job size (powers of two: 1, 2, 3 to 4, 5 to 8 ...).

    Sizes are cores, else GPUs, else nodes. Columns ``size``, ``n``, ``share``, ``core_hours``
    and ``share_core_hours`` (null where the run times are not known).
    """
    value, _ = size(jobs)
    label, order = size_class(value)
    found = collect(
        jobs.frame.select(label.alias("size"), order.alias("order"), _hours(jobs).alias("used"))
        .group_by("size")
        .agg(pl.col("order").min(), pl.len().cast(pl.Int64).alias("n"), pl.col("used").sum())
    )
    return found.sort("order", nulls_last=True).select(
        "size",
        "n",
        (pl.col("n") / pl.col("n").sum()).alias("share"),
        pl.col("used").alias("core_hours"),
        (pl.col("used") / pl.col("used").sum()).alias("share_core_hours"),
    )


def users(jobs: JobTable) -> pl.DataFrame:
    """Return jobs and core-hours of the 30 users with the most jobs, and "(others)".

    Columns ``user``, ``n``, ``share``, ``core_hours``, ``share_core_hours``, ``failed`` (where
    the status is known).
    """
    needs(jobs, "user")
    failed = (pl.col("status") == "failed").sum() if "status" in jobs else pl.lit(None, pl.Int64)
    found = collect(
        jobs.frame.with_columns(_hours(jobs).alias("_used"))
        .group_by(by_label("user").alias("user"))
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("_used").sum().alias("core_hours"),
            failed.cast(pl.Int64).alias("failed"),
        )
    )
    found = top(found, "user", "n", 30, ("n", "core_hours", "failed"))
    return found.select(
        "user",
        "n",
        (pl.col("n") / pl.col("n").sum()).alias("share"),
        "core_hours",
        (pl.col("core_hours") / pl.col("core_hours").sum()).alias("share_core_hours"),
        "failed",
    )


def _hours(jobs: JobTable) -> pl.Expr:
    try:
        return core_seconds(jobs) / 3600
    except SchemaError:
        return pl.lit(None, pl.Float64)
