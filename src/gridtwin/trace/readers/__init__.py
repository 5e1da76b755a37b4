"""Readers of job records, one format a file.

A reader is a module with two functions:

``sniff(path, head) -> bool``
    Is this file mine? `head` is the decompressed beginning of the file as text (64 KiB), "" for
    Parquet.
``scan(path) -> Scan``
    The file's records in canonical columns.

One that can read a file in pieces has a third:

``batches(path, raw=False) -> Iterator[Scan]``
    The same rows in order, in pieces of bounded size; `LINE` and `RAW` may be null without `raw`.

`read` chooses the reader, applies the checks that all formats share, counts every row that is not
kept under a named reason, and sorts by submit time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256 as digest
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import sha256, writing
from gridtwin.core.registry import Registry
from gridtwin.trace.readers._checks import check
from gridtwin.trace.readers._foreign import why_not
from gridtwin.trace.readers._grid import located, unnamed
from gridtwin.trace.readers._text import LINE, MALFORMED, RAW, REJECT, head, header
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import JobTable, Provenance
from gridtwin.trace.tables import queue_map as shipped_queue_map
from gridtwin.trace.tables import read_queue_map

__all__ = [
    "LINE",
    "RAW",
    "REJECT",
    "Scan",
    "fingerprint",
    "paths_of",
    "read",
    "readers",
    "sniff",
    "sole_format",
]

readers = Registry("format", __name__, "gridtwin.readers", pick=lambda module: module)

_FILE = "_file"


@dataclass(frozen=True)
class Scan:
    """What a reader found in a file.

    `frame` has one row for each record line of the source (malformed ones too), in the order of
    the source: canonical columns, `REJECT`, and, where the source is text, `LINE` and `RAW`.
    Fields of whole numbers may be floats; the checks cast them. A null ``job_id`` is filled in.
    """

    frame: pl.LazyFrame
    machine_cores: int | None = None
    notes: tuple[str, ...] = ()
    repairs: Mapping[str, int] = field(default_factory=dict)
    """Jobs that were repaired, by what there was to say of them ("have no core count: …")."""
    persons: tuple[str, ...] = ()
    """Columns that may hold names of persons; `read` replaces them by pseudonyms."""
    grid: bool = False
    """The queues are those of a grid; `read` looks up the site of each."""


def read(
    path: Path | str | Sequence[Path | str],
    format: str = "auto",
    rejects: Path | str | None = None,
    *,
    keep_names: bool = False,
    queue_map: Path | str | None = None,
) -> JobTable:
    """Read job records from a file, a folder or several files of one format into a table.

    Every record line is either a row of the table or counted in ``provenance.dropped`` under a
    reason: a malformed line, no submit time (in a format that has it), a word that is no number,
    a negative duration or count, an end before the start, a ``job_id`` that came before. Unknown
    values become null; a job that never ran is kept.

    Parameters
    ----------
    path
        A file (plain or gzip), a folder (all its files, by name), or several files.
    format
        A name of `readers`, or ``"auto"``: the one reader whose ``sniff`` claims the file.
    rejects
        Where to write the rows not kept, as CSV: file, line, reason, row as it stands in the
        source, with the names in it.
    keep_names
        Keep names of persons; by default each is replaced by a keyed hash (`trace.pseudonyms`).
        Numbers that stand for users stay either way.
    queue_map
        CSV of queue and site, for the queues of a grid; its rows come before the shipped ones
        (`trace.tables.queue_map`). A queue in neither is a site of its own.

    Raises
    ------
    FormatError
        The file is empty, binary, damaged, of no known format, or lacks columns.
    InputError
        There is no such file.
    UnknownNameError
        There is no such format.

    Notes
    -----
    All rows are in memory: the peak is about ten times the decompressed size of the text.

    Examples
    --------
    >>> read("tests/data/swf.cluster.swf").provenance.format
    'swf'
    """
    paths = paths_of(path)
    name = sole_format(paths, format)
    reader = readers.get(name)
    scans = [reader.scan(file) for file in paths]
    frames = [scan.frame.with_columns(pl.lit(i).alias(_FILE)) for i, scan in enumerate(scans)]
    rows = pl.concat(frames, how="diagonal_relaxed").collect()
    notes = [*dict.fromkeys(note for scan in scans for note in scan.notes), *_repairs(scans)]
    rows = _finished(_without_empty(rows, notes), scans, notes, keep_names, queue_map)
    rows = check(_identified(rows, notes))
    dropped = _count(rows)
    if rows.height and dropped.get(MALFORMED) == rows.height:
        raise FormatError(
            f"{_source(path, paths)} is not in the format {name!r}: none of its {rows.height} "
            f"lines is a record; known formats: {', '.join(readers.names())}"
        )
    if rejects is not None:
        _write_rejects(rows, paths, Path(rejects))
    kept = rows.filter(pl.col(REJECT).is_null()).drop(REJECT, LINE, RAW, _FILE, strict=False)
    provenance = Provenance(
        source=_source(path, paths),
        format=name,
        rows_read=rows.height,
        dropped=dropped,
        sha256=fingerprint([sha256(path) for path in paths]),
        machine_cores=_size(scans, notes),
        notes=(*notes, *_order(kept)),
    )
    return JobTable.from_frame(kept, provenance)


def sniff(path: Path | str) -> str:
    """Return the name of the format of a file; raises `FormatError` if there is not just one."""
    path = Path(path)
    start = head(path)
    if reason := why_not(path, start):
        raise FormatError(f"{path} cannot be read as job records: {reason}")
    claims = [name for name in readers.names() if readers.get(name).sniff(path, start)]
    if len(claims) == 1:
        return claims[0]
    known = ", ".join(readers.names())
    if claims:
        raise FormatError(
            f"{path} could be {' or '.join(claims)}; say which with format={claims[0]!r}"
        )
    columns = header(start)
    what = f"its columns are {', '.join(columns)[:200]}" if len(columns) > 1 else "it has no table"
    raise FormatError(f"{path} is in no known format ({what}); known formats: {known}")


def paths_of(path: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return the files to read; a folder gives all its files but hidden ones and manifests."""
    if not isinstance(path, (str, Path)):
        files = [Path(file) for file in path]
        if not files:
            raise InputError("no files to read: give at least one path")
        return files
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    names = {file.name for file in files}
    files = [
        file
        for file in files
        if not file.name.startswith(".")
        and file.name.removesuffix(".json") not in names - {file.name}
    ]
    if not files:
        raise InputError(f"the folder {str(path)!r} has no files; give one with job records")
    return files


