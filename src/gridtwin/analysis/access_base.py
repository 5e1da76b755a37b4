"""What the methods of remote data access share: classes, checked columns, sites, the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from gridtwin.analysis.base import collect
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable, tables
from gridtwin.trace.access import ACCESS

__all__ = [
    "ACCESS",
    "CLASSES",
    "Column",
    "Found",
    "Frame",
    "Method",
    "as_seconds",
    "checked",
    "column_of",
    "counted",
    "job_side",
    "outcome",
    "tally",
]

Frame = pl.DataFrame | pl.LazyFrame
Method = Literal["traces", "transfers", "replicas", "jobs"]
Column = Literal["text", "number", "time", "flag"]

CLASSES = (*ACCESS, "local", "remote")
"""`ACCESS`, and the two that a list of replicas tells: there, or not, and no word of the way."""
_NOT_COPIED = ("local direct", "remote direct", "cache", "local", "remote")

_LABELS = pl.Enum(CLASSES)
_MADE: dict[str, pl.DataType] = {
    "job_id": pl.String(),
    "scope": pl.String(),
    "lfn": pl.String(),
    "bytes": pl.Float64(),
    "source_site": pl.String(),
    "access": _LABELS,
    "remote": pl.Boolean(),
}


@dataclass(frozen=True)
class Found:
    """What one method, or the best of several, tells of the data access of jobs.

    Memory: about 200 bytes a job; `files` stays a query over the frames that were given.
    """

    jobs: pl.DataFrame
    """One row a job, see `outcome`."""
    files: pl.LazyFrame
    """One row per input file of which the access is known: job_id, scope, lfn, bytes (null: not
    recorded), source_site, access (`CLASSES`), remote (read from another site), method."""
    rows: pl.DataFrame
    """What became of every row of the records: method, source (frame), reason, rows."""

    def matched(self, source: str) -> tuple[int, int]:
        """Return how many rows of a frame were used, and how many it has."""
        mine = self.rows.filter(pl.col("source") == source)
        used = mine.filter(pl.col("reason") == "matched")["rows"].sum()
        return int(used), int(mine["rows"].sum())


def column_of(access: str) -> str:
    """Return the name of the column with a class's bytes.

    It ends in ``_file_bytes`` where files were not, or not surely, copied whole: it has the size
    of the files, of which a job may have read less.
    """
    end = "_file_bytes" if access in _NOT_COPIED else "_bytes"
    return access.replace(" ", "_").replace("-", "_") + end


def checked(
    frame: Frame, what: str, columns: Mapping[str, Column], *, optional: tuple[str, ...] = ()
) -> pl.LazyFrame:
    """Return these columns with the types they need; null for an optional one that is not there.

    Numbers that are not finite become null; times may be seconds or UTC date-times. Raises
    `SchemaError` for a column that is missing or of another type.
    """
    lazy = frame.lazy()
    schema = lazy.collect_schema()
    missing = [name for name in columns if name not in schema and name not in optional]
    if missing:
        raise SchemaError(
            f"{what} lack the columns {', '.join(missing)}; expected {', '.join(columns)}, "
            f"got {', '.join(schema.names())[:200]}: rename or add them"
        )
    return lazy.select(
        _typed(name, kind, schema.get(name), what).alias(name) for name, kind in columns.items()
    )


def _typed(name: str, kind: Column, have: pl.DataType | None, what: str) -> pl.Expr:
    if kind == "flag":
        if have != pl.Boolean:
            raise SchemaError(f"column {name!r} of {what} is {have}; expected true and false")
        return pl.col(name).fill_null(value=False)
    if kind == "text":
        if have is None:
            return pl.lit(None, dtype=pl.String)
        if have.is_nested() or have == pl.Boolean:
            raise SchemaError(f"column {name!r} of {what} is {have}; expected text or whole ids")
        if have.is_float():
            raise SchemaError(
                f"column {name!r} of {what} is {have}; ids lose digits so: give text or integers"
            )
        return pl.col(name).cast(pl.String)
    if have is None or have == pl.Null:
        return pl.lit(None, dtype=pl.Float64)
    if kind == "time" and isinstance(have, pl.Datetime):
        return as_seconds(pl.col(name))
    if not have.is_numeric():
        expected = "seconds or date-times" if kind == "time" else "numbers"
        raise SchemaError(f"column {name!r} of {what} is {have}; expected {expected}: convert it")
    value = pl.col(name).cast(pl.Float64)
    good = value.is_finite() if kind == "time" else value.is_finite() & (value >= 0)
    return pl.when(good).then(value)


def as_seconds(time: pl.Expr) -> pl.Expr:
    """Return date-times (UTC) as seconds since the epoch."""
    return time.dt.epoch("us").cast(pl.Float64) / 1e6


def job_side(jobs: JobTable, *needs: str, once: bool = True) -> pl.LazyFrame:
    """Return what is matched with: one row for each id, the first if it repeats.

    Columns job_id, task_id, site (else that of the queue), queue, cached (the queue reads through
    a cache), dispatched (the job has a data set for dispatch), submit, start, end, input_bytes,
    input_files, and state: "not started", "no input" or null. Nulls where the table has no such
    column. With `once` false, ids that repeat stay, and rows are read in batches.
    """
    kinds: dict[str, Column] = {
        "job_id": "text",
        "task_id": "text",
        "site": "text",
        "queue": "text",
        "submit_time": "time",
        "start_time": "time",
        "end_time": "time",
        "input_bytes": "number",
        "input_files": "number",
        "dispatchdblock": "text",
    }
    have = jobs.columns
    if "site" not in have and "queue" not in have:
        raise SchemaError("data access needs the column site or queue; the table has neither")
    jobs.require("job_id", *needs, for_what="data access")
    queues = tables.queue_map().select("queue", "kind", pl.col("site").alias("_site"))
    ran = pl.col("start_time").is_not_null()
    if "start_time" not in have:
        ran = pl.lit(value=True)
    none = (pl.col("input_files") == 0) | (
        pl.col("input_files").is_null() & (pl.col("input_bytes") == 0)
    )
    rows = checked(jobs.frame, "jobs", kinds, optional=tuple(kinds))
    if once:
        rows = rows.unique("job_id", keep="first", maintain_order=True)
    return rows.join(
        queues.lazy(), on="queue", how="left", maintain_order="left" if once else "none"
    ).select(
        "job_id",
        "task_id",
        pl.coalesce("site", "_site", "queue").alias("site"),
        # a queue that the map lacks is told by its name
        pl.coalesce(pl.col("kind") == "VP", pl.col("queue").str.ends_with("_VP"))
        .fill_null(value=False)
        .alias("cached"),
        (~pl.col("dispatchdblock").str.strip_chars().is_in(["", "NULL"]))
        .fill_null(value=False)
        .alias("dispatched"),
        pl.col("submit_time").alias("submit"),
        pl.col("start_time").alias("start"),
        pl.col("end_time").alias("end"),
        "input_bytes",
        "input_files",
        pl.when(~ran)
        .then(pl.lit("not started"))
        .when(none)
        .then(pl.lit("no input"))
        .alias("state"),
    )


def outcome(
    side: pl.LazyFrame,
    files: pl.LazyFrame,
    method: Method,
    rows: pl.DataFrame,
    *,
    guess: pl.Expr | None = None,
    jobs: JobTable | None = None,
) -> Found:
    """Sum the files of each job; count the rows of `jobs` that repeat an id.

    Columns of the jobs: job_id, site, method, access (the class with most bytes; "unknown", "not
    started", "no input"), remote_bytes and remote_files (read from another site), moved_bytes
    (pre-placed and tape: brought ahead, read locally), the bytes of each class (`column_of`),
    known_bytes, known_files, input_bytes, input_files, known_share (of the input's bytes, else
    files, that have an answer), at_most (remote_bytes holds sizes of files that were not copied:
    the job may have read less). Bytes are null where nothing is known of a job, never 0.
    """
    bytes_, access = pl.col("bytes"), pl.col("access")
    known = pl.col("known_files") > 0
    sums = [_or_null(access == name).alias(column_of(name)) for name in CLASSES]
    weight = [
        (bytes_.filter(access == name).fill_null(0).sum() + (access == name).sum() * 1e-3).alias(
            f"_{i}"
        )
        for i, name in enumerate(CLASSES)
    ]
    far, ahead = pl.col("remote"), access.is_in(["pre-placed", "tape"])
    files = files.select(pl.col(name).cast(kind) for name, kind in _MADE.items())
    per_job = files.group_by("job_id").agg(
        *sums,
        *weight,
        _or_null(far).alias("remote_bytes"),
        far.sum().cast(pl.Int64).alias("remote_files"),
        _or_null(ahead & ~far).alias("moved_bytes"),
        _or_null(access.is_not_null()).alias("known_bytes"),
        pl.len().cast(pl.Int64).alias("known_files"),
        (far & access.cast(pl.String).is_in(_NOT_COPIED)).any().alias("at_most"),
    )
    best = pl.concat_list(f"_{i}" for i in range(len(CLASSES))).list.arg_max()
    label = best.replace_strict(dict(enumerate(CLASSES)), return_dtype=pl.String)
    share = pl.coalesce(
        pl.col("known_bytes") / pl.when(pl.col("input_bytes") > 0).then("input_bytes"),
        pl.col("known_files") / pl.when(pl.col("input_files") > 0).then("input_files"),
    )
    else_ = pl.lit("unknown") if guess is None else pl.coalesce(guess, pl.lit("unknown"))
    joined = side.join(per_job, on="job_id", how="left").select(
        "job_id",
        "site",
        pl.lit(method).alias("method"),
        pl.when(known).then(label).otherwise(pl.coalesce("state", else_)).alias("access"),
        "remote_bytes",
        "remote_files",
        "moved_bytes",
        *(column_of(name) for name in CLASSES),
        "known_bytes",
        "known_files",
        "input_bytes",
        pl.col("input_files").cast(pl.Int64),
        pl.when(pl.col("state").is_null())
        .then(pl.when(known).then(pl.min_horizontal(share, 1.0)).otherwise(0.0))
        .alias("known_share"),
        "at_most",
    )
    table = collect(joined).sort("job_id")
    if jobs is not None:
        again = {"job id repeated": len(jobs) - table.height}
        rows = pl.concat([rows, counted(method, "jobs", again)])
    return Found(table, files.with_columns(pl.lit(method).alias("method")), rows)


def _or_null(which: pl.Expr) -> pl.Expr:
    """Return the bytes of these files; null where there are some and no size is recorded."""
    size = pl.col("bytes").filter(which)
    return pl.when((size.count() > 0) | ~which.any()).then(size.sum())


def tally(rows: pl.LazyFrame, column: str = "reason") -> dict[str, int]:
    """Count the rows by the text of a column; null is no text."""
    counts = collect(rows.drop_nulls(column).group_by(column).agg(pl.len())).sort(column)
    return dict(counts.iter_rows())


def counted(method: Method, source: str, reasons: Mapping[str, int]) -> pl.DataFrame:
    """Return a row for each reason with any rows: method, source, reason, rows."""
    kept = {reason: count for reason, count in reasons.items() if count}
    return pl.DataFrame(
        {
            "method": [method] * len(kept),
            "source": [source] * len(kept),
            "reason": list(kept),
            "rows": list(kept.values()),
        },
        schema={
            "method": pl.String,
            "source": pl.String,
            "reason": pl.String,
            "rows": pl.Int64,
        },
    )
