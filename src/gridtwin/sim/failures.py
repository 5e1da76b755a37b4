"""Failures as a file: how often jobs fail, in which ways, and how they are tried again.

```toml
chance = 0.05             # of each attempt; or a table of sites: [chance] then CERN = 0.03, …
attempts = 3              # the most of a job
retry_delay = "10 min"
elsewhere = 0.8           # chance that a retry avoids the site of the attempt before
again = 0.3               # how much likelier what failed fails again

[[failure]]
code = "pilot:1305"
share = 0.7               # of the failures
moment = [0.0, 0.1, 1.0]  # quantiles of the share of the payload that is done when it fails
```
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.document import parse_file
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.units import quantity

__all__ = ["load"]

_KNOWN = ("chance", "again", "attempts", "retry_delay", "elsewhere", "failure")


def load(path: Path | str) -> Faults:
    """Read failures from a TOML file, or JSON if its name ends in ``.json``.

    Raises `FormatError` naming the file and the key.
    """
    path = Path(path)
    document = parse_file(path)
    try:
        return _faults(document)
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def _faults(document: Mapping[str, Any]) -> Faults:
    _only(document, _KNOWN, "")
    values: dict[str, Any] = {}
    for key in ("again", "elsewhere"):
        if key in document:
            values[key] = _number(document[key], key)
    if "chance" in document:
        chance = document["chance"]
        values["chance"] = (
            {site: _number(value, f"chance.{site}") for site, value in chance.items()}
            if isinstance(chance, Mapping)
            else _number(chance, "chance")
        )
    if "retry_delay" in document:
        try:
            values["retry_delay"] = quantity(document["retry_delay"], "time")
        except InputError as error:
            raise InputError(f"retry_delay: {error}") from error
    if "attempts" in document:
        attempts = document["attempts"]
        if isinstance(attempts, bool) or not isinstance(attempts, int):
            raise InputError(f"attempts: expected a whole number from 1, got {attempts!r}")
        values["attempts"] = attempts
    if "failure" in document:
        tables = document["failure"]
        if not isinstance(tables, list):
            raise InputError(f"failure: expected [[failure]] tables, got {tables!r}")
        values["failures"] = tuple(_failure(t, f"failure[{k}]") for k, t in enumerate(tables))
    faults = Faults(**values)
    faults.shares(1)
    faults.moments()
    return faults


def _failure(table: object, at: str) -> Failure:
    if not isinstance(table, Mapping):
        raise InputError(f"{at}: expected a table, got {table!r}")
    _only(table, tuple(f.name for f in fields(Failure)), at)
    code = table.get("code")
    if not isinstance(code, str) or ":" not in code:
        raise InputError(f"{at}.code: expected a text as 'component:code', got {code!r}")
    moment = table.get("moment", [0.0, 1.0])
    if not isinstance(moment, list):
        raise InputError(f"{at}.moment: expected a list of numbers, got {moment!r}")
    return Failure(
        code,
        _number(table.get("share", 1.0), f"{at}.share"),
        tuple(_number(value, f"{at}.moment[{k}]") for k, value in enumerate(moment)),
    )


def _number(value: object, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InputError(f"{at}: expected a number from 0, got {value!r}")
    return float(value)


def _only(table: Mapping[str, Any], known: tuple[str, ...], at: str) -> None:
    for key in table:
        if key not in known:
            where = f"{at}.{key}" if at else key
            raise InputError(f"{where}: unknown key; known are {', '.join(known)}")
