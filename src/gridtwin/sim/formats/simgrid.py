"""Platforms in SimGrid's XML, versions 4 and 4.1, which WRENCH, DCSim and Batsim read too.

What SimGrid says and a `Platform` does not: hosts whose way to the rest is the same are one site,
with a pool for each kind of host; the others are a site each. A site is named after its zone, or
its host if that is one. Routers stay, except the middle of a star, which is the site. Routes are
those that SimGrid finds, of all pairs of sites and routers.
"""

from collections.abc import Iterable
from pathlib import Path

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats._simgrid_document import Clusters, Document, Host, read_nodes
from gridtwin.sim.formats._simgrid_elements import OURS
from gridtwin.sim.formats._simgrid_routes import read_routes
from gridtwin.sim.formats._simgrid_sites import to_site
from gridtwin.sim.formats._simgrid_write import write_platform
from gridtwin.sim.formats._simgrid_zones import Path as Links
from gridtwin.sim.formats._simgrid_zones import Routing, Zone
from gridtwin.sim.parts import Route
from gridtwin.sim.platform import Platform
from gridtwin.sim.routing import reverse

__all__ = ["read_platform", "write_platform"]

_MOST_NODES = 1000


def read_platform(path: Path | str, *, clusters: Clusters = "site") -> Platform:
    """Read a platform from SimGrid's XML.

    Parameters
    ----------
    path
        The file. Its document type is not fetched, entities are not expanded.
    clusters
        What becomes of the hosts of a ``<cluster>`` or ``<cabinet>``, which have a link each:
        ``"site"``: one site; a flow gets at most one such link and all flows together at most
        all of them, which is exact for one flow and for hosts equally busy. ``"hosts"``: a site
        for each host, exact.

    Returns
    -------
    The platform. Properties of zones, hosts and disks that mean nothing to it are in
    `Site.properties`, those of the configuration and of links in `Platform.notes`.

    Raises
    ------
    FormatError
        Naming file, line and element: for what is no platform file, and for what a `Platform`
        cannot hold, such as profiles of speed or state over time, topologies other than flat
        ones, routing by coordinates, Wi-Fi; and above 1,000 sites and routers, as their routes
        are kept pair by pair.
    """
    path = Path(path)
    if clusters not in ("site", "hosts"):
        raise InputError(f"clusters is {clusters!r}; expected 'site' or 'hosts'")
    document = read_nodes(path, clusters)
    read_routes(document)
    groups = _groups(document)
    if not groups:
        raise FormatError(f"{path}: it has no host; a platform needs one or more")
    routers = [name for name in document.routers if not _is_centre(document, name)]
    if len(groups) + len(routers) > _MOST_NODES:
        raise FormatError(
            f"{path}: {len(groups)} sites (hosts with routes of their own) and {len(routers)} "
            f"routers; expected at most {_MOST_NODES} together: give equal hosts equal routes"
        )
    _forget_equals(document, groups)
    names = _names(document, groups)
    nodes = dict(zip(names, (group[0].name for group in groups), strict=True))
    nodes |= {name: name for name in routers}
    routing = Routing(document.where)
    paths = {
        (source, destination): found
        for source, first in nodes.items()
        for destination, second in nodes.items()
        if source != destination and (found := routing.find(first, second)) is not None
    }
    lans = {name: _lan(document, groups, k, paths, name) for k, name in enumerate(names)}
    sites = [
        to_site(document, name, group, lan)
        for (name, lan), group in zip(lans.items(), groups, strict=True)
    ]
    try:
        return Platform(
            tuple(sites),
            tuple(document.links.values()),
            tuple(_routes(paths, lans)),
            tuple(routers),
            (*document.notes, *_zone_notes(document)),
        )
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def _groups(document: Document) -> list[list[Host]]:
    """Return the hosts, those of one zone with the same ways to all others together."""
    alone: set[str] = set()
    around: dict[str, set[tuple[object, ...]]] = {name: set() for name in document.hosts}
    for zone in document.zones.values():
        for (source, destination), way in [*zone.routes.items(), *zone.bypass.items()]:
            alone |= {name for name in (way.gw_source, way.gw_destination) if name is not None}
            if source in around:
                around[source].add(("to", destination, way.links))
            if destination in around:
                around[destination].add(("from", source, way.links))
        alone |= {node for pair in zone.bypass for node in pair}
        for way in [*zone.up.values(), *zone.down.values()]:
            alone |= {name for name in (way.gw_source, way.gw_destination) if name is not None}
    groups: dict[tuple[object, ...], list[Host]] = {}
    for name, host in document.hosts.items():
        zone = document.where[name]
        key: tuple[object, ...] = (zone.name, frozenset(around[name]))
        if zone.kind == "star":
            up, down = zone.up.get(name), zone.down.get(name)
            key = (zone.name, up and up.links, down and down.links)
        if name in alone or (zone.kind != "star" and not around[name]):
            key = (zone.name, name, "alone")
        groups.setdefault(key, []).append(host)
    return list(groups.values())


