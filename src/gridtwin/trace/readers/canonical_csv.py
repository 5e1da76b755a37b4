"""CSV of canonical columns, as gridtwin writes it: lists joined by ``|``, an empty cell is null."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._blocks import read_tables
from gridtwin.trace.readers._columns import numbers
from gridtwin.trace.readers._manifest import carried, stored
from gridtwin.trace.readers._text import LINE, RAW, REJECT, Table, header, read_table
from gridtwin.trace.schema import TraceSchema

__all__ = ["batches", "scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has ``job_id`` and most columns are canonical."""
    columns = header(head)
    known = [name for name in columns if name in TraceSchema.canonical()]
    return "job_id" in columns and 2 * len(known) > len(columns)


def scan(path: Path) -> Scan:
    """Read the canonical columns; others are named in a note and left out."""
    wants = TraceSchema.canonical().names
    table = read_table(path, needs=("job_id",), wants=wants, unknown=("",), strip=False)
    return _scan(table, *carried(stored(path)))


def batches(path: Path, *, raw: bool = False) -> Iterator[Scan]:
    """Read the canonical columns in pieces."""
    size, notes = carried(stored(path))
    for table in read_tables(
        path,
        needs=("job_id",),
        wants=TraceSchema.canonical().names,
        floats=_numbers("float"),
        whole=_numbers("int"),
        unknown=("",),
        strip=False,
        raw=raw,
    ):
        yield _scan(table, size, notes)


def _numbers(*dtypes: str) -> list[str]:
    return [field.name for field in TraceSchema.canonical() if field.dtype in dtypes]


def _scan(table: Table, size: int | None, notes: list[str]) -> Scan:
    schema = TraceSchema.canonical()
    notes = [*table.notes, *notes]
    unknown = [name for name in table.columns if name not in schema]
    if unknown:
        notes.append(f"Columns that are no canonical fields were not read: {', '.join(unknown)}.")
    missing = [name for name in schema.names if name not in table.columns]
    rows = numbers(table.frame.drop(missing), _numbers("int", "float"))
    lists = [field.name for field in schema if field.dtype == "list" and field.name in rows.columns]
    rows = rows.with_columns(_words(name) for name in lists)
    frame = rows.select(pl.exclude(REJECT, LINE, RAW), REJECT, LINE, RAW)
    return Scan(frame.lazy(), machine_cores=size, notes=tuple(notes))


def _words(column: str) -> pl.Expr:
    """Return a list of words; ``|`` alone is the list of none."""
    words = pl.col(column).str.split("|")
    return words.list.eval(pl.element().filter(pl.element() != ""))
