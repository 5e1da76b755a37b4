"""What all models of rows share: the encoder, chunks of a sample, saving."""

from abc import abstractmethod
from typing import Any

import numpy as np
import polars as pl

from gridtwin.models.base import State, Surrogate
from gridtwin.models.encoding.encoder import CHUNK, Cells, Encoder
from gridtwin.models.encoding.instants import with_instants

__all__ = ["RowModel"]


class RowModel(Surrogate):
    """A model of jobs as independent rows, as the literature has them.

    The submit time is a number like others here: rows are drawn and then put in its order, so
    the gaps between arrivals are those of independent times. For arrivals as users make them
    take the model ``trace``.

    Children implement `_learn`, `_draw`, `_weights` and `_restore_weights` on encoded rows.
    """

    def _fit(self, frame: pl.DataFrame, rng: np.random.Generator) -> None:
        output = frame.columns
        frame = with_instants(frame)
        self.encoder_ = Encoder.fit(frame, output, rng)
        self._learn(self.encoder_.encode(frame), rng)

    def _sample(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        sizes = [min(CHUNK, n - begin) for begin in range(0, n, CHUNK)] or [0]
        parts = [self.encoder_.decode(self._draw(size, rng), rng) for size in sizes]
        return self.encoder_.finish(parts)

    def _state(self) -> State:
        meta, arrays = self._weights()
        encoder, more = self.encoder_.state()
        return meta | {"encoder": encoder}, arrays | more

    def _restore(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.encoder_ = Encoder.restore(meta["encoder"], arrays)
        self._restore_weights(meta, arrays)

    @abstractmethod
    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        """Learn from the encoded training rows."""

    @abstractmethod
    def _draw(self, n: int, rng: np.random.Generator) -> Cells:
        """Return `n` encoded rows, 0 among them."""

    @abstractmethod
    def _weights(self) -> State:
        """Return all that `_restore_weights` needs; the encoder is kept already."""

    @abstractmethod
    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Undo `_weights`."""
