"""What the report says of data access: by class, by site, and against the truth where known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from gridtwin.analysis.access import (
    TRUTH,
    Found,
    best,
    from_jobs,
    from_replicas,
    from_traces,
    from_transfers,
    match_transfers,
    recovered,
    summary,
    table_summary,
    transfer_share,
)
from gridtwin.analysis.access_base import Column, Frame
from gridtwin.analysis.access_replicas import REPLICAS
from gridtwin.analysis.access_sites import RSES
from gridtwin.analysis.access_traces import TRACES
from gridtwin.analysis.access_transfers import FILES, TRANSFERS
from gridtwin.core.errors import FormatError, InputError, SchemaError
from gridtwin.trace import JobTable

__all__ = [
    "RECORDS",
    "access_by_class",
    "access_by_site",
    "access_recovered",
    "access_rows",
    "found_by",
    "open_records",
    "transfer_time",
]

RECORDS: dict[str, Mapping[str, Column]] = {
    "traces": TRACES,
    "files": FILES,
    "transfers": TRANSFERS,
    "replicas": REPLICAS,
    "rses": RSES,
    "truth": TRUTH,
}
"""The records beside the jobs, by name, and what is read of each."""
Records = Mapping[str, Frame]
_STARTED = ~pl.col("access").is_in(["not started", "no input"])


def open_records(folder: Path | str) -> dict[str, pl.LazyFrame]:
    """Open the records that a folder has: ``traces.parquet`` or ``traces.csv``, and so on.

    The names are those of `RECORDS`; what is not there is left out. Raises `InputError` for a
    folder with none, `FormatError` for a file that is no table.
    """
    folder = Path(folder)
    found = {}
    for name, columns in RECORDS.items():
        paths = [folder / f"{name}{end}" for end in (".parquet", ".csv")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            continue
        frame = pl.scan_parquet(path) if path.suffix == ".parquet" else _csv(path, columns)
        try:
            frame.collect_schema()
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            raise FormatError(f"{path} is no readable table: {error}") from error
        found[name] = frame
    if not found.keys() & {"traces", "transfers", "replicas"}:
        raise InputError(
            f"no records of data access in {folder}: expected traces, transfers or replicas "
            "(with files), each as .parquet or .csv"
        )
    return found


def _csv(path: Path, columns: Mapping[str, Column]) -> pl.LazyFrame:
    """Scan a CSV file; ids stay text, numbers are floats, times are told by their looks."""
    types = {"text": pl.String, "number": pl.Float64}
    given = {name: types[kind] for name, kind in columns.items() if kind in types}
    return pl.scan_csv(path, schema_overrides=given, try_parse_dates=True)


def found_by(jobs: JobTable, records: Records) -> dict[str, Found]:
    """Return the outcome of each method that the records allow, and of the best of them.

    Empty without records. Raises `InputError` where a method's other table is missing. Memory:
    about 200 bytes a job and method, and what each method states.
    """
    given, rses = records.get, records.get("rses")
    files, traces, transfers, replicas = map(given, ("files", "traces", "transfers", "replicas"))
    if files is None and (transfers is not None or replicas is not None):
        raise InputError("transfers and replicas are matched by the table of files: give that, too")
    found: dict[str, Found] = {}
    with _readable():
        if traces is not None:
            found["traces"] = from_traces(jobs, traces, rses=rses)
        if files is not None and transfers is not None:
            found["transfers"] = from_transfers(jobs, files, transfers, rses=rses)
        if files is not None and replicas is not None:
            found["replicas"] = from_replicas(jobs, files, replicas, rses=rses)
        if not found:
            return {}
        return found | {"best": best(*found.values(), from_jobs(jobs))}


@contextmanager
def _readable() -> Iterator[None]:
    """Raise `FormatError` where a file turns out to be damaged, or a value to be no number."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(
            f"records of data access cannot be read: {error}; mend the file, or give it as Parquet"
        ) from error


def access_by_class(jobs: JobTable, found: Mapping[str, Found]) -> pl.DataFrame:
    """Return jobs, files and bytes by class of access and method.

    Methods: traces, transfers, replicas, best (each job by the best of them), jobs (the table
    alone, which hardly tells). bytes_share is of all input of jobs that started; what no record
    tells is "unknown", and its remote_bytes are null. not_all_read: bytes are sizes of files that
    jobs may have read in part.
    """
    if not {"input_bytes", "input_files", "dataset"} & set(jobs.columns):
        raise SchemaError("the table has no input_bytes, no input_files and no dataset")
    tables = {name: summary(one) for name, one in found.items()} or {"jobs": table_summary(jobs)}
    return pl.concat(
        [table.select(pl.lit(name).alias("method"), pl.all()) for name, table in tables.items()],
        how="diagonal",
    )


def access_by_site(found: Found) -> pl.DataFrame:
    """Return what the jobs of each site read from other sites, most input first.

    Jobs that started and have input, by the best method for each. remote_share is of known_bytes
    (input with an answer), null where nothing is known; moved_bytes were brought ahead.
    """
    sums = [f"{name}_bytes" for name in ("input", "known", "remote", "moved")]
    known = pl.col("known_bytes")
    return (
        found.jobs.filter(_STARTED)
        .group_by(pl.col("site").fill_null("(unknown)"))
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            (pl.col("known_files") > 0).sum().cast(pl.Int64).alias("answered"),
            *(pl.when(pl.col(c).count() > 0).then(pl.col(c).sum()).alias(c) for c in sums),
        )
        .with_columns(pl.when(known > 0).then(pl.col("remote_bytes") / known).alias("remote_share"))
        .sort(["input_bytes", "n", "site"], descending=[True, True, False], nulls_last=True)
    )


def access_recovered(found: Mapping[str, Found], truth: Frame) -> pl.DataFrame:
    """Compare each method with the known truth, file by file.

    read: bytes read from another site; moved: brought ahead. truth = found + missed; false bytes
    are said to be so and are not; share = found / truth. answered: jobs, files with any answer.
    """
    with _readable():
        rows = [
            recovered(one, truth).with_columns(pl.lit(name).alias("method"))
            for name, one in found.items()
        ]
    missed = [
        (pl.col(f"{kind}_truth") - pl.col(f"{kind}_found")).alias(f"{kind}_missed")
        for kind in ("read", "moved")
    ]
    return pl.concat(rows).with_columns(missed)


def access_rows(found: Mapping[str, Found]) -> pl.DataFrame:
    """Return what became of every row of the records: used, or the first reason against it."""
    return pl.concat([one.rows for name, one in found.items() if name != "best"])


def transfer_time(jobs: JobTable, records: Records) -> pl.DataFrame:
    """Return how much of the queue time matched transfers of the input were under way.

    One row: jobs with a match and some queue time, the sums of both times (s) and their share, and
    the median share of a job. Of jobs without a match nothing is known.
    """
    matches = match_transfers(
        jobs, records["files"], records["transfers"], rses=records.get("rses")
    )
    kept = transfer_share(matches).drop_nulls("share")
    if kept.is_empty():
        return kept.head(0)
    return kept.select(
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("transfer_time", "queue_time").sum(),
        (pl.col("transfer_time").sum() / pl.col("queue_time").sum()).alias("share"),
        pl.col("share").median().alias("share_median"),
    )
