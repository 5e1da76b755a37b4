"""What the leaves of trees say of a value: how many of their rows have it, or one near it."""

import numpy as np
from numpy.typing import NDArray

from gridtwin.models.encoding import Cells, Encoder
from gridtwin.models.encoding.views import continua, mixed, scores
from gridtwin.models.trees.forest import LeafForest

__all__ = ["leaf_surprise"]

Floats = NDArray[np.float64]
NEAR = 0.25
"""Loose numbers are near each other if their normal scores differ by no more than this."""
APART = 20.0
"""States are this far from each other on a line on which a loose number is at its score."""


def leaf_surprise(
    encoder: Encoder, forests: list[LeafForest], fitted: Cells, cells: Cells
) -> Floats:
    """Return minus the logarithm of the chance of each value given those before it, (n, columns).

    The chance is the mean over the trees of the share of the leaf's rows that have the same state
    (atom, name, no value), or a loose number near the value's; all fitted rows together count for
    one row more, so that nothing is impossible. Memory: some numbers a row of `cells`, and of the
    fitted rows for one tree.

    Parameters
    ----------
    forests
        Of each column but the first, over the columns before it.
    fitted
        The rows that the forests' leaves name.
    """
    axes = scores(encoder, cells).astype(np.float32)
    donors, own = mixed(encoder, fitted), mixed(encoder, cells)
    out = np.empty(axes.shape)
    for k, loose in enumerate(continua(encoder)):
        donor, _ = _window(donors.state[:, k], donors.score[:, k], loose)
        low, high = _window(own.state[:, k], own.score[:, k], loose, NEAR)
        overall = np.sort(donor)
        prior = (_between(overall, low, high) + 1) / (len(overall) + 1)
        if not k:
            out[:, k] = -np.log(prior)
            continue
        chance = np.zeros(len(cells))
        for tree in range(len(forests[k - 1].roots)):
            leaf = forests[k - 1].leaves(axes[:, :k], tree)
            chance += _share(forests[k - 1], tree, leaf, donor, (low, high), prior)
        out[:, k] = -np.log(chance / len(forests[k - 1].roots))
    return out


def _window(
    state: NDArray[np.int32], score: NDArray[np.float32], loose: int, near: float = 0.0
) -> tuple[Floats, Floats]:
    """Return from where to where values count as the same."""
    at = APART * state.astype(np.float64) + np.where(state < loose, score.astype(np.float64), 0.0)
    reach = np.where(state < loose, near, 0.0)
    return at - reach, at + reach


def _share(
    forest: LeafForest,
    tree: int,
    leaf: NDArray[np.int32],
    donor: Floats,
    window: tuple[Floats, Floats],
    prior: Floats,
) -> Floats:
    """Return the share of the rows of each leaf that are in the window, (n,)."""
    end = forest.roots[tree + 1] if tree + 1 < len(forest.roots) else len(forest.first) - 1
    first = forest.first[forest.roots[tree] : end + 1]
    rows = forest.rows[first[0] : first[-1]]
    length = donor.max() + APART  # of a line for each leaf, one after the other
    keys = np.sort(donor[rows] + length * np.repeat(np.arange(len(first) - 1), np.diff(first)))
    at = leaf - forest.roots[tree]
    low, high = (edge + length * at for edge in window)
    size = first[at + 1] - first[at]
    return np.asarray((_between(keys, low, high) + prior) / (size + 1))


def _between(ordered: Floats, low: Floats, high: Floats) -> NDArray[np.int64]:
    """Return how many of some ordered numbers are from `low` to `high`."""
    slack = 1e-6  # of adding a small number to a large one
    last = np.searchsorted(ordered, high + slack, "right")
    return np.asarray(last - np.searchsorted(ordered, low - slack, "left"))
