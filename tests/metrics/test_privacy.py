import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.trace import JobTable


def cloud(n: int, seed: int) -> JobTable:
    rng = np.random.default_rng(seed)
    return JobTable.from_frame(
        pl.DataFrame(
            {
                "job_id": [str(i) for i in range(n)],
                "run_time": rng.normal(size=n),
                "wait_time": rng.normal(size=n),
                "user": rng.choice(["a", "b", "c"], n),
            }
        )
    )


def test_dcr_by_hand():
    real = JobTable.from_frame(
        pl.DataFrame({"job_id": ["1", "2"], "nodes_req": [0, 10], "user": ["a", "b"]})
    )
    other = JobTable.from_frame(
        pl.DataFrame({"job_id": ["1", "2"], "nodes_req": [1, 10], "user": ["a", "z"]})
    )
    score = metrics.get("dcr")(real, other)
    # 0.1 away in nodes; one other user: the root of 2
    assert score.value == pytest.approx((0.1 + np.sqrt(2)) / 2)


@pytest.mark.parametrize(("n_train", "n_holdout"), [(1500, 1500), (2400, 600)])
def test_dcr_share_of_independent_rows_is_half_and_of_copies_one(n_train, n_holdout):
    train, holdout, fresh = cloud(n_train, 1), cloud(n_holdout, 2), cloud(1500, 3)
    share = metrics.get("dcr_share")
    assert share(train, fresh, holdout=holdout).value == pytest.approx(0.5, abs=0.06)
    assert share(train, train, holdout=holdout).value == 1
    assert share(train, holdout, holdout=holdout).value == 0


def test_dcr_share_counts_ties_by_their_numbers():
    def rows(values):
        return JobTable.from_frame(
            pl.DataFrame({"job_id": [str(i) for i in range(len(values))], "nodes_req": values})
        )

    score = metrics.get("dcr_share")(rows([1, 1, 1, 9]), rows([1, 1]), holdout=rows([1, 5, 7, 8]))
    assert score.value == pytest.approx(0.75)  # three of the four nearest are training rows
    assert score.detail["ties"] == 1


def test_dcr_share_needs_a_holdout():
    score = metrics.get("dcr_share")(cloud(50, 1), cloud(50, 2))
    assert np.isnan(score.value)
    assert "holdout" in score.detail["reason"]


def test_exact_copies():
    train = cloud(300, 1)
    mixed = JobTable.from_frame(pl.concat([train.collect().head(30), cloud(90, 2).collect()]))
    copies = metrics.get("exact_copies")
    assert copies(train, train).value == 1
    assert copies(train, mixed).value == pytest.approx(0.25)
    assert copies(train, cloud(300, 5)).value == 0


def test_exact_copies_find_rows_with_nulls():
    frame = cloud(50, 1).collect().with_columns(user=pl.lit(None, dtype=pl.String))
    frame = frame.with_columns(user=pl.when(pl.col("run_time") > 0).then(pl.lit("a")))
    train = JobTable.from_frame(frame)
    assert metrics.get("exact_copies")(train, train).value == 1
