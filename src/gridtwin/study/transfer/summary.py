"""What the trainings of a transfer experiment say: a table of scores, and figures with warnings."""

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.compare import DEFAULT, QUIET, figures, named
from gridtwin.sim.policies import Backfill
from gridtwin.study.transfer.intervals import Resampled, judged
from gridtwin.study.transfer.plan import Plan, Task
from gridtwin.study.transfer.sources import REAL, Parts, load_of

__all__ = ["FEW_QUEUE", "REFERENCES", "Runs", "scores", "summary"]

REFERENCES = ("fcfs", "sjf")
"""Gains are over these: no order at all; and what the search knows before it has seen a job."""
FEW_QUEUE = 0.1
"""Below this share of sequences that queue there is little to learn from."""
_CALM = 1.5
_FEW_SEEDS = 8
_FEW_STRETCHES = 10
_SCORES = {
    "backfill": pl.String,
    "source": pl.String,
    "seed": pl.Int64,
    "sequence": pl.Int64,
    "begin": pl.Int64,
    "bsld": pl.Float64,
    "score": pl.Float64,
}
Runs = dict[Task, dict[str, Any]]
"""What came out of each training."""


def summary(
    plan: Plan, parts: Parts, runs: Runs, first: NDArray[np.int64], failed: dict[str, str]
) -> dict[str, Any]:
    """Return what the trainings say, as plain values.

    Parameters
    ----------
    first
        Where the sequences of the test begin.
    failed
        Why a source has no jobs.
    """
    test = parts.test
    by = Resampled(plan.seeds, first, plan.length)
    settings = []
    for backfill in plan.backfills:
        known = _heuristics(plan, parts, backfill, first)
        settings.append(_setting(plan, backfill, runs, known, by))
    calm = figures(test, "fcfs", first, length=plan.length)["bsld"]
    about = {
        "train_jobs": len(parts.train),
        "test_jobs": len(test),
        "train_load": load_of(parts.train),
        "test_load": load_of(test),
        "test_queueing": float((calm > _CALM).mean()),
        "stretches": by.stretches,
        "dropped": {"train": parts.train.dropped, "test": test.dropped},
    }
    failed = failed | {task[1]: one["error"] for task, one in runs.items() if "error" in one}
    told = {"trace": about, "settings": settings, "failed": failed}
    return told | {"warnings": _warnings(plan, about, settings, failed)}


def _heuristics(
    plan: Plan, parts: Parts, backfill: Backfill, first: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return log mean bounded slowdown of each sequence under each heuristic, (1, S)."""
    names = list(dict.fromkeys((*DEFAULT, *REFERENCES, plan.baseline)))
    return {
        name: np.log(figures(parts.test, whole, first, length=plan.length)["bsld"])[None]
        for name, whole in zip(names, named(names, backfill), strict=True)
    }


def scores(plan: Plan, parts: Parts, runs: Runs, first: NDArray[np.int64]) -> pl.DataFrame:
    """Return a row of each training and sequence.

    Columns: backfill, source, seed, sequence, begin (place in the later part), bsld (mean bounded
    slowdown), score (log of it over the baseline's).
    """
    tables = [pl.DataFrame(schema=_SCORES)]
    for backfill in plan.backfills:
        whole = named([plan.baseline], backfill)[0]
        baseline = np.log(figures(parts.test, whole, first, length=plan.length)["bsld"])
        for (kind, source, seed), one in runs.items():
            if kind == backfill and "bsld" in one:
                bsld = np.array(one["bsld"])
                values = (backfill, source, seed, np.arange(len(first)), first, bsld)
                columns = dict(zip(_SCORES, (*values, np.log(bsld) - baseline), strict=True))
                tables.append(pl.DataFrame(columns, schema=_SCORES))
    return pl.concat(tables)


def _setting(
    plan: Plan,
    backfill: Backfill,
    runs: Runs,
    known: dict[str, NDArray[np.float64]],
    by: Resampled,
) -> dict[str, Any]:
    """Return the figures of one kind of backfilling."""
    logs, facts = {}, {}
    for source in plan.sources:
        found = [runs.get((backfill, source, seed), {"error": ""}) for seed in plan.all_seeds]
        if not any("error" in one for one in found):  # one seed that failed breaks the pairs
            logs[source] = np.log([one["bsld"] for one in found])
            facts[source] = _facts(found)
    if REAL not in logs:
        why = runs[backfill, REAL, plan.seed].get("error", "a training failed")
        raise InputError(f"nothing can be learnt from the real jobs: {why}")
    references = {name: known[name] for name in (*REFERENCES, plan.baseline)}
    rows = judged(logs, logs[REAL], references, plan.baseline, by)
    best = min(known, key=lambda name: float(known[name].mean()))
    heuristics = {name: by.value(value - known[plan.baseline]) for name, value in known.items()}
    for row in rows:
        row |= facts[row["source"]]
        row["to_best"] = asdict(by.value(logs[row["source"]] - known[best]))
    ranked = sorted(heuristics.items(), key=lambda item: item[1].mean)
    return {
        "backfill": backfill,
        "baseline": plan.baseline,
        "best": best,
        "sources": rows,
        "heuristics": [{"policy": name, "score": asdict(value)} for name, value in ranked],
    }


def _facts(found: list[dict[str, Any]]) -> dict[str, float]:
    """Return what the jobs of a source are like, means over the seeds."""
    keys = ("jobs", "dropped", "load", "queueing")
    facts = {key: float(np.mean([one[key] for one in found])) for key in keys}
    if "gain" in found[0]["learnt"]:
        facts["climbed"] = float(np.mean([one["learnt"]["gain"] < 0 for one in found]))
    return facts


def _warnings(
    plan: Plan, about: dict[str, Any], settings: list[dict[str, Any]], failed: dict[str, str]
) -> list[str]:
    told = []
    if not about["test_load"] >= QUIET or about["test_queueing"] < FEW_QUEUE:
        told.append(
            f"the later jobs hardly queue: offered load {about['test_load']:.2f}, and under FCFS "
            f"{about['test_queueing']:.0%} of the sequences have an average bounded slowdown above "
            f"{_CALM}; whichever policy serves them makes little difference"
        )
    if about["stretches"] < _FEW_STRETCHES:
        told.append(
            f"the later part has only {about['stretches']} stretches of {plan.length} jobs; the "
            "intervals are wide, and themselves uncertain"
        )
    if plan.seeds < _FEW_SEEDS:
        told.append(f"{plan.seeds} seeds: trainings differ by chance; take {_FEW_SEEDS} or more")
    for setting in settings:
        calm = [row for row in setting["sources"] if row["queueing"] < FEW_QUEUE]
        told += [
            f"{row['source']}, backfilling {setting['backfill']}: {row['queueing']:.0%} of its "
            f"sequences queue (offered load {row['load']:.2f}); there is little to learn from"
            for row in calm
        ]
    return told + [f"{source} is left out: {why}" for source, why in failed.items()]
