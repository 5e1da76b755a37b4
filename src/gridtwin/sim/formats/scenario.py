"""Whole scenarios of other simulators: a platform and the jobs that it runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.demand import demand
from gridtwin.sim.formats import _forms, cgsim, cgsim_jobs, load_platform
from gridtwin.sim.formats._json import naming, whole
from gridtwin.sim.formats.batsim import read_workload
from gridtwin.sim.formats.dcsim import read_datasets, read_workloads
from gridtwin.sim.formats.dcsim_draw import draw
from gridtwin.sim.formats.wfformat import Workflow, read_workflow
from gridtwin.sim.inputs import inputs_of
from gridtwin.sim.parts import Pool, Site
from gridtwin.sim.platform import Platform
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.sim.workload import Workload
from gridtwin.trace import JobTable

__all__ = ["Scenario", "Simulator", "load"]

Simulator = Literal["cgsim", "batsim", "wfformat", "dcsim"]


@dataclass(frozen=True)
class Scenario:
    """Jobs and where they run: ``simulate(s.jobs, platform=s.platform, work=s.work)``."""

    simulator: Simulator
    """Whose files it was read from."""
    jobs: JobTable
    """In order of submission; those that cannot be run are counted in its provenance."""
    platform: Platform
    work: Workload
    """The same jobs as arrays, with what they read and wait for."""
    notes: tuple[str, ...] = ()
    """What was assumed or is not simulated, a sentence each."""


def load(
    path: Path | str,
    *,
    platform: Platform | Path | str | None = None,
    datasets: Path | str | None = None,
    workloads: Path | str | None = None,
    origin: Sequence[str] = (),
    seed: int = 0,
) -> Scenario:
    """Read a scenario; the content of the file says whose it is.

    Parameters
    ----------
    path
        CGSim's config JSON, Batsim's workload JSON, a workflow in WfFormat, or, with `workloads`, a
        platform as DCSim's.
    platform
        For Batsim and WfFormat: where the jobs run. By default ``nb_res`` cores of one machine, or
        the machines that the workflow names.
    datasets, workloads
        DCSim's JSON files.
    origin
        Sites or routers that have the files which are nowhere else; a workflow takes one.
    seed
        Of DCSim's sizes, which are drawn.

    Raises
    ------
    FormatError
        Naming the file and the key, for what is no scenario and what cannot be represented.
    InputError
        For arguments that the kind of scenario does not take or needs.

    Memory: the jobs twice, and as `gridtwin.sim.demand.demand` takes.
    """
    path = Path(path)
    if isinstance(origin, str):
        origin = (origin,)
    form = _forms.form_of(path)
    if workloads is not None:
        if platform is not None:
            raise InputError(f"{path} is the platform of workloads; leave the other platform out")
        return _dcsim(path, Path(workloads), datasets, tuple(origin), seed)
    if datasets is not None:
        raise InputError("datasets are given without workloads, which read them; give both")
    if form == "cgsim_config":
        if platform is not None:
            raise InputError(f"{path} names its platform; leave the other one out")
        return _cgsim(path, tuple(origin))
    if platform is not None and not isinstance(platform, Platform):
        platform = load_platform(platform)
    if form == "batsim":
        if origin:
            raise InputError("origin: Batsim's jobs name the storages they read; leave it out")
        return _batsim(path, platform)
    if form == "wfformat":
        return _wfformat(path, platform, tuple(origin))
    more = "; with a workload JSON of DCSim it could be one" if form == "simgrid" else ""
    raise FormatError(
        f"{path} holds {_forms.WORDS[form]}, not a scenario{more}; expected CGSim's config JSON, "
        "Batsim's workload JSON, a workflow in WfFormat, or a platform with workloads"
    )


def _cgsim(path: Path, origin: tuple[str, ...]) -> Scenario:
    """Return CGSim's jobs with its own work: CPU time x the speed at which that was taken."""
    config = cgsim.read_config(path)
    platform = cgsim.read_platform(path)
    with naming(path):
        file = config.jobs_file(path.parent)
        most = whole(dict(config.custom).get("Num_of_Jobs", "-1"), "Num_of_Jobs", least=-1)
    given = cgsim_jobs.read_jobs(file, platform)
    frame = given.table.collect()
    dropped = dict(given.table.provenance.dropped)
    if 0 <= most < frame.height:
        dropped["after the first Num_of_Jobs"] = frame.height - most
        frame = frame.head(most)
    silent = 0
    if "input_bytes" in frame.columns and given.inputs.height:
        unnamed = ~pl.col("job_id").is_in(given.inputs["job_id"].implode())
        silent = frame.filter(unnamed & (pl.col("input_bytes") > 0)).height
    asked = demand(
        given.table.with_frame(frame),
        platform,
        files=given.inputs if given.inputs.height else None,
        origin=origin,
    )
    work = asked.work
    table = given.table.with_frame(asked.frame)
    if {"cpu_time", "site"} <= set(asked.frame.columns):
        known = cgsim_jobs.flops(table, platform)
        own = np.full(len(work), math.nan) if work.flop is None else work.flop
        work = replace(work, flop=np.where(np.isnan(known), own, known))
    notes = [f"The plugin {Path(config.plugin).name} is not run: the broker decides on sites."]
    if silent:
        notes.append(f"{silent} jobs have input bytes but name no files; they read nothing.")
    if homeless := _homeless(work, asked.frame, given.inputs, platform):
        notes.append(
            f"{homeless} files are at no site of the platform: they are taken to be at "
            + (", ".join(origin) if origin else "the site of the job that names them first")
            + "."
        )
    others = [key for key, _ in config.custom if key not in ("jobs_file", "Num_of_Jobs")]
    if others:
        notes.append(f"Parameters of the plugin are not used: {', '.join(others)}.")
    for reason, count in asked.rejected:
        dropped[reason] = dropped.get(reason, 0) + count
    table = replace(table, provenance=replace(table.provenance, dropped=dropped))
    return Scenario("cgsim", table, platform, work, (*asked.notes, *notes))


