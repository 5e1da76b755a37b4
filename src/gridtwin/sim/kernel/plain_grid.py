"""The grid kernel in plain Python: the oracle of its tests.

No classes of flows, no virtual time, no heaps of flows: at each event every flow's rate is found
anew by progressive filling over all links, and every queue is a list. Covers sites of several pools
with memory, the two brokers by load, first come first served and priorities, inputs read one after
another, caches, outputs, kills by request; no streams, no backfilling, no failures.
"""

import math
from dataclasses import dataclass, field
from heapq import heappop, heappush

from gridtwin.sim.kernel.plain_flows import (
    EFFICIENCY,
    LATENCY,
    Flow,
    Way,
    fill,
    links_of,
    way,
    way_of,
)
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Files, Workload

__all__ = ["Attempt", "run"]

_GB = 1e9


@dataclass(eq=False)
class Attempt:
    """A job at a site."""

    job: int
    site: int
    start: float = math.nan
    staged: float = math.nan
    computed: float = math.nan
    end: float = math.nan
    outcome: str = "PENDING"
    pool: int = -1
    working: bool = False
    reads: list[int] = field(default_factory=list)
    """Files still to be read."""
    copy: "_Copy | None" = None
    """That is read now."""
    flow: Flow | None = None


@dataclass(eq=False)
class _Copy:
    file: int
    node: int
    cached: bool = False
    readers: int = 0


@dataclass
class _Pool:
    index: int
    free: int
    cores: int
    memory_free: float
    memory: float
    speed: float | None


@dataclass
class _Site:
    pools: list[_Pool]
    cores: int
    queue: list[Attempt] = field(default_factory=list)
    running: int = 0
    held: int = 0


