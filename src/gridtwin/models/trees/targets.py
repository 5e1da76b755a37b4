"""What trees predict: numbers and indicators, each of about unit variance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["indicators", "rank", "standard"]


def standard(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values less their mean, over their standard deviation."""
    values = values.astype(np.float64)
    return np.asarray((values - values.mean()) / (values.std() + 1e-12))


def rank(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the ranks of the values, standardised; equal ones in their order."""
    return standard(np.argsort(np.argsort(values, kind="stable")))


def indicators(
    codes: NDArray[Any], points: NDArray[np.float64], weight: float
) -> list[NDArray[np.float64]]:
    """Return random projections of the indicators of codes, one of each column of `points`.

    Row k of `points` is the place of code k. The summed variance of normal ones stands for the
    Gini index at the cost of few targets (Johnson-Lindenstrauss).
    """
    spread = points[codes] - points[codes].mean(axis=0)
    return list((weight * spread / (spread.std() + 1e-12)).T)
