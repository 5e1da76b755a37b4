"""SimGrid's routes: between nodes, between zones over their gateways, to the centre of a star."""

from gridtwin.sim.formats._simgrid_document import Document
from gridtwin.sim.formats._simgrid_zones import Path, Way, Zone, back
from gridtwin.sim.formats._xml import Element

__all__ = ["read_routes"]

_BETWEEN_ZONES = ("zoneRoute", "ASroute", "bypassZoneRoute", "bypassASroute")
_BOTH_WAYS = {"YES": "yes", "yes": "yes", "NO": "", "no": ""}
_DIRECTIONS = {"NONE": "NONE", "UP": "UP", "DOWN": "DOWN"}
_CENTRE = Way(())


def read_routes(document: Document) -> None:
    """Read the routes of a file into its zones; raise `FormatError` naming file and line."""
    for zone, element in document.later:
        _route(document, zone, element)
    for zone in document.zones.values():
        if zone.kind == "star":
            for name in zone.nodes:
                if name not in zone.up and name not in zone.down:
                    zone.up[name] = zone.down[name] = _CENTRE


def _route(document: Document, zone: Zone, element: Element) -> None:
    """Read a route, a bypass or a host's link."""
    reading, tag = document.reading, element.tag
    if tag == "host_link":
        _host_link(document, zone, element)
        return
    names, fixed = _crossed(document, element)
    way = Way(names, line=element.line)
    source, destination = reading.text(element, "src", ""), reading.text(element, "dst", "")
    if tag in _BETWEEN_ZONES:
        way = _gateways(document, zone, element, source, destination, way)
    both = not tag.startswith("bypass") and reading.choice(element, "symmetrical", _BOTH_WAYS)
    returning = Way(back(names, fixed), way.gw_destination, way.gw_source, element.line)
    if zone.kind == "star" and not tag.startswith("bypass"):
        _to_centre(document, zone, element, (source, destination), way, returning, bool(both))
        return
    for node in (source, destination):
        if node not in zone.nodes:
            reading.fail(element, f"there is no {node!r} in the zone {zone.name!r}; add it")
    if source == destination:
        document.notes.append(f"line {element.line}: route of {source} to itself left out")
        return
    table = zone.bypass if tag.startswith("bypass") else zone.routes
    ways = [((source, destination), way)]
    if both:
        ways.append(((destination, source), returning))
    for pair, one in ways:
        if pair in table:
            reading.fail(
                element,
                f"the way from {pair[0]!r} to {pair[1]!r} is given in line {table[pair].line}; "
                "routes count both ways unless symmetrical='NO'",
            )
        table[pair] = one


def _host_link(document: Document, zone: Zone, element: Element) -> None:
    reading = document.reading
    name = reading.text(element, "id")
    if zone.kind != "star" or name not in zone.nodes:
        reading.fail(element, f"there is no host {name!r} in a zone of routing Cluster here")
    up = _half(document, element, reading.text(element, "up"), "NONE")[0]
    down = _half(document, element, reading.text(element, "down"), "NONE")[0]
    zone.up[name] = Way((*_real(document, up), *zone.backbone))
    zone.down[name] = Way((*zone.backbone, *_real(document, down)))


def _to_centre(
    document: Document,
    zone: Zone,
    element: Element,
    ends: tuple[str, str],
    way: Way,
    returning: Way,
    both: bool,
) -> None:
    """Read a route of a star, which has one end."""
    source, destination = ends
    reading = document.reading
    node = source or destination
    if node not in zone.nodes:
        reading.fail(element, f"there is no {node!r} in the zone {zone.name!r}; add it")
    if source and source == destination:
        document.notes.append(f"line {element.line}: route of {source} to itself left out")
    elif source and destination:
        reading.fail(element, "a route of a star has one end; leave out src or dst")
    elif source:
        zone.up[source] = way
        if both:
            zone.down[source] = returning
    else:
        zone.down[destination] = way


def _gateways(
    document: Document, zone: Zone, element: Element, source: str, destination: str, way: Way
) -> Way:
    """Return the way with its gateways, each in its zone."""
    reading = document.reading
    gateways: list[str | None] = []
    for key, node in (("gw_src", source), ("gw_dst", destination)):
        if not node and zone.kind == "star":
            gateways.append(None)
            continue
        name = reading.text(element, key)
        inner = zone.nodes.get(node)
        if inner is None:
            reading.fail(element, f"there is no zone {node!r} in the zone {zone.name!r}; add it")
        if name not in document.where or inner not in document.where[name].chain():
            reading.fail(
                element, f"{key}: there is no host or router {name!r} in the zone {node!r}"
            )
        gateways.append(name)
    return Way(way.links, gateways[0], gateways[1], way.line)


def _crossed(document: Document, element: Element) -> tuple[Path, frozenset[int]]:
    """Return the links of a route, and the places of those that keep their direction."""
    reading = document.reading
    names: list[str] = []
    fixed = set()
    for child in element.children:
        if reading.tag(child) != "link_ctn":
            reading.fail(child, "it does not belong in a route")
        direction = reading.choice(child, "direction", _DIRECTIONS)
        name, keeps = _half(document, child, reading.text(child, "id"), direction)
        if keeps:
            fixed.add(len(names))
        names += _real(document, name)
    return tuple(names), frozenset(fixed)


def _real(document: Document, name: str) -> Path:
    return () if name in document.nothing else (name,)


def _half(document: Document, element: Element, name: str, direction: str) -> tuple[str, bool]:
    """Return a link as routes name it, and whether it is the same half on the way back."""
    links, reading = document.links, document.reading
    if name in document.nothing:
        return name, False
    if name in links:
        split = links[name].sharing == "split"
        if split == (direction != "NONE"):
            return (f"{name}:{direction.lower()}", False) if split else (name, False)
        wanted = "UP or DOWN" if split else "NONE: only split links have one"
        return reading.fail(element, f"link {name!r}: direction={direction!r}; expected {wanted}")
    for end in ("_UP", "_DOWN"):
        base = name.removesuffix(end)
        if base != name and base in links and links[base].sharing == "split":
            return f"{base}:{end[1:].lower()}", True
    return reading.fail(element, f"there is no link {name!r}; add it or correct the id")
