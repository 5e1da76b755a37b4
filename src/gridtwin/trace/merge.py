"""Several files of job records as one table."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.trace.readers import read
from gridtwin.trace.table import JobTable, Provenance

__all__ = ["merge", "read_all"]

TWICE = "in more than one source"


def read_all(
    sources: Sequence[Path | str],
    *,
    format: str = "auto",
    rejects: Path | str | None = None,
) -> JobTable:
    """Read one or more files into one table.

    With several sources, the rejected rows of each go to `rejects` with the number of the source
    put before the suffix (``r.csv``: ``r.1.csv``, ``r.2.csv``…).
    """
    if not sources:
        raise InputError("expected one or more files to read, got none; name a source")
    if len(sources) == 1:
        return read(sources[0], format, rejects=rejects)
    tables = []
    for i, source in enumerate(sources, start=1):
        path = None if rejects is None else Path(rejects)
        path = path and path.with_name(f"{path.stem}.{i}{path.suffix}")
        tables.append(read(source, format, rejects=path))
    return merge(tables)


def merge(tables: Sequence[JobTable]) -> JobTable:
    """Return the rows of all tables, in order of submission.

    A row with the job id and the submit time of a row of an earlier table is dropped and counted;
    where the ids of different jobs clash, each id gets the number of its table before it
    (``2:4711``). Columns that a table lacks are null in its rows.
    """
    frames = [table.collect().with_columns(_table=i) for i, table in enumerate(tables, start=1)]
    rows = pl.concat(frames, how="diagonal")
    key = [name for name in ("job_id", "submit_time") if name in rows.columns]
    first = pl.col("_table").min().over(key)
    kept = rows.filter(pl.col("_table") == first)
    origins = [table.provenance for table in tables]
    dropped = Counter[str]()
    for origin in origins:
        dropped.update(origin.dropped)
    if twice := rows.height - kept.height:
        dropped[TWICE] += twice
    notes = [f"{o.source}: {note}" for o in origins for note in o.notes]
    sources = pl.col("_table").n_unique().over("job_id")
    if kept.select((sources > 1).any()).item():
        kept = kept.with_columns(pl.format("{}:{}", "_table", "job_id").alias("job_id"))
        notes.append("the sources use the same job ids: each got the number of its source")
    sizes = {o.machine_cores for o in origins}
    provenance = Provenance(
        source=", ".join(o.source for o in origins),
        format=", ".join(dict.fromkeys(o.format for o in origins)),
        rows_read=sum(o.rows_read for o in origins),
        dropped=dict(dropped),
        sha256=hashlib.sha256(" ".join(o.sha256 for o in origins).encode()).hexdigest(),
        machine_cores=sizes.pop() if len(sizes) == 1 else None,
        notes=tuple(notes),
    )
    return JobTable.from_frame(kept.drop("_table"), provenance)
