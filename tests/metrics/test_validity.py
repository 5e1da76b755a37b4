"""Values, pairs, dependencies and limits, worked out by hand."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.metrics.validity import dependencies
from gridtwin.trace import JobTable


def table(**columns) -> JobTable:
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def test_total_variation_is_half_the_sum_of_differences():
    real = table(user=["a"] * 6 + ["b"] * 4, run_time=[0.0] * 5 + [10.0] * 5)
    other = table(user=["a"] * 3 + ["c"] * 7, run_time=[0.0] * 5 + [5.0, 5.0] + [10.0] * 3)
    score = metrics.get("tv")(real, other)
    # users: a .6 to .3, b .4 to 0, c 0 to .7; two in ten run times lie between the real ones
    assert score.by_column == pytest.approx({"user": 0.7, "run_time": 0.2})


def test_support_hits_are_of_discrete_numbers_only():
    real = table(nodes_req=[1, 2, 4, 8] * 25, run_time=np.arange(100.0))
    other = table(nodes_req=[1, 3, 4, 8] * 25, run_time=np.arange(100.0) + 0.5)
    score = metrics.get("support_hits")(real, other)
    assert score.by_column == {"nodes_req": 0.75}


def test_a_dependency_is_found_and_its_breach_counted():
    users = ["a", "b", "c", "d"] * 50
    groups = ["x", "y", "x", "y"] * 50
    real = table(
        user=users, group=groups, status=["finished", "failed", "finished"] * 66 + ["failed"] * 2
    )
    assert metrics.get("broken_dependencies")(real, real).value == 0
    broken = table(user=["a", "b", "z"], group=["y", "y", "x"], status=["failed"] * 3)
    score = metrics.get("broken_dependencies")(real, broken)
    assert score.value == pytest.approx(1 / 3)  # a is of x; z is a new user
    assert score.by_column == pytest.approx({"user -> group": 1 / 3})


def test_chance_is_no_dependency_and_one_exception_in_a_thousand_is_none():
    rng = np.random.default_rng(0)
    apart = rng.integers(0, 4, (3000, 2)).astype(float)
    assert dependencies(apart) == {}
    twice = np.repeat(rng.integers(0, 50, 3000), 1).astype(float)
    pair = np.column_stack([twice, twice % 5])
    assert (0, 1) in dependencies(pair)
    assert (1, 0) not in dependencies(pair)
    pair[:2, 1] += 1
    assert (0, 1) in dependencies(pair)
    pair[:40, 1] += 1
    assert (0, 1) not in dependencies(pair)


def test_unseen_pairs():
    real = table(
        user=["a", "a", "b", "b"] * 10, status=["finished", "failed", "finished", None] * 10
    )
    other = table(user=["a", "a", "b", "b"], status=[None, "failed", "finished", None])
    score = metrics.get("unseen_pairs")(real, other)
    assert score.value == pytest.approx(0.25)
    assert score.by_column == pytest.approx({"user x status": 0.25})


def test_over_limit_allows_a_tenth_more():
    real = table(run_time=[1.0, 2.0], walltime_req=[10.0, 10.0])
    other = table(run_time=[10.9, 11.1, 50.0, None], walltime_req=[10.0, 10.0, None, 1.0])
    assert metrics.get("over_limit")(real, other).value == pytest.approx(0.5)
    assert (
        "no requested time"
        in metrics.get("over_limit")(real, table(run_time=[1.0])).detail["reason"]
    )
