"""Write jobs to Parquet, CSV or SWF; what is written reads back the same, as far as it can hold."""

import gzip
import json
from pathlib import Path

import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.trace import _swf
from gridtwin.trace.readers._manifest import KEY, write_manifest
from gridtwin.trace.table import JobTable

__all__ = ["SUFFIXES", "write", "write_csv", "write_parquet", "write_swf"]

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".swf", ".swf.gz")
"""The endings that `write` knows."""


def write(jobs: JobTable, path: Path | str) -> Path:
    """Write jobs to a file of the form that its suffix names, whole or not at all.

    Raises `InputError` for another suffix (see `SUFFIXES`).
    """
    path = Path(path)
    name = path.name.removesuffix(".gz")
    if name.endswith(".csv"):
        return write_csv(jobs, path)
    if name.endswith(".swf"):
        return write_swf(jobs, path)
    if path.name.endswith(".parquet"):
        return write_parquet(jobs, path)
    raise InputError(f"cannot tell the form of {path.name!r}; end it in {', '.join(SUFFIXES)}")


def write_parquet(jobs: JobTable, path: Path | str) -> Path:
    """Write Parquet with the provenance in its metadata and in ``<path>.json`` beside it."""
    path = Path(path)
    frame = jobs.collect()
    metadata = {KEY: json.dumps(jobs.provenance.to_json())}
    with writing(path) as temporary:
        frame.write_parquet(temporary, metadata=metadata)
    write_manifest(path, jobs.provenance, frame.height, frame.columns)
    return path


def write_csv(jobs: JobTable, path: Path | str) -> Path:
    """Write CSV, and the provenance as ``<path>.json`` beside it.

    A list becomes its words joined by ``|`` (``|`` alone if it is empty); null is an empty cell.
    An empty text reads back as null. Raises `InputError` if a list has a word that is empty or
    holds a ``|``.
    """
    path = Path(path)
    frame = jobs.collect()
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    for name in lists:
        listed = frame[name].list.len() > 0
        words = frame.filter(listed)[name].explode()
        if ((words == "") | words.str.contains("|", literal=True) | words.is_null()).any():
            raise InputError(
                f"column {name!r} has a word that is empty or holds '|', which CSV lists cannot; "
                "write Parquet"
            )
    text = [
        pl.when(pl.col(name).list.len() == 0)
        .then(pl.lit("|"))
        .otherwise(pl.col(name).list.join("|"))
        .alias(name)
        for name in lists
    ]
    _write_text(path, frame.with_columns(text).write_csv())
    write_manifest(path, jobs.provenance, frame.height, frame.columns)
    return path


def write_swf(jobs: JobTable, path: Path | str) -> Path:
    """Write the Standard Workload Format 2.2; the header says what it could not hold.

    Whole submit times read back exactly; other times are rounded to seconds, memory to KB per
    processor. Names that are no numbers are numbered, with the names in the header (a run of white
    space becomes a space). Raises
    `SchemaError` if there are no submit times.
    """
    path = Path(path)
    _write_text(path, _swf.text(jobs))
    return path


def _write_text(path: Path, text: str) -> None:
    data = text.encode()
    with writing(path) as temporary:
        # a fixed time stamp: the same jobs give the same bytes
        temporary.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
