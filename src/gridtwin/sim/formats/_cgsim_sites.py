"""The sites and connections of CGSim's JSON as parts of a platform; see `cgsim`."""

import json
import math
from collections import Counter
from typing import Any

from gridtwin.core.errors import InputError
from gridtwin.sim.formats._json import amount, mapping, number, only, sequence, string, whole
from gridtwin.sim.platform import Link, Pool, Route, Site, Storage

__all__ = ["byte_text", "connections_of", "plain", "site_of"]

_MOST_HOSTS = 2**40
_TB = 1e12
_CPU = ("units", "cores", "speed", "BW_CPU", "LAT_CPU", "disks")


def site_of(name: str, value: object) -> tuple[Site, Link | None]:
    """Return a site and its lan."""
    if ":" in name or not name.strip():
        raise InputError(f"{name!r}: a site's name is a text without ':', which parts two names")
    table = mapping(value, name)
    if "RSE" in table:
        return _queue(name, table), None
    only(table, name, ("SITE_PROPERTIES", "CPUInfo"), ("files",))
    about = mapping(table["SITE_PROPERTIES"], f"{name}.SITE_PROPERTIES")
    only(about, f"{name}.SITE_PROPERTIES", ("storage_capacity_bytes",), about)
    at = f"{name}.SITE_PROPERTIES.storage_capacity_bytes"
    capacity = amount(about["storage_capacity_bytes"], at, "bytes")
    kept = {
        key: plain(word, f"{name}.SITE_PROPERTIES.{key}")
        for key, word in about.items()
        if key != "storage_capacity_bytes"
    }
    cpus = [
        _cpu(value, f"{name}.CPUInfo[{k}]")
        for k, value in enumerate(sequence(table["CPUInfo"], f"{name}.CPUInfo"))
    ]
    for k, cpu in enumerate(cpus):
        if not cpu["hosts"]:
            kept[f"CPUInfo[{k}]"] = json.dumps(cpu["raw"])
    running = {k: cpu for k, cpu in enumerate(cpus) if cpu["hosts"]}
    kept |= _unequal(running)
    lan = _lan(name, list(running.values()))
    files = tuple(
        _file(pair, f"{name}.files[{k}]")
        for k, pair in enumerate(sequence(table.get("files", []), f"{name}.files"))
    )
    storages = _storages(name, list(running.values()), capacity, files)
    pools = tuple(
        Pool(cpu["cores"], cpu["hosts"], cpu["speed"], cpu["ram"]) for cpu in running.values()
    )
    try:
        site = Site(
            name, pools, storages, lan.name if lan else None, properties=tuple(kept.items())
        )
    except InputError as error:
        raise InputError(f"{name}.{error}") from error
    return site, lan


def _cpu(value: object, at: str) -> dict[str, Any]:
    """Return an entry of CPUInfo in numbers, and as it stands (``raw``)."""
    table = mapping(value, at)
    only(table, at, _CPU, ("properties",))
    ram = None
    for k, extra in enumerate(sequence(table.get("properties", []), f"{at}.properties")):
        only(mapping(extra, f"{at}.properties[{k}]"), f"{at}.properties[{k}]", (), ("ram",))
        if ram is not None and extra:
            raise InputError(f"{at}.properties[{k}].ram: there is another before; give one")
        ram = amount(extra["ram"], f"{at}.properties[{k}].ram", "bytes") if extra else ram
    disks: dict[str, tuple[float, float]] = {}
    for k, disk in enumerate(sequence(table["disks"], f"{at}.disks")):
        here = f"{at}.disks[{k}]"
        only(mapping(disk, here), here, ("name", "read_bw", "write_bw"))
        name = string(disk["name"], f"{here}.name")
        if name in disks:
            raise InputError(f"{here}.name: {name!r} is taken; a host's disks have distinct names")
        disks[name] = (
            amount(disk["read_bw"], f"{here}.read_bw", "bandwidth"),
            amount(disk["write_bw"], f"{here}.write_bw", "bandwidth"),
        )
    speed = amount(table["speed"], f"{at}.speed", "speed")
    for key, found in (("speed", speed), ("properties.ram", ram)):
        if found == 0:
            raise InputError(f"{at}.{key}: expected a number above 0, got 0")
    return {
        "raw": table,
        "hosts": whole(table["units"], f"{at}.units", most=_MOST_HOSTS),
        "cores": whole(table["cores"], f"{at}.cores", least=1, most=_MOST_HOSTS),
        "speed": speed,
        "ram": ram,
        "bandwidth": amount(table["BW_CPU"], f"{at}.BW_CPU", "bandwidth"),
        "latency": amount(table["LAT_CPU"], f"{at}.LAT_CPU", "time"),
        "disks": disks,
    }