class _Grid:
    """All that is at an instant."""

    def __init__(self, platform: Platform, jobs: Workload, *, fewest: bool, priority: bool) -> None:
        self.jobs, self.fewest, self.priority = jobs, fewest, priority
        self.platform, self.nodes = platform, [*platform.names, *platform.routers]
        self.files = jobs.files or Files(jobs.run[:0])
        self.links = links_of(platform)
        self.bandwidth = {name: values[0] for name, values in self.links.items()}
        self.ways: dict[tuple[int, int], Way | None] = {}
        self.sites = [_site(platform, k) for k in range(len(platform.sites))]
        self.copies: list[list[_Copy]] = [[] for _ in self.files.bytes]
        for file, node in zip(self.files.replica_file, self.files.replica_node, strict=True):
            self.copies[file].append(_Copy(int(file), int(node)))
        self.lru: list[list[_Copy]] = [[] for _ in self.nodes]
        self.room = [self._room(k, cache=False) for k in range(len(self.sites))]
        self.cache = [self._room(k, cache=True) for k in range(len(self.sites))]
        self.flows: dict[Flow, Attempt] = {}
        self.heap: list[tuple[float, int, str, Attempt]] = []
        self.pushed = 0
        self.now = 0.0

    def _room(self, k: int, *, cache: bool) -> float:
        storages = [s for s in self.platform.sites[k].storages if (s.kind == "cache") == cache]
        free = 0.0
        for storage in storages:
            room = math.inf if storage.capacity is None else storage.capacity
            free += max(room - sum(size for _, size in storage.files), 0.0)
        return free if storages or cache else math.inf

    def push(self, time: float, what: str, attempt: Attempt) -> None:
        self.pushed += 1
        heappush(self.heap, (time, self.pushed, what, attempt))

    def way(self, source: int, site: int) -> Way | None:
        if (source, site) not in self.ways:
            self.ways[source, site] = way(self.platform, self.nodes[source], self.nodes[site])
        return self.ways[source, site]

    def load(self, k: int) -> float:
        site = self.sites[k]
        return len(site.queue) + site.running if self.fewest else site.held / site.cores

    def arrive(self, job: int) -> Attempt:
        """Send a job to a site's queue."""
        fitting = [k for k, site in enumerate(self.sites) if self._ever(site, job)]
        fixed = -1 if self.jobs.site is None else int(self.jobs.site[job])
        if fixed >= 0:
            fitting = [k for k in fitting if k == fixed]
        if not fitting:
            return Attempt(job, -1, outcome="NO_SITE")
        attempt = Attempt(job, min(fitting, key=self.load))
        site = self.sites[attempt.site]
        site.held += int(self.jobs.cores[job])
        site.queue.append(attempt)
        if self.priority and self.jobs.priority is not None:
            rank = self.jobs.priority
            site.queue.sort(key=lambda a: -rank[a.job])  # stable: equals stay in order
        if len(site.queue) == 1:  # nobody waited: it starts at once where there is room
            self.serve(site)
        return attempt

    def _ever(self, site: _Site, job: int) -> bool:
        memory = 0.0 if self.jobs.memory is None else self.jobs.memory[job]
        return any(p.cores >= self.jobs.cores[job] and p.memory >= memory for p in site.pools)

    def serve(self, site: _Site) -> None:
        """Start from the front of the queue until one does not fit."""
        while site.queue:
            attempt = site.queue[0]
            cores = int(self.jobs.cores[attempt.job])
            memory = 0.0 if self.jobs.memory is None else float(self.jobs.memory[attempt.job])
            fits = [p for p in site.pools if p.free >= cores and p.memory_free >= memory]
            if not fits:
                return
            site.queue.pop(0)
            site.running += 1
            fits[0].free -= cores
            fits[0].memory_free -= memory
            attempt.pool, attempt.start = fits[0].index, self.now
            attempt.reads = self._inputs(attempt.job)
            if self.jobs.request is not None and self.jobs.request[attempt.job] < math.inf:
                self.push(self.now + self.jobs.request[attempt.job], "kill", attempt)
            self.read(attempt)

    def _inputs(self, job: int) -> list[int]:
        if self.jobs.input_ptr is None or self.jobs.input_file is None:
            return []
        first, last = self.jobs.input_ptr[job : job + 2]
        return self.jobs.input_file[first:last].tolist()  # type: ignore[no-any-return]

    def read(self, attempt: Attempt) -> None:
        """Read the next input, or compute."""
        while attempt.reads:
            file, site = attempt.reads[0], attempt.site
            ranks = [self._rank(copy.node, site) for copy in self.copies[file]]
            if not ranks:
                self.finish(attempt, "NO_REPLICA")
                return
            copy = self.copies[file][ranks.index(min(ranks))]
            if copy.cached:
                self.lru[copy.node].remove(copy)
                self.lru[copy.node].append(copy)
            path = self.way(copy.node, site)
            if path is not None and self.files.bytes[file] > 0:
                copy.readers += 1
                attempt.copy = copy
                self.push(self.now + LATENCY * path.latency, "flow", attempt)
                return
            attempt.reads.pop(0)
        job = attempt.job
        if self._inputs(job):
            attempt.staged = self.now
        pool = next(p for p in self.sites[attempt.site].pools if p.index == attempt.pool)
        run = float(self.jobs.run[job])
        if pool.speed is not None and self.jobs.flop is not None:
            run = float(self.jobs.flop[job]) / pool.speed
        attempt.working = True
        self.push(self.now + run, "computed", attempt)

    def _rank(self, source: int, site: int) -> float:
        if source == site:
            return 0.0
        path = self.way(source, site)
        if path is None:
            return 1e-9
        alone = min([path.bound, *(self.bandwidth[n] / u for n, u in path.use.items())])
        return LATENCY * path.latency + _GB / (EFFICIENCY * alone)

    def flow(self, attempt: Attempt) -> None:
        """Let the bytes of an input, or of the output, flow."""
        if attempt.copy is not None:
            path, size = (
                self.way(attempt.copy.node, attempt.site),
                self.files.bytes[attempt.reads[0]],
            )
        else:
            path = way_of(self.links, [f"{self.nodes[attempt.site]} write"], [])
            size = 0.0 if self.jobs.output is None else self.jobs.output[attempt.job]
        if path is not None:
            attempt.flow = Flow(path, float(size))
            self.flows[attempt.flow] = attempt

    def arrived(self, flow: Flow) -> None:
        """Go on after a flow."""
        attempt = self.flows.pop(flow)
        attempt.flow = None
        if attempt.copy is None:
            self.stored(attempt)
            return
        copy, attempt.copy = attempt.copy, None
        copy.readers -= 1
        file = attempt.reads.pop(0)
        if copy.node != attempt.site:
            self.keep(file, attempt.site)
        self.read(attempt)

    def keep(self, file: int, node: int) -> None:
        """Cache a copy; throw away what was used longest ago and is not read."""
        size, lru = self.files.bytes[file], self.lru[node]
        if size > self.cache[node] or any(copy.node == node for copy in self.copies[file]):
            return
        for old in list(lru):
            if sum(self.files.bytes[c.file] for c in lru) + size <= self.cache[node]:
                break
            if not old.readers:
                lru.remove(old)
                self.copies[old.file].remove(old)
        if sum(self.files.bytes[c.file] for c in lru) + size <= self.cache[node]:
            copy = _Copy(file, node, cached=True)
            lru.append(copy)
            self.copies[file].insert(0, copy)

    def computed(self, attempt: Attempt) -> None:
        attempt.computed, attempt.working = self.now, False
        output = 0.0 if self.jobs.output is None else self.jobs.output[attempt.job]
        if output > 0 and f"{self.nodes[attempt.site]} write" in self.links:
            self.flow(attempt)
        else:
            self.stored(attempt)

    def stored(self, attempt: Attempt) -> None:
        output = 0.0 if self.jobs.output is None else float(self.jobs.output[attempt.job])
        if output > self.room[attempt.site]:
            self.finish(attempt, "STORAGE_FULL")
            return
        self.room[attempt.site] -= output
        if output and self.jobs.output_file is not None and self.jobs.output_file[attempt.job] >= 0:
            file = int(self.jobs.output_file[attempt.job])
            self.copies[file].insert(0, _Copy(file, attempt.site))
        self.finish(attempt, "FINISHED")

    def kill(self, attempt: Attempt) -> None:
        if attempt.outcome != "PENDING":
            return
        if attempt.flow is not None:
            del self.flows[attempt.flow]
        if attempt.copy is not None:
            attempt.copy.readers -= 1
        if attempt.working:
            attempt.computed = self.now
        self.finish(attempt, "WALLTIME")

    def finish(self, attempt: Attempt, outcome: str) -> None:
        site, job = self.sites[attempt.site], attempt.job
        pool = next(p for p in site.pools if p.index == attempt.pool)
        pool.free += int(self.jobs.cores[job])
        pool.memory_free += 0.0 if self.jobs.memory is None else float(self.jobs.memory[job])
        site.running -= 1
        site.held -= int(self.jobs.cores[job])
        attempt.end, attempt.outcome = self.now, outcome

    def step(self, until: float) -> bool:
        """Go to the next event before a submission and do it; return whether there was one."""
        fill(list(self.flows), self.bandwidth)
        ends = {f: self.now + f.left / f.rate for f in self.flows if f.rate > 0}
        time = min([*ends.values(), self.heap[0][0] if self.heap else math.inf])
        if time > until or time == math.inf:
            self._pass(until)
            return False
        self._pass(time)
        for flow, end in ends.items():
            if end <= time:
                self.arrived(flow)
        while self.heap and self.heap[0][0] <= time:
            _, _, what, attempt = heappop(self.heap)
            if attempt.outcome == "PENDING":
                {"kill": self.kill, "flow": self.flow, "computed": self.computed}[what](attempt)
        for site in self.sites:
            self.serve(site)
        return True

    def _pass(self, time: float) -> None:
        """Let the clock run; at the end of all time nothing is left that moves."""
        for flow in self.flows:
            flow.left -= flow.rate * (time - self.now) if flow.rate else 0.0
        self.now = time


def _site(platform: Platform, k: int) -> _Site:
    site = platform.sites[k]
    pools: list[_Pool] = []
    for pool in sorted(site.pools, key=lambda p: -(p.speed or 0.0)):
        cores = pool.cores * pool.hosts
        memory = math.inf if pool.memory is None else pool.memory * pool.hosts
        pools.append(_Pool(len(pools), cores, cores, memory, memory, pool.speed))
    return _Site(pools, site.cores)


def run(
    platform: Platform, jobs: Workload, *, fewest: bool = False, priority: bool = False
) -> list[Attempt]:
    """Return what became of each job."""
    grid = _Grid(platform, jobs, fewest=fewest, priority=priority)
    attempts: list[Attempt] = []
    for submit in sorted(set(jobs.submit.tolist())):
        while grid.step(submit):
            pass
        attempts += [grid.arrive(int(job)) for job in (jobs.submit == submit).nonzero()[0]]
        for site in grid.sites:
            grid.serve(site)
    while grid.step(math.inf):
        pass
    return attempts
