"""Run jobs through SimGrid itself and say how far our times are from its.

SimGrid 4.1 with its defaults (network LV08, processors Cas01) is the referee: it knows nothing of
our kernel. It runs in a process of its own, since an engine lives once per process and a failed
check of its C++ side ends it. One actor per busy job, one thread each: for 10,000 jobs or fewer.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.sim.parts import Link
from gridtwin.sim.platform import Platform
from gridtwin.sim.routing import crossing, reverse
from gridtwin.sim.simgrid_run import run
from gridtwin.sim.workload import Workload

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
    speed: float | None
    """flop/s of each core; None: jobs take their `run`."""
    lan: tuple[str, ...] = ()
    """Links between it and its site's door, that is in the routes' words: after a route."""


@dataclass(frozen=True)
class Case:
    """What both sides run: hosts, links, the ways to them, and jobs, one entry per job.

    A job starts when its site has the cores, in the order of submission; it holds them while its
    inputs come from their sources, one after another, and while one core computes its work.
    """

    sites: int
    hosts: tuple[Host, ...]
    links: tuple[Link, ...]
    routes: Mapping[tuple[int, int], tuple[str, ...] | None]
    """Links from a source to a site, split ones as ``name:up`` or ``name:down``; None: the data
    are there already."""
    submit: NDArray[np.float64]
    """Seconds, never falling."""
    flop: NDArray[np.float64]
    """Work of one core; NaN: the job takes its `run`."""
    run: NDArray[np.float64]
    """Seconds, where there is no speed or no work."""
    cores: NDArray[np.int64]
    site: NDArray[np.int64]
    """Index of the site, or -1: where the fewest jobs wait and run, the first of equals."""
    input_job: NDArray[np.int64]
    """One entry per input, as the next two."""
    input_bytes: NDArray[np.int64]
    """Read from the source before the work; 0: no transfer."""
    source: NDArray[np.int64]
    back: Mapping[tuple[int, int], tuple[str, ...]]
    """The way back where it is not the same in reverse, for the 5 % of traffic that goes there."""
    config: tuple[str, ...] = ()
    """SimGrid's settings, such as ``"network/optim:Full"``. By default 4.1 shares anew only what
    changed, and where flows of several routes that begin with the same link start at the same
    instant, all but the first escape the links behind it; with Full they do not."""

    @classmethod
    def of(
        cls,
        hosts: Sequence[Host],
        links: Sequence[Link],
        routes: Mapping[tuple[int, int], tuple[str, ...] | None],
        *,
        submit: ArrayLike,
        input_bytes: ArrayLike,
        flop: ArrayLike = np.nan,
        run: ArrayLike = 0.0,
        cores: ArrayLike = 1,
        site: ArrayLike = CHOOSE,
        source: ArrayLike = 0,
        input_job: ArrayLike | None = None,
        back: Mapping[tuple[int, int], tuple[str, ...]] | None = None,
        config: Sequence[str] = (),
    ) -> "Case":
        """Check and complete a case; raise `InputError` for what the referee cannot run.

        Without `input_job` each job has one input.
        """
        when = np.ascontiguousarray(submit, dtype=np.float64)
        if when.ndim != 1 or len(when) > MOST_JOBS:
            raise InputError(
                f"submit: expected one entry for each of at most {MOST_JOBS} jobs, got shape "
                f"{when.shape}; SimGrid runs one thread per job, give it an extract"
            )
        if not np.isfinite(when).all() or (np.diff(when) < 0).any() or (when < 0).any():
            raise InputError("submit: expected finite times of 0 or more that never fall")
        reads = np.arange(len(when)) if input_job is None else np.asarray(input_job, np.int64)
        of_job = {"flop": flop, "run": run, "cores": cores, "site": site}
        of_input = {"input_bytes": input_bytes, "source": source}
        columns = {name: _column(name, v, len(when)) for name, v in of_job.items()}
        columns |= {name: _column(name, v, len(reads)) for name, v in of_input.items()}
        known = {link.name: link for link in links}

        def ways(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(crossing(known, name) for name in names)

        case = cls(
            1 + max((host.site for host in hosts), default=-1),
            tuple(replace(host, lan=ways(host.lan)) for host in hosts),
            tuple(links),
            {ends: None if path is None else ways(path) for ends, path in routes.items()},
            submit=when,
            input_job=reads,
            back={ends: ways(path) for ends, path in (back or {}).items()},
            config=tuple(config),
            **columns,
        )
        _check(case)
        return case

    @classmethod
    def from_platform(cls, platform: Platform, jobs: Workload) -> "Case":
        """Return what the referee can run of a platform and jobs; raise `InputError` otherwise.

        Sites have one pool, or none; each file has one replica. Memory, kills, priorities,
        outputs, streams, parents, caches and disks' bandwidths are refused by name, as the
        referee would not see them. Sites work first come, first served.
        """
        _refuse(platform, jobs)
        with_pools = [k for k, site in enumerate(platform.sites) if site.pools]
        number = {k: n for n, k in enumerate(with_pools)}
        if with_pools != list(range(len(with_pools))):
            raise InputError("site: put the sites without pools behind the others, or in routers")
        hosts = []
        for k, n in number.items():
            site = platform.sites[k]
            pool = site.pools[0]
            entry = (_down(platform, site.lan),) if site.lan is not None else ()
            hosts += [Host(n, pool.cores, pool.speed, entry)] * pool.hosts
        none = np.zeros(0, np.int64)
        file = none if jobs.input_file is None else jobs.input_file
        ptr = np.zeros(len(jobs) + 1, np.int64) if jobs.input_ptr is None else jobs.input_ptr
        size, node = np.zeros(0), none
        if jobs.files is not None:
            size = jobs.files.bytes
            node = np.full(len(size), -1, np.int64)
            node[jobs.files.replica_file] = jobs.files.replica_node
        if (node[file] < 0).any():
            raise InputError("files: one that is read has no replica; say where it is")
        nodes = platform.names + list(platform.routers)
        routes: dict[tuple[int, int], tuple[str, ...] | None] = {}
        back: dict[tuple[int, int], tuple[str, ...]] = {}
        for source in set(node[file].tolist()):
            lan = platform.sites[source].lan if source < len(platform.sites) else None
            out = () if lan is None else reverse((_down(platform, lan),))
            for k, n in number.items():
                routes[source, n] = None
                if source != k:
                    routes[source, n] = out + platform.route(nodes[source], nodes[k])
                    back[source, n] = platform.route(nodes[k], nodes[source]) + reverse(out)
        return cls.of(
            hosts,
            platform.links,
            routes,
            submit=jobs.submit,
            input_bytes=np.rint(size[file]),
            flop=np.nan if jobs.flop is None else jobs.flop,
            run=np.where(np.isfinite(jobs.run), jobs.run, 0.0),
            cores=jobs.cores,
            site=CHOOSE if jobs.site is None else jobs.site,
            source=node[file],
            input_job=np.repeat(np.arange(len(jobs)), np.diff(ptr)),
            back=back,
        )


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
            return Times(*process.submit(run, case).result())
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


_WHOLE = ("input_bytes", "cores", "source", "site")
_LEAST = {"site": CHOOSE, "cores": 1}


def _column(name: str, values: ArrayLike, entries: int) -> NDArray[Any]:
    """Return one number per job or input: a site may be -1, work NaN, the others from 0 or 1."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((), (entries,)):
        raise InputError(f"{name}: expected {entries} entries, got shape {given.shape}")
    least = _LEAST.get(name, 0)
    checked = given[~np.isnan(given)] if name == "flop" else given
    if not np.isfinite(checked).all() or (checked < least).any():
        raise InputError(f"{name}: expected finite numbers from {least} on; correct the jobs")
    if name in _WHOLE and (given != np.floor(given)).any():
        raise InputError(f"{name}: expected whole numbers, got fractions; round them")
    dtype = np.int64 if name in _WHOLE else np.float64
    return np.ascontiguousarray(np.broadcast_to(given, (entries,)), dtype=dtype)


