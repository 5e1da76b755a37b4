"""Remote data access by Rucio's traces: each pilot's report of each file that it read."""

import polars as pl

from gridtwin.analysis import access_base as base
from gridtwin.analysis.access_sites import end_points
from gridtwin.analysis.base import collect
from gridtwin.trace import JobTable

__all__ = ["TRACES", "from_traces"]

TRACES: dict[str, base.Column] = {
    "appid": "text",
    "eventType": "text",
    "clientState": "text",
    "stateReason": "text",
    "remoteSite": "text",
    "scope": "text",
    "filename": "text",
    "filesize": "number",
    "timeStart": "time",
}
_OPTIONAL = ("stateReason", "scope", "filesize", "timeStart")
_READS = ("get_sm", "get_sm_a")
_GOOD = ("DONE", "FOUND_ROOT")


def from_traces(
    jobs: JobTable, traces: base.Frame, *, rses: base.Frame | None = None
) -> base.Found:
    """Tell each job's access from the traces of the files that it read (method A).

    A trace counts if it is a pilot's read (``get_sm``, ``get_sm_a``) that ended in DONE (copied)
    or FOUND_ROOT (read directly), of a job of the table, from an end point with a known site; the
    last one of each file. A read from a tape store is "tape"; one by a queue that has no storage
    of its own is "cache", remote where the file's origin is another site. What was brought for
    the job before it started looks local here: `best` tells it apart, given transfers.

    ``filesize`` is the size of the file. A direct read may have taken less; such bytes are an
    upper bound, and ``at_most`` says so.

    Parameters
    ----------
    jobs
        Needs job_id and site (or queue).
    traces
        Columns appid, eventType, clientState, remoteSite, filename, and if there are any scope,
        filesize, stateReason, timeStart; other columns are not read.
    rses
        Sites of storage end points, see `rse_sites`.

    Memory: the reads of the table's jobs, about 200 bytes each, while they are ordered.
    """
    side = base.job_side(jobs)
    rows = base.checked(traces, "traces", TRACES, optional=_OPTIONAL)
    source = end_points(rows, rses, "remoteSite")
    judged = (
        rows.join(side.select(pl.col("job_id").alias("appid"), "site", "cached"), "appid", "left")
        .join(
            source.rename({"site": "source_site"}), left_on="remoteSite", right_on="rse", how="left"
        )
        .with_columns(_reason().alias("reason"))
    )
    good = judged.filter(pl.col("reason") == "matched")
    files = _files(good)
    # one row of each file is used
    counts = base.tally(judged)
    used = collect(good.select(pl.struct("appid", "scope", "filename").n_unique())).item()
    counts["read again by the same job"] = counts.get("matched", 0) - used
    counts["matched"] = used
    return base.outcome(side, files, "traces", base.counted("traces", "traces", counts), jobs=jobs)


def _reason() -> pl.Expr:
    """Return why a trace is not used, else "matched"."""
    return (
        pl.when(~pl.col("eventType").is_in(_READS).fill_null(value=False))
        .then(pl.lit("not a pilot's read"))
        .when(~pl.col("clientState").is_in(_GOOD).fill_null(value=False))
        .then(pl.lit("read failed"))
        .when(pl.col("filename").is_null())
        .then(pl.lit("no file name"))
        .when(pl.col("site").is_null())
        .then(pl.lit("no such job"))
        .when(pl.col("source_site").is_null())
        .then(pl.lit("end point of no known site"))
        .otherwise(pl.lit("matched"))
    )


def _files(good: pl.LazyFrame) -> pl.LazyFrame:
    direct = (pl.col("clientState") == "FOUND_ROOT") | (
        pl.col("stateReason") == "direct_access"
    ).fill_null(value=False)
    far = pl.col("source_site") != pl.col("site")
    lit = pl.lit
    access = (
        pl.when("cached")
        .then(lit("cache"))
        .when("tape")
        .then(lit("tape"))
        .when(far)
        .then(pl.when(direct).then(lit("remote direct")).otherwise(lit("remote copy")))
        .otherwise(pl.when(direct).then(lit("local direct")).otherwise(lit("local copy")))
    )
    return (
        good.sort("appid", "scope", "filename", "timeStart", "remoteSite", "clientState")
        .unique(["appid", "scope", "filename"], keep="last", maintain_order=True)
        .select(
            pl.col("appid").alias("job_id"),
            "scope",
            pl.col("filename").alias("lfn"),
            pl.col("filesize").alias("bytes"),
            "source_site",
            access.alias("access"),
            far.alias("remote"),
        )
    )
