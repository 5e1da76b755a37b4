"""Remote data access: by which way jobs came by their input, from the best record at hand.

Four methods, from the best to the poorest: Rucio's traces (`from_traces`), matched transfers
(`from_transfers`), replicas (`from_replicas`) and the job table alone (`from_jobs`), which tells
next to nothing: what is not known is "unknown" and null, never 0.
"""

import polars as pl

from gridtwin.analysis.access_base import (
    ACCESS,
    CLASSES,
    Column,
    Found,
    Frame,
    checked,
    column_of,
    counted,
    job_side,
    outcome,
)
from gridtwin.analysis.access_replicas import from_replicas
from gridtwin.analysis.access_sites import rse_sites
from gridtwin.analysis.access_traces import from_traces
from gridtwin.analysis.access_transfers import from_transfers, match_transfers, transfer_share
from gridtwin.analysis.base import collect
from gridtwin.core.errors import InputError
from gridtwin.trace import JobTable

__all__ = [
    "ACCESS",
    "CLASSES",
    "TRUTH",
    "Found",
    "best",
    "column_of",
    "from_jobs",
    "from_replicas",
    "from_traces",
    "from_transfers",
    "match_transfers",
    "recovered",
    "rse_sites",
    "summary",
    "table_summary",
    "transfer_share",
]

_ORDER = ("traces", "transfers", "replicas", "jobs")
_NONE = ("unknown", "not started", "no input")
TRUTH: dict[str, Column] = {
    "job_id": "text",
    "scope": "text",
    "lfn": "text",
    "bytes": "number",
    "access": "text",
    "remote": "flag",
}


def from_jobs(jobs: JobTable) -> Found:
    """Tell what the job table alone does (method D): no bytes, and mostly "unknown".

    A queue that has no storage of its own reads through a cache; a job with a data set for
    dispatch (a column ``dispatchdblock`` beside the canonical ones) had its input brought.
    ``remote_bytes`` is null for every job.
    """
    side = job_side(jobs)
    nothing = pl.LazyFrame(
        schema={
            "job_id": pl.String,
            "scope": pl.String,
            "lfn": pl.String,
            "bytes": pl.Float64,
            "source_site": pl.String,
            "access": pl.String,
            "remote": pl.Boolean,
        }
    )
    none = counted("jobs", "jobs", {})
    found = outcome(side, nothing, "jobs", none, guess=_guess(), jobs=jobs)
    tells = found.jobs.filter(pl.col("access").is_in(ACCESS)).height
    rows = counted("jobs", "jobs", {"matched": tells, "no answer": found.jobs.height - tells})
    return Found(found.jobs, found.files, pl.concat([rows, found.rows]))


def _guess() -> pl.Expr:
    """Return the class that queue and data set for dispatch tell, else null."""
    cached = pl.when("cached").then(pl.lit("cache"))
    return cached.when("dispatched").then(pl.lit("pre-placed"))


def best(*found: Found) -> Found:
    """Take each job from the best method that knows any of its files: A, B, C, then D.

    Traces of what was brought ahead look like local reads. Where transfers were matched, too,
    such files become "pre-placed" or "tape" (still read locally). A job that no method knows
    comes from the poorest one.
    """
    if not found:
        raise InputError("expected the outcome of at least one method, got none")
    ranked = sorted(found, key=lambda one: _ORDER.index(_method(one)))
    ranked = [_refined(one, ranked) if _method(one) == "traces" else one for one in ranked]
    rank = pl.col("_rank")
    jobs = pl.concat(
        [one.jobs.with_columns(pl.lit(i).alias("_rank")) for i, one in enumerate(ranked)]
    )
    # -1 - rank orders the jobs that nobody knows of from the poorest method up
    known = (pl.col("known_files") > 0).fill_null(value=False)
    guessed = ~pl.col("access").is_in(_NONE)
    order = pl.when(known).then(rank).when(guessed).then(100 + rank).otherwise(300 - rank)
    chosen = (
        jobs.with_columns(order.alias("_order"))
        .sort("job_id", "_order")
        .unique("job_id", keep="first", maintain_order=True)
    )
    files = [
        one.files.join(chosen.filter(rank == i).select("job_id").lazy(), on="job_id", how="semi")
        for i, one in enumerate(ranked)
    ]
    return Found(
        chosen.drop("_rank", "_order"), pl.concat(files), pl.concat([one.rows for one in ranked])
    )


