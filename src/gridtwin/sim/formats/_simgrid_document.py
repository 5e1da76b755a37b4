"""From SimGrid's elements to zones, hosts and links, before they become a platform."""

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from gridtwin.core.errors import InputError
from gridtwin.sim.formats._simgrid_elements import OURS, Reading, radical
from gridtwin.sim.formats._simgrid_zones import Kind, Way, Zone, back
from gridtwin.sim.formats._simgrid_zones import Path as Links
from gridtwin.sim.formats._xml import Element, parse_xml
from gridtwin.sim.parts import Link, Sharing

__all__ = ["Clusters", "Document", "Host", "read_nodes"]

Clusters = Literal["site", "hosts"]

_MOST_HOSTS = 10_000
_ROUTING: dict[str, Kind] = {
    "full": "full",
    "floyd": "floyd",
    "dijkstra": "dijkstra",
    "dijkstracache": "dijkstra",
    "cluster": "star",
    "star": "star",
    "none": "none",
}
_SHARING = {
    "SHARED": "shared",
    "FATPIPE": "fatpipe",
    "SPLITDUPLEX": "split",
    "FULLDUPLEX": "split",
}
_SPLIT_FIRST = {"SPLITDUPLEX": "split"} | _SHARING


@dataclass(frozen=True)
class Host:
    """A host, or `count` equal ones of a cluster."""

    name: str
    element: Element
    cores: int
    speed: float
    properties: dict[str, str]
    disks: tuple[Element, ...] = ()
    count: int = 1


