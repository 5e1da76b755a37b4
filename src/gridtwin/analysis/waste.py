"""Core-hours that came to nothing."""

from collections.abc import Iterable
from typing import Literal

import polars as pl

from gridtwin.analysis.base import by_label, collect, core_seconds, needs, per, top, wall
from gridtwin.core.errors import InputError
from gridtwin.trace import JobTable

__all__ = ["wasted", "wasted_by_combination", "wasted_total"]

Group = Literal["site", "user", "task"]
_MOST = 30


def wasted_total(jobs: JobTable, statuses: Iterable[str] = ("failed",)) -> dict[str, float]:
    """Return core-hours of jobs of these statuses, and of all jobs that ran.

    Keys ``wasted`` (sum of cores x wall time, h), ``all``, ``wall_wasted`` (the same without
    cores, h: the monitor's "wall time loss"), ``n`` (jobs of these statuses that ran), ``n_all``.
    """
    needs(jobs, "status")
    bad = pl.col("status").is_in(list(statuses)).fill_null(value=False)
    used, run = core_seconds(jobs) / 3600, wall(jobs) / 3600
    found = collect(
        jobs.frame.select(
            used.filter(bad).sum().alias("wasted"),
            used.sum().alias("all"),
            run.filter(bad).sum().alias("wall_wasted"),
            (used.filter(bad) > 0).sum().cast(pl.Float64).alias("n"),
            (used > 0).sum().cast(pl.Float64).alias("n_all"),
        )
    )
    return {name: float(value) for name, value in found.row(0, named=True).items()}


def wasted(jobs: JobTable, by: Group, statuses: Iterable[str] = ("failed",)) -> pl.DataFrame:
    """Return the core-hours of failed jobs by site, user or task.

    Wasted core-hours = sum of cores x wall time over jobs of these statuses. Columns ``group``,
    ``n`` (such jobs), ``core_hours``, ``share_wasted`` (of all wasted ones), ``share_group`` (of
    the core-hours of the group), ``share_all`` (of the core-hours of all jobs); the 30 largest
    and "(others)".
    """
    needs(jobs, "status")
    label = _label(jobs, by)
    bad = pl.col("status").is_in(list(statuses)).fill_null(value=False)
    found = collect(
        jobs.frame.select(
            label.alias("group"), bad.alias("bad"), (core_seconds(jobs) / 3600).alias("used")
        )
        .group_by("group")
        .agg(
            pl.col("bad").sum().cast(pl.Int64).alias("n"),
            pl.col("used").filter("bad").sum().alias("core_hours"),
            pl.col("used").sum().alias("of"),
        )
    )
    everything = float(found["of"].sum())
    found = top(found, "group", "core_hours", _MOST, ("n", "core_hours", "of"))
    return found.filter(pl.col("n") > 0).select(
        "group",
        "n",
        "core_hours",
        _ratio(pl.col("core_hours"), pl.col("core_hours").sum()).alias("share_wasted"),
        _ratio(pl.col("core_hours"), pl.col("of")).alias("share_group"),
        _ratio(pl.col("core_hours"), pl.lit(everything)).alias("share_all"),
    )


def wasted_by_combination(jobs: JobTable, combined: pl.DataFrame) -> pl.DataFrame:
    """Return the core-hours of failed jobs by their combination of error codes.

    `combined` of `errors.combinations`. Columns ``group``, ``n``, ``core_hours``,
    ``share_wasted``, ``share_all`` (of the core-hours of all jobs); the 30 largest, "(others)".
    """
    everything = wasted_total(jobs)["all"]
    found = combined.select(pl.col("combination").alias("group"), "n", "core_hours")
    found = top(found, "group", "core_hours", _MOST, ("n", "core_hours"))
    return found.with_columns(
        _ratio(pl.col("core_hours"), pl.col("core_hours").sum()).alias("share_wasted"),
        _ratio(pl.col("core_hours"), pl.lit(everything)).alias("share_all"),
    )


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def _label(jobs: JobTable, by: Group) -> pl.Expr:
    if by == "site":
        return by_label(per(jobs))
    if by not in ("user", "task"):
        raise InputError(f"cannot group waste by {by!r}; expected site, user or task")
    column = "user" if by == "user" else "task_id"
    needs(jobs, column)
    return by_label(column)
