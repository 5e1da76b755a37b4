"""Whether rows can occur at all: values, pairs, dependencies and limits of the training rows."""

from itertools import combinations, permutations

import numpy as np

from gridtwin.metrics.base import Score, metric, shared_columns
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["broken_dependencies", "dependencies", "over_limit", "support_hits", "unseen_pairs"]

DISCRETE = 0.05
"""A number with fewer distinct values than this share of the rows is discrete."""
MAX_VALUES = 2000
"""Distinct values of a discrete number at most."""
EXCEPTIONS = 0.001
"""Share of the training rows that may break a dependency."""
MIN_ROWS = 20
"""Training rows that a dependency explains against the most frequent value, at least."""
SLACK = 1.1
"""Systems let jobs run a little over their limit before they kill them."""


@metric("support_hits", goal="one", group="validity", on="rows")
def support_hits(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Share of the values of discrete numbers that occur among the training rows.

    Mean over the columns; 1 = all. Discrete is a number with at most 2,000 distinct values and
    fewer than one for every 20 rows: sizes, requested times. Nulls are left out.
    """
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    if not shared.numbers:
        return Score.none("no discrete numbers to compare")
    _, a, b = _codes(real, synthetic, Columns(shared.numbers, ()))
    out = {}
    for k, name in enumerate(shared.numbers):
        known, values = np.unique(a[np.isfinite(a[:, k]), k]), b[np.isfinite(b[:, k]), k]
        if _discrete(len(known), len(a)) and len(values):
            out[name] = float(np.isin(values, known).mean())
    return Score.mean(out, "discrete numbers")


@metric("broken_dependencies", goal="heldout", group="validity", on="rows")
def broken_dependencies(
    real: JobTable, synthetic: JobTable, *, columns: Columns | None = None
) -> Score:
    """Share of rows that break a dependency which holds among the training rows.

    A dependency: one category or discrete number gives another (user gives project) in all but
    one of 1,000 training rows. Rows whose giving value the training rows lack break nothing. By
    column: each dependency's share.
    """
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    if len(shared) < 2:
        return Score.none("no two columns to compare")
    names, a, b = _codes(real, synthetic, shared)
    kept = [k for k in range(len(names)) if _discrete(len(np.unique(a[:, k])), len(a), shared, k)]
    a, b = a[:, kept], b[:, kept]
    found = dependencies(a)
    if not found:
        return Score.none("no column gives another in the training rows")
    broken, by_column = np.zeros(len(b), bool), {}
    for (i, j), (values, given) in found.items():
        at = np.minimum(np.searchsorted(values, b[:, i]), len(values) - 1)
        wrong = (values[at] == b[:, i]) & (given[at] != b[:, j])
        broken |= wrong
        by_column[f"{names[kept[i]]} -> {names[kept[j]]}"] = float(wrong.mean())
    worst = dict(sorted(by_column.items(), key=lambda item: -item[1]))
    return Score(float(broken.mean()), worst, {"dependencies": len(found)})


def dependencies(matrix: np.ndarray) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Return which columns of codes, shape (n, d), give which, and the values they give.

    The values of (i, j): those of column i, sorted, and the most frequent one of j with each. Of
    values that occur once nothing is learnt: they are left out.
    """
    found = {}
    for i, j in permutations(range(matrix.shape[1]), 2):
        values, place, counts = np.unique(matrix[:, i], return_inverse=True, return_counts=True)
        levels, code = np.unique(matrix[:, j], return_inverse=True)
        pairs, n = np.unique(place * np.int64(len(levels)) + code, return_counts=True)
        order = np.lexsort((n, pairs // len(levels)))
        last = np.flatnonzero(np.diff(pairs[order] // len(levels), append=-1))
        best = order[last]  # the most frequent pair of each value of i
        often = counts > 1
        rows, held = int(counts[often].sum()), int(n[best][often].sum())
        given = pairs[best] % len(levels)
        commonest = np.bincount(code).argmax()
        explained = int(n[best][often & (given != commonest)].sum())
        if rows >= len(matrix) / 2 and explained >= MIN_ROWS and rows - held <= EXCEPTIONS * rows:
            found[i, j] = values[often], levels[given[often]]
    return found


@metric("unseen_pairs", goal="heldout", group="validity", on="rows")
def unseen_pairs(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Share of rows with two categories that no training row has together.

    Mean over the pairs of category columns; by column: the ten pairs with most. Null is a value.
    """
    shared = shared_columns(real, synthetic, columns)
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    if len(shared.categories) < 2:
        return Score.none("no two categories to compare")
    names, a, b = _codes(real, synthetic, Columns((), shared.categories))
    width = max(a.max(initial=0), b.max(initial=0)) + 1
    out = {
        f"{names[i]} x {names[j]}": float(
            1 - np.isin(b[:, i] * width + b[:, j], a[:, i] * width + a[:, j]).mean()
        )
        for i, j in combinations(range(len(names)), 2)
    }
    worst = dict(sorted(out.items(), key=lambda item: -item[1])[:10])
    return Score(float(np.mean(list(out.values()))), worst, {"pairs": len(out)})


@metric("over_limit", goal="heldout", group="validity", on="rows")
def over_limit(real: JobTable, synthetic: JobTable) -> Score:
    """Share of jobs that run more than 1.1 times the time they asked for.

    Of the jobs that have both times. Real systems kill such jobs, save for a few.
    """
    needed = ("run_time", "walltime_req")
    if any(name not in jobs for jobs in (real, synthetic) for name in needed):
        return Score.none("no requested time")
    frame = synthetic.collect(list(needed)).drop_nulls()
    if frame.is_empty() or not len(real):
        return Score.none("no job has both a run time and a requested time")
    run, limit = (frame[name].cast(float).to_numpy() for name in needed)
    return Score(float(np.mean(run > SLACK * limit)), detail={"jobs": len(run)})


def _discrete(distinct: int, rows: int, shared: Columns | None = None, k: int = 0) -> bool:
    """Say whether a column is a category, or a number of few values."""
    if shared is not None and k >= len(shared.numbers):
        return True
    return 1 < distinct <= min(MAX_VALUES, DISCRETE * rows)


def _codes(
    real: JobTable, synthetic: JobTable, columns: Columns
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return names and both sides' codes, a null category as -1, a null number as -infinity."""
    encoder = Encoder.fit(real, columns)
    p = len(columns.numbers)
    sides = [encoder.codes(jobs) for jobs in (real, synthetic)]
    for codes in sides:
        codes[:, :p][np.isnan(codes[:, :p])] = -np.inf
        codes[:, p:][np.isnan(codes[:, p:])] = -1
    for k, levels in enumerate(encoder.levels, p):
        for codes in sides:  # a pair with an unknown value is one that no training row has
            codes[codes[:, k] == len(levels), k] = MAX_VALUES + 1e6
    return columns.names, sides[0], sides[1]
