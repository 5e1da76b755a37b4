"""Fixtures for every test: where the real traces are, and a small made-up trace."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

from gridtwin.trace import JobTable, Provenance

# the same examples in every run; HYPOTHESIS=explore looks for new ones
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS", "same"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real traces: $GRIDTWIN_DATA, else ../shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GRIDTWIN_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real traces: set GRIDTWIN_DATA to their folder (looked in {folder})")
    return folder


def make_jobs(n: int = 300, *, seed: int = 0, users: int = 12, cores: int = 256) -> JobTable:
    """Return made-up jobs of a small cluster: users who work in sessions, over two weeks."""
    rng = np.random.default_rng(seed)
    user = np.repeat(rng.integers(users, size=n), rng.geometric(0.25, size=n))[:n]
    new = np.concatenate([[True], user[1:] != user[:-1]])
    gap = np.where(new, rng.exponential(14 * 86400.0 / n * 3.5, n), rng.exponential(60.0, n))
    submit = 1.7e9 + np.cumsum(np.round(gap))
    width = 2 ** rng.integers(0, 7, size=n)
    request = rng.choice([600.0, 1800.0, 3600.0, 14400.0, 43200.0], size=n)
    run = np.round(np.minimum(request, rng.lognormal(6.5, 1.6, n)))
    wait = np.round(rng.exponential(400.0, n)) * (rng.random(n) < 0.6)
    status = rng.choice(["finished", "failed", "cancelled"], p=[0.8, 0.15, 0.05], size=n)
    frame = pl.DataFrame(
        {
            "job_id": [str(1000 + i) for i in range(n)],
            "user": [f"u{i}" for i in user],
            "group": [f"g{i % 3}" for i in user],
            "queue": np.where(request > 3600, "long", "short").tolist(),
            "submit_time": submit,
            "start_time": submit + wait,
            "end_time": submit + wait + run,
            "cores_req": width,
            "walltime_req": request,
            "run_time": run,
            "wait_time": wait,
            "status": status.tolist(),
        }
    )
    origin = Provenance(source="made up", rows_read=n, machine_cores=cores)
    return JobTable.from_frame(frame, origin)


@pytest.fixture(scope="session")
def jobs() -> JobTable:
    """300 made-up jobs of 12 users on a machine of 256 cores, over about two weeks."""
    return make_jobs()
