"""The Gaussian copula: the marginals as they are, one correlation between any two columns."""

from typing import Any

import numpy as np

from gridtwin.models.base import State
from gridtwin.models.encoding import CHUNK, Cells, RowModel
from gridtwin.models.encoding.views import from_scores, scores

__all__ = ["GaussianCopula"]


class GaussianCopula(RowModel):
    """Correlated normal variables, one a column, cut and bent to each column's distribution.

    A value is replaced by the normal score of its rank; the correlations of the scores are all
    that is learnt of how columns belong together (Nelsen, An Introduction to Copulas, 2006). An
    atom or a name holds a range of ranks and is learnt with the middle of it; in a sample the cut
    points between those ranges decide. Names are in order of the mean rank of their numbers.

    Quick, small (no training row is kept) and blunt: it cannot say "this user, that queue".
    """

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        p = cells.cell.shape[1]
        total, products = np.zeros(p), np.zeros((p, p))
        for begin in range(0, len(cells), CHUNK):
            part = scores(self.encoder_, cells[begin : begin + CHUNK])
            total += part.sum(axis=0)
            products += part.T @ part
        mean = total / len(cells)
        covariance = products / len(cells) - np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        varied = spread > 1e-6
        spread = np.where(varied, spread, 1.0)
        both = np.outer(varied, varied)
        correlation = np.where(both, covariance / np.outer(spread, spread), 0.0)
        np.fill_diagonal(correlation, 1.0)
        self.correlation_ = correlation

    def _draw(self, n: int, rng: np.random.Generator) -> Cells:
        values, vectors = np.linalg.eigh(self.correlation_)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = rng.standard_normal((n, len(values))) @ root.T
        return from_scores(self.encoder_, normal)

    def _weights(self) -> State:
        return {}, {"correlation": self.correlation_}

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.correlation_ = arrays["correlation"]
