"""Batsim's workloads (JSON) and what it writes of each job (``jobs.csv``).

A job names a profile, which says what it does. Profiles of versions 4 and 5 are known under both
names. To one job at a site belong a time (a delay) or work (flop on each of its machines), files
read before and files written after; a sequence may hold several of these in that order. What a
simulation of whole jobs cannot say is refused by name: messages between a job's machines (``com``),
traces to replay, delays mixed with work.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.files import sha256, writing
from gridtwin.sim.formats._json import load, mapping, naming, number, only, sequence, string, whole
from gridtwin.sim.formats.batsim_jobs import read_jobs, write_jobs
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.sim.workload import Files, Workload
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.derive import runnable

__all__ = ["Batsim", "Staging", "read_jobs", "read_workload", "write_jobs", "write_workload"]

_TYPES = {
    "delay": "DelayProfile",
    "parallel": "ParallelTaskProfile",
    "parallel_homogeneous": "ParallelTaskHomogeneousProfile",
    "parallel_homogeneous_total": "parallel_homogeneous_total",
    "parallel_homogeneous_pfs": "ParallelTaskOnStorageHomogeneousProfile",
    "data_staging": "ParallelTaskDataStagingBetweenStoragesProfile",
    "composed": "SequentialCompositionProfile",
}
"""Names of version 4, and what version 5 says instead."""
_REFUSED = {
    **dict.fromkeys(("smpi", "usage_trace", "TraceReplayProfile"), "it replays a trace"),
    **dict.fromkeys(("send", "recv"), "it talks with the scheduler"),
}
_SPREAD = {"DefinedAmountsUsedForEachValue": False, "DefinedAmountsSpreadUniformly": True}
_NOTES = ("ret", "extra_data", "type")
_MOST_PARTS = 100_000


@dataclass(frozen=True)
class Staging:
    """Bytes that a job moves from or to a storage, which Batsim knows by a label."""

    bytes: float
    source: str | None
    """None: the job itself."""
    destination: str | None = None


@dataclass(frozen=True)
class Batsim:
    """A workload of Batsim: the jobs, and what a job table has no column for."""

    jobs: JobTable
    """Times in s as in the file; ``run_time`` is null where it depends on the speed."""
    flop: NDArray[np.float64]
    """Work on each machine of the job; NaN for a delay. One entry per job."""
    staging: tuple[tuple[Staging, ...], ...]
    """What each job reads before and writes after."""
    parent_ptr: NDArray[np.int64]
    """Jobs that have to end before job k: ``parent[parent_ptr[k]:parent_ptr[k + 1]]``."""
    parent: NDArray[np.int64]

    def workload(self, nodes: Mapping[str, int] | None = None) -> Workload:
        """Return the jobs as the simulation takes them.

        `nodes` says where the storages' labels are, as indices into the platform's sites and then
        its routers; None: no bytes are moved. Jobs read from there and write to their site's
        storage; what Batsim moves from one storage to another is read by the job.
        """
        frame = self.jobs.collect()
        asked = frame["walltime_req"] if "walltime_req" in frame.columns else None
        run = frame["run_time"].fill_null(0.0).to_numpy()
        moved: dict[str, Any] = {} if nodes is None else self._moved(nodes)
        return Workload(
            submit=frame["submit_time"].to_numpy(),
            cores=frame["cores_req"].to_numpy(),
            run=run,
            flop=self.flop,
            request=None if asked is None else asked.fill_null(math.inf).to_numpy(),
            parent_ptr=self.parent_ptr,
            parent=self.parent,
            **moved,
        )

    def _moved(self, nodes: Mapping[str, int]) -> dict[str, Any]:
        pointers, sizes, places = [0], [], []
        for parts in self.staging:
            for part in parts:
                if part.source is None:
                    continue
                if part.source not in nodes:
                    raise InputError(f"nodes: storage {part.source!r} is missing; say where it is")
                sizes.append(part.bytes)
                places.append(nodes[part.source])
            pointers.append(len(sizes))
        writes = [[part.bytes for part in parts if part.source is None] for parts in self.staging]
        files = np.arange(len(sizes), dtype=np.int64)
        return {
            "input_ptr": np.array(pointers, dtype=np.int64),
            "input_file": files,
            "output": np.array([sum(part) for part in writes], dtype=np.float64),
            "files": Files(
                np.array(sizes, dtype=np.float64),
                replica_file=files,
                replica_node=np.array(places, dtype=np.int64),
            ),
        }


@dataclass(frozen=True)
class _Work:
    """What a profile does on one machine of a job."""

    delay: float = 0.0
    flop: float = 0.0
    reads: tuple[Staging, ...] = ()
    writes: tuple[Staging, ...] = ()

    def then(self, other: "_Work", at: str) -> "_Work":
        """Return both after each other."""
        if (self.writes and (other.delay or other.flop or other.reads)) or (
            (self.delay or self.flop) and other.reads
        ):
            raise InputError(
                f"{at}: it reads after it has begun or goes on after writing, which cannot be "
                "represented; expected reads, then delays or work, then writes"
            )
        if (self.delay or other.delay) and (self.flop or other.flop):
            raise InputError(
                f"{at}: delays and work in one sequence cannot be represented; give either"
            )
        delay, flop = self.delay + other.delay, self.flop + other.flop
        return _Work(delay, flop, self.reads + other.reads, self.writes + other.writes)


def read_workload(path: Path | str, *, speed: float | None = None) -> Batsim:
    """Read a workload of Batsim, plain JSON or gzip.

    Parameters
    ----------
    path
        The file.
    speed
        flop/s of a machine; gives jobs with work a ``run_time``, without which the table has none
        for them.

    Returns
    -------
    The jobs in order of submission. ``res`` is ``cores_req``; ``work`` is that of all machines,
    in HS23 s; profiles that return other than 0 are jobs of status ``failed``. Keys of jobs that
    mean nothing here are counted in the notes. Memory: about 1 kB a job.

    Raises
    ------
    FormatError
        Naming file and key, for what is no workload and for what cannot be represented.
    """
    path = Path(path)
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise InputError(f"speed is {speed}; expected flop/s, above 0")
    document = load(path)
    with naming(path):
        table = mapping(document, "workload")
        only(table, "", ("jobs", "profiles", "nb_res"), tuple(table))
        size = whole(table["nb_res"], "nb_res", least=1)
        origin = number(table.get("gridtwin_origin", 0.0), "gridtwin_origin")
        profiles = mapping(table["profiles"], "profiles")
        rows, unread = _rows(sequence(table["jobs"], "jobs"), profiles, origin)
    order = sorted(range(len(rows)), key=lambda k: rows[k]["submit_time"])
    rows = [rows[k] for k in order]
    notes = tuple(f"key {key!r} of {count} jobs is not used" for key, count in unread.items())
    provenance = Provenance(
        source=str(path),
        format="batsim",
        rows_read=len(rows),
        sha256=sha256(path),
        machine_cores=size,
        notes=notes,
    )
    with naming(path):
        pointers, parents = _parents(rows)
    works: list[_Work] = [row["work"] for row in rows]
    flop = np.array([w.flop if w.flop else math.nan for w in works], dtype=np.float64)
    jobs = JobTable.from_frame(_frame(rows, works, speed), provenance)
    return Batsim(jobs, flop, tuple(w.reads + w.writes for w in works), pointers, parents)


def _rows(
    jobs: list[Any], profiles: dict[str, Any], origin: float
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the jobs' values, and how many have each key that is not used."""
    rows: list[dict[str, Any]] = []
    unread: dict[str, int] = {}
    seen: set[str] = set()
    known: dict[tuple[str, int], _Work] = {}
    for k, value in enumerate(jobs):
        at = f"jobs[{k}]"
        job = mapping(value, at)
        only(job, at, ("id", "subtime", "res", "profile"), tuple(job))
        name = str(job["id"]) if isinstance(job["id"], int) else string(job["id"], f"{at}.id")
        if name in seen:
            raise InputError(f"{at}.id: {name!r} is taken; ids are unique")
        seen.add(name)
        res = whole(job["res"], f"{at}.res", least=1)
        profile = string(job["profile"], f"{at}.profile")
        if (profile, res) not in known:
            known[profile, res] = _work(profile, profiles, res, f"{at}.profile", ())
            if not math.isfinite((known[profile, res].delay + known[profile, res].flop) * res):
                raise InputError(f"profiles.{profile}: its parts together are too large a number")
        request = number(job.get("walltime", -1), f"{at}.walltime")
        if request < 0 and request != -1:
            raise InputError(f"{at}.walltime: expected 0 or more, or -1 for none, got {request}")
        returned = number(profiles[profile].get("ret", 0), f"profiles.{profile}.ret")
        parents = sequence(job.get("dependencies", []), f"{at}.dependencies")
        rows.append(
            {
                "job_id": name,
                "submit_time": number(job["subtime"], f"{at}.subtime") + origin,
                "cores_req": res,
                "walltime_req": None if request < 0 else request,
                "activity": profile,
                "status": "failed" if returned else "finished",
                "work": known[profile, res],
                "parents": [str(parent) for parent in parents],
                "at": at,
            }
        )
        for key in job:
            if key not in ("id", "subtime", "res", "profile", "walltime", "dependencies"):
                unread[key] = unread.get(key, 0) + 1
    return rows, unread


