"""Lay out platform, jobs and rules as the tables of the grid kernel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.faults import Faults
from gridtwin.sim.kernel.codes import (
    AT_ONCE,
    UNREACHABLE,
    Backfilling,
    Brokerage,
    Ordering,
)
from gridtwin.sim.kernel.events import OUTAGE, event, heap_of
from gridtwin.sim.kernel.network import EFFICIENCY, GAMMA, LATENCY, SCALE
from gridtwin.sim.kernel.state import (
    ATTEMPT,
    CALLED,
    CLASS,
    COPY,
    CROSSING,
    HERE,
    JOB,
    LINK,
    MEET,
    MEMBER,
    NODE,
    POOL,
    QUEUED,
    REPLICA,
    SHARE,
    SITE,
    SLOT,
    TRANSFER,
    WINDOW,
    WORLD,
    State,
    Table,
    rows,
)
from gridtwin.sim.parts import Link, Site
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Files, Workload

__all__ = ["Rules", "assemble", "check_queues", "fair_share"]

_EMPTY = np.zeros(0, np.int64)
_GB = 1e9
_MOST_PAIRS = 50_000_000


@dataclass(frozen=True)
class Rules:
    """How sites and brokers work, apart from what the platform says."""

    broker: Brokerage = Brokerage.LEAST_LOADED
    order: Ordering | Mapping[str, Ordering] = Ordering.FCFS
    """At all sites, or by site; so `backfill`, `dispatch` and `pilot`. Sites not named have the
    value that holds by default."""
    backfill: Backfilling | Mapping[str, Backfilling] = Backfilling.NONE
    depth: int = 1000
    """Jobs behind the first that backfilling looks at."""
    half_life: float = 7 * 86400.0
    """s after which use counts half, for fair share."""
    dispatch: float | Mapping[str, float] = 0.0
    """s from the broker's decision to the site's queue."""
    pilot: float | Mapping[str, float] = 0.0
    """s that a job holds its cores before it reads its first input."""
    block: float = 1e9
    """Bytes that a stream reads at a time."""
    prefetch: bool = True
    """Whether a stream reads the next block beside the payload."""
    transfers: bool = True
    """Whether transfers are kept."""
    copies: int = 0
    """Copies of files that placement may order, in all."""
    copying: int = 1000
    """Of these at the same time."""


def assemble(platform: Platform, jobs: Workload, rules: Rules, faults: Faults, seed: int) -> State:
    """Return the kernel's state before the first event.

    Memory: 128 bytes a job, 64 an attempt, 48 a transfer; tables that could become larger are
    only reserved. Routes: 8 bytes for each pair of nodes and about 500 for each that data can take.
    """
    nodes = platform.names + list(platform.routers)
    files = jobs.files or Files(np.zeros(0))
    n, most = len(jobs), faults.attempts
    slots = int(min(n * most, int(platform.cores.sum()))) if n else 0
    inputs = _EMPTY if jobs.input_file is None else jobs.input_file
    table = _jobs(jobs)
    users = int(table["user"].max(initial=0)) + 1
    kinds = int(table["kind"].max(initial=0)) + 1
    children = _children(jobs)
    table["waits_for"] = 0 if jobs.parent_ptr is None else np.diff(jobs.parent_ptr)
    stored = np.array(
        [_capacity(s) for s in platform.sites] + [(np.inf, 0.0)] * len(platform.routers)
    )
    copying = min(rules.copies, rules.copying)
    source = _sources(platform, jobs, files, stored, len(nodes))
    source[: len(platform.sites)] |= copying > 0
    network = _network(platform, nodes, source, copying)
    classes, crossings, links, route, rank, writes, shared = network
    sites = _sites(platform, rules, writes)
    places = np.minimum(platform.cores, slots) * (sites["backfill"] > 0)
    sites["ends"] = np.cumsum(places) - places
    replicas, heads = _replicas(files, inputs, most, jobs, rules.copies)
    replicas[: len(files.replica_file)]["kept"] = _listed(platform, files, rules.copies) * 2
    usage, queued = fair_share(sites, users)
    outages = faults.calendar(platform.names)
    width = 1 << max(len(classes) - 1, 0).bit_length()
    return State(
        world=_world(rules, faults, seed, shared, len(files.replica_file)),
        jobs=table,
        attempts=rows(n * most, ATTEMPT),
        slots=_slots(slots + copying),
        sites=sites,
        pools=_pools(platform),
        nodes=_nodes(stored),
        classes=classes,
        crossings=crossings,
        links=links,
        replicas=replicas,
        heap=heap_of(
            4 * n * most + 4 * slots + len(children[1]),
            [(time, event(OUTAGE, k)) for k, (time, _, _) in enumerate(outages)],
        ),
        soon=heap_of(n * most + slots + copying),
        transfers=np.empty((len(inputs) + n) * most if rules.transfers else 0, TRANSFER),
        copies=rows(rules.copies, COPY),
        called=np.zeros(len(sites), CALLED),
        here=np.zeros(1, HERE),
        queue=np.empty(WINDOW, QUEUED),
        lined=np.empty(WINDOW, np.int64),
        tree=np.full(2 * width, np.inf),
        load=np.where(platform.cores > 0, 0.0, np.inf),
        touched=np.empty(len(sites), np.int64),
        work=np.empty(2 * (max(len(classes), len(links)) + 1), np.int64),
        members=np.empty(len(classes), MEMBER),
        shares=np.empty(len(crossings), SHARE),
        meets=np.empty(len(links), MEET),
        route=route,
        rank=rank,
        input_ptr=np.zeros(n + 1, np.int64) if jobs.input_ptr is None else jobs.input_ptr,
        input_file=inputs,
        file_bytes=np.ascontiguousarray(files.bytes, np.float64),
        file_head=heads,
        child_ptr=children[0],
        child=children[1],
        outage=np.vstack([outages, np.full((1, 3), np.nan)]),
        chance=faults.chances(platform.names, kinds),
        codes=faults.shares(kinds),
        moment=faults.moments(),
        ends=np.empty((int(places.sum()), 3)),
        profile=np.empty((2 * rules.depth + int(places.max(initial=0)) + 8, 3)),
        usage=usage,
        users=queued,
    )


def fair_share(sites: Table, users: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return `State.usage` and `State.users`; empty where no site asks for fair shares."""
    fair = bool((sites["order"] == Ordering.FAIR_SHARE).any())
    if fair and users * len(sites) > _MOST_PAIRS:
        raise InputError(f"fair share among {users} users at {len(sites)} sites; above 50 million")
    shares = (len(sites), users) if fair else (0, 0)
    return np.zeros((*shares, 2)), np.full((*shares, 4), -1, np.int64)


