"""Scores worked out by hand."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.metrics.joint import association_matrix, correlation_ratio, pearson, theils_u
from gridtwin.metrics.marginal import divergence, ks_distance
from gridtwin.trace import JobTable
from gridtwin.trace.arrivals import autocorrelation, counts, fano


def table(**columns) -> JobTable:
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def test_jsd_of_half_a_bit():
    # p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4):
    # KL(p|m) = (log2 2/3 + log2 2) / 2 = 0.2075, KL(q|m) = log2 4/3 = 0.4150, mean 0.3113
    assert divergence(np.array([5, 5]), np.array([3, 0])) == pytest.approx(0.311278, abs=1e-6)
    assert divergence(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)
    score = metrics.get("jsd")(table(user=["a", "b", "a", "b"]), table(user=["a"] * 3))
    assert score.value == pytest.approx(0.311278, abs=1e-6)


def test_jsd_takes_null_as_a_value():
    real = table(user=["a", "b", None, None])
    assert metrics.get("jsd")(real, table(user=[None, "b", None, "a"])).value == 0
    assert metrics.get("jsd")(real, table(user=["a", "b", "a", "b"])).value > 0.2


def test_ks_of_a_shift_by_one_of_four():
    assert ks_distance(np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 4, 5])) == 0.25
    assert ks_distance(np.array([1.0, 2]), np.array([3.0, 4])) == 1
    assert ks_distance(np.array([1.0, np.nan]), np.array([1.0, 1])) == 0.5


def test_wd_of_a_shift_is_the_shift_over_the_range():
    real, moved = table(nodes_req=[0, 2, 4, 8]), table(nodes_req=[1, 3, 5, 9])
    assert metrics.get("wd")(real, moved).value == pytest.approx(1 / 8)


def test_wd_rank_of_a_shift_by_one_rank():
    # mid-ranks 1/8, 3/8, 5/8, 7/8 of the real values; 3, 5, 9 among them: 3/8, 5/8, 7/8, and 10: 1
    real, moved = table(nodes_req=[1, 3, 5, 9]), table(nodes_req=[3, 5, 9, 10])
    assert metrics.get("wd_rank")(real, moved).value == pytest.approx((2 + 2 + 2 + 1) / 8 / 4)


def test_wd_rank_does_not_mind_a_heavy_tail():
    real = table(run_time=[1.0, 2.0, 3.0, 1e9])
    moved = table(run_time=[1.0, 2.0, 3.0, 2e9])
    assert metrics.get("wd")(real, moved).value == pytest.approx(0.25)
    assert metrics.get("wd_rank")(real, moved).value == pytest.approx(1 / 8 / 4)


def test_theils_u():
    x = np.array([0, 0, 1, 1])
    assert theils_u(x, np.array([0, 1, 2, 3])) == pytest.approx(1)
    assert theils_u(np.array([0, 1, 2, 3]), x) == pytest.approx(0.5)  # one of two bits
    assert theils_u(x, np.array([0, 1, 0, 1])) == pytest.approx(0)
    assert theils_u(np.zeros(4, int), x) == 0


def test_correlation_ratio_and_pearson():
    # means 1 and 3 around 2: between 4 x 1, total 4 + 0 + 0 + 4
    levels, x = np.array([0, 0, 1, 1]), np.array([0.0, 2.0, 2.0, 4.0])
    assert correlation_ratio(levels, x) == pytest.approx(np.sqrt(4 / 8))
    assert correlation_ratio(levels, np.array([1.0, 1, np.nan, 5])) == pytest.approx(1)
    assert pearson(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert pearson(np.array([1.0, 1, 1]), np.array([3.0, 2, 1])) == 0


def test_association_matrix_is_u_of_the_row_given_the_column():
    jobs = table(nodes_req=[1, 2, 3, 4], user=["a", "b", "c", "d"], group=["x", "x", "y", "y"])
    names, matrix = association_matrix(jobs)
    assert names == ["nodes_req", "user", "group"]
    assert matrix[2, 1] == pytest.approx(1)
    assert matrix[1, 2] == pytest.approx(0.5)
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(1)
    assert matrix[0, 2] == pytest.approx(np.sqrt(4 / 5))


def test_diff_corr_of_a_broken_pair():
    real = table(user=["a", "a", "b", "b"] * 3, group=["x", "x", "y", "y"] * 3)
    broken = table(user=["a", "a", "b", "b"] * 3, group=["x", "y", "x", "y"] * 3)
    assert metrics.get("diff_corr")(real, broken).value == pytest.approx(1)


def test_c2st_of_columns_that_do_and_do_not_overlap():
    rng = np.random.default_rng(0)
    draw = [table(run_time=rng.normal(size=600)) for _ in range(2)]
    apart = table(run_time=rng.normal(10, 1, 600))
    # normal(0) against normal(1): the best AUC is Phi(1 / sqrt 2) = 0.760
    shifted = table(run_time=rng.normal(1, 1, 600))
    c2st = metrics.get("c2st")
    assert c2st(*draw).value == pytest.approx(0.5, abs=0.06)
    assert c2st(draw[0], apart).value > 0.999
    assert 0.70 < c2st(draw[0], shifted).value < 0.78


def test_c2st_names_the_telling_column_and_sees_invented_values():
    rng = np.random.default_rng(0)
    n = 400
    real = table(run_time=rng.normal(size=n), user=list(rng.choice(["a", "b"], n)))
    fake = table(run_time=rng.normal(size=n), user=list(rng.choice(["a", "invented"], n)))
    score = metrics.get("c2st")(real, fake)
    # the shared level "a" is a half of each side: 1 - 0.5 x 0.5 x 0.5
    assert score.value == pytest.approx(0.875, abs=0.03)
    assert next(iter(score.by_column)) == "user"
    assert score.detail["rows_each"] == n


def test_fano_and_autocorrelation():
    assert fano(np.array([1.0, 1, 1, 5])) == pytest.approx(3 / 2)
    assert np.isnan(fano(np.zeros(3)))
    assert autocorrelation(np.tile([0.0, 2.0], 50), 2) == pytest.approx(0.98)
    assert autocorrelation(np.tile([0.0, 2.0], 50), 1) == pytest.approx(-0.99)
    assert np.isnan(autocorrelation(np.ones(10), 1))


def test_counts_leave_out_the_last_bin():
    submit = np.array([7200.0, 7300, 10800, 18000, 18001])
    np.testing.assert_array_equal(counts(submit, 3600), [2, 1, 0])


def test_interarrival_is_of_sorted_times():
    real = table(submit_time=[0.0, 10, 20, 30, 40])
    assert (
        metrics.get("interarrival")(real, table(submit_time=[140.0, 100, 120, 110, 130])).value == 0
    )
    half = table(submit_time=[0.0, 10, 20, 21, 22])
    assert metrics.get("interarrival")(real, half).value == 0.5


def test_load_is_a_ratio_of_work_per_span():
    real = table(submit_time=[0.0, 100], run_time=[10.0, 10], cores_req=[5, 5])
    more = table(submit_time=[0.0, 50], run_time=[10.0, 10], cores_req=[5, 10])
    score = metrics.get("load")(real, more, cores=10)
    assert score.value == pytest.approx(3)
    assert score.detail["real"] == pytest.approx(0.1)


def test_c2st_also_tells_what_is_left_without_the_submit_time():
    rng = np.random.default_rng(0)
    times = {"submit_time": np.arange(300.0), "run_time": rng.normal(size=300)}
    later = {"submit_time": np.arange(300.0) + 500, "run_time": rng.normal(size=300)}
    score = metrics.get("c2st")(table(**times), table(**later))
    assert score.value > 0.99
    assert score.detail["without_submit_time"] == pytest.approx(0.5, abs=0.1)
