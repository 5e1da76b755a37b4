"""Whether a predictor learnt from synthetic jobs is as good as one learnt from real ones."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gridtwin.metrics.base import Score, metric, shared_columns
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder
from gridtwin.trace.schema import TraceSchema

__all__ = ["diff_mlef"]

MAX_ROWS = 50_000
"""Rows of each side that are learnt from, or predicted."""
SEEDS = 3
DEPTH = 10
ITERATIONS = 200
_MAX_LEVELS = 250
"""The trees of scikit-learn take at most 255 levels; rarer ones share a code."""


@metric("diff_mlef", goal="heldout", group="utility", on="split")
def diff_mlef(
    real: JobTable,
    synthetic: JobTable,
    *,
    holdout: JobTable | None = None,
    columns: Columns | None = None,
    seed: int = 0,
    max_rows: int = MAX_ROWS,
    iterations: int = ITERATIONS,
) -> Score:
    """Machine-learning efficiency: how much worse synthetic rows teach to predict the work of jobs.

    Mean squared error, on held-out rows, of ln(1 + work) (of the run time, where the work follows
    from it) predicted from all other columns, learnt from synthetic rows less learnt from as many
    training rows; mean over 3 seeds. CatBoost of depth 10, 200 iterations, learning rate 1, or,
    where it is not installed, scikit-learn's histogram trees at rate 0.1: ``trees`` says which.
    Other numbers known only at the end of a job are left out. At most 50,000 rows of each. 0 = as
    good; held-out rows in the place of the synthetic ones, in their own number, show the noise.
    """
    if holdout is None or not len(holdout):
        return Score.none("needs real rows that the model has not seen: give a holdout")
    shared = shared_columns(real, holdout, columns).within(synthetic)
    target = _target(real, synthetic, holdout)
    if target is None:
        return Score.none("neither work nor run time to predict")
    names = _features(shared, target)
    if not len(names):
        return Score.none("no columns to predict from")
    rng = np.random.default_rng(seed)
    encoder = Encoder.fit(real, names) if len(real) else None
    if encoder is None or not len(synthetic):
        return Score.none("no rows to compare")
    sides = [_rows(jobs, target, encoder) for jobs in (real, synthetic, holdout)]
    n = min(len(sides[0][1]), len(sides[1][1]), max_rows)
    if n < 20 or len(sides[2][1]) < 20:
        return Score.none("fewer than 20 rows with a target; efficiency needs more")
    errors = np.empty((2, SEEDS))
    test = _draw(sides[2], max_rows, rng)
    for k in range(SEEDS):
        for side in range(2):
            learnt = _draw(sides[side], n, rng)
            errors[side, k] = _error(learnt, test, encoder, seed + k, iterations)
    mean = errors.mean(1)
    detail: dict[str, Any] = {
        "trees": "CatBoost" if find_spec("catboost") else "scikit-learn's histogram trees",
        "target": target,
        "mse_real": float(mean[0]),
        "mse_synthetic": float(mean[1]),
        "by_seed": [float(d) for d in errors[1] - errors[0]],
        "rows_each": n,
        "heldout_rows": len(test[1]),
    }
    return Score(float(mean[1] - mean[0]), detail=detail)


def _target(*tables: JobTable) -> str | None:
    every = [name for name in ("run_time", "work") if all(name in jobs for jobs in tables)]
    return every[0] if every else None


def _features(shared: Columns, target: str) -> Columns:
    """Return the columns to predict from: no number that is known only when the target is."""
    schema = TraceSchema.canonical()
    late = [n for n in shared.numbers if n != target and schema[n].known == "end"]
    return shared.without(target, *late, reason="known at the end of the job")


Rows = tuple[np.ndarray, np.ndarray]
"""Codes, shape (n, d), and ln(1 + target), shape (n,)."""


def _rows(jobs: JobTable, target: str, encoder: Encoder) -> Rows:
    """Return the rows that have a target, in an order that does not depend on the table's."""
    y = jobs.collect([target])[target].cast(float).fill_null(np.nan).to_numpy()
    X = encoder.codes(jobs)
    there = np.isfinite(y) & (y >= 0)
    X, y = X[there], np.log1p(y[there])
    # times of a billion seconds are too long for the single precision of the trees
    X[:, : len(encoder.low)] -= np.nan_to_num(encoder.low)
    order = np.lexsort((y, *X.T))
    return X[order], y[order]


def _draw(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    chosen = rng.permutation(len(rows[1]))[:n]  # boosting depends on the order: drawn, too
    return rows[0][chosen], rows[1][chosen]


def _error(learnt: Rows, test: Rows, encoder: Encoder, seed: int, iterations: int) -> float:
    """Return the mean squared error of trees on the test rows."""
    p, state = len(encoder.columns.numbers), seed % 2**31
    predict = _catboost if find_spec("catboost") else _histogram_trees
    with threadpool_limits(1):
        guess = predict(learnt, test[0], p, state, iterations)
    return float(np.mean((guess - test[1]) ** 2))


def _catboost(learnt: Rows, X: np.ndarray, p: int, state: int, iterations: int) -> np.ndarray:
    from catboost import CatBoostRegressor, FeaturesData, Pool

    def features(codes: np.ndarray) -> Any:  # noqa: ANN401 - catboost has no types
        texts = np.nan_to_num(codes[:, p:], nan=-1).astype(np.int64).astype("S").astype(object)
        return FeaturesData(
            codes[:, :p].astype(np.float32) if p else None, texts if texts.shape[1] else None
        )

    trees = CatBoostRegressor(
        depth=DEPTH,
        iterations=iterations,
        learning_rate=1.0,
        loss_function="RMSE",
        max_ctr_complexity=1,
        random_seed=state,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )
    trees.fit(Pool(features(learnt[0]), label=learnt[1]))
    return np.asarray(trees.predict(Pool(features(X))))


def _histogram_trees(
    learnt: Rows, X: np.ndarray, p: int, state: int, iterations: int
) -> np.ndarray:
    def capped(codes: np.ndarray) -> np.ndarray:
        return np.concatenate([codes[:, :p], np.minimum(codes[:, p:], _MAX_LEVELS)], axis=1)

    trees = HistGradientBoostingRegressor(
        max_depth=DEPTH,
        max_iter=iterations,
        learning_rate=0.1,
        early_stopping=False,
        categorical_features=np.arange(X.shape[1]) >= p,
        random_state=state,
    )
    return np.asarray(trees.fit(capped(learnt[0]), learnt[1]).predict(capped(X)))
