"""Which values jobs take, where their number is asked for."""

import numpy as np
import pytest

from gridtwin.models.whatif.donors import choose_exactly


def test_values_are_chosen_by_their_odds_and_their_count():
    rng = np.random.default_rng(0)
    likely = np.repeat([[0.5, 0.5], [0.1, 0.9], [0.0, 1.0], [1.0, 0.0]], 1000, axis=0)
    value = choose_exactly(likely, np.array([2000, 2000]), rng)
    taken = (value == 0).reshape(4, 1000).mean(axis=1)
    assert value is not None
    assert (value == 0).sum() == 2000
    assert taken[2:].tolist() == [0.0, 1.0]
    odds = taken[:2] / (1 - taken[:2])
    assert odds[0] / odds[1] == pytest.approx(9, rel=0.25)
    assert choose_exactly(likely, np.array([3500, 500]), rng) is None
    assert choose_exactly(likely, np.array([500, 3500]), rng) is None
