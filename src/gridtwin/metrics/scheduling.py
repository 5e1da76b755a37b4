"""The queues that a scheduler makes of the synthetic trace, against those of the real one.

Both traces are replayed on one machine of the same size. Traces of many sites have no common
queue: for them see the module ``sites``.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gridtwin.metrics.base import Score, metric
from gridtwin.metrics.sites import cannot_run, sites_of
from gridtwin.sim import schedule
from gridtwin.trace import JobTable
from gridtwin.trace.derive import (
    Runnable,
    bounded_slowdown,
    machine_size,
    offered_load,
    runnable,
)

__all__ = [
    "Replay",
    "load",
    "load_of_body",
    "queue_ratio",
    "replay",
    "slowdown_easy",
    "slowdown_fcfs",
    "wait_easy",
    "wait_fcfs",
]

QUIET = 0.3
"""Below this offered load a trace does not queue, and waits tell little."""

Policy = Literal["fcfs", "easy"]
Figure = Literal["wait", "slowdown"]


@dataclass(frozen=True)
class Replay:
    """What a policy makes of a trace; plain numbers, waits in s."""

    wait: dict[str, float]
    """mean, median, p90, p95, p99."""
    slowdown: dict[str, float]
    """The same of the bounded slowdown (10 s)."""
    load: float
    unit: str
    """What the sizes count: cores, gpus or nodes."""
    dropped: dict[str, int]
    """Jobs that could not run, by reason."""


Memo = MutableMapping[tuple[int, int, str], Replay]
"""Replays made already, by ``id`` of the table, cores and policy; the tables must stay alive."""


def _fitting(jobs: JobTable, cores: int) -> tuple[Runnable, np.ndarray, dict[str, int]]:
    """Return the runnable jobs, which of them fit the machine, and what is dropped."""
    ready = runnable(jobs)
    fits = ready.width <= cores
    dropped = dict(ready.dropped)
    if not fits.all():
        dropped["larger than the machine"] = int((~fits).sum())
    return ready, fits, dropped


def replay(jobs: JobTable, cores: int, policy: Policy, memo: Memo | None = None) -> Replay:
    """Run the jobs on one machine under first come first served, or with EASY backfilling.

    Raises `SchemaError` where the table has no submit time, run time or size.
    """
    key = (id(jobs), cores, policy)
    if memo is not None and key in memo:
        return memo[key]
    ready, fits, dropped = _fitting(jobs, cores)
    submit, width, run, request = (
        a[fits] for a in (ready.submit, ready.width, ready.run, ready.request)
    )
    backfill: Literal["none", "easy"] = "easy" if policy == "easy" else "none"
    start = schedule(submit, width, run, request, cores=cores, backfill=backfill)
    wait = np.asarray(start) - submit
    out = Replay(
        _figures(wait),
        _figures(bounded_slowdown(wait, run)),
        load_of_body(run, width, submit, cores),
        ready.unit,
        dropped,
    )
    if memo is not None:
        memo[key] = out
    return out


def load_of_body(run: np.ndarray, width: np.ndarray, submit: np.ndarray, cores: int) -> float:
    """Return the offered load of a trace's body: without the first and the last 0.5 %."""
    edge = len(submit) // 200
    inside = slice(edge, len(submit) - edge)
    return offered_load(run[inside], width[inside], submit[inside], cores)


def _figures(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("mean", "median", "p90", "p95", "p99"), float("nan"))
    quantiles = np.quantile(values, [0.5, 0.9, 0.95, 0.99])
    names = ("median", "p90", "p95", "p99")
    return {"mean": float(values.mean())} | dict(zip(names, map(float, quantiles), strict=True))


