"""Remote data access by Rucio's transfers that match the files of jobs; share of the queue time."""

from typing import Literal

import polars as pl

from gridtwin.analysis import access_base as base
from gridtwin.analysis.access_sites import end_points
from gridtwin.analysis.base import collect
from gridtwin.trace import JobTable

__all__ = ["FILES", "TRANSFERS", "from_transfers", "match_transfers", "transfer_share"]

Since = Literal["job", "task"]

FILES: dict[str, base.Column] = {
    "pandaid": "text",
    "jeditaskid": "text",
    "scope": "text",
    "lfn": "text",
    "dataset": "text",
    "type": "text",
    "fsize": "number",
}
"""What is read of PanDA's file table."""
TRANSFERS: dict[str, base.Column] = {
    "request_id": "text",
    "request_type": "text",
    "scope": "text",
    "name": "text",
    "dataset": "text",
    "bytes": "number",
    "src_rse": "text",
    "dst_rse": "text",
    "src_type": "text",
    "created_at": "time",
    "started_at": "time",
    "transferred_at": "time",
    "state": "text",
}
_OPTIONAL = ("request_type", "dataset", "src_type", "started_at", "state")
_DONE = ("D", "DONE")
_NAMED = (["scope", "lfn"], ["scope", "name"])
_SIZED = (["scope", "lfn", "bytes"], ["scope", "name", "bytes"])


def from_transfers(
    jobs: JobTable,
    files: base.Frame,
    transfers: base.Frame,
    *,
    rses: base.Frame | None = None,
    since: Since = "job",
) -> base.Found:
    """Tell the access to those input files that a transfer brought to the job's site (method B).

    See `match_transfers` for what matches. A file that came from tape is "tape"; one that was
    there before the job started is "pre-placed", in both cases read locally; one that came while
    the job ran is "remote copy"; one that moved within the site is "local copy". All other input
    files stay unknown: that nothing was matched does not mean that a file was read locally. What
    a job fetches by itself leaves no request with Rucio, so this method hardly sees it. Where
    several transfers match a file, the first to arrive counts.

    Memory: the transfers, and the rows of the file table that any transfer has the name of.
    """
    side = base.job_side(jobs, "submit_time", "start_time", "end_time")
    moves = _moves(transfers, rses)
    # both are small beside the file table, and asked for more than once
    wanted = collect(_wanted(side, files, moves, since)).lazy()
    matched = collect(_matches(wanted, moves)).lazy()
    rows = pl.concat([_transfer_rows(wanted, moves, matched), _file_rows(files, side, matched)])
    first = (
        matched.filter(pl.col("type") == "input")
        .sort("job_id", "scope", "lfn", "transferred_at", "request_id")
        .unique(["job_id", "scope", "lfn"], keep="first", maintain_order=True)
    )
    return base.outcome(side, first.select(*_classes()), "transfers", rows, jobs=jobs)


def match_transfers(
    jobs: JobTable,
    files: base.Frame,
    transfers: base.Frame,
    *,
    rses: base.Frame | None = None,
    since: Since = "job",
) -> pl.LazyFrame:
    """Return the pairs of a job's file and a transfer of it.

    A finished transfer matches an input file if scope, name and bytes (and data set, where both
    have one) are the same, it went to the job's site, was created after the job and arrived
    before the job ended. It matches an output if it left the job's site then. This is the
    matching by names, sizes, places and times of arXiv 2510.00828.

    Parameters
    ----------
    jobs
        Needs job_id, site (or queue), submit_time, start_time, end_time.
    files
        PanDA's file table: pandaid, scope, lfn, type, fsize; jeditaskid and dataset if known. A
        task id must be the job's where both are known.
    transfers
        Rucio's requests: request_id, scope, name, bytes, src_rse, dst_rse, created_at,
        transferred_at; request_type, dataset, src_type, started_at and state (D: done) if known.
    rses
        Sites of storage end points, see `rse_sites`.
    since
        "task" takes transfers from the first job of the task on, not only from the job's own
        creation: a task's files may be sent for before its later jobs are made.

    Returns
    -------
    matches
        job_id, scope, lfn, type (input, output), bytes, request_id, src_site, dst_site, tape,
        submit, start, end, created_at, started_at, transferred_at.
    """
    side = base.job_side(jobs, "submit_time", "start_time", "end_time")
    moves = _moves(transfers, rses)
    return _matches(_wanted(side, files, moves, since), moves)