@dataclass
class Document:
    """What a platform file holds."""

    reading: Reading
    hosts: dict[str, Host] = field(default_factory=dict)
    routers: list[str] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    nothing: set[str] = field(default_factory=set)
    """Links that only stand for a route without links."""
    zones: dict[str, Zone] = field(default_factory=dict)
    where: dict[str, Zone] = field(default_factory=dict)
    """The zone of each host and router."""
    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each zone."""
    notes: list[str] = field(default_factory=list)
    later: list[tuple[Zone, Element]] = field(default_factory=list)
    """Routes, read when all nodes and links are known."""


def read_nodes(path: Path, clusters: Clusters) -> Document:
    """Read all of a file but its routes; raise `FormatError` naming file, line and element."""
    root = parse_xml(path)
    reading = Reading(path)
    document = Document(reading)
    if reading.tag(root) != "platform":
        reading.fail(root, "expected <platform>, the root of a SimGrid platform file")
    version = reading.text(root, "version", "0.0").strip()
    if version not in ("4", "4.0", "4.1"):
        reading.fail(root, f"version={version!r}; expected 4 or 4.1: run simgrid_update_xml")
    outermost = []
    for element in root.children:
        tag = reading.tag(element)
        if tag == "config":
            for key, value in reading.properties(element).items():
                document.notes.append(f"SimGrid configuration: {key} = {value}")
        elif tag in ("zone", "cluster"):
            outermost.append(element)
        else:
            reading.fail(element, "expected within a <zone>")
    if len(outermost) != 1:
        reading.fail(root, f"it has {len(outermost)} outermost zones; expected one")
    _node(document, outermost[0], None, clusters)
    return document


def _node(document: Document, element: Element, zone: Zone | None, clusters: Clusters) -> None:
    """Read an element that is no route."""
    reading = document.reading
    tag = reading.tag(element)
    if tag == "zone":
        _zone(document, element, zone, clusters)
    elif tag == "cluster":
        _cluster(document, element, zone, clusters)
    elif zone is None or tag == "prop":
        pass  # read with its parent
    elif tag == "host":
        _host(document, element, zone)
    elif tag == "router":
        _coordinates(document, element)
        name = _named(document, element, zone, reading.text(element, "id"))
        document.routers.append(name)
    elif tag == "link":
        _link(document, element)
    elif tag == "backbone":
        pass  # `_zone` read it before the rest
    elif tag == "cabinet":
        _cabinet(document, element, zone, clusters)
    elif "oute" in tag or tag == "host_link":
        document.later.append((zone, element))
    else:
        reading.fail(element, "it does not belong in a <zone>")


def _zone(document: Document, element: Element, parent: Zone | None, clusters: Clusters) -> None:
    reading = document.reading
    routing = reading.text(element, "routing")
    kind = _ROUTING.get(routing.lower())
    if kind is None:
        reading.fail(
            element,
            f"routing={routing!r} cannot be represented; known here: {', '.join(_ROUTING)}",
        )
    name = reading.text(element, "id")
    zone = _new_zone(document, element, parent, name, kind)
    document.properties[name] = reading.properties(element)
    bones = [child for child in element.children if child.tag == "backbone"]
    if len(bones) > 1 or (bones and kind != "star"):
        reading.fail(bones[-1], "expected one backbone, in a zone of routing Cluster")
    for child in bones:
        reading.tag(child)
        zone.backbone = (reading.text(child, "id"),)
        _add_link(document, child, zone.backbone[0], "bandwidth", "latency", "shared")
    for child in element.children:
        _node(document, child, zone, clusters)


def _new_zone(
    document: Document, element: Element, parent: Zone | None, name: str, kind: Kind
) -> Zone:
    zone = Zone(name, kind, parent, element.line)
    if parent is not None:
        _named(document, element, parent, name)
        del document.where[name]
        parent.nodes[name] = zone
    if name in document.zones:
        document.reading.fail(element, "a zone of that id is there already; ids are unique")
    document.zones[name] = zone
    return zone


def _named(document: Document, element: Element, zone: Zone, name: str) -> str:
    """Put a node into its zone; names are unique in the file."""
    if name in document.where or name in document.zones:
        document.reading.fail(element, f"{name!r} is taken; ids of nodes are unique")
    document.where[name] = zone
    zone.nodes[name] = None
    return name


def _coordinates(document: Document, element: Element) -> None:
    if text := element.attributes.get("coordinates", "").strip():
        document.notes.append(f"{element.attributes.get('id')}: coordinates = {text}")


def _host(document: Document, element: Element, zone: Zone) -> None:
    reading = document.reading
    name = _named(document, element, zone, reading.text(element, "id"))
    _coordinates(document, element)
    disks = []
    for child in element.children:
        if (tag := reading.tag(child)) == "disk":
            disks.append(child)
        elif tag != "prop":
            reading.fail(child, "it does not belong in a <host>")
    properties = reading.properties(element)
    speed = _speed(document, element, properties)
    cores = reading.whole(element, "core", "1")
    document.hosts[name] = Host(name, element, cores, speed, properties, tuple(disks))


def _speed(document: Document, element: Element, properties: dict[str, str]) -> float:
    """Return the speed of the host's state (flop/s); the other states become a property."""
    reading = document.reading
    texts = reading.text(element, "speed").split(",")
    speeds = [reading.quantity(element, "speed", text, "speed") for text in texts]
    state = reading.text(element, "pstate", "0").strip().removesuffix(".0")
    if not state.isdecimal() or len(state) > 9 or int(state) >= len(speeds):
        reading.fail(element, f"pstate={state!r}; expected one of the {len(speeds)} speeds, from 0")
    if len(speeds) > 1:
        properties["speeds"], properties["pstate"] = ",".join(texts), state
    return speeds[int(state)]


def _link(document: Document, element: Element) -> None:
    reading = document.reading
    name = reading.text(element, "id")
    sharing = reading.choice(element, "sharing_policy", _SHARING)
    _add_link(document, element, name, "bandwidth", "latency", sharing)
    for key, value in reading.properties(element).items():
        if key == f"{OURS}none":
            document.nothing.add(name)
            del document.links[name]
        else:
            document.notes.append(f"link {name}: {key} = {value}")


def _add_link(
    document: Document,
    element: Element,
    name: str,
    bandwidth: str,
    latency: str,
    sharing: str,
    *,
    times: int = 1,
) -> None:
    """Add a link from attributes of an element; `times` its bandwidth."""
    reading = document.reading
    rate = reading.number(element, bandwidth, "bandwidth") * times
    delay = reading.number(element, latency, "time", "0") if latency else 0.0
    if name in document.links or name in document.nothing:
        reading.fail(element, f"there is a link {name!r} already; ids of links are unique")
    try:
        kind: Sharing = sharing  # type: ignore[assignment]
        document.links[name] = Link(name, rate, delay, kind)
    except InputError as error:
        reading.fail(element, f"link {name!r}: {error}")


