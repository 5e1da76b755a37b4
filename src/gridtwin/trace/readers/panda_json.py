"""PanDA jobs as JSON: BigPanDA's ``{"jobs": [...]}``, a list of jobs, or one job a line.

Names of columns are lower-case, as BigPanDA writes them, or upper-case. Of what it adds,
``queuetime`` and ``walltime`` (seconds) serve where the times that they follow from are missing.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import Scan, panda
from gridtwin.trace.readers._json import Record, json_records, names_jobs
from gridtwin.trace.readers._text import LINE, MALFORMED, RAW, REJECT, UNKNOWN, Table, chosen

__all__ = ["batches", "scan", "sniff"]

_CHUNK = 50_000
_ADDED = {"queuetime": "wait_time", "walltime": "run_time"}


def sniff(path: Path, head: str) -> bool:
    """Tell whether the file is JSON that names ``pandaid`` or BigPanDA's list of jobs."""
    return head.lstrip().startswith(("{", "[")) and names_jobs(head)


def scan(path: Path) -> Scan:
    """Read all jobs."""
    return next(_scans(path, size=None, raw=True))


def batches(path: Path, *, raw: bool = False) -> Iterator[Scan]:
    """Read the jobs in pieces."""
    return _scans(path, size=_CHUNK, raw=raw)


def _scans(path: Path, *, size: int | None, raw: bool) -> Iterator[Scan]:
    records = json_records(path, "jobs")
    first = True
    while (chunk := list(islice(records, size))) or first:
        frame, columns = _frame(chunk, raw=raw)
        known = {"pandaid", "jobstatus", "computingsite"} & set(columns)
        if first and chunk and not known:
            raise FormatError(
                f"{path} has JSON records without PanDA's columns (pandaid, jobstatus, …); "
                f"the first has {', '.join(columns)[:200] or 'no fields'}"
            )
        first = False
        yield _scan(frame, columns)


def _frame(records: list[Record], *, raw: bool) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the records as text in the columns that are read, and all names that they have."""
    wants = (*panda.WANTS, *_ADDED)
    rows = [
        {} if fields is None else {name.lower(): value for name, value in fields.items()}
        for fields, _, _ in records
    ]
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    data = {name: [_text(row.get(name)) for row in rows] for name in wants if name in columns}
    data[REJECT] = [MALFORMED if fields is None else None for fields, _, _ in records]
    data[RAW] = [text if raw else None for _, _, text in records]
    frame = pl.DataFrame(data, schema=dict.fromkeys(data, pl.String()))
    line = pl.Series(LINE, [line for _, line, _ in records], dtype=pl.Int64)
    return chosen(frame.with_columns(line), wants, UNKNOWN, strip=True), columns


def _text(value: object) -> str | None:
    """Return a value as a CSV would have it."""
    if value is None or isinstance(value, str):
        found = value
    elif isinstance(value, bool):
        found = "1" if value else "0"
    else:
        found = json.dumps(value)
    # a lone surrogate, which JSON can spell, is no text
    return None if found is None else found.encode("utf-8", "replace").decode()


def _scan(frame: pl.DataFrame, columns: tuple[str, ...]) -> Scan:
    found = panda.from_table(Table(frame, columns))
    rows = found.frame.collect()
    ran = rows["start_time"].is_not_null() if "starttime" in columns else True
    for name, canonical in _ADDED.items():
        value = frame[name].cast(pl.Float64, strict=False)
        sound = (value.is_finite() & (value >= 0)).fill_null(value=False) & ran
        rows = rows.with_columns(pl.coalesce(canonical, pl.when(sound).then(value)))
    return Scan(
        rows.lazy(),
        notes=found.notes,
        repairs=found.repairs,
        persons=found.persons,
        grid=found.grid,
    )
