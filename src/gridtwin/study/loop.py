"""The loop: learn a trace, generate it many times, judge it, simulate both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from gridtwin import models
from gridtwin.core.errors import InputError
from gridtwin.metrics import Evaluation, evaluate, join
from gridtwin.metrics.base import Group
from gridtwin.metrics.sites import sites_of
from gridtwin.sim import Broker, Platform, Policy, Result, simulate
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size
from gridtwin.trace.split import by_row
from gridtwin.trace.writers import write

__all__ = ["Loop", "Samples", "run_loop", "side_by_side"]

_ROWS: tuple[Group, ...] = ("marginal", "joint", "validity", "detection", "privacy")
_TRACES: tuple[Group, ...] = ("temporal", "scheduling")


@dataclass(frozen=True)
class Samples(Sequence[JobTable]):
    """Traces of a fitted model, each drawn when it is asked for: memory is that of one."""

    model: models.Surrogate
    seeds: tuple[np.random.SeedSequence, ...]

    def __len__(self) -> int:
        return len(self.seeds)

    @overload
    def __getitem__(self, k: int) -> JobTable: ...
    @overload
    def __getitem__(self, k: slice) -> "Samples": ...
    def __getitem__(self, k: int | slice) -> "JobTable | Samples":
        """Return the k-th trace, always the same one."""
        if isinstance(k, slice):
            return Samples(self.model, self.seeds[k])
        return self.model.sample(seed=np.random.default_rng(self.seeds[k]))

    def first(self, k: int) -> "Samples":
        """Return the same traces, the k-th one first."""
        return Samples(self.model, (self.seeds[k], *self.seeds[:k], *self.seeds[k + 1 :]))


@dataclass(frozen=True)
class Loop:
    """What one turn of the loop gave."""

    real: JobTable
    samples: "Samples"
    """Traces of the model that was fitted on all jobs; first the one of median wait under EASY,
    where the trace queues."""
    evaluation: Evaluation
    """Rows: fitted on a random half of the jobs, judged against the other half. Arrivals and
    queues: fitted on all jobs, over all samples."""
    simulations: dict[str, Result]
    """``real`` and ``synthetic`` (the first sample) under EASY."""
    headline: dict[str, Any]
    folder: Path


def run_loop(
    jobs: JobTable,
    folder: Path | str,
    *,
    cores: int | None = None,
    samples: int = 20,
    seed: int = 0,
    model: str = "trace",
    fitted: Callable[[], None] | None = None,
) -> Loop:
    """Fit `model` to the jobs, draw `samples` traces, judge them, and simulate under EASY.

    Writes into `folder`: ``jobs.parquet``, ``model/``, ``synthetic.parquet`` (the first sample),
    ``evaluation.json`` and ``.csv``, ``simulation/real/`` and ``simulation/synthetic/``.

    Parameters
    ----------
    cores
        Size of the machine; as the trace states, or estimated from its use, where None.
    samples
        Traces to draw; queues are heavy-tailed, and 20 are the least that shows a spread.
    fitted
        Called as soon as the model of all jobs is saved.

    Raises `InputError` for fewer than two jobs.
    """
    if len(jobs) < 2:
        raise InputError(f"the loop needs at least 2 jobs, this trace has {len(jobs)}")
    folder = Path(folder)
    write(jobs, folder / "jobs.parquet")
    create = models.get(model)
    half, rows_seed, *seeds = np.random.SeedSequence(seed).spawn(samples + 2)
    whole = create(seed=seed).fit(jobs)
    whole.save(folder / "model")
    if fitted is not None:
        fitted()
    train, holdout = by_row(jobs, 0.5, seed=int(np.random.default_rng(half).integers(1 << 31)))
    drawn = create(seed=seed).fit(train).sample(seed=np.random.default_rng(rows_seed))
    if cores is None and sites_of(jobs) < 2:
        cores = machine_size(jobs)
    rows = evaluate(train, drawn, holdout, cores, seed=seed, groups=_ROWS)
    traces = Samples(whole, tuple(seeds))
    evaluation = join(rows, evaluate(jobs, traces, None, cores, seed=seed, groups=_TRACES))
    evaluation.save(folder)
    traces = _typical_first(traces, evaluation)
    shown = traces[0]
    write(shown, folder / "synthetic.parquet")
    simulations = side_by_side(jobs, shown, cores=cores, seed=seed)
    for name, result in simulations.items():
        result.save(folder / "simulation" / name)
    return Loop(jobs, traces, evaluation, simulations, _headline(jobs, evaluation), folder)


def side_by_side(
    real: JobTable,
    synthetic: JobTable,
    *,
    cores: int | None = None,
    policy: str | Policy = "easy",
    seed: int = 0,
) -> dict[str, Result]:
    """Simulate both traces, as ``real`` and ``synthetic``, on the real one's machine or sites.

    With `cores`, or if the records name one site or none, that is one machine; otherwise each job
    goes to its own site, as large as the real trace used it.
    """
    if cores is None and sites_of(real) < 2:
        cores = machine_size(real)
    platform = Platform.observed(real) if cores is None else Platform.single(cores)
    broker: Broker | None = "recorded" if len(platform.sites) > 1 else None
    return {
        name: simulate(jobs, platform=platform, policy=policy, broker=broker, seed=seed)
        for name, jobs in (("real", real), ("synthetic", synthetic))
    }


def _typical_first(traces: Samples, evaluation: Evaluation) -> Samples:
    """Put the sample whose mean wait under EASY is the median one first, if all have a wait."""
    waits = evaluation["wait_easy"].detail.get("values", [])
    if len(waits) != len(traces):
        return traces
    return traces.first(sorted(range(len(waits)), key=lambda k: waits[k])[(len(waits) - 1) // 2])


def _headline(jobs: JobTable, evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures to print, None where a metric does not apply."""
    names = {
        "C2ST AUC (half of the rows held out)": "c2st",
        "DCR-share": "dcr_share",
        "inter-arrival KS": "interarrival",
        "offered load, synthetic / real": "load",
        "mean wait under EASY, synthetic / real": "wait_easy",
        "mean bounded slowdown under EASY, synthetic / real": "slowdown_easy",
    }
    figures: dict[str, Any] = {
        "jobs read": jobs.provenance.rows_read,
        "jobs dropped": sum(jobs.provenance.dropped.values()),
    }
    for title, metric in names.items():
        row = evaluation[metric]
        figures[title] = row.synthetic
        if row.spread is not None:
            figures[f"{title}, 5-95 %"] = list(row.spread)
    return figures