def _unequal(cpus: dict[int, dict[str, Any]]) -> dict[str, str]:
    """Return, as properties, what differs among the entries and becomes one value of the site."""
    kept = {}
    for key, name in (("bandwidth", "BW_CPU"), ("latency", "LAT_CPU"), ("disks", "disks")):
        if any(cpu[key] != next(iter(cpus.values()))[key] for cpu in cpus.values()):
            for k, cpu in cpus.items():
                raw = cpu["raw"][name]
                kept[f"CPUInfo[{k}].{name}"] = raw if isinstance(raw, str) else json.dumps(raw)
    return kept


def _lan(name: str, cpus: list[dict[str, Any]]) -> Link | None:
    if not cpus:
        return None
    bandwidth = min(cpu["bandwidth"] for cpu in cpus)
    return Link(f"{name}/lan", bandwidth, max(cpu["latency"] for cpu in cpus), "fatpipe")


def _storages(
    site: str, cpus: list[dict[str, Any]], capacity: float, files: tuple[tuple[str, float], ...]
) -> tuple[Storage, ...]:
    """Return a storage for each name of a disk; without disks one, unless nothing is stored."""
    names = list(dict.fromkeys(name for cpu in cpus for name in cpu["disks"]))
    if not names:
        if not capacity and not files:
            return ()
        return (_storage(site, f"{site}_STORAGE", capacity, files, None, None),)
    found = []
    for k, name in enumerate(names):
        read, write = (
            math.fsum(
                cpu["hosts"] * cpu["disks"][name][way] for cpu in cpus if name in cpu["disks"]
            )
            for way in (0, 1)
        )
        holds = (0.0, ()) if k else (capacity, files)
        found.append(_storage(site, name, *holds, read, write))
    return tuple(found)


def _storage(
    site: str,
    name: str,
    capacity: float,
    files: tuple[tuple[str, float], ...],
    read: float | None,
    write: float | None,
) -> Storage:
    try:
        return Storage(name, capacity, read, write, files=files)
    except InputError as error:
        raise InputError(f"{site}: storage {name}: {error}") from error


def _queue(name: str, table: dict[str, Any]) -> Site:
    """Return a site of the older form."""
    only(table, name, ("RSE", "GFLOPS"), ("CPUCount", "CPUSpeed"))
    rses = mapping(table["RSE"], f"{name}.RSE")
    storages = []
    for rse, size in rses.items():
        found = amount(size, f"{name}.RSE.{rse}", "bytes") * _TB
        stated = isinstance(size, str)
        storages.append(_storage(name, rse, found if stated or found else None, (), None, None))  # type: ignore[arg-type]
    speeds = Counter(
        amount(speed, f"{name}.CPUSpeed[{k}]", "speed")
        for k, speed in enumerate(sequence(table.get("CPUSpeed", []), f"{name}.CPUSpeed"))
    )
    count = whole(table.get("CPUCount", 0), f"{name}.CPUCount")
    if count != speeds.total():
        raise InputError(f"{name}.CPUCount: {count}, but CPUSpeed has {speeds.total()} entries")
    try:
        pools = tuple(Pool(1, hosts, speed) for speed, hosts in speeds.items())
        gflops = plain(table["GFLOPS"], f"{name}.GFLOPS")
        return Site(name, pools, tuple(storages), properties=(("GFLOPS", gflops),))
    except InputError as error:
        raise InputError(f"{name}.{error}") from error


def _file(pair: object, at: str) -> tuple[str, float]:
    values = sequence(pair, at)
    if len(values) != 2:
        raise InputError(f"{at}: expected a pair of id and bytes, got {len(values)} values")
    return string(values[0], f"{at}[0]"), amount(values[1], f"{at}[1]", "bytes")


def connections_of(
    table: dict[str, Any], sites: set[str]
) -> tuple[tuple[Link, ...], tuple[Route, ...]]:
    """Return the links and routes; one direction stands for both unless both are given."""
    links, routes = [], []
    for pair, value in table.items():
        source, colon, destination = pair.partition(":")
        if not colon or source == destination or not {source, destination} <= sites:
            raise InputError(f"{pair}: expected 'A:B' for two different sites of the sites file")
        only(mapping(value, pair), pair, ("bandwidth", "latency"))
        bandwidth = amount(value["bandwidth"], f"{pair}.bandwidth", "bandwidth")
        latency = amount(value["latency"], f"{pair}.latency", "time")
        links.append(Link(f"{source}->{destination}", bandwidth, latency))
        one_way = f"{destination}:{source}" in table
        routes.append(Route(source, destination, (links[-1].name,), symmetric=not one_way))
    return tuple(links), tuple(routes)


def byte_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def plain(value: object, at: str) -> str:
    """Return a text, or a number as one."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool) else byte_text(number(value, at))
