"""CGSim's input: sites JSON, connections JSON and config JSON; its jobs are in `cgsim_jobs`.

What becomes of a site:

- ``CPUInfo[k]`` is a pool: ``units`` hosts of ``cores`` cores at ``speed`` flop/s, a bare number,
  with ``ram``. An entry of 0 units is kept as the property ``CPUInfo[k]``.
- ``BW_CPU`` and ``LAT_CPU`` are the link of each host, so the site's lan is a fatpipe. Where the
  entries differ, it has the least bandwidth and the greatest latency of them.
- Every host has its own ``disks``; a `Storage` of that name reads and writes with what they have
  together. ``storage_capacity_bytes`` and ``files`` belong to the site: its first storage has
  them, the others hold nothing.
- All other ``SITE_PROPERTIES`` are properties. ``GFLOPS`` is the speed of the core on which the
  jobs' CPU time was taken: see `reference_speed`.

A connection ``A:B`` is a link that both directions share, and the route between the sites; there
are no others, as CGSim has no routes over several links.

The older form of a site, ``RSE`` (name: TB, 0 where that is not known), ``GFLOPS`` and, where
there are, ``CPUCount`` and ``CPUSpeed``, is read too: a storage for each RSE, hosts of one core.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.sim.formats._cgsim_sites import byte_text, connections_of, plain, site_of
from gridtwin.sim.formats._json import amount, load, mapping, naming, only, sequence, string
from gridtwin.sim.platform import Link, Platform, Site, Storage
from gridtwin.sim.units import Kind, text

__all__ = [
    "Config",
    "read_config",
    "read_platform",
    "reference_speed",
    "write_config",
    "write_platform",
]

_UNITS: dict[Kind, str] = {"bandwidth": "Bps", "time": "s", "bytes": "B"}


@dataclass(frozen=True)
class Config:
    """A CGSim run: which files, which plugin, which sites."""

    name: str
    sites: str
    connections: str
    plugin: str
    limited_sites: tuple[str, ...] = ()
    """The only sites that take part; all where there are none."""
    custom: tuple[tuple[str, str], ...] = ()
    """The plugin's own parameters, such as ``jobs_file`` and ``Num_of_Jobs`` ("-1": all)."""

    def files(self, folder: Path) -> tuple[Path, Path]:
        """Return the files of sites and connections, which lie at their paths or in `folder`."""
        return _beside(self.sites, folder), _beside(self.connections, folder)

    def jobs_file(self, folder: Path) -> Path:
        """Return the file of jobs, which lies at its path or in `folder`."""
        name = dict(self.custom).get("jobs_file")
        if not name:
            raise InputError("Custom_Parameters.jobs_file is missing; name the jobs CSV there")
        return _beside(name, folder)


def read_config(path: Path | str) -> Config:
    """Read a config JSON; the plugin may be called ``Dispatcher_Plugin`` as in older ones."""
    path = Path(path)
    with naming(path):
        table = mapping(load(path), "the document")
        plugin = "Dispatcher_Plugin" if "Dispatcher_Plugin" in table else "Plugin"
        names = ("Grid_Name", "Sites_Information", "Sites_Connection_Information", plugin)
        only(table, "", (*names, "Limited_Sites", "Custom_Parameters"))
        limited = sequence(table["Limited_Sites"], "Limited_Sites")
        custom = mapping(table["Custom_Parameters"], "Custom_Parameters")
        given, sites, connections, library = (string(table[name], name) for name in names)
        return Config(
            given,
            sites,
            connections,
            library,
            tuple(string(site, f"Limited_Sites[{k}]") for k, site in enumerate(limited)),
            tuple((key, plain(value, f"Custom_Parameters.{key}")) for key, value in custom.items()),
        )


def write_config(config: Config, path: Path | str) -> None:
    """Write a config JSON."""
    document = {
        "Grid_Name": config.name,
        "Sites_Information": config.sites,
        "Sites_Connection_Information": config.connections,
        "Plugin": config.plugin,
        "Limited_Sites": list(config.limited_sites),
        "Custom_Parameters": dict(config.custom),
    }
    _write(document, path)


def read_platform(path: Path | str, connections: Path | str | None = None) -> Platform:
    """Read a platform from a sites JSON, with the connections JSON if given, or a config JSON.

    A config names both; of its ``Limited_Sites``, where there are, the others are left out.
    Raises `FormatError` naming the file and the key's path, for all that is not represented too.
    """
    path = Path(path)
    document = load(path)
    with naming(path):
        table = mapping(document, "the document")
        if "Sites_Information" in table:
            return _configured(path)
        if not table:
            raise InputError("there is no site; expected an object of sites by name")
        sites, links = zip(*(site_of(name, value) for name, value in table.items()), strict=True)
    lans = tuple(link for link in links if link is not None)
    if connections is None:
        return Platform(sites, lans)
    path = Path(connections)
    with naming(path):
        wan, routes = connections_of(mapping(load(path), "the document"), set(table))
        return Platform(sites, lans + wan, routes)


