"""PanDA job records: any subset of the job archive's columns, in any case, bound by name.

Known shapes: the archive's 127 columns, 20 and 30 columns (monitor exports), 31 with
``files_info`` (simulator input), and short ones with little but CPU time and cores. Columns that
are not known are not read, error texts among them. Times have no zone; UTC is assumed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._blocks import read_tables
from gridtwin.trace.readers._columns import numbers, times
from gridtwin.trace.readers._panda import (
    MEASURES,
    PERSONS,
    TIMES,
    WANTS,
    canonical,
    counted,
    derived,
    repaired,
)
from gridtwin.trace.readers._text import Table, header, read_table

__all__ = ["WANTS", "batches", "from_table", "scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has ``pandaid`` and a column that only jobs have."""
    names = {name.lower() for name in header(head)}
    return "pandaid" in names and bool({"computingsite", "jobstatus", "creationtime"} & names)


def scan(path: Path) -> Scan:
    """Read the jobs; the five to eight error columns become one list of ``component:code``."""
    return from_table(read_table(path, needs=("pandaid",), wants=WANTS, rename=str.lower))


def batches(path: Path, *, raw: bool = False) -> Iterator[Scan]:
    """Read the jobs in pieces."""
    for table in read_tables(
        path, needs=("pandaid",), wants=WANTS, floats=MEASURES, rename=str.lower, raw=raw
    ):
        yield from_table(table)


def from_table(table: Table) -> Scan:
    """Return the jobs of a table of text in the columns `WANTS`, whatever source it is from."""
    notes = list(table.notes)
    rows = times(numbers(table.frame, MEASURES), TIMES)
    rows = rows.with_columns(_files(rows["files_info"], notes))
    rows, unset = repaired(rows)
    rows = derived(rows)
    repairs = unset | counted(rows, table.columns)
    if "inout_bytes" in map(str.lower, table.columns):
        notes.append("inout_bytes is the sum of input and output: not read.")
    frame = canonical(rows).lazy()
    return Scan(frame, notes=tuple(notes), repairs=repairs, persons=PERSONS, grid=True)


def _files(info: pl.Series, notes: list[str]) -> list[pl.Series]:
    """Return the number and the bytes of the files in ``files_info``, JSON of {file: bytes}."""
    if not info.count():
        nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(info))
        return [nothing.alias("_files"), nothing.alias("_bytes")]
    counts: list[float | None] = []
    sizes: list[float | None] = []
    wrong = 0
    for text in info.to_list():
        found = _sizes(text) if text is not None else None
        wrong += text is not None and found is None
        counts.append(None if found is None else float(len(found)))
        sizes.append(None if found is None else sum(found))
    if wrong:
        notes.append(f"{wrong} rows have a files_info that is no JSON of sizes: taken as unknown.")
    return [
        pl.Series("_files", counts, dtype=pl.Float64),
        pl.Series("_bytes", sizes, dtype=pl.Float64),
    ]


def _sizes(text: str) -> list[float] | None:
    try:
        values = list(json.loads(text).values())
        sizes = [float(value) for value in values]
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return sizes if all(0 <= size < float("inf") for size in sizes) else None
