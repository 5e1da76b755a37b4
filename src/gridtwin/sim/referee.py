"""Run jobs through SimGrid itself and say how far our times are from its.

SimGrid 4.1 with its defaults (network LV08, processors Cas01) is the referee: it knows nothing of
our kernel. It runs in a process of its own, since an engine lives once per process and a failed
check of its C++ side ends it. One actor per busy job, one thread each: for 10,000 jobs or fewer.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.sim.parts import Link
from gridtwin.sim.routing import crossing

__all__ = ["MOST_JOBS", "Case", "Host", "Times", "available", "differences", "referee"]

MOST_JOBS = 10_000
"""One actor, that is one thread, per running job: more jobs than this are refused."""

CHOOSE = -1
"""As a job's site: the referee sends it to the site with the fewest queued and running jobs."""


@dataclass(frozen=True)
class Host:
    """One computer of a site."""

    site: int
    cores: int
    speed: float
    """flop/s of each core."""
    lan: tuple[str, ...] = ()
    """Links between it and its site's door, that is in the routes' words: after a route."""


@dataclass(frozen=True)
class Case:
    """What both sides run: hosts, links, the ways to them, and jobs, one entry per job.

    A job starts when its site has the cores, in the order of submission; it holds them while its
    input comes from its source, one transfer, and while one core computes its work.
    """

    sites: int
    hosts: tuple[Host, ...]
    links: tuple[Link, ...]
    routes: Mapping[tuple[int, int], tuple[str, ...]]
    """Links from a source to a site, split ones as ``name:up`` or ``name:down``."""
    submit: NDArray[np.float64]
    """Seconds, never falling."""
    input_bytes: NDArray[np.int64]
    """Read from the source before the work; 0: no transfer."""
    flop: NDArray[np.float64]
    """Work of one core."""
    cores: NDArray[np.int64]
    source: NDArray[np.int64]
    site: NDArray[np.int64]
    """Index of the site, or -1: where the fewest jobs wait and run, the first of equals."""

    @classmethod
    def of(
        cls,
        hosts: Sequence[Host],
        links: Sequence[Link],
        routes: Mapping[tuple[int, int], tuple[str, ...]],
        *,
        submit: ArrayLike,
        input_bytes: ArrayLike,
        flop: ArrayLike,
        cores: ArrayLike = 1,
        source: ArrayLike = 0,
        site: ArrayLike = CHOOSE,
    ) -> "Case":
        """Check and complete a case; raise `InputError` for what the referee cannot run."""
        when = np.ascontiguousarray(submit, dtype=np.float64)
        if when.ndim != 1 or len(when) > MOST_JOBS:
            raise InputError(
                f"submit: expected one entry for each of at most {MOST_JOBS} jobs, got shape "
                f"{when.shape}; SimGrid runs one thread per job, give it an extract"
            )
        if not np.isfinite(when).all() or (np.diff(when) < 0).any() or (when < 0).any():
            raise InputError("submit: expected finite times of 0 or more that never fall")
        whole = {"input_bytes": input_bytes, "cores": cores, "source": source, "site": site}
        columns = {name: _column(name, v, len(when), np.int64) for name, v in whole.items()}
        columns["flop"] = _column("flop", flop, len(when), np.float64)
        sites = 1 + max((host.site for host in hosts), default=-1)
        case = cls(sites, tuple(hosts), tuple(links), dict(routes), submit=when, **columns)
        _check(case)
        return case


@dataclass(frozen=True)
class Times:
    """When and where each job ran."""

    site: NDArray[np.int64]
    start: NDArray[np.float64]
    stage_in_end: NDArray[np.float64]
    end: NDArray[np.float64]


def available() -> bool:
    """Return whether SimGrid's Python bindings are installed here."""
    return find_spec("simgrid") is not None


def referee(case: Case) -> Times:
    """Return SimGrid's times; about 1,000 to 5,000 jobs per second.

    Raises
    ------
    MissingExtraError
        Without SimGrid's Python bindings; docs/howto/simgrid-referee.md says how to build them.
    InputError
        If SimGrid gave up; its last words are on stderr.
    """
    if not available():
        raise MissingExtraError("the referee", "SimGrid 4.1", "simgrid")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(_run, case).result()
        except BrokenProcessPool as error:
            raise InputError(
                "SimGrid ended before the jobs did; its reason is on stderr above: "
                "correct the platform, or give fewer concurrent jobs if threads ran out"
            ) from error


