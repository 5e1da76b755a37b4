"""Write a platform as SimGrid 4.1 XML: a Full zone of star zones, one for each node.

SimGrid calls a star ``routing="Cluster"`` in XML. What it has no attribute for is in properties
that begin with ``gridtwin.``, which SimGrid passes over.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim.formats._simgrid_elements import OURS
from gridtwin.sim.parts import Link, Pool, Site, Storage
from gridtwin.sim.platform import Platform
from gridtwin.sim.routing import reverse

__all__ = ["write_platform"]

_MOST_HOSTS = 1_000_000
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_POLICY = {"shared": "SHARED", "fatpipe": "FATPIPE", "split": "SPLITDUPLEX"}
_UNLIMITED = 1e18


def write_platform(platform: Platform, path: Path | str) -> None:
    """Write a platform as SimGrid XML, which `read_platform` reads back.

    Hosts are named ``<site>_<pool>_<k>``; storages hang on hosts of their own of the types
    ``storage`` and ``cache``, as DCSim has them. Routes are written for all pairs of sites and
    routers that have a way. A pool without a speed says 1 Gf, and that it is not meant.

    Raises `InputError` for above 1,000,000 hosts, and for names that XML or SimGrid cannot hold.
    """
    hosts = sum(pool.hosts for site in platform.sites for pool in site.pools)
    if hosts > _MOST_HOSTS:
        raise InputError(f"{hosts} hosts; SimGrid's XML has a line for each, at most {_MOST_HOSTS}")
    names = _Names(platform)
    with writing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for line in _lines(platform, names):
            file.write(line + "\n")


class _Names:
    """Gives each node of SimGrid's a name of its own."""

    def __init__(self, platform: Platform) -> None:
        self._taken = {*platform.names, *platform.routers}
        self.outermost, self.links = self.fresh("grid"), self.fresh("links")
        self.zone = {name: name for name in platform.names}
        self.zone |= {name: self.fresh(f"{name}_zone") for name in platform.routers}
        self.gateway = {name: self.fresh(f"{name}_gateway") for name in platform.names}
        self.gateway |= {name: name for name in platform.routers}
        links = {link.name for link in platform.links}
        self.nothing = "nothing"
        while self.nothing in links:
            self.nothing += "_"
        self.halves = {
            link.name: (f"{link.name}_UP", f"{link.name}_DOWN")
            for link in platform.links
            if link.sharing == "split"
        }
        """SimGrid's names of the two directions of a split link."""
        for name, halves in self.halves.items():
            for half in halves:
                if half in links:
                    raise InputError(
                        f"link {half!r} has the name that SimGrid gives to a half of the split "
                        f"link {name!r}; rename one of them"
                    )

    def fresh(self, name: str) -> str:
        """Return the name, or one that begins like it, that nothing else has."""
        k, free = 1, name
        while free in self._taken:
            k, free = k + 1, f"{name}_{k}"
        self._taken.add(free)
        return free


def _lines(platform: Platform, names: _Names) -> Iterator[str]:
    yield "<?xml version='1.0'?>"
    yield '<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">'
    yield '<platform version="4.1">'
    yield f"<zone {_attributes(id=names.outermost, routing='Full')}>"
    for k, note in enumerate(platform.notes):
        yield _prop(f"{OURS}note{k}", note)
    # in a zone of their own: SimGrid takes a zone that begins with a link for one without zones
    yield f"<zone {_attributes(id=names.links, routing='None')}>"
    for link in platform.links:
        yield _link(link)
    routes = [*_routes(platform, names)]
    if any(f'"{names.nothing}"' in line for line in routes):
        yield f"<link {_attributes(id=names.nothing, bandwidth='1e30Bps', latency='0s')}"
        yield f' sharing_policy="FATPIPE">{_prop(f"{OURS}none", "no link")}</link>'
    yield "</zone>"
    for site in platform.sites:
        yield from _site(site, names)
    for router in platform.routers:
        yield f"<zone {_attributes(id=names.zone[router], routing='Cluster')}>"
        yield f"<router {_attributes(id=router)}/></zone>"
    yield from routes
    yield "</zone></platform>"


def _link(link: Link) -> str:
    return (
        f"<link {_attributes(id=link.name, bandwidth=f'{link.bandwidth!r}Bps')}"
        f' latency="{link.latency!r}s" sharing_policy="{_POLICY[link.sharing]}"/>'
    )


