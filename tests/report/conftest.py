"""Made-up outcomes of a simulation and of an evaluation, small enough to check by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from gridtwin.metrics import Evaluation, Row
from gridtwin.trace import JobTable


@dataclass(frozen=True)
class Outcome:
    """What a report reads of a simulation's result."""

    jobs: JobTable
    timeline: pl.DataFrame
    cores: int

    def summary(self):
        wait = self.jobs.collect(["wait_time"])["wait_time"]
        return {"jobs": len(self.jobs), "mean_wait_s": wait.mean(), "utilisation": 0.5}


def _run_at_once(jobs: JobTable, cores: int = 256) -> Outcome:
    """Return the outcome of a machine on which every job starts 60 s after it is submitted."""
    frame = jobs.collect()
    ran = frame.with_columns(
        wait_time=pl.lit(60.0),
        start_time=pl.col("submit_time") + 60,
        end_time=pl.col("submit_time") + 60 + pl.col("run_time"),
    )
    submit, end = ran["submit_time"].to_numpy(), ran["end_time"].to_numpy()
    zero, one, size = np.zeros(len(ran)), np.ones(len(ran)), ran["cores_req"].to_numpy()
    change = pl.DataFrame(
        {
            "time": np.concatenate([submit, submit + 60, end]),
            "queued": np.concatenate([one, -one, zero]),
            "running": np.concatenate([zero, one, -one]),
            "busy_cores": np.concatenate([zero, size, -size]),
        }
    ).sort("time", maintain_order=True)
    steps = [pl.col(c).cum_sum().cast(pl.Int64) for c in ("queued", "running", "busy_cores")]
    timeline = change.with_columns(steps).with_columns(site=pl.lit("cluster"))
    return Outcome(jobs.with_frame(ran), timeline, cores)


@pytest.fixture(scope="session")
def run_at_once() -> Callable[..., Outcome]:
    """Return the function that simulates."""
    return _run_at_once


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """A judgement with a value of every kind, one that does not apply, and a name from others."""
    rows = (
        Row("ks", "marginal", "min", "Largest ``gap``\nof two.\n\nMean.", 0.08, 0.01, 0.0, None,
            None, {"run_time": 0.1, "cores_req": None}),
        Row("c2st", "detection", "half", "AUC.", 0.57, 0.5, None, None, None),
        Row("dcr_share", "privacy", "half", "Share.", None, None, None, None, None, {},
            {"reason": "needs a <holdout>"}),
        Row("wait_easy", "scheduling", "one", "Mean wait.", 1.2, None, 1.0, 1.05, (0.7, 1.9), {},
            {"values": [0.7, 1.2, 1.9], "weeks_spread": [0.55, 1.85]}),
        Row("colour", "taste", "min", "Of another package.", 0.5, None, None, None, None),
    )  # fmt: skip
    return Evaluation(rows, ("Good for <em>queues</em>.",), ("How made.",), {"cores": 256}, {})
