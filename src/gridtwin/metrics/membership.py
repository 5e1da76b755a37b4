"""Membership inference: telling from a synthetic trace which jobs its model has seen."""

import numpy as np
from scipy.stats import rankdata

from gridtwin.core.executor import Executor
from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.metrics.neighbours import nearest
from gridtwin.metrics.privacy import MAX_QUERIES
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["auc_of", "log_distance", "membership"]

_NEAR = 1e-9
"""Distances below this are alike: their logarithm is bounded."""


@metric("membership", goal="half", group="privacy", on="split")
def membership(
    real: JobTable,
    synthetic: JobTable,
    *,
    holdout: JobTable | None = None,
    columns: Columns | None = None,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
    executor: Executor | None = None,
) -> Score:
    """AUC of telling training jobs from held-out ones by their distance to the synthetic trace.

    0.5 = nobody can, 1 = every training job is betrayed. A random 4,000 jobs of each side at
    most unless asked for more. ``interval``: 95 % (DeLong). ``calibrated``: the same where the
    distance counts relative to that from held-out jobs, so that odd jobs are compared with odd
    ones.
    """
    if holdout is None or len(holdout) < 4:
        return Score.none("needs real rows that the model has not seen: give a holdout")
    shared = shared_columns(real, holdout, columns)
    shared = shared.within(synthetic)
    if not len(shared):
        return Score.none("no columns to compare")
    if not len(real) or not len(synthetic):
        return Score.none("no rows to compare")
    encoder, p = Encoder.fit(real, shared), len(shared.numbers)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(holdout))
    half = len(order) // 2
    frame = holdout.collect()
    reference = encoder.scaled(holdout.with_frame(frame[np.sort(order[:half])]))
    unseen = holdout.with_frame(frame[np.sort(order[half:])])
    sides = [encoder.scaled(subsample(jobs, max_queries, rng)) for jobs in (real, unseen)]
    jobs, n = np.concatenate(sides), len(sides[0])
    near = -log_distance(nearest(jobs, encoder.scaled(synthetic), p, executor=executor)[0])
    usual = -log_distance(nearest(jobs, reference, p, executor=executor)[0])
    auc, interval = auc_of(near[:n], near[n:])
    relative = near - usual
    calibrated, calibrated_interval = auc_of(relative[:n], relative[n:])
    return Score(
        auc,
        detail={
            "interval": interval,
            "calibrated": calibrated,
            "calibrated_interval": calibrated_interval,
            "training_rows": len(sides[0]),
            "heldout_rows": len(sides[1]),
        },
    )


def log_distance(distance: np.ndarray) -> np.ndarray:
    """Return the logarithm of distances, bounded for those that are 0."""
    out: np.ndarray = np.log(np.maximum(distance, _NEAR))
    return out


def auc_of(inside: np.ndarray, outside: np.ndarray) -> tuple[float, list[float]]:
    """Return the AUC of two sides' scores and its 95 % interval.

    The variance is that of DeLong et al. 1988, "Comparing the areas under two or more correlated
    receiver operating characteristic curves": one sort, where a bootstrap would take hundreds.
    """
    m, n = len(inside), len(outside)
    ranks = rankdata(np.concatenate([inside, outside]))
    above = (ranks[:m] - rankdata(inside)) / n
    below = 1 - (ranks[m:] - rankdata(outside)) / m
    auc = float(above.mean())
    spread = 1.96 * float(np.sqrt(above.var() / m + below.var() / n))
    return auc, [max(0.0, auc - spread), min(1.0, auc + spread)]
