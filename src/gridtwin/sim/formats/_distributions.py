"""The distributions that DCSim's files name: gaussian, histogram and, for cores, poisson."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.formats._json import mapping, number, only, sequence

__all__ = ["LARGEST", "Gaussian", "Histogram", "Poisson", "Real", "Whole", "real", "whole_number"]

LARGEST = 1e300


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution, cut at 0."""

    average: float
    sigma: float

    @property
    def mean(self) -> float:
        """The mean before the cut."""
        return self.average

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `n` values of 0 or more; as the average is too, half of the draws are good."""
        values = rng.normal(self.average, self.sigma, n)
        while (bad := values < 0).any():
            values[bad] = rng.normal(self.average, self.sigma, int(bad.sum()))
        return values

    def to_json(self) -> dict[str, Any]:
        """Return the form in the file."""
        return {"type": "gaussian", "average": self.average, "sigma": self.sigma}


@dataclass(frozen=True)
class Histogram:
    """A piecewise constant distribution; `bins` has one edge more than `counts`."""

    counts: tuple[float, ...]
    bins: tuple[float, ...] | None = None
    """None: the values are 0, 1, 2, … (cores only)."""

    @property
    def mean(self) -> float:
        """The mean of the bins' centres."""
        centres = np.arange(len(self.counts)) if self.bins is None else self.centres
        return float(np.average(centres, weights=self.counts))

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        edges = np.array(self.bins if self.bins is not None else [])
        middle: NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
        return middle

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return `n` values."""
        edges = np.array(self.bins if self.bins is not None else [])
        at = self._bins(n, rng, np.array(self.counts))
        return edges[at] + rng.random(n) * np.diff(edges)[at]

    def draw_cores(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return `n` whole numbers from 1."""
        cores = cores_of(self)
        return cores[self._bins(n, rng, np.where(cores >= 1, self.counts, 0.0))]

    def to_json(self) -> dict[str, Any]:
        """Return the form in the file."""
        bins = {} if self.bins is None else {"bins": list(self.bins)}
        return {"type": "histogram", "counts": list(self.counts), **bins}

    def _bins(
        self, n: int, rng: np.random.Generator, weights: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        return rng.choice(len(weights), size=n, p=weights / weights.sum()).astype(np.int64)


@dataclass(frozen=True)
class Poisson:
    """A Poisson distribution of cores, without 0."""

    mu: float

    @property
    def mean(self) -> float:
        """The mean with 0."""
        return self.mu

    def draw_cores(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return `n` whole numbers from 1."""
        from scipy.stats import poisson

        above = rng.uniform(math.exp(-self.mu), 1.0, n)
        return np.maximum(poisson.ppf(above, self.mu), 1).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return the form in the file."""
        return {"type": "poisson", "mu": self.mu}


Real = Gaussian | Histogram
Whole = Poisson | Histogram


def real(value: object, at: str) -> Real:
    """Return a distribution of sizes, all of 0 or more."""
    table = mapping(value, at)
    kind = table.get("type")
    if kind == "gaussian":
        only(table, at, ("type", "average", "sigma"))
        found = Gaussian(*(number(table[k], f"{at}.{k}") for k in ("average", "sigma")))
        for key, given in (("average", found.average), ("sigma", found.sigma)):
            if not 0 <= given < LARGEST:
                raise InputError(f"{at}.{key}: expected 0 or more, got {given}")
        return found
    if kind == "histogram":
        histogram = _histogram(table, at)
        if histogram.bins is None or histogram.bins[0] < 0:
            raise InputError(f"{at}.bins: expected edges of 0 or more, got {histogram.bins}")
        return histogram
    raise InputError(f"{at}.type: expected gaussian or histogram for a size, got {kind!r}")


def whole_number(value: object, at: str) -> Whole:
    """Return a distribution of cores."""
    table = mapping(value, at)
    kind = table.get("type")
    if kind == "poisson":
        only(table, at, ("type", "mu"))
        mu = number(table["mu"], f"{at}.mu")
        if not 0 < mu <= 1e6:
            raise InputError(f"{at}.mu: expected a number above 0, up to 1e6, got {mu}")
        return Poisson(mu)
    if kind != "histogram":
        raise InputError(f"{at}.type: expected poisson or histogram for cores, got {kind!r}")
    histogram = _histogram(table, at)
    try:
        cores = cores_of(histogram)
    except InputError as error:
        raise InputError(f"{at}.{error}") from error
    if not any(count and core >= 1 for count, core in zip(histogram.counts, cores, strict=True)):
        raise InputError(f"{at}.counts: there is no bin of 1 core or more; a job needs one")
    return histogram


def _histogram(table: dict[str, Any], at: str) -> Histogram:
    only(table, at, ("type", "counts"), ("bins",))
    counts = tuple(
        number(count, f"{at}.counts[{k}]")
        for k, count in enumerate(sequence(table["counts"], f"{at}.counts"))
    )
    if not counts or min(counts) < 0 or not 0 < math.fsum(counts) < LARGEST:
        raise InputError(f"{at}.counts: expected numbers of 0 or more, not all 0")
    if "bins" not in table:
        return Histogram(counts)
    bins = tuple(
        number(edge, f"{at}.bins[{k}]")
        for k, edge in enumerate(sequence(table["bins"], f"{at}.bins"))
    )
    if len(bins) != len(counts) + 1 or any(a >= b for a, b in pairwise(bins)):
        raise InputError(
            f"{at}.bins: expected {len(counts) + 1} rising edges for {len(counts)} counts, got "
            f"{len(bins)}, or some that do not rise"
        )
    if max(map(abs, bins)) > LARGEST:
        raise InputError(f"{at}.bins: an edge is beyond {LARGEST:g}")
    return Histogram(counts, bins)


def cores_of(histogram: Histogram) -> NDArray[np.int64]:
    """Return the whole number that stands for each bin."""
    if histogram.bins is None:
        return np.arange(len(histogram.counts), dtype=np.int64)
    if max(map(abs, histogram.bins)) > 2**40:
        raise InputError("bins: a job of more than 2^40 cores")
    first = np.ceil(histogram.bins[:-1])
    if (first != np.ceil(histogram.bins[1:]) - 1).any():
        raise InputError("bins: expected one whole number of cores in each bin")
    return first.astype(np.int64)
