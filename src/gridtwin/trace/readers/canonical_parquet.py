"""Parquet of canonical columns, as gridtwin writes it, its provenance in the file's metadata."""

import json
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import REJECT, Scan
from gridtwin.trace.readers._manifest import KEY, carried
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import Provenance

__all__ = ["scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the file is Parquet; `scan` then says what it lacks."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def scan(path: Path) -> Scan:
    """Read the canonical columns; others are named in a note and left out."""
    try:
        frame = pl.read_parquet(path)
        metadata = pl.read_parquet_metadata(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise FormatError(f"{path} is no readable Parquet file: {error}") from error
    if "job_id" not in frame.columns:
        raise FormatError(
            f"{path} has no column 'job_id'; expected Parquet with canonical columns, got "
            f"{', '.join(frame.columns)[:300]}"
        )
    size, notes = carried(_provenance(metadata.get(KEY)))
    unknown = [name for name in frame.columns if name not in TraceSchema.canonical()]
    if unknown:
        notes.append(f"Columns that are no canonical fields were not read: {', '.join(unknown)}.")
    frame = frame.drop(unknown)
    for name in frame.columns:
        field = TraceSchema.canonical()[name]
        try:
            frame = frame.with_columns(pl.col(name).cast(field.polars))
        except pl.exceptions.PolarsError as error:
            raise FormatError(
                f"{path}: column {name!r} is {frame[name].dtype}, expected {field.polars}"
            ) from error
    return Scan(frame.lazy().with_columns(_reasons(frame)), machine_cores=size, notes=tuple(notes))


def _reasons(frame: pl.DataFrame) -> pl.Expr:
    """Return why rows cannot be kept: a float that is no number."""
    floats = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    reasons = [
        pl.when(~pl.col(name).is_finite()).then(pl.lit(f"not a number: {name}")) for name in floats
    ]
    return pl.coalesce(*reasons, pl.lit(None, pl.String)).alias(REJECT)


def _provenance(text: str | None) -> Provenance | None:
    if text is None:
        return None
    try:
        return Provenance.from_json(json.loads(text))
    except (ValueError, TypeError, AttributeError):
        return None
