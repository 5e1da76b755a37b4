"""How far a run is from the records: distances between distributions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from gridtwin.sim.calibration.records import Records
from gridtwin.sim.calibration.trial import Outcome
from gridtwin.trace.resample import block_length

__all__ = ["Loss", "Measured", "blocks_of", "distance", "draws", "measured"]

Floats = NDArray[np.float64]
Measured = dict[str, Floats]
"""By quantity, one entry per job, NaN where unknown: ``wait`` (s), ``log_wait`` (log of 1 + s),
``wall`` (s), ``efficiency``."""

_FLOOR = {"wait": 1.0, "log_wait": 0.01, "wall": 1.0, "efficiency": 0.01}
_NEVER = 1e6


def measured(records: Records, outcome: Outcome | None = None, until: float = np.inf) -> Measured:
    """Return what was recorded, or simulated, as it could be known at a time.

    A job that had not started by then counts with the time that it had waited (on both sides, so
    that the comparison is fair). Wall times and efficiencies are there if payloads follow from CPU
    times: otherwise they are the records' own.
    """
    wait = records.wait if outcome is None else outcome.wait
    wait = np.minimum(wait, np.maximum(until - records.work.submit, 0.0))
    out = {"wait": wait, "log_wait": np.log1p(wait)}
    if records.from_cpu:
        wall = records.wall if outcome is None else outcome.wall
        ended = records.work.submit + records.wait + records.wall <= until
        known = np.isfinite(records.cpu) & (records.wall > 0) & ended
        wall = np.where(known, wall, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            out |= {"wall": wall, "efficiency": np.where(wall > 0, records.cpu / wall, np.nan)}
    return out


def distance(a: Floats, b: Floats) -> float:
    """Return the Wasserstein distance of two samples; those of one size are sorted and paired."""
    if len(a) != len(b):
        return float(wasserstein_distance(a, b))
    return float(np.abs(np.sort(a) - np.sort(b)).mean())


@dataclass(frozen=True)
class Loss:
    """The mean over quantities of Wasserstein distances, each over the records' own spread.

    The spread is the mean distance of the recorded values from their median: a model that says the
    median for every job has a loss of about 1 in each quantity, so that they can be added. The
    distances are of the jobs of one block of time, and the loss of a run is their mean weighted by
    jobs: a run has to be right about when the queue was long, not only about how often.
    """

    recorded: Measured
    blocks: tuple[NDArray[np.int64], ...]
    """The jobs that count, by block of time."""
    scale: dict[str, float]

    @classmethod
    def of(cls, recorded: Measured, blocks: list[NDArray[np.int64]]) -> "Loss":
        """Return the loss against what was recorded of some jobs."""
        scale, rows = {}, np.concatenate(blocks)
        for name, values in recorded.items():
            known = values[rows][np.isfinite(values[rows])]
            if len(known):
                spread = float(np.abs(known - np.median(known)).mean())
                scale[name] = max(spread, _FLOOR[name])
        return cls(recorded, tuple(blocks), scale)

    @property
    def weights(self) -> Floats:
        """The share of each block."""
        size = np.array([len(rows) for rows in self.blocks], np.float64)
        return size / float(size.sum())

    def __call__(self, simulated: Measured) -> Floats:
        """Return the loss of a run, a row for each quantity and a column for each block."""
        out = np.zeros((len(self.scale), len(self.blocks)))
        for k, (name, scale) in enumerate(self.scale.items()):
            for m, rows in enumerate(self.blocks):
                out[k, m] = self._one(self.recorded[name][rows], simulated[name][rows], scale)
        return out

    def _one(self, real: Floats, made: Floats, scale: float) -> float:
        known = np.isfinite(real)
        if not known.any():
            return 0.0
        if not np.isfinite(made[known]).all():
            return _NEVER  # a job never ran
        return distance(real[known], made[known]) / scale


def blocks_of(submit: Floats, judged: NDArray[np.bool_]) -> tuple[list[NDArray[np.int64]], float]:
    """Return the judged jobs by block of time, and its length (s): weeks, else days, else hours.

    The blocks are what `gridtwin.trace.resample` takes; a trace too short for any is one block.
    """
    rows = np.flatnonzero(judged)
    length = block_length(submit[rows])
    if not length:
        return [rows], 0.0
    number = ((submit[rows] - submit[rows[0]]) // length).astype(np.int64)
    edges = np.flatnonzero(np.diff(number)) + 1
    return np.split(rows, edges), length


def draws(blocks: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return block bootstraps (Künsch 1989), a row each: as many blocks, drawn with replacement."""
    return np.random.default_rng([seed, 2]).integers(blocks, size=(count, blocks))
