"""Two columns at a time: how strongly each tells about the other."""

import numpy as np

from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder, modelled_columns

__all__ = ["association_matrix", "diff_corr"]

MAX_ROWS = 200_000
MIN_ROWS = 10
"""Of fewer rows, chance makes the associations."""


def association_matrix(
    jobs: JobTable, columns: Columns | None = None
) -> tuple[list[str], np.ndarray]:
    """Return column names and the matrix of associations, shape (d, d), 1 on the diagonal.

    Two numbers: Pearson's r (-1..1). A number and a category: the correlation ratio (0..1, root
    of the share of variance between the levels). Two categories: Theil's U of the row's column
    given the column's one (0..1: how much of its entropy is known from the other; not symmetric).
    Rows with a null number are left out of that number's cells; a null category is a level. A
    column without spread has 0 everywhere.
    """
    columns = modelled_columns(jobs) if columns is None else columns
    names = list(columns.names)
    if not len(jobs) or not names:
        return names, np.eye(len(names))
    encoder = Encoder.fit(jobs, columns)
    codes, p = encoder.codes(jobs), len(columns.numbers)
    values = [codes[:, k] for k in range(p)]
    levels = [_levels(codes[:, k]) for k in range(p, len(names))]
    out = np.eye(len(names))
    for i in range(len(names)):
        for j in range(i):
            if i < p:
                out[i, j] = out[j, i] = pearson(values[i], values[j])
            elif j < p:
                out[i, j] = out[j, i] = correlation_ratio(levels[i - p], values[j])
            else:
                out[i, j] = theils_u(levels[i - p], levels[j - p])
                out[j, i] = theils_u(levels[j - p], levels[i - p])
    return names, out


def _levels(codes: np.ndarray) -> np.ndarray:
    """Return dense level numbers, null as a level of its own."""
    return np.unique(np.nan_to_num(codes, nan=-1.0), return_inverse=True)[1]


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Return Pearson's r over the rows where both are there; 0 for no spread."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 2:
        return 0.0
    x, y = x[both] - x[both].mean(), y[both] - y[both].mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / spread, -1, 1)) if spread > 0 else 0.0


def correlation_ratio(levels: np.ndarray, x: np.ndarray) -> float:
    """Return the root of (variance between levels / variance); 0 for no spread."""
    there = np.isfinite(x)
    if there.sum() < 2:
        return 0.0
    levels, x = levels[there], x[there] - x[there].mean()
    total = float(x @ x)
    counts = np.bincount(levels)
    sums = np.bincount(levels, weights=x)
    between = float(np.sum(sums[counts > 0] ** 2 / counts[counts > 0]))
    return float(np.sqrt(min(1.0, between / total))) if total > 0 else 0.0


def theils_u(x: np.ndarray, given: np.ndarray) -> float:
    """Return (H(x) - H(x | given)) / H(x) of two level vectors; 0 where x has one level."""
    h_x = _entropy(np.bincount(x))
    if h_x == 0:
        return 0.0
    pairs = np.unique(x.astype(np.int64) * (int(given.max()) + 1) + given, return_counts=True)[1]
    h_x_given = _entropy(pairs) - _entropy(np.bincount(given))
    return float(np.clip((h_x - h_x_given) / h_x, 0, 1))


def _entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return max(0.0, float(-np.sum(p * np.log(p))))


@metric("diff_corr", goal="min", group="joint", on="rows")
def diff_corr(
    real: JobTable, synthetic: JobTable, *, columns: Columns | None = None, seed: int = 0
) -> Score:
    """Mean absolute difference of the two association matrices, off the diagonal.

    Associations: Pearson's r for two numbers, the correlation ratio for a number and a category,
    Theil's U (both ways) for two categories. 0 = the same. At most 200,000 rows of each side, at
    least 10.
    """
    shared = shared_columns(real, synthetic, columns)
    if len(shared) < 2:
        return Score.none("no two columns to compare")
    if (n := min(len(real), len(synthetic))) < MIN_ROWS:
        return Score.none(f"{n} rows a side; associations need {MIN_ROWS} or more")
    # the same draw on both sides, so that equal tables stay equal
    draws = (np.random.default_rng(seed) for _ in range(2))
    names, a = association_matrix(subsample(real, MAX_ROWS, next(draws)), shared)
    _, b = association_matrix(subsample(synthetic, MAX_ROWS, next(draws)), shared)
    difference = np.abs(a - b)
    off = ~np.eye(len(names), dtype=bool)
    by_column = {
        name: float((difference[k, off[k]].mean() + difference[off[k], k].mean()) / 2)
        for k, name in enumerate(names)
    }
    detail = {"frobenius": float(np.sqrt(np.sum((a - b) ** 2))), "max_rows": MAX_ROWS}
    return Score(float(difference[off].mean()), by_column, detail)