def _world(rules: Rules, faults: Faults, seed: int, shared: bool, replicas: int) -> Table:
    world = np.zeros(1, WORLD)
    for name in ("half_life", "depth", "block", "prefetch"):
        world[name] = getattr(rules, name)
    world["free_replica"] = -1
    world["replicas"] = replicas
    world["broker"] = rules.broker
    world["level"] = 2 if shared else 1
    world["seed"] = seed % 2**62
    world["log"] = rules.transfers
    world["most_attempts"] = faults.attempts
    world["retry_delay"] = faults.retry_delay
    world["elsewhere"] = faults.elsewhere
    world["again"] = faults.again
    world["kill"] = faults.outages_kill
    world["most_copying"] = min(rules.copies, rules.copying)
    return world


def _jobs(jobs: Workload) -> Table:
    table = rows(len(jobs), JOB)
    table[:] = np.zeros((), JOB)
    missing = {
        "flop": np.nan,
        "estimate": np.nan,
        "request": np.inf,
        "site": -1,
        "output_file": -1,
    }
    for name in ("submit", "cores", "run", "flop", "request", "estimate", "memory"):
        values = getattr(jobs, name)
        table[name] = missing.get(name, 0) if values is None else values
    for name in ("priority", "user", "kind", "site", "output", "output_file"):
        values = getattr(jobs, name)
        table[name] = missing.get(name, 0) if values is None else values
    table["access"] = 0 if jobs.stream is None else jobs.stream
    return table


