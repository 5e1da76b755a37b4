"""Private training: what one row can do, what is stated, what is not from the seed."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.neural import private
from gridtwin.models.neural.private import Budget, descend, make_private

NETS = ("tvae", "ctgan", "copulagan", "tabddpm", "findiff", "arn", "realtabformer")


def moved(rows, *, noise, limit=None, monkeypatch=None):
    """Return how far one step of length 1 moves the weights of a linear net."""
    torch.manual_seed(0)
    net = nn.Linear(3, 1)
    before = net.weight.detach().clone()
    optimizer, _ = make_private(
        SGD(net.parameters(), lr=1.0), Budget(5.0, 1e-5, 2.0), rows=100, batch=10, looks=1
    )
    optimizer.noise_multiplier = noise
    if limit:
        monkeypatch.setattr(private, "GRADIENT_BYTES", limit)
    descend(net, optimizer, lambda r: {"y": (net(r["x"]) ** 2).mean()}, {"x": rows})
    return (net.weight - before).detach()


def test_one_row_moves_the_weights_no_farther_than_the_clip():
    odd = moved(torch.full((1, 3), 1e4), noise=0.0)
    assert odd.norm() <= 2.0 / 10 + 1e-6
    assert odd.norm() > 0.15


def test_rows_count_by_themselves():
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1)) * 10
    each = sum(moved(x[i : i + 1], noise=0.0) for i in range(7))
    torch.testing.assert_close(moved(x, noise=0.0), each)


def test_chunks_change_nothing(monkeypatch):
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    whole = moved(x, noise=0.0)
    torch.testing.assert_close(whole, moved(x, noise=0.0, limit=1, monkeypatch=monkeypatch))


def test_a_batch_without_rows_still_moves_by_the_noise():
    assert moved(torch.zeros(0, 3), noise=1.0).norm() > 0
    assert moved(torch.zeros(0, 3), noise=0.0).norm() == 0


def test_less_epsilon_is_more_noise():
    def noise(epsilon):
        net = nn.Linear(1, 1)
        optimizer = SGD(net.parameters(), lr=1.0)
        return make_private(optimizer, Budget(epsilon, 0.0, 1.0), rows=1000, batch=50, looks=200)[1]

    tight, loose = noise(0.5), noise(8.0)
    assert tight["noise"] > 2 * loose["noise"]
    assert tight["epsilon"] <= 0.5
    assert 0.9 * 8.0 < loose["epsilon"] <= 8.0
    assert tight["delta"] == pytest.approx(1e-4)


@pytest.mark.parametrize("name", NETS)
def test_what_is_covered_is_stated(name, jobs, tmp_path):
    model = gridtwin.models.get(name)(steps=2, batch=20, budget="fast", epsilon=3.0).fit(jobs)
    model.save(tmp_path)
    stated = json.loads((tmp_path / "model.json").read_text())["state"]["trained"]["privacy"]
    assert 0 < stated["epsilon"] <= 3.0
    assert stated["delta"] == pytest.approx(0.1 / len(jobs))
    assert "without noise" in stated["covers"]
    assert len(model.sample(20)) == 20


def test_the_noise_is_not_that_of_the_seed(jobs, tmp_path):
    TVAE = gridtwin.models.get("tvae")
    one, two = (TVAE(steps=2, batch=50, epsilon=3.0).fit(jobs) for _ in range(2))
    assert not torch.equal(*(next(iter(m.net_.parameters())) for m in (one, two)))
    kept = TVAE(steps=6, batch=50, epsilon=3.0).fit(jobs, checkpoint=tmp_path, every=2)
    again = TVAE(steps=6, batch=50, epsilon=3.0).fit(jobs, checkpoint=tmp_path, every=2)
    for a, b in zip(kept.net_.parameters(), again.net_.parameters(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("wrong", [{"epsilon": -1.0}, {"epsilon": 1.0, "delta": 1.0}])
def test_an_impossible_budget_is_refused(wrong, jobs):
    with pytest.raises(InputError, match="expected numbers above 0"):
        gridtwin.models.get("tvae")(steps=1, **wrong).fit(jobs)
