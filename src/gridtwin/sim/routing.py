"""Find the links between two nodes: routes as given, their reverse, else the shortest path."""

import heapq
from collections.abc import Iterable

from gridtwin.core.errors import InputError
from gridtwin.sim.parts import Link, Route

__all__ = ["Routing", "crossing", "reverse"]

_BACK = {":up": ":down", ":down": ":up"}


class Routing:
    """The routes of a platform; what is computed is kept, one source at a time.

    Memory: the paths from the sources asked for, sources times nodes times links of a path.
    """

    def __init__(self, links: Iterable[Link], routes: Iterable[Route]) -> None:
        self._links = {link.name: link for link in links}
        self._given: dict[tuple[str, str], tuple[str, ...]] = {}
        back: dict[tuple[str, str], tuple[str, ...]] = {}
        for route in routes:
            there = tuple(crossing(self._links, name) for name in route.links)
            self._given[route.source, route.destination] = there
            if route.symmetric:
                back[route.destination, route.source] = reverse(there)
        self._given = back | self._given
        self._shortest: dict[str, dict[str, tuple[str, ...]]] = {}
        self._neighbours: dict[str, list[tuple[str, str, float]]] = {}
        for link in self._links.values():
            if link.ends is not None:
                near, far = link.ends
                split = link.sharing == "split"
                for a, b, way in ((near, far, ":up"), (far, near, ":down")):
                    name = f"{link.name}{way}" if split else link.name
                    self._neighbours.setdefault(a, []).append((b, name, link.latency))

    def find(self, source: str, destination: str) -> tuple[str, ...] | None:
        """Return the links to cross, in order; None if there is no way."""
        if source == destination:
            return ()
        given = self._given.get((source, destination))
        if given is not None:
            return given
        if source not in self._shortest:
            self._shortest[source] = self._dijkstra(source)
        return self._shortest[source].get(destination)

    def _dijkstra(self, source: str) -> dict[str, tuple[str, ...]]:
        """Return the way to each node of least latency, then fewest links, then first by name."""
        best: dict[str, tuple[float, int, tuple[str, ...]]] = {source: (0.0, 0, ())}
        done: set[str] = set()
        heap: list[tuple[float, int, tuple[str, ...], str]] = [(0.0, 0, (), source)]
        while heap:
            latency, hops, path, node = heapq.heappop(heap)
            if node in done:
                continue
            done.add(node)
            for neighbour, name, delay in self._neighbours.get(node, ()):
                if neighbour in done:
                    continue
                way = (latency + delay, hops + 1, (*path, name))
                if neighbour not in best or way < best[neighbour]:
                    best[neighbour] = way
                    heapq.heappush(heap, (*way, neighbour))
        return {node: way[2] for node, way in best.items()}


def crossing(links: dict[str, Link], name: str) -> str:
    """Return a link as a route names it, a split one with its direction; check that it exists."""
    if name in links:
        return f"{name}:up" if links[name].sharing == "split" else name
    base, colon, way = name.rpartition(":")
    if colon + way in _BACK and base in links:
        if links[base].sharing != "split":
            raise InputError(f"link {base!r} is {links[base].sharing}, only split ones have {way}")
        return name
    raise InputError(f"there is no link {name!r}; add it or correct the name")


def reverse(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same links the other way."""
    back = []
    for name in reversed(path):
        base, colon, way = name.rpartition(":")
        back.append(base + _BACK[colon + way] if colon + way in _BACK else name)
    return tuple(back)
