"""How coarse a model of donors is follows from rows that it has not seen."""

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.trees.holdout import training_share
from gridtwin.trace import JobTable


def rows(n, seed):
    rng = np.random.default_rng(seed)
    return JobTable.from_frame(
        pl.DataFrame(
            {
                "job_id": [str(i) for i in range(n)],
                "submit_time": np.sort(rng.uniform(0, 3e6, n)),
                "user": rng.choice(["a", "b", "c"], n),
                "cores_req": rng.choice([1, 2, 4, 8], n),
                "run_time": rng.lognormal(6, 1.5, n),
            }
        )
    )


def test_a_copy_leans_to_its_rows_and_new_rows_do_not():
    rng = np.random.default_rng(0)
    train, unseen, new = (rows(1500, seed) for seed in range(3))
    assert training_share(train, train, unseen, rng) > 0.99
    assert training_share(train, unseen, unseen, rng) < 0.01
    assert training_share(train, new, unseen, rng) == pytest.approx(0.5, abs=0.04)


def test_a_missing_number_is_far_from_every_number():
    train, unseen = (
        JobTable.from_frame(
            pl.DataFrame({"job_id": ["1", "2"], "run_time": values, "mem_used": memory})
        )
        for values, memory in (([0.0, 9.0], [None, 1.0]), ([0.5, 9.5], [2.0, None]))
    )
    synthetic = JobTable.from_frame(
        pl.DataFrame(
            {"job_id": ["1"], "run_time": [0.4], "mem_used": pl.Series([None], dtype=pl.Float64)}
        )
    )
    assert training_share(train, synthetic, unseen, np.random.default_rng(0)) == 1.0


@pytest.mark.parametrize("name", ["trace", "cart"])
def test_the_leaf_is_chosen_and_kept(name, tmp_path):
    model = gridtwin.models.get(name)(privacy="auto").fit(rows(1200, 4))
    assert model.leaf_ == model.choice_.leaf
    assert len(model.choice_.shares) >= 2
    if model.choice_.reached:
        assert model.choice_.shares[model.leaf_] <= 0.52
    smaller = [s for leaf, s in model.choice_.shares.items() if leaf < model.leaf_]
    assert all(share > 0.52 for share in smaller)
    model.save(tmp_path)
    again = gridtwin.models.load(tmp_path)
    assert (again.leaf_, again.choice_) == (model.leaf_, model.choice_)


@pytest.mark.parametrize("name", ["trace", "cart"])
def test_few_rows_keep_the_leaf_as_given(name):
    model = gridtwin.models.get(name)(privacy="auto", leaf=7).fit(rows(60, 4))
    assert model.leaf_ == 7
    assert not model.choice_.reached


@pytest.mark.parametrize("name", ["trace", "cart"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"trees": 0}, "trees is 0; give a whole number from 1"),
        ({"leaf": 0}, "leaf is 0"),
        ({"leaf": 2.5}, "leaf is 2.5; give a whole number"),
        ({"fraction": 7}, "fraction is 7; give a number from"),
        ({"blur": float("nan")}, "blur is nan"),
        ({"privacy": "full"}, "privacy='full' is unknown; give 'fixed'"),
    ],
)
def test_parameters_out_of_range_are_refused(name, wrong, said):
    with pytest.raises(InputError, match=said):
        gridtwin.models.get(name)(**wrong).fit(rows(50, 0))
