"""What is special to the any-order net: what a token sees, any order, the stop, checkpoints."""

import itertools

import numpy as np
import polars as pl
import pytest
import torch

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.encoding.views import tokens
from gridtwin.trace import JobTable

ARN = gridtwin.models.get("arn")


class StopError(Exception):
    """Ends a training from outside."""


@pytest.fixture(scope="module")
def crossed():
    """Jobs whose queue and size depend on the user, by chance."""
    rng = np.random.default_rng(0)
    n = 6000
    ann = rng.random(n) < 0.4
    size = np.where(rng.random(n) < np.where(ann, 0.8, 0.3), 64.0, 1.0)
    long = rng.random(n) < np.where(size > 1, 0.75, 0.25)
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": np.where(ann, "ann", "bob"),
            "cores_req": size,
            "queue": np.where(long, "long", "short"),
        }
    )
    return JobTable.from_frame(frame)


@pytest.fixture(scope="module")
def model(crossed):
    return ARN(width=32, steps=600, dropout=0.0).fit(crossed)


def view(model, jobs):
    """Return the tokens of jobs."""
    cells = model.encoder_.encode(jobs.collect())
    return torch.from_numpy(tokens(model.encoder_, cells)).long()


def test_a_token_sees_only_those_before_it(model, crossed):
    net = model.net_.eval()
    token = view(model, crossed)[:50]
    for order in itertools.permutations(range(3)):
        rank = torch.tensor(order).expand(50, -1)
        seen = net.seen(rank)
        before = net.hidden(net.embed(token), seen, slice(None))
        for t in range(token.shape[1]):
            changed = token.clone()
            changed[:, t] = (changed[:, t] + 1) % net.sizes[t]
            after = net.hidden(net.embed(changed), seen, slice(None))
            differs = (after != before).flatten(1).any(1)
            expected = rank[0][net.columns] > rank[0][net.columns[t]]
            assert not differs[~expected].any()
            assert differs[expected].all()


def test_each_column_given_any_others_is_as_in_the_rows(model, crossed):
    token = view(model, crossed)
    net = model.net_.eval()
    for t, others in [(0, []), (1, []), (2, [0]), (0, [2]), (0, [1, 2]), (1, [0, 2]), (2, [1])]:
        for values in itertools.product(range(2), repeat=len(others)):
            same = (token[:, others] == torch.tensor(values)).all(1)
            known = torch.zeros(3, dtype=torch.bool)
            known[others] = True
            row = torch.zeros(1, 3, dtype=torch.int64)
            row[0, others] = torch.tensor(values, dtype=torch.int64)
            p = net.logits(net.embed(row), known, t).softmax(1)[0, 1]
            assert float(p) == pytest.approx(float((token[same, t] == 1).float().mean()), abs=0.08)


def test_what_is_known_is_kept_and_the_rest_is_drawn_to_fit(model, crossed):
    token = view(model, crossed)
    torch.manual_seed(0)
    known = torch.tensor([False, True, False])
    drawn = model.net_.eval().draw(token, known)
    assert torch.equal(drawn[:, 1], token[:, 1])
    for value in (0, 1):
        rows = token[:, 1] == value
        for t in (0, 2):
            real, own = (part[rows, t].float().mean() for part in (token, drawn))
            assert float(own) == pytest.approx(float(real), abs=0.08)


def test_training_stops_when_held_out_rows_get_no_better(jobs):
    model = ARN(width=64).fit(jobs)
    assert model.trained_["steps"] < model._steps(len(jobs))
    assert not model._held


def test_the_best_weights_are_kept(crossed):
    seen = {}

    class Watched(ARN):
        def _judge(self, course, at):
            super()._judge(course, at)
            seen[at] = self._held_loss()
            seen["best"] = course.memory["best"]

    model = Watched(width=16, steps=300, learning_rate=0.05, dropout=0.0).fit(crossed)
    best = seen.pop("best")
    assert len(seen) > 3
    assert min(seen, key=seen.get) < max(seen)  # some later epoch was worse
    for key, value in model.net_.state_dict().items():
        np.testing.assert_array_equal(value, best[key])


@pytest.mark.parametrize("at", [4, 7, 10])
def test_a_training_that_was_broken_off_stops_where_it_would_have(jobs, tmp_path, at):
    def make():
        return ARN(width=32, learning_rate=0.02, batch=135)  # two steps an epoch

    whole = make().fit(jobs)

    class Killed(ARN):
        def _done(self, course, step):
            if step == at:
                raise StopError
            return super()._done(course, step)

    Killed.name = "arn"
    with pytest.raises(StopError):
        Killed(**make().parameters()).fit(jobs, checkpoint=tmp_path, every=3)
    again = make().fit(jobs, checkpoint=tmp_path, every=3)
    assert again.trained_ == whole.trained_
    finished = make().fit(jobs, checkpoint=tmp_path, every=3)
    for key, value in whole.net_.state_dict().items():
        np.testing.assert_array_equal(again.net_.state_dict()[key], value)
        np.testing.assert_array_equal(finished.net_.state_dict()[key], value)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"dropout": 1.5}, {"natural": -0.1}])
def test_odd_parameters_are_refused(jobs, wrong):
    with pytest.raises(InputError, match=rf"{next(iter(wrong))}(=| is )"):
        ARN(**wrong).fit(jobs)
