"""Workflows in WfFormat 1.5 (JSON), as the WfCommons project collects them.

A task is a job; it may start when its parents have finished, and reads and writes files.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.files import sha256, writing
from gridtwin.sim.formats._json import load, mapping, naming, number, only, sequence, string, whole
from gridtwin.sim.formats._workflow import Machine, Whole, Workflow
from gridtwin.trace import JobTable, Provenance

__all__ = ["Machine", "Workflow", "read_workflow", "write_workflow"]

_MB = 2.0**20
_RUN = ("runtimeInSeconds", "avgCPU", "memoryInBytes", "readBytes", "writtenBytes")


def read_workflow(path: Path | str) -> Workflow:
    """Read a workflow, plain JSON or gzip.

    Jobs come in an order in which parents are before children, the file's among equals. All are
    submitted at 0. ``coreCount`` is ``cores_req`` (1 where it is not said), ``avgCPU`` (per cent of
    a core) times the run time is ``cpu_time``, ``memoryInBytes`` is ``mem_used``, the machine is
    ``site``, the part of the id or name that says what it does is ``activity``. Keys that have no
    place are counted in the notes. Memory: about 2 kB a task.

    Raises `FormatError`, naming file and key, for what is no workflow: among it tasks that wait in
    a circle, which is named, and parents and files that are not there.
    """
    path = Path(path)
    document = load(path)
    with naming(path):
        top = mapping(document, "workflow")
        only(top, "", ("name", "schemaVersion", "workflow"), tuple(top))
        version = top["schemaVersion"]
        if version != "1.5":
            raise InputError(f"schemaVersion: expected '1.5', got {version!r}; migrate the file")
        body = mapping(top["workflow"], "workflow")
        only(body, "workflow", ("specification",), ("execution",))
        return _workflow(path, string(top["name"], "name"), body)


def _workflow(path: Path, name: str, body: dict[str, Any]) -> Workflow:
    at = "workflow.specification"
    specification = mapping(body["specification"], at)
    only(specification, at, ("tasks",), ("files",))
    unread: dict[str, int] = {}
    tasks = _tasks(specification["tasks"], f"{at}.tasks", unread)
    files = _files(specification.get("files", []), f"{at}.files")
    order = _order(tasks)
    execution = mapping(body.get("execution", {}), "workflow.execution")
    only(
        execution,
        "workflow.execution",
        (),
        ("makespanInSeconds", "executedAt", "tasks", "machines"),
    )
    machines = _machines(execution.get("machines", []), "workflow.execution.machines", unread)
    known = {machine.name for machine in machines}
    runs = _runs(execution.get("tasks", []), tasks, known, unread)
    place = {key: k for k, key in enumerate(order)}
    number_of = {key: k for k, key in enumerate(files)}
    parents = _lists([[place[p] for p in tasks[key]["parents"]] for key in order])
    inputs = _lists([_numbers(tasks[key], "inputFiles", number_of) for key in order])
    outputs = _lists([_numbers(tasks[key], "outputFiles", number_of) for key in order])
    provenance = Provenance(
        source=str(path),
        format="wfformat 1.5",
        rows_read=len(tasks),
        sha256=sha256(path),
        notes=tuple(f"key {key!r} of {count} entries is not used" for key, count in unread.items()),
    )
    frame = _frame(order, tasks, runs, files)
    span = execution.get("makespanInSeconds")
    return Workflow(
        name,
        JobTable.from_frame(frame, provenance),
        *parents,
        tuple(files.items()),
        *inputs,
        *outputs,
        machines,
        None if span is None else _not_negative(span, "workflow.execution.makespanInSeconds"),
    )


def _tasks(value: object, at: str, unread: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Return the tasks by id, with parents and children brought together."""
    tasks: dict[str, dict[str, Any]] = {}
    for k, item in enumerate(sequence(value, at)):
        here = f"{at}[{k}]"
        task = mapping(item, here)
        only(task, here, ("name", "id", "parents", "children"), tuple(task))
        key = string(task["id"], f"{here}.id")
        if key in tasks:
            raise InputError(f"{here}.id: {key!r} is taken; ids are unique")
        lists = {
            name: _strings(task.get(name, []), f"{here}.{name}")
            for name in ("parents", "children", "inputFiles", "outputFiles")
        }
        tasks[key] = {"name": string(task["name"], f"{here}.name"), "at": here, **lists}
        _count(task, ("name", "id", *lists), unread)
    if not tasks:
        raise InputError(f"{at}: expected one task or more, got none")
    for key, task in tasks.items():
        for kind in ("parents", "children"):
            for other in task[kind]:
                if other not in tasks:
                    raise InputError(f"{task['at']}.{kind}: there is no task {other!r}; add it")
        for child in task["children"]:
            if key not in tasks[child]["parents"]:
                tasks[child]["parents"].append(key)
    return tasks


