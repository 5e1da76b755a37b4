"""What every model keeps to, whichever it is."""

import inspect

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import (
    FormatError,
    GridtwinError,
    InputError,
    NotFittedError,
    UnknownNameError,
)
from gridtwin.trace import JobTable

pytestmark = pytest.mark.parametrize("name", gridtwin.models.names())


def fitted(name, jobs, **parameters):
    make = gridtwin.models.get(name)
    short = {"steps": 3, "budget": "fast"}  # of nets: what they learn is tested elsewhere
    known = inspect.signature(make).parameters
    parameters = {k: v for k, v in short.items() if k in known} | parameters
    return make(**parameters).fit(jobs)


def head(jobs, n):
    return jobs.with_frame(jobs.frame.head(n))


def test_a_sample_has_the_columns_and_types_of_the_training_table(name, jobs):
    sample = fitted(name, jobs).sample(150)
    assert sample.collect().schema == jobs.collect().schema
    assert len(sample) == 150
    assert sample.collect()["job_id"].is_unique().all()
    assert sample.provenance.format == "synthetic"


def test_the_same_seed_gives_the_same_sample_and_another_one_does_not(name, jobs):
    one, two = (fitted(name, jobs, seed=3).sample(seed=5).collect() for _ in range(2))
    assert_frame_equal(one, two)
    assert not one.equals(fitted(name, jobs, seed=3).sample(seed=6).collect())


def test_a_saved_model_samples_the_same(name, jobs, tmp_path):
    model = fitted(name, jobs)
    model.save(tmp_path / "model")
    again = gridtwin.models.load(tmp_path / "model")
    assert_frame_equal(model.sample(seed=1).collect(), again.sample(seed=1).collect())
    assert again.parameters() == model.parameters()


def test_a_broken_model_folder_is_refused(name, jobs, tmp_path):
    fitted(name, jobs).save(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="train the model again"):
        gridtwin.models.load(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(FormatError, match="not a saved model"):
        gridtwin.models.load(tmp_path)
    with pytest.raises(FormatError, match=r"holds no model\.json"):
        gridtwin.models.load(tmp_path / "nowhere")


def test_an_unfitted_model_refuses(name, jobs, tmp_path):
    model = gridtwin.models.get(name)()
    with pytest.raises(NotFittedError, match=r"call fit\(jobs\)"):
        model.sample(3)
    with pytest.raises(NotFittedError):
        model.save(tmp_path)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_rows_are_enough(name, jobs, n):
    sample = fitted(name, head(jobs, n)).sample(7)
    assert len(sample) == 7


def test_no_row_is_too_few(name, jobs):
    with pytest.raises(GridtwinError, match="no row"):
        fitted(name, head(jobs, 0))


def test_parameters_out_of_their_range_are_refused_before_anything_is_learnt(name, jobs):
    make = gridtwin.models.get(name)
    assert set(make.ranges) <= set(make().parameters())
    for parameter, (low, _) in make.ranges.items():
        for wrong in (low - 1, float("nan"), "much"):
            with pytest.raises(InputError, match=f"{name}: {parameter} is .*; give a"):
                make(**{parameter: wrong}).fit(head(jobs, 3))


def test_nothing_can_be_sampled_but_no_negative_number(name, jobs):
    model = fitted(name, jobs)
    assert len(model.sample(0)) == 0
    assert model.sample(0).columns == jobs.columns
    with pytest.raises(GridtwinError, match="0 or more"):
        model.sample(-1)


def test_a_what_if_is_answered_exactly_or_refused(name, jobs):
    refuses = gridtwin.models.get(name)._sample_if is gridtwin.models.Surrogate._sample_if
    model = fitted(name, head(jobs, 3 if refuses else 100))
    where, mix = {"queue": "long"}, {"status": {"failed": 0.5}}
    if refuses:
        with pytest.raises(InputError, match=f"{name!r}.* takes no days, where, mix"):
            model.sample(80, days=3.0, where=where, mix=mix)
        return
    found = model.sample(80, seed=1, where=where, mix=mix).collect()
    assert len(found) == 80
    assert set(found["queue"]) == {"long"}
    assert (found["status"] == "failed").sum() == 40


def test_odd_columns_survive(name, jobs):
    n = len(jobs)
    frame = jobs.collect().with_columns(
        queue=pl.lit("only"),
        vo=pl.lit(None, pl.String),
        priority=pl.Series([None if i % 3 else float(i - 150) for i in range(n)]),
        dataset=pl.Series([f"data.{i}" for i in range(n)]),
        error_codes=pl.Series([["pilot:1305", "exe:65"][: i % 3] for i in range(n)]),
    )
    table = JobTable.from_frame(frame)
    sample = fitted(name, table).sample().collect()
    assert sample.schema == table.collect().schema
    assert sample["queue"].unique().to_list() == ["only"]
    assert sample["vo"].null_count() == n
    assert 0 < sample["priority"].null_count() < n
    known = {tuple(words) for words in frame["error_codes"].to_list()}
    assert {tuple(words) for words in sample["error_codes"].to_list()} <= known


def test_relations_hold(name, jobs):
    sample = fitted(name, jobs).sample(seed=2).collect()
    assert (sample["submit_time"].diff().drop_nulls() >= 0).all()
    assert (sample["run_time"].drop_nulls() >= 0).all()
    assert (sample["wait_time"].drop_nulls() >= 0).all()
    both = sample.drop_nulls(["start_time", "wait_time", "end_time", "run_time"])
    np.testing.assert_allclose(both["start_time"], both["submit_time"] + both["wait_time"])
    np.testing.assert_allclose(both["end_time"], both["start_time"] + both["run_time"])


def test_a_misspelt_name_or_parameter_is_named(name):
    with pytest.raises(UnknownNameError, match=f"did you mean '{name}'"):
        gridtwin.models.get(name + "x")


@pytest.mark.slow
def test_a_hundred_thousand_names_are_bearable(name):
    n = 100_000
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": [f"u{i}" for i in range(n)],
            "submit_time": np.sort(rng.uniform(0, 1e7, n)),
            "cores_req": rng.choice([1, 2, 4], n),
            "run_time": rng.lognormal(5, 1, n),
        }
    )
    sample = fitted(name, JobTable.from_frame(frame)).sample(50, seed=0).collect()
    assert sample["user"].null_count() == 0
    assert sample["user"].n_unique() > 40
