"""One column at a time: Kolmogorov-Smirnov, Wasserstein, Jensen-Shannon, total variation."""

import numpy as np
import polars as pl
from scipy.stats import wasserstein_distance

from gridtwin.metrics.base import Score, metric, shared_columns
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["category_counts", "jsd", "ks", "tv", "wd", "wd_rank"]

CELLS = 50
"""Quantiles between which the values of a number are counted."""


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return max |F_a - F_b| over the two empirical distributions; NaN counts as least value."""
    a = np.sort(np.nan_to_num(a, nan=-np.inf))
    b = np.sort(np.nan_to_num(b, nan=-np.inf))
    if not len(a) or not len(b):
        return float("nan")
    at = np.concatenate([a, b])
    difference = np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
    return float(np.abs(difference).max())


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence in bits of two vectors of counts or shares, 0..1."""
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def towards(x: np.ndarray) -> float:
        inside = x > 0
        return float(np.sum(x[inside] * np.log2(x[inside] / middle[inside])))

    return max(0.0, (towards(p) + towards(q)) / 2)


def _numbers(
    real: JobTable, synthetic: JobTable, columns: Columns | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return (real, synthetic) values of each shared number, null as NaN."""
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic) or not shared.numbers:
        return {}
    only = Columns(shared.numbers, ())
    encoder = Encoder.fit(real, only)
    a, b = encoder.codes(real), encoder.codes(synthetic)
    return {name: (a[:, k], b[:, k]) for k, name in enumerate(shared.numbers)}


@metric("ks", goal="min", group="marginal", on="rows")
def ks(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Kolmogorov-Smirnov distance: the largest gap between two cumulative distributions.

    Mean over the number columns; 0 = the same, 1 = no overlap. A null is a value below all others.
    """
    pairs = _numbers(real, synthetic, columns)
    return Score.mean({name: ks_distance(a, b) for name, (a, b) in pairs.items()}, "numbers")


@metric("wd", goal="min", group="marginal", on="rows")
def wd(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Wasserstein-1 distance of number columns mapped to 0..1 on the real range (min-max).

    Mean over the columns; 0 = the same. Nulls are left out. Heavy tails make this scale forgiving:
    read it beside ``wd_rank``.
    """
    out = {}
    for name, (a, b) in _numbers(real, synthetic, columns).items():
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
        if len(a) and len(b):
            low, width = a.min(), float(np.ptp(a)) or 1.0
            out[name] = float(wasserstein_distance((a - low) / width, (b - low) / width))
    return Score.mean(out, "numbers")


@metric("wd_rank", goal="min", group="marginal", on="rows")
def wd_rank(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Wasserstein-1 distance of number columns mapped to their mid-rank 0..1 among real values.

    Mean over the columns; 0 = the same, at most 0.5 for a shift beyond the real range. Nulls are
    left out.
    """
    out = {}
    for name, (a, b) in _numbers(real, synthetic, columns).items():
        a, b = np.sort(a[np.isfinite(a)]), b[np.isfinite(b)]
        if len(a) and len(b):
            out[name] = float(wasserstein_distance(_rank(a, a), _rank(a, b)))
    return Score.mean(out, "numbers")


def _rank(base: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mid-rank (0..1) of values among a sorted base."""
    below, upto = np.searchsorted(base, values, "left"), np.searchsorted(base, values, "right")
    return (below + upto) / (2 * len(base))


@metric("jsd", goal="min", group="marginal", on="rows")
def jsd(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Jensen-Shannon divergence (not its root), base 2, of category columns.

    Mean over the columns; 0 = the same, 1 = no common value. A null is a value of its own.
    """
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    out = {name: divergence(*category_counts(real, synthetic, name)) for name in shared.categories}
    return Score.mean(out, "categories")


@metric("tv", goal="min", group="marginal", on="rows")
def tv(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Total variation distance: half the sum of the differences of the shares of each value.

    Mean over all columns; 0 = the same, 1 = no common value. Numbers are counted at and between
    50 quantiles of the real values, so that a value that many jobs have is a cell of its own. A
    null is a value.
    """
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    pairs = {name: _cells(a, b) for name, (a, b) in _numbers(real, synthetic, shared).items()}
    pairs |= {name: category_counts(real, synthetic, name) for name in shared.categories}
    out = {n: float(np.abs(p / p.sum() - q / q.sum()).sum() / 2) for n, (p, q) in pairs.items()}
    return Score.mean(out, "columns")


def _cells(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many values of each side are null, at and between quantiles of the first."""
    known = a[np.isfinite(a)]
    levels = np.linspace(0, 1, CELLS + 1)
    edges = np.unique(np.quantile(known, levels, method="nearest")) if len(known) else known

    def count(x: np.ndarray) -> np.ndarray:
        known = x[np.isfinite(x)]
        cell = np.searchsorted(edges, known, "left") + np.searchsorted(edges, known, "right")
        counts = np.bincount(cell, minlength=2 * len(edges) + 1).astype(float)
        return np.append(counts, len(x) - len(known))

    return count(a), count(b)


def category_counts(
    real: JobTable, synthetic: JobTable, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each value of a category occurs on both sides, in order of the value."""
    counts = _counts(real, name).join(
        _counts(synthetic, name), on="value", how="full", coalesce=True, nulls_equal=True
    )
    counts = counts.sort("value")  # the order of a sum changes its last digit
    p, q = (counts[c].fill_null(0).to_numpy().astype(float) for c in ("n", "n_right"))
    return p, q


def _counts(jobs: JobTable, name: str) -> pl.DataFrame:
    column = pl.col(name)
    if jobs.schema[name].dtype == "list":
        column = column.list.join(" ")
    return jobs.frame.group_by(column.alias("value")).agg(pl.len().alias("n")).collect()