def _order(tasks: dict[str, dict[str, Any]]) -> list[str]:
    """Return the ids with parents before children; name a circle if there is one."""
    waits = {key: len(task["parents"]) for key, task in tasks.items()}
    children: dict[str, list[str]] = {key: [] for key in tasks}
    for key, task in tasks.items():
        for parent in task["parents"]:
            children[parent].append(key)
    order = [key for key, count in waits.items() if not count]
    for key in order:  # grows while it is walked
        for child in children[key]:
            waits[child] -= 1
            if not waits[child]:
                order.append(child)
    if len(order) == len(tasks):
        return order
    left = {key for key, count in waits.items() if count}
    walk = [next(key for key in tasks if key in left)]
    while walk.count(walk[-1]) == 1:
        walk.append(next(p for p in tasks[walk[-1]]["parents"] if p in left))
    circle = walk[walk.index(walk[-1]) :][::-1]
    shown = circle if len(circle) <= 12 else [*circle[:6], "...", *circle[-5:]]
    raise InputError(f"tasks wait for each other in a circle: {' -> '.join(shown)}; break it")


def _files(value: object, at: str) -> dict[str, float]:
    files: dict[str, float] = {}
    for k, item in enumerate(sequence(value, at)):
        file = mapping(item, f"{at}[{k}]")
        only(file, f"{at}[{k}]", ("id", "sizeInBytes"))
        key = string(file["id"], f"{at}[{k}].id")
        if key in files:
            raise InputError(f"{at}[{k}].id: {key!r} is taken; ids are unique")
        files[key] = _not_negative(file["sizeInBytes"], f"{at}[{k}].sizeInBytes")
    return files


def _numbers(task: dict[str, Any], kind: str, number_of: dict[str, int]) -> list[int]:
    for name in task[kind]:
        if name not in number_of:
            raise InputError(
                f"{task['at']}.{kind}: there is no file {name!r}; add it to specification.files"
            )
    return [number_of[name] for name in task[kind]]


def _machines(value: object, at: str, unread: dict[str, int]) -> tuple[Machine, ...]:
    found: dict[str, Machine] = {}
    for k, item in enumerate(sequence(value, at)):
        here = f"{at}[{k}]"
        machine = mapping(item, here)
        only(machine, here, ("nodeName",), tuple(machine))
        name = string(machine["nodeName"], f"{here}.nodeName")
        if name in found:
            raise InputError(f"{here}.nodeName: {name!r} is taken; names are unique")
        cpu = mapping(machine.get("cpu", {}), f"{here}.cpu")
        cores, speed, memory = (
            cpu.get("coreCount"),
            cpu.get("speedInMHz"),
            machine.get("memoryInBytes"),
        )
        found[name] = Machine(
            name,
            None if cores is None else whole(cores, f"{here}.cpu.coreCount", least=1),
            None if speed is None else _not_negative(speed, f"{here}.cpu.speedInMHz") * 1e6,
            None if memory is None else _not_negative(memory, f"{here}.memoryInBytes"),
        )
        _count(machine, ("nodeName", "cpu", "memoryInBytes"), unread)
        _count(cpu, ("coreCount", "speedInMHz"), unread)
    return tuple(found.values())