def _down(platform: Platform, name: str) -> str:
    """Return a site's own link as a transfer into the site crosses it."""
    link = next(link for link in platform.links if link.name == name)
    return f"{name}:down" if link.sharing == "split" else name


def _refuse(platform: Platform, jobs: Workload) -> None:
    """Raise `InputError` naming what SimGrid would not be told."""
    pools = [pool for site in platform.sites for pool in site.pools]
    stores = [storage for site in platform.sites for storage in site.storages]
    replicas = np.zeros(0, np.int64) if jobs.files is None else jobs.files.replica_file
    reads, request = jobs.input_file is not None, jobs.request
    refused = {
        "sites of several pools": any(len(site.pools) > 1 for site in platform.sites),
        "memory": jobs.memory is not None and any(pool.memory is not None for pool in pools),
        "requested times, at which jobs are killed": request is not None
        and bool(np.isfinite(request).any()),
        "priorities": jobs.priority is not None
        and bool((jobs.priority != jobs.priority[:1]).any()),
        "outputs": jobs.output is not None and bool((jobs.output > 0).any()),
        "streams": jobs.stream is not None and bool(jobs.stream.any()),
        "parents": jobs.parent is not None and len(jobs.parent) > 0,
        "caches and the bandwidth or latency of storages": reads
        and any(s.kind == "cache" or s.read is not None or s.latency > 0 for s in stores),
        "files with several replicas": len(np.unique(replicas)) < len(replicas),
    }
    for what, found in refused.items():
        if found:
            raise InputError(f"the referee does not know {what}; leave them out of the comparison")


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
        speed = 1.0 if host.speed is None else host.speed
        if not 0 < speed < np.inf or host.cores < 1 or host.site < 0:
            raise InputError(f"hosts: expected a site, cores and a speed above 0, got {host}")
    for link in case.links:
        if link.bandwidth <= 0:
            raise InputError(f"link {link.name!r} has no bandwidth; its transfers never end")
    if ((case.input_job < 0) | (case.input_job >= len(case.submit))).any():
        raise InputError(f"input_job: expected numbers of the {len(case.submit)} jobs")
    for source in set(case.source[case.input_bytes > 0].tolist()):
        for site in range(case.sites):
            if (source, site) not in case.routes:
                raise InputError(f"there is no route from source {source} to site {site}; add it")
