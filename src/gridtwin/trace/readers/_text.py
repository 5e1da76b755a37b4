"""Text files as tables of text: decompression, encodings, lines and fields.

Nothing here knows a format. A file is read whole, so the memory needed grows with it: about ten
times its decompressed size, as its bytes, text, lines and columns live side by side for a moment.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError, InputError

__all__ = [
    "LINE",
    "MALFORMED",
    "RAW",
    "REJECT",
    "SPAN",
    "UNKNOWN",
    "Table",
    "chosen",
    "column_names",
    "decoded",
    "head",
    "header",
    "read_lines",
    "read_table",
    "records",
]

REJECT = "_reject"
"""Column of a `Scan`: why the row cannot be kept, null where it can."""
LINE = "_line"
"""Column of a `Scan`: the number of the row's (first) line in its file, from 1."""
RAW = "_raw"
"""Column of a `Scan`: the row as it stands in the file."""

MALFORMED = "malformed line"
"""The reason for a line that has too few or too many fields, or broken quotes."""

UNKNOWN = ("", "nan", "NaN", "NULL", "null", "None", "none", "NA", "N/A", "\\N")
"""Words that stand for a value that is not there."""

_HEAD = 1 << 16
SPAN = 1000
"""Lines that one quoted record may take; bounds the work on a lone quote."""
_CHUNK = 20_000
_CONTROL = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1b"))
_PACKED = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PK\x03\x04": "a zip archive",
}


@dataclass(frozen=True)
class Table:
    """The records of a delimited text file, all as text.

    `frame` has one row for each record: the columns asked for (null where unknown), `REJECT`,
    `LINE` and `RAW`; `columns` are all that the file has.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()


def head(path: Path) -> str:
    """Return the first 64 KiB of a file as text, decompressed; "" for Parquet.

    Raises `InputError` if there is no such file, `FormatError` if it is empty, binary, packed in
    a way that is not read, or a damaged gzip file.
    """
    if not path.is_file():
        raise InputError(f"no file {str(path)!r}: give the path of a file of job records")
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] == b"PAR1":
        return ""
    for magic, what in _PACKED.items():
        if start.startswith(magic):
            raise FormatError(f"{path} is {what}; unpack it first, or pack it with gzip")
    data = _bytes(path, _HEAD)
    if not data.strip():
        raise FormatError(f"{path} is empty; expected a file of job records")
    first_line = data.split(b"\n", 1)[0]
    if b"\0" in first_line or len(data) - len(data.translate(None, _CONTROL)) > len(data) / 20:
        raise FormatError(f"{path} is a binary file; expected job records as text or Parquet")
    return _lines_by_newline(data.decode("utf-8-sig", errors="replace"))


def header(head: str, separator: str = ",") -> list[str]:
    """Return the column names in the first line of a delimited text, [] if there are none."""
    first = next((line for line in head.split("\n") if line.strip()), "")
    return [field.strip() for field in _fields(first, separator) or []]


def read_lines(path: Path, *, comment: str | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Return the lines of a text file that are neither blank nor comments, and the notes.

    The frame has the columns `RAW` (without the line's end) and `LINE`.
    """
    text, notes = decoded(_bytes(path))
    lines = pl.DataFrame({RAW: text.split("\n")}, schema={RAW: pl.String})
    lines = lines.with_row_index(LINE, offset=1)
    bare = pl.col(RAW).str.strip_chars()
    keep = bare != ""
    if comment is not None:
        keep &= ~bare.str.starts_with(comment)
    return lines.filter(keep).with_columns(pl.col(LINE).cast(pl.Int64)), notes


def read_table(
    path: Path,
    *,
    needs: Iterable[str],
    wants: Iterable[str] = (),
    rename: Callable[[str], str] = str,
    separator: str = ",",
    quotes: bool = True,
    unknown: Iterable[str] = UNKNOWN,
    strip: bool = True,
) -> Table:
    """Read the columns in `needs` and `wants` of a delimited text file with a header line.

    Columns in `wants` that the file does not have are null; `rename` turns the file's column names
    into those asked for.

    A record with too few or too many fields, or with broken quotes, is kept as a row of nulls
    that is rejected as `MALFORMED`. Quoted fields may hold separators, doubled quotes and line
    breaks. Raises `FormatError` unless the header has all the columns in `needs`, each once.
    """
    lines, notes = read_lines(path)
    if lines.is_empty():
        raise FormatError(f"{path} is empty; expected a header line and job records")
    names = column_names(path, lines[RAW][0], needs, separator, quotes=quotes, rename=rename)
    rows = records(lines[1:], names, separator, quotes=quotes)
    asked = list(dict.fromkeys([*needs, *wants]))
    return Table(chosen(rows, asked, unknown, strip=strip), tuple(names), tuple(notes))


def chosen(
    rows: pl.DataFrame, asked: Iterable[str], unknown: Iterable[str], *, strip: bool
) -> pl.DataFrame:
    """Return the columns asked for, null where they are absent or say a word of `unknown`."""
    words, schema = list(unknown), rows.schema
    columns = []
    for name in asked:
        if name not in schema:
            columns.append(pl.lit(None, pl.String).alias(name))
            continue
        column = pl.col(name)
        if schema[name] == pl.String():
            column = column.str.strip_chars() if strip else column
            column = pl.when(~column.is_in(words)).then(column) if words else column
        columns.append(column)
    return rows.select(*columns, REJECT, LINE, RAW)


