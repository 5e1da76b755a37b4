"""How near synthetic rows come to the rows that they were learnt from.

Distances are Euclidean between rows of `Encoder.unit` form: numbers on 0..1 of the training range,
categories one-hot (so a different category adds 2 to the squared distance, a null against a
number 1). Nearest neighbours are exact, by comparing every pair with an early stop: memory is that
of the two matrices of codes (8 bytes x rows x columns) and time is bounded by ``MAX_PAIRS``.
"""

import numpy as np

from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.sim.kernel import compiled
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["dcr", "dcr_share", "exact_copies", "nearest"]

MAX_QUERIES = 4000
MAX_PAIRS = 400_000_000


@compiled
def nearest(queries: np.ndarray, base: np.ndarray, numbers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each query's distance to its nearest row of `base` and how many rows are that near.

    Both matrices are of `Encoder.scaled` form, float64; the first `numbers` columns are numbers,
    the others category codes. An empty base gives infinity and 0.
    """
    distance = np.full(len(queries), np.inf)
    count = np.zeros(len(queries), dtype=np.int64)
    for i in range(len(queries)):
        best = np.inf
        ties = 0
        for j in range(len(base)):
            d = 0.0
            # categories first: one difference weighs most and ends the comparison soonest
            for k in range(queries.shape[1] - 1, -1, -1):
                a, b = queries[i, k], base[j, k]
                if a == b:
                    continue
                if np.isnan(a) or np.isnan(b):
                    if not (np.isnan(a) and np.isnan(b)):
                        d += 1.0 if k < numbers else 2.0
                elif k < numbers:
                    d += (a - b) * (a - b)
                else:
                    d += 2.0
                if d > best:
                    break
            if d < best:
                best = d
                ties = 1
            elif d == best:
                ties += 1
        distance[i] = np.sqrt(best)
        count[i] = ties
    return distance, count


def _searched(base: int, queries: JobTable, rng: np.random.Generator, max_queries: int) -> JobTable:
    """Return the rows to search for: `max_queries`, less for a base of over 100,000 rows."""
    return subsample(queries, max(100, min(max_queries, MAX_PAIRS // max(base, 1))), rng)


def _prepare(
    real: JobTable, synthetic: JobTable, columns: Columns | None
) -> tuple[Encoder | None, str]:
    """Return an encoder of the shared columns fitted on the real rows, or why there is none."""
    shared = shared_columns(real, synthetic, columns)
    if not len(shared):
        return None, "no columns to compare"
    if not len(real) or not len(synthetic):
        return None, "no rows to compare"
    return Encoder.fit(real, shared), ""


@metric("dcr", goal="heldout", group="privacy", on="memory")
def dcr(
    real: JobTable,
    synthetic: JobTable,
    *,
    columns: Columns | None = None,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
) -> Score:
    """Distance to the closest training row: the mean over synthetic rows (4,000 at most).

    Euclidean; numbers on 0..1, categories one-hot. Best is the distance of held-out real rows:
    nearer means copying, farther means rows that do not occur, not privacy.
    """
    encoder, reason = _prepare(real, synthetic, columns)
    if encoder is None:
        return Score.none(reason)
    base = encoder.scaled(real)
    rows = _searched(len(base), synthetic, np.random.default_rng(seed), max_queries)
    distance, _ = nearest(encoder.scaled(rows), base, len(encoder.columns.numbers))
    return Score(
        float(distance.mean()),
        detail={
            "median": float(np.median(distance)),
            "p05": float(np.quantile(distance, 0.05)),
            "rows_searched": len(distance),
            "training_rows": len(base),
        },
    )


@metric("dcr_share", goal="half", group="privacy", on="memory")
def dcr_share(
    real: JobTable,
    synthetic: JobTable,
    *,
    holdout: JobTable | None = None,
    columns: Columns | None = None,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
) -> Score:
    """Share of synthetic rows nearer to a training row than to any held-out row.

    0.5 = the training rows are not favoured, 1 = copies. For sets of unequal size (n training,
    m held-out) the share s is weighed as (s/n) / (s/n + (1-s)/m); ties are shared out by their
    numbers. At most 4,000 synthetic rows.
    """
    if holdout is None or not len(holdout):
        return Score.none("needs real rows that the model has not seen: give a holdout")
    shared = shared_columns(real, holdout, columns)
    encoder, reason = _prepare(real, synthetic, shared)
    if encoder is None:
        return Score.none(reason)
    train, unseen = encoder.scaled(real), encoder.scaled(holdout)
    size = len(train) + len(unseen)
    rows = _searched(size, synthetic, np.random.default_rng(seed), max_queries)
    queries, p = encoder.scaled(rows), len(encoder.columns.numbers)
    d_train, k_train = nearest(queries, train, p)
    d_unseen, k_unseen = nearest(queries, unseen, p)
    tied = k_train / (k_train + k_unseen)
    share = np.where(d_train < d_unseen, 1.0, np.where(d_train > d_unseen, 0.0, tied))
    near, far = float(share.mean()) / len(train), float(1 - share.mean()) / len(unseen)
    return Score(
        near / (near + far),
        detail={
            "unweighted": float(share.mean()),
            "ties": float(np.mean(d_train == d_unseen)),
            "rows_searched": len(queries),
            "training_rows": len(train),
            "heldout_rows": len(unseen),
        },
    )


@metric("exact_copies", goal="heldout", group="privacy", on="memory")
def exact_copies(real: JobTable, synthetic: JobTable, *, columns: Columns | None = None) -> Score:
    """Share of synthetic rows equal to a training row in every modelled column.

    Best is the share among held-out real rows. ``without_submit_time`` gives the same with the
    submit time left out, which few rows share. All rows of both sides.
    """
    encoder, reason = _prepare(real, synthetic, columns)
    if encoder is None:
        return Score.none(reason)
    every = encoder.columns
    untimed = every.without("submit_time")
    detail = {"without_submit_time": _copied(real, synthetic, untimed)} if len(untimed) else {}
    return Score(_copied(real, synthetic, every), detail=detail)


def _copied(real: JobTable, synthetic: JobTable, columns: Columns) -> float:
    """Return the share of synthetic rows that are among the real ones."""
    names = list(columns.names)
    found = synthetic.frame.join(
        real.frame.select(names).unique(), on=names, how="semi", nulls_equal=True
    )
    return len(JobTable(found)) / len(synthetic)
