"""What the scores of a transfer experiment say: cost, gain kept, intervals and warnings.

A score is the mean over sequences of log(mean bounded slowdown / that of the baseline), below 0 is
better. Differences are taken seed by seed and sequence by sequence. Intervals hold 95 % of 2,000
hierarchical resamples: training seeds are drawn anew, and stretches of the trace with all sequences
that begin in them, for sequences overlap. Percentiles are expanded for few seeds or stretches, as
in `gridtwin.study.compare`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.study.compare import RESAMPLES, tail_of

__all__ = ["LEAST", "Kept", "Resampled", "Value", "judged"]

Floats = NDArray[np.float64]
LEAST = 0.05
"""A gain whose interval does not lie above this (5 % of the slowdown) is no measure of another."""


@dataclass(frozen=True)
class Value:
    """A mean with its 95 % interval."""

    mean: float
    low: float | None = None
    """None: one seed and stretch alone say nothing of chance."""
    high: float | None = None


@dataclass(frozen=True)
class Kept:
    """How much of the gain of training on real jobs is kept."""

    gain: Value
    """Mean log(slowdown of the reference / slowdown)."""
    share: Value | None
    """gain / gain of real; None where that is too near to nothing."""


class Resampled:
    """Seeds and stretches drawn anew, the same for all that is compared.

    Parameters
    ----------
    seeds
        How many there are.
    first
        Where the sequences begin, (S,).
    length
        Jobs of a stretch.
    """

    def __init__(self, seeds: int, first: NDArray[np.int64], length: int, *, seed: int = 0) -> None:
        _, self.block = np.unique(first // length, return_inverse=True)
        self.stretches = int(self.block.max()) + 1
        rng = np.random.default_rng(seed)
        self.of_seeds = _counts(rng, seeds) / seeds
        weight = _counts(rng, self.stretches)[:, self.block]
        self.of_sequences = weight / weight.sum(1, keepdims=True)
        few = [n for n in (seeds, self.stretches) if n > 1]
        self.tail = tail_of(min(few)) if few else None

    def means(self, values: Floats) -> Floats:
        """Return the resampled means of values (seeds, S), or (1, S) where seeds say nothing."""
        seeds = self.of_seeds if len(values) > 1 else np.ones((len(self.of_seeds), 1))
        return np.asarray(((seeds @ values) * self.of_sequences).sum(1))

    def value(self, values: Floats) -> Value:
        """Return the mean of values with its interval."""
        return self.bounded(float(values.mean()), self.means(values))

    def bounded(self, mean: float, drawn: Floats) -> Value:
        """Return a figure with the interval of what it is in the resamples."""
        if self.tail is None:
            return Value(mean)
        low, high = np.quantile(drawn, [self.tail, 1 - self.tail])
        return Value(mean, float(low), float(high))


def _counts(rng: np.random.Generator, n: int) -> Floats:
    """Return how often each of n is drawn, in each resample."""
    return rng.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)


def judged(
    logs: dict[str, Floats],
    real: Floats,
    references: dict[str, Floats],
    baseline: str,
    by: Resampled,
) -> list[dict[str, Any]]:
    """Return a row of figures for each source.

    Parameters
    ----------
    logs
        log mean bounded slowdown by source, (seeds, S) each, the seeds those of `real`.
    real
        The same of training on real jobs.
    references
        The same of the heuristics, (1, S) each, `baseline` among them: gains are over these.
    """
    rows = []
    for source, mine in logs.items():
        cost = by.value(mine - real)
        rows.append(
            {
                "source": source,
                "seeds": len(mine),
                "score": asdict(by.value(mine - references[baseline])),
                "spread": float(mine.mean(1).std(ddof=1)) if len(mine) > 1 else None,
                "difference": asdict(cost),
                "cost": {k: None if v is None else np.expm1(v) for k, v in asdict(cost).items()},
                "kept": {n: asdict(_kept(mine, real, r, by)) for n, r in references.items()},
            }
        )
    return rows


def _kept(mine: Floats, real: Floats, reference: Floats, by: Resampled) -> Kept:
    gain, of_real = by.value(reference - mine), by.value(reference - real)
    if of_real.low is None or of_real.low <= LEAST:
        return Kept(gain, None)
    drawn, mean = by.means(reference - real), gain.mean / of_real.mean
    if drawn.min() <= 0:  # few stretches, one of which is quiet: the share has no bounds
        return Kept(gain, Value(mean))
    return Kept(gain, by.bounded(mean, by.means(reference - mine) / drawn))