def differences(ours: Times, theirs: Times) -> dict[str, dict[str, float]]:
    """Return, for site, start, stage_in_end and end, how far two outcomes are apart.

    ``max_abs`` (s), ``max_rel`` (to the later of the two times) and ``equal``, the share of jobs
    with the same value to the last bit. A site has only ``equal``.
    """
    if len(ours.start) != len(theirs.start):
        raise InputError(f"{len(ours.start)} jobs against {len(theirs.start)}; expected the same")
    jobs = max(len(ours.start), 1)
    found: dict[str, dict[str, float]] = {
        "site": {"equal": float((ours.site == theirs.site).sum() / jobs)}
    }
    for name in ("start", "stage_in_end", "end"):
        a, b = getattr(ours, name), getattr(theirs, name)
        apart = np.abs(a - b)
        larger = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
        found[name] = {
            "max_abs": float(apart.max(initial=0.0)),
            "max_rel": float((apart / larger).max(initial=0.0)),
            "equal": float((apart == 0).sum() / jobs),
        }
    return found


def _column(name: str, values: ArrayLike, jobs: int, dtype: type) -> NDArray[Any]:
    """Return one non-negative number per job (a site may be -1)."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((), (jobs,)):
        raise InputError(f"{name}: expected one entry per job, got shape {given.shape}")
    least = {"site": CHOOSE, "cores": 1}.get(name, 0)
    if not np.isfinite(given).all() or (given < least).any():
        raise InputError(f"{name}: expected finite numbers from {least} on; correct the jobs")
    if dtype is np.int64 and (given != np.floor(given)).any():
        raise InputError(f"{name}: expected whole numbers, got fractions; round them")
    return np.ascontiguousarray(np.broadcast_to(given, (jobs,)), dtype=dtype)


def _check(case: Case) -> None:
    """Refuse what would hang or crash SimGrid."""
    size = np.zeros(case.sites, dtype=np.int64)
    for host in case.hosts:
        size[host.site] += host.cores
    if (case.site >= case.sites).any():
        raise InputError(f"site: {case.site.max()} is none of the {case.sites} with hosts")
    if len(case.site) and not case.sites:
        raise InputError("hosts: there are none, but jobs; give a host or no jobs")
    # a job may be sent to any site, so that each must have room for it
    room = np.where(case.site < 0, size.min() if case.sites else 0, size[case.site])
    if (case.cores > room).any():
        job = int(np.argmax(case.cores > room))
        raise InputError(f"job {job} needs {case.cores[job]} cores, a site has {room[job]}")
    for host in case.hosts:
        if not 0 < host.speed < np.inf or host.cores < 1 or host.site < 0:
            raise InputError(f"hosts: expected a site, cores and a speed above 0, got {host}")
    links = {link.name: link for link in case.links}
    for link in case.links:
        if link.bandwidth <= 0:
            raise InputError(f"link {link.name!r} has no bandwidth; its transfers never end")
    for path in (*case.routes.values(), *(host.lan for host in case.hosts)):
        for name in path:
            crossing(links, name)
    for source in set(case.source[case.input_bytes > 0].tolist()):
        for site in range(case.sites):
            if (source, site) not in case.routes:
                raise InputError(f"there is no route from source {source} to site {site}; add it")


def _run(case: Case) -> Times:
    """Build the platform in SimGrid, start one actor that submits, run to the end."""
    simgrid = _simgrid()
    engine = simgrid.Engine(["referee", "--log=root.thresh:error", "--log=no_loc"])
    hosts, sources = _build(simgrid, engine, case)
    jobs = len(case.submit)
    out = Times(case.site.copy(), *(np.full(jobs, np.nan) for _ in range(3)))
    submitter = _submitter(simgrid, case, hosts, sources, out)
    if jobs:
        hosts[0].add_actor("submitter", submitter)
        engine.run()
    return out


def _simgrid() -> Any:  # noqa: ANN401 - untyped bindings
    """Import the bindings; their wheel does not say where its own library lies, beside them."""
    spec = find_spec("simgrid")
    if spec is not None and spec.origin is not None:
        for library in Path(spec.origin).parent.glob("libsimgrid.so.*"):
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    return import_module("simgrid")


def _build(simgrid: Any, engine: Any, case: Case) -> tuple[list[Any], dict[int, Any]]:  # noqa: ANN401 - untyped bindings
    """Return SimGrid's hosts and, by number, the hosts that are the sources of data."""
    root = engine.netzone_root
    links = {link.name: _add_link(simgrid, root, link) for link in case.links}

    def crossed(names: Sequence[str]) -> list[Any]:
        direction, found = simgrid.LinkInRoute.Direction, []
        for name in names:
            base, _, way = name.rpartition(":")
            if name in links:
                found.append(simgrid.LinkInRoute(links[name], direction.UP))
            else:
                found.append(simgrid.LinkInRoute(links[base], getattr(direction, way.upper())))
        return found

    sources: dict[int, Any] = {}
    zones: dict[int, Any] = {}
    for source in sorted({source for source, _ in case.routes}):
        zone = root.add_netzone_star(f"zone_source{source}")
        sources[source] = zone.add_host(f"source{source}", 1e9)
        sources[source].seal()
        zone.set_gateway(sources[source].netpoint)
        zones[source] = zone
    hosts = []
    for k, host in enumerate(case.hosts):
        zone = root.add_netzone_star(f"zone_host{k}")
        made = zone.add_host(f"host{k}", host.speed)
        made.core_count = host.cores
        made.seal()
        zone.set_gateway(made.netpoint)
        hosts.append(made)
        for (source, site), names in case.routes.items():
            if site == host.site:
                root.add_route(zones[source], zone, crossed((*names, *host.lan)), True)
    return hosts, sources


