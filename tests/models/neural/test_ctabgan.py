"""What is special to CTAB-GAN+: rows as images, its losses, the column of its classifier."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from gridtwin.core.errors import InputError
from gridtwin.models.ctabgan import CTABGAN, information
from gridtwin.models.neural.devices import seeded
from gridtwin.models.neural.images import (
    FoldedCritic,
    FoldedGenerator,
    fold,
    image_sides,
    spherical,
)
from gridtwin.trace import JobTable

BUDGETS = ("fast", "paper")
SMALL = {"channels": 4, "critic_steps": 1, "layers": (16,), "noise": 8}


@pytest.fixture(autouse=True)
def _seeded():
    with seeded(0):
        yield


@pytest.mark.parametrize("width", [1, 64, 65, 371, 400, 401, 1041, 5000])
def test_an_image_holds_the_row_and_can_be_halved(width):
    sides = image_sides(width)
    assert sides[0] ** 2 >= width
    assert sides[0] == 8 or (sides[0] - 1) ** 2 < 2 * width
    assert 4 <= sides[-1] <= 7
    assert all(a == 2 * b for a, b in pairwise(sides))


def test_folding_keeps_the_order_and_fills_with_zeros():
    rows = torch.arange(1.0, 11.0).repeat(2, 1)
    image = fold(rows, 4)
    assert image.shape == (2, 1, 4, 4)
    assert image[1, 0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("width", [10, 100, 401])
def test_the_nets_take_and_give_rows_of_any_width(width):
    rows = FoldedGenerator(7, width, 4)(torch.randn(3, 7))
    assert rows.shape == (3, width)
    score, features = FoldedCritic(width, 4)(rows)
    assert score.shape == (3,)
    assert features.shape[0] == 3


def test_the_critic_sees_each_row_by_itself():
    critic, rows = FoldedCritic(30, 4), torch.randn(5, 30)
    torch.testing.assert_close(critic(rows)[0][2:3], critic(rows[2:3])[0])


def test_arcs_keep_the_length_and_turn_evenly():
    a, b = functional.normalize(torch.randn(2, 50, 9), dim=2)
    at = torch.rand(50, 1)
    between = spherical(a, b, at)
    torch.testing.assert_close(between.norm(dim=1), torch.ones(50))
    whole = torch.acos((a * b).sum(1))
    part = torch.acos((a * between).sum(1).clamp(-1, 1))
    torch.testing.assert_close(part, at[:, 0] * whole, atol=1e-3, rtol=0)
    torch.testing.assert_close(spherical(a, b, torch.ones(50, 1)), b)


def test_arcs_of_one_direction_are_straight():
    a = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    b = torch.tensor([[6.0, 8.0], [0.0, 0.0]])
    between = spherical(a, b, torch.full((2, 1), 0.5))
    torch.testing.assert_close(between, torch.tensor([[4.5, 6.0], [0.0, 0.0]]))


def test_the_information_loss_is_known():
    real = torch.tensor([[1.0, 0.0], [3.0, 0.0]])  # means 2, 0; deviations 1, 0
    fake = torch.tensor([[5.0, 3.0], [5.0, 5.0]], requires_grad=True)  # 5, 4; 0, 1
    loss = information(real, fake)
    assert loss.item() == pytest.approx(5.0 + math.sqrt(2.0), abs=1e-4)
    loss.backward()
    assert torch.isfinite(fake.grad).all()


def table(n=600, **columns):
    rng = np.random.default_rng(0)
    big = rng.random(n) < 0.4
    frame = {
        "job_id": [str(i) for i in range(n)],
        "user": np.where(big, "ann", "bob"),
        "queue": np.where(big, "wide", "thin"),
        "cores_req": np.where(big, 64, rng.choice([1, 2], n)),
        "run_time": np.exp(rng.normal(np.where(big, 8, 4), 0.5)).round(2),
    }
    return JobTable.from_frame(pl.DataFrame({**frame, **columns}))


def target_of(jobs, **parameters):
    model = CTABGAN(steps=1, batch=32, **SMALL, **parameters).fit(jobs)
    block = model._target()
    return block.column if block else None


def test_the_classifier_tells_the_status():
    rng = np.random.default_rng(1)
    status = rng.choice(["completed", "failed", "cancelled"], 600)
    assert target_of(table(status=status)) == "status"
    assert target_of(table(status=status), target="cores_req") == "cores_req"


def test_it_tells_what_determines_the_status():
    rng = np.random.default_rng(1)
    raw = rng.choice(["0", "1", "2", "3"], 600)
    status = np.where(raw == "0", "completed", "failed")
    jobs = table(raw_status=raw, status=status)
    assert target_of(jobs) == "raw_status"
    assert target_of(jobs, target="status") == "raw_status"


def test_without_a_status_it_tells_the_names_with_the_fewest_states():
    site = np.random.default_rng(1).choice(["a", "b", "c", "d"], 600)
    assert target_of(table(site=site)) in ("user", "queue")


def test_without_names_there_is_no_classifier():
    jobs = table()
    jobs = jobs.with_frame(jobs.frame.select("job_id", "cores_req", "run_time"))
    model = CTABGAN(steps=2, batch=32, **SMALL).fit(jobs)
    assert model._target() is None
    assert len(model.sample(5)) == 5


@pytest.mark.parametrize("wrong", ["nothing", "run_time"])
def test_a_target_without_states_is_refused(wrong):
    with pytest.raises(InputError, match=rf"target='{wrong}'.*cores_req"):
        target_of(table(), target=wrong)


@pytest.mark.parametrize("name", ["channels", "critic_steps", "noise"])
def test_odd_parameters_are_refused(name):
    with pytest.raises(InputError, match=f"{name} is -1"):
        CTABGAN(steps=1, **{**SMALL, name: -1}).fit(table())


def test_all_losses_are_reported_and_columns_are_asked_for():
    seen = {}
    model = CTABGAN(steps=100, batch=32, **SMALL)
    model.fit(table(), report=lambda at, steps, losses: seen.update(losses))
    whole = {"the critic", "the generator", "the information", "the classifier", "the target"}
    assert set(seen) == whole | {block.column for block in model.layout_.states()}
    assert model.modes_.counts(model.encoder_)[-1] > 1  # so modes are asked for
    assert "run_time" in seen


def test_relations_are_learnt():
    model = CTABGAN(
        steps=400, batch=100, learning_rate=0.004, critic_steps=1, channels=8, layers=(32,)
    )
    sample = model.fit(table()).sample(3000, seed=1).collect()
    big = sample["cores_req"] == 64
    assert big.mean() == pytest.approx(0.4, abs=0.08)
    assert ((sample["user"] == "ann") == big).mean() > 0.8  # 0.52 if it were chance
    assert ((sample["run_time"] > 500) == big).mean() > 0.8
    assert set(sample["cores_req"].unique()) == {1, 2, 64}


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    jobs = table()

    def killed(at, steps, losses):
        raise KeyboardInterrupt

    def model():
        return CTABGAN(steps=110, batch=16, **SMALL)

    with pytest.raises(KeyboardInterrupt):
        model().fit(jobs, checkpoint=tmp_path, every=60, report=killed)
    again = model().fit(jobs, checkpoint=tmp_path, every=60)
    whole = model().fit(jobs)
    for key, weights in whole.net_.state_dict().items():
        assert torch.equal(weights, again.net_.state_dict()[key]), key


def test_the_fast_budget_is_a_smaller_net_and_course():
    models = [CTABGAN(steps=1, batch=100, budget=budget).fit(table()) for budget in BUDGETS]
    fast, paper = (sum(p.numel() for p in m.net_.critic.parameters()) for m in models)
    assert fast < paper / 3
    assert [m._batch() for m in models] == [20, 100]


def test_the_steps_of_the_fast_budget_go_with_the_image():
    def steps(names):
        user = [f"u{i % names}" for i in range(12 * names)]
        frame = pl.DataFrame({"job_id": [str(i) for i in range(12 * names)], "user": user})
        model = CTABGAN(steps=1, **SMALL, batch=1, budget="fast").fit(JobTable.from_frame(frame))
        model.steps = 0
        return model._steps(100_000)

    assert steps(100) == CTABGAN.fast_steps  # 100 states and conditions: 15 x 15
    assert steps(500) == pytest.approx(CTABGAN.fast_steps * (20 / 32) ** 2, abs=1)
