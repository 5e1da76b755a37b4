"""The classifier two-sample test: what a classifier finds to tell synthetic rows by."""

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gridtwin.metrics.base import Score, metric, shared_columns, subsample
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder

__all__ = ["c2st"]

MAX_ROWS = 8000
TELLING = 0.02
"""A column that moves the AUC by less tells nothing."""
_MAX_LEVELS = 250
"""The trees take at most 255 levels; rarer ones share a code."""


@metric("c2st", goal="half", group="detection", on="unseen")
def c2st(
    real: JobTable,
    synthetic: JobTable,
    *,
    columns: Columns | None = None,
    seed: int = 0,
    folds: int = 3,
    max_rows: int = MAX_ROWS,
) -> Score:
    """Classifier two-sample test: AUC of gradient-boosted trees telling synthetic from real rows.

    0.5 = cannot be told apart, 1 = always told. Out-of-fold scores of a cross-validation, pooled;
    as many rows of each side (a random 8,000 at most), all modelled columns, submit time among
    them. A value below 0.5 is given as it is: chance, or rows that occur on both sides. By
    column: how much the AUC falls when that column is shuffled in the fold left out. ``telling``:
    columns by what they tell, the larger of that fall and the excess of ``alone`` over 0.5.
    ``alone``: the AUC of each column by itself; ``without_submit_time``: of the others together.
    """
    shared = shared_columns(real, synthetic, columns)
    n = min(len(real), len(synthetic), max_rows)
    if not len(shared):
        return Score.none("no columns to compare")
    if n < 10 * folds:
        return Score.none(f"{n} rows a side; the test needs {10 * folds} or more")
    rng = np.random.default_rng(seed)
    X, categorical = _matrix([subsample(jobs, n, rng) for jobs in (real, synthetic)], shared)
    scores, shuffled = _out_of_fold(X, categorical, folds, seed)
    y = np.repeat([0, 1], n)
    auc = float(roc_auc_score(y, scores))
    drop = {name: auc - float(roc_auc_score(y, shuffled[k])) for k, name in enumerate(shared.names)}
    alone = {
        name: float(roc_auc_score(y, _alone(X[:, [k]], categorical[[k]], folds, seed)))
        for k, name in enumerate(shared.names)
    }
    tells = {name: max(drop[name], alone[name] - 0.5) for name in shared.names}
    telling = [name for name in sorted(tells, key=lambda n: -tells[n]) if tells[name] > TELLING]
    detail: dict[str, Any] = {"rows_each": n, "folds": folds, "max_rows": max_rows}
    detail |= {"telling": telling, "alone": alone}
    if "submit_time" in shared.names and len(shared) > 1:
        kept = np.array([name != "submit_time" for name in shared.names])
        untimed, _ = _out_of_fold(X[:, kept], categorical[kept], folds, seed, shuffle=False)
        detail["without_submit_time"] = float(roc_auc_score(y, untimed))
    return Score(auc, dict(sorted(drop.items(), key=lambda item: -item[1])), detail)


def _out_of_fold(
    X: np.ndarray,
    categorical: np.ndarray,
    folds: int,
    seed: int,
    *,
    shuffle: bool = True,
    iterations: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's score by trees that have not seen it, also with each column shuffled.

    The first half of the rows of `X`, shape (2n, d), is real. Shapes (2n,) and (d, 2n); the
    second is not filled without `shuffle`.
    """
    y = np.repeat([0, 1], len(X) // 2)
    rng = np.random.default_rng(seed)
    state = seed % 2**32  # all that scikit-learn takes
    scores, shuffled = np.zeros(len(X)), np.zeros((X.shape[1], len(X)))
    # one thread: with more, the trees' barriers spin on a busy machine, and sums change order
    with threadpool_limits(1):
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=state).split(X, y):
            trees = HistGradientBoostingClassifier(
                max_iter=iterations,
                max_leaf_nodes=31,
                learning_rate=0.1,
                categorical_features=categorical,
                early_stopping=False,
                random_state=state,
            ).fit(X[train], y[train])
            scores[test] = trees.predict_proba(X[test])[:, 1]
            for k in range(X.shape[1] if shuffle else 0):
                other = X[test]
                other[:, k] = rng.permutation(other[:, k])
                shuffled[k, test] = trees.predict_proba(other)[:, 1]
    return scores, shuffled


def _alone(x: np.ndarray, categorical: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return each row's score by one column; few trees are enough for that."""
    return _out_of_fold(x, categorical, folds, seed, shuffle=False, iterations=20)[0]


def _matrix(sides: list[JobTable], columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides' codes, one under the other, and which columns are categories."""
    parts = [Encoder.fit(jobs, columns) for jobs in sides]
    levels = []
    for sets in zip(parts[0].levels, parts[1].levels, strict=True):
        # levels of both sides, so that an invented value is a value like others
        place = [{value: rank for rank, value in enumerate(side)} for side in sets]
        order = {v: sum(p.get(v, len(p)) for p in place) for v in {*sets[0], *sets[1]}}
        levels.append(tuple(sorted(order, key=lambda v, o=order: (o[v], v))[:_MAX_LEVELS]))  # type: ignore[misc]
    encoder = Encoder(columns, parts[0].low, parts[0].high, parts[0].has_null, tuple(levels))
    X = np.concatenate([encoder.codes(jobs) for jobs in sides])
    categorical = np.arange(X.shape[1]) >= len(columns.numbers)
    return X, categorical
