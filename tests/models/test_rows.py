"""The three models of rows without a net, each by what it is for."""

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.models.smote import _majority
from gridtwin.trace import JobTable

NAMES = ("cart", "gaussian_copula", "smote")


def table(**columns):
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def fitted(name, jobs, **parameters):
    return gridtwin.models.get(name)(**parameters).fit(jobs)


@pytest.fixture(scope="module")
def related():
    """Two groups of jobs, of a user each, that differ in size and length."""
    rng = np.random.default_rng(0)
    big = rng.random(3000) < 0.4
    run = np.exp(rng.normal(np.where(big, 8, 4), 0.5)).round(2)
    return table(
        user=np.where(big, "ann", "bob").tolist(),
        submit_time=np.sort(rng.uniform(0, 1e6, 3000)).round(),
        cores_req=np.where(big, rng.choice([64, 128], 3000), rng.choice([1, 2], 3000)),
        run_time=run,
        wait_time=(run * rng.uniform(0.9, 1.1, 3000)).round(2),
    )


@pytest.mark.parametrize("name", NAMES)
def test_marginals_are_kept(name, related):
    sample, real = fitted(name, related).sample(seed=1).collect(), related.collect()
    for column in ("run_time", "wait_time", "submit_time"):
        ends = np.quantile(real[column], np.linspace(0, 1, 11)[1:-1])
        share = np.searchsorted(np.sort(sample[column].to_numpy()), ends) / 3000
        np.testing.assert_allclose(share, np.linspace(0, 1, 11)[1:-1], atol=0.05)
    for value in (1, 2, 64, 128):
        expected = (real["cores_req"] == value).mean()
        assert (sample["cores_req"] == value).mean() == pytest.approx(expected, abs=0.04)
    assert set(sample["cores_req"]) == {1, 2, 64, 128}


@pytest.mark.parametrize("name", NAMES)
def test_relations_of_two_columns_are_kept(name, related):
    sample, real = fitted(name, related).sample(seed=1).collect(), related.collect()
    for frame in (real, sample):
        big = frame["cores_req"] >= 64
        assert frame["run_time"].filter(big).median() > 10 * frame["run_time"].filter(~big).median()
        assert (
            pl.DataFrame([frame["run_time"], frame["wait_time"]])
            .select(pl.corr("run_time", "wait_time", method="spearman"))
            .item()
            > 0.9
        )


@pytest.mark.parametrize("name", ["cart", "smote"])
def test_names_stay_with_what_is_theirs(name, related):
    sample = fitted(name, related).sample(seed=1).collect()
    assert ((sample["user"] == "ann") == (sample["cores_req"] >= 64)).mean() > 0.99


def test_smote_lies_between_rows_and_their_neighbours():
    x = np.r_[np.linspace(0, 1, 200), np.linspace(100, 101, 200)] + np.pi
    jobs = table(run_time=x, wait_time=x * 2 + np.e)
    sample = fitted("smote", jobs, k=3).sample(2000, seed=0).collect()
    run = sample["run_time"].to_numpy()
    assert not ((run > 1.2 + np.pi) & (run < 99 + np.pi)).any()
    np.testing.assert_allclose(sample["wait_time"], run * 2 + np.e, rtol=0.01, atol=0.05)
    assert len(np.setdiff1d(run, x)) > 1000


def test_smote_with_more_neighbours_than_rows(jobs):
    few = jobs.with_frame(jobs.frame.head(4))
    assert len(fitted("smote", few, k=50).sample(9)) == 9


def test_the_majority_decides_and_the_nearest_breaks_ties():
    values = np.array([[7, 3, 3, 7, 1], [5, 4, 4, 2, 1], [1, 2, 3, 4, 5]], dtype=np.int32)
    assert _majority(values).tolist() == [0, 1, 0]


def test_trees_use_all_rows_of_the_first_column_equally(jobs):
    jobs = jobs.with_frame(jobs.frame.select("job_id", "submit_time", "run_time"))
    model = fitted("cart", jobs, blur=0.0)
    times = model.sample(seed=3).collect()["submit_time"]
    np.testing.assert_allclose(times, jobs.collect()["submit_time"], atol=1e-3)
    few = model.sample(60, seed=3).collect()["submit_time"]
    assert few.max() - few.min() > 0.8 * (times.max() - times.min())


def test_larger_leaves_are_farther_from_the_rows(related):
    near, far = (fitted("cart", related, leaf=leaf, blur=0.0, trees=1) for leaf in (2, 600))
    real = set(related.collect().select("cores_req", "run_time", "wait_time").iter_rows())

    def copied(model):
        rows = model.sample(seed=0).collect().select("cores_req", "run_time", "wait_time")
        return sum(row in real for row in rows.iter_rows())

    assert copied(near) > 3 * copied(far)


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_lost_for_want_of_a_submit_time(name):
    jobs = table(submit_time=[None, 5.0, 9.0] * 20, run_time=[1.0, 2.0, 3.0] * 20)
    sample = fitted(name, jobs).sample(600, seed=0).collect()
    assert sample["submit_time"].null_count() == pytest.approx(200, abs=80)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [{}, {"run_time": [None, None]}, {"parent_id": ["a", None]}])
def test_a_table_without_information_is_a_table(name, columns):
    columns = {
        key: pl.Series(v, dtype=pl.Float64 if "run" in key else pl.String)
        for key, v in columns.items()
    }
    jobs = JobTable.from_frame(pl.DataFrame({"job_id": ["a", "b"], **columns}))
    assert len(fitted(name, jobs).sample(5)) == 5


@pytest.mark.parametrize("name", NAMES)
def test_many_names_fit_and_come_out_made_up(name):
    n = 100_000
    rng = np.random.default_rng(0)
    jobs = table(dataset=[f"data.{i}" for i in range(n)], run_time=rng.exponential(9.0, n))
    sample = fitted(name, jobs).sample(1000, seed=0).collect()
    assert sample["dataset"].str.starts_with("dataset~").all()
    assert sample["dataset"].n_unique() > 900
