"""Several models on several traces, judged alike: one table of scores and costs."""

import json
import re
import resource
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin import models
from gridtwin.core.errors import GridtwinError, InputError, WorkerLostError
from gridtwin.core.executor import Executor
from gridtwin.core.files import writing
from gridtwin.metrics import Evaluation, evaluate, join
from gridtwin.metrics.base import DEFAULT_GROUPS, Group, subsample
from gridtwin.metrics.sites import sites_of
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size
from gridtwin.trace.readers import read
from gridtwin.trace.split import by_row
from gridtwin.trace.writers import write

__all__ = ["Benchmark", "Contender", "benchmark", "file_name"]

_TRACES: tuple[Group, ...] = ("temporal", "scheduling")
_COSTS = ("fit_cpu_s", "sample_cpu_s", "peak_mib")


@dataclass(frozen=True)
class Contender:
    """A model and its settings, under a label."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        """The label, else the model with its settings."""
        settings = ",".join(f"{key}={value}" for key, value in self.parameters.items())
        return self.label or (f"{self.model}:{settings}" if settings else self.model)

    def generate(self, jobs: JobTable, seed: int) -> JobTable:
        """Return what the model makes of jobs: fitted to them, as many rows, under one seed."""
        return self.fit(jobs, seed).sample(seed=seed)

    def fit(self, jobs: JobTable, seed: int) -> models.Surrogate:
        """Return the model fitted to jobs; a seed among its settings goes before `seed`."""
        return models.get(self.model)(**{"seed": seed, **self.parameters}).fit(jobs)


@dataclass(frozen=True)
class Benchmark:
    """The table of a benchmark and where its parts are."""

    table: pl.DataFrame
    """One row per trace and model: scores, CPU seconds and memory, the error of a model that
    failed; ``held-out real`` and ``copy of train`` stand among the models."""
    evaluations: dict[tuple[str, str], Evaluation]
    """By trace and model."""


@dataclass(frozen=True)
class _Task:
    """One fit, in a process of its own, so that its memory and seconds are its own."""

    contender: Contender
    jobs: str
    folder: str
    seeds: tuple[int, ...]
    seed: int


def benchmark(
    contenders: Sequence[Contender | str],
    traces: Mapping[str, JobTable],
    folder: Path | str,
    *,
    holdout: float = 0.3,
    rows: int | None = None,
    samples: int = 5,
    cores: Mapping[str, int] | None = None,
    groups: Collection[Group] = DEFAULT_GROUPS,
    seed: int = 0,
) -> Benchmark:
    """Fit every model to every trace and judge all of them by the same rows.

    Rows: fitted on a random part of the jobs, judged against the rest. Arrivals and queues:
    fitted on all jobs, judged over several samples. Costs are of the first fit and one sample of
    as many rows, in a fresh process: CPU seconds without imports, peak memory with them. A model
    that refuses a trace has a row with its reason. Writes ``benchmark.csv`` and ``.json``, and
    each evaluation with the first synthetic trace in ``folder/trace/model``.

    Parameters
    ----------
    holdout
        Share of the jobs held out.
    rows
        Jobs of a trace at most, drawn at random; all where None.
    samples
        Of each model fitted on all jobs; 0 leaves arrivals and queues out.
    cores
        Machine sizes by trace; of the others the stated size, or an estimate.
    groups
        Of metrics.

    Raises `UnknownNameError` for a model that there is not, `InputError` for no model, no trace,
    names that are not unique, or fewer than 20 jobs.
    """
    entries = [Contender(c) if isinstance(c, str) else c for c in contenders]
    _check(entries, traces, holdout)
    folder = Path(folder)
    records: list[dict[str, Any]] = []
    evaluations: dict[tuple[str, str], Evaluation] = {}
    for name, jobs in traces.items():
        jobs = jobs if rows is None else subsample(jobs, rows, np.random.default_rng(seed))
        place = folder / file_name(name)
        parts = _prepared(jobs, place, holdout, (cores or {}).get(name), seed)
        judged = []
        for entry in entries:
            evaluation, costs = _judged(entry, parts, place, samples, groups, seed)
            judged.append({"trace": name, "model": entry.name, **_scores(evaluation), **costs})
            if evaluation is not None:
                evaluations[name, entry.name] = evaluation
        references = _references([e for (trace, _), e in evaluations.items() if trace == name])
        records += [{"trace": name, **row} for row in references] + judged
    table = _table(records)
    _save(table, folder)
    return Benchmark(table, evaluations)


def _check(entries: list[Contender], traces: Mapping[str, JobTable], holdout: float) -> None:
    if not entries or not traces:
        raise InputError("a benchmark needs at least one model and one trace; give both")
    for kind, names in (("model", [e.name for e in entries]), ("trace", list(traces))):
        files = [file_name(name) for name in names]
        if len(set(files)) < len(files):
            raise InputError(f"two {kind}s have the same name, among {', '.join(names)}; label one")
    if not 0 < holdout < 1:
        raise InputError(f"holdout={holdout}: give a share between 0 and 1")
    for entry in entries:
        models.get(entry.model)
    for name, jobs in traces.items():
        if len(jobs) < 20:
            raise InputError(f"{name} has {len(jobs)} jobs; a benchmark needs 20 or more")


@dataclass(frozen=True)
class _Parts:
    jobs: JobTable
    train: JobTable
    heldout: JobTable
    cores: int | None


def _prepared(jobs: JobTable, place: Path, holdout: float, cores: int | None, seed: int) -> _Parts:
    """Split a trace, and write what the models' processes read."""
    train, heldout = by_row(jobs, 1 - holdout, seed=seed)
    write(jobs, place / "jobs.parquet")
    write(train, place / "train.parquet")
    try:
        cores = machine_size(jobs) if cores is None and sites_of(jobs) < 2 else cores
    except GridtwinError:  # rows without sizes have no queue, and are judged by the rest
        cores = None
    return _Parts(jobs, train, heldout, cores)


