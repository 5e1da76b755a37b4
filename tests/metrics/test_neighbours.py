"""The tree against the comparison of every pair."""

import numpy as np
import pytest

from gridtwin.core.executor import Executor
from gridtwin.metrics import neighbours
from gridtwin.metrics.neighbours import distinct_rows, nearest


def plain(queries: np.ndarray, base: np.ndarray, numbers: int):
    """Return distances and ties by the formula, every pair; terms added in the tree's order."""
    total = np.zeros((len(queries), len(base)))
    for k in range(queries.shape[1] - 1, -1, -1):
        a, b = queries[:, k, None], base[None, :, k]
        nulls = np.isnan(a).astype(int) + np.isnan(b)
        if k < numbers:
            total += np.where(nulls == 0, (a - b) * (a - b), nulls % 2)
        else:
            total += 2.0 * np.where(nulls == 0, a != b, nulls % 2)
    best = total.min(1)
    return np.sqrt(best), (total == best[:, None]).sum(1)


def table(rng, n: int, numbers: int, categories: int) -> np.ndarray:
    """Return rows with ties, nulls, odd values, and categories of unequal frequency."""
    scale = rng.choice([1.0, 3.0])
    x = np.round(rng.random((n, numbers)) * scale, int(rng.integers(1, 4)))
    z = np.floor(rng.exponential(rng.choice([1.0, 5.0]), (n, categories)))
    rows = np.column_stack([x, z])
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows


@pytest.mark.parametrize("seed", range(40))
def test_the_tree_finds_what_comparing_every_pair_finds(seed):
    rng = np.random.default_rng(seed)
    p, c = [(0, 2), (1, 0), (2, 2), (3, 1)][seed % 4]
    queries, base = (table(rng, int(rng.integers(1, 400)), p, c) for _ in range(2))
    distance, count = nearest(queries, base, p)
    expected, ties = plain(queries, base, p)
    np.testing.assert_allclose(distance, expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(count, ties)


def test_other_processes_find_the_same(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 100)
    rng = np.random.default_rng(1)
    queries, base = table(rng, 450, 2, 2), table(rng, 300, 2, 2)
    here = nearest(queries, base, 2)
    there = nearest(queries, base, 2, executor=Executor("processes", 2))
    np.testing.assert_array_equal(here, there)


def test_one_row_often_is_counted_as_often():
    base = np.repeat([[0.5, 1.0], [0.1, 0.0]], [70, 30], axis=0)
    distance, count = nearest(np.array([[0.5, 1.0], [0.1, 2.0]]), base, 1)
    np.testing.assert_allclose(distance, [0, np.sqrt(2)])
    assert count.tolist() == [70, 30]


def test_nothing_is_infinitely_far():
    distance, count = nearest(np.zeros((3, 2)), np.zeros((0, 2)), 1)
    assert np.isinf(distance).all()
    assert count.tolist() == [0, 0, 0]
    assert nearest(np.zeros((0, 2)), np.zeros((3, 2)), 1)[0].shape == (0,)


def test_distinct_rows_give_the_table_back():
    rows = np.array([[1.0, np.nan], [0.0, 2.0], [1.0, np.nan], [1.0, 2.0]])
    kept, place, counts = distinct_rows(rows)
    np.testing.assert_array_equal(kept[place], rows)
    assert counts.sum() == 4
    assert len(kept) == 3
