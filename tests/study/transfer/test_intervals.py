"""Costs and gains with their intervals."""

import numpy as np
import pytest

from gridtwin.study.transfer.intervals import Resampled, judged

FIRST = np.arange(0, 4000, 50)


@pytest.fixture
def by() -> Resampled:
    return Resampled(8, FIRST, 200)


def noise(seeds: int, deviation: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, deviation, (seeds, len(FIRST)))


def test_sequences_that_begin_in_one_stretch_are_drawn_together(by):
    assert by.stretches == 20
    assert np.bincount(by.block).tolist() == [4] * 20
    values = np.repeat(np.random.default_rng(0).normal(size=20), 4)[None]
    together = by.value(np.repeat(values, 8, 0))
    alone = Resampled(8, np.arange(80) * 200, 200).value(np.repeat(values, 8, 0))
    assert together.high - together.low > 1.6 * (alone.high - alone.low)  # twice, in the limit


def test_an_interval_holds_the_mean_in_about_95_percent():
    held = []
    for trial in range(200):
        rng = np.random.default_rng(trial)
        of_seeds, of_stretches = rng.normal(0, 1, (8, 1)), np.repeat(rng.normal(0, 1, 20), 4)
        value = Resampled(8, FIRST, 200, seed=trial).value(1.0 + of_seeds + of_stretches)
        held.append(value.low <= 1.0 <= value.high)
    assert 0.88 <= np.mean(held) <= 0.995


def test_known_costs_and_gains(by):
    real = noise(8, 0.2, 1)
    reference = noise(1, 0.2, 2) + 1.0
    logs = {"real": real, "dear": real + np.log(1.25), "alike": real[::-1]}
    rows = {row["source"]: row for row in judged(logs, real, {"fcfs": reference}, "fcfs", by)}
    assert rows["real"]["cost"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert rows["real"]["kept"]["fcfs"]["share"]["mean"] == 1.0
    dear = rows["dear"]
    assert dear["cost"]["mean"] == pytest.approx(0.25)
    assert dear["cost"]["low"] == pytest.approx(0.25)
    gain = float((reference - real).mean())
    kept = dear["kept"]["fcfs"]
    assert kept["gain"]["mean"] == pytest.approx(gain - np.log(1.25))
    assert kept["share"]["mean"] == pytest.approx(1 - np.log(1.25) / gain)
    assert kept["share"]["low"] < kept["share"]["mean"] < kept["share"]["high"] < 1
    assert rows["alike"]["cost"]["low"] < 0 < rows["alike"]["cost"]["high"]
    assert dear["score"]["mean"] == pytest.approx(float((real - reference).mean()) + np.log(1.25))


@pytest.mark.parametrize("gain", [0.0, 0.04, -1.0])
def test_a_gain_near_nothing_is_no_measure(by, gain):
    real = noise(8, 0.01, 1)
    rows = judged({"real": real}, real, {"sjf": np.full((1, len(FIRST)), gain)}, "sjf", by)
    assert rows[0]["kept"]["sjf"]["share"] is None
    assert rows[0]["kept"]["sjf"]["gain"]["mean"] == pytest.approx(gain, abs=0.01)


def test_one_seed_and_one_stretch_have_no_interval():
    by = Resampled(1, np.array([3, 5]), 200)
    value = by.value(np.array([[1.0, 2.0]]))
    assert (value.mean, value.low, value.high) == (1.5, None, None)


def test_a_share_of_what_a_resample_lacks_has_no_bounds():
    gain = np.array([[0.0, 3.0, 3.1, 3.2, 2.9]])  # one stretch is quiet
    drawn = (Resampled(8, np.arange(5) * 200, 200, seed=seed) for seed in range(50))
    by = next(one for one in drawn if one.means(gain).min() == 0)  # drew it five times
    real = np.zeros((8, 5))
    kept = judged({"real": real}, real, {"fcfs": gain}, "fcfs", by)[0]["kept"]["fcfs"]
    assert kept["gain"]["low"] > 0.05
    assert kept["share"] == {"mean": 1.0, "low": None, "high": None}
