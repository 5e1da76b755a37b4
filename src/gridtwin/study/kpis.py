"""The figures of a run: a fixed list, each with its unit, its better side and its definition."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.sim import Result

__all__ = ["METRICS", "Metric", "kpis"]


@dataclass(frozen=True)
class Metric:
    """A figure of a run."""

    unit: str
    goal: Literal["min", "max", "none"]
    definition: str


METRICS: dict[str, Metric] = {
    "mean_wait": Metric("s", "min", "mean of start - submission over attempts that started"),
    "median_wait": Metric("s", "min", "median of start - submission over attempts that started"),
    "p95_wait": Metric(
        "s", "min", "95th percentile of start - submission over attempts that started"
    ),
    "waiting_share": Metric("share", "min", "attempts that did not start at once / started"),
    "mean_bounded_slowdown": Metric(
        "ratio", "min", "mean of max(1, (wait + run) / max(run, 10 s)) over attempts that ended"
    ),
    "mean_turnaround": Metric(
        "s", "min", "mean of last end - first submission over jobs that finished in the end"
    ),
    "makespan": Metric("s", "min", "last end - first submission"),
    "utilisation": Metric("share", "none", "core seconds in use / (cores x makespan)"),
    "jobs": Metric("jobs", "none", "jobs of the workload that ran"),
    "attempts": Metric("attempts", "none", "attempts of jobs, retries included"),
    "finished_share": Metric("share", "max", "jobs that finished in the end / jobs simulated"),
    "failure_rate": Metric("share", "min", "attempts that failed / attempts that ended"),
    "outage_kills": Metric("attempts", "min", "attempts that an outage ended"),
    "wasted_core_hours": Metric("core h", "min", "core hours of attempts that did not finish"),
    "wasted_share": Metric(
        "share", "min", "core hours of attempts that did not finish / core hours of all"
    ),
    "moved_bytes": Metric("bytes", "min", "bytes of transfers between different places"),
    "transfers": Metric("transfers", "min", "transfers between different places"),
    "decisions": Metric("decisions", "none", "times that a broker chose a site, or found none"),
    "sites_used": Metric("sites", "none", "sites at which an attempt ran"),
    "largest_site_share": Metric("share", "none", "attempts at the site with the most / attempts"),
}
"""Name -> what it is."""

_OUTAGE = "outage"


def kpis(result: Result) -> dict[str, float | None]:
    """Return the figures of `METRICS`; what is undefined is None.

    Sums are NumPy's, in the order of the attempts, so that every process gets the same bits.
    """
    summary = result.summary()
    frame = result.jobs.collect()
    s = result.schedule
    mine = np.ones(len(s.site), bool) if s.local is None else ~s.local
    start, end, submit = s.start[mine], s.end[mine], s.submit[mine]
    spent = np.nan_to_num(s.run[mine] * s.width[mine]) / 3600.0
    finished = (frame["status"] == "finished").fill_null(value=False).to_numpy()
    raw = frame["raw_status"] if "raw_status" in frame.columns else frame["status"]
    over = np.isfinite(end) & np.isfinite(start)
    site = s.site[mine][np.isfinite(start)]
    used = np.bincount(site[site >= 0]) if len(site) else np.zeros(1, np.int64)
    far = result.transfers.filter(pl.col("source") != pl.col("destination"))
    total = float(spent.sum())
    wasted = float(spent[~finished].sum())
    found: dict[str, Any] = {
        "mean_turnaround": _turnaround(result, submit, end, finished),
        "failure_rate": float(((~finished) & over).sum() / over.sum()) if over.any() else None,
        "outage_kills": int((raw == _OUTAGE).sum()),
        "wasted_core_hours": wasted,
        "wasted_share": wasted / total if total else None,
        "moved_bytes": float(far["bytes"].to_numpy().sum()),
        "transfers": far.height,
        "decisions": result.decisions.filter(pl.col("chosen_by") != "fixed").height,
        "sites_used": int((used > 0).sum()),
        "largest_site_share": float(used.max() / used.sum()) if used.sum() else None,
    }
    values = {name: found.get(name, summary.get(name)) for name in METRICS}
    return {name: None if value is None else float(value) for name, value in values.items()}


def _turnaround(
    result: Result,
    submit: NDArray[np.float64],
    end: NDArray[np.float64],
    finished: NDArray[np.bool_],
) -> float | None:
    base = result.base
    if base is None:
        took = (end - submit)[finished]
        return float(took.mean()) if len(took) else None
    job = base.rank("dense").cast(pl.Int64).to_numpy() - 1
    if not finished.any():
        return None
    first, last = np.full(job.max() + 1, np.inf), np.full(job.max() + 1, -np.inf)
    np.minimum.at(first, job, submit)
    np.maximum.at(last, job[finished], end[finished])
    done = np.isfinite(last)
    return float((last - first)[done].mean())
