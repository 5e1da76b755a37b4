"""Delimited text in pieces, for files that are larger than memory.

A block of whole lines is at first given to Polars' own CSV parser. Its result is taken only if it
cannot have bent anything: no quote, no NUL, no carriage return, as many separators and lines as
there must be, and nothing that the parser refuses. All other blocks go the careful way of `_text`.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers._text import (
    LINE,
    MALFORMED,
    RAW,
    REJECT,
    SPAN,
    UNKNOWN,
    Table,
    chosen,
    column_names,
    decoded,
    records,
)

__all__ = ["read_tables"]

_BLOCK = 1 << 23
_LONGEST = 1 << 28  # a line beyond is no job record


def read_tables(
    path: Path,
    *,
    needs: Iterable[str],
    wants: Iterable[str] = (),
    floats: Iterable[str] = (),
    whole: Iterable[str] = (),
    rename: Callable[[str], str] = str,
    separator: str = ",",
    unknown: Iterable[str] = UNKNOWN,
    strip: bool = True,
    raw: bool = False,
    size: int = _BLOCK,
) -> Iterator[Table]:
    """Yield what `read_table` returns, in pieces of about `size` bytes; at least one piece.

    Columns in `floats` and `whole` are numbers instead of text in pieces where every word in them
    is one; those in `whole` are expected to be whole numbers, which are quicker to read.
    Without `raw`, `LINE` and `RAW` may be null or wrong. A file that is UTF-8 in part is read as
    Latin-1 only in the pieces that are not. Memory: about 20 times `size`, and the longest line.
    """
    needs, words = list(needs), list(unknown)
    asked = list(dict.fromkeys([*needs, *wants]))
    number: dict[str, pl.DataType] = dict.fromkeys(floats, pl.Float64())
    number |= dict.fromkeys(whole, pl.Int64())
    names: list[str] = []
    rest, line = b"", 1
    for data, last in _blocks(path, size):
        block = rest + data if rest else data
        rest = b""
        if not names:
            begin = _past_blank(block)
            if begin == len(block):
                line += block.count(b"\n")
                continue
            line += block.count(b"\n", 0, begin)
            first, _, block = _halves(block[begin:])
            text = decoded(first)[0].rstrip("\r")
            names = column_names(path, text, needs, separator, quotes=True, rename=rename)
            line += 1
        notes: list[str] = []
        rows = None if raw else _quick(block, names, number, separator, words)
        if rows is None and not raw and pl.Int64() in number.values():
            rows = _quick(block, names, dict.fromkeys(number, pl.Float64()), separator, words)
            number = number if rows is None else dict.fromkeys(number, pl.Float64())
        if rows is None:
            rows, notes, kept = _careful(block, line, names, separator, last=last)
            block, rest = block[:kept], block[kept:]
            line += block.count(b"\n")
            left = words
        else:
            left = words if strip else []  # the parser did it, but for words with blanks around
        yield Table(chosen(rows, asked, left, strip=strip), tuple(names), tuple(notes))
    if not names:
        raise FormatError(f"{path} is empty; expected a header line and job records")


_MARK = "\ufeff".encode()
"""What a file of UTF-8 may begin with."""


def _blocks(path: Path, size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the bytes of a file, decompressed, in blocks of whole lines; tell which is the last."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    rest, end = b"", b""
    try:
        with opener(path, "rb") as file:
            while data := file.read(size):
                cut = data.rfind(b"\n") + 1
                if cut:
                    yield b"".join((rest, memoryview(data)[:cut])), False
                    rest, end = data[cut:], b"\n"
                elif len(rest) > _LONGEST:
                    raise FormatError(f"{path} has a line of over {_LONGEST >> 20} MiB")
                else:
                    rest += data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{path} is a truncated or damaged gzip file: fetch it again") from error
    yield rest + end if rest else rest, True  # with a newline, its line end is no old Mac's


def _past_blank(block: bytes) -> int:
    """Return where the first line that is not blank begins."""
    text = block.removeprefix(_MARK)
    mark = len(block) - len(text)
    return len(block) if not text.strip() else mark + text.rfind(b"\n", 0, _first_word(text)) + 1


def _first_word(text: bytes) -> int:
    return len(text) - len(text.lstrip())


def _halves(block: bytes) -> tuple[bytes, bytes, bytes]:
    """Part a block after its first line, at a newline or, without one, as old Macs do."""
    return block.partition(b"\n" if b"\n" in block else b"\r")


def _quick(
    block: bytes,
    names: list[str],
    number: Mapping[str, pl.DataType],
    separator: str,
    unknown: list[str],
) -> pl.DataFrame | None:
    """Return the rows of a block that Polars' parser can be trusted with, else None."""
    if len(names) < 2 or not block or any(mark in block for mark in (b'"', b"\0", b"\r")):
        return None
    if block.startswith(_MARK):
        return None
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            schema={name: number.get(name, pl.String()) for name in names},
            quote_char=None,
            # nothing between separators is null anyway; to compare with words is slow
            null_values=[word for word in unknown if word] or None,
            separator=separator,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame[names[-1]].null_count():  # a line with too few fields has none in the last column
        separators = np.count_nonzero(np.frombuffer(block, np.uint8) == ord(separator))
        # the parser refuses a line with too many: if all have enough together, each has
        if separators != frame.height * (len(names) - 1):
            return None
    empty = {REJECT: pl.String(), LINE: pl.Int64(), RAW: pl.String()}
    return frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in empty.items())


def _careful(
    block: bytes, line: int, names: list[str], separator: str, *, last: bool
) -> tuple[pl.DataFrame, list[str], int]:
    """Return the rows of a block, the notes, and how many of its bytes are done.

    A record whose quotes are still open at the end of the block is left for the next one.
    """
    text, notes = decoded(block)
    if block.startswith(_MARK):  # which counts only where the file begins
        text = "\ufeff" + text
    lines = pl.DataFrame({RAW: text.split("\n")}, schema={RAW: pl.String})
    lines = lines.with_row_index(LINE, offset=line).with_columns(pl.col(LINE).cast(pl.Int64))
    end = line + len(lines)
    lines = lines.filter(pl.col(RAW).str.strip_chars() != "")
    rows = records(lines, names, separator)
    if last or b'"' not in block:
        return rows, notes, len(block)
    odd = pl.col(RAW).str.count_matches('"', literal=True) % 2 == 1
    late = pl.col(LINE) > end - SPAN - 2
    start = rows.filter((pl.col(REJECT) == MALFORMED) & odd & late)[LINE].min()
    if not isinstance(start, int):
        return rows, notes, len(block)
    kept = len(b"\n".join(block.split(b"\n")[: start - line])) + (start > line)
    return rows.filter(pl.col(LINE) < start), notes, kept