def _children(jobs: Workload) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn the lists of parents into lists of children."""
    if jobs.parent_ptr is None or jobs.parent is None:
        return np.zeros(len(jobs) + 1, np.int64), _EMPTY
    child = np.repeat(np.arange(len(jobs)), np.diff(jobs.parent_ptr))
    order = np.argsort(jobs.parent, kind="stable")
    counts = np.bincount(jobs.parent, minlength=len(jobs))
    return np.concatenate([[0], np.cumsum(counts)]), child[order]


def _slots(count: int) -> Table:
    slots = rows(count + 1, SLOT)
    slots[:] = np.zeros((), SLOT)
    slots["attempt"] = slots["class_"] = slots["replica"] = -1
    slots["next"] = np.arange(1, count + 2)
    return slots


def _sites(platform: Platform, rules: Rules, writes: NDArray[np.int64]) -> Table:
    sites = np.zeros(len(platform.sites), SITE)
    pools = 0
    for k, site in enumerate(platform.sites):
        sites[k]["first_pool"] = pools
        pools += len(site.pools)
        sites[k]["last_pool"] = pools
        sites[k]["widest"] = max((p.hosts * p.cores for p in site.pools), default=0)
    sites["cores"] = platform.cores
    sites["open"] = 1.0
    sites["head"] = sites["tail"] = -1
    sites["writes"] = writes
    for name in ("order", "backfill", "dispatch", "pilot"):
        sites[name] = _each(platform, name, getattr(rules, name))
    check_queues(platform, sites)
    return sites


def _each(platform: Platform, name: str, value: object) -> NDArray[np.float64]:
    """Return a rule's value at each site."""
    if not isinstance(value, Mapping):
        return np.full(len(platform.sites), value, np.float64)
    unknown = sorted(set(value) - set(platform.names))
    if unknown:
        raise InputError(f"{name}: there is no site {unknown[0]!r}; correct the name")
    return np.array([value.get(site, 0) for site in platform.names], np.float64)


def check_queues(platform: Platform, sites: Table) -> None:
    """Raise `InputError` where a site cannot have the order and the backfilling it asks for."""
    for site, row in zip(platform.sites, sites, strict=True):
        if not row["backfill"]:
            continue
        if row["order"] == Ordering.FAIR_SHARE:
            raise InputError(
                f"{site.name}: backfilling needs an order that stays; choose fcfs or priority, "
                "or no backfilling"
            )
        if len(site.pools) > 1:
            raise InputError(
                f"{site.name}: backfilling needs one pool, not {len(site.pools)}; join them or "
                "choose no backfilling"
            )


def _pools(platform: Platform) -> Table:
    """Lay the pools out by site, the fastest first."""
    rows = []
    for k, site in enumerate(platform.sites):
        for pool in sorted(site.pools, key=lambda p: -(p.speed or 0.0)):
            cores = pool.hosts * pool.cores
            memory = np.inf if pool.memory is None else pool.memory * pool.hosts
            speed = np.nan if pool.speed is None else pool.speed
            rows.append((k, cores, cores, speed, memory, memory))
    return np.array(rows, POOL)


def _capacity(site: Site) -> tuple[float, float]:
    """Return a site's bytes for files that stay, beside those there, and for cached copies.

    Without a storage for what stays, there is no limit to it.
    """
    stay, cache = 0.0, 0.0
    for storage in site.storages:
        held = sum(size for _, size in storage.files)
        room = np.inf if storage.capacity is None else storage.capacity
        if storage.kind == "cache":
            cache += max(room - held, 0.0)
        else:
            stay += max(room - held, 0.0)
    kept = any(storage.kind != "cache" for storage in site.storages)
    return (stay if kept else np.inf), cache


def _nodes(stored: NDArray[np.float64]) -> Table:
    nodes = np.zeros(len(stored), NODE)
    nodes["capacity"], nodes["cache"] = stored.T
    nodes["oldest"] = nodes["newest"] = -1
    return nodes


def _sources(
    platform: Platform,
    jobs: Workload,
    files: Files,
    stored: NDArray[np.float64],
    nodes: int,
) -> NDArray[np.bool_]:
    """Return from which nodes data can come."""
    source = np.zeros(nodes, bool)
    if jobs.input_file is not None and len(jobs.input_file):
        source[files.replica_node] = True
        source |= stored[:, 1] > 0
        if jobs.output_file is not None and (jobs.output_file >= 0).any():
            source[: len(platform.sites)] = True
    return source


