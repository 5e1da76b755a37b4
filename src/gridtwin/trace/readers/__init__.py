"""Readers of job records, one format a file.

A reader is a module with two functions:

``sniff(path, head) -> bool``
    Is this file mine? `head` is the decompressed beginning of the file as text (64 KiB).
``scan(path) -> Scan``
    The file's records in canonical columns.

`read` chooses the reader, applies the checks that all formats share, counts every row that is not
kept under a named reason, and sorts by submit time.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from gridtwin.core.registry import Registry
from gridtwin.trace.table import JobTable

__all__ = ["REJECT", "Scan", "read", "readers"]

REJECT = "_reject"
"""Column of a `Scan`: why the row cannot be kept, null where it can."""

readers = Registry("format", __name__, "gridtwin.readers", pick=lambda module: module)


@dataclass(frozen=True)
class Scan:
    """What a reader found in a file.

    `frame` has one row for each record line of the source (malformed ones too): canonical columns,
    `REJECT`, and nothing else.
    """

    frame: pl.LazyFrame
    machine_cores: int | None = None
    notes: tuple[str, ...] = ()


def read(path: Path | str, format: str = "auto") -> JobTable:  # noqa: A002 - the CLI's word
    """Read job records into a table."""
    raise NotImplementedError