def _judged(
    entry: Contender,
    parts: _Parts,
    place: Path,
    samples: int,
    groups: Collection[Group],
    seed: int,
) -> tuple[Evaluation | None, dict[str, Any]]:
    """Fit, sample and judge one model; its costs, or the reason why it gave nothing."""
    home = place / file_name(entry.name)
    task = _Task(entry, str(place / "train.parquet"), str(home / "rows"), (seed,), seed)
    costs = _apart(task)
    if costs.get("error"):
        return None, costs
    by_row = [group for group in groups if group not in _TRACES]
    evaluation = evaluate(
        parts.train,
        read(home / "rows" / "0.parquet"),
        parts.heldout,
        parts.cores,
        seed=seed,
        groups=by_row,
    )
    wanted: list[Group] = [group for group in groups if group in _TRACES]
    if samples and wanted:
        seeds = tuple(seed + 1 + k for k in range(samples))
        whole = _Task(entry, str(place / "jobs.parquet"), str(home / "traces"), seeds, seed)
        again = _apart(whole)
        if again.get("error"):
            return None, again
        drawn = [read(home / "traces" / f"{k}.parquet") for k in range(samples)]
        whole_trace = evaluate(parts.jobs, drawn, None, parts.cores, seed=seed, groups=wanted)
        evaluation = join(evaluation, whole_trace)
    evaluation.save(home)
    return evaluation, costs


def _apart(task: _Task) -> dict[str, Any]:
    """Run a task in a fresh process."""
    try:
        return next(iter(Executor("processes", 1, retries=0).map(_fit_and_sample, [task])))
    except WorkerLostError:
        return {"error": "its process was ended from outside, as for want of memory"}


def _fit_and_sample(task: _Task) -> dict[str, Any]:
    """Fit a model, write its samples, and return what that took."""
    jobs = read(task.jobs)
    jobs = jobs.with_frame(jobs.collect())
    try:
        models.get(task.contender.model)  # its imports are not counted
        start = time.process_time()
        model = task.contender.fit(jobs, task.seed)
        fitted = time.process_time()
        for k, seed in enumerate(task.seeds):
            write(model.sample(seed=seed), Path(task.folder) / f"{k}.parquet")
        done = time.process_time()
    except GridtwinError as error:
        return {"error": str(error)}
    costs = (fitted - start, (done - fitted) / len(task.seeds), _peak_mib())
    return dict(zip(_COSTS, costs, strict=True))


def _peak_mib() -> float:
    """Return the most memory this process held, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # what the system's call gives on Linux counts the parent's memory, too
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _scores(evaluation: Evaluation | None) -> dict[str, float | None]:
    return {} if evaluation is None else {row.metric: row.synthetic for row in evaluation.rows}


def _references(evaluations: list[Evaluation]) -> list[dict[str, Any]]:
    """Return the rows that do not depend on the model (of the first, where its sample does)."""
    if not evaluations:
        return []
    rows = evaluations[0].rows
    held = {row.metric: row.heldout if row.weeks is None else row.weeks for row in rows}
    return [
        {"model": "held-out real", **held},
        {"model": "copy of train", **{row.metric: row.train_copy for row in rows}},
    ]


def _table(records: list[dict[str, Any]]) -> pl.DataFrame:
    names = list(dict.fromkeys(name for record in records for name in record))
    texts = ("trace", "model")
    metrics = [name for name in names if name not in (*texts, *_COSTS, "error")]
    schema: dict[str, pl.DataType] = dict.fromkeys(texts, pl.String())
    schema |= dict.fromkeys((*metrics, *_COSTS), pl.Float64()) | {"error": pl.String()}
    return pl.DataFrame([[r.get(n) for n in schema] for r in records], schema=schema, orient="row")


def _save(table: pl.DataFrame, folder: Path) -> None:
    with writing(folder / "benchmark.csv") as path:
        table.write_csv(path)
    with writing(folder / "benchmark.json") as path:
        path.write_text(json.dumps({"rows": table.to_dicts()}, indent=1), encoding="utf-8")


def file_name(label: str) -> str:
    """Return a label as the name of a file."""
    return re.sub(r"[^\w.=-]+", "_", label).lstrip(".") or "_"