def _replicas(
    files: Files, inputs: NDArray[np.int64], most: int, jobs: Workload, copies: int
) -> tuple[Table, NDArray[np.int64]]:
    """Chain the replicas of each file, in the order given."""
    count = len(files.replica_file)
    replicas = np.empty(count + len(inputs) * most + len(jobs) * most + copies, REPLICA)
    order = np.argsort(files.replica_file, kind="stable")
    file = files.replica_file[order]
    first = replicas[:count]
    first["file"], first["node"] = file, files.replica_node[order]
    last = np.ones(count, bool)
    last[:-1] = file[1:] != file[:-1]
    first["next"] = np.where(last, -1, np.arange(1, count + 1))
    first["older"] = first["newer"] = -1
    first["pins"] = first["cached"] = first["kept"] = 0
    heads = np.full(len(files.bytes), -1, np.int64)
    begins = np.ones(count, bool)
    begins[1:] = last[:-1]
    heads[file[begins]] = np.flatnonzero(begins)
    return replicas, heads


def _listed(platform: Platform, files: Files, copies: int) -> NDArray[np.int64]:
    """Return which of the replicas, by file, the storages list: their space is not free."""
    if not copies or files.names is None:
        return np.zeros(len(files.replica_file), np.int64)
    listed = {
        (name, k)
        for k, site in enumerate(platform.sites)
        for storage in site.storages
        if storage.kind != "cache"
        for name, _ in storage.files
    }
    order = np.argsort(files.replica_file, kind="stable")
    at = zip(files.replica_file[order].tolist(), files.replica_node[order].tolist(), strict=True)
    return np.array([(files.names[file], node) in listed for file, node in at], np.int64)


def _network(
    platform: Platform, nodes: list[str], sources: NDArray[np.bool_], copying: int
) -> tuple[Table, Table, Table, NDArray[np.int32], NDArray[np.float64], NDArray[np.int64], bool]:
    """Return classes, crossings, links, routes, ranks, classes of outputs, and the level.

    Each pair of a source and a site is one class. Storages' bandwidths are links without latency;
    a transfer has 0.97 of what it takes of a link, so that theirs are divided by that.
    """
    lay = _Layout(platform)
    count = len(nodes)
    route = np.full((count, count), UNREACHABLE, np.int32)
    rank = np.full((count, count), np.inf)
    for src in np.flatnonzero(sources).tolist():
        for dst in range(len(platform.sites)):
            if not platform.sites[dst].pools and not copying:
                continue
            if src == dst:
                there, back = [], []
            else:
                try:
                    there = lay.path(nodes[src], nodes[dst])
                except InputError:
                    continue
                try:
                    back = lay.path(nodes[dst], nodes[src])
                except InputError:
                    back = []
            there = [*lay.disk(src, "read"), *there]
            route[src, dst] = lay.add(there, back, lay.delay(src))
            rank[src, dst] = lay.rank(int(route[src, dst]), local=src == dst)
    writes = np.array(
        [lay.add(lay.disk(k, "write"), [], 0.0) for k in range(len(platform.sites))],
        np.int64,
    )
    classes, crossings, links = lay.tables()
    cores = np.zeros(len(classes))
    for dst in range(len(platform.sites)):
        on = route[:, dst][route[:, dst] >= 0]
        cores[on] = platform.sites[dst].cores + copying
        if writes[dst] >= 0:
            cores[writes[dst]] = platform.sites[dst].cores
    return (
        classes,
        crossings,
        links,
        route,
        rank,
        writes,
        _shared(classes, crossings, links, cores),
    )


def _shared(classes: Table, crossings: Table, links: Table, cores: NDArray[np.float64]) -> bool:
    """Return whether classes can meet at a link that binds: then level 2 is needed."""
    if not len(crossings):
        return False
    on, of = crossings["link"], crossings["class_"]
    flow = np.minimum(classes["cap"][of] * cores[of], classes["pipe"][of])
    most = np.bincount(on, flow * crossings["use"], len(links))
    met = np.bincount(on, minlength=len(links)) > 1
    return bool((met & (most > 0.999 * links["bandwidth"])).any())