def write_platform(platform: Platform, path: Path | str, connections: Path | str) -> None:
    """Write the sites JSON to `path` and the connections JSON.

    Names of pools and links and the platform's notes have no place in the format. Raises
    `InputError` naming the part that it cannot represent; nothing is written then.
    """
    links = {link.name: link for link in platform.links}
    wan = _wan(platform, links)
    _refuse(platform, links, wan)
    sites = {site.name: _site_document(site, links) for site in platform.sites}
    for k, site in enumerate(platform.sites):
        if not _same(_bare(site_of(site.name, sites[site.name])[0]), _bare(site)):
            raise InputError(
                f"site[{k}].properties: the texts of CPUInfo in them are not the site's pools, lan "
                "and storages any more; remove those properties"
            )
    connected = {
        pair: {
            "bandwidth": _text(link.bandwidth, "bandwidth"),
            "latency": _text(link.latency, "time"),
        }
        for pair, link in wan.items()
    }
    _write(sites, path)
    _write(connected, connections)


def reference_speed(site: Site) -> float | None:
    """Return the speed of the core on which a site's CPU times were taken, flop/s; None if unknown.

    It is the property ``GFLOPS``. CGSim divides it by ``speed`` as it stands, so both have one
    unit: run time = CPU time x GFLOPS / speed. Some files give it in Gflop/s as its name says, for
    which CGSim would let each job end at once. Here the one of both that is nearer to the mean
    speed of the site's cores is taken.
    """
    words, speed = dict(site.properties).get("GFLOPS"), site.speed
    if words is None or speed is None:
        return None
    given = amount(words, f"{site.name}.GFLOPS", "speed")
    if not given:
        return None
    return min(given, given * 1e9, key=lambda value: abs(math.log(value) - math.log(speed)))


def _configured(path: Path) -> Platform:
    config = read_config(path)
    platform = read_platform(*config.files(path.parent))
    if not config.limited_sites:
        return platform
    names = set(config.limited_sites)
    if missing := sorted(names - set(platform.names)):
        raise InputError(f"Limited_Sites: {', '.join(missing)} not in {config.sites}")
    sites = tuple(site for site in platform.sites if site.name in names)
    routes = tuple(r for r in platform.routes if {r.source, r.destination} <= names)
    used = {site.lan for site in sites} | {name for route in routes for name in route.links}
    return Platform(sites, tuple(link for link in platform.links if link.name in used), routes)


def _wan(platform: Platform, links: dict[str, Link]) -> dict[str, Link]:
    """Return the link of each connection; raise `InputError` where there is not just one."""
    found: dict[str, Link] = {}
    for k, a in enumerate(platform.names):
        for b in platform.names[k + 1 :]:
            there, back = platform.route(a, b), platform.route(b, a)
            ways = {f"{a}:{b}": there} if there == back else {f"{a}:{b}": there, f"{b}:{a}": back}
            for pair, way in ways.items():
                if len(way) != 1 or way[0] not in links:
                    raise InputError(
                        f"{pair}: the route is {' '.join(way) or 'empty'}; CGSim needs one shared "
                        "link of its own between every two sites"
                    )
                found[pair] = links[way[0]]
    return found


def _refuse(platform: Platform, links: dict[str, Link], wan: dict[str, Link]) -> None:
    """Raise `InputError` naming the first thing that the format has no place for."""
    if platform.routers:
        raise InputError("routers: CGSim has none; join the sites by routes of one link")
    for k, site in enumerate(platform.sites):
        for what, why in _reasons(site, links):
            raise InputError(f"site[{k}].{what}: {why}; CGSim cannot represent it")
    used = Counter(link.name for link in wan.values())
    used.update(site.lan for site in platform.sites if site.lan is not None)
    for k, link in enumerate(platform.links):
        if used[link.name] != 1 or (link.sharing != "shared" and link in wan.values()):
            raise InputError(
                f"link[{k}]: {link.name!r} is {link.sharing}, for {used[link.name]} pairs of sites "
                "or lans; CGSim has a link of its own for each, shared between two sites"
            )


