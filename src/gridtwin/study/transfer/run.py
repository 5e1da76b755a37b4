"""Train schedulers on each source under each seed, and test them on later real jobs.

A trace is divided by time. Schedulers are trained on its first part, and on what models make of
that part (`sources`), each under several seeds; all are tested on the same sequences of later real
jobs (`summary`). A training is a pure function of the plan, the jobs, the source and the seed; its
file is written whole or not at all, and what is done is not done again.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin import __version__
from gridtwin.core.errors import FormatError, GridtwinError, InputError
from gridtwin.core.executor import Executor, Shared
from gridtwin.core.files import writing
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl import search
from gridtwin.policy.rl.learn import learn
from gridtwin.policy.rl.saved import Learnt
from gridtwin.sim.policies import Backfill
from gridtwin.study.benchmark import Contender, file_name
from gridtwin.study.transfer.carry import carried
from gridtwin.study.transfer.plan import STEPS, Plan, Task
from gridtwin.study.transfer.sources import (
    LOADED,
    Draw,
    Parts,
    draw,
    load_of,
    queueing,
    split,
    stream_of,
)
from gridtwin.study.transfer.summary import scores, summary
from gridtwin.trace import JobTable
from gridtwin.trace.derive import bounded_slowdown

__all__ = ["transfer"]

_LIBRARIES = ("numpy", "polars", "numba", "scikit-learn")


def transfer(
    jobs: JobTable,
    folder: Path | str,
    plan: Plan | None = None,
    *,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train on each source, test on later real jobs, and return what came out.

    Writes ``results.parquet`` (backfill, source, seed, sequence, begin, bsld, score) and
    ``summary.json``. A folder that holds a part of the same experiment is gone on with.

    Raises
    ------
    InputError
        If the folder holds another experiment, or the trace is too short. A model that cannot
        learn or draw these jobs is left out, and the summary says why.
    """
    plan, folder = Plan() if plan is None else plan, Path(folder)
    executor = Executor() if executor is None else executor
    parts = split(jobs, plan.share, plan.cores)
    first = plan.first(len(parts.test))
    about = _open(folder, plan, parts)
    failed = _draw_all(plan, parts, folder, executor, progress)
    wanted = [task for task in plan.tasks if _known(task[1], failed)]
    todo = [task for task in wanted if not _file(folder, task).is_file()]
    progress(f"{len(wanted) - len(todo)} of {len(wanted)} trainings are done")
    with executor.share(parts) as shared:
        one = partial(_train, shared, plan, folder, first)
        for done, task in enumerate(executor.map(one, todo), len(wanted) - len(todo) + 1):
            progress(f"{done} of {len(wanted)} trainings: {task[1]}, {task[0]}, seed {task[2]}")
    runs = {task: _read(_file(folder, task)) for task in wanted}
    with writing(folder / "results.parquet") as path:
        scores(plan, parts, runs, first).write_parquet(path)
    told = about | summary(plan, parts, runs, first, failed)
    with writing(folder / "summary.json") as path:
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def _open(folder: Path, plan: Plan, parts: Parts) -> dict[str, Any]:
    """Make the folder, or check that it holds the same experiment; return what it is about."""
    digest = hashlib.sha256()
    for stream in (parts.train, parts.test):
        for name in ("submit", "need", "run", "request", "user"):
            digest.update(np.ascontiguousarray(getattr(stream, name)).tobytes())
    about = {
        "plan": asdict(plan),
        "source": parts.jobs.provenance.source,
        "sha256": digest.hexdigest(),
        "cores": parts.train.cores,
        "versions": {"gridtwin": __version__} | {name: version(name) for name in _LIBRARIES},
    }
    about = json.loads(json.dumps(about))
    path = folder / "experiment.json"
    if path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"{path} is no JSON: {error}; choose a new folder") from error
        other = [key for key in about if key != "source" and there.get(key) != about[key]]
        if other:
            raise InputError(f"{folder} holds another experiment, by {other[0]}; choose a new one")
        return dict(there)
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} has files and no experiment.json; choose a new folder")
    with writing(path) as temporary:
        temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")
    return dict(about)


def _draw_all(
    plan: Plan, parts: Parts, folder: Path, executor: Executor, progress: Callable[[str], None]
) -> dict[str, str]:
    """Draw all samples; return why a source has none."""
    models: list[Contender | None] = [None, *plan.models]
    wanted = [Draw(model, plan.all_seeds, plan.seed, folder) for model in models]
    todo = [one for one in wanted if one.missing]
    failed = {}
    with executor.share(parts.jobs) as shared:
        for one, error in zip(todo, executor.map(partial(_draw, shared), todo), strict=True):
            progress(f"{one.name}: {error or 'fitted and drawn'}")
            if error:
                failed[one.name] = error
    return failed


def _draw(jobs: Shared[JobTable], wanted: Draw) -> str:
    return draw(wanted, jobs.get())


def _known(source: str, failed: dict[str, str]) -> bool:
    return source.removesuffix(LOADED) not in failed


def _file(folder: Path, task: Task) -> Path:
    backfill, source, seed = task
    return folder / "runs" / f"{backfill}-{file_name(source)}-{seed}.json"


def _train(
    shared: Shared[Parts], plan: Plan, folder: Path, first: NDArray[np.int64], task: Task
) -> Task:
    """Train on a source, test on the later jobs, and write what came out."""
    backfill, source, seed = task
    parts = shared.get()
    found: dict[str, Any] = {"backfill": backfill, "source": source, "seed": seed}
    try:
        stream = stream_of(source, seed, parts, folder)
        policy, told = _learnt(stream, plan, backfill, seed)
        load, busy = load_of(stream), queueing(stream, plan.length, backfill, seed)
    except GridtwinError as error:
        found["error"] = str(error)
    else:
        policy = carried(policy, stream, parts.test)
        start = policy.start_times(parts.test, first, plan.length, backfill=backfill)
        jobs = first[:, None] + np.arange(plan.length)
        slowdown = bounded_slowdown(start - parts.test.submit[jobs], parts.test.run[jobs])
        found |= {"jobs": len(stream), "dropped": sum(stream.dropped.values())}
        found |= {"load": load, "queueing": busy, "learnt": told}
        found["bsld"] = slowdown.mean(1).tolist()
    with writing(_file(folder, task)) as path:
        path.write_text(json.dumps(found), encoding="utf-8")
    return task


def _learnt(
    stream: Stream, plan: Plan, backfill: Backfill, seed: int
) -> tuple[Learnt, dict[str, Any]]:
    steps = STEPS[plan.method] if plan.steps is None else plan.steps
    if plan.method in ("ppo", "clone"):
        learnt = learn(stream, plan.method, backfill=backfill, steps=steps, seed=seed)
        return learnt, {}
    how = search.Plan(
        method="es" if plan.method == "es" else "cem",
        hidden=(16, 8) if plan.method == "es" else (),
        backfill=backfill,
        candidates=24,
        sequences=24,
        length=min(plan.length, len(stream)),
        copies=4,
        restarts=1,
        seed=seed,
    )
    found = search.search(stream, search.longer(how, steps))
    told = {"begun": found.begun, "gain": found.gain, "weights": found.weights.tolist()}
    return Learnt("priority", {"weights": found.weights}, how.sizes), told


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise FormatError(f"{path} is no JSON: {error}; remove it and run this again") from error
