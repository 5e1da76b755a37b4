"""SimGrid's zones and how it finds the links between two nodes of them.

The rules are SimGrid's: a route between zones names a gateway in each; what is missing on either
side of it is found inside the zone, and so on down (its documentation, "The SimGrid Model",
chapter on routing). A node is a host, a router or a zone.
"""

import heapq
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.routing import reverse

__all__ = ["Path", "Routing", "Way", "Zone", "back"]

Path = tuple[str, ...]
"""Links in order; a split one as ``name:up`` or ``name:down``."""
Kind = Literal["full", "floyd", "dijkstra", "star", "none"]


@dataclass(frozen=True)
class Way:
    """What a zone says of two of its nodes: links, and the gateways where they are zones."""

    links: Path
    gw_source: str | None = None
    gw_destination: str | None = None
    line: int = 0


@dataclass
class Zone:
    """A zone: its nodes in order, and routes between them."""

    name: str
    kind: Kind
    parent: "Zone | None"
    line: int
    depth: int = 0
    nodes: dict[str, "Zone | None"] = field(default_factory=dict)
    """Hosts and routers (None) and zones."""
    routes: dict[tuple[str, str], Way] = field(default_factory=dict)
    bypass: dict[tuple[str, str], Way] = field(default_factory=dict)
    up: dict[str, Way] = field(default_factory=dict)
    """Of a star: the way from a node to the centre; `down` is back from there."""
    down: dict[str, Way] = field(default_factory=dict)
    backbone: Path = ()
    """What all ways of a star cross."""

    def chain(self) -> list["Zone"]:
        """Return the zones around, from the outermost to this one."""
        zones = [self]
        while (parent := zones[-1].parent) is not None:
            zones.append(parent)
        return zones[::-1]


def back(path: Path, fixed: frozenset[int] = frozenset()) -> Path:
    """Return the way back over the same links; those at the `fixed` places keep their direction.

    SimGrid has plain links ``name_UP`` and ``name_DOWN`` for the two halves of a split one, and
    a route that names one of them crosses the same half on its way back.
    """
    turned = [name if k in fixed else reverse((name,))[0] for k, name in enumerate(path)]
    return tuple(turned[::-1])


class Routing:
    """Finds the links between hosts and routers; `where` gives each one's zone.

    Memory: one path for each pair asked for and each pair of gateways on the way.
    """

    def __init__(self, where: dict[str, Zone]) -> None:
        self._where = where
        self._known: dict[tuple[str, str], Path | None] = {}
        self._before: dict[str, tuple[list[str], NDArray[np.int64]]] = {}
        self._trees: dict[tuple[str, str], dict[str, list[Way]]] = {}

    def find(self, source: str, destination: str) -> Path | None:
        """Return the links to cross, in order; None if there is no way."""
        if source == destination:
            return ()
        key = (source, destination)
        if key not in self._known:
            self._known[key] = self._find(source, destination)
        return self._known[key]

    def _find(self, source: str, destination: str) -> Path | None:
        above, below = self._where[source].chain(), self._where[destination].chain()
        depth = 0
        while depth < min(len(above), len(below)) and above[depth] is below[depth]:
            depth += 1
        common = above[depth - 1]
        bypass = _bypass(common, source, destination, above[depth:], below[depth:])
        if bypass is not None:
            return self._joined(source, bypass, destination)
        near = above[depth].name if depth < len(above) else source
        far = below[depth].name if depth < len(below) else destination
        way = self._local(common, near, far)
        return None if way is None else self._joined(source, way, destination)

    def _joined(self, source: str, way: Way, destination: str) -> Path | None:
        """Return the path to the way's first gateway, the way, and from its last gateway on."""
        first = self.find(source, way.gw_source or source)
        last = self.find(way.gw_destination or destination, destination)
        return None if first is None or last is None else (*first, *way.links, *last)

    def _local(self, zone: Zone, source: str, destination: str) -> Way | None:
        if zone.kind == "full":
            return zone.routes.get((source, destination))
        if zone.kind == "star":
            return _through_centre(zone, source, destination)
        if zone.kind == "none":
            return None
        if zone.kind == "floyd":
            if zone.name not in self._before:
                self._before[zone.name] = _floyd(zone)
            return self._chained(_walk(zone, *self._before[zone.name], source, destination))
        if (zone.name, source) not in self._trees:
            self._trees[zone.name, source] = _dijkstra(zone, source)
        return self._chained(self._trees[zone.name, source].get(destination, []))

    def _chained(self, ways: list[Way]) -> Way | None:
        """Return one way of several; where a zone is left elsewhere than entered, cross it."""
        if not ways:
            return None
        links: list[str] = list(ways[0].links)
        for before, after in pairwise(ways):
            if before.gw_destination is not None and after.gw_source is not None:
                inside = self.find(before.gw_destination, after.gw_source)
                if inside is None:
                    return None
                links += inside
            links += after.links
        return Way(tuple(links), ways[0].gw_source, ways[-1].gw_destination)


