"""Comparisons against answers worked out by hand."""

import numpy as np
import polars as pl
import pytest

from gridtwin.study.compare import comparison, interval, sensitivity
from gridtwin.study.spec import parse

TEXT = """
seeds = 4
metrics = ["mean_wait", "finished_share", "jobs"]
[workload]
example = "lublin"
[policy]
broker = ["random", "round_robin"]
[whatif]
load = [1, 2, 3]
"""


def results(spec, value, metric="mean_wait"):
    rows = [
        (s.id, seed, metric, value(k, seed))
        for k, s in enumerate(spec.scenarios)
        for seed in spec.seeds
    ]
    return pl.DataFrame(rows, schema=["scenario", "seed", "metric", "value"], orient="row")


def test_differences_are_taken_seed_by_seed():
    spec = parse(TEXT)
    found = comparison(results(spec, lambda k, seed: 10.0 + 100.0 * seed + 3.0 * k), spec)
    row = found.row(by_predicate=pl.col("scenario") == "s002", named=True)
    assert (row["n"], row["base_mean"], row["mean"], row["change"]) == (4, 160.0, 166.0, 6.0)
    assert row["low"] == row["high"] == pytest.approx(6.0)  # no noise is left
    assert row["wins"] == 0.0
    assert found.row(0, named=True)["wins"] == 0.5
    other = comparison(results(spec, lambda k, seed: float(k)), spec, "s005")
    assert other["change"].to_list() == [-5.0, -4.0, -3.0, -2.0, -1.0, 0.0]
    assert other["wins"].to_list() == [1.0] * 5 + [0.5]


def test_missing_values_and_seeds_are_left_out():
    spec = parse(TEXT)
    frame = results(spec, lambda k, seed: None if k == 1 and seed < 2 else float(k + seed))
    frame = frame.filter(~((pl.col("scenario") == "s002") & (pl.col("seed") > 0)))
    found = {row["scenario"]: row for row in comparison(frame, spec).iter_rows(named=True)}
    assert (found["s001"]["n"], found["s001"]["change"]) == (2, 1.0)
    assert (found["s002"]["n"], found["s002"]["low"]) == (1, None)
    assert comparison(frame.clear(), spec).is_empty()
    assert sensitivity(frame.clear(), spec).is_empty()


@pytest.mark.parametrize("n", [5, 10, 30])
def test_the_interval_covers_the_mean_about_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    hits = 0
    for _ in range(300):
        low, high = interval(rng.normal(1.0, 2.0, n))
        hits += low <= 1.0 <= high
    assert 0.87 <= hits / 300 <= 0.99
    assert interval(np.array([3.0])) == (None, None)


def test_shares_of_the_variance_are_those_of_the_analysis_of_variance():
    spec = parse(TEXT)
    shares = {}
    for name, value in {
        "broker": lambda k, seed: float(k // 3),
        "load": lambda k, seed: float(k % 3),
        "seed": lambda k, seed: float(seed),
        "together": lambda k, seed: float((k // 3) * 2 - 1) * (k % 3 - 1),
    }.items():
        found = sensitivity(results(spec, value), spec)
        assert found["share"].sum() == pytest.approx(1.0)
        shares[name] = dict(found.select("axis", "share").iter_rows())[name]
    assert shares == pytest.approx(dict.fromkeys(shares, 1.0))
    # two of three parts: variances 1/4 and 2/3
    both = sensitivity(results(spec, lambda k, seed: float(k // 3) + float(k % 3)), spec)
    share = dict(both.select("axis", "share").iter_rows())
    assert share["broker"] == pytest.approx((1 / 4) / (1 / 4 + 2 / 3))
    row = both.row(by_predicate=pl.col("axis") == "load", named=True)
    assert (row["effect"], row["least"], row["most"]) == (2.0, "1", "3")
    assert row["low"] == row["high"] == pytest.approx(2.0)


def test_what_never_changes_has_no_share():
    spec = parse(TEXT)
    found = sensitivity(results(spec, lambda k, seed: 5.0), spec)
    assert found["share"].to_list() == [0.0] * 4
