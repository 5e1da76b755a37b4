"""Which jobs are odd: incidents are found, columns named, tables written."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.study.anomalies import anomalies
from gridtwin.trace import JobTable


def fit(jobs, seed):
    return gridtwin.models.get("cart")(seed=seed).fit(jobs)


@pytest.fixture(scope="module")
def trace():
    """Ten days of a user's short and another's long jobs; five jobs of them end at once."""
    rng = np.random.default_rng(0)
    n = 1000
    big = rng.random(n) < 0.4
    run = np.exp(rng.normal(np.where(big, 8, 6), 0.3)).round(1)
    run[300:305] = 1.0
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": np.where(big, "ann", "bob"),
            "submit_time": 1.7e9 + np.arange(n) * 864.0,
            "cores_req": np.where(big, 64, 1),
            "run_time": run,
            "status": np.where(run == 1.0, "failed", "finished"),
        }
    )
    return JobTable.from_frame(frame)


def test_an_incident_comes_first_and_is_named(trace):
    found = anomalies(trace, fit).frame
    assert found.height == len(trace)
    assert set(found["job_id"].head(5)) == {str(i) for i in range(300, 305)}
    assert all("run_time=1 (1 in" in why and "status=failed" in why for why in found["why"].head(5))
    assert found["score"].is_sorted(descending=True)
    parts = found.select(pl.sum_horizontal("^odd_.*$")).to_series()
    np.testing.assert_allclose(parts, found["score"])
    assert found["job_id"].n_unique() == len(trace)


def test_the_same_seed_gives_the_same_table(trace):
    assert_frame_equal(anomalies(trace, fit, seed=2).frame, anomalies(trace, fit, seed=2).frame)


def test_a_fitted_model_judges_other_jobs(trace):
    model = fit(trace, 0)
    row = trace.collect().tail(50)
    odd = row.with_columns(
        run_time=pl.when(pl.col("job_id") == "999").then(9e6).otherwise("run_time")
    )
    found = anomalies(trace.with_frame(odd), model)
    assert found.model == "cart"
    assert found.frame["job_id"][0] == "999"


def test_jobs_without_times_are_dealt_out(trace):
    found = anomalies(trace.with_frame(trace.frame.drop("submit_time")), fit, folds=3).frame
    assert found.height == len(trace)


@pytest.mark.parametrize(("rows", "folds"), [(0, 2), (1, 2), (2, 3), (9, 1)])
def test_too_few_jobs_or_folds(trace, rows, folds):
    with pytest.raises(InputError, match="fold"):
        anomalies(trace.with_frame(trace.frame.head(rows)), fit, folds=folds)


def test_a_model_that_cannot_judge(trace):
    with pytest.raises(InputError, match="take cart or tabddpm"):
        anomalies(trace, gridtwin.models.get("trace")().fit(trace))


def test_writing(trace, tmp_path):
    found = anomalies(trace, fit)
    found.save(tmp_path / "odd.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "odd.parquet"), found.frame)
    found.save(tmp_path / "odd.csv")
    read = pl.read_csv(tmp_path / "odd.csv", schema_overrides={"job_id": pl.String})
    assert read.columns == found.frame.columns
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        found.save(tmp_path / "odd.txt")
