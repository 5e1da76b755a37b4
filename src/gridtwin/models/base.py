"""The contract of every surrogate: fit, sample, save, load."""

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

import gridtwin
from gridtwin.core.errors import FormatError, InputError, NotFittedError
from gridtwin.core.files import writing
from gridtwin.core.seeds import generator
from gridtwin.models.whatif import Mix, Start, WhatIf, Where
from gridtwin.trace import JobTable, Provenance

__all__ = ["State", "Surrogate"]

State = tuple[dict[str, Any], dict[str, np.ndarray]]
"""A fitted state: what fits into JSON, and arrays."""


class Surrogate(ABC):
    """A generative model of a job trace.

    Hyper-parameters are keyword arguments of ``__init__``, stored unchanged under their names;
    fitted attributes end in ``_``. Children implement `_fit`, `_sample`, `_state`, `_restore`.
    """

    name: ClassVar[str] = ""
    """What the model is found by: its module's name, or that of its entry point."""
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}
    """Least and greatest value of hyper-parameters, checked by `fit`; whole numbers for a whole
    number."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.name = cls.__module__.rpartition(".")[2]

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, jobs: JobTable) -> Self:
        """Learn from the jobs; return the model itself.

        Raises `SchemaError` when a needed column is missing, `InputError` when there is no row or
        a hyper-parameter is out of its range.
        """
        self._check_ranges()
        frame = jobs.collect()
        if frame.height == 0:
            raise InputError(
                f"{self.name}: nothing to fit, the table has no rows; check the source"
            )
        self._columns_ = frame.columns
        self._n_ = frame.height
        self._source_ = jobs.provenance.to_json()
        self._fit(frame, np.random.default_rng(np.random.SeedSequence([self.seed, 0])))
        return self

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | np.random.Generator | None = None,
        days: float | None = None,
        start: Start | None = None,
        rate: float = 1.0,
        where: Where | None = None,
        mix: Mix | None = None,
        without_users: str | Iterable[str] = (),
    ) -> JobTable:
        """Return a synthetic trace of `n` jobs (as many as were fitted, where None).

        The same seed gives the same trace; ``None`` stands for the model's own seed. The other
        arguments ask what if; the provenance of the sample says what was asked. Models that
        cannot answer raise `InputError`.

        Parameters
        ----------
        days
            Length of the trace in days; without `n`, the number of jobs follows from it.
        start
            When it begins: a weekday ("monday"), an instant ("2024-03-04T06:00", UTC) or seconds
            since 1970. Jobs keep the weekday and the hour of those they imitate.
        rate
            Factor of the arrivals: ``round(rate * n)`` jobs in the time in which there were n.
        where
            Column -> value or values: only jobs that have one of these.
        mix
            Column -> value -> share: that part of the jobs, to one job, has the value.
        without_users
            Users whose jobs are left out, and not replaced unless `n` says so.
        """
        self._check_fitted()
        if n is not None and (n := int(n)) < 0:
            raise InputError(f"cannot sample {n} jobs; give a number of 0 or more")
        asked = WhatIf.of(
            days=days, start=start, rate=rate, where=where, mix=mix, without_users=without_users
        )
        rng = generator(self.seed if seed is None else seed)
        notes = [f"synthetic: drawn from the model {self.name!r}, no row is a real job"]
        if asked.asked:
            frame = self._sample_if(n, rng, asked)
            notes.append(asked.note())
        else:
            frame = self._sample(self._n_ if n is None else n, rng)
        provenance = Provenance(
            source=f"{self.name} fitted on {self._source_['source']}",
            format="synthetic",
            rows_read=frame.height,
            machine_cores=self._source_["machine_cores"],
            notes=tuple(notes),
        )
        return JobTable.from_frame(frame, provenance)

    def save(self, folder: Path | str) -> None:
        """Write ``weights.npz`` and then ``model.json`` into the folder."""
        self._check_fitted()
        folder = Path(folder)
        meta, arrays = self._state()
        with writing(folder / "weights.npz") as path, path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        document = {
            "model": self.name,
            "gridtwin": gridtwin.__version__,
            "parameters": self.parameters(),
            "columns": self._columns_,
            "rows": self._n_,
            "source": self._source_,
            "state": meta,
        }
        with writing(folder / "model.json") as path:
            path.write_text(json.dumps(document, indent=1), encoding="utf-8")

    @classmethod
    def _load(cls, folder: Path, document: dict[str, Any]) -> Self:
        model = cls(**document["parameters"])
        model._columns_, model._n_ = document["columns"], document["rows"]
        model._source_ = document["source"]
        try:
            with np.load(folder / "weights.npz", allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{folder}/weights.npz cannot be read ({error}); train the model again"
            ) from error
        model._restore(document["state"], arrays)
        return model

    def parameters(self) -> dict[str, Any]:
        """Return the hyper-parameters, as given to ``__init__``."""
        return {key: getattr(self, key) for key in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self.parameters().items())
        return f"{type(self).__name__}({values})"

    def _check_ranges(self) -> None:
        for name, (low, high) in self.ranges.items():
            value = getattr(self, name)
            whole = isinstance(low, int)
            kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
            if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
                what = "a whole number" if whole else "a number"
                limits = f"of {low:g} or more" if high == np.inf else f"from {low:g} to {high:g}"
                raise InputError(f"{self.name}: {name} is {value!r}; give {what} {limits}")

    def _check_fitted(self) -> None:
        if not hasattr(self, "_n_"):
            raise NotFittedError(f"{self.name}: call fit(jobs) before sampling or saving")

    @abstractmethod
    def _fit(self, frame: pl.DataFrame, rng: np.random.Generator) -> None:
        """Learn from a frame of canonical columns, in submit order, at least one row."""

    @abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        """Return `n` rows with the fitted columns."""

    def _sample_if(self, n: int | None, rng: np.random.Generator, asked: WhatIf) -> pl.DataFrame:
        """Return rows as a what-if question has them; models that can answer overwrite this."""
        raise InputError(
            f"the model {self.name!r} draws traces like the one it learnt and takes no "
            f"{', '.join(asked.asked)}; train the model 'trace' for that"
        )

    @abstractmethod
    def _state(self) -> State:
        """Return all that `_restore` needs."""

    @abstractmethod
    def _restore(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Undo `_state`."""