def _cluster(document: Document, element: Element, parent: Zone | None, clusters: Clusters) -> None:
    """Read a <cluster>: hosts of a star, each with a link of its own, and a backbone."""
    reading = document.reading
    reading.choice(element, "topology", {"FLAT": "flat"})
    name = reading.text(element, "id")
    zone = _new_zone(document, element, parent, name, "star")
    loopback = {
        key: text
        for key in ("loopback_bw", "loopback_lat")
        if (text := element.attributes.get(key, ""))
    }
    document.properties[name] = loopback
    sharing = reading.choice(element, "sharing_policy", _SPLIT_FIRST)
    backbone: Links = ()
    bone = reading.choice(element, "bb_sharing_policy", {"SHARED": "shared", "FATPIPE": "fatpipe"})
    if element.attributes.get("bb_bw"):
        backbone = (f"{name}_backbone",)
        _add_link(document, element, backbone[0], "bb_bw", "bb_lat", bone)
    elif reading.number(element, "bb_lat", "time", "0"):
        reading.fail(element, "bb_lat without bb_bw cannot be represented; give bb_bw")
    limiter = "limiter_link" if element.attributes.get("limiter_link") else ""
    _equal_hosts(document, element, zone, clusters, sharing, backbone, limiter)
    prefix, suffix = reading.text(element, "prefix", ""), reading.text(element, "suffix", "")
    router = reading.text(element, "router_id", "") or f"{prefix}{name}_router{suffix}"
    document.routers.append(_named(document, element, zone, router))


def _cabinet(document: Document, element: Element, zone: Zone, clusters: Clusters) -> None:
    if zone.kind != "star":
        document.reading.fail(element, "expected in a zone of routing Cluster")
    _equal_hosts(document, element, zone, clusters, "split", zone.backbone, "")


def _equal_hosts(
    document: Document,
    element: Element,
    zone: Zone,
    clusters: Clusters,
    sharing: str,
    backbone: Links,
    limiter: str,
) -> None:
    """Add the hosts of a cluster or cabinet, as one entry or each by itself."""
    reading = document.reading
    for child in element.children:
        if reading.tag(child) != "prop":
            reading.fail(child, f"it does not belong in a <{element.tag}>")
    properties = reading.properties(element)
    speed = _speed(document, element, properties)
    cores = reading.whole(element, "core", "1")
    numbers = radical(reading, element)
    count = sum(len(part) for part in numbers)
    prefix, suffix = reading.text(element, "prefix", ""), reading.text(element, "suffix", "")
    identity = reading.text(element, "id")
    if clusters == "site" and count > 1:
        if limiter:
            reading.fail(
                element,
                "limiter_link bounds each host by itself, which a site of equal hosts cannot "
                "say; read the file with clusters='hosts'",
            )
        name = f"{prefix}{element.attributes['radical']}{suffix}"
        _named(document, element, zone, name)
        document.hosts[name] = Host(name, element, cores, speed, properties, count=count)
        up = _common_links(document, element, identity, sharing, count)
        _join(zone, name, (*up, *backbone))
        return
    if count > _MOST_HOSTS:
        reading.fail(element, f"radical: {count} hosts; expected at most {_MOST_HOSTS}")
    for k in chain.from_iterable(numbers):
        name = _named(document, element, zone, f"{prefix}{k}{suffix}")
        document.hosts[name] = Host(name, element, cores, speed, dict(properties))
        link = f"link_{name}" if element.tag == "cabinet" else f"{identity}_link_{k}"
        own: Links = (f"{link}:up",) if sharing == "split" else (link,)
        _add_link(document, element, link, "bw", "lat", sharing)
        if limiter:
            _add_link(document, element, f"{link}_limiter", limiter, "", "shared")
            own = (f"{link}_limiter", *own)
        _join(zone, name, (*own, *backbone))


def _common_links(
    document: Document, element: Element, identity: str, sharing: str, count: int
) -> Links:
    """Return links in place of one for each host: what a flow may take, and all hosts together."""
    _add_link(document, element, f"{identity}_link", "bw", "lat", "fatpipe")
    document.notes.append(
        f"{identity}: each of its {count} hosts has a link of its own; here a flow is bound by "
        f"one such link ({identity}_link) and all flows by {count} of them"
    )
    if sharing == "fatpipe":
        return (f"{identity}_link",)
    _add_link(document, element, f"{identity}_links", "bw", "", sharing, times=count)
    end = ":up" if sharing == "split" else ""
    return (f"{identity}_link", f"{identity}_links{end}")


def _join(zone: Zone, name: str, up: Links) -> None:
    zone.up[name], zone.down[name] = Way(up), Way(back(up))
