"""A platform from ATLAS's tables of queues and of the links between its sites.

Both are JSON objects. Queues: ``{queue: {"RSE": {name: TB}, "GFLOPS": n}}``, with ``CPUCount`` and
``CPUSpeed`` (a list, flop/s) in one of its forms. Links: ``{"SRC:DST": {"closeness": {"latest":
0 (near) to 11}, "mbps": {"dashb": {"1h" | "1d" | "1w": Mb/s}}}}``, directed.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.builders.geography import one_way
from gridtwin.sim.builders.records import SPEED
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.trace import tables

__all__ = ["GFLOPS_PER_CORE", "from_atlas"]

GFLOPS_PER_CORE = 16_000.0
"""Of the GFLOPS that the table gives a queue, to one core of it: so are its own CPU counts."""

_SHARED = ("VP", "direct", "test")
_WINDOWS = ("1h", "1d", "1w")
_UNKNOWN_LATENCY = 0.05
_ABSENT = -99


@dataclass(frozen=True)
class _Measured:
    """What the table of links says of one direction."""

    closeness: int | None
    bandwidth: float | None
    """Bytes per second."""


def from_atlas(
    queues: Path | str,
    links: Path | str | None = None,
    *,
    speed: float = SPEED,
    gflops_per_core: float = GFLOPS_PER_CORE,
) -> Platform:
    """Return ATLAS's sites with their storages and, with the table of links, each pair's link.

    Parameters
    ----------
    queues, links
        The two JSON files; ``.gz`` is read too.
    speed
        flop/s per core where the table gives none.
    gflops_per_core
        Cores of a queue are its GFLOPS over this, rounded down, where it gives no ``CPUCount``.

    Queues are put together to sites by `gridtwin.trace.tables.queue_map`, a queue that it does not
    know is a site of its own. Queues of the kinds VP, direct and test share their site's hardware:
    they are counted only where a site has no others. A storage that several sites list goes to
    the one that its name begins with, else to the largest. A link has the largest of the measured
    rates, the median of the pairs of equal closeness where nothing was measured, and a latency
    from the sites' positions, likewise the median of equal closeness where they are not known.
    The notes count all this.

    Raises
    ------
    InputError, FormatError
        Where there is no such file, or it is no such table.
    """
    table = _read(queues)
    for queue, entry in table.items():
        _check_queue(f"{queues}: {queue}", entry)
    mapped = {name: (site, kind) for name, site, kind, _ in tables.queue_map().iter_rows()}
    groups: dict[str, list[str]] = {}
    for queue in table:
        groups.setdefault(mapped.get(queue, (queue, ""))[0], []).append(queue)
    kinds = {queue: mapped.get(queue, (queue, ""))[1] for queue in table}
    pools = {
        site: _pools([table[q] for q in _counted(of, kinds)], speed, gflops_per_core)
        for site, of in groups.items()
    }
    notes = [
        f"{len(table)} queues of {Path(queues).name} at {len(groups)} sites, "
        f"{sum(queue in mapped for queue in table)} of them by the map of queues; "
        f"{sum(len(of) - len(_counted(of, kinds)) for of in groups.values())} share hardware and "
        "are not counted",
        f"cores: GFLOPS / {gflops_per_core:g} where there is no count of CPUs, speeds: "
        f"{speed:.4g} flop/s per core where none is given: estimates",
    ]
    if empty := [site for site, of in pools.items() if not of]:
        notes.append(f"no cores at {', '.join(empty)}")
    storages, told = _storages(table, groups, pools)
    sites = tuple(Site(name, pools[name], storages[name]) for name in groups)
    if links is None:
        return Platform(sites, notes=(*notes, told))
    network, routes, said = _network(links, list(groups))
    return Platform(sites, network, routes, notes=(*notes, told, *said))


def _read(path: Path | str) -> dict[str, Any]:
    path = Path(path)
    try:
        raw = path.read_bytes()
        document = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except FileNotFoundError as error:
        raise InputError(f"no file {str(path)!r}: give one of ATLAS's tables, JSON") from error
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON file ({error}); expected an ATLAS table") from error
    if not isinstance(document, dict) or not document:
        raise FormatError(f"{path}: expected a JSON object of queues or links, with one or more")
    return document


def _check_queue(where: str, entry: Any) -> None:  # noqa: ANN401 - checked here
    if not isinstance(entry, dict) or not _is_number(entry.get("GFLOPS")):
        raise FormatError(f'{where}: expected {{"RSE": {{...}}, "GFLOPS": number}}')
    rses, speeds = entry.get("RSE"), entry.get("CPUSpeed", [])
    if not isinstance(rses, dict) or not all(map(_is_number, rses.values())):
        raise FormatError(f"{where}.RSE: expected names and TB, got {str(rses)[:80]}")
    if not isinstance(speeds, list) or not all(_is_number(v) and float(v) > 0 for v in speeds):
        raise FormatError(f"{where}.CPUSpeed: expected a list of flop/s, got {str(speeds)[:80]}")
    if len(speeds) != entry.get("CPUCount", len(speeds)):
        raise FormatError(f"{where}.CPUSpeed: expected {entry['CPUCount']} speeds, one per CPU")


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and 0 <= float(value) < float("inf")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _counted(queues: list[str], kinds: dict[str, str]) -> list[str]:
    """Return the queues of a site with hardware of their own; all if there are none."""
    return [queue for queue in queues if kinds[queue] not in _SHARED] or queues


def _pools(entries: list[dict[str, Any]], speed: float, per_core: float) -> tuple[Pool, ...]:
    """Return one pool per speed, the fastest first."""
    cores: Counter[float] = Counter()
    for entry in entries:
        if "CPUCount" in entry:
            cores.update(map(float, entry["CPUSpeed"]))
        else:
            cores[speed] += int(float(entry["GFLOPS"]) // per_core)
    return tuple(Pool(n, speed=rate) for rate, n in sorted(cores.items(), reverse=True) if n)


def _storages(
    table: dict[str, Any], groups: dict[str, list[str]], pools: dict[str, tuple[Pool, ...]]
) -> tuple[dict[str, tuple[Storage, ...]], str]:
    """Return each site's storages, each storage at one site, and a note."""
    listed: dict[str, dict[str, float]] = {}
    for site, queues in groups.items():
        for queue in queues:
            for rse, size in table[queue]["RSE"].items():
                listed.setdefault(rse, {})[site] = float(size)
    size_of = {site: sum(pool.cores for pool in of) for site, of in pools.items()}
    out: dict[str, list[Storage]] = {site: [] for site in groups}
    unstated = 0
    for rse, at in listed.items():
        owner = max(at, key=lambda site: (rse.startswith(site) * len(site), size_of[site]))
        kind = "tape" if "TAPE" in rse else "cache" if "VP_DISK" in rse else "disk"
        capacity = None if kind == "tape" else round(max(at.values()) * 1e12)
        unstated += capacity == 0
        out[owner].append(Storage(rse, capacity, kind=kind))  # type: ignore[arg-type]
    several = sum(len(at) > 1 for at in listed.values())
    note = (
        f"{len(listed)} storages, {several} of which several sites list; {unstated} disks of no "
        "stated size hold nothing, tapes are not limited"
    )
    return {site: tuple(of) for site, of in out.items()}, note


