"""Membership inference by shadow models: the attack of one who knows how the model is made."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.core.seeds import spawn
from gridtwin.metrics.base import Score, subsample
from gridtwin.metrics.membership import log_distance
from gridtwin.metrics.neighbours import nearest
from gridtwin.metrics.references import Real
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Encoder, modelled_columns

__all__ = ["DEFINITION", "Generate", "judge_shadow", "shadow_membership"]

DEFINITION = """AUC of telling training jobs from others by shadow models, of the same make.

0.5 = nobody can, 1 = every training job is betrayed. Several models are each fitted on a random
half of the training jobs; whether a job is in one is guessed from its log-distance to that model's
rows, against those of the models that have it and that do not (likelihood ratio, Carlini et al.
2022). ``interval``: 95 % by the bootstrap of the jobs. Held-out: the same where a model gives real
rows that it was not fitted on; copy: where it gives the rows that it was fitted on."""

Generate = Callable[[JobTable, int], JobTable]
"""Fits a model to a table under a seed and returns as many synthetic rows."""
RESAMPLES = 200
"""Bootstrap resamples of the jobs, for the interval."""
_LEAST = 1e-9
"""Variance of log-distances at least."""


def shadow_membership(
    generate: Generate,
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
        near[k] = log_distance(nearest(queries, encoder.scaled(rows), len(columns.numbers))[0])
        member[k] = np.isin(targets, chosen)
    guess = np.stack([_ratio(near, member, k) for k in range(shadows)])
    auc = float(roc_auc_score(member.ravel(), guess.ravel()))
    # a job is resampled with its guesses in all models, as these hang together
    drawn = (last.choice(len(targets), len(targets)) for _ in range(RESAMPLES))
    values = [roc_auc_score(member[:, rows].ravel(), guess[:, rows].ravel()) for rows in drawn]
    interval = [float(q) for q in np.quantile(values, [0.025, 0.975])]
    return Score(auc, detail={"interval": interval, "shadows": shadows, "jobs": len(targets)})


def judge_shadow(generate: Generate, real: Real) -> tuple[Score, Score, Score]:
    """Return the scores of a model, of held-out rows in its place, and of a copy.

    A model that refuses a half of the jobs, or jobs without columns, have no score but a reason.
    """
    if len(real.base) < 8 or not len(real.columns):
        none = Score.none("shadow models need 8 or more jobs with columns to compare")
        return none, none, none

    def heldout(half: JobTable, seed: int) -> JobTable:
        return subsample(real.other, len(half), np.random.default_rng(seed))

    try:
        own = shadow_membership(generate, real.train, seed=real.seed)
    except GridtwinError as error:
        own = Score.none(f"the model refused a half of the jobs: {error}")
    return (
        own,
        shadow_membership(heldout, real.base, seed=real.seed),
        shadow_membership(lambda half, _: half, real.train, seed=real.seed),
    )


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
    variance = (residual**2).sum() / max(1, others.sum() * near.shape[1]) + _LEAST
    ratio: np.ndarray = ((near[k] - means[1]) ** 2 - (near[k] - means[0]) ** 2) / (2 * variance)
    return np.where(both, ratio, 0.0)  # a job that all or none of the others have
