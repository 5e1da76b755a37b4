"""Membership inference on models that copy, and on models that know nothing."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.core.errors import InputError
from gridtwin.metrics.membership import shadow_membership
from gridtwin.trace import JobTable


def cloud(n: int, seed: int) -> JobTable:
    rng = np.random.default_rng(seed)
    return JobTable.from_frame(
        pl.DataFrame(
            {
                "job_id": [str(i) for i in range(n)],
                "run_time": rng.normal(size=n),
                "wait_time": rng.normal(size=n),
                "user": rng.choice(["a", "b", "c"], n),
            }
        )
    )


def blurred(jobs: JobTable, seed: int) -> JobTable:
    """Return the jobs with a little noise: a model that memorises."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=len(jobs))
    return jobs.with_frame(jobs.collect().with_columns(pl.col("run_time") + pl.Series(noise)))


def test_copies_betray_all_and_independent_rows_none():
    train, holdout = cloud(600, 1), cloud(600, 2)
    attack = metrics.get("membership")
    assert attack(train, train, holdout=holdout).value == 1
    fresh = attack(train, cloud(600, 3), holdout=holdout)
    low, high = fresh.detail["interval"]
    assert low < 0.5 < high
    assert 0.04 < high - low < 0.12  # twice 1.96 sqrt((m + n + 1) / 12 m n), 600 and 300 jobs: 0.08
    assert attack(train, blurred(train, 0), holdout=holdout).detail["interval"][0] > 0.6
    assert "holdout" in attack(train, train).detail["reason"]


def test_shadow_models_find_what_a_memorising_model_has_seen():
    jobs = cloud(200, 4)
    memorises = shadow_membership(blurred, jobs, shadows=4)
    assert memorises.value > 0.8
    forgets = shadow_membership(lambda half, seed: cloud(len(half), seed), jobs, shadows=4)
    low, high = forgets.detail["interval"]
    assert low < 0.53
    assert high > 0.47
    assert shadow_membership(blurred, jobs, shadows=4) == memorises
    with pytest.raises(InputError, match="4 and 8"):
        shadow_membership(blurred, jobs, shadows=1)