def _site(site: Site, names: _Names) -> Iterator[str]:
    yield f"<zone {_attributes(id=site.name, routing='Cluster')}>"
    yield _prop(f"{OURS}site", "1")
    if site.country is not None:
        yield _prop(f"{OURS}country", site.country)
    if site.tier is not None:
        yield _prop(f"{OURS}tier", str(site.tier))
    for key, value in site.properties:
        if key.startswith(OURS):
            raise InputError(f"site {site.name}: property {key!r}: {OURS} is taken; rename it")
        yield _prop(key, value)
    hosts = []
    for pool in site.pools:
        for k in range(pool.hosts):
            hosts.append(names.fresh(f"{site.name}_{pool.name}_{k}"))
            yield _host(hosts[-1], pool)
    for role, kinds in (("storage", ("disk", "tape")), ("cache", ("cache",))):
        disks = [storage for storage in site.storages if storage.kind in kinds]
        if disks:
            hosts.append(names.fresh(f"{site.name}_{role}"))
            yield _idle(hosts[-1], role, disks)
    if not hosts:
        hosts.append(names.fresh(f"{site.name}_host"))
        yield _idle(hosts[-1], "", [])
    yield f"<router {_attributes(id=names.gateway[site.name])}/>"
    if site.lan is not None:
        up, down = names.halves.get(site.lan, (site.lan, site.lan))
        for host in hosts:
            yield f"<host_link {_attributes(id=host, up=up, down=down)}/>"
    yield "</zone>"


def _host(name: str, pool: Pool) -> str:
    speed = 1e9 if pool.speed is None else pool.speed
    props = [_prop("type", "worker"), _prop(f"{OURS}pool", pool.name)]
    if pool.speed is None:
        props.append(_prop(f"{OURS}speed", "recorded"))
    if pool.memory is not None:
        props.append(_prop("ram", f"{pool.memory!r}B"))
    start = _attributes(id=name, speed=f"{speed!r}f", core=str(pool.cores))
    return f"<host {start}>{''.join(props)}</host>"


def _idle(name: str, role: str, storages: list[Storage]) -> str:
    """Return a host that does not compute."""
    disks = "".join(_disk(storage) for storage in storages)
    start = _attributes(id=name, speed="1f", core="1")
    return f"<host {start}>{disks}{_prop('type', role)}</host>"


def _disk(storage: Storage) -> str:
    props = [_prop("mount", "/")]
    if storage.capacity is not None:
        props.append(_prop("size", f"{storage.capacity!r}B"))
    if storage.kind == "tape":
        props.append(_prop(f"{OURS}kind", storage.kind))
    if storage.latency:
        props.append(_prop(f"{OURS}latency", f"{storage.latency!r}s"))
    rates = {}
    for key, rate in (("read", storage.read), ("write", storage.write)):
        rates[f"{key}_bw"] = f"{_UNLIMITED if rate is None else rate!r}Bps"
        if rate is None:
            props.append(_prop(f"{OURS}{key}", "unlimited"))
    for name, size in storage.files:
        props.append(_prop(f"{OURS}file.{name}", f"{size!r}B"))
    return f"<disk {_attributes(id=storage.name, **rates)}>{''.join(props)}</disk>"


def _routes(platform: Platform, names: _Names) -> Iterator[str]:
    """Yield the routes between the zones of all pairs of nodes."""
    nodes = [*platform.names, *platform.routers]
    for k, source in enumerate(nodes):
        for destination in nodes[k + 1 :]:
            there = _way(platform, source, destination)
            again = _way(platform, destination, source)
            if there is not None and again == reverse(there):
                yield _route(names, source, destination, there, both=True)
                continue
            if there is not None:
                yield _route(names, source, destination, there, both=False)
            if again is not None:
                yield _route(names, destination, source, again, both=False)


def _way(platform: Platform, source: str, destination: str) -> tuple[str, ...] | None:
    try:
        return platform.route(source, destination)
    except InputError:
        return None


def _route(
    names: _Names, source: str, destination: str, path: tuple[str, ...], *, both: bool
) -> str:
    start = _attributes(
        src=names.zone[source],
        dst=names.zone[destination],
        gw_src=names.gateway[source],
        gw_dst=names.gateway[destination],
        symmetrical="YES" if both else "NO",
    )
    crossed = "".join(_crossing(name) for name in path or (names.nothing,))
    return f"<zoneRoute {start}>{crossed}</zoneRoute>"


def _crossing(name: str) -> str:
    base, _, way = name.rpartition(":")
    if way in ("up", "down") and base:
        return f"<link_ctn {_attributes(id=base, direction=way.upper())}/>"
    return f"<link_ctn {_attributes(id=name)}/>"


def _prop(key: str, value: str) -> str:
    return f"<prop {_attributes(id=key, value=value)}/>"


def _attributes(**values: str) -> str:
    for key, value in values.items():
        if found := _NO_XML.search(value):
            raise InputError(f"{key}={value!r}: XML cannot hold {found.group()!r}; rename it")
    return " ".join(f"{key}={quoteattr(value)}" for key, value in values.items())
