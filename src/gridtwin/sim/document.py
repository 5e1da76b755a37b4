"""The text form of a platform: one document of tables, written as TOML or JSON.

```toml
[[site]]
name = "CERN"
cores = 4096            # of one pool; or [[site.pool]] tables
speed = "3 Gf"

[[site.storage]]
name = "CERN_DISK"
capacity = "2 TB"
files = { "raw.1" = "4 GB" }

[[link]]
name = "wan"
bandwidth = "10 Gbps"
latency = "5 ms"
ends = ["CERN", "BNL"]  # or [[route]] tables
```
"""

import difflib
import json
import tomllib
from dataclasses import MISSING, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.parts import Link, Pool, Route, Site, Storage
from gridtwin.sim.units import Kind, quantity, text

__all__ = ["build", "parse_file", "parts_of", "render", "render_parts", "to_toml"]

_T = TypeVar("_T")

_QUANTITIES: dict[str, Kind] = {
    "speed": "speed",
    "memory": "bytes",
    "capacity": "bytes",
    "read": "bandwidth",
    "write": "bandwidth",
    "bandwidth": "bandwidth",
    "latency": "time",
}
_POOL = ("cores", "hosts", "speed", "memory")
_SITE = ("name", *_POOL, "pool", "storage", "lan", "country", "tier", "properties")
_TABLES: dict[str, tuple[str, type]] = {"link": ("links", Link), "route": ("routes", Route)}
_PLATFORM = ("site", "link", "route", "routers", "notes")


def parse_file(path: Path) -> dict[str, Any]:
    """Return the document of a TOML file, or of a JSON file if its name ends in ``.json``."""
    form = "JSON" if path.suffix == ".json" else "TOML"
    hint = '{"site": [...]}' if form == "JSON" else "[[site]] tables"
    try:
        content = path.read_text(encoding="utf-8")
        document = json.loads(content) if form == "JSON" else tomllib.loads(content)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: there is no such file; expected a platform {form}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no {form} file ({error}); write {hint}") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} holds a {type(document).__name__}; write {hint}")
    return document


def parts_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a platform from a document; errors name the bad key's path."""
    _only(document, _PLATFORM, "")
    found: dict[str, Any] = {"sites": _tables(document, "site", "", _site)}
    for key, (field, part) in _TABLES.items():
        found[field] = tuple(
            build(part, table, f"{key}[{k}]")
            for k, table in enumerate(_list_of_tables(document, key, ""))
        )
    for key in ("routers", "notes"):
        if key in document:
            found[key] = tuple(_list(document[key], key))
    return found


def build(part: type[_T], table: dict[str, Any], path: str) -> _T:
    """Return a part from its table, quantities with or without units."""
    known = tuple(field.name for field in fields(part))  # type: ignore[arg-type]
    _only(table, known, f"{path}.")
    for field in fields(part):  # type: ignore[arg-type]
        if field.default is MISSING and field.name not in table:
            raise InputError(f"{path}.{field.name} is missing; give it")
    values = {key: _value(key, value, path) for key, value in table.items()}
    try:
        return part(**values)
    except InputError as error:
        raise InputError(f"{path}.{error}") from error


