"""CTGAN: a conditional adversarial net of rows (Xu et al., NeurIPS 2019)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gridtwin.models.base import State
from gridtwin.models.encoding import Cells
from gridtwin.models.encoding.modes import Modes
from gridtwin.models.encoding.views import Mixed
from gridtwin.models.neural import Layout
from gridtwin.models.neural.conditional import ConditionalGAN
from gridtwin.models.neural.training import Rows

__all__ = ["CTGAN"]


class CTGAN(ConditionalGAN):
    """An adversarial net of rows whose numbers are modes of a normal mixture and places in them.

    Values that repeat are states beside the modes, which the paper does not have. The parameters
    are those of `ConditionalGAN`.
    """

    fast_steps = 5000

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        self.modes_ = Modes.fit(self.encoder_, cells, rng)
        super()._learn(cells, rng)

    def _layout(self) -> Layout:
        sizes, counts = self.modes_.sizes(self.encoder_), self.modes_.counts(self.encoder_)
        return Layout.made(self.encoder_.names, sizes, counts)

    def _rows(self, cells: Cells) -> Rows:
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        view = self.modes_.mixed(self.encoder_, cells, rng)
        return {
            "score": torch.from_numpy(view.score),
            "state": torch.from_numpy(view.state.astype(np.int64)),
        }

    def _open(self, rows: Rows) -> Tensor:
        return self.layout_.open(rows)

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        state = rows["state"].cpu().numpy().astype(np.int32)
        return self.modes_.from_mixed(self.encoder_, Mixed(rows["score"].cpu().numpy(), state), rng)

    def _weights(self) -> State:
        meta, arrays = super()._weights()
        return meta, arrays | self.modes_.to_arrays()

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.modes_ = Modes.from_arrays(arrays)
        super()._restore_weights(meta, arrays)
