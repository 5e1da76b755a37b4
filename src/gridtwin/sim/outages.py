"""When sites are down: calendars of outages, their TOML form, and OSG's list of downtimes.

```toml
[[outage]]
site = "BNL"
start = 2024-06-05T12:00:00Z  # or seconds since 1970
end = 2024-06-06T00:00:00Z    # left out: it never ends
factor = 0.5                  # share of the site's cores that stay; 0 if left out
```
"""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.sim.document import build, parse_file, to_toml
from gridtwin.trace.tables import queue_map

__all__ = ["SEVERITY", "Downtimes", "Outage", "load", "merge", "read_osg", "save"]

SEVERITY: Mapping[str, float] = {
    "Outage": 0.0,
    "Severe": 0.25,
    "Intermittent Outage": 0.5,
    "No Significant Outage Expected": 1.0,
}
"""Share of a site's cores that stay in a downtime of each severity: estimates but for the ends."""

_OSG = ("resource_group", "resource", "severity", "start_time", "end_time", "services")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Outage:
    """A time in which a site has fewer cores, or none."""

    site: str
    start: float
    """Seconds since 1970 in UTC, or in the clock of the simulated jobs; so is `end`."""
    end: float = math.inf
    """Infinite: it never ends."""
    factor: float = 0.0
    """Share of the site's cores that stay, 0 to below 1."""

    def __post_init__(self) -> None:
        if not isinstance(self.site, str) or not self.site.strip():
            raise InputError(f"site: expected the site's name, a text, got {self.site!r}")
        for key in ("start", "end", "factor"):
            object.__setattr__(self, key, _seconds(key, getattr(self, key)))
        if not math.isfinite(self.start):
            raise InputError(f"start: expected a finite time, got {self.start}")
        if not self.end > self.start:
            raise InputError(f"end: expected a time after the start {self.start}, got {self.end}")
        if not 0 <= self.factor < 1:
            raise InputError(f"factor: expected 0 to below 1, got {self.factor}")


@dataclass(frozen=True)
class Downtimes:
    """Outages from a list of downtimes, and what became of its rows."""

    outages: tuple[Outage, ...]
    rows: int
    """Of the list."""
    skipped: Mapping[str, int]
    """Rows that gave no outage, by reason; a row is counted under its first reason."""
    shortened: int
    """Rows that lasted longer than the cap and were cut to it."""


def load(path: Path | str) -> tuple[Outage, ...]:
    """Read a calendar from a TOML file, or JSON if its name ends in ``.json``.

    Raises `FormatError` naming the file and the key.
    """
    path = Path(path)
    document = parse_file(path)
    tables = document.get("outage")
    if set(document) != {"outage"} or not isinstance(tables, list):
        raise FormatError(f"{path}: expected [[outage]] tables and nothing else, got {[*document]}")
    outages = []
    for k, table in enumerate(tables):
        if not isinstance(table, dict):
            raise FormatError(f"{path}: outage[{k}]: expected a table, got {table!r}")
        try:
            outages.append(build(Outage, table, f"outage[{k}]"))
        except InputError as error:
            raise FormatError(f"{path}: {error}") from error
    return tuple(outages)


def save(path: Path | str, outages: Iterable[Outage]) -> None:
    """Write the TOML form, or JSON if the name ends in ``.json``."""
    tables = []
    for outage in outages:
        table: dict[str, Any] = {"site": outage.site, "start": _instant(outage.start)}
        if math.isfinite(outage.end):
            table["end"] = _instant(outage.end)
        if outage.factor:
            table["factor"] = outage.factor
        tables.append(table)
    if Path(path).suffix == ".json":
        content = json.dumps({"outage": tables}, indent=1, default=str)
    else:
        content = to_toml({"outage": tables}) if tables else "outage = []\n"
    with writing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def merge(outages: Iterable[Outage]) -> tuple[Outage, ...]:
    """Return outages that do not overlap, by site and start; where several did, the worst counts.

    Outages of one factor that touch become one. Time grows with n log n.
    """
    sites: dict[str, list[tuple[Outage, str]]] = {}
    for outage in outages:
        sites.setdefault(outage.site, []).append((outage, ""))
    return tuple(found for site in sorted(sites) for found in _sweep(site, sites[site], 1))


