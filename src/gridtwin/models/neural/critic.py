"""Whether sampled rows come too near to the training rows: Q_delta (Solatorio & Dupriez, 2023)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from gridtwin.models.encoding import Cells, Encoder
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.views import scores

__all__ = ["Critic"]

Floats = NDArray[np.float64]
LEVELS = np.linspace(0.01, 0.05, 5)
"""The quantiles of the distances that are compared: the lowest, where copies are."""
ROUNDS, SURE = 500, 0.95
"""Rounds of the bootstrap, and the quantile of them that is the limit."""
BASE_MOST, HELD_MOST = 10_000, 1000
"""Rows to which the nearest is searched, and rows held out, at most."""
BLOCK = 200


@dataclass(frozen=True)
class Critic:
    """The distances of held-out rows to their closest training row, and what is compared to them.

    Of v_i, the quantile q_i of those distances, and p_i, the share of sampled rows nearer than
    v_i, the paper takes Q_delta = mean of p_i - q_i. Here the share of held-out rows stands for
    q_i: with many equal distances it is more. The limit is what Q_delta stays below in 95 % of
    pairs of bootstrap samples of held-out rows. A distance is the sum of the differences of the
    numbers' ranks (0 to 1), and 1 for each other name. Memory: 10,000 rows and blocks of 200.
    """

    encoder: Encoder
    base: Floats
    held: Floats
    """Their distances, rising."""
    limit: float

    @classmethod
    def of(cls, encoder: Encoder, held: Cells, base: Cells, rng: np.random.Generator) -> Self:
        """Return what the distances from rows held out to training rows say."""
        few = rng.permutation(len(base))[:BASE_MOST]
        rows = _ranks(encoder, base[few])
        own = np.sort(_closest(_ranks(encoder, held[:HELD_MOST]), rows, _named(encoder)))
        pairs = ((rng.choice(own, len(own)), rng.choice(own, len(own))) for _ in range(ROUNDS))
        drawn = [_excess(one, two, own) for one, two in pairs]
        return cls(encoder, rows, own, float(np.quantile(drawn, SURE)))

    def excess(self, sample: Cells) -> float:
        """Return Q_delta of sampled rows: above 0 where more of them are near than held out."""
        rows = _ranks(self.encoder, sample)
        return _excess(_closest(rows, self.base, _named(self.encoder)), self.held, self.held)


def _excess(one: Floats, two: Floats, own: Floats) -> float:
    ends = np.quantile(own, LEVELS)
    shares = (np.searchsorted(np.sort(d), ends, "right") / len(d) for d in (one, two))
    return float(np.mean(np.subtract(*shares)))


def _named(encoder: Encoder) -> NDArray[np.bool_]:
    return np.array([isinstance(coder, Name) for coder in encoder.coders.values()])


def _ranks(encoder: Encoder, cells: Cells) -> Floats:
    """Return the ranks of numbers and the cells of names, (n, columns)."""
    return np.where(_named(encoder), cells.cell, ndtr(scores(encoder, cells)))


def _closest(rows: Floats, base: Floats, named: NDArray[np.bool_]) -> Floats:
    out = np.empty(len(rows))
    for begin in range(0, len(rows), BLOCK):
        part = slice(begin, begin + BLOCK)
        total = np.zeros((len(rows[part]), len(base)))
        for k, name in enumerate(named):
            own, other = rows[part, k, None], base[None, :, k]
            total += own != other if name else np.abs(own - other)
        out[part] = total.min(axis=1)
    return out