def _runs(
    value: object,
    tasks: dict[str, dict[str, Any]],
    machines: set[str],
    unread: dict[str, int],
) -> dict[str, dict[str, Any]]:
    """Return what is said of the runs, by task."""
    at = "workflow.execution.tasks"
    runs: dict[str, dict[str, Any]] = {}
    for k, item in enumerate(sequence(value, at)):
        here = f"{at}[{k}]"
        run = mapping(item, here)
        only(run, here, ("id", "runtimeInSeconds"), tuple(run))
        key = string(run["id"], f"{here}.id")
        if key not in tasks:
            raise InputError(f"{here}.id: there is no task {key!r} in the specification; add it")
        if key in runs:
            raise InputError(f"{here}.id: {key!r} is there twice; give each task once")
        found: dict[str, Any] = {
            name: None if run.get(name) is None else _not_negative(run[name], f"{here}.{name}")
            for name in _RUN
        }
        cores, order = run.get("coreCount"), run.get("priority")
        found["coreCount"] = 1 if cores is None else whole(cores, f"{here}.coreCount", least=1)
        found["priority"] = None if order is None else number(order, f"{here}.priority")
        found["machine"] = _machine(run, here, machines)
        _count(run, ("id", "coreCount", "priority", "machine", "machines", *_RUN), unread)
        runs[key] = found
    return runs


def _machine(run: dict[str, Any], at: str, machines: set[str]) -> str | None:
    """Return the machine of a run; of several the first."""
    given = run.get("machines")
    names = _strings(given, f"{at}.machines") if given is not None else []
    if run.get("machine") is not None:
        names = [string(run["machine"], f"{at}.machine"), *names]
    for name in names:
        if name not in machines:
            raise InputError(f"{at}: there is no machine {name!r}; add it to execution.machines")
    return names[0] if names else None


def _frame(
    order: list[str],
    tasks: dict[str, dict[str, Any]],
    runs: dict[str, dict[str, Any]],
    files: dict[str, float],
) -> pl.DataFrame:
    done = [runs.get(key, {}) for key in order]
    sizes = {
        kind: [math.fsum(files[name] for name in tasks[key][kind]) for key in order]
        for kind in ("inputFiles", "outputFiles")
    }

    def cpu(run: dict[str, Any]) -> float | None:
        share, seconds = run.get("avgCPU"), run.get("runtimeInSeconds")
        return None if share is None or seconds is None else share / 100 * seconds

    memory = [run.get("memoryInBytes") for run in done]
    columns: dict[str, tuple[list[Any], Any]] = {
        "job_id": (order, pl.String),
        "activity": ([tasks[key]["name"] for key in order], pl.String),
        "site": ([run.get("machine") for run in done], pl.String),
        "submit_time": ([0.0] * len(order), pl.Float64),
        "cores_req": ([run.get("coreCount", 1) for run in done], pl.Int64),
        "run_time": ([run.get("runtimeInSeconds") for run in done], pl.Float64),
        "cpu_time": ([cpu(run) for run in done], pl.Float64),
        "mem_used": ([None if m is None else m / _MB for m in memory], pl.Float64),
        "priority": ([run.get("priority") for run in done], pl.Float64),
        "input_files": ([len(tasks[key]["inputFiles"]) for key in order], pl.Int64),
        "output_files": ([len(tasks[key]["outputFiles"]) for key in order], pl.Int64),
        "input_bytes": (sizes["inputFiles"], pl.Float64),
        "output_bytes": (sizes["outputFiles"], pl.Float64),
    }
    made = {name: pl.Series(values, dtype=dtype) for name, (values, dtype) in columns.items()}
    optional = ("site", "cpu_time", "mem_used", "priority")
    return pl.DataFrame(
        {n: s for n, s in made.items() if n not in optional or not s.is_null().all()}
    )


def _lists(parts: list[list[int]]) -> tuple[Whole, Whole]:
    """Return lists as starts and items."""
    starts = np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)
    return starts, np.array([item for part in parts for item in part], dtype=np.int64)


def _strings(value: object, at: str) -> list[str]:
    names = [string(item, at) for item in sequence(value, at)]
    if len(set(names)) < len(names):
        raise InputError(f"{at}: a name is there twice; give each once")
    return names


