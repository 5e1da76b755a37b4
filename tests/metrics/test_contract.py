"""Every metric, whoever adds it, keeps to these."""

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.core.seeds import spawn
from gridtwin.trace import JobTable
from gridtwin.trace.resample import bootstrap_blocks

CORES = 64
ALL = metrics.names()
ON_HOLDOUT = ("memory", "split")
BY_ROW = [n for n in ALL if metrics.get(n).on not in ON_HOLDOUT and metrics.get(n).goal != "weeks"]
MEMORY = [n for n in ALL if metrics.get(n).on in ON_HOLDOUT and metrics.get(n).group != "utility"]


def halves(jobs: JobTable) -> tuple[JobTable, JobTable]:
    """Return two random halves."""
    frame = jobs.collect()
    order = np.random.default_rng(5).permutation(frame.height)
    middle = frame.height // 2
    return tuple(jobs.with_frame(frame[np.sort(r)]) for r in (order[:middle], order[middle:]))


def worse(jobs: JobTable) -> JobTable:
    """Return jobs that are unlike the real ones in every respect a metric may look at."""
    frame, n = jobs.collect(), len(jobs)
    rng = np.random.default_rng(3)
    low, high = frame["submit_time"].min(), frame["submit_time"].max()
    submit = pl.Series(np.linspace(low, high, n))
    changed = frame.with_columns(
        submit_time=submit,
        run_time=pl.col("run_time") * 3,
        wait_time=pl.col("wait_time") * 3 + 500,
        walltime_req=pl.col("walltime_req") + 0.5,
        cores_req=pl.Series(rng.permutation(frame["cores_req"].to_numpy())),
        status=pl.Series(rng.permutation(["finished", "odd"] * (n // 2) + ["odd"] * (n % 2))),
        user=pl.Series(rng.permutation(frame["user"].to_numpy())),
        queue=pl.Series(rng.permutation(frame["queue"].to_numpy())),
    )
    if "site" in changed.columns:
        changed = changed.with_columns(site=pl.lit("north"))
    return jobs.with_frame(changed)


@pytest.fixture
def trace(request, jobs, sited):
    """Return the table that a metric is meant for: of one machine, or of several sites."""
    name = request.node.callspec.params["name"]
    return sited if name.startswith("site_") else jobs


def score(name, real, synthetic, **options):
    return metrics.get(name)(real, synthetic, cores=CORES, seed=0, iterations=5, **options)


@pytest.mark.parametrize("name", ALL)
def test_is_described(name):
    metric = metrics.get(name)
    assert metric.name == name
    assert len(metric.definition) > 60
    assert not metric.definition.startswith("Return")


@pytest.mark.parametrize("name", BY_ROW)
def test_equal_tables_score_best_and_worse_data_score_worse(name, trace):
    metric = metrics.get(name)
    same, bad = score(name, trace, trace).value, score(name, trace, worse(trace)).value
    if metric.goal == "half":  # twins on both sides push a classifier below one half
        assert same < 0.55
        assert bad > 0.8
    else:
        assert metric.distance(same) == pytest.approx(0, abs=1e-9)
        assert metric.distance(bad) > metric.distance(same) + 0.02


@pytest.mark.parametrize("name", MEMORY)
def test_a_copy_of_the_training_rows_scores_worse_than_unseen_rows(name, trace):
    train, unseen = halves(trace)
    first, second = halves(unseen)
    metric = metrics.get(name)
    natural = score(name, train, first, holdout=second).value
    copy = score(name, train, train, holdout=second).value
    assert metric.distance(copy, natural) > metric.distance(natural, natural) + 0.02


@pytest.mark.parametrize("name", [n for n in ALL if metrics.get(n).goal == "weeks"])
def test_a_copy_of_the_training_rows_scores_worse_than_real_weeks_drawn_anew(name, trace):
    metric = metrics.get(name)
    weeks = [bootstrap_blocks(trace, rng, days=1) for rng in spawn(0, 5)]
    natural = max(score(name, trace, other).value for other in weeks)
    assert metric.distance(natural, natural) == 0
    assert metric.distance(score(name, trace, trace).value, natural) > 0.02


@pytest.mark.parametrize("name", ALL)
def test_row_order_is_irrelevant(name, trace):
    real, other = halves(trace)
    # among jobs sent at the same instant the order of rows is the order of the queue
    other = other.with_frame(other.collect().unique("submit_time", maintain_order=True))
    rng = np.random.default_rng(2)
    mixed = other.with_frame(other.collect()[rng.permutation(len(other))])
    straight = score(name, real, other, holdout=other).value
    again = score(name, real, mixed, holdout=other).value
    # the classifier's folds and random ties follow the rows
    assert again == pytest.approx(straight, abs=0.08 if name == "c2st" else 1e-9)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_score(name, trace):
    real, other = halves(trace)
    assert score(name, real, other, holdout=other) == score(name, real, other, holdout=other)


@pytest.mark.parametrize("name", ALL)
def test_tables_without_rows_have_no_score_but_a_reason(name, trace):
    empty = trace.with_frame(trace.collect().head(0))
    for real, synthetic in ((trace, empty), (empty, trace), (empty, empty)):
        out = score(name, real, synthetic, holdout=trace)
        assert np.isnan(out.value)
        assert out.detail["reason"]


@pytest.mark.parametrize("name", ALL)
def test_a_table_of_ids_only_has_no_score_but_a_reason(name, trace):
    bare = trace.with_frame(trace.frame.select("job_id"))
    out = score(name, bare, bare, holdout=bare)
    assert np.isnan(out.value)
    assert out.detail["reason"]