def _add_link(simgrid: Any, root: Any, link: Link) -> Any:  # noqa: ANN401 - untyped bindings
    if link.sharing == "split":
        made = root.add_split_duplex_link(link.name, link.bandwidth)
    else:
        made = root.add_link(link.name, link.bandwidth)
        if link.sharing == "fatpipe":
            made.set_sharing_policy(simgrid.Link.SharingPolicy.FATPIPE, None)
    made.set_latency(link.latency)
    made.seal()
    return made


def _submitter(
    simgrid: Any,  # noqa: ANN401 - untyped bindings
    case: Case,
    hosts: Sequence[Any],
    sources: Mapping[int, Any],
    out: Times,
) -> Callable[[], None]:
    """Return the body of the actor that hands out the jobs; it and the workers fill `out`."""
    clock = simgrid.Engine
    free = [host.cores for host in case.hosts]
    idle = [sum(h.cores for h in case.hosts if h.site == k) for k in range(case.sites)]
    queues: list[deque[int]] = [deque() for _ in range(case.sites)]
    load = [0] * case.sites
    at = [[k for k, h in enumerate(case.hosts) if h.site == site] for site in range(case.sites)]
    submit, flop = case.submit.tolist(), case.flop.tolist()
    size, source = case.input_bytes.tolist(), case.source.tolist()
    cores, wanted = case.cores.tolist(), case.site.tolist()

    def work(job: int, host: int) -> None:
        out.start[job] = clock.clock
        if size[job]:
            simgrid.Comm.sendto(sources[source[job]], hosts[host], size[job])
        out.stage_in_end[job] = clock.clock
        if flop[job]:
            simgrid.this_actor.execute(flop[job])
        out.end[job] = clock.clock
        site = case.hosts[host].site
        free[host] += 1
        idle[site] += cores[job]
        load[site] -= 1
        begin(site)

    def begin(site: int) -> None:
        """Start jobs from the head of the queue, each on the first host with a core left."""
        while queues[site] and cores[queues[site][0]] <= idle[site]:
            job = queues[site].popleft()
            host = next(k for k in at[site] if free[k])
            free[host] -= 1
            idle[site] -= cores[job]
            hosts[host].add_actor(f"job{job}", work, job, host)

    def hand_out() -> None:
        for job, when in enumerate(submit):
            if when > clock.clock:
                simgrid.this_actor.sleep_until(when)
            site = wanted[job] if wanted[job] >= 0 else load.index(min(load))
            out.site[job] = site
            load[site] += 1
            queues[site].append(job)
            begin(site)

    return hand_out
