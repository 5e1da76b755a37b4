"""Judge a synthetic trace: every metric beside its reference rows."""

import math
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.core.executor import Executor
from gridtwin.core.progress import track
from gridtwin.metrics.base import (
    DEFAULT_GROUPS,
    GROUPS,
    Group,
    Metric,
    Score,
    registry,
    resolve,
    subsample,
)
from gridtwin.metrics.evaluation import Evaluation, Row
from gridtwin.metrics.privacy import MAX_QUERIES
from gridtwin.metrics.references import Real, halves, replicates
from gridtwin.metrics.shadow import DEFINITION, Generate, judge_shadow, shadow_membership
from gridtwin.metrics.verdict import verdict
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size
from gridtwin.trace.encode import Columns

__all__ = ["evaluate", "join"]


def evaluate(
    train: JobTable,
    synthetic: JobTable | Sequence[JobTable],
    holdout: JobTable | None = None,
    cores: int | None = None,
    *,
    seed: int = 0,
    groups: Collection[Group] = DEFAULT_GROUPS,
    search: int | None = MAX_QUERIES,
    executor: Executor | None = None,
    shadow: Generate | None = None,
) -> Evaluation:
    """Run every metric on a synthetic trace and on what real traces score.

    Parameters
    ----------
    train
        The real jobs that the model was fitted on.
    synthetic
        One sample of the model, or several: rows are judged on the first, arrivals and queues
        on all, as queues of one sample say little. One at a time is held in memory.
    holdout
        Real jobs that the model has not seen. Without them the references come from two random
        halves of `train`, and ``dcr_share`` does not apply.
    cores
        Size of the machine; as the training trace states, or its peak use, where None.
    seed
        Of every random choice here.
    groups
        Of metrics; the others are left out. Not in the default: ``utility``, which takes minutes,
        and ``paper``, other forms of what is there.
    search
        Rows whose nearest neighbours are searched for, drawn at random; all where None.
    executor
        Where blocks of that search run; every one gives the same scores.
    shadow
        Fits the model to a table under a seed and returns as many rows: adds the attack by shadow
        models, which fits eight of them.

    Raises
    ------
    InputError
        A table has no rows.
    """
    samples = [synthetic] if isinstance(synthetic, JobTable) else synthetic
    if not len(samples):
        raise InputError("nothing to judge: give at least one synthetic table")
    train, first = _held(train, "train"), _held(samples[0], "synthetic")
    holdout = None if holdout is None else _held(holdout, "holdout")
    if search is not None and search < 1:
        raise InputError(f"a search for {search} rows; give 1 or more, or None for all")
    if cores is not None and cores < 1:
        raise InputError(f"a machine of {cores} cores; give a size of 1 or more")
    if cores is None:
        cores = _size(train)
    real = Real(train, holdout, cores, seed)
    columns = real.columns.within(first)
    wanted = [m for m in map(resolve, registry.names()) if m.group in groups]
    by_row = [m for m in wanted if m.on in ("rows", "unseen", "memory", "split")]
    by_trace = [m for m in wanted if m.on in ("arrivals", "queue")]
    real.tell(rows=bool(by_row), traces=bool(by_trace))
    # one thread: sums of threads change with their number, and the scores in their last digits
    with threadpool_limits(1):
        options = {"max_queries": search or sys.maxsize, "executor": executor}
        scored = [_judge_rows(m, real, first, columns, options) for m in by_row]
        scored += [] if shadow is None else [_shadow_row(shadow, real)]
        scored += _judge_traces(by_trace, real, samples) if by_trace else []
    rows = tuple(sorted(scored, key=lambda row: GROUPS.index(row.group)))
    sizes = {"train": len(train), "holdout": 0 if holdout is None else len(holdout)}
    sizes |= {"synthetic": len(first), "samples": len(samples), "cores": cores or 0}
    return Evaluation(rows, verdict(rows), tuple(real.notes), sizes, columns.left_out)


def join(rows: Evaluation, traces: Evaluation) -> Evaluation:
    """Return the metrics of both, with one verdict: as of rows and of traces judged apart.

    A model of a random half of the jobs is judged by its rows against the other half, but that
    half arrives at half the rate; arrivals and queues are judged on a model of all jobs.
    """
    both = tuple(sorted((*rows.rows, *traces.rows), key=lambda row: GROUPS.index(row.group)))
    return Evaluation(
        both,
        verdict(both),
        (
            *(f"Rows: {note}" for note in rows.notes),
            *(f"Arrivals and queues: {note}" for note in traces.notes),
        ),
        rows.sizes | {"samples": traces.sizes["samples"], "cores": traces.sizes["cores"]},
        rows.left_out,
    )


def _held(jobs: JobTable, which: str) -> JobTable:
    """Return the table collected once, so that many metrics do not read it again."""
    held = jobs.with_frame(jobs.collect())
    if not len(held):
        raise InputError(f"the {which} table has no rows; check what was read or sampled")
    return held


def _size(train: JobTable) -> int | None:
    try:
        return machine_size(train)
    except SchemaError:
        return None


