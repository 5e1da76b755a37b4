"""How odd a job is to a model: its likelihood, column by column."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import InputError, NotFittedError, SchemaError
from gridtwin.trace import JobTable

MODELS = {
    "cart": {},
    "tabddpm": {"budget": "fast", "steps": 250, "batch": 250},
}


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
            "submit_time": 1.7e9 + np.arange(n) * 60.0,
            "cores_req": np.where(big, rng.choice([64, 128], n), rng.choice([1, 2], n)),
            "run_time": np.exp(rng.normal(np.where(big, 8, 4), 0.5)).round(2),
        }
    )
    return JobTable.from_frame(frame)


@pytest.fixture(scope="module", params=MODELS)
def model(request, related):
    return gridtwin.models.get(request.param)(**MODELS[request.param]).fit(related)


def test_a_value_that_does_not_fit_the_others_is_odd(model, related):
    jobs = related.with_frame(related.frame.head(200))
    usual = model.surprise(jobs)
    assert usual.columns == ["user", "cores_req", "run_time"]
    assert usual.height == 200
    swapped = pl.when(pl.col("user") == "ann").then(pl.lit("bob")).otherwise(pl.lit("ann"))
    odd = model.surprise(jobs.with_frame(jobs.frame.with_columns(user=swapped)))
    more = odd.sum_horizontal().to_numpy() - usual.sum_horizontal().to_numpy()
    assert np.quantile(more, 0.05) > 2.0
    long = model.surprise(jobs.with_frame(jobs.frame.with_columns(run_time=pl.lit(1e7))))
    assert (long["run_time"] - usual["run_time"]).min() > 1.0
    assert (long["run_time"] > 5.0).all()


def test_a_saved_model_says_the_same(model, related, tmp_path):
    jobs = related.with_frame(related.frame.head(50))
    model.save(tmp_path)
    again = gridtwin.models.load(tmp_path)
    assert_frame_equal(model.surprise(jobs), again.surprise(jobs))


def test_no_job_and_a_missing_column(model, related):
    assert model.surprise(related.with_frame(related.frame.head(0))).height == 0
    with pytest.raises(SchemaError, match="'user'"):
        model.surprise(related.with_frame(related.frame.drop("user")))


def test_models_that_only_sample_and_unfitted_ones_refuse(related):
    with pytest.raises(InputError, match="take cart or tabddpm"):
        gridtwin.models.get("smote")().fit(related).surprise(related)
    with pytest.raises(NotFittedError):
        gridtwin.models.get("cart")().surprise(related)


def test_shares_of_a_column_by_itself():
    frame = pl.DataFrame(
        {"job_id": [str(i) for i in range(400)], "user": ["a"] * 300 + ["b"] * 100}
    )
    jobs = JobTable.from_frame(frame)
    found = gridtwin.models.get("cart")().fit(jobs).surprise(jobs)["user"].to_numpy()
    np.testing.assert_allclose(np.exp(-found[[0, -1]]), [301 / 401, 101 / 401])


def test_shares_in_leaves(related):
    model = gridtwin.models.get("cart")().fit(related)
    found = model.surprise(related)
    ann = related.collect()["user"] == "ann"
    halves = np.exp(-found.filter(ann)["cores_req"].to_numpy())
    assert np.median(halves) == pytest.approx(0.5, abs=0.1)  # 64 or 128, by chance
