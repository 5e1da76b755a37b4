"""Open Parquet of canonical columns without reading it: for tables larger than memory."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.trace.readers._checks import reasons
from gridtwin.trace.readers._columns import reject
from gridtwin.trace.readers._manifest import KEY
from gridtwin.trace.readers._proof import FAILS, prove, unreadable
from gridtwin.trace.readers._text import REJECT
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import JobTable, Provenance

__all__ = ["scan"]

_ROWS = 1 << 18


def scan(path: Path | str | Sequence[Path | str]) -> JobTable:
    """Open a canonical Parquet file, a folder of such files or several as one lazy table.

    Rows that cannot be true are filtered out and counted by reason in one pass over the files,
    as `read` does; unlike there, rows are not put in order of submission and a ``job_id`` may
    come twice (both need the whole table in memory). Memory: batches only.

    Raises `InputError` where there is no file, `FormatError` for one that is no canonical Parquet.
    """
    paths = _paths(path)
    frame, unknown = _open(paths)
    schema = frame.collect_schema()
    bad = dict(reasons(pl.DataFrame(schema=schema)))
    floats = [name for name, dtype in schema.items() if dtype == pl.Float64]
    bad |= {f"not a number: {name}": ~pl.col(name).is_finite() for name in floats}
    marked = frame.with_columns(pl.lit(None, pl.String).alias(REJECT)).with_columns(reject(bad))
    counts = marked.group_by(REJECT).agg(pl.len()).collect(engine="streaming")
    dropped = {
        str(reason): int(n) for reason, n in counts.sort("len", REJECT).iter_rows() if reason
    }
    notes = ["Read in batches: a job_id that comes twice is not noticed."]
    if unknown:
        notes.append(f"Columns that are no canonical fields were not read: {', '.join(unknown)}.")
    provenance = Provenance(
        source=str(path) if isinstance(path, (str, Path)) else ", ".join(map(str, paths[:3])),
        format="canonical_parquet",
        rows_read=int(counts["len"].sum()),
        dropped=dropped,
        notes=(*_carried(paths[0]), *notes),
    )
    return JobTable(marked.filter(pl.col(REJECT).is_null()).drop(REJECT), provenance)


def _paths(path: Path | str | Sequence[Path | str]) -> list[Path]:
    given = [Path(path)] if isinstance(path, (str, Path)) else [Path(file) for file in path]
    found = []
    for file in given:
        inside = sorted(file.glob("*.parquet")) if file.is_dir() else [file]
        found += [one for one in inside if not one.name.startswith(".")]
    missing = [str(file) for file in found if not file.is_file()]
    if missing or not found:
        raise InputError(f"no Parquet files in {missing or str(path)}; give a file or a folder")
    return found


def _open(paths: list[Path]) -> tuple[pl.LazyFrame, list[str]]:
    """Return the files as one frame of canonical types, and the columns that are not canonical."""
    schemas = [_schema(path) for path in paths]
    if all(schema == schemas[0] for schema in schemas):
        frame = pl.scan_parquet(paths)
    else:
        frame = pl.concat([pl.scan_parquet(path) for path in paths], how="diagonal_relaxed")
    known = TraceSchema.canonical()
    present = frame.collect_schema().names()
    fields = known.select(name for name in present if name in known)
    columns = [pl.col(f.name).cast(f.polars) for f in fields]
    return frame.select(columns), [name for name in present if name not in known]


def _schema(path: Path) -> dict[str, pl.DataType]:
    """Return the columns of a file; raises `FormatError` where they cannot be canonical ones."""
    prove(path, _ROWS)
    try:
        schema = dict(pl.read_parquet_schema(path))
    except FAILS as error:
        raise unreadable(path, error) from error
    if "job_id" not in schema:
        raise FormatError(
            f"{path} has no column 'job_id'; expected Parquet with canonical columns, got "
            f"{', '.join(schema)[:300]}"
        )
    for field in TraceSchema.canonical():
        found = schema.get(field.name, field.polars)
        number = field.dtype in ("int", "float") and found.is_numeric()
        text = field.dtype == "str" and found in (pl.String, pl.Categorical, pl.Enum)
        if not (number or text or found in (field.polars, pl.Null)):
            raise FormatError(f"{path}: column {field.name!r} is {found}, expected {field.polars}")
    return schema


def _carried(path: Path) -> tuple[str, ...]:
    """Return the notes that a file carries of how it was made."""
    try:
        return Provenance.from_json(json.loads(pl.read_parquet_metadata(path)[KEY])).notes
    except (KeyError, ValueError, TypeError, AttributeError):
        return ()
