"""The forms in which the literature computes what its definitions leave open.

For Wasserstein distances that is ``wd`` itself (min-max scaled). These are for comparison with
published tables; the scores of the other groups are what to go by.
"""

import numpy as np
from scipy.spatial.distance import jensenshannon

from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.metrics.joint import diff_corr
from gridtwin.metrics.marginal import jsd
from gridtwin.metrics.neighbours import nearest
from gridtwin.metrics.privacy import MAX_QUERIES, prepare
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["dcr_paper", "diff_corr_paper", "jsd_paper"]


@metric("jsd_paper", goal="min", group="paper", on="rows")
def jsd_paper(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Jensen-Shannon distance (the root of ``jsd``), base 2, of category columns.

    Mean over the columns; 0 = the same, 1 = no common value. ``of_row_codes`` is the distance of
    the columns of level numbers themselves, taken row by row as if they were histograms: it is
    large for any two tables of independent rows, and says nothing of either.
    """
    score = jsd(real, synthetic, columns=columns)
    if not score.by_column:
        return score
    roots = {name: float(np.sqrt(value)) for name, value in score.by_column.items()}
    return Score.mean(roots, "categories", of_row_codes=_of_row_codes(real, synthetic, columns))


def _of_row_codes(real: JobTable, synthetic: JobTable, columns: Columns | None) -> float:
    only = Columns((), shared_columns(real, synthetic, columns).categories)
    encoder = Encoder.fit(real, only)
    n = min(len(real), len(synthetic))
    a, b = (np.nan_to_num(encoder.codes(jobs)[:n]) for jobs in (real, synthetic))
    both = (a.sum(0) > 0) & (b.sum(0) > 0)
    return float(np.mean(jensenshannon(a[:, both], b[:, both], base=2))) if both.any() else 0.0


@metric("diff_corr_paper", goal="min", group="paper", on="rows")
def diff_corr_paper(
    real: JobTable, synthetic: JobTable, *, columns: Columns | None = None, seed: int = 0
) -> Score:
    """Frobenius norm of the difference of the two association matrices of ``diff_corr``.

    0 = the same; grows with the number of columns.
    """
    score = diff_corr(real, synthetic, columns=columns, seed=seed)
    if not score.by_column:
        return score
    return Score(score.detail["frobenius"], detail={"columns": len(score.by_column)})


@metric("dcr_paper", goal="heldout", group="paper", on="memory")
def dcr_paper(
    real: JobTable,
    synthetic: JobTable,
    *,
    columns: Columns | None = None,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
) -> Score:
    """Distance to the closest training row: 5th percentile, numbers in standard deviations.

    Euclidean, categories one-hot. Best is that of held-out real rows, not more.
    """
    encoder, reason = prepare(real, synthetic, columns)
    if encoder is None:
        return Score.none(reason)
    p = len(encoder.columns.numbers)
    rows = subsample(synthetic, max_queries, np.random.default_rng(seed))
    base, queries = encoder.codes(real), encoder.codes(rows)
    for k in range(p):
        known = base[np.isfinite(base[:, k]), k]
        middle, spread = (known.mean(), known.std() or 1.0) if len(known) else (0.0, 1.0)
        for side in (base, queries):
            side[:, k] = (side[:, k] - middle) / spread
    distance, _ = nearest(queries, base, p)
    detail = {"mean": float(distance.mean()), "rows_searched": len(distance)}
    return Score(float(np.quantile(distance, 0.05)), detail=detail)
