"""Queues and sites worked out by hand."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.metrics.scheduling import replay
from gridtwin.metrics.sites import sites_of
from gridtwin.trace import JobTable


def table(**columns) -> JobTable:
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def trace(run: float = 100.0) -> JobTable:
    """Return: 3 of 4 cores taken, a job of 4 waits for them, a short job of 1 could go first."""
    return table(
        submit_time=[0.0, 10.0, 20.0],
        cores_req=[3, 4, 1],
        run_time=[run, 50.0, 20.0],
        walltime_req=[run, 50.0, 20.0],
    )


def test_replay_under_both_policies():
    # fcfs: starts 0, 100, 150; easy: the short job ends at 40, before 100, and starts at 20
    fcfs, easy = replay(trace(), 4, "fcfs"), replay(trace(), 4, "easy")
    assert fcfs.wait["mean"] == pytest.approx((0 + 90 + 130) / 3)
    assert easy.wait["mean"] == pytest.approx((0 + 90 + 0) / 3)
    assert fcfs.slowdown["mean"] == pytest.approx((1 + 140 / 50 + 150 / 20) / 3)
    assert easy.slowdown["median"] == 1
    assert fcfs.load == pytest.approx((300 + 200 + 20) / (4 * 20))


def test_the_score_is_the_ratio_of_means_on_one_machine():
    # with a first job of 200 s: waits 0, 190, 230 under fcfs; 0, 190, 0 under easy
    real, slow = trace(), trace(200.0)
    score = metrics.get("wait_fcfs")(real, slow, cores=4)
    assert score.value == pytest.approx(420 / 220)
    assert score.by_column["median"] == pytest.approx(190 / 90)
    assert metrics.get("wait_easy")(real, slow, cores=4).value == pytest.approx(190 / 90)
    slowdown = metrics.get("slowdown_easy")(real, slow, cores=4)
    assert slowdown.value == pytest.approx((2 + 240 / 50) / (2 + 140 / 50))


def test_a_replay_is_made_once_per_table():
    memo: dict = {}
    real = trace()
    first = replay(real, 4, "fcfs", memo)
    assert replay(real, 4, "fcfs", memo) is first
    assert replay(real, 5, "fcfs", memo) is not first
    assert len(memo) == 2


def test_without_waits_there_is_no_ratio():
    score = metrics.get("wait_easy")(trace(), trace(), cores=1000)
    assert np.isnan(score.value)
    assert score.detail["reason"].startswith("no real job waits under EASY")


def test_a_table_without_sizes_says_what_is_missing():
    bare = table(submit_time=[0.0, 1.0], run_time=[1.0, 1.0])
    score = metrics.get("wait_fcfs")(trace(), bare, cores=4)
    assert "the synthetic trace cannot run" in score.detail["reason"]


def test_site_work_is_the_share_that_moved():
    def at(sites, runs):
        n = len(sites)
        return table(site=sites, submit_time=np.arange(n) * 10.0, run_time=runs, cores_req=[1] * n)

    real = at(["a", "a", "b", "c"], [10.0, 30.0, 40.0, 20.0])  # .4, .4, .2
    fake = at(["a", "b", "b", "d"], [10.0, 30.0, 40.0, 20.0])  # .1, .7, 0, .2
    score = metrics.get("site_work")(real, fake)
    assert score.value == pytest.approx((0.3 + 0.3 + 0.2 + 0.2) / 2)
    assert score.by_column == pytest.approx({"a": 0.25, "b": 70 / 40, "c": 0})


def test_one_site_with_nearly_all_jobs_is_one_machine():
    real = trace()
    sites = ["main"] * 99 + ["odd"]
    assert sites_of(real) == 0
    assert sites_of(table(site=sites)) == 1
    assert sites_of(table(site=sites[90:])) == 2


def test_site_arrivals_weigh_sites_by_their_jobs():
    def at(gaps):
        times = np.concatenate([np.arange(n) * gap for n, gap in gaps.values()])
        return table(site=[s for s, (n, _) in gaps.items() for _ in range(n)], submit_time=times)

    real = at({"a": (90, 10.0), "b": (30, 10.0), "few": (5, 10.0)})
    fake = at({"a": (90, 10.0), "b": (30, 20.0), "few": (5, 99.0)})
    score = metrics.get("site_arrivals")(real, fake)
    assert score.by_column == {"a": 0, "b": 1}
    assert score.value == pytest.approx(0.25)


def test_the_curve_is_the_ratio_on_smaller_and_larger_machines():
    # 4 cores: x 0.8 is 3, where the job of 4 is left out; x 1.2 is 5, where the last job of 1 fits
    real, slow = trace(), trace(200.0)
    small = metrics.get("wait_fcfs_80")(real, slow, cores=4)
    assert small.value == pytest.approx(180 / 80)  # the job of 1 waits for that of 3
    assert small.detail["dropped_real"] == {"larger than the machine": 1}
    assert small.detail["cores"] == 3
    large = metrics.get("wait_fcfs_120")(real, slow, cores=4)
    assert large.detail["cores"] == 5
    assert large.value == pytest.approx((190 + 180) / (90 + 80))
    assert metrics.get("slowdown_easy_120")(real, real, cores=4).value == 1


def test_a_machine_that_no_job_fits_has_no_ratio():
    wide = table(submit_time=[0.0, 1.0], cores_req=[4, 4], run_time=[9.0, 9.0])
    reason = metrics.get("wait_easy_80")(wide, trace(), cores=4).detail["reason"]
    assert reason == "no real job fits a machine of 3 cores"
    reason = metrics.get("wait_easy_80")(trace(), wide, cores=4).detail["reason"]
    assert reason == "no synthetic job fits a machine of 3 cores"


def test_one_replay_serves_the_wait_and_the_slowdown_of_a_machine():
    memo: dict = {}
    real, slow = trace(), trace(200.0)
    for name in ("wait_easy_80", "slowdown_easy_80", "wait_easy_120", "wait_easy"):
        metrics.get(name)(real, slow, cores=4, memo=memo)
    assert len(memo) == 6