def _bytes(path: Path, limit: int = -1) -> bytes:
    """Return (the first) bytes of a plain or gzip file, decompressed."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed:
        with path.open("rb") as file:
            return file.read(limit)
    try:
        with gzip.open(path) as file:
            return file.read(limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{path} is a truncated or damaged gzip file: fetch it again") from error


def decoded(data: bytes) -> tuple[str, list[str]]:
    """Return bytes as text, and a note where they are not UTF-8; old Macs' line ends are mended."""
    notes = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
        notes.append("The file is not UTF-8; it was read as Latin-1.")
    return _lines_by_newline(text), notes


def _lines_by_newline(text: str) -> str:
    """Turn the line ends of old Macs, where there are no others, into newlines."""
    return text if "\n" in text else text.replace("\r", "\n")


def column_names(
    path: Path,
    line: str,
    needs: Iterable[str],
    separator: str,
    *,
    quotes: bool,
    rename: Callable[[str], str],
) -> list[str]:
    """Return the names in a header line; raises `FormatError` unless all in `needs` are there."""
    names = header(line, separator) if quotes else [f.strip() for f in line.split(separator)]
    names = [rename(name) for name in names]
    # blank names, and names that the table uses itself, are told apart by their position
    names = [f"column {i}" if name[:1] in ("", "_") else name for i, name in enumerate(names)]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise FormatError(f"{path} has the column {', '.join(twice)} more than once in its header")
    missing = [name for name in needs if name not in names]
    if missing:
        raise FormatError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names)[:300]}"
        )
    return names


def records(
    lines: pl.DataFrame, names: list[str], separator: str, *, quotes: bool = True
) -> pl.DataFrame:
    """Split lines into fields: those with quotes one by one, all others at once."""
    quoted = pl.DataFrame()
    if quotes and lines[RAW].str.contains('"', literal=True).any():
        parts = list(_quoted(lines, names, separator))
        quoted = pl.concat(parts)
        taken = quoted["_span"].list.explode()
        lines = lines.filter(~pl.col(LINE).is_in(taken.implode()))
        quoted = quoted.drop("_span")
    right = pl.col(RAW).str.count_matches(separator, literal=True) == len(names) - 1
    right &= ~pl.col(RAW).str.contains("\0", literal=True)
    fields = pl.col(RAW).str.strip_chars_end("\r").str.split_exact(separator, len(names) - 1)
    plain = lines.with_columns(
        pl.when(~right).then(pl.lit(MALFORMED)).alias(REJECT),
        pl.when(right).then(fields).struct.rename_fields(names).alias("_fields"),
    ).unnest("_fields")
    plain = plain.select(*names, REJECT, LINE, RAW)
    return plain if quoted.is_empty() else pl.concat([plain, quoted]).sort(LINE)


def _quoted(lines: pl.DataFrame, names: list[str], separator: str) -> Iterator[pl.DataFrame]:
    """Yield the records that have quotes, in chunks; ``_span`` lists the lines of each."""
    schema: dict[str, pl.DataType] = {name: pl.String() for name in names}
    schema |= {REJECT: pl.String(), LINE: pl.Int64(), RAW: pl.String(), "_span": pl.List(pl.Int64)}
    records = _quoted_records(lines, len(names), separator)
    while chunk := list(islice(records, _CHUNK)):
        yield pl.DataFrame(chunk, schema=schema, orient="row")


def _quoted_records(
    lines: pl.DataFrame, width: int, separator: str
) -> Iterator[tuple[str | int | list[int] | None, ...]]:
    """Yield (fields…, reason, line, raw, lines) of each record that has quotes.

    A record goes on over line breaks until its quotes are even in number. If that gives no good
    record, its first line alone is malformed and the next line is looked at afresh: a stray
    quote costs one line, not the rest of the file.
    """
    raw, number = lines[RAW].to_list(), lines[LINE].to_list()
    done = 0
    for start in lines[RAW].str.contains('"', literal=True).arg_true():
        if start < done:
            continue
        stop, odd = start + 1, raw[start].count('"') % 2
        while odd and stop < min(len(raw), start + SPAN):
            odd ^= raw[stop].count('"') % 2
            stop += 1
        fields = None if odd else _fields("\n".join(raw[start:stop]), separator)
        right = fields is not None and len(fields) == width
        done = stop if right else start + 1
        values = fields if fields and right else [None] * width
        reason = None if right else MALFORMED
        yield *values, reason, number[start], "\n".join(raw[start:done]), number[start:done]


def _fields(record: str, separator: str) -> list[str] | None:
    """Return the fields of a record, None unless it is well-formed."""
    record = record.removesuffix("\r")
    if "\0" in record:
        return None
    sep = re.escape(separator)
    # a quoted field, or one that neither begins with a quote nor holds a line break
    field = re.compile(f'(?:"((?:[^"]|"")*)"|((?:[^"{sep}\r\n][^{sep}\r\n]*)?))({sep}|\\Z)')
    fields, at, more = [], 0, True
    while more:
        match = field.match(record, at)
        if match is None:
            return None
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        at, more = match.end(), bool(end)
    return fields if at == len(record) else None
