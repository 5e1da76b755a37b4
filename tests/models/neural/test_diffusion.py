"""Noise on numbers and on states: what a step back does, by hand and by chance."""

import numpy as np
import polars as pl
import pytest
import torch

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.neural.diffusion import Categories, Schedule, gaussian_step, noised
from gridtwin.trace import JobTable

SCHEDULES = [Schedule.cosine(1000), Schedule.linear(500), Schedule.cosine(10), Schedule.linear(3)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_keeps_all_at_first_and_nothing_at_last(schedule):
    kept = schedule.kept
    assert kept[0] == 1.0
    assert (kept.diff() < 0).all()
    assert 0 <= kept[-1] < 1e-2


def test_a_path_takes_each_time_or_fewer():
    assert Schedule.cosine(5).path(100) == [5, 4, 3, 2, 1, 0]
    assert Schedule.cosine(1000).path(4) == [1000, 750, 500, 250, 0]


def test_a_step_back_with_the_true_noise_has_the_distribution_of_the_earlier_time():
    torch.manual_seed(0)
    n, x = 200_000, 1.5
    kept, earlier = (torch.full((n, 1), k, dtype=torch.float64) for k in (0.3, 0.7))
    noise = torch.randn(n, 1)
    z = noised(torch.full((n, 1), x), kept, noise)
    back = gaussian_step(z, noise, kept, earlier)
    assert float(back.mean()) == pytest.approx(x * 0.7**0.5, abs=0.01)
    assert float(back.std()) == pytest.approx(0.3**0.5, abs=0.01)


def test_a_wrong_guess_at_the_last_time_does_not_run_away():
    kept = Schedule.cosine(1000).kept
    z = gaussian_step(
        torch.zeros(5, 1), torch.full((5, 1), 9.0), kept[1000:1001, None], kept[:1, None]
    )
    assert float(z.abs().max()) <= 5.2


def by_hand(z, x, kept, earlier, size):
    """Return q(s | z, x) of one column by Bayes' rule."""
    ratio = kept / earlier
    onward = np.full(size, (1 - ratio) / size)
    onward[z] += ratio
    back = np.full(size, (1 - earlier) / size)
    back[x] += earlier
    return onward * back / (onward * back).sum()


def test_states_at_an_earlier_time_follow_from_bayes():
    categories = Categories([3, 4])
    z, x = categories.open(torch.tensor([[2, 1]])), categories.open(torch.tensor([[0, 1]]))
    kept, earlier = torch.tensor([[0.2]]).double(), torch.tensor([[0.5]]).double()
    found = categories.earlier(z, x.clamp(min=1e-30).log(), kept, earlier).exp()[0].numpy()
    np.testing.assert_allclose(found[:3], by_hand(2, 0, 0.2, 0.5, 3), rtol=1e-5)
    np.testing.assert_allclose(found[3:], by_hand(1, 1, 0.2, 0.5, 4), rtol=1e-5)


def test_the_divergence_is_zero_for_the_truth_and_the_surprise_at_the_end():
    categories = Categories([3, 4])
    x = categories.open(torch.tensor([[0, 1]]))
    z = categories.open(torch.tensor([[2, 1]]))
    kept, earlier = torch.tensor([[0.2]]).double(), torch.tensor([[1.0]]).double()
    right = categories.divergence(x, z, x.clamp(min=1e-30).log(), kept, earlier)
    np.testing.assert_allclose(right, [[0.0, 0.0]], atol=1e-5)
    flat = categories.normal(torch.zeros(1, 7))
    found = categories.divergence(x, z, flat, kept, earlier)[0]
    onward = np.array([0.8 / 3, 0.8 / 3, 0.8 / 3 + 0.2])  # of a flat guess the noise decides
    assert float(found[0]) == pytest.approx(-np.log(onward[0]), abs=1e-4)
    assert float(found[1]) == pytest.approx(-np.log(0.8 / 4 + 0.2), abs=1e-4)


def test_noise_keeps_a_state_as_often_as_it_says():
    torch.manual_seed(0)
    categories = Categories([4])
    x = categories.open(torch.full((40_000, 1), 2))
    z = categories.noised(x, torch.tensor([[0.6]]).double())
    share = z.mean(0).numpy()
    np.testing.assert_allclose(share, [0.1, 0.1, 0.7, 0.1], atol=0.01)


@pytest.mark.parametrize("name", ["tabddpm", "findiff"])
def test_many_names_break_nothing(name):
    n = 3000
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            **{c: [f"{c}{i}" for i in rng.integers(0, 250, n)] for c in ("user", "site", "queue")},
            "run_time": rng.lognormal(5, 2, n),
        }
    )
    seen = []
    make = gridtwin.models.get(name)
    model = make(budget="fast", steps=30, batch=128, sampling=5).fit(
        JobTable.from_frame(frame), report=lambda *step: seen.append(step[2])
    )
    assert all(np.isfinite(list(losses.values())).all() for losses in seen)
    assert len(model.sample(100)) == 100


@pytest.mark.parametrize("name", ["tabddpm", "findiff"])
def test_budgets_and_bad_parameters(name, jobs):
    make = gridtwin.models.get(name)
    fast, paper = make(budget="fast"), make()
    assert fast._steps(20_000) == make.fast_steps < paper._steps(20_000)
    assert make(steps=9)._steps(20_000) == 9
    for wrong in ({"times": 0}, {"sampling": -1}, {"width": 0}, {"budget": "huge"}):
        with pytest.raises(InputError, match=rf"{next(iter(wrong))}(=| is )"):
            make(**wrong).fit(jobs)


def test_the_paper_trains_tabddpm_for_30000_steps_of_4096_rows():
    make = gridtwin.models.get("tabddpm")
    assert (make()._steps(500), make()._batch()) == (30_000, 4096)
    assert (make(budget="fast")._batch(), make(budget="fast", batch=64)._batch()) == (1024, 64)


def test_numbers_do_not_pile_up_at_their_ends():
    rng = np.random.default_rng(1)
    n = 3000
    frame = pl.DataFrame({"job_id": [str(i) for i in range(n)], "run_time": rng.lognormal(5, 1, n)})
    model = gridtwin.models.get("tabddpm")(budget="fast", steps=150, batch=256, sampling=40)
    sample = model.fit(JobTable.from_frame(frame)).sample(4000).collect()["run_time"]
    low, high = frame["run_time"].quantile(0.001), frame["run_time"].quantile(0.999)
    assert (sample <= low).mean() < 0.01
    assert (sample >= high).mean() < 0.01
    assert sample.n_unique() > 3900


@pytest.mark.parametrize("name", ["tabddpm", "findiff"])
def test_rows_can_be_kept_private(name, jobs):
    small = {"steps": 2, "batch": 32, "layers": (32,), "sampling": 3}
    model = gridtwin.models.get(name)(budget="fast", epsilon=5.0, **small).fit(jobs)
    assert 0 < model.trained_["privacy"]["epsilon"] <= 5.0
    assert len(model.sample(5)) == 5


@pytest.mark.parametrize("name", ["tabddpm", "findiff"])
def test_constant_columns_need_no_net(name):
    frame = pl.DataFrame({"job_id": ["a", "b"], "run_time": [3.0, 3.0]})
    model = gridtwin.models.get(name)(budget="fast").fit(JobTable.from_frame(frame))
    assert model.sample(3).collect()["run_time"].to_list() == [3.0] * 3
    if name == "tabddpm":
        found = model.surprise(JobTable.from_frame(frame.with_columns(run_time=pl.lit(4.0))))
        assert (found["run_time"] > 1.0).all()