def _forget_equals(document: Document, groups: list[list[Host]]) -> None:
    """Leave one host of each group in its zone: the others have its ways, and cost time."""
    for group in groups:
        zone = document.where[group[0].name]
        if zone.kind != "star" and len(group) > 1:
            others = {host.name for host in group[1:]}
            zone.nodes = {name: node for name, node in zone.nodes.items() if name not in others}
            zone.routes = {
                pair: way for pair, way in zone.routes.items() if others.isdisjoint(pair)
            }


def _is_centre(document: Document, name: str) -> bool:
    """Whether a router is where the links of a star's sites meet."""
    zone = document.where[name]
    if zone.kind != "star" or not any(node in document.hosts for node in zone.nodes):
        return False
    return zone.up[name].links == () if name in zone.up else False


def _names(document: Document, groups: list[list[Host]]) -> list[str]:
    """Return a name for each group: its zone's if no other of the zone is as fit, or its host's."""
    zones = [document.where[group[0].name].name for group in groups]
    fit = [
        zone
        for zone, group in zip(zones, groups, strict=True)
        if sum(host.count for host in group) > 1 or f"{OURS}site" in document.properties[zone]
    ]
    names = []
    for zone, group in zip(zones, groups, strict=True):
        several = sum(host.count for host in group) > 1
        alone = zones.count(zone) == 1 and f"{OURS}site" in document.properties[zone]
        names.append(zone if alone or (several and fit.count(zone) == 1) else group[0].name)
    return names


def _lan(
    document: Document,
    groups: list[list[Host]],
    k: int,
    paths: dict[tuple[str, str], Links],
    name: str,
) -> str | None:
    """Return the one link that a site's hosts have to the centre of their star, if that is so."""
    host = groups[k][0].name
    zone = document.where[host]
    up, down = zone.up.get(host), zone.down.get(host)
    if up is None or down is None or len(up.links) != 1 or down.links != reverse(up.links):
        return None
    link = up.links[0].removesuffix(":up")
    if link not in document.links or not _fills(document, zone, groups[k]):
        return None
    out = all(path[:1] == up.links for (source, _), path in paths.items() if source == name)
    back = all(path[-1:] == down.links for (_, end), path in paths.items() if end == name)
    return link if out and back else None


def _fills(document: Document, zone: Zone, group: list[Host]) -> bool:
    """Whether a zone holds nothing but these hosts and the centre."""
    members = {host.name for host in group}
    return all(
        node in members or (node in document.where and _is_centre(document, node))
        for node in zone.nodes
    )


def _routes(paths: dict[tuple[str, str], Links], lans: dict[str, str | None]) -> Iterable[Route]:
    """Yield the routes without the sites' own links; a symmetric one stands for two."""
    inner = {}
    for (source, destination), path in paths.items():
        first = 1 if lans.get(source) is not None else 0
        last = len(path) - (1 if lans.get(destination) is not None else 0)
        inner[source, destination] = path[first:last]
    order = {name: k for k, name in enumerate(dict.fromkeys(pair[0] for pair in inner))}
    for (source, destination), path in inner.items():
        opposite = inner.get((destination, source))
        if opposite is None or opposite != reverse(path):
            yield Route(source, destination, path, symmetric=False)
        elif order[source] < order[destination]:
            yield Route(source, destination, path)


def _zone_notes(document: Document) -> Iterable[str]:
    """Yield the properties of zones that are around several sites or none, as notes."""
    leaves = {document.where[name].name for name in document.hosts}
    for zone, properties in document.properties.items():
        if zone in leaves:
            continue
        for key, value in properties.items():
            yield value if key.startswith(f"{OURS}note") else f"zone {zone}: {key} = {value}"
