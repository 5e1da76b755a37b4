"""The grid in plain Python with heapq: the yardstick of ``kernel.py`` for the levels with data.

What a careful programmer writes first: objects, one heap of events, a heap of flows per route by
virtual time, and whenever something changed all rates anew by progressive filling over the routes
that are in use; where no two routes meet (`shared` is False), only those that changed. First come
first served, the least loaded site, inputs one after another, caches, outputs, one pool a site.
"""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from heapq import heappop, heappush

from gridtwin.sim.kernel.plain_flows import EFFICIENCY, LATENCY, Way, links_of, way, way_of
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Workload

__all__ = ["Grid"]

_GB = 1e9


@dataclass(eq=False)
class _Class:
    """The flows of a route: a heap of (end by the class's clock, number, job)."""

    way: Way
    flows: list[tuple[float, int, int]] = field(default_factory=list)
    served: float = 0.0
    at: float = 0.0
    rate: float = 0.0
    turn: int = 0
    """Ends foreseen in an earlier turn are void."""

    def serve(self, now: float) -> None:
        self.served += self.rate * (now - self.at)
        self.at = now


class Grid:
    """A platform and its jobs; `run` fills `start`, `staged` and `end`."""

    def __init__(self, platform: Platform, jobs: Workload, *, shared: bool) -> None:
        n, self.shared = len(jobs), shared
        self.submit, self.cores = jobs.submit.tolist(), jobs.cores.tolist()
        flop = jobs.run if jobs.flop is None else jobs.flop
        self.flop, self.speed = flop.tolist(), [s.speed or 1.0 for s in platform.sites]
        self.output = [0.0] * n if jobs.output is None else jobs.output.tolist()
        ptr = [0] * (n + 1) if jobs.input_ptr is None else jobs.input_ptr.tolist()
        files = [] if jobs.input_file is None else jobs.input_file.tolist()
        self.inputs = [deque(files[ptr[k] : ptr[k + 1]]) for k in range(n)]
        self.bytes: list[float] = jobs.files.bytes.tolist() if jobs.files else []
        self.replicas: list[list[int]] = [[] for _ in self.bytes]
        if jobs.files:
            for f, node in zip(jobs.files.replica_file, jobs.files.replica_node, strict=True):
                self.replicas[f].append(int(node))
        self.start, self.staged, self.end = [0.0] * n, [0.0] * n, [0.0] * n
        self.site, self.source, self.pins = [-1] * n, [-1] * n, dict[tuple[int, int], int]()
        self.size = platform.cores.tolist()
        self.free, self.held = list(self.size), [0] * len(self.size)
        self.queue: list[deque[int]] = [deque() for _ in self.size]
        self.room = [_room(platform, k) for k in range(len(self.size))]
        self.cached = [0.0] * len(self.size)
        self.lru: list[OrderedDict[int, None]] = [OrderedDict() for _ in self.size]
        self.platform, self.nodes = platform, [*platform.names, *platform.routers]
        self.links = links_of(platform)
        self.ways: dict[tuple[int, int], _Class | None] = {}
        self.active: dict[_Class, None] = {}
        self.changed: dict[_Class, None] = {}
        self.events: list[tuple[float, int, str, object]] = []
        self.now, self.pushed = 0.0, 0

    def _push(self, time: float, what: str, whom: object) -> None:
        self.pushed += 1
        heappush(self.events, (time, self.pushed, what, whom))

    def run(self) -> None:
        """Go from event to event until nothing is left."""
        arrived, n = 0, len(self.submit)
        while arrived < n or self.events:
            now = self.submit[arrived] if arrived < n else math.inf
            if self.events:
                now = min(now, self.events[0][0])
            self.now = now
            while self.events and self.events[0][0] <= now:
                _, _, what, whom = heappop(self.events)
                if what == "flow":
                    self._flow(*whom)  # type: ignore[misc]
                elif what == "end":
                    self._flow_ends(*whom)  # type: ignore[misc]
                else:
                    self._worked(whom)  # type: ignore[arg-type]
            while arrived < n and self.submit[arrived] <= now:
                self._arrive(arrived)
                arrived += 1
            if self.changed:
                self._solve()

    def _arrive(self, job: int) -> None:
        sites = [s for s, size in enumerate(self.size) if size >= self.cores[job]]
        s = min(sites, key=lambda s: self.held[s] / self.size[s])
        self.site[job] = s
        self.held[s] += self.cores[job]
        self.queue[s].append(job)
        self._serve(s)

    def _serve(self, s: int) -> None:
        while self.queue[s] and self.free[s] >= self.cores[self.queue[s][0]]:
            job = self.queue[s].popleft()
            self.free[s] -= self.cores[job]
            self.start[job] = self.now
            self._read(job)

    def _class(self, source: int, s: int) -> _Class | None:
        """Return the class of a route; from a site to -1 it is the way to its own disk."""
        if (source, s) not in self.ways:
            if s < 0:
                name = f"{self.nodes[source]} write"
                found = way_of(self.links, [name], []) if name in self.links else None
            else:
                found = way(self.platform, self.nodes[source], self.nodes[s])
            self.ways[source, s] = _Class(found) if found is not None else None
        return self.ways[source, s]

    def _rank(self, source: int, s: int) -> float:
        route = self._class(source, s)
        if source == s or route is None:
            return 0.0
        alone = min([route.way.bound, *(self.links[n][0] / u for n, u in route.way.use.items())])
        return LATENCY * route.way.latency + _GB / (EFFICIENCY * alone)

    def _read(self, job: int) -> None:
        """Read the next input from the nearest replica; work when all are there."""
        s, inputs = self.site[job], self.inputs[job]
        while inputs:
            file = inputs[0]
            source = min(self.replicas[file], key=lambda node: self._rank(node, s))
            if source < len(self.lru) and file in self.lru[source]:
                self.lru[source].move_to_end(file)
            route = self._class(source, s)
            if route is not None:
                self.source[job] = source
                self.pins[file, source] = self.pins.get((file, source), 0) + 1
                self._push(self.now + LATENCY * route.way.latency, "flow", (route, job))
                return
            inputs.popleft()
        self.staged[job] = self.now
        self._push(self.now + self.flop[job] / self.speed[s], "worked", job)

    def _flow(self, route: _Class, job: int) -> None:
        """Let the bytes of the next input, or of the output, flow."""
        size = self.bytes[self.inputs[job][0]] if self.inputs[job] else self.output[job]
        route.serve(self.now)
        self.pushed += 1
        heappush(route.flows, (route.served + size, self.pushed, job))
        self.active[route] = self.changed[route] = None

    def _flow_ends(self, route: _Class, turn: int) -> None:
        if turn != route.turn:
            return
        route.served, _, job = heappop(route.flows)
        route.at = self.now
        route.turn += 1
        self.changed[route] = None
        if not route.flows:
            del self.active[route]
        if not self.inputs[job]:
            self._finish(job)
            return
        file, source, s = self.inputs[job].popleft(), self.source[job], self.site[job]
        self.pins[file, source] -= 1
        if source != s and self.room[s] >= self.bytes[file]:
            self._keep(file, s)
        self._read(job)

    def _keep(self, file: int, s: int) -> None:
        """Cache a copy; throw away what was used longest ago and is not read."""
        size, lru = self.bytes[file], self.lru[s]
        if s in self.replicas[file]:
            return
        for old in list(lru):
            if self.cached[s] + size <= self.room[s]:
                break
            if not self.pins.get((old, s)):
                del lru[old]
                self.cached[s] -= self.bytes[old]
                self.replicas[old].remove(s)
        if self.cached[s] + size <= self.room[s]:
            lru[file] = None
            self.cached[s] += size
            self.replicas[file].insert(0, s)

    def _worked(self, job: int) -> None:
        route = self._class(self.site[job], -1) if self.output[job] else None
        if route is None:
            self._finish(job)
        else:
            self._flow(route, job)

    def _finish(self, job: int) -> None:
        s = self.site[job]
        self.end[job] = self.now
        self.free[s] += self.cores[job]
        self.held[s] -= self.cores[job]
        self._serve(s)

    def _solve(self) -> None:
        """Find the rates of all routes, or of those that changed; foresee their next ends."""
        routes = list(self.active if self.shared else self.changed)
        self.changed.clear()
        for route in routes:
            route.serve(self.now)
        self._fill([route for route in routes if route.flows])
        for route in routes:
            route.turn += 1
            if route.flows and route.rate > 0.0:
                left = max(route.flows[0][0] - route.served, 0.0)
                self._push(self.now + left / route.rate, "end", (route, route.turn))

    def _fill(self, going: list[_Class]) -> None:
        """Raise value * penalty of all until a bound or a full link stops it."""
        rest = {name: self.links[name][0] for route in going for name in route.way.use}
        while going:
            wish = dict.fromkeys(rest, 0.0)
            for route in going:
                for name, use in route.way.use.items():
                    wish[name] += len(route.flows) * use / route.way.penalty
            share = {name: max(rest[name], 0.0) / wish[name] for name in rest if wish[name] > 0.0}
            bounds = [route.way.bound * route.way.penalty for route in going]
            level = min([*share.values(), *bounds])
            full = {name for name, value in share.items() if value <= level * (1 + 1e-12)}
            stay = []
            for route, bound in zip(going, bounds, strict=True):
                if bound > level and full.isdisjoint(route.way.use):
                    stay.append(route)
                    continue
                value = level / route.way.penalty
                route.rate = EFFICIENCY * value
                for name, use in route.way.use.items():
                    rest[name] -= len(route.flows) * use * value
            going = stay


def _room(platform: Platform, k: int) -> float:
    """Return the bytes of a site's caches."""
    return sum(s.capacity or math.inf for s in platform.sites[k].storages if s.kind == "cache")
