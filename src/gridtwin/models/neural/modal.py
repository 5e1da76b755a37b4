"""The base of the nets that see loose values as modes of a mixture and places in them."""

from typing import Any

import numpy as np
import torch

from gridtwin.models.base import State
from gridtwin.models.encoding import Cells
from gridtwin.models.encoding.modes import Modes
from gridtwin.models.encoding.views import Mixed
from gridtwin.models.neural.base import NeuralModel
from gridtwin.models.neural.layout import Layout
from gridtwin.models.neural.training import Rows

__all__ = ["ModalModel"]


class ModalModel(NeuralModel):
    """A net whose rows have the modes of loose values among their states (`encoding.modes`)."""

    modes_: Modes

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        self.modes_ = Modes.fit(self.encoder_, cells, rng)
        super()._learn(cells, rng)

    def _layout(self) -> Layout:
        sizes, counts = self.modes_.sizes(self.encoder_), self.modes_.counts(self.encoder_)
        return Layout.made(self.encoder_.names, sizes, counts)

    def _rows(self, cells: Cells) -> Rows:
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        view = self.modes_.mixed(self.encoder_, cells, rng)
        state = torch.from_numpy(view.state.astype(np.int64))
        return {"score": torch.from_numpy(view.score), "state": state}

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        state = rows["state"].cpu().numpy().astype(np.int32)
        return self.modes_.from_mixed(self.encoder_, Mixed(rows["score"].cpu().numpy(), state), rng)

    def _weights(self) -> State:
        meta, arrays = super()._weights()
        return meta, arrays | self.modes_.to_arrays()

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.modes_ = Modes.from_arrays(arrays)
        super()._restore_weights(meta, arrays)
