"""Read JSON documents strictly: nothing lost on the way, errors that name the place."""

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.units import Kind, quantity

__all__ = ["amount", "load", "mapping", "naming", "number", "only", "sequence", "string", "whole"]

_MOST = 2**53
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def load(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON file, plain or gzip; a key that comes twice is an error."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        if _SURROGATE.search(text):  # half a pair is no text: this fails then
            json.dumps(value, ensure_ascii=False).encode()
    except FileNotFoundError as error:
        raise FormatError(f"{path}: there is no such file; expected a JSON document") from error
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON document that can be read: {error}") from error
    return value


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn an `InputError` of the block into a `FormatError` that begins with the file's name."""
    try:
        yield
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def mapping(value: object, at: str) -> dict[str, Any]:
    """Return a JSON object; `at` is its key's path."""
    if not isinstance(value, dict):
        raise InputError(f"{at}: expected an object {{...}}, got {_short(value)}")
    return value


def sequence(value: object, at: str) -> list[Any]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise InputError(f"{at}: expected a list [...], got {_short(value)}")
    return value


def string(value: object, at: str) -> str:
    """Return a text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{at}: expected a text, got {_short(value)}")
    return value


def number(value: object, at: str) -> float:
    """Return a finite number, also one that is written as a text."""
    found = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            found = float(value)
    if not math.isfinite(found):
        raise InputError(f"{at}: expected a finite number, got {_short(value)}")
    return found


def whole(value: object, at: str, *, least: int = 0, most: int = _MOST) -> int:
    """Return a whole number from `least` to `most`, also one that is written as a text."""
    found = number(value, at)
    if found != int(found) or not least <= found <= most:
        raise InputError(
            f"{at}: expected a whole number from {least} to {most}, got {_short(value)}"
        )
    return int(found)


def amount(value: object, at: str, kind: Kind) -> float:
    """Return a quantity of 0 or more, with or without a unit (see `gridtwin.sim.units`)."""
    try:
        found = quantity(value, kind)
    except (InputError, OverflowError) as error:
        raise InputError(f"{at}: {error}") from error
    if found < 0:
        raise InputError(f"{at}: expected 0 or more, got {_short(value)}")
    return found


def only(table: dict[str, Any], at: str, needs: Iterable[str], knows: Iterable[str] = ()) -> None:
    """Raise `InputError` where a key in `needs` is missing, or one is in neither list."""
    needs, knows = tuple(needs), tuple(knows)
    for key in needs:
        if key not in table:
            raise InputError(f"{_path(at, key)} is missing; expected {', '.join(needs)}")
    for key in table:
        if key not in needs + knows:
            raise InputError(
                f"{_path(at, key)} is no known key and cannot be represented; "
                f"known here: {', '.join(needs + knows)}"
            )


def _path(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} comes twice in one object")
    return table


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _short(value: object) -> str:
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    words = repr(value)
    return words if len(words) < 80 else words[:77] + "..."