def _frame(rows: list[dict[str, Any]], works: list[_Work], speed: float | None) -> pl.DataFrame:
    def run(work: _Work) -> float | None:
        if not work.flop:
            return work.delay
        return None if speed is None else work.flop / speed

    plain = ("job_id", "submit_time", "cores_req", "walltime_req", "activity", "status")
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in plain}
    columns["run_time"] = [run(work) for work in works]
    columns["work"] = [
        work.flop * row["cores_req"] / FLOPS_PER_HS23 if work.flop else None
        for row, work in zip(rows, works, strict=True)
    ]
    columns["input_bytes"] = [sum(part.bytes for part in work.reads) for work in works]
    columns["output_bytes"] = [sum(part.bytes for part in work.writes) for work in works]
    types = {
        "job_id": pl.String,
        "cores_req": pl.Int64,
        "activity": pl.String,
        "status": pl.String,
    }
    frame = pl.DataFrame(columns, schema={key: types.get(key, pl.Float64) for key in columns})
    # a column without a value says nothing
    return frame.drop(
        *(key for key in ("walltime_req", "work") if frame[key].is_null().all()),
        *(key for key in ("input_bytes", "output_bytes") if not (frame[key] > 0).any()),
    )


def _parents(rows: list[dict[str, Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each job's parents as lists of indices; refuse unknown ones."""
    index = {row["job_id"]: k for k, row in enumerate(rows)}
    starts, found = [0], []
    for row in rows:
        for name in row["parents"]:
            if name not in index:
                raise InputError(f"{row['at']}.dependencies: there is no job {name!r}; add it")
            found.append(index[name])
        starts.append(len(found))
    return np.array(starts, dtype=np.int64), np.array(found, dtype=np.int64)


def _work(name: str, profiles: dict[str, Any], res: int, at: str, around: tuple[str, ...]) -> _Work:
    """Return what a profile does on each of `res` machines."""
    if name not in profiles:
        raise InputError(f"{at}: there is no profile {name!r}; add it to 'profiles'")
    if name in around:
        circle = " -> ".join((*around[around.index(name) :], name))
        raise InputError(f"{at}: the sequence runs in a circle: {circle}")
    if len(around) > 50:
        raise InputError(f"{at}: sequences are nested more than 50 deep")
    at = f"profiles.{name}"
    profile = mapping(profiles[name], at)
    given = string(profile.get("type"), f"{at}.type")
    kind = _TYPES.get(given, given)
    if kind not in _TYPES.values():
        why = _REFUSED.get(given, f"known: {', '.join((*_TYPES, *_TYPES.values()))}")
        raise InputError(f"{at}.type: {given!r} cannot be represented: {why}")
    if kind == "SequentialCompositionProfile":
        return _sequence(profile, profiles, res, at, (*around, name))
    if kind == "DelayProfile":
        only(profile, at, ("type", "delay"), _NOTES)
        return _Work(delay=_amount(profile, "delay", at))
    if kind == "ParallelTaskDataStagingBetweenStoragesProfile":
        only(profile, at, ("type", "nb_bytes", "from", "to"), _NOTES)
        size = _amount(profile, "nb_bytes", at)
        source, to = (string(profile[key], f"{at}.{key}") for key in ("from", "to"))
        return _Work(reads=(Staging(size, source, to),))
    if kind == "ParallelTaskOnStorageHomogeneousProfile":
        return _on_storage(profile, res, at)
    return _parallel(profile, kind, res, at)


def _parallel(profile: dict[str, Any], kind: str, res: int, at: str) -> _Work:
    """Return the work on the machine that has most: all of a task end together."""
    only(profile, at, ("type",), ("cpu", "com", "generation_strategy", *_NOTES))
    cpu, com = profile.get("cpu", 0), profile.get("com", 0)
    amounts = {"cpu": cpu, "com": com}
    if kind == "ParallelTaskProfile":
        lengths = {"cpu": res, "com": res * res}
        for key, values in amounts.items():
            if values in (0, None, []):
                continue
            count = len(sequence(values, f"{at}.{key}"))
            if count != lengths[key]:
                raise InputError(
                    f"{at}.{key}: expected {lengths[key]} numbers for a job of {res} machines, "
                    f"got {count}"
                )
    parts = {
        key: [_not_negative(v, f"{at}.{key}") for v in _listed(values)]
        for key, values in amounts.items()
    }
    if any(parts["com"]) and (res > 1 or isinstance(com, list)):
        raise InputError(
            f"{at}.com: messages between the machines of a job cannot be represented; "
            "take them out, or add their time to a delay"
        )
    flop = max(parts["cpu"], default=0.0)
    total = kind == "parallel_homogeneous_total" or _spread(profile, at)
    return _Work(flop=flop / res if total else flop)


def _listed(values: object) -> list[object]:
    return values if isinstance(values, list) else [0 if values is None else values]


def _on_storage(profile: dict[str, Any], res: int, at: str) -> _Work:
    knows = ("bytes_to_read", "bytes_to_write", "storage", "generation_strategy", *_NOTES)
    only(profile, at, ("type",), knows)
    label = string(profile.get("storage", "pfs"), f"{at}.storage")
    each = 1 if _spread(profile, at) else res
    sizes = [
        _not_negative(profile.get(key, 0), f"{at}.{key}") * each
        for key in ("bytes_to_read", "bytes_to_write")
    ]
    reads = (Staging(sizes[0], label),) if sizes[0] else ()
    writes = (Staging(sizes[1], None, label),) if sizes[1] else ()
    return _Work(reads=reads, writes=writes)


def _sequence(
    profile: dict[str, Any], profiles: dict[str, Any], res: int, at: str, around: tuple[str, ...]
) -> _Work:
    only(profile, at, ("type", "seq"), ("repeat", *_NOTES))
    names = [string(name, f"{at}.seq") for name in sequence(profile["seq"], f"{at}.seq")]
    times = whole(profile.get("repeat", 1), f"{at}.repeat", least=1)
    once = _Work()
    for name in names:
        once = once.then(_work(name, profiles, res, f"{at}.seq", around), at)
    if not once.reads and not once.writes:
        return replace(once, delay=once.delay * times, flop=once.flop * times)
    if times * (len(once.reads) + len(once.writes)) > _MOST_PARTS:
        raise InputError(f"{at}: more than {_MOST_PARTS} transfers in one job")
    work = once
    for _ in range(times - 1):
        work = work.then(once, at)
    return work


def _spread(profile: dict[str, Any], at: str) -> bool:
    strategy = profile.get("generation_strategy", "DefinedAmountsUsedForEachValue")
    if not isinstance(strategy, str) or strategy not in _SPREAD:
        raise InputError(
            f"{at}.generation_strategy: {strategy!r} is unknown; known: {', '.join(_SPREAD)}"
        )
    return _SPREAD[strategy]


def _amount(profile: dict[str, Any], key: str, at: str) -> float:
    return _not_negative(profile[key], f"{at}.{key}")


def _not_negative(value: object, at: str) -> float:
    found = number(value, at)
    if found < 0:
        raise InputError(f"{at}: expected 0 or more, got {found}")
    return found


def write_workload(
    jobs: JobTable,
    path: Path | str,
    *,
    machines: int | None = None,
    speed: float | None = None,
    version: Literal[4, 5] = 5,
) -> dict[str, int]:
    """Write a workload for Batsim; return how many jobs could not be written, by reason.

    Parameters
    ----------
    jobs
        Needs submit time, run time and size: see `gridtwin.trace.derive.runnable`.
    path
        The file.
    machines
        ``nb_res``; None: what the table's source states, else the widest job.
    speed
        flop/s of a machine: jobs become work of ``run time x speed`` on each of theirs. None: they
        become delays.
    version
        Of Batsim, whose names for profiles differ.

    Times count from the first submission, which is kept in ``gridtwin_origin``. Memory: about
    1 kB a job.
    """
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise InputError(f"speed is {speed}; expected flop/s, above 0")
    if version not in (4, 5):
        raise InputError(f"version is {version}; expected 4 or 5")
    jobs = jobs.with_frame(jobs.collect())
    ready = runnable(jobs)
    names = jobs.collect(["job_id"])["job_id"].gather(ready.row)
    if names.is_duplicated().any():
        raise InputError("job_id: some ids occur twice; Batsim needs one for each job")
    size = machines or jobs.provenance.machine_cores or int(ready.width.max(initial=1))
    origin = float(ready.submit[0]) if len(ready) else 0.0
    asked = _asked(jobs, ready.row)
    profiles: dict[str, dict[str, Any]] = {}
    entries = []
    for k, name in enumerate(names.to_list()):
        profile = _profile(float(ready.run[k]), speed, version)
        label = f"{'delay' if speed is None else 'work'}_{float(ready.run[k])!r}"
        profiles[label] = profile
        entry: dict[str, Any] = {
            "id": name,
            "subtime": float(ready.submit[k]) - origin,
            "res": int(ready.width[k]),
            "profile": label,
        }
        if math.isfinite(asked[k]):
            entry["walltime"] = asked[k]
        entries.append(entry)
    document = {
        "description": f"written by gridtwin from {jobs.provenance.source}",
        "gridtwin_origin": origin,
        "nb_res": size,
        "jobs": entries,
        "profiles": profiles,
    }
    with writing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
    return ready.dropped


def _asked(jobs: JobTable, row: NDArray[np.int64]) -> list[float]:
    """Return the requested wall times (s), NaN where none was asked."""
    if "walltime_req" not in jobs:
        return [math.nan] * len(row)
    asked = jobs.collect(["walltime_req"])["walltime_req"].gather(row).fill_null(math.nan)
    return [value if value > 0 else math.nan for value in asked.to_list()]


def _profile(run: float, speed: float | None, version: Literal[4, 5]) -> dict[str, Any]:
    name = "delay" if speed is None else "parallel_homogeneous"
    kind = name if version == 4 else _TYPES[name]
    if speed is None:
        return {"type": kind, "delay": run}
    return {"type": kind, "cpu": run * speed, "com": 0}
