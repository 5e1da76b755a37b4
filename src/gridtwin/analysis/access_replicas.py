"""Remote data access by where the replicas of data sets were: an upper bound."""

import polars as pl

from gridtwin.analysis import access_base as base
from gridtwin.analysis.access_sites import end_points
from gridtwin.analysis.access_transfers import FILES
from gridtwin.trace import JobTable

__all__ = ["REPLICAS", "from_replicas"]

REPLICAS: dict[str, base.Column] = {
    "scope": "text",
    "dataset": "text",
    "rse": "text",
    "rse_type": "text",
    "state": "text",
    "created_at": "time",
    "deleted_at": "time",
}


def from_replicas(
    jobs: JobTable, files: base.Frame, replicas: base.Frame, *, rses: base.Frame | None = None
) -> base.Found:
    """Tell the access to each input file from the replicas of its data set (method C).

    A file is "local" if an available replica on disk was at the job's site when the job started,
    "tape" if its data set had available replicas on tape alone, else "remote"; "cache" for
    queues without storage. All but the first count as read from another site: an **upper bound**,
    since what was brought for the job, what came from a cache and what is there in part looks
    remote. Of a data set that is not among the replicas nothing is known.

    Parameters
    ----------
    jobs
        Needs job_id, site (or queue) and start_time.
    files
        PanDA's file table: pandaid, scope, lfn, dataset, type, fsize.
    replicas
        scope, dataset, rse, state (A: available); rse_type (DISK, TAPE), created_at and
        deleted_at if known: without times a snapshot, taken as true at all times.
    rses
        Sites of storage end points, see `rse_sites`.

    Memory: the triples of data set, site and start of the jobs, and the replicas.
    """
    side = base.job_side(jobs, "start_time")
    rows = base.checked(
        replicas, "replicas", REPLICAS, optional=("rse_type", "created_at", "deleted_at")
    )
    copies, counts = _copies(rows, rses)
    inputs = base.checked(files, "files", FILES, optional=("jeditaskid",))
    judged = _judged(inputs, side, copies)
    good = judged.filter(pl.col("reason") == "matched").unique(
        ["pandaid", "scope", "lfn"], keep="first", maintain_order=True
    )
    lit, here, disk = pl.lit, pl.col("here"), pl.col("disk")
    made = good.select(
        pl.col("pandaid").alias("job_id"),
        "scope",
        "lfn",
        pl.col("fsize").alias("bytes"),
        pl.when("here").then("site").alias("source_site"),
        pl.when("cached")
        .then(lit("cache"))
        .when(here)
        .then(lit("local"))
        .when(~disk)
        .then(lit("tape"))
        .otherwise(lit("remote"))
        .alias("access"),
        (~here).alias("remote"),
    )
    table = pl.concat(
        [
            base.counted("replicas", "replicas", counts),
            base.counted("replicas", "files", base.tally(judged)),
        ]
    )
    return base.outcome(side, made, "replicas", table, jobs=jobs)


def _copies(rows: pl.LazyFrame, rses: base.Frame | None) -> tuple[pl.LazyFrame, dict[str, int]]:
    """Return the replicas with site and whether they are available; what became of all rows."""
    judged = rows.join(end_points(rows, rses, "rse"), on="rse", how="left").with_columns(
        (pl.col("rse_type").str.to_uppercase() == "TAPE").fill_null(pl.col("tape")).alias("tape"),
        pl.when((pl.col("state") != "A").fill_null(value=True))
        .then(pl.lit("not available"))
        .when(pl.col("site").is_null())
        .then(pl.lit("end point of no known site"))
        .otherwise(pl.lit("matched"))
        .alias("reason"),
    )
    # all are kept: one of an unknown site is still a replica somewhere, and a data set of which
    # all are incomplete is a known one without an available replica
    return judged.select(
        "scope",
        "dataset",
        pl.col("site").alias("at"),
        "tape",
        (pl.col("reason") != "not available").alias("ready"),
        pl.col("created_at").fill_null(float("-inf")).alias("from"),
        pl.col("deleted_at").fill_null(float("inf")).alias("to"),
    ), base.tally(judged)


def _judged(inputs: pl.LazyFrame, side: pl.LazyFrame, copies: pl.LazyFrame) -> pl.LazyFrame:
    """Return the file table with job, ``here``, ``disk`` and why a row has no answer."""
    ran = side.filter(pl.col("start").is_not_null()).select(
        "job_id", "site", "cached", "start", _job=pl.lit(value=True)
    )
    rows = inputs.filter(pl.col("type") == "input").join(
        ran, left_on="pandaid", right_on="job_id", how="left"
    )
    # each data set, site and start is looked up once, not once a file
    keys = ["scope", "dataset", "site", "start"]
    now = pl.col("ready") & (pl.col("from") <= pl.col("start")) & (pl.col("start") < pl.col("to"))
    on_disk = now & ~pl.col("tape")
    states = (
        rows.select(keys)
        .drop_nulls(["dataset", "start"])
        .unique()
        .join(copies, on=["scope", "dataset"])
        .group_by(keys)
        .agg(
            (on_disk & (pl.col("at") == pl.col("site"))).fill_null(value=False).any().alias("here"),
            (on_disk | ~now.any()).any().alias("disk"),
        )
    )
    return rows.join(states, on=keys, how="left").with_columns(
        pl.when(pl.col("_job").is_null())
        .then(pl.lit("no such job, or it did not start"))
        .when(pl.col("dataset").is_null())
        .then(pl.lit("no data set"))
        .when(pl.col("here").is_null())
        .then(pl.lit("data set not among the replicas"))
        .otherwise(pl.lit("matched"))
        .alias("reason")
    )
