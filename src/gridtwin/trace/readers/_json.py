"""The records of a JSON file, one at a time: a list, an object with a list, or a record a line."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from gridtwin.core.errors import FormatError

__all__ = ["Record", "json_records", "names_jobs"]

Record = tuple[dict[str, object] | None, int, str]
"""The fields of a record (None if it is none), its line and its text."""

_BLOCK = 1 << 20
_LONGEST = 1 << 26  # characters: a longer value is no job record
_SPACE = re.compile(r"[\s]*")
# numbers stay text: what the file says is read by the same rules as the fields of a CSV
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_NAMED = re.compile(r'"pandaid"\s*:|"jobs"\s*:\s*\[|"selectionsummary"\s*:', re.IGNORECASE)


def names_jobs(head: str) -> bool:
    """Tell whether the beginning of a JSON file names PanDA's job id or BigPanDA's parts."""
    return bool(_NAMED.search(head))


def json_records(path: Path, key: str) -> Iterator[Record]:
    """Yield the records of a list, of the list under `key` in an object, or of JSON lines.

    Raises `FormatError` where the JSON is damaged or has no such list; in JSON lines a damaged line
    is one record that is None. Memory: one record, at most 64 MiB.
    """
    opener = gzip.open if _packed(path) else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", errors="replace") as file:
            yield from _records(path, cast("TextIO", file), key)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{path} is a truncated or damaged gzip file: fetch it again") from error


def _packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _records(path: Path, file: TextIO, key: str) -> Iterator[Record]:
    text = _Text(path, file)
    start = text.peek()
    if start == "[":
        yield from _elements(text)
        text.end()
    elif start == "{" and _one_object_a_line(text):
        yield from _lines(text)
    elif start == "{":
        if not _enter(text, key):
            raise FormatError(
                f"{path} is a JSON object without a list {key!r} of records; "
                "expected that, a list of records, or one record a line"
            )
        yield from _elements(text)
        _leave(text)
    else:
        raise FormatError(f"{path} is no JSON of records: it begins with {start!r}")


class _Text:
    """A file's text from a moving place on; more of it is read when it is needed."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.buffer, self.at, self.line = "", 0, 1
        self._counted = 0

    def more(self) -> bool:
        """Read on, forgetting what is behind; False at the end of the file."""
        if len(self.buffer) - self.at > _LONGEST:
            raise self.damaged("a value is longer than any job record")
        self.where()
        block = self.file.read(max(_BLOCK, len(self.buffer) - self.at))
        self.buffer, self.at = self.buffer[self.at :] + block, 0
        self._counted = 0
        return bool(block)

    def peek(self) -> str:
        """Return the next character that is no white space, "" at the end."""
        while True:
            self.at = cast("re.Match[str]", _SPACE.match(self.buffer, self.at)).end()
            if self.at < len(self.buffer):
                return self.buffer[self.at]
            if not self.more():
                return ""

    def take(self, mark: str) -> None:
        """Step over a character that must come next."""
        if self.peek() != mark:
            raise self.damaged(f"expected {mark!r}, got {self.peek()!r}")
        self.at += 1

    def value(self) -> tuple[object, str]:
        """Return the next value and its text."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self.buffer, self.at)
            except RecursionError:
                raise self.damaged("it is nested too deeply") from None
            except ValueError as error:
                if not self.more():
                    raise self.damaged(str(error).split(":")[0]) from None
                continue
            if end == len(self.buffer) and self.more():
                continue  # a number may go on
            text = self.buffer[self.at : end]
            self.at = end
            return found, text

    def end(self) -> None:
        """Raise `FormatError` unless nothing more comes."""
        if mark := self.peek():
            raise self.damaged(f"expected the end, got {mark!r}")

    def where(self) -> int:
        """Return the number of the line at which the text stands."""
        self.line += self.buffer.count("\n", self._counted, self.at)
        self._counted = self.at
        return self.line

    def damaged(self, why: str) -> FormatError:
        """Return the error that says where the JSON breaks off."""
        return FormatError(
            f"{self.path} is damaged JSON near line {self.where()} ({why}): fetch it again"
        )


def _elements(text: _Text) -> Iterator[Record]:
    """Yield the elements of the list that begins here."""
    text.take("[")
    while text.peek() != "]":
        line = text.where()
        found, raw = text.value()
        yield (found if isinstance(found, dict) else None), line, raw
        if text.peek() != "]":
            text.take(",")
    text.take("]")


def _enter(text: _Text, key: str) -> bool:
    """Go to the list under `key` in the object that begins here; False if there is none."""
    text.take("{")
    while text.peek() not in ("}", ""):
        name, _ = text.value()
        text.take(":")
        if name == key and text.peek() == "[":
            return True
        text.value()
        if text.peek() != "}":
            text.take(",")
    return False


def _leave(text: _Text) -> None:
    """Go to the end of the object whose list was read: a file that was cut short shows here."""
    while text.peek() == ",":
        text.take(",")
        text.value()
        text.take(":")
        text.value()
    text.take("}")
    text.end()


def _one_object_a_line(text: _Text) -> bool:
    """Tell whether the first line is a whole object, and not one that holds the records."""
    while "\n" not in text.buffer and text.more():
        pass
    first = text.buffer[text.at :].lstrip().partition("\n")[0]
    found = _line(first)
    return found is not None and not any(isinstance(value, list) for value in found.values())


def _lines(text: _Text) -> Iterator[Record]:
    number = text.where()
    rest = text.buffer[text.at :]
    while True:
        block = text.file.read(_BLOCK)
        lines = (rest + block).split("\n")
        rest = lines.pop() if block else ""
        if len(rest) > _LONGEST:
            raise text.damaged("a line is longer than any job record")
        for line in lines:
            if line.strip():
                yield _line(line), number, line
            number += 1
        if not block:
            return


def _line(text: str) -> dict[str, object] | None:
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
