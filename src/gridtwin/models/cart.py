"""Sequential trees with leaf donors: each column from a training row that resembles the new one."""

from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from gridtwin.models.base import State
from gridtwin.models.encoding import Cells, RowModel
from gridtwin.models.encoding.encoder import Coder
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.views import scores
from gridtwin.models.trees.forest import LeafForest
from gridtwin.models.trees.holdout import Choice, Privacy, choose_leaf, wanted
from gridtwin.models.trees.likelihood import leaf_surprise
from gridtwin.models.trees.targets import indicators, standard

__all__ = ["CART"]

ROWS_A_TREE = 20_000
"""A tree sees this many rows at most, so that the time of fitting does not grow with the rows."""


class CART(RowModel):
    """Columns drawn one after the other, each from the leaf of a tree over those before it.

    The value is that of a training row in the leaf (Reiter, Journal of Official Statistics 21,
    2005): atoms stay atoms. Several trees, each on a part of the rows, and one of them at random
    for each value; inside a leaf the rows are used in turn; no row gives two values to the same
    job if that can be avoided. A loose number then moves a little inside its cell.

    The saved model holds the training rows, in pieces: share samples, not the model.

    Parameters
    ----------
    trees
        Trees a column.
    leaf
        Smallest number of training rows in a leaf: smaller is closer to the rows, larger more
        private.
    fraction
        Part of the rows that a tree sees, 20,000 of them at most.
    blur
        Standard deviation by which the place of a loose number in its cell moves.
    privacy
        ``fixed``: the leaf as given. ``auto``: the smallest at which samples do not lean towards
        the training rows, chosen on an internal hold-out (`gridtwin.models.trees.holdout`; three
        fits more). What was chosen is in `leaf_` and `choice_`, and in the saved ``model.json``.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "trees": (1, 1000),
        "leaf": (1, 1_000_000_000),
        "fraction": (1e-6, 1.0),
        "blur": (0.0, 1.0),
    }

    def __init__(
        self,
        *,
        seed: int = 0,
        trees: int = 8,
        leaf: int = 5,
        fraction: float = 0.5,
        blur: float = 0.2,
        privacy: Privacy = "fixed",
    ) -> None:
        super().__init__(seed=seed)
        self.trees = trees
        self.leaf = leaf
        self.fraction = fraction
        self.blur = blur
        self.privacy = privacy

    def _fit(self, frame: pl.DataFrame, rng: np.random.Generator) -> None:
        self.leaf_ = self.leaf
        self.choice_: Choice | None = None
        if wanted(self.privacy):
            self.choice_ = choose_leaf(self._with_leaf, frame, rng, self.leaf)
            self.leaf_ = self.choice_.leaf
        super()._fit(frame, rng)

    def _with_leaf(self, leaf: int) -> "CART":
        """Return an unfitted model of the same parameters but for the leaf."""
        return CART(**self.parameters() | {"leaf": leaf, "privacy": "fixed"})

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        self.cells_ = cells
        axes = scores(self.encoder_, cells).astype(np.float32)
        fraction = min(self.fraction, ROWS_A_TREE / len(cells))
        self.forests_ = [
            LeafForest.grow(
                axes[:, :k],
                self._targets(k, coder, axes[:, k], rng),
                rng,
                trees=self.trees,
                leaf=self.leaf_,
                fraction=fraction,
            )
            for k, coder in enumerate(self.encoder_.coders.values())
            if k
        ]

    def _targets(
        self, k: int, coder: Coder, axis: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the trees of a column predict, (n, targets), each of about unit variance.

        Of numbers the normal score and the rank; of points (atoms and names) eight random
        projections of their indicators, whose variance stands for the Gini index.
        """
        cell = self.cells_.cell[:, k]
        targets: list[NDArray[np.float64]] = []
        if not isinstance(coder, Name):
            targets += [standard(axis), standard(ndtr(axis))]
        points = rng.standard_normal((coder.size, 8))
        points[coder.part >= 0] = 0.0
        if coder.size > 1 and points.any():
            targets += indicators(cell, points, 1.5 if isinstance(coder, Name) else 0.5)
        return np.column_stack(targets or [np.zeros(len(axis))])

    def _draw(self, n: int, rng: np.random.Generator) -> Cells:
        columns = list(self.encoder_.coders.values())
        m = len(self.cells_)
        out = Cells(np.zeros((n, len(columns)), dtype=np.int32), np.zeros((n, len(columns))))
        axes = scores(self.encoder_, self.cells_).astype(np.float32)
        X = np.empty((n, len(columns)), dtype=np.float32)
        used = np.full((n, len(columns)), -1, dtype=np.int32)
        for k, coder in enumerate(columns):
            if k:
                rows = self.forests_[k - 1].draw(X[:, :k], rng, used[:, :k])
            else:
                rows = rng.permutation(rng.permutation(m)[np.arange(n) % m])
            used[:, k], X[:, k] = rows, axes[rows, k]
            out.cell[:, k] = self.cells_.cell[rows, k]
            place = self.cells_.place[rows, k]
            if not isinstance(coder, Name):
                moved = np.abs(place + rng.normal(0.0, self.blur, n)) % 2.0
                place = np.minimum(moved, 2.0 - moved)
            out.place[:, k] = place
        return out

    def _surprise(self, cells: Cells) -> NDArray[np.float64]:
        return leaf_surprise(self.encoder_, self.forests_, self.cells_, cells)

    def _weights(self) -> State:
        arrays = self.cells_.to_arrays()
        for k, forest in enumerate(self.forests_):
            arrays |= forest.to_arrays(f"forest.{k}")
        meta = {
            "leaf": self.leaf_,
            "privacy": self.choice_ and self.choice_.to_json(),
            "holds_training_rows": True,
        }
        return meta, arrays

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.leaf_ = meta["leaf"]
        self.choice_ = Choice.from_json(meta["privacy"])
        self.cells_ = Cells.from_arrays(arrays)
        self.forests_ = [
            LeafForest.from_arrays(f"forest.{k}", arrays)
            for k in range(len(self.encoder_.coders) - 1)
        ]
