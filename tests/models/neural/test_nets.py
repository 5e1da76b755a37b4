"""What the nets learn: the marginals and the relations of a simple table."""

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.trace import JobTable

STEPS = {
    "tvae": 1500,
    "arn": 300,
    "realtabformer": 400,
    "tabddpm": 300,
    "findiff": 1500,
    "ctgan": 800,
}
SMALL = {
    "ctgan": {"layers": (64, 64), "learning_rate": 5e-4},
    "realtabformer": {"layers": 1, "width": 64, "batch": 50, "learning_rate": 2e-4},
    "tabddpm": {"budget": "fast", "sampling": 50},
    "findiff": {"budget": "fast", "sampling": 50, "layers": (256, 256), "learning_rate": 3e-4},
}
"""Other parameters, where the default is too large for a test."""


@pytest.fixture(scope="module")
def related():
    """Two groups of jobs, of a user each, that differ in size and length."""
    rng = np.random.default_rng(0)
    n = 2000
    big = rng.random(n) < 0.4
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": np.where(big, "ann", "bob"),
            "cores_req": np.where(big, rng.choice([64, 128], n), rng.choice([1, 2], n)),
            "run_time": np.exp(rng.normal(np.where(big, 8, 4), 0.5)).round(2),
        }
    )
    return JobTable.from_frame(frame)


@pytest.mark.parametrize("name", STEPS)
def test_marginals_and_relations_are_learnt(name, related):
    parameters = {"steps": STEPS[name], "batch": 250, **SMALL.get(name, {})}
    model = gridtwin.models.get(name)(**parameters).fit(related)
    sample, real = model.sample(4000, seed=1).collect(), related.collect()
    for value in (1, 2, 64, 128):
        share = (sample["cores_req"] == value).mean()
        assert share == pytest.approx((real["cores_req"] == value).mean(), abs=0.08)
    ends = np.quantile(real["run_time"], [0.2, 0.4, 0.6, 0.8])
    share = np.searchsorted(np.sort(sample["run_time"].to_numpy()), ends) / 4000
    np.testing.assert_allclose(share, [0.2, 0.4, 0.6, 0.8], atol=0.1)
    big = sample["cores_req"] >= 64
    assert ((sample["user"] == "ann") == big).mean() > 0.93
    assert ((sample["run_time"] > 500) == big).mean() > 0.93
