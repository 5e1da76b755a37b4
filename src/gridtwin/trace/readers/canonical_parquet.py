"""Parquet of canonical columns, as gridtwin writes it, its provenance in the file's metadata."""

import json
from collections.abc import Iterator
from pathlib import Path

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._manifest import KEY, carried
from gridtwin.trace.readers._parquet import columns, metadata, slices
from gridtwin.trace.readers._typed import is_panda, scan_frame
from gridtwin.trace.table import Provenance

__all__ = ["batches", "scan", "sniff"]


def sniff(path: Path, head: str) -> bool:
    """Tell whether the file is Parquet but PanDA's job table; `scan` then says what it lacks."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    found = columns(path)
    return "job_id" in found or not is_panda(found)


def scan(path: Path) -> Scan:
    """Read the canonical columns; others are named in a note and left out."""
    return next(_scans(path, size=None, raw=False))


def batches(path: Path, *, raw: bool = False) -> Iterator[Scan]:
    """Read the canonical columns in pieces."""
    return _scans(path, size=1 << 18, raw=raw)


def _scans(path: Path, *, size: int | None, raw: bool) -> Iterator[Scan]:
    machine, notes = carried(_provenance(metadata(path).get(KEY)))
    for first, frame in slices(path, size):
        scan = scan_frame(frame, str(path), first=first, raw=raw)
        yield Scan(scan.frame, machine_cores=machine, notes=(*notes, *scan.notes))


def _provenance(text: str | None) -> Provenance | None:
    if text is None:
        return None
    try:
        return Provenance.from_json(json.loads(text))
    except (ValueError, TypeError, AttributeError):
        return None
