"""CopulaGAN: normal scores of whole columns, and the adversarial net of CTGAN on them."""

import numpy as np
import torch
from torch import Tensor

from gridtwin.models.encoding import Cells
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.views import from_scores
from gridtwin.models.neural import Layout
from gridtwin.models.neural.conditional import ConditionalGAN
from gridtwin.models.neural.training import Rows

__all__ = ["CopulaGAN"]

EDGE = 4e-5
"""Ranks stay this far from 0 and 1, normal scores within 4."""


class CopulaGAN(ConditionalGAN):
    """An adversarial net of rows whose numbers are normal scores of their columns.

    As in a Gaussian copula, a number is its place in the distribution of its column, made normal:
    one score for all its values, without modes. A value that repeats is a range of ranks; each
    step draws anew where in it a row is, so that scores are normal however few values there are.
    A number without a value is the lowest range. Names are states. The parameters are those of
    `ConditionalGAN`.
    """

    reach = 4.0

    def _layout(self) -> Layout:
        sizes, scored = [], []
        for coder in self.encoder_.coders.values():
            name = isinstance(coder, Name)
            sizes.append(coder.size if name else 1)
            scored.append(int(not name and (coder.size > 1 or coder.part[0] >= 0)))
        return Layout.made(self.encoder_.names, sizes, scored)

    def _rows(self, cells: Cells) -> Rows:
        low, length = np.zeros((2, *cells.cell.shape), dtype=np.float32)
        state = np.zeros(cells.cell.shape, dtype=np.int64)
        for k, coder in enumerate(self.encoder_.coders.values()):
            cell, mass = cells.cell[:, k], coder.mass
            if isinstance(coder, Name):
                state[:, k] = cell
                continue
            begin, point = np.cumsum(mass) - mass, coder.part[cell] < 0
            low[:, k] = begin[cell] + np.where(point, 0.0, cells.place[:, k]) * mass[cell]
            length[:, k] = np.where(point, mass[cell], 0.0)
        rows = {"low": low, "length": length, "state": state}
        return {name: torch.from_numpy(array) for name, array in rows.items()}

    def _open(self, rows: Rows) -> Tensor:
        rank = rows["low"] + rows["length"] * torch.rand_like(rows["length"])
        score = torch.special.ndtri(rank.clamp(EDGE, 1 - EDGE))
        return self.layout_.open({"score": score, "state": rows["state"]})

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        state = rows["state"].cpu().numpy()
        cells = from_scores(self.encoder_, rows["score"].cpu().numpy().astype(np.float64))
        for k, coder in enumerate(self.encoder_.coders.values()):
            if isinstance(coder, Name):  # which name of a bucket is drawn
                cells.cell[:, k], cells.place[:, k] = state[:, k], rng.random(len(state))
        return cells
