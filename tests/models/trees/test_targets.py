"""What trees predict has unit variance; the variance of indicators is the Gini index."""

import numpy as np
import pytest

from gridtwin.models.trees.targets import indicators, rank, standard


def test_numbers_and_ranks_have_unit_variance():
    values = np.array([5, 1, 1000, 7])
    assert standard(values).std() == pytest.approx(1.0)
    np.testing.assert_allclose(rank(values), standard(np.array([1, 0, 3, 2])))
    assert not standard(np.zeros(3)).any()


def test_indicators_vary_as_the_gini_index():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(4), [400, 300, 200, 100])
    points = rng.normal(size=(4, 4000))
    targets = np.column_stack(indicators(codes, points, 1.5))
    assert targets.std() == pytest.approx(1.5, rel=0.01)
    spread = points[codes]

    def within(rows):
        return spread[rows].var(axis=0).mean()

    def gini(rows):
        return 1 - np.square(np.bincount(codes[rows]) / rows.sum()).sum()

    half, whole = codes < 2, codes < 4
    assert within(half) / within(whole) == pytest.approx(gini(half) / gini(whole), rel=0.05)
