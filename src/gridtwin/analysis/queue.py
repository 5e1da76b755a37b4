"""Queue time: from the creation of a job to its start."""

from itertools import pairwise
from typing import Literal

import polars as pl

from gridtwin.analysis.base import by_label, collect, histogram, needs, size, top, wait
from gridtwin.core.errors import InputError
from gridtwin.trace import JobTable

__all__ = ["QUANTILES", "By", "queue_histogram", "queue_split", "queue_time"]

By = Literal["all", "site", "queue", "size", "priority", "hour"]

QUANTILES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99}
_MOST = 60
"""Groups shown apart; the rest is not pooled, as quantiles have no sum."""


def queue_histogram(jobs: JobTable) -> pl.DataFrame:
    """Count jobs by queue time (start - creation, s) in bins of a tenth of a decade.

    n = jobs with a known queue time; jobs that never started have none. Columns ``low``,
    ``high`` (s), ``n``, ``share``.
    """
    return histogram(jobs.frame, wait(jobs))


def queue_time(jobs: JobTable, by: By = "all") -> pl.DataFrame:
    """Return mean and quantiles of the queue time (s) of jobs that started, by group.

    Groups are sites, queues, job sizes (powers of two: 1, 2, 3 to 4, 5 to 8 ...), fifths of the
    priority, or the hour of the day (UTC) of the submission. Columns ``group``, ``n`` (jobs with
    a known queue time), ``mean``, ``p10`` to ``p99``; largest n first, sizes, priorities and
    hours in order; at most 60 groups.
    """
    label, order = _group(jobs, by)
    found = collect(
        jobs.frame.select(wait(jobs).alias("wait"), label.alias("group"), order.alias("order"))
        .drop_nulls("wait")
        .group_by("group")
        .agg(
            pl.col("order").min(),
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("wait").mean().alias("mean"),
            *(
                pl.col("wait").quantile(q, interpolation="linear").alias(name)
                for name, q in QUANTILES.items()
            ),
        )
    )
    if by in ("site", "queue"):
        return top(found.drop("order"), "group", "n", _MOST, ()).head(_MOST)
    return found.sort("order", "group", nulls_last=True).drop("order").head(_MOST)


def queue_split(jobs: JobTable) -> pl.DataFrame:
    """Split the queue time: data wait (creation to activation) and slot wait (to the start).

    Of jobs whose ``eligible_time`` is known and lies between submission and start. Columns
    ``part``, ``n``, ``mean``, ``p50``, ``p90``, ``p99`` (s), ``share`` of their queue time.
    """
    needs(jobs, "eligible_time", "submit_time", "start_time")
    parts = {
        "data wait": pl.col("eligible_time") - pl.col("submit_time"),
        "slot wait": pl.col("start_time") - pl.col("eligible_time"),
    }
    ordered = (pl.col("eligible_time") >= pl.col("submit_time")) & (
        pl.col("start_time") >= pl.col("eligible_time")
    )
    found = collect(
        jobs.frame.filter(ordered)
        .select(**parts)
        .unpivot(variable_name="part", value_name="wait")
        .group_by("part")
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("wait").mean().alias("mean"),
            *(
                pl.col("wait").quantile(QUANTILES[q], interpolation="linear").alias(q)
                for q in ("p50", "p90", "p99")
            ),
            pl.col("wait").sum().alias("total"),
        )
    )
    share = (pl.col("total") / pl.col("total").sum()).alias("share")
    return found.sort("part").with_columns(share).drop("total")


def _group(jobs: JobTable, by: By) -> tuple[pl.Expr, pl.Expr]:
    """Return the label of a job's group and what groups are put in order by."""
    if by == "all":
        return pl.lit("all"), pl.lit(0.0)
    if by in ("site", "queue"):
        needs(jobs, by)
        return by_label(by), pl.lit(0.0)
    if by == "hour":
        needs(jobs, "submit_time")
        hour = (pl.col("submit_time") / 3600).floor().cast(pl.Int64) % 24
        return hour.cast(pl.String).str.zfill(2), hour.cast(pl.Float64)
    if by == "size":
        return size_class(size(jobs)[0])
    if by == "priority":
        needs(jobs, "priority")
        return _fifths(jobs)
    raise InputError(
        f"cannot group queue times by {by!r}; expected all, site, queue, size, priority or hour"
    )


def size_class(value: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the class of a size (1, 2, 3 to 4, 5 to 8 ...) as text, and its upper end."""
    upper = (pl.lit(2.0) ** (value.cast(pl.Float64).log(2) - 1e-9).ceil()).round()
    lower = (upper / 2).floor() + 1
    end, begin = upper.cast(pl.Int64).cast(pl.String), lower.cast(pl.Int64).cast(pl.String)
    label = pl.when(upper <= 2).then(end).otherwise(begin + pl.lit(" to ") + end)
    return label.fill_null("(unknown)"), upper


def _fifths(jobs: JobTable) -> tuple[pl.Expr, pl.Expr]:
    priority = pl.col("priority")
    cuts = [priority.quantile(q, "nearest").alias(str(q)) for q in (0.2, 0.4, 0.6, 0.8)]
    edges = sorted({x for x in collect(jobs.frame.select(cuts)).row(0) if x is not None})
    if not edges:
        return pl.lit("(unknown)"), pl.lit(0.0)
    labels = [f"up to {edges[0]:g}"]
    labels += [f"above {a:g}, up to {b:g}" for a, b in pairwise(edges)]
    labels.append(f"above {edges[-1]:g}")
    place = pl.sum_horizontal((priority > edge).cast(pl.Int64) for edge in edges)
    place = pl.when(priority.is_not_null()).then(place)
    text = place.replace_strict(
        dict(enumerate(labels)), default="(unknown)", return_dtype=pl.String
    )
    return text, place.cast(pl.Float64)