def _method(found: Found) -> str:
    methods = found.rows["method"].unique().to_list() or found.jobs["method"].unique().to_list()
    if len(methods) > 1:
        raise InputError("expected outcomes of single methods, got one of several: see `best`")
    return str(methods[0]) if methods else "jobs"


def _refined(traces: Found, others: list[Found]) -> Found:
    """Return the traces' answer with local reads named by the transfers that brought the file."""
    brought = [one.files for one in others if _method(one) == "transfers"]
    if not brought:
        return traces
    keys = ["job_id", "scope", "lfn"]
    ahead = brought[0].filter(pl.col("access").is_in(["pre-placed", "tape"]))
    local = pl.col("access").is_in(["local copy", "local direct"])
    files = traces.files.join(
        ahead.select(*keys, pl.col("access").alias("_was"), pl.col("source_site").alias("_from")),
        on=keys,
        how="left",
        nulls_equal=True,
    ).with_columns(
        pl.when(local & pl.col("_was").is_not_null())
        .then("_was")
        .otherwise("access")
        .alias("access"),
        pl.when(local & pl.col("_was").is_not_null())
        .then("_from")
        .otherwise("source_site")
        .alias("source_site"),
    )
    kept = ["job_id", "site", "input_bytes", "input_files"]
    state = pl.when(pl.col("access").is_in(_NONE[1:])).then("access").alias("state")
    side = traces.jobs.lazy().select(*kept, state)
    return outcome(side, files.drop("_was", "_from", "method"), "traces", traces.rows)


def summary(found: Found) -> pl.DataFrame:
    """Return jobs, files and bytes by class, and what is not known.

    Columns access, jobs (with any file of the class), files, bytes (sizes of files), sized (files
    of known size), remote_bytes, bytes_share (of all input of jobs that started), not_all_read
    (bytes are sizes of files that jobs may have read in part). The rows "unknown" (jobs of which
    a part of the input, or all, is not known), "not started" and "no input" close it.
    """
    remote = pl.col("remote")
    per_class = collect(
        found.files.group_by(pl.col("access").cast(pl.String)).agg(
            pl.col("job_id").n_unique().cast(pl.Int64).alias("jobs"),
            pl.len().cast(pl.Int64).alias("files"),
            pl.col("bytes").sum(),
            pl.col("bytes").count().cast(pl.Int64).alias("sized"),
            pl.col("bytes").filter(remote).sum().alias("remote_bytes"),
        )
    )
    jobs = found.jobs
    states = [_rest(jobs, name) for name in _NONE]
    guessed = jobs.filter((pl.col("known_files").is_null()) & ~pl.col("access").is_in(_NONE))
    extra = [
        _row(f"{name}, by the job table", guessed.filter(pl.col("access") == name))
        for name in ("cache", "pre-placed")
    ]
    whole = pl.concat([per_class, *extra, *states], how="diagonal").filter(pl.col("jobs") > 0)
    order = {name: i for i, name in enumerate(CLASSES)}
    counted_in = ~pl.col("access").is_in(_NONE[1:])
    total = pl.col("bytes").filter(counted_in).sum()
    return (
        whole.with_columns(
            pl.when(counted_in & (total > 0)).then(pl.col("bytes") / total).alias("bytes_share"),
            pl.col("access")
            .is_in([name for name in CLASSES if column_of(name).endswith("_file_bytes")])
            .alias("not_all_read"),
            pl.col("access").replace_strict(order, default=99).alias("_order"),
        )
        .sort("_order", maintain_order=True)
        .drop("_order")
    )


def table_summary(jobs: JobTable) -> pl.DataFrame:
    """Return what `summary` does of `from_jobs`, in batches: nothing is kept of each job.

    An id that repeats counts each time. ``remote_bytes`` is null: the job table does not tell.
    """
    side = job_side(jobs, once=False)
    access = pl.coalesce("state", _guess() + pl.lit(", by the job table"), pl.lit("unknown"))
    size = pl.col("input_bytes")
    table = collect(
        side.group_by(access.alias("access")).agg(
            pl.len().cast(pl.Int64).alias("jobs"),
            pl.col("input_files").sum().cast(pl.Int64).alias("files"),
            pl.when(size.count() > 0).then(size.sum()).alias("bytes"),
            pl.lit(None, pl.Float64).alias("remote_bytes"),
        )
    )
    counted_in = ~pl.col("access").is_in(_NONE[1:])
    total = pl.col("bytes").filter(counted_in).sum()
    share = pl.when(counted_in & (total > 0)).then(pl.col("bytes") / total)
    last = pl.col("access").replace_strict({name: i for i, name in enumerate(_NONE)}, default=-1)
    return table.with_columns(share.alias("bytes_share")).sort(last, "access")