class _Layout:
    """Links by number, and the classes that cross them, as they are added."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.index: dict[str, int] = {}
        self.given: list[Link] = []
        for link in platform.links:
            names = (f"{link.name}:up", f"{link.name}:down")
            for name in names if link.sharing == "split" else (link.name,):
                self.index[name] = len(self.given)
                self.given.append(link)
        self.classes: list[tuple[float, float, float, float, int, int]] = []
        self.crossings: list[tuple[int, int, float]] = []
        self.lans = {s.name: s.lan for s in platform.sites if s.lan is not None}
        self.disks = {name: self._disks(name) for name in ("read", "write")}
        self.known: dict[tuple[tuple[int, ...], tuple[int, ...], float], int] = {}

    def _disks(self, way: str) -> dict[int, int]:
        """Give each site whose storages are all limited a link of their bandwidth."""
        found = {}
        for k, site in enumerate(self.platform.sites):
            values = [getattr(storage, way) for storage in site.storages]
            if values and all(value is not None for value in values):
                found[k] = len(self.given)
                self.given.append(Link(f"{site.name} {way}", sum(values) / EFFICIENCY))
        return found

    def disk(self, node: int, way: str) -> list[int]:
        return [self.disks[way][node]] if node in self.disks[way] else []

    def delay(self, node: int) -> float:
        """Return the latency of a node's storages: that of the fastest one with files."""
        if node >= len(self.platform.sites):
            return 0.0
        return min((s.latency for s in self.platform.sites[node].storages), default=0.0)

    def path(self, source: str, destination: str) -> list[int]:
        names = list(self.platform.route(source, destination))
        if source in self.lans:
            names.insert(0, self._way(self.lans[source], ":up"))
        if destination in self.lans:
            names.append(self._way(self.lans[destination], ":down"))
        return [self.index[name] for name in names]

    def _way(self, name: str, way: str) -> str:
        return name if name in self.index else name + way

    def add(self, there: Iterable[int], back: Iterable[int], delay: float) -> int:
        """Add a class and return its number; `AT_ONCE` if nothing on its way takes time."""
        there, back = list(there), list(back)
        key = (tuple(there), tuple(back), delay)
        if not there and not delay:
            return AT_ONCE
        if key in self.known:
            return self.known[key]
        latency = sum(self.given[k].latency for k in there)
        cap = min((self.given[k].bandwidth for k in there), default=np.inf)
        if latency > 0.0:
            cap = min(cap, GAMMA / (2.0 * latency))
        penalty = 1.0  # as SimGrid has it for routes without latency
        if latency > 0.0:
            penalty = latency + sum(SCALE / self.given[k].bandwidth for k in there if cap > 0.0)
        use: dict[int, float] = {}
        for path, share in ((there, 1.0), (back, 0.05)):
            for k in path:
                if self.given[k].sharing != "fatpipe":
                    use[k] = use.get(k, 0.0) + share
        if cap == np.inf and not latency and not delay:
            return AT_ONCE
        c, first = len(self.classes), len(self.crossings)
        self.crossings.extend((k, c, share) for k, share in use.items())
        pipe = min(
            (self.given[k].bandwidth / share for k, share in use.items()),
            default=np.inf,
        )
        wait = latency + delay / LATENCY
        self.classes.append((wait, penalty, min(cap, pipe), pipe, first, len(self.crossings)))
        self.known[key] = c
        return c

    def rank(self, c: int, *, local: bool) -> float:
        """Return the seconds that a GB would take alone."""
        if local:
            return 0.0
        if c == AT_ONCE:
            return 1e-9
        latency, _, cap, *_ = self.classes[c]
        return LATENCY * latency + (_GB / (EFFICIENCY * cap) if cap > 0.0 else 1e18)

    def tables(self) -> tuple[Table, Table, Table]:
        classes = np.zeros(len(self.classes), CLASS)
        for k, name in enumerate(("latency", "penalty", "cap", "pipe", "first", "last")):
            classes[name] = [row[k] for row in self.classes]
        classes["root"] = classes["mark"] = -1
        crossings = np.zeros(len(self.crossings), CROSSING)
        for k, name in enumerate(("link", "class_", "use")):
            crossings[name] = [row[k] for row in self.crossings]
        links = np.zeros(len(self.given), LINK)
        links["bandwidth"] = [link.bandwidth for link in self.given]
        links["head"] = links["mark"] = -1
        return classes, crossings, links