def _bypass(
    common: Zone, source: str, destination: str, above: list[Zone], below: list[Zone]
) -> Way | None:
    """Return the bypass route of the zone for two nodes, the nearest zones around them first."""
    if not common.bypass:
        return None
    if not above and not below:
        return common.bypass.get((source, destination))
    near = [zone.name for zone in above][::-1] or [common.name]
    far = [zone.name for zone in below][::-1] or [common.name]
    pairs = [(i, k) for i in range(len(near)) for k in range(len(far))]
    for i, k in sorted(pairs, key=lambda p: (max(p), p[0] == p[1], min(p), p[0] > p[1])):
        if (near[i], far[k]) in common.bypass:
            return common.bypass[near[i], far[k]]
    return None


def _through_centre(zone: Zone, source: str, destination: str) -> Way | None:
    """Return the way over the centre; a link on both sides of it is crossed once."""
    up, down = zone.up.get(source), zone.down.get(destination)
    if up is None or down is None:
        return None
    links = tuple(dict.fromkeys((*up.links, *down.links)))
    return Way(links, up.gw_source, down.gw_destination)


def _floyd(zone: Zone) -> tuple[list[str], NDArray[np.int64]]:
    """Return the nodes, and which comes before the last on the way from each to each, -1: none.

    Floyd and Warshall's algorithm on the number of links, in SimGrid's order of nodes, so that
    ties fall alike.
    """
    names = list(zone.nodes)
    index = {name: k for k, name in enumerate(names)}
    cost = np.full((len(names), len(names)), np.inf)
    before = np.full((len(names), len(names)), -1, dtype=np.int64)
    for (source, destination), way in zone.routes.items():
        i, k = index[source], index[destination]
        cost[i, k], before[i, k] = len(way.links), i
    for c in range(len(names)):
        through = cost[:, c, None] + cost[None, c, :]
        shorter = through < cost
        cost = np.where(shorter, through, cost)
        before = np.where(shorter, before[None, c, :], before)
    return names, before


def _walk(
    zone: Zone, names: list[str], before: NDArray[np.int64], source: str, destination: str
) -> list[Way]:
    """Return the routes from one node to another in order, none where there is no way."""
    first, at = names.index(source), names.index(destination)
    ways: list[Way] = []
    while at != first:
        previous = int(before[first, at])
        if previous < 0:
            return []
        ways.append(zone.routes[names[previous], names[at]])
        at = previous
    return ways[::-1]


def _dijkstra(zone: Zone, source: str) -> dict[str, list[Way]]:
    """Return the shortest chains of routes from a node, by number of links."""
    neighbours: dict[str, list[tuple[str, Way]]] = {}
    order: dict[str, int] = {}
    for (a, b), way in zone.routes.items():
        neighbours.setdefault(a, []).append((b, way))
        order.setdefault(a, len(order))
        order.setdefault(b, len(order))
    best: dict[str, tuple[int, list[Way]]] = {source: (0, [])}
    heap = [(0, order.get(source, 0), source)]
    while heap:
        cost, _, node = heapq.heappop(heap)
        if cost > best[node][0]:
            continue
        for other, way in neighbours.get(node, ()):
            new = cost + len(way.links)
            if other not in best or new < best[other][0]:
                best[other] = (new, [*best[node][1], way])
                heapq.heappush(heap, (new, order[other], other))
    return {node: ways for node, (_, ways) in best.items()}