def read_osg(
    path: Path | str,
    *,
    sites: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
    resources: Path | str | None = None,
    longest: float = 30 * 86400.0,
    severity: Mapping[str, float] = SEVERITY,
) -> Downtimes:
    """Read the downtimes of compute services from OSG's list, a CSV file.

    Parameters
    ----------
    sites
        Names of a platform's sites: what is at no such site is skipped. None: all are kept.
    names
        Site of an OSG resource group. Others are looked up in `gridtwin.trace.tables.queue_map`
        by their ATLAS, queue or site name, whatever the case; else the group is the site.
    resources
        OSG's list of resources: each of the n compute services of a group that are listed there
        stands for 1/n of its site's cores. None: a service that is down takes the whole site.
    longest
        Seconds to which longer downtimes are cut: some are left open for years.
    severity
        Share of the cores that stay.

    Raises
    ------
    FormatError
        If the file is no such list.
    """
    frame = _read_csv(path, _OSG)
    wanted, known = None if sites is None else frozenset(sites), _known_names(names or {})
    services = {} if resources is None else _services(resources)
    start, end = (_times(frame, name) for name in ("start_time", "end_time"))
    skipped: dict[str, int] = {}
    found: dict[str, list[tuple[Outage, str]]] = {}
    shares: dict[str, set[str]] = {}
    shortened = 0
    for row, begun, ended in zip(frame.iter_rows(named=True), start, end, strict=True):
        site = known.get(row["resource_group"].lower(), row["resource_group"])
        reason = _reason(row, begun, ended, severity)
        if reason is None and wanted is not None and site not in wanted:
            reason = "site not in the platform"
        if reason is not None or begun is None or ended is None:
            skipped[str(reason)] = skipped.get(str(reason), 0) + 1
            continue
        shortened += ended - begun > longest
        outage = Outage(site, begun, min(ended, begun + longest), severity[row["severity"]])
        found.setdefault(site, []).append((outage, row["resource"]))
        shares.setdefault(site, set()).update(services.get(row["resource_group"], ()))
    outages: list[Outage] = []
    for site in sorted(found):
        down = {name for _, name in found[site]}
        parts = 1 if resources is None else len(shares[site] | down)
        spans = [(o, "" if resources is None else name) for o, name in found[site]]
        outages += _sweep(site, spans, parts)
    return Downtimes(tuple(outages), frame.height, skipped, shortened)


def _sweep(site: str, spans: list[tuple[Outage, str]], parts: int) -> list[Outage]:
    """Return disjoint outages of a site of `parts` equal parts, each span being of one of them.

    Of the overlapping outages of a part the worst counts; the parts' losses add up.
    """
    events = [(o.start, 1, k) for k, (o, _) in enumerate(spans)]
    events += [(o.end, 0, k) for k, (o, _) in enumerate(spans)]
    active: dict[str, dict[int, float]] = {}
    out: list[Outage] = []
    since, factor = 0.0, 1.0
    for at, (time, begins, k) in enumerate(events := sorted(events)):
        outage, part = spans[k]
        if begins:
            active.setdefault(part, {})[k] = outage.factor
        else:
            del active[part][k]
        if at + 1 < len(events) and events[at + 1][0] == time:
            continue
        lost = sum(1 - min(of.values()) for of in active.values() if of)
        now = max(0.0, round(1 - lost / parts, 9))
        if now != factor:
            if factor < 1:
                out.append(Outage(site, since, time, factor))
            since, factor = time, now
    return out


def _reason(
    row: dict[str, Any], start: float | None, end: float | None, severity: Mapping[str, float]
) -> str | None:
    """Return why a row of OSG's list gives no outage, None if it gives one."""
    if "CE" not in (row["services"] or "").split("|"):
        return "no compute service"
    if row["severity"] not in severity:
        return "unknown severity"
    if severity[row["severity"]] >= 1:
        return "no significant outage"
    if start is None or end is None:
        return "time not readable"
    return None if end > start else "ends when it starts, or before"


def _known_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return the site of each name that an OSG resource group may have, in lower case."""
    known: dict[str, str] = {}
    table = queue_map()
    for column in ("atlas_site", "site", "queue"):
        for name, site in zip(table[column], table["site"], strict=True):
            if name is not None:
                known.setdefault(name.lower(), site)
    return known | {name.lower(): site for name, site in names.items()}


def _services(path: Path | str) -> dict[str, set[str]]:
    """Return the active compute services of each resource group in OSG's list of resources."""
    columns = ("resource_group", "resource", "services", "active", "disable")
    frame = _read_csv(path, columns).filter(
        pl.col("services").str.split("|").list.contains("CE"),
        pl.col("active") == "True",
        pl.col("disable").fill_null("") != "True",
    )
    groups = frame.group_by("resource_group").agg("resource")
    return {group: set(of) for group, of in groups.iter_rows()}


def _read_csv(path: Path | str, columns: tuple[str, ...]) -> pl.DataFrame:
    path = Path(path)
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise InputError(f"no file {str(path)!r}: give a CSV of OSG's topology") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(f"{path} is no readable CSV of OSG's topology: {error}") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise FormatError(f"{path} lacks the columns {', '.join(missing)}; expected OSG's own")
    return frame.with_columns(pl.col("resource_group", "resource").fill_null(""))


def _times(frame: pl.DataFrame, column: str) -> list[float | None]:
    """Return times such as ``Jun 5, 2016 12:00 +0000`` as seconds, whatever their offset."""
    parsed = frame[column].str.to_datetime("%b %d, %Y %H:%M %z", time_unit="us", strict=False)
    return (parsed.dt.epoch("us") / 1e6).to_list()


def _seconds(key: str, value: object) -> float:
    """Return a number, or a date-time (UTC unless it has an offset) as seconds since 1970."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return float((value - _EPOCH).total_seconds())
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InputError(f"{key}: expected a number or a date-time, got {value!r}")
    return float(value)


def _instant(seconds: float) -> datetime | float:
    """Return a date-time from 1990 on if it is the same instant, as it is easier to read."""
    if not 631152000 <= seconds < 4102444800:
        return seconds
    instant = _EPOCH + timedelta(seconds=seconds)
    return instant if (instant - _EPOCH).total_seconds() == seconds else seconds
