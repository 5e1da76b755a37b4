"""How near synthetic rows come to the rows that they were learnt from.

Distances are Euclidean between rows of `Encoder.unit` form: numbers on 0..1 of the training range,
categories one-hot (so a different category adds 2 to the squared distance, a null against a
number 1). Nearest neighbours are exact, see `neighbours`: memory is a few times that of the two
matrices of codes (8 bytes x rows x columns). A random 4,000 rows are searched for; ``max_queries``
takes more, up to all.
"""

import numpy as np

from gridtwin.core.executor import Executor
from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.metrics.neighbours import nearest
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["dcr", "dcr_share", "exact_copies"]

MAX_QUERIES = 4000


def prepare(
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
    executor: Executor | None = None,
) -> Score:
    """Distance to the closest training row: the mean over synthetic rows.

    Euclidean; numbers on 0..1, categories one-hot. Best is the distance of held-out real rows:
    nearer means copying, farther means rows that do not occur, not privacy. Of a random 4,000
    synthetic rows unless asked for more.
    """
    encoder, reason = prepare(real, synthetic, columns)
    if encoder is None:
        return Score.none(reason)
    base = encoder.scaled(real)
    rows = subsample(synthetic, max_queries, np.random.default_rng(seed))
    numbers = len(encoder.columns.numbers)
    distance, _ = nearest(encoder.scaled(rows), base, numbers, executor=executor)
    return Score(
        float(distance.mean()),
        detail={
            "median": float(np.median(distance)),
            "p05": float(np.quantile(distance, 0.05)),
            "rows_searched": len(distance),
            "training_rows": len(base),
        },
    )


@metric("dcr_share", goal="half", group="privacy", on="split")
def dcr_share(
    real: JobTable,
    synthetic: JobTable,
    *,
    holdout: JobTable | None = None,
    columns: Columns | None = None,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
    executor: Executor | None = None,
) -> Score:
    """Share of synthetic rows nearer to a training row than to any held-out row.

    0.5 = the training rows are not favoured, 1 = copies. For sets of unequal size (n training,
    m held-out) the share s is weighed as (s/n) / (s/n + (1-s)/m); ties are shared out by their
    numbers. A random 4,000 synthetic rows unless asked for more.
    """
    if holdout is None or not len(holdout):
        return Score.none("needs real rows that the model has not seen: give a holdout")
    shared = shared_columns(real, holdout, columns)
    encoder, reason = prepare(real, synthetic, shared)
    if encoder is None:
        return Score.none(reason)
    train, unseen = encoder.scaled(real), encoder.scaled(holdout)
    rows = subsample(synthetic, max_queries, np.random.default_rng(seed))
    queries, p = encoder.scaled(rows), len(encoder.columns.numbers)
    d_train, k_train = nearest(queries, train, p, executor=executor)
    d_unseen, k_unseen = nearest(queries, unseen, p, executor=executor)
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
    encoder, reason = prepare(real, synthetic, columns)
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
