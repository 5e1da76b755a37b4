"""SMOTE as a generator: points between a row and one of its neighbours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from gridtwin.models.base import State
from gridtwin.models.encoding import Cells, RowModel
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.views import from_scores, scores

__all__ = ["SMOTE"]

_POINTS = 8
"""Dimensions in which a name is a random point while candidates are sought."""
_CANDIDATES = 4
"""So many times `k` candidates are weighed exactly."""
_BLOCK = 20_000
"""Rows whose neighbours are sought at a time."""


class SMOTE(RowModel):
    """Rows between a training row and one of its `k` nearest, for numbers and names.

    Numbers lie a uniform share of the way to the neighbour, names are the most frequent among the
    neighbours, the nearest one's if several are (SMOTE-NC; Chawla et al., Journal of Artificial
    Intelligence Research 16, 2002, section 6.1). Distance and way are taken on normal scores
    of ranks, of unit variance in each column, so that heavy tails do not decide and numbers
    that repeat come out as values that were seen; a differing name counts like one standard
    deviation. Without classes: all rows are of one.

    Neighbours are the nearest of `4 k` candidates of a k-d tree in which each name is a random
    point. The saved model holds the training rows: share samples, not the model.

    Parameters
    ----------
    k
        Neighbours.
    """

    def __init__(self, *, seed: int = 0, k: int = 5) -> None:
        super().__init__(seed=seed)
        self.k = k

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        self.cells_ = cells
        self.neighbours_ = self._search(rng)

    def _names(self) -> NDArray[np.bool_]:
        return np.array([isinstance(c, Name) for c in self.encoder_.coders.values()], dtype=bool)

    def _search(self, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return the nearest other rows of each row, (n, up to k); itself where it is alone."""
        n, names = len(self.cells_), self._names()
        z = scores(self.encoder_, self.cells_)[:, ~names]
        z /= np.where(z.std(axis=0) > 1e-9, z.std(axis=0), 1.0)
        kinds = self.cells_.cell[:, names]
        parts = [z]
        for column in kinds.T:
            points = rng.standard_normal((int(column.max()) + 1, _POINTS))
            points /= np.linalg.norm(points, axis=1, keepdims=True) * np.sqrt(2)
            parts.append(points[column])
        X = np.column_stack([np.zeros(n), *parts])  # a tree needs one column at least
        tree = KDTree(X, balanced_tree=False, compact_nodes=False)
        k = min(self.k, n - 1)
        if k < 1:
            return np.zeros((n, 1), dtype=np.int32)
        out = np.empty((n, k), dtype=np.int32)
        for begin in range(0, n, _BLOCK):
            rows = np.arange(begin, min(begin + _BLOCK, n))
            _, near = tree.query(X[rows], k=min(n, _CANDIDATES * self.k + 1))
            distance = ((z[rows, None] - z[near]) ** 2).sum(axis=2)
            distance += (kinds[rows, None] != kinds[near]).sum(axis=2)
            distance[near == rows[:, None]] = np.inf
            best = np.argsort(distance, axis=1, kind="stable")[:, :k]
            out[rows] = np.take_along_axis(near, best, axis=1)
        return out

    def _draw(self, n: int, rng: np.random.Generator) -> Cells:
        own = rng.integers(0, len(self.cells_), n)
        near = self.neighbours_[own]
        other = near[np.arange(n), rng.integers(0, near.shape[1], n)]
        way = rng.random((n, 1))
        z = scores(self.encoder_, self.cells_[own])
        step = scores(self.encoder_, self.cells_[other]) - z
        between = from_scores(self.encoder_, z + way * step)
        same = self.cells_.cell[own] == self.cells_.cell[other]
        between.cell[same] = self.cells_.cell[own][same]  # not the one beside it by rounding
        for k in np.flatnonzero(self._names()):
            donor = _majority(self.cells_.cell[near, k])
            rows = near[np.arange(n), donor]
            between.cell[:, k] = self.cells_.cell[rows, k]
            between.place[:, k] = self.cells_.place[rows, k]
        return between

    def _weights(self) -> State:
        arrays = self.cells_.to_arrays()
        return {"holds_training_rows": True}, arrays | {"neighbours": self.neighbours_}

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.cells_ = Cells.from_arrays(arrays)
        self.neighbours_ = arrays["neighbours"]


def _majority(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where in each row of (n, k) values the most frequent one is first; ties: the first."""
    votes = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    return np.asarray(np.argmax(votes, axis=1))