def _rest(jobs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the row of jobs without an answer, and of the unknown rest of the others."""
    if name != "unknown":
        return _row(name, jobs.filter(pl.col("access") == name))
    rest = pl.col("input_bytes") - pl.col("known_bytes").fill_null(0.0)
    less = jobs.filter(~pl.col("access").is_in(_NONE[1:]) & (pl.col("known_share") < 1 - 1e-9))
    guessed = pl.col("known_files").is_null() & (pl.col("access") != "unknown")
    less = less.filter(~guessed)
    return _row(
        name,
        less.with_columns(
            rest.clip(lower_bound=0.0).alias("input_bytes"),
            (pl.col("input_files") - pl.col("known_files").fill_null(0)).clip(lower_bound=0),
        ),
    )


def _row(name: str, jobs: pl.DataFrame) -> pl.DataFrame:
    return jobs.select(
        pl.lit(name).alias("access"),
        pl.len().cast(pl.Int64).alias("jobs"),
        pl.col("input_files").sum().alias("files"),
        pl.col("input_bytes").sum().alias("bytes"),
    )


def recovered(found: Found, truth: Frame) -> pl.DataFrame:
    """Compare with the known truth, file by file; one row.

    Columns, for ``read`` (bytes read from another site) and ``moved`` (brought ahead: pre-placed
    and tape): ``*_truth`` bytes, ``*_found`` (of these, found), ``*_share``, ``*_false`` (bytes
    said to be so that are not). Then jobs (of the truth), jobs_answered, jobs_share,
    files_answered, same_class (share of the answered files with the true class; null where the
    method names no such classes), transfers, transfers_matched (null without transfers).

    Parameters
    ----------
    found
        The outcome of a method, or of `best`.
    truth
        One row per input file of a job that started: job_id, scope, lfn, bytes, access
        (`ACCESS`), remote.
    """
    right = checked(truth, "true accesses", TRUTH).rename({"remote": "read"})
    keys = ["job_id", "scope", "lfn"]
    said = found.files.select(
        *keys,
        pl.col("bytes").alias("_bytes"),
        pl.col("access").cast(pl.String).alias("said"),
        pl.col("remote").alias("said_read"),
    )
    both = right.join(said, on=keys, how="full", coalesce=True, nulls_equal=True).with_columns(
        pl.coalesce("bytes", "_bytes").alias("bytes"),
        pl.col("read", "said_read").fill_null(value=False),
        pl.col("access").is_in(["pre-placed", "tape"]).fill_null(value=False).alias("moved"),
        (pl.col("said").is_in(["pre-placed", "tape"]) & ~pl.col("said_read"))
        .fill_null(value=False)
        .alias("said_moved"),
    )
    answered = pl.col("said").is_not_null() & pl.col("access").is_not_null()
    named = answered & pl.col("said").is_in(ACCESS)
    row = collect(
        both.select(
            *(e for kind in ("read", "moved") for e in _sums(kind)),
            pl.col("job_id").filter(pl.col("access").is_not_null()).n_unique().alias("jobs"),
            pl.col("job_id").filter(answered).n_unique().alias("jobs_answered"),
            answered.sum().alias("files_answered"),
            (pl.col("said") == pl.col("access")).filter(named).mean().alias("same_class"),
        )
    )
    matched, total = found.matched("transfers")
    given = "transfers" in found.rows["source"].to_list()
    method = "+".join(name for name in _ORDER if name in found.rows["method"].to_list())
    return row.select(
        pl.lit(method).alias("method"),
        *(_share(kind) for kind in ("read", "moved")),
        pl.all(),
        (pl.col("jobs_answered") / pl.col("jobs")).alias("jobs_share"),
        pl.lit(total if given else None, dtype=pl.Int64).alias("transfers"),
        pl.lit(matched if given else None, dtype=pl.Int64).alias("transfers_matched"),
    )


def _sums(kind: str) -> list[pl.Expr]:
    true, said, size = pl.col(kind), pl.col(f"said_{kind}"), pl.col("bytes")
    return [
        size.filter(true).sum().alias(f"{kind}_truth"),
        size.filter(true & said).sum().alias(f"{kind}_found"),
        size.filter(~true & said).sum().alias(f"{kind}_false"),
    ]


def _share(kind: str) -> pl.Expr:
    truth = pl.col(f"{kind}_truth")
    return pl.when(truth > 0).then(pl.col(f"{kind}_found") / truth).alias(f"{kind}_share")
