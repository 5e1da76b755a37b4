"""What a file that gridtwin wrote says about where its rows come from.

Parquet holds it in its metadata. Beside Parquet and CSV lies ``<file>.json`` with the same, and
with the fingerprint of the file, so that the manifest of another file is not believed.
"""

import json
from pathlib import Path
from typing import Any

from gridtwin.core.files import sha256, writing
from gridtwin.trace.table import Provenance

__all__ = ["KEY", "carried", "manifest_path", "stored", "write_manifest"]

KEY = "gridtwin"
"""Key of the provenance in a Parquet file's metadata."""


def manifest_path(path: Path) -> Path:
    """Return where the manifest of a file lies."""
    return path.with_name(f"{path.name}.json")


def write_manifest(path: Path, provenance: Provenance, rows: int, columns: list[str]) -> None:
    """Write the manifest of a file that is already there."""
    values: dict[str, Any] = {"rows": rows, "columns": columns, "file_sha256": sha256(path)}
    values["provenance"] = provenance.to_json()
    with writing(manifest_path(path)) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def stored(path: Path) -> Provenance | None:
    """Return the provenance in the manifest of a file, None if there is none that fits it."""
    try:
        values = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        fits = values["file_sha256"] == sha256(path)
        return Provenance.from_json(values["provenance"]) if fits else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def carried(provenance: Provenance | None) -> tuple[int | None, list[str]]:
    """Return the machine size and the notes to keep of a provenance that was stored."""
    if provenance is None:
        return None, []
    notes = list(provenance.notes)
    if not provenance.format.startswith("canonical"):
        kept = provenance.rows_read - sum(provenance.dropped.values())
        notes.append(
            f"Written from {provenance.source} ({provenance.format}): "
            f"{kept} of its {provenance.rows_read} rows had been kept."
        )
    size = provenance.machine_cores
    return size if isinstance(size, int) and size > 0 else None, notes
