"""The part of the referee that runs in SimGrid's process: build, submit, write down the times."""

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.parts import Link
from gridtwin.sim.routing import reverse

if TYPE_CHECKING:
    from gridtwin.sim.referee import Case

__all__ = ["run"]

Outcome = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def run(case: "Case") -> Outcome:
    """Return each job's site, start, end of stage-in and end; once per process.

    One actor submits; each running job is one more.
    """
    simgrid = _simgrid()
    options = [f"--cfg={setting}" for setting in case.config]
    engine = simgrid.Engine(["referee", "--log=root.thresh:error", "--log=no_loc", *options])
    hosts, sources = _build(simgrid, engine, case)
    jobs = len(case.submit)
    out = (case.site.copy(), np.full(jobs, np.nan), np.full(jobs, np.nan), np.full(jobs, np.nan))
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


def _build(simgrid: Any, engine: Any, case: "Case") -> tuple[list[Any], dict[int, Any]]:  # noqa: ANN401 - untyped bindings
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
        made = zone.add_host(f"host{k}", host.speed or 1.0)
        made.core_count = host.cores
        made.seal()
        zone.set_gateway(made.netpoint)
        hosts.append(made)
        for (source, site), names in case.routes.items():
            if site == host.site and names is not None:
                there = (*names, *host.lan)
                back = (*reverse(host.lan), *case.back.get((source, site), reverse(names)))
                root.add_route(zones[source], zone, crossed(there), False)
                root.add_route(zone, zones[source], crossed(back), False)
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
    case: "Case",
    hosts: Sequence[Any],
    sources: Mapping[int, Any],
    out: Outcome,
) -> Callable[[], None]:
    """Return the body of the actor that hands out the jobs; it and the workers fill `out`."""
    clock = simgrid.Engine
    free = [host.cores for host in case.hosts]
    idle = [sum(h.cores for h in case.hosts if h.site == k) for k in range(case.sites)]
    queues: list[deque[int]] = [deque() for _ in range(case.sites)]
    load = [0] * case.sites
    at = [[k for k, h in enumerate(case.hosts) if h.site == site] for site in range(case.sites)]
    submit, flop = case.submit.tolist(), case.flop.tolist()
    run, cores, wanted = case.run.tolist(), case.cores.tolist(), case.site.tolist()
    inputs: list[list[tuple[int, int]]] = [[] for _ in submit]
    for job, size, source in zip(case.input_job, case.input_bytes, case.source, strict=True):
        if size:
            inputs[job].append((int(source), int(size)))
    chosen, start, staged, end = out

    def work(job: int, host: int) -> None:
        start[job] = clock.clock
        for source, size in inputs[job]:
            if case.routes[source, case.hosts[host].site] is not None:
                simgrid.Comm.sendto(sources[source], hosts[host], size)
        staged[job] = clock.clock
        if case.hosts[host].speed is None or isnan(flop[job]):
            simgrid.this_actor.sleep_for(run[job])
        elif flop[job]:
            simgrid.this_actor.execute(flop[job])
        end[job] = clock.clock
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
            chosen[job] = site
            load[site] += 1
            queues[site].append(job)
            begin(site)

    return hand_out
