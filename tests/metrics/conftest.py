from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from gridtwin.trace import JobTable


@pytest.fixture(scope="session")
def sited(jobs) -> JobTable:
    """Return the made-up jobs at three sites."""
    site = [("north", "south", "west")[i % 5 % 3] for i in range(len(jobs))]
    return JobTable.from_frame(jobs.collect().with_columns(site=pl.Series(site)), jobs.provenance)


def _cloud(n: int, seed: int) -> JobTable:
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


def _blurred(jobs: JobTable, seed: int) -> JobTable:
    """Return the jobs with a little noise: a model that memorises."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=len(jobs))
    return jobs.with_frame(jobs.collect().with_columns(pl.col("run_time") + pl.Series(noise)))


@pytest.fixture(scope="session")
def cloud() -> Callable[[int, int], JobTable]:
    """Return what makes `n` independent jobs under a seed."""
    return _cloud


@pytest.fixture(scope="session")
def blurred() -> Callable[[JobTable, int], JobTable]:
    """Return a model that memorises: it gives its jobs with a little noise."""
    return _blurred
