"""Sizes of inputs and data sets, and what each site held of them."""

import polars as pl

from gridtwin.analysis.base import by_label, collect, core_seconds, histogram, needs, per
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable

__all__ = ["POOLED", "dataset_histogram", "dataset_sizes", "input_sizes", "site_footprint"]

POOLED = 0.019
"""Sites with a smaller share of the jobs are pooled as "Others", as the published figure does."""


def input_sizes(jobs: JobTable) -> pl.DataFrame:
    """Count jobs by their input (bytes) in bins of a fifth of a decade.

    Columns ``low``, ``high`` (0 and 0: no input), ``n``, ``share``.
    """
    needs(jobs, "input_bytes")
    return histogram(jobs.frame, pl.col("input_bytes"), per_decade=5)


def _read(jobs: JobTable, *keys: pl.Expr) -> pl.LazyFrame:
    """Return bytes by key, data set and task: the sum over first attempts."""
    needs(jobs, "dataset", "input_bytes")
    first = pl.col("attempt").fill_null(0) == 0 if "attempt" in jobs else pl.lit(value=True)
    if "parent_id" in jobs:
        first = first & pl.col("parent_id").is_null()
    task = pl.col("task_id") if "task_id" in jobs else pl.col("job_id")
    return (
        jobs.frame.filter(pl.col("dataset").is_not_null() & (pl.col("input_bytes") > 0) & first)
        .group_by(*keys, "dataset", task.alias("task"))
        .agg(pl.col("input_bytes").sum().alias("bytes"))
    )


def dataset_sizes(jobs: JobTable) -> pl.DataFrame:
    """Estimate the size of each data set: the most bytes that one task read of it.

    A task reads a file once, so the inputs of its first attempts sum to at most the data set; a
    data set that no task read whole is larger than shown. Columns ``dataset``, ``tasks``,
    ``bytes``; memory grows with the tasks.
    """
    by_task = _read(jobs)
    return collect(
        by_task.group_by("dataset").agg(
            pl.len().cast(pl.Int64).alias("tasks"), pl.col("bytes").max()
        )
    ).sort(["bytes", "dataset"], descending=[True, False])


def dataset_histogram(jobs: JobTable) -> pl.DataFrame:
    """Count data sets by size in bins of a fifth of a decade.

    The size is the most bytes that one task read of the data set: a lower bound, reached where a
    task read all of it. Columns ``low``, ``high`` (bytes), ``n`` (data sets), ``share``.
    """
    return histogram(dataset_sizes(jobs).lazy(), pl.col("bytes"), per_decade=5)


def site_footprint(jobs: JobTable, pooled: float = POOLED) -> pl.DataFrame:
    """Return what each site did: jobs, core-hours, bytes read and different data sets.

    Sites with less than `pooled` of the jobs are one row "Others". Columns ``site``, ``sites``
    (how many are in the row), ``n`` (jobs), ``share``, ``core_hours``, ``input_bytes`` (read by
    all jobs), ``datasets`` and ``dataset_bytes`` (each data set counted once a site, at the most
    bytes that one task read of it there); null where the table does not tell.
    """
    label = by_label(per(jobs))
    none = pl.lit(None, pl.Float64)
    try:
        used = core_seconds(jobs).sum() / 3600
    except SchemaError:
        used = none
    read = pl.col("input_bytes").sum() if "input_bytes" in jobs else none
    found = collect(
        jobs.frame.group_by(label.alias("site")).agg(
            pl.len().cast(pl.Int64).alias("n"),
            used.alias("core_hours"),
            read.cast(pl.Float64).alias("input_bytes"),
        )
    )
    held = _held(jobs, label)
    found = found.join(held, on="site", how="left").with_columns(
        (pl.col("n") / pl.col("n").sum()).alias("share")
    )
    name = pl.when(pl.col("share") < pooled).then(pl.lit("Others")).otherwise("site").alias("site")
    sums = ("n", "share", "core_hours", "input_bytes", "datasets", "dataset_bytes")
    nothing = [pl.col(c).is_not_null().any().alias(f"_{c}") for c in sums]
    rows = found.group_by(name).agg(
        pl.len().cast(pl.Int64).alias("sites"), *(pl.col(c).sum() for c in sums), *nothing
    )
    rows = rows.with_columns(pl.when(f"_{c}").then(c).alias(c) for c in sums)
    last = pl.col("site") == "Others"
    return rows.sort([last, "n", "site"], descending=[False, True, False]).select(
        "site", "sites", *sums
    )


def _held(jobs: JobTable, label: pl.Expr) -> pl.DataFrame:
    """Return the number and bytes of the data sets of each site."""
    if "dataset" not in jobs or "input_bytes" not in jobs:
        schema = {"site": pl.String, "datasets": pl.Int64, "dataset_bytes": pl.Float64}
        return pl.DataFrame(schema=schema)
    by_task = _read(jobs, label.alias("site"))
    by_name = by_task.group_by("site", "dataset").agg(pl.col("bytes").max())
    counts = by_name.group_by("site").agg(
        pl.len().cast(pl.Int64).alias("datasets"), pl.col("bytes").sum().alias("dataset_bytes")
    )
    return collect(counts)
