"""Membership inference: telling from a synthetic trace which jobs its model has seen."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from gridtwin.core.errors import InputError
from gridtwin.core.seeds import spawn
from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.metrics.neighbours import nearest
from gridtwin.metrics.privacy import MAX_QUERIES
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder, modelled_columns

__all__ = ["membership", "shadow_membership"]

RESAMPLES = 200
"""Bootstrap resamples of the jobs, for the interval."""
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
) -> Score:
    """AUC of telling training jobs from held-out ones by their distance to the synthetic trace.

    0.5 = nobody can, 1 = every training job is betrayed. A random 4,000 jobs of each side at
    most. ``interval``: 95 % by the bootstrap of the jobs. ``calibrated``: the same where the
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
    jobs, known = np.concatenate(sides), np.repeat([1, 0], [len(side) for side in sides])
    near = -_log(nearest(jobs, encoder.scaled(synthetic), p)[0])
    usual = -_log(nearest(jobs, reference, p)[0])
    auc, interval = _auc(known, near, rng)
    calibrated, calibrated_interval = _auc(known, near - usual, rng)
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


def shadow_membership(
    generate: Callable[[JobTable, int], JobTable],
    jobs: JobTable,
    *,
    shadows: int = 8,
    seed: int = 0,
    max_queries: int = 2000,
) -> Score:
    """Attack models of the same make with shadow models, and return the AUC with its interval.

    Each of `shadows` models is fitted on a random half of the jobs, so that every job is in some
    and out of others. Whether it is in one model is guessed from the log-likelihood ratio of its
    log-distance to that model's rows, under normals fitted to the other models that have it and
    that do not (Carlini et al. 2022, "Membership inference attacks from first principles").

    Parameters
    ----------
    generate
        Fits a model to a table under a seed and returns as many synthetic rows.
    shadows
        Models to fit, 4 or more.

    Raises `InputError` for fewer shadows, or fewer than 8 jobs.
    """
    if shadows < 4 or len(jobs) < 8:
        raise InputError(
            f"got {shadows} shadow models and {len(jobs)} jobs; give 4 and 8 or more of them"
        )
    columns = modelled_columns(jobs)
    encoder, frame = Encoder.fit(jobs, columns), jobs.collect()
    *rngs, last = spawn(seed, shadows + 1)
    targets = np.sort(last.choice(len(jobs), min(len(jobs), max_queries), replace=False))
    queries = encoder.scaled(jobs.with_frame(frame[targets]))
    near, member = np.empty((shadows, len(targets))), np.zeros((shadows, len(targets)), bool)
    for k, rng in enumerate(rngs):
        chosen = np.sort(rng.permutation(len(jobs))[: len(jobs) // 2])
        rows = generate(jobs.with_frame(frame[chosen]), int(rng.integers(1 << 31)))
        near[k] = _log(nearest(queries, encoder.scaled(rows), len(columns.numbers))[0])
        member[k] = np.isin(targets, chosen)
    guess = np.stack([_ratio(near, member, k) for k in range(shadows)])
    auc, interval = _auc(member.ravel().astype(int), guess.ravel(), last)
    return Score(auc, detail={"interval": interval, "shadows": shadows, "jobs": len(targets)})


def _ratio(near: np.ndarray, member: np.ndarray, k: int) -> np.ndarray:
    """Return the log-likelihood ratio of in against out of model `k`, 0 where none is known."""
    others = np.arange(len(near)) != k
    inside, outside = member & others[:, None], ~member & others[:, None]
    both = inside.any(0) & outside.any(0)
    means = [
        np.divide((near * side).sum(0), side.sum(0), out=np.zeros(near.shape[1]), where=both)
        for side in (inside, outside)
    ]
    residual = np.where(inside, near - means[0], np.where(outside, near - means[1], 0.0))
    variance = (residual**2).sum() / max(1, others.sum() * near.shape[1]) + _NEAR
    ratio: np.ndarray = ((near[k] - means[1]) ** 2 - (near[k] - means[0]) ** 2) / (2 * variance)
    return np.where(both, ratio, 0.0)  # a job that all or none of the others have


def _log(distance: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.log(np.maximum(distance, _NEAR))
    return out


def _auc(
    member: np.ndarray, score: np.ndarray, rng: np.random.Generator
) -> tuple[float, list[float]]:
    """Return the AUC and its 95 % interval by the bootstrap of both sides."""
    sides = [np.flatnonzero(member == value) for value in (0, 1)]
    values = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        values.append(roc_auc_score(member[rows], score[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(roc_auc_score(member, score)), [float(low), float(high)]
