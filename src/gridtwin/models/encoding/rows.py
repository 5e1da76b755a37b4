"""What all models of rows share: the encoder, chunks of a sample, saving."""

from abc import abstractmethod
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.models.base import State, Surrogate
from gridtwin.models.encoding.encoder import CHUNK, Cells, Encoder
from gridtwin.models.encoding.instants import with_instants
from gridtwin.models.encoding.novelty import broken, novelty
from gridtwin.trace import JobTable, TraceSchema

__all__ = ["RowModel"]

Floats = NDArray[np.float64]


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

    def surprise(self, jobs: JobTable) -> pl.DataFrame:
        """Return how odd each value of each job is, in nats: minus the logarithm of its chance.

        One row a job, in their order; a column for each that is modelled, but not for instants:
        when a job comes is nothing odd. The sum of a row is how odd the job is. Numbers are judged
        to about a tenth of their range of ranks. Jobs that were fitted seem less odd than others.

        Raises `SchemaError` where a fitted column is missing, `InputError` for a model that can
        sample only. Memory: 200,000 rows at a time, and the result.
        """
        self._check_fitted()
        frame = jobs.collect()
        if missing := [name for name in self._columns_ if name not in frame.columns]:
            raise SchemaError(
                f"{self.name} was fitted with the columns {', '.join(map(repr, missing))}, which "
                "are not there; give jobs of the same source, or fit the model to these"
            )
        frame = with_instants(frame.select(self._columns_))
        starts = range(0, max(frame.height, 1), CHUNK)
        return pl.concat(self._surprises(frame[begin : begin + CHUNK]) for begin in starts)

    def _surprises(self, frame: pl.DataFrame) -> pl.DataFrame:
        known = self._surprise(self.encoder_.encode(frame))
        more, instead = novelty(self.encoder_, frame, self._n_)
        parts = np.where(np.isnan(instead), known + more, instead)
        kinds = TraceSchema.canonical()
        own = {
            name: parts[:, k]
            for k, name in enumerate(self.encoder_.names)
            if kinds[name].kind != "time"
        }
        return pl.DataFrame(own | broken(self.encoder_, frame, self._n_))

    def _surprise(self, cells: Cells) -> Floats:
        """Return minus the logarithm of the chance of each cell, (n, columns) nats."""
        raise InputError(
            f"{self.name} makes jobs but cannot say how odd one is; take cart or tabddpm"
        )

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