def _reasons(site: Site, links: dict[str, Link]) -> list[tuple[str, str]]:
    """Return what of a site has no place in the format, and why."""
    found = []
    if ":" in site.name:
        found.append(("name", "it holds a ':'"))
    if site.country is not None or site.tier is not None:
        found.append(("country and tier", "there are no such keys"))
    if site.pools and (site.lan is None or links[site.lan].sharing != "fatpipe"):
        found.append(("lan", "each host has a link of its own, so it must be a fatpipe"))
    if not site.pools and site.lan is not None:
        found.append(("lan", "there are no hosts that could have it"))
    if not site.pools and len(site.storages) > 1:
        found.append(("storage", "without hosts there is one"))
    found += [
        (f"pool[{k}].speed", "it is not given")
        for k, pool in enumerate(site.pools)
        if pool.speed is None
    ]
    for k, storage in enumerate(site.storages):
        if storage.kind != "disk" or storage.latency:
            found.append((f"storage[{k}].kind", "it is no disk"))
        if site.pools and (storage.read is None or storage.write is None):
            found.append((f"storage[{k}]", "it has no bandwidth to read or write"))
        if k == 0 and storage.capacity is None:
            found.append((f"storage[{k}].capacity", "it is not given"))
        if k and (storage.capacity != 0 or storage.files):
            found.append((f"storage[{k}].capacity", "the site's first storage holds everything"))
    return found


def _site_document(site: Site, links: dict[str, Link]) -> dict[str, Any]:
    own = {k: word for k, word in site.properties if k.startswith("CPUInfo[")}
    about = {k: word for k, word in site.properties if k not in own}
    first = site.storages[0] if site.storages else Storage("none", 0.0)
    about["storage_capacity_bytes"] = byte_text(first.capacity or 0.0)
    cpus: list[Any] = []
    pools = list(site.pools)
    while pools or f"CPUInfo[{len(cpus)}]" in own:
        at = f"CPUInfo[{len(cpus)}]"
        if at in own:
            cpus.append(_parsed(own[at], at))
            continue
        pool, lan = pools.pop(0), links[str(site.lan)]
        disks = [_disk(storage, site) for storage in site.storages]
        cpus.append(
            {
                "units": pool.hosts,
                "cores": pool.cores,
                "speed": pool.speed,
                "BW_CPU": own.get(f"{at}.BW_CPU", _text(lan.bandwidth, "bandwidth")),
                "LAT_CPU": own.get(f"{at}.LAT_CPU", _text(lan.latency, "time")),
                "properties": [{"ram": _text(pool.memory, "bytes")}] if pool.memory else [],
                "disks": _parsed(own[f"{at}.disks"], at) if f"{at}.disks" in own else disks,
            }
        )
    files = [[name, int(size) if size == int(size) else size] for name, size in first.files]
    return {"SITE_PROPERTIES": about, "CPUInfo": cpus, "files": files}


def _parsed(words: str, at: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(words)
    except (ValueError, RecursionError) as error:
        raise InputError(f"properties.{at}: expected JSON, got {words[:80]!r}") from error


def _disk(storage: Storage, site: Site) -> dict[str, str]:
    """Return a host's part of a storage."""
    hosts = sum(pool.hosts for pool in site.pools)
    return {
        "name": storage.name,
        "read_bw": _text((storage.read or 0.0) / hosts, "bandwidth"),
        "write_bw": _text((storage.write or 0.0) / hosts, "bandwidth"),
    }


def _bare(site: Site) -> tuple[Any, ...]:
    """Return what the format holds of a site, to compare it; without labels."""
    pools = [(pool.hosts, pool.cores, pool.speed, pool.memory) for pool in site.pools]
    stored = site.pools or any(s.capacity or s.files for s in site.storages)
    storages = [(s.capacity, s.read, s.write, s.files) for s in site.storages if stored]
    return tuple(pools), tuple(storages), tuple(sorted(site.properties))


def _same(a: object, b: object) -> bool:
    """Return whether two values are equal, floats to rounding error."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12)
    return a == b


def _text(value: float, kind: Kind) -> str:
    """Return a quantity as SimGrid reads it: no blank before the unit."""
    words = text(value, kind)
    return words.replace(" ", "") if isinstance(words, str) else f"{words!r}{_UNITS[kind]}"


def _beside(name: str, folder: Path) -> Path:
    """Return the file at a path, or relative to `folder`, or of that name in it."""
    places = (folder / name, folder / Path(name).name)
    for place in places:
        if place.is_file():
            return place
    raise FormatError(f"there is no file {name!r}, and none of that name in {folder}")


def _write(document: object, path: Path | str) -> None:
    with writing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False), encoding="utf-8")