def queue_ratio(
    real: JobTable,
    synthetic: JobTable,
    policy: Policy,
    figure: Figure,
    *,
    cores: int | None = None,
    memo: Memo | None = None,
    size: float = 1.0,
) -> Score:
    """Return the ratio of the means, synthetic over real, on a machine `size` times as large.

    The machine has `cores`, or those of the real trace where None. A job that is wider than it is
    left out on both sides and counted in ``dropped_real`` and ``dropped_synthetic``.
    """
    reason = cannot_run(real, synthetic)
    if not reason and (n := sites_of(real)) > 1:
        reason = f"{n} sites have no common queue; see site_work and site_arrivals"
    if reason:
        return Score.none(reason)
    cores = machine_size(real) if cores is None else cores
    cores = max(1, round(size * cores))
    a, b = replay(real, cores, policy, memo), replay(synthetic, cores, policy, memo)
    x, y = (a.wait, b.wait) if figure == "wait" else (a.slowdown, b.slowdown)
    for side, means in (("real", x), ("synthetic", y)):
        if np.isnan(means["mean"]):
            return Score.none(f"no {side} job fits a machine of {cores:,} {a.unit}")
    detail: dict[str, object] = {
        "policy": policy,
        "figure": figure,
        "size": size,
        "cores": cores,
        "real": x,
        "synthetic": y,
        "load_real": a.load,
        "load_synthetic": b.load,
        "dropped_real": a.dropped,
        "dropped_synthetic": b.dropped,
    }
    if a.load < QUIET:
        detail["note"] = (
            f"the real trace does not queue (offered load {a.load:.2f} on {cores:,} "
            f"{a.unit}): this says little"
        )
    if not x["mean"] > 0:
        return Score.none(
            f"no real job waits under {policy.upper()} "
            f"(offered load {a.load:.2f} on {cores:,} {a.unit})"
        )
    ratios = {name: y[name] / x[name] for name in x if name != "mean" and x[name] > 0}
    return Score(y["mean"] / x["mean"], ratios, detail)


@metric("wait_fcfs", goal="one", group="scheduling", on="queue")
def wait_fcfs(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean wait under first come first served, synthetic over real, on the same machine.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return queue_ratio(real, synthetic, "fcfs", "wait", cores=cores, memo=memo)


@metric("wait_easy", goal="one", group="scheduling", on="queue")
def wait_easy(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean wait under EASY backfilling, synthetic over real, on the same machine.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return queue_ratio(real, synthetic, "easy", "wait", cores=cores, memo=memo)


@metric("slowdown_fcfs", goal="one", group="scheduling", on="queue")
def slowdown_fcfs(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean bounded slowdown (10 s) under first come first served, synthetic over real.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return queue_ratio(real, synthetic, "fcfs", "slowdown", cores=cores, memo=memo)


@metric("slowdown_easy", goal="one", group="scheduling", on="queue")
def slowdown_easy(
    real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
) -> Score:
    """Mean bounded slowdown (10 s) under EASY backfilling, synthetic over real.

    1 = the same queue. By column: the ratio of the quantiles.
    """
    return queue_ratio(real, synthetic, "easy", "slowdown", cores=cores, memo=memo)


@metric("load", goal="one", group="scheduling", on="arrivals")
def load(real: JobTable, synthetic: JobTable, *, cores: int | None = None) -> Score:
    """Offered load, synthetic over real: sum of run time x size / (machine x span of submits).

    1 = the same demand. Of the jobs between the first and the last 0.5 % of submits, so that a few
    stray ones do not stretch the span. The machine's size cancels out; detail has both loads.
    """
    reason = cannot_run(real, synthetic)
    if reason:
        return Score.none(reason)
    a, b = runnable(real), runnable(synthetic)
    cores = machine_size(real, a) if cores is None else cores
    x, y = (load_of_body(ready.run, ready.width, ready.submit, cores) for ready in (a, b))
    if not x > 0 or not np.isfinite(y):
        return Score.none("the real or the synthetic trace asks for no work over its span")
    detail = {
        "real": x,
        "synthetic": y,
        "cores": cores,
        "unit": a.unit,
        "dropped_real": a.dropped,
        "dropped_synthetic": b.dropped,
    }
    return Score(y / x, detail=detail)