def transfer_share(matches: base.Frame) -> pl.DataFrame:
    """Return how much of each job's queue time a matched transfer of its input was under way.

    The union of the intervals from start (else creation) to arrival, inside the time from
    submission to start, over that time. Only jobs with a match are told: of the others nothing
    is known. Columns job_id, transfers, transfer_time (s), queue_time (s), share (null where the
    queue time is 0). Memory: the matches.
    """
    begin = pl.coalesce("started_at", "created_at")
    clipped = (
        matches.lazy()
        .filter((pl.col("type") == "input") & pl.col("start").is_not_null())
        .select(
            "job_id",
            "request_id",
            (pl.col("start") - pl.col("submit")).alias("queue_time"),
            pl.max_horizontal(begin, "submit").alias("begin"),
            pl.min_horizontal("transferred_at", "start").alias("until"),
        )
        .sort("job_id", "begin", "until")
    )
    # what lies before the furthest end so far has been counted
    before = pl.col("until").cum_max().shift(1).over("job_id")
    new = pl.col("until") - pl.max_horizontal("begin", before)
    return (
        clipped.with_columns(new.clip(lower_bound=0.0).alias("new"))
        .group_by("job_id")
        .agg(
            pl.col("request_id").n_unique().cast(pl.Int64).alias("transfers"),
            pl.col("new").sum().alias("transfer_time"),
            pl.col("queue_time").first(),
        )
        .with_columns(
            pl.when(pl.col("queue_time") > 0)
            .then(pl.col("transfer_time") / pl.col("queue_time"))
            .alias("share")
        )
        .sort("job_id")
        .collect()
    )


def _wanted(
    side: pl.LazyFrame, files: base.Frame, moves: pl.LazyFrame, since: Since
) -> pl.LazyFrame:
    """Return the jobs' files that any transfer has the name of, with site and times of the job."""
    rows = base.checked(files, "files", FILES, optional=("jeditaskid", "dataset"))
    first = pl.col("submit")
    if since == "task":
        first = (
            pl.when(pl.col("task_id").is_null())
            .then("submit")
            .otherwise(first.min().over("task_id"))
        )
    other = (pl.col("jeditaskid") != pl.col("task_id")).fill_null(value=False)
    return (
        rows.filter(pl.col("type").is_in(["input", "output"]) & (pl.col("fsize") > 0))
        .join(moves, left_on=_NAMED[0], right_on=_NAMED[1], how="semi")
        .join(side.with_columns(first.alias("since")), left_on="pandaid", right_on="job_id")
        .filter(~other)
        .select(
            pl.col("pandaid").alias("job_id"),
            "scope",
            "lfn",
            "dataset",
            "type",
            pl.col("fsize").alias("bytes"),
            "site",
            "submit",
            "since",
            "start",
            "end",
        )
    )


def _moves(transfers: base.Frame, rses: base.Frame | None) -> pl.LazyFrame:
    """Return the transfers with sites and ``bad``: why one cannot match anything, else null."""
    rows = base.checked(transfers, "transfers", TRANSFERS, optional=_OPTIONAL)
    sites = end_points(rows, rses, "src_rse", "dst_rse")
    state = pl.col("state").fill_null("D").str.to_uppercase()
    taped = [
        pl.col("request_type") == "STAGEIN",
        pl.col("src_type").str.to_uppercase() == "TAPE",
        pl.col("tape"),
    ]
    return (
        rows.join(sites.rename({"site": "src_site"}), left_on="src_rse", right_on="rse", how="left")
        .join(
            sites.select("rse", pl.col("site").alias("dst_site")),
            left_on="dst_rse",
            right_on="rse",
            how="left",
        )
        .with_columns(
            pl.any_horizontal(e.fill_null(value=False) for e in taped).alias("tape"),
            pl.when(~state.is_in(_DONE))
            .then(pl.lit("not done"))
            .when(pl.col("created_at").is_null() | pl.col("transferred_at").is_null())
            .then(pl.lit("no times"))
            .when(pl.any_horizontal(pl.col("request_id", "name", "bytes").is_null()))
            .then(pl.lit("no id, name or size"))
            .when(pl.col("src_site").is_null() | pl.col("dst_site").is_null())
            .then(pl.lit("end point of no known site"))
            .alias("bad"),
        )
    )