def render(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any part
    """Return a part's table: what differs from the defaults, quantities with units."""
    table: dict[str, Any] = {}
    for field in fields(value):
        given = getattr(value, field.name)
        if given == field.default and field.default is not MISSING:
            continue
        kind = _QUANTITIES.get(field.name)
        if kind:
            given = text(given, kind)
        elif field.name == "files":
            given = {name: text(size, "bytes") for name, size in given}
        elif isinstance(given, tuple):
            given = list(given)
        table[field.name] = given
    return table


def render_parts(
    sites: tuple[Site, ...],
    links: tuple[Link, ...],
    routes: tuple[Route, ...],
    routers: tuple[str, ...],
    notes: tuple[str, ...],
) -> dict[str, Any]:
    """Return the document that `parts_of` reads."""
    document: dict[str, Any] = {}
    if notes:
        document["notes"] = list(notes)
    if routers:
        document["routers"] = list(routers)
    document["site"] = [_site_table(site) for site in sites]
    for key, parts in (("link", links), ("route", routes)):
        if parts:
            document[key] = [render(part) for part in parts]
    return document


def to_toml(document: dict[str, Any]) -> str:
    """Return a document as TOML text."""
    lines = [f"{key} = {_literal(value)}\n" for key, value in document.items() if not _many(value)]
    blocks = ["".join(lines)] if lines else []
    for key, value in document.items():
        if _many(value):
            blocks += [_block(key, table) for table in value]
    return "\n".join(blocks)


def _block(name: str, table: dict[str, Any]) -> str:
    lines = [f"[[{name}]]\n"]
    lines += [f"{k} = {_literal(value)}\n" for k, value in table.items() if not _many(value)]
    for key, value in table.items():
        if _many(value):
            lines += ["\n" + _block(f"{name}.{key}", inner) for inner in value]
    return "".join(lines)


def _many(value: object) -> bool:
    """Return whether a value is a list of tables."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _literal(value: Any) -> str:  # noqa: ANN401 - any TOML value
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {_literal(v)}" for k, v in value.items()) + "}"
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _quoted(value: str) -> str:
    """Return a TOML basic string."""
    escaped = {'"': '\\"', "\\": "\\\\"}
    return (
        '"'
        + "".join(escaped.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in value)
        + '"'
    )


def _site(table: dict[str, Any], path: str) -> Site:
    _only(table, _SITE, f"{path}.")
    if "name" not in table:
        raise InputError(f"{path}.name is missing; a site needs a name")
    if "cores" not in table and "pool" not in table:
        raise InputError(f"{path}.cores is missing; give it, 0 for a site that only holds data")
    short = {key: table[key] for key in _POOL if key in table}
    if short and "pool" in table:
        raise InputError(f"{path}.{next(iter(short))} and {path}.pool are both given; give one")
    pools = _tables(table, "pool", f"{path}.", lambda t, p: build(Pool, t, p))
    if short and short != {"cores": 0}:
        pools = (build(Pool, short, path),)
    values = {key: table[key] for key in ("name", "lan", "country", "tier") if key in table}
    storages = _tables(table, "storage", f"{path}.", lambda t, p: build(Storage, t, p))
    properties = table.get("properties", {})
    if not isinstance(properties, dict):
        raise InputError(f"{path}.properties: expected a table of texts, got {properties!r}")
    try:
        return Site(pools=pools, storages=storages, properties=tuple(properties.items()), **values)
    except InputError as error:
        raise InputError(f"{path}.{error}") from error


def _site_table(site: Site) -> dict[str, Any]:
    table: dict[str, Any] = {"name": site.name}
    pools = [render(pool) for pool in site.pools]
    for k, pool in enumerate(pools):
        if pool["name"] == f"pool{k}":
            del pool["name"]
    if not pools:
        table["cores"] = 0
    if len(pools) == 1 and "name" not in pools[0]:
        table |= pools.pop()
    for key in ("lan", "country", "tier"):
        if getattr(site, key) is not None:
            table[key] = getattr(site, key)
    if site.properties:
        table["properties"] = dict(site.properties)
    if pools:
        table["pool"] = pools
    if site.storages:
        table["storage"] = [render(storage) for storage in site.storages]
    return table


def _value(key: str, value: Any, path: str) -> Any:  # noqa: ANN401 - checked by the part
    try:
        if key in _QUANTITIES:
            return quantity(value, _QUANTITIES[key])
        if key == "files":
            return _files(value)
    except InputError as error:
        raise InputError(f"{path}.{key}: {error}") from error
    return tuple(value) if isinstance(value, list) else value


def _files(value: Any) -> tuple[tuple[str, float], ...]:  # noqa: ANN401 - checked here
    if not isinstance(value, dict):
        raise InputError(f'expected a table such as {{"a" = "2 GB"}}, got {value!r}')
    return tuple((name, quantity(size, "bytes")) for name, size in value.items())


def _tables(table: dict[str, Any], key: str, path: str, make: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return tuple(
        make(inner, f"{path}{key}[{k}]")
        for k, inner in enumerate(_list_of_tables(table, key, path))
    )


def _list_of_tables(table: dict[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    tables = table.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise InputError(f"{path}{key}: expected [[{key}]] tables, got {tables!r}")
    return tables


def _list(value: object, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{key}: expected a list of texts, got {value!r}")
    return value


def _only(table: dict[str, Any], known: tuple[str, ...], path: str) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
            raise InputError(f"{path}{key} is no known key; {hint}")
