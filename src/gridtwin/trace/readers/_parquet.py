"""Parquet files, whole or in slices of rows, with one error for all that can be wrong in them."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from gridtwin.trace.readers._proof import FAILS, footer, prove, unreadable

__all__ = ["columns", "metadata", "slices"]


def columns(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    return list(footer(path).columns)


def metadata(path: Path) -> dict[str, str]:
    """Return the words that a file carries beside its columns."""
    return dict(footer(path).metadata)


def slices(
    path: Path,
    size: int | None = None,
    *,
    columns: list[str] | None = None,
    proven: bool = False,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row (from 1) and `size` rows; all at once without a size.

    Only `columns` are read where given. At least one frame comes, be it without rows. A file that
    is not `proven` (this run wrote it) is read by another process first.
    """
    if not proven:
        prove(path, size)
    try:
        if size is None:
            yield 1, pl.read_parquet(path, columns=columns)
            return
        frame = pl.scan_parquet(path)
        frame = frame if columns is None else frame.select(columns)
        total = frame.select(pl.len()).collect().item()
        for start in range(0, max(total, 1), size):
            yield start + 1, frame.slice(start, size).collect()
    except FAILS as error:
        raise unreadable(path, error) from error
