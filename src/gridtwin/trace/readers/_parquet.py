"""Parquet files, whole or in slices of rows, with one error for all that can be wrong in them."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError

__all__ = ["columns", "metadata", "slices"]

_FAILS = (pl.exceptions.PolarsError, OSError, ValueError, TypeError, pl.exceptions.PanicException)


def columns(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    try:
        return list(pl.read_parquet_schema(path))
    except _FAILS as error:
        raise _unreadable(path, error) from error


def metadata(path: Path) -> dict[str, str]:
    """Return the words that a file carries beside its columns."""
    try:
        return dict(pl.read_parquet_metadata(path))
    except _FAILS as error:
        raise _unreadable(path, error) from error


def slices(
    path: Path, size: int | None = None, *, columns: list[str] | None = None
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of the first row (from 1) and `size` rows; all at once without a size.

    Only `columns` are read where given. At least one frame comes, be it without rows.
    """
    try:
        if size is None:
            yield 1, pl.read_parquet(path, columns=columns)
            return
        frame = pl.scan_parquet(path)
        frame = frame if columns is None else frame.select(columns)
        total = frame.select(pl.len()).collect().item()
        for start in range(0, max(total, 1), size):
            yield start + 1, frame.slice(start, size).collect()
    except _FAILS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> FormatError:
    return FormatError(f"{path} is no readable Parquet file: {error}")
