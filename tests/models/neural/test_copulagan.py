"""What CopulaGAN learns of numbers that it sees as one score each."""

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.trace import JobTable


def test_numbers_go_with_their_user_and_atoms_keep_their_share():
    rng = np.random.default_rng(0)
    n = 2000
    big = rng.random(n) < 0.5
    run = np.exp(rng.normal(np.where(big, 8, 4), 0.5)).round(2)
    run[rng.random(n) < 0.2] = 10_000.0
    names = np.where(big, "ann", "bob")
    frame = pl.DataFrame({"job_id": [str(i) for i in range(n)], "user": names, "run_time": run})
    model = gridtwin.models.get("copulagan")(
        steps=600, batch=250, layers=(128, 128), noise=8, pack=2
    ).fit(JobTable.from_frame(frame))
    sample = model.sample(4000, seed=1).collect()
    at_limit = sample["run_time"] == 10_000.0
    assert at_limit.mean() == pytest.approx(0.2, abs=0.1)
    rest = sample.filter(~at_limit)
    assert ((rest["user"] == "ann") == (rest["run_time"] > 500)).mean() > 0.85
    assert (rest["user"] == "ann").mean() == pytest.approx(0.5, abs=0.1)
