"""CSV of canonical columns, as gridtwin writes it: lists joined by ``|``, an empty cell is null."""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import numbers
from gridtwin.trace.readers._manifest import carried, stored
from gridtwin.trace.readers._text import LINE, RAW, REJECT, header, read_table
from gridtwin.trace.schema import TraceSchema

__all__ = ["scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has ``job_id`` and most columns are canonical."""
    columns = header(head)
    known = [name for name in columns if name in TraceSchema.canonical()]
    return "job_id" in columns and 2 * len(known) > len(columns)


def scan(path: Path) -> Scan:
    """Read the canonical columns; others are named in a note and left out."""
    schema = TraceSchema.canonical()
    table = read_table(path, needs=("job_id",), wants=schema.names, unknown=("",), strip=False)
    size, notes = carried(stored(path))
    unknown = [name for name in table.columns if name not in schema]
    if unknown:
        notes.append(f"Columns that are no canonical fields were not read: {', '.join(unknown)}.")
    missing = [name for name in schema.names if name not in table.columns]
    rows = table.frame.drop(missing)
    rows = numbers(rows, [field.name for field in schema if field.dtype in ("int", "float")])
    lists = [field.name for field in schema if field.dtype == "list" and field.name in rows.columns]
    rows = rows.with_columns(_words(name) for name in lists)
    frame = rows.select(pl.exclude(REJECT, LINE, RAW), REJECT, LINE, RAW)
    return Scan(frame.lazy(), machine_cores=size, notes=(*table.notes, *notes))


def _words(column: str) -> pl.Expr:
    """Return a list of words; ``|`` alone is the list of none."""
    words = pl.col(column).str.split("|")
    return words.list.eval(pl.element().filter(pl.element() != ""))