def _judge_rows(
    metric: Metric, real: Real, synthetic: JobTable, columns: Columns, options: dict[str, Any]
) -> Row:
    """Score the first sample, held-out rows and the training rows by one metric."""
    if metric.on in ("unseen", "memory", "split"):
        columns = columns.without(*real.untimed, reason="the holdout is of another period")
    rng = np.random.default_rng(real.seed)

    def score(a: JobTable, b: JobTable, **more: JobTable | None) -> Score:
        if not len(a) or not len(b):
            return Score.none("no rows to compare")
        return metric(a, b, columns=columns, seed=real.seed, **options, **more)

    train, other = real.train, real.other
    if metric.on == "rows":
        own = score(train, synthetic)
        best = score(real.base, subsample(other, len(synthetic), rng))
        copy = score(train, train)
    elif metric.on == "unseen":
        first, second = (real.base, other) if real.holdout is None else halves(other, rng)
        own = score(train if real.holdout is None else other, synthetic)
        best = score(first, second)
        copy = score(other, real.base) if real.holdout is not None else Score.none("")
    else:
        first, second = halves(other, rng)
        own = score(train, synthetic, holdout=real.holdout)
        if metric.on == "split":
            best = score(real.base, first, holdout=second)
        else:
            best = score(real.base, subsample(other, len(synthetic), rng))
        copy = score(train, train, holdout=real.holdout)
    detail = {**own.detail, "heldout_detail": best.detail}
    if metric.on == "unseen":
        detail["against"] = "train" if real.holdout is None else "holdout"
    row = _row(metric, own.value, own.by_column, detail, heldout=best.value, copy=copy.value)
    if row.synthetic is None:
        return row
    return replace(row, heldout_by_column={n: _finite(v) for n, v in best.by_column.items()})


def _shadow_row(generate: Generate, real: Real) -> Row:
    own, heldout, copy = judge_shadow(generate, real)
    metric = Metric("shadow_membership", "half", "privacy", "memory", DEFINITION, shadow_membership)
    detail = {**own.detail, "heldout_detail": heldout.detail}
    return _row(metric, own.value, {}, detail, heldout=heldout.value, copy=copy.value)


def _judge_traces(metrics: list[Metric], real: Real, samples: Sequence[JobTable]) -> list[Row]:
    """Score all samples, and replicates of the real weeks, by metrics of whole traces."""
    known: dict[tuple[int, int, str], Any] = {}
    options = {"cores": real.cores}

    def score_all(traces: Iterator[JobTable], total: int, what: str) -> dict[str, list[Score]]:
        out: dict[str, list[Score]] = {m.name: [] for m in metrics}
        for trace in track(traces, what, total):
            memo = dict(known)  # replays of the real trace are kept, of others dropped with them
            for m in metrics:
                out[m.name].append(m(real.train, trace, memo=memo, **options))
            known.update({key: memo[key] for key in memo if key[0] == id(real.train)})
        return out

    held = (_held(trace, "synthetic") for trace in samples)
    own = score_all(held, len(samples), "judging samples")
    makers = list(replicates(real))
    weeks = score_all((make() for make in makers), len(makers), "bootstrap of real weeks")
    copy = score_all(iter([real.train]), 1, "reference")
    return [
        _trace_row(m, own[m.name], weeks[m.name], copy[m.name][0], _thinned(m, real))
        for m in metrics
    ]


def _thinned(metric: Metric, real: Real) -> float | None:
    """Return the score of held-out arrivals against as many training ones, of the same period."""
    if metric.on != "arrivals" or metric.goal == "weeks" or not real.same_period:
        return None
    rng = np.random.default_rng(real.seed)
    n = min(len(real.base), len(real.other))
    a, b = (subsample(jobs, n, rng) for jobs in (real.base, real.other))
    return metric(a, b, cores=real.cores).value if n > 1 else None


def _trace_row(
    metric: Metric, own: list[Score], weeks: list[Score], copy: Score, heldout: float | None
) -> Row:
    values = np.array([score.value for score in own])
    reference = np.array([score.value for score in weeks])
    usable, known = values[np.isfinite(values)], reference[np.isfinite(reference)]
    detail = dict(own[0].detail)
    detail["samples"] = len(usable)
    if len(usable) < len(values) and len(usable):
        detail["samples_without_value"] = len(values) - len(usable)
    if len(known):
        detail["weeks_spread"] = [float(q) for q in np.quantile(known, [0.05, 0.95])]
    if len(usable) > 1:
        detail["values"] = [float(v) for v in usable]
    names = list(dict.fromkeys(name for score in own for name in score.by_column))
    by_column = {
        name: float(np.median([s.by_column[name] for s in own if name in s.by_column]))
        for name in names
    }
    row = _row(
        metric,
        float(np.median(usable)) if len(usable) else math.nan,
        by_column,
        detail,
        heldout=heldout,
        copy=copy.value,
    )
    low, high = np.quantile(usable, [0.05, 0.95]) if len(usable) > 1 else (None, None)
    return replace(
        row,
        weeks=_finite(float(np.median(known)))
        if len(known) and row.synthetic is not None
        else None,
        spread=(float(low), float(high)) if low is not None and high is not None else None,
    )


def _row(
    metric: Metric,
    value: float,
    by_column: dict[str, float],
    detail: dict[str, Any],
    *,
    heldout: float | None,
    copy: float | None,
) -> Row:
    applies = _finite(value) is not None
    return Row(
        metric.name,
        metric.group,
        metric.goal,
        metric.definition,
        _finite(value),
        _finite(heldout) if applies else None,
        _finite(copy) if applies else None,
        None,
        None,
        {name: _finite(v) for name, v in by_column.items()},
        detail,
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