def _homeless(work: Workload, frame: pl.DataFrame, inputs: pl.DataFrame, where: Platform) -> int:
    """Return how many files that the jobs read are in no site's list."""
    if work.files is None:
        return 0
    held = {name for site in where.sites for s in site.storages for name, _ in s.files}
    mine = inputs.join(frame.select("job_id"), on="job_id", how="semi")
    return len(set(mine["file"]) - held)


def _batsim(path: Path, platform: Platform | None) -> Scenario:
    read = read_workload(path)
    cores = read.jobs.provenance.machine_cores or 1
    notes = list(read.jobs.provenance.notes)
    if platform is None:
        platform = Platform.single(cores)
    elif int(platform.cores.sum()) != cores:
        notes.append(f"nb_res is {cores}; the platform has {platform.cores.sum()} cores.")
    flop = np.isfinite(read.flop)
    if flop.any():
        _with_speeds(path, platform, f"{flop.sum()} jobs are given as work")
    staged = sum(bool(parts) for parts in read.staging)
    nodes = None
    if platform.links:
        nodes = _places(platform)
    elif staged:
        notes.append(f"{staged} jobs read or write, which nothing is moved for: there is no link.")
    with naming(path):
        work = read.workload(nodes)
    return Scenario("batsim", read.jobs, platform, work, tuple(notes))


def _wfformat(path: Path, platform: Platform | None, origin: tuple[str, ...]) -> Scenario:
    flow = read_workflow(path)
    notes = list(flow.jobs.provenance.notes)
    if platform is None:
        platform = _machines(path, flow)
        if len(platform.sites) > 1:
            notes.append("Tasks take as long as recorded on every machine.")
    elif any(pool.speed for site in platform.sites for pool in site.pools):
        notes.append("Tasks take as long as recorded; the platform's speeds are not used.")
    node = None
    if len(origin) > 1:
        raise InputError(f"origin: a workflow has one place of its files, got {', '.join(origin)}")
    nodes = {name: k for k, name in enumerate([*platform.names, *platform.routers])}
    if origin and origin[0] not in nodes:
        raise InputError(f"origin: there is no site or router {origin[0]!r} in the platform")
    if platform.links and origin:
        node = nodes[origin[0]]
    elif flow.files:
        lacks = "no origin is given" if platform.links else "the platform has no links"
        notes.append(f"{len(flow.files)} files are not moved: {lacks}.")
    with naming(path):
        work = flow.workload(origin=node)
    return Scenario("wfformat", flow.jobs, platform, work, tuple(notes))