def _count(table: dict[str, Any], used: tuple[str, ...], unread: dict[str, int]) -> None:
    for key in table:
        if key not in used:
            unread[key] = unread.get(key, 0) + 1


def _not_negative(value: object, at: str) -> float:
    found = number(value, at)
    if found < 0:
        raise InputError(f"{at}: expected 0 or more, got {found}")
    return found


def write_workflow(workflow: Workflow, path: Path | str, *, executed_at: str = "unknown") -> None:
    """Write a workflow as WfFormat 1.5, which `read_workflow` reads back.

    Tasks without a run time are in the specification alone. `executed_at` is the instant of the
    run, which the format wants and a workflow here has not. Memory: about 2 kB a task.
    """
    rows = workflow.jobs.collect().to_dicts()
    keys = [row["job_id"] for row in rows]
    if len(set(keys)) < len(keys):
        raise InputError("job_id: some ids occur twice; a task needs one of its own")
    parents = _names(keys, workflow.parent_ptr, workflow.parent, len(rows))
    files = [name for name, _ in workflow.files]
    inputs = _names(files, workflow.input_ptr, workflow.input_file, len(rows))
    outputs = _names(files, workflow.output_ptr, workflow.output_file, len(rows))
    children: dict[str, list[str]] = {key: [] for key in keys}
    for key, names in zip(keys, parents, strict=True):
        for parent in names:
            children[parent].append(key)
    tasks = [
        {
            "name": row.get("activity") or key,
            "id": key,
            "parents": parents[k],
            "children": children[key],
            "inputFiles": inputs[k],
            "outputFiles": outputs[k],
        }
        for k, (key, row) in enumerate(zip(keys, rows, strict=True))
    ]
    runs = [_run(row) for row in rows if row.get("run_time") is not None]
    specification = {
        "tasks": tasks,
        "files": [{"id": name, "sizeInBytes": _plain(size)} for name, size in workflow.files],
    }
    body: dict[str, Any] = {"specification": specification}
    if runs:
        span = workflow.makespan
        body["execution"] = {
            "makespanInSeconds": max(r["runtimeInSeconds"] for r in runs) if span is None else span,
            "executedAt": executed_at,
            "tasks": runs,
            "machines": [_node(machine) for machine in workflow.machines],
        }
        if not workflow.machines:
            del body["execution"]["machines"]
    document = {"name": workflow.name, "schemaVersion": "1.5", "workflow": body}
    with writing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")


def _names(names: list[str], starts: Whole | None, items: Whole | None, n: int) -> list[list[str]]:
    if starts is None or items is None:
        return [[] for _ in range(n)]
    return [[names[i] for i in items[starts[k] : starts[k + 1]]] for k in range(n)]


def _run(row: dict[str, Any]) -> dict[str, Any]:
    run: dict[str, Any] = {"id": row["job_id"], "runtimeInSeconds": row["run_time"]}
    if row.get("cores_req") is not None:
        run["coreCount"] = row["cores_req"]
    if row.get("cpu_time") is not None and row["run_time"]:
        run["avgCPU"] = 100 * row["cpu_time"] / row["run_time"]
    if row.get("mem_used") is not None:
        run["memoryInBytes"] = _plain(row["mem_used"] * _MB)
    if row.get("priority") is not None:
        run["priority"] = row["priority"]
    if row.get("site") is not None:
        run["machine"] = row["site"]
    return run


def _node(machine: Machine) -> dict[str, Any]:
    node: dict[str, Any] = {"nodeName": machine.name}
    cpu: dict[str, Any] = {}
    if machine.cores is not None:
        cpu["coreCount"] = machine.cores
    if machine.hertz is not None:
        cpu["speedInMHz"] = _plain(machine.hertz / 1e6)
    if machine.memory is not None:
        node["memoryInBytes"] = _plain(machine.memory)
    return node | ({"cpu": cpu} if cpu else {})


def _plain(value: float) -> float | int:
    """Return a whole number as such: the format wants whole bytes."""
    return int(value) if value == int(value) else value
