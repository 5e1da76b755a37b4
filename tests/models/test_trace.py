"""The trace model keeps what decides a queue."""

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.tracing.sessions import DAY
from gridtwin.trace import JobTable

Trace = gridtwin.models.get("trace")


def table(**columns):
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def test_the_work_of_the_trace_is_kept():
    rng = np.random.default_rng(7)
    width = rng.choice([1, 16, 256], 4000, p=[0.8, 0.18, 0.02])
    run = rng.lognormal(5, 1, 4000) * np.where(width == 256, 10, 1)
    jobs = table(submit_time=np.sort(rng.uniform(0, 30 * DAY, 4000)), cores_req=width, run_time=run)
    samples = [Trace(seed=s).fit(jobs).sample().collect() for s in range(5)]
    work = [(s["cores_req"] * s["run_time"]).sum() for s in samples]
    assert np.mean(work) == pytest.approx((width * run).sum(), rel=0.1)


def test_each_user_sends_as_many_jobs_as_in_training(jobs):
    sample = Trace(seed=0).fit(jobs).sample(seed=1).collect()
    assert sorted(sample["user"].to_list(), key=str) == sorted(
        jobs.collect()["user"].to_list(), key=str
    )


def test_no_arrival_time_of_a_lone_job_is_kept():
    times = np.arange(200) * 7200.0 + 13.0
    sample = Trace(seed=0).fit(table(submit_time=times)).sample(seed=1).collect()
    assert not set(sample["submit_time"]) & set(times[1:-1])
    assert sample["submit_time"].min() >= times[0]
    assert sample["submit_time"].max() <= times[-1]


def test_a_longer_trace_goes_on_with_weeks_of_the_old_one():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 28 * DAY, 2000)).round()
    model = Trace(seed=0).fit(table(submit_time=times, run_time=rng.exponential(100, 2000)))
    sample = model.sample(6000, seed=1).collect()
    assert len(sample) == 6000
    span = sample["submit_time"].max() - sample["submit_time"].min()
    assert span == pytest.approx(3 * 28 * DAY, rel=0.05)


def test_run_times_end_at_the_limit_as_often_as_in_training():
    rng = np.random.default_rng(1)
    limit = rng.choice([600.0, 1800.0, 3600.0], 3000)
    killed = rng.random(3000) < 0.2
    run = np.where(killed, limit + 7, rng.uniform(0, 0.9, 3000) * limit)
    times = np.sort(rng.uniform(0, 20 * DAY, 3000))
    jobs = table(submit_time=times, walltime_req=limit, run_time=run)
    sample = Trace(seed=0).fit(jobs).sample(seed=1).collect()
    over = sample["run_time"] - sample["walltime_req"]
    assert (over > 0).mean() == pytest.approx(killed.mean(), abs=0.03)
    assert over.max() < 10


def test_what_one_column_says_of_another_holds():
    rng = np.random.default_rng(2)
    nodes = rng.choice([1, 2, 8, 64], 1000)
    jobs = table(
        submit_time=np.sort(rng.uniform(0, DAY, 1000)),
        nodes_req=nodes,
        cores_req=nodes * 36,
        run_time=rng.exponential(50, 1000),
    )
    sample = Trace(seed=0).fit(jobs).sample(seed=1).collect()
    assert (sample["cores_req"] == 36 * sample["nodes_req"]).all()
    assert set(sample["nodes_req"]) == {1, 2, 8, 64}


def test_without_submit_times_there_is_no_trace_to_learn():
    with pytest.raises(InputError, match="submit_time"):
        Trace().fit(table(run_time=[1.0, 2.0]))
    with pytest.raises(InputError, match="no row with a submit time"):
        Trace().fit(table(submit_time=[None, float("nan")]))


def test_rows_without_submit_time_are_left_out():
    jobs = table(submit_time=[None, 5.0, 9.0], run_time=[1.0, 2.0, 3.0])
    assert len(Trace().fit(jobs).sample()) == 2


def test_a_rare_name_is_never_given_out(jobs):
    n = len(jobs)
    frame = jobs.collect().with_columns(
        user=pl.Series([f"u{i // 4}" if i < 40 else f"v{i % 3}" for i in range(n)]),
        task_id=pl.Series([str(i // 10) for i in range(n)]),
    )
    sample = gridtwin.models.get("trace")().fit(JobTable.from_frame(frame)).sample(seed=1).collect()
    users = set(sample["user"])
    assert {"v0", "v1", "v2"} <= users
    assert not any(user.startswith("u") and not user.startswith("user~") for user in users)
    assert any(user.startswith("user~") for user in users)
    assert sample["task_id"].str.starts_with("task_id~").all()
    assert sample["task_id"].n_unique() < n / 5
