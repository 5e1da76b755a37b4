"""What is special to the conditional adversarial nets, CTGAN and CopulaGAN."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.encoding import with_instants
from gridtwin.models.neural.devices import seeded
from gridtwin.trace import JobTable

NAMES = ("ctgan", "copulagan")
pytestmark = pytest.mark.parametrize("name", NAMES)


def fitted(name, jobs, **parameters):
    return gridtwin.models.get(name)(**{"steps": 3, **parameters}).fit(jobs)


def encoded(model, jobs):
    return model.encoder_.encode(with_instants(jobs.collect()))


def test_categories_are_asked_for_and_loose_numbers_are_not(name, jobs):
    model = fitted(name, jobs)
    asked = {block.column for block in model.net_.conditions.blocks}
    assert {"user", "status"} <= asked
    assert not asked & {"run_time", "submit_time"}
    # a number of atoms alone is a category for ctgan, a score as any other for copulagan
    assert ("cores_req" in asked) == (name == "ctgan")


def test_rows_come_back_from_what_the_net_sees(name, jobs):
    model = fitted(name, jobs)
    cells = encoded(model, jobs)
    with seeded(0):
        rows = model._rows(cells)
        opened = model._open(rows)
        back = model._cells(model.layout_.close(opened), np.random.default_rng(0))
    assert opened.shape == (len(jobs), model.layout_.width)
    assert opened.abs().max() <= model.reach
    before, after = (model.encoder_.decode(c, np.random.default_rng(0)) for c in (cells, back))
    for column in before.columns:
        if before[column].dtype.is_numeric():
            off = (after[column] - before[column]).abs() / (before[column].abs() + 1)
            assert (off < 0.01).mean() > 0.97, column
        else:
            assert (after[column] == before[column]).mean() > 0.9, column


class StopError(Exception):
    """Ends a training from outside."""


def test_a_training_that_was_broken_off_ends_with_the_same_weights(name, jobs, tmp_path):
    parameters = {"steps": 105, "batch": 20, "layers": (16,), "noise": 8}
    whole = fitted(name, jobs, **parameters)

    def stop(step, steps, losses):
        raise StopError

    make = gridtwin.models.get(name)
    with pytest.raises(StopError):
        make(**parameters).fit(jobs, checkpoint=tmp_path, every=95, report=stop)
    again = make(**parameters).fit(jobs, checkpoint=tmp_path)
    for key, value in whole.net_.state_dict().items():
        assert torch.equal(again.net_.state_dict()[key], value)


def test_a_table_without_categories_is_learnt_unasked(name):
    rng = np.random.default_rng(0)
    values = rng.lognormal(5, 1, 200)
    frame = pl.DataFrame({"job_id": [str(i) for i in range(200)], "run_time": values})
    model = fitted(name, JobTable.from_frame(frame))
    assert model.net_.conditions.width == 0
    assert len(model.sample(30)) == 30


@pytest.mark.parametrize("wrong", [{"pack": 0}, {"noise": 0}])
def test_impossible_parameters_are_refused(name, wrong, jobs):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} is 0; give a whole"):
        fitted(name, jobs, **wrong)


def test_batches_are_cut_to_packs(name, jobs):
    assert len(fitted(name, jobs, batch=7, pack=3, steps=2).sample(5)) == 5
    assert len(fitted(name, jobs, batch=1, pack=1, steps=2).sample(5)) == 5


def test_private_training_is_of_single_rows(name, jobs, tmp_path):
    model = fitted(name, jobs, steps=2, batch=20, epsilon=3.0, layers=(16,))
    assert model.net_.critic.pack == 1
    model.save(tmp_path)
    stated = json.loads((tmp_path / "model.json").read_text())["state"]["trained"]["privacy"]
    assert stated["epsilon"] <= 3.0
    again = gridtwin.models.load(tmp_path)
    assert_frame_equal(model.sample(20, seed=1).collect(), again.sample(20, seed=1).collect())
