"""How jobs end: shares of statuses, and failure rates with their intervals."""

from typing import Literal

import polars as pl

from gridtwin.analysis.base import by_label, collect, needs, per, size, top, wall, wilson
from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable

__all__ = ["failure_rate", "failure_rate_by_code", "last_attempts", "status_shares"]

Group = Literal["all", "site", "user", "input size", "task"]
_MOST = 40


def status_shares(jobs: JobTable) -> pl.DataFrame:
    """Return the share of jobs and of core-hours by final status.

    Columns ``status``, ``n`` (jobs), ``share`` (of all jobs), ``core_hours`` (wall time x cores
    of those that ran) and ``share_core_hours``, where the table tells.
    """
    needs(jobs, "status")
    try:
        used = (wall(jobs) * size(jobs)[0]).sum() / 3600
    except SchemaError:
        used = pl.lit(None, pl.Float64)
    found = collect(
        jobs.frame.group_by(by_label("status").alias("status")).agg(
            pl.len().cast(pl.Int64).alias("n"), used.alias("core_hours")
        )
    )
    return found.sort(["n", "status"], descending=[True, False]).with_columns(
        (pl.col("n") / pl.col("n").sum()).alias("share"),
        (pl.col("core_hours") / pl.col("core_hours").sum()).alias("share_core_hours"),
    )


def last_attempts(jobs: JobTable) -> JobTable:
    """Return the jobs that no other one names as its parent: the last attempts.

    The ids of all parents are in memory, about 50 bytes each.
    """
    needs(jobs, "parent_id")
    parents = jobs.frame.select(pl.col("parent_id").alias("job_id")).drop_nulls()
    return JobTable(jobs.frame.join(parents, on="job_id", how="anti"), jobs.provenance)


def failure_rate(jobs: JobTable, by: Group = "all") -> pl.DataFrame:
    """Return failed / (finished + failed) by group, with the 95 % Wilson interval.

    Closed and cancelled jobs are in neither number. Input sizes are in steps of half a decade of
    ``input_bytes``. Columns ``group``, ``n`` (finished + failed), ``failed``, ``rate``, ``low``,
    ``high``; sites and users by n, at most 40 and "(others)". The interval takes jobs for
    independent; jobs of a task fail together, so that the true one is wider.
    """
    needs(jobs, "status")
    label, order = _group(jobs, by)
    found = collect(
        jobs.frame.filter(pl.col("status").is_in(["finished", "failed"]))
        .select(label.alias("group"), order.alias("order"), pl.col("status") == "failed")
        .group_by("group")
        .agg(
            pl.col("order").min(),
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("status").sum().cast(pl.Int64).alias("failed"),
        )
    )
    if by == "input size":
        found = found.sort("order").drop("order")
    else:
        found = top(found.drop("order"), "group", "n", _MOST, ("n", "failed"))
    low, high = wilson(found["failed"].to_numpy(), found["n"].to_numpy())
    rate = (pl.col("failed") / pl.col("n")).alias("rate")
    return found.with_columns(rate, pl.Series("low", low), pl.Series("high", high))


def failure_rate_by_code(codes: pl.DataFrame, total: int) -> pl.DataFrame:
    """Return how often jobs fail with each code: jobs it is blamed for / (finished + failed).

    `codes` of `errors.error_codes`, `total` the finished and failed jobs. Columns ``group``
    (code), ``name``, ``n``, ``failed`` (blamed), ``rate`` and its 95 % Wilson interval ``low``,
    ``high``; codes that are blamed for no job are left out.
    """
    found = codes.filter(pl.col("blamed") > 0).sort(["blamed", "code"], descending=[True, False])
    low, high = wilson(found["blamed"].to_numpy(), total)
    return found.select(
        pl.col("code").alias("group"),
        "name",
        pl.lit(total, pl.Int64).alias("n"),
        pl.col("blamed").alias("failed"),
        (pl.col("blamed") / total).alias("rate"),
        pl.Series("low", low),
        pl.Series("high", high),
    )


def _group(jobs: JobTable, by: Group) -> tuple[pl.Expr, pl.Expr]:
    if by == "all":
        return pl.lit("all"), pl.lit(0.0)
    if by == "site":
        return by_label(per(jobs)), pl.lit(0.0)
    if by in ("user", "task"):
        column = {"user": "user", "task": "task_id"}[by]
        needs(jobs, column)
        return by_label(column), pl.lit(0.0)
    if by == "input size":
        needs(jobs, "input_bytes")
        known = pl.when(pl.col("input_bytes") > 0).then("input_bytes")
        place = (known.log10() * 2 + 1e-9).floor()
        edge = [(pl.lit(10.0) ** ((place + i) / 2)).round_sig_figs(2) for i in (0, 1)]
        text = pl.format("{} to {}", _bytes(edge[0]), _bytes(edge[1]))
        return text.fill_null("no input"), place.fill_null(-1.0)
    raise InputError(
        f"cannot group failures by {by!r}; expected all, site, user, task or input size"
    )


def _bytes(value: pl.Expr) -> pl.Expr:
    """Return bytes as text in B, kB, MB, GB, TB (powers of 1000)."""
    text: pl.Expr = (value / 1e12).round_sig_figs(2).cast(pl.String) + " TB"
    for scale, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")):
        number = (value / scale).round_sig_figs(2).cast(pl.String)
        text = pl.when(value < scale * 999).then(number + f" {name}").otherwise(text)
    return text.str.replace(r"\.0 ", " ")
