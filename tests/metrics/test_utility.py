"""Machine-learning efficiency and the paper's forms of the metrics."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.metrics import utility
from gridtwin.trace import JobTable


def learnable(n: int, seed: int, *, mixed: bool = False) -> JobTable:
    """Return jobs whose run time follows from user and size, or, `mixed`, from nothing."""
    rng = np.random.default_rng(seed)
    user, nodes = rng.integers(0, 4, n), rng.integers(1, 6, n)
    run = np.exp(1.0 + user + 0.5 * nodes + 0.1 * rng.normal(size=n))
    return JobTable.from_frame(
        pl.DataFrame(
            {
                "job_id": [str(i) for i in range(n)],
                "user": [f"u{k}" for k in user],
                "nodes_req": nodes,
                "run_time": rng.permutation(run) if mixed else run,
            }
        )
    )


@pytest.fixture(params=["catboost", "histogram trees"])
def trees(request, monkeypatch):
    if request.param == "catboost":
        pytest.importorskip("catboost")
        return "CatBoost"
    monkeypatch.setattr(utility, "find_spec", lambda name: None)
    return "scikit-learn's histogram trees"


def test_rows_that_teach_nothing_cost_much_and_fresh_rows_nothing(trees):
    train, holdout = learnable(300, 0), learnable(200, 1)
    score = metrics.get("diff_mlef")
    good = score(train, learnable(300, 2), holdout=holdout, iterations=30)
    bad = score(train, learnable(300, 3, mixed=True), holdout=holdout, iterations=30)
    assert good.detail["trees"] == trees
    assert abs(good.value) < 0.02
    assert bad.value > 1
    assert bad.value == pytest.approx(bad.detail["mse_synthetic"] - bad.detail["mse_real"])
    assert len(bad.detail["by_seed"]) == 3


def test_as_many_real_rows_are_learnt_from_as_synthetic_ones():
    few = metrics.get("diff_mlef")(
        learnable(300, 0), learnable(50, 2), holdout=learnable(60, 1), iterations=5
    )
    assert few.detail["rows_each"] == 50


def test_numbers_known_only_at_the_end_do_not_give_the_run_time_away():
    def told(seed: int) -> JobTable:
        jobs = learnable(200, seed, mixed=True)
        return jobs.with_frame(jobs.frame.with_columns(cpu_time=pl.col("run_time")))

    score = metrics.get("diff_mlef")(told(0), told(1), holdout=told(2), iterations=20)
    assert score.detail["mse_real"] > 1


def test_the_paper_s_forms_follow_from_ours(jobs):
    half = jobs.with_frame(jobs.collect()[::2])
    jsd, root = (metrics.get(name)(jobs, half) for name in ("jsd", "jsd_paper"))
    for name, value in jsd.by_column.items():
        assert root.by_column[name] == pytest.approx(np.sqrt(value))
    mean, norm = (metrics.get(name)(jobs, half) for name in ("diff_corr", "diff_corr_paper"))
    assert norm.value == mean.detail["frobenius"]


def test_the_paper_s_distance_counts_standard_deviations():
    def rows(nodes):
        return JobTable.from_frame(
            pl.DataFrame({"job_id": [str(i) for i in range(len(nodes))], "nodes_req": nodes})
        )

    score = metrics.get("dcr_paper")(rows([0, 0, 10, 10]), rows([5, 5]))
    assert score.value == pytest.approx(1)  # the standard deviation is 5