def sole_format(paths: list[Path], format: str) -> str:
    """Return the name of the format that all the files have; raises `FormatError` for several."""
    if format != "auto":
        readers.get(format)  # an unknown name comes before a file that is not there
        for path in paths:
            head(path)
        return format
    names = {path: sniff(path) for path in paths}
    if len(set(names.values())) > 1:
        found = ", ".join(f"{path.name}: {name}" for path, name in list(names.items())[:6])
        raise FormatError(f"files of different formats ({found}); read each format by itself")
    return names[paths[0]]


def _without_empty(rows: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Drop canonical columns in which no row says anything: the source does not have them."""
    if rows.is_empty():
        return rows
    empty = [
        name
        for name in rows.columns
        if name in TraceSchema.canonical() and rows[name].null_count() == rows.height
    ]
    if "submit_time" in empty:
        notes.append("No row has a submit time: the table has none.")
    return rows.drop([name for name in empty if name != "job_id"])


def _repairs(scans: list[Scan]) -> list[str]:
    """Return a note for each kind of repair, with the number of jobs in all the scans."""
    counts: Counter[str] = Counter()
    for scan in scans:
        counts.update(scan.repairs)
    return [f"{count} jobs {words}." for words, count in counts.items() if count]


def _finished(
    rows: pl.DataFrame,
    scans: list[Scan],
    notes: list[str],
    keep_names: bool,
    queue_map: Path | str | None,
) -> pl.DataFrame:
    """Return the rows with sites for the queues of a grid and without names of persons."""
    if any(scan.grid for scan in scans):
        queues = shipped_queue_map() if queue_map is None else read_queue_map(queue_map)
        rows, more = located(rows, queues)
        notes += more
    elif queue_map is not None:
        raise InputError(f"only records of a grid have a map of queues: leave out {queue_map}")
    persons = tuple(dict.fromkeys(name for scan in scans for name in scan.persons))
    rows, more = unnamed(rows, persons, keep=keep_names)
    notes += more
    return rows


def _identified(rows: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Give rows without a ``job_id`` one made of their position in the source, from 1."""
    number = pl.int_range(1, pl.len() + 1).cast(pl.String)
    if "job_id" not in rows.columns or rows["job_id"].null_count() == rows.height:
        notes.append("The source has no unique job ids: job_id is the number of the row.")
        return rows.with_columns(job_id=number)
    missing = rows["job_id"].is_null() & rows[REJECT].is_null()
    if missing.any():
        notes.append(f"{missing.sum()} jobs without an id: job_id is 'row' and the row's number.")
    return rows.with_columns(pl.col("job_id").fill_null(pl.lit("row") + number))


def _count(rows: pl.DataFrame) -> dict[str, int]:
    reasons = Counter(rows[REJECT].drop_nulls().to_list())
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _write_rejects(rows: pl.DataFrame, paths: list[Path], target: Path) -> None:
    """Write the rejected rows as they stand in the source, with file, line and reason."""
    bad = rows.filter(pl.col(REJECT).is_not_null())
    # a source that is no text shows the values, as JSON
    values = pl.struct(pl.exclude(REJECT, LINE, RAW, _FILE)).struct.json_encode()
    given = [pl.col(RAW)] if RAW in bad.columns else []
    bad = bad.with_columns(pl.coalesce(*given, values).alias(RAW))
    if LINE not in bad.columns:
        bad = bad.with_columns(pl.lit(None, pl.Int64).alias(LINE))
    names = {i: str(path) for i, path in enumerate(paths)}
    bad = bad.select(
        pl.col(_FILE).replace_strict(names, return_dtype=pl.String).alias("file"),
        pl.col(LINE).alias("line"),
        pl.col(REJECT).alias("reason"),
        pl.col(RAW).str.strip_chars_end("\r").alias("row"),
    )
    with writing(target) as temporary:
        bad.write_csv(temporary)


def _size(scans: list[Scan], notes: list[str]) -> int | None:
    sizes = {scan.machine_cores for scan in scans if scan.machine_cores}
    if len(sizes) > 1:
        notes.append(f"The files state different machine sizes {sorted(sizes)}: none is used.")
    return sizes.pop() if len(sizes) == 1 else None


def _order(kept: pl.DataFrame) -> list[str]:
    if "submit_time" not in kept.columns:
        return []
    late = int((kept["submit_time"].diff() < 0).sum())
    return [f"{late} rows came before their predecessor in time: sorted by submit."] if late else []


def _source(path: Path | str | Sequence[Path | str], paths: list[Path]) -> str:
    return str(path) if isinstance(path, (str, Path)) else ", ".join(map(str, paths))


def fingerprint(prints: Sequence[str]) -> str:
    """Return the SHA-256 of the one file; of several, that of theirs one after another."""
    return prints[0] if len(prints) == 1 else digest("".join(prints).encode()).hexdigest()
