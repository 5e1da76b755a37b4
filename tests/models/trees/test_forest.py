"""Leaves give training rows: the right ones, each about once, and only those allowed."""

import numpy as np

from gridtwin.models.trees.forest import LeafForest


def test_a_forest_draws_rows_from_the_right_leaf_and_uses_all_equally():
    rng = np.random.default_rng(0)
    X = np.repeat(np.arange(4, dtype=np.float32), 50)[:, None]
    forest = LeafForest.grow(X, X.astype(float), rng, trees=1, leaf=20, fraction=1.0)
    rows = forest.draw(X, rng, np.full((200, 1), -1, dtype=np.int32))
    np.testing.assert_array_equal(X[rows], X)
    assert len(np.unique(rows)) == 200


def test_a_forest_avoids_rows_where_it_can():
    rng = np.random.default_rng(0)
    X = np.zeros((50, 1), dtype=np.float32)
    forest = LeafForest.grow(X, X.astype(float), rng, trees=3, leaf=5, fraction=0.8)
    own = np.arange(50, dtype=np.int32)[:, None]
    assert (forest.draw(X, rng, own) != own[:, 0]).all()


def test_a_leaf_without_a_fitting_row_takes_the_nearest_above():
    X = np.repeat(np.arange(4, dtype=np.float32), 50)[:, None]
    Y = np.array([0.0, 1.0, 10.0, 11.0]).repeat(50)[:, None]
    rng = np.random.default_rng(0)
    forest = LeafForest.grow(X, Y, rng, trees=1, leaf=20, fraction=1.0)
    only = np.isin(X[:, 0], [1, 2])
    used = np.full((200, 1), -1, dtype=np.int32)
    assert X[forest.only(only).draw(X, rng, used), 0].tolist() == [1.0] * 100 + [2.0] * 100
    lone = np.arange(200) == 7
    bagged = LeafForest.grow(X, Y, rng, trees=5, leaf=5, fraction=0.1).only(lone)
    assert set(bagged.draw(X, rng, used).tolist()) == {7}
