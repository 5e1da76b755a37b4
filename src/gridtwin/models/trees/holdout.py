"""Choose how coarse a model of donors is, on rows that it has not seen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.models.base import Surrogate
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Encoder

__all__ = ["Choice", "Privacy", "choose_leaf", "training_share", "wanted"]

Privacy = Literal["fixed", "auto"]
LEAVES = (5, 10, 20, 40, 80, 160, 320)
GOAL = 0.52
"""A share up to this is as good as that of independent rows, 0.5."""
ROWS = 10_000
"""Rows of each half at most."""
QUERIES = 2000
"""Synthetic rows whose neighbours are looked for; the share is then good to 0.011."""
_FEW = 100
"""Rows below which there is nothing to choose by."""
_BLOCK = 200


@dataclass(frozen=True)
class Choice:
    """What was chosen and why."""

    leaf: int
    shares: dict[int, float]
    """The DCR-share on the internal hold-out for each leaf that was tried."""
    reached: bool
    """Whether the chosen leaf brings the share down to 0.52."""

    def to_json(self) -> dict[str, Any]:
        """Return what fits into JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any] | None) -> "Choice | None":
        """Undo `to_json`, which makes texts of whole keys."""
        if saved is None:
            return None
        shares = {int(leaf): share for leaf, share in saved["shares"].items()}
        return cls(saved["leaf"], shares, saved["reached"])


def wanted(privacy: str) -> bool:
    """Return whether the leaf is to be chosen. Raises `InputError` for an unknown word."""
    if privacy not in ("fixed", "auto"):
        raise InputError(
            f"privacy={privacy!r} is unknown; give 'fixed' to use the leaf as given, or 'auto' to "
            f"have it chosen on an internal hold-out"
        )
    return privacy == "auto"


def choose_leaf(
    make: Callable[[int], Surrogate],
    frame: pl.DataFrame,
    rng: np.random.Generator,
    fallback: int,
) -> Choice:
    """Return the smallest of some leaves at which samples do not lean towards training rows.

    ``make(leaf)`` is fitted on a random half of the rows (10,000 at most), and `training_share`
    compares its sample with both halves. The share falls as leaves grow, hence a bisection over
    5, 10, 20, … 320 and at most a tenth of the half: three fits. Where none is large enough, the
    largest is taken. Below 100 rows it is `fallback`, which is not tried.
    """
    half = min(frame.height // 2, ROWS)
    if half < _FEW // 2:
        return Choice(fallback, {}, reached=False)
    rows = rng.permutation(frame.height)
    train, holdout = (
        JobTable.from_frame(frame[np.sort(part)]) for part in (rows[:half], rows[half : 2 * half])
    )
    seed = int(rng.integers(1 << 31))
    leaves = [leaf for leaf in LEAVES if leaf <= max(LEAVES[0], half // 10)]
    shares: dict[int, float] = {}
    low, high = 0, len(leaves) - 1
    while low < high:
        middle = (low + high) // 2
        sample = make(leaves[middle]).fit(train).sample(seed=seed)
        share = training_share(train, sample, holdout, np.random.default_rng(seed))
        shares[leaves[middle]] = share
        low, high = (low, middle) if share <= GOAL else (middle + 1, high)
    return Choice(leaves[low], shares, reached=shares.get(leaves[low], 1.0) <= GOAL)


def training_share(
    train: JobTable, synthetic: JobTable, holdout: JobTable, rng: np.random.Generator
) -> float:
    """Return the share of synthetic rows nearer to a training row than to any held-out one.

    0.5 = the training rows are not favoured, 1 = copies; `train` and `holdout` have equally many
    rows, and a tie counts one half. Euclidean; numbers on 0..1 of the training range, a null at 1
    from all numbers, different categories at the square root of 2. Of 2,000 random rows.
    """
    encoder = Encoder.fit(train)
    numbers = len(encoder.columns.numbers)
    if not len(encoder.columns):
        return 0.5
    sides = [encoder.scaled(jobs) for jobs in (synthetic, train, holdout)]
    queries = sides[0][rng.permutation(len(sides[0]))[:QUERIES]]
    near, far = (_nearest(queries, side, numbers) for side in sides[1:])
    return float(np.mean(near < far) + np.mean(near == far) / 2)


def _nearest(
    queries: NDArray[np.float64], base: NDArray[np.float64], numbers: int
) -> NDArray[np.float64]:
    """Return the squared distance of each query to the nearest row of `base`."""
    out = np.empty(len(queries))
    for begin in range(0, len(queries), _BLOCK):
        block = queries[begin : begin + _BLOCK]
        square = np.zeros((len(block), len(base)))
        for k in range(base.shape[1]):
            a, b = np.nan_to_num(block[:, [k]]), np.nan_to_num(base[:, k])
            square += np.square(a - b) if k < numbers else 2.0 * (a != b)
            if np.isnan(base[:, k]).any() or np.isnan(block[:, k]).any():
                square += np.isnan(block[:, [k]]) != np.isnan(base[:, k])
        out[begin : begin + _BLOCK] = square.min(axis=1)
    return out