def _machines(path: Path, flow: Workflow) -> Platform:
    """Return the machines of a workflow as sites."""
    if not flow.machines:
        raise InputError(f"{path} names no machines; give a platform")
    for machine in flow.machines:
        if machine.cores is None:
            raise InputError(f"{path}: machine {machine.name!r} has no coreCount; give a platform")
    sites = [
        Site(machine.name, (Pool(machine.cores or 1, memory=machine.memory or None),))
        for machine in flow.machines
    ]
    return Platform(tuple(sites))


def _dcsim(
    path: Path,
    workloads: Path,
    datasets: Path | str | None,
    origin: tuple[str, ...],
    seed: int,
) -> Scenario:
    platform = load_platform(path)
    _with_speeds(path, platform, "jobs of DCSim are given as work")
    classes = read_workloads(workloads)
    with naming(workloads):
        drawn = draw(classes, () if datasets is None else read_datasets(datasets), seed)
    jobs = drawn.jobs.collect()
    nodes, names = _places(platform), [*platform.names, *platform.routers]
    said = drawn.files.drop_nulls("location").join(drawn.inputs, on="file", how="semi")
    for place in said["location"].unique(maintain_order=True):
        if place not in nodes:
            raise InputError(
                f"{datasets}: location {place!r} is no site, host or storage of {path}; correct it"
            )
    sites = {place: names[k] for place, k in nodes.items()}
    at = said["location"].replace_strict(sites, return_dtype=pl.String)
    read = inputs_of(
        jobs,
        platform,
        files=drawn.inputs,
        replicas=said.select("file", site=at),
        origin=origin,
    )
    streams = drawn.inputs.filter(pl.col("access") == "stream")["job_id"]
    cores = jobs["cores_req"].to_numpy()
    work = Workload(
        submit=jobs["submit_time"].to_numpy(),
        cores=cores,
        run=np.zeros(len(jobs)),
        flop=jobs["work"].to_numpy() * FLOPS_PER_HS23 / cores,
        memory=jobs["mem_req"].to_numpy() * 1e6,
        stream=jobs["job_id"].is_in(streams.implode()).to_numpy(),
        output=jobs["output_bytes"].to_numpy(),
        input_ptr=read.ptr,
        input_file=read.file,
        files=read.files,
    )
    notes = [*read.notes, "Caches are empty at the start; outputs stay at the job's own site."]
    return Scenario("dcsim", drawn.jobs, platform, work, tuple(notes))


def _with_speeds(path: Path, platform: Platform, what: str) -> None:
    """Raise `InputError` where a pool has no speed, on which work would take no time."""
    for site in platform.sites:
        if any(pool.speed is None for pool in site.pools):
            raise InputError(
                f"{path}: {what}, but site {site.name!r} has no speed; give a platform with speeds"
            )


def _places(platform: Platform) -> Mapping[str, int]:
    """Return the nodes by name: of sites and routers, and of the hosts and storages of sites."""
    found: dict[str, int] = {}
    for k, site in enumerate(platform.sites):
        for storage in site.storages:  # <host>/<disk> where two hosts have disks of one name
            host, _, disk = storage.name.rpartition("/")
            for name in (storage.name, host or disk):
                found.setdefault(name, k)
        for key, _ in site.properties:  # <host>.<property>
            if host := key.rpartition(".")[0]:
                found.setdefault(host, k)
    return found | {name: k for k, name in enumerate([*platform.names, *platform.routers])}
