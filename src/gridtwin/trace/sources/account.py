"""What was read, kept and refused over all sources: the provenance, and the list of rejects."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from shutil import copyfileobj

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError
from gridtwin.core.files import writing
from gridtwin.trace.readers import LINE, RAW, fingerprint, readers
from gridtwin.trace.readers._checks import DUPLICATE
from gridtwin.trace.readers._parquet import slices
from gridtwin.trace.readers._text import MALFORMED
from gridtwin.trace.sources.convert import Part, merged
from gridtwin.trace.sources.finish import in_order
from gridtwin.trace.table import Provenance

__all__ = ["account", "refuse_rubbish", "write_rejects"]

_ROWS = 1 << 18


def account(
    parts: list[Part],
    keep: NDArray[np.bool_] | None,
    source: str,
    format: str,
    notes: Iterable[str] = (),
) -> Provenance:
    """Add up what the parts say."""
    read = sum(part.rows_read for part in parts)
    dropped: Counter[str] = sum((part.dropped for part in parts), start=Counter())
    if keep is not None:
        dropped[DUPLICATE] += int((~keep).sum())
    repairs: Counter[str] = sum((part.repairs for part in parts), start=Counter())
    found = [*notes, *(note for part in parts for note in part.notes)]
    found += [f"{count} jobs {words}." for words, count in repairs.items() if count]
    if read and not any(part.timed for part in parts):
        found.append("No row has a submit time: the table has none.")
    sizes = {size for part in parts for size in part.sizes}
    if len(sizes) > 1:
        found.append(f"The files state different machine sizes {sorted(sizes)}: none is used.")
    late = sum(part.late for part in parts)
    if late:
        found.append(f"{late} rows came before their predecessor in time: sorted by submit.")
    elif not in_order(parts):
        found.append("The files overlap in time: sorted by submit.")
    return Provenance(
        source=source,
        format=format,
        rows_read=read,
        dropped=dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))),
        sha256=fingerprint([part.sha256 for part in parts]),
        machine_cores=sizes.pop() if len(sizes) == 1 else None,
        notes=tuple(merged(found)),
    )


def refuse_rubbish(origin: Provenance) -> None:
    """Raise `FormatError` if not one line of the sources is a record."""
    if origin.rows_read and origin.dropped.get(MALFORMED) == origin.rows_read:
        raise FormatError(
            f"{origin.source} is not in the format {origin.format!r}: none of its "
            f"{origin.rows_read} lines is a record; known formats: {', '.join(readers.names())}"
        )


def write_rejects(parts: list[Part], keep: NDArray[np.bool_] | None, target: Path) -> None:
    """Write the rows that were not kept: those of each part, then those whose id came before."""
    with writing(target) as temporary, temporary.open("wb") as file:
        file.write(b"file,line,reason,row\n")
        for part in parts:
            if part.rejects.exists():
                with part.rejects.open("rb") as lines:
                    copyfileobj(lines, file)
        if keep is None:
            return
        start = 0
        for part in parts:
            for first, rows in slices(part.path, _ROWS, proven=True):
                at = start + first - 1
                again = rows.filter(pl.Series(~keep[at : at + rows.height]))
                values = pl.struct(pl.exclude(LINE, RAW)).struct.json_encode()
                again.select(
                    file=pl.lit(part.source),
                    line=LINE,
                    reason=pl.lit(DUPLICATE),
                    row=pl.coalesce(RAW, values),
                ).write_csv(file, include_header=False)
            start += part.rows