def _matches(wanted: pl.LazyFrame, moves: pl.LazyFrame) -> pl.LazyFrame:
    good = moves.filter(pl.col("bad").is_null()).drop("bad", "state", "src_rse", "dst_rse")
    pairs = wanted.join(good, left_on=_SIZED[0], right_on=_SIZED[1], suffix="_moved")
    same = pl.col("dataset") == pl.col("dataset_moved")
    here = pl.when(pl.col("type") == "input").then("dst_site").otherwise("src_site")
    inside = (pl.col("created_at") >= pl.col("since")) & (pl.col("transferred_at") <= pl.col("end"))
    kept = [
        "job_id",
        "scope",
        "lfn",
        "type",
        "bytes",
        "request_id",
        "src_site",
        "dst_site",
        "tape",
        "submit",
        "start",
        "end",
        "created_at",
        "started_at",
        "transferred_at",
    ]
    # a file that is listed twice is one
    return (
        pairs.filter(same.fill_null(value=True) & (here == pl.col("site")) & inside)
        .select(kept)
        .unique()
    )


def _classes() -> list[pl.Expr]:
    """Return the columns of `Found.files` of matched inputs."""
    far = pl.col("src_site") != pl.col("dst_site")
    there = (pl.col("transferred_at") <= pl.col("start")).fill_null(value=True)
    lit = pl.lit
    return [
        pl.col("job_id", "scope", "lfn", "bytes"),
        pl.col("src_site").alias("source_site"),
        pl.when("tape")
        .then(lit("tape"))
        .when(~far)
        .then(lit("local copy"))
        .when(there)
        .then(lit("pre-placed"))
        .otherwise(lit("remote copy"))
        .alias("access"),
        (far & ~there & ~pl.col("tape")).alias("remote"),
    ]


def _transfer_rows(
    wanted: pl.LazyFrame, moves: pl.LazyFrame, matched: pl.LazyFrame
) -> pl.DataFrame:
    """Count the transfers by the first reason for which none matched."""
    bad = base.tally(moves, "bad")
    good = moves.filter(pl.col("bad").is_null())
    # each step keeps less: those of a known name, of the right size, then all that matched
    steps = [
        good,
        good.join(wanted, left_on=_NAMED[1], right_on=_NAMED[0], how="semi"),
        good.join(wanted, left_on=_SIZED[1], right_on=_SIZED[0], how="semi"),
        good.join(matched, on="request_id", how="semi"),
    ]
    left = [int(collect(step.select(pl.len())).item()) for step in steps]
    reasons = ("no job of the table has such a file", "other size", "other site, time or data set")
    return base.counted(
        "transfers",
        "transfers",
        {
            **bad,
            **{reason: left[i] - left[i + 1] for i, reason in enumerate(reasons)},
            "matched": left[-1],
        },
    )


def _file_rows(files: base.Frame, side: pl.LazyFrame, matched: pl.LazyFrame) -> pl.DataFrame:
    """Count the rows of the file table by what became of them."""
    rows = base.checked(files, "files", FILES, optional=("jeditaskid", "dataset"))
    pairs = matched.select("job_id", "scope", "lfn", "type", _hit=pl.lit(value=True)).unique()
    kept = (
        rows.join(
            side.select("job_id", "task_id", _job=pl.lit(value=True)),
            left_on="pandaid",
            right_on="job_id",
            how="left",
        )
        .join(
            pairs,
            left_on=["pandaid", "scope", "lfn", "type"],
            right_on=["job_id", "scope", "lfn", "type"],
            how="left",
        )
        .select(
            pl.when(~pl.col("type").is_in(["input", "output"]).fill_null(value=False))
            .then(pl.lit("neither input nor output"))
            .when(pl.col("_job").is_null())
            .then(pl.lit("no such job"))
            .when((pl.col("jeditaskid") != pl.col("task_id")).fill_null(value=False))
            .then(pl.lit("other task than the job's"))
            .when(~(pl.col("fsize") > 0).fill_null(value=False))
            .then(pl.lit("no size"))
            .when(pl.col("_hit").is_null())
            .then(pl.lit("no transfer matches"))
            .otherwise(pl.lit("matched"))
            .alias("reason")
        )
    )
    return base.counted("transfers", "files", base.tally(kept))
