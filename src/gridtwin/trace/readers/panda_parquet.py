"""Parquet with the columns of PanDA's job archive, in upper or lower case."""

from collections.abc import Iterator
from pathlib import Path

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._parquet import columns, slices
from gridtwin.trace.readers._typed import is_panda, scan_frame

__all__ = ["batches", "scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the file is Parquet with ``pandaid`` and without ``job_id``."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    found = columns(path)
    return is_panda(found) and "job_id" not in found


def scan(path: Path) -> Scan:
    """Read the jobs as if their columns were text: one meaning for CSV, JSON and Parquet."""
    return next(_scans(path, None, raw=False))


def batches(path: Path, *, raw: bool = False) -> Iterator[Scan]:
    """Read the jobs in pieces."""
    return _scans(path, 1 << 17, raw=raw)


def _scans(path: Path, size: int | None, *, raw: bool) -> Iterator[Scan]:
    found = columns(path)
    if not is_panda(found):
        raise FormatError(
            f"{path} lacks the column pandaid of PanDA's job table; it has {', '.join(found)[:300]}"
        )
    for first, frame in slices(path, size):
        yield scan_frame(frame, str(path), first=first, raw=raw)