def _network(
    path: Path | str, sites: list[str]
) -> tuple[tuple[Link, ...], tuple[Route, ...], list[str]]:
    """Return a link and a route for each ordered pair of sites, and notes."""
    measured = {pair: _measurement(f"{path}: {pair}", entry) for pair, entry in _read(path).items()}
    known = {name for pair in measured for name in pair.split(":")}
    names = {
        site: atlas
        for _, site, _, atlas in tables.queue_map().iter_rows()
        if atlas in known and site in sites
    } | {site: site for site in sites if site in known}
    position = {
        site: (lat, lon) for site, lat, lon in tables.sites().select("site", "lat", "lon").rows()
    }
    pairs = {(a, b): measured.get(f"{names.get(a)}:{names.get(b)}") for a, b in _ordered(sites)}
    closeness = {pair: m.closeness if m else _ABSENT for pair, m in pairs.items()}
    latency = _filled(
        {
            pair: one_way(position[pair[0]], position[pair[1]])
            for pair in pairs
            if pair[0] in position and pair[1] in position
        },
        closeness,
        _UNKNOWN_LATENCY,
    )
    rate = {pair: m.bandwidth for pair, m in pairs.items() if m and m.bandwidth}
    if not rate:
        raise FormatError(f"{path}: no rate between the sites of the queues; is it the same grid?")
    bandwidth = _filled(rate, closeness, 0.0)
    links = tuple(Link(f"{a}>{b}", bandwidth[a, b], latency[a, b]) for a, b in pairs)
    routes = tuple(Route(a, b, (f"{a}>{b}",), symmetric=False) for a, b in pairs)
    without = [site for site in sites if site not in names]
    unused = len(known - set(names.values()))
    notes = [
        f"{len(pairs):,} directed links, {len(rate):,} measured: the largest of the mean rates, "
        "which is what was carried, not what could be; the others have the median of the "
        "measured of equal closeness",
        "latencies from the sites' positions, else the median of equal closeness: estimates",
        f"{len(names)} of {len(sites)} sites are in the table of links; {unused} sites of that "
        "table have no queue and are left out",
    ]
    if without:
        notes.append(f"not in the table of links: {', '.join(without)}")
    return links, routes, notes


def _ordered(sites: list[str]) -> Iterator[tuple[str, str]]:
    return ((a, b) for a in sites for b in sites if a != b)


def _measurement(where: str, entry: Any) -> _Measured:  # noqa: ANN401 - checked here
    pair = where.rpartition(": ")[2]
    if not isinstance(entry, dict) or pair.count(":") != 1:
        raise FormatError(f'{where}: expected "SOURCE:DESTINATION": {{...}}')
    try:
        closeness = entry.get("closeness", {}).get("latest")
        rates = entry.get("mbps", {}).get("dashb", {})
        found = [float(rates[window]) for window in _WINDOWS if window in rates]
    except (AttributeError, TypeError, ValueError) as error:
        raise FormatError(f"{where}: closeness or mbps are not as expected ({error})") from error
    if closeness is not None and not isinstance(closeness, int):
        raise FormatError(f"{where}.closeness.latest: expected a whole number, got {closeness!r}")
    if not all(_is_number(rate) for rate in found):
        raise FormatError(f"{where}.mbps.dashb: expected numbers of 0 or more, got {found}")
    return _Measured(closeness, max(found) * 1e6 / 8 if found else None)


def _filled(
    known: dict[tuple[str, str], float],
    closeness: dict[tuple[str, str], int | None],
    default: float,
) -> dict[tuple[str, str], float]:
    """Return a value for every pair: its own, the median of its closeness, or of all."""
    classes: dict[int | None, list[float]] = {}
    for pair, value in known.items():
        classes.setdefault(closeness[pair], []).append(value)
    middle = {of: median(values) for of, values in classes.items()}
    overall = median(known.values()) if known else default
    return {pair: known.get(pair, middle.get(of, overall)) for pair, of in closeness.items()}
