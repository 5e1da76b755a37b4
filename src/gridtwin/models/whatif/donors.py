"""Which training rows give values to which jobs, where not every row may."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.models.trees.forest import GROW_ROWS, LeafForest
from gridtwin.models.whatif.conditions import Share

__all__ = ["Groups", "choose_exactly", "draw_donors", "split"]


class Groups(NamedTuple):
    """Jobs take their values from the training rows of the same group."""

    job: NDArray[np.int64]
    row: NDArray[np.int64]
    """-1 for rows that give no value."""

    @classmethod
    def of(cls, allowed: NDArray[np.bool_], jobs: int) -> "Groups":
        """Return one group of all jobs and the rows that are allowed."""
        return cls(np.zeros(jobs, dtype=np.int64), np.where(allowed, 0, -1))


def draw_donors(
    forest: LeafForest,
    X: NDArray[np.float32],
    rng: np.random.Generator,
    used: NDArray[np.int32],
    groups: Groups | None,
) -> NDArray[np.int32]:
    """Return a training row of its group for each job; see `LeafForest.draw`.

    Each group looks at all training rows once.
    """
    if groups is None:
        return forest.draw(X, rng, used)
    out = np.empty(len(X), dtype=np.int32)
    for group in np.unique(groups.job):
        mine = np.flatnonzero(groups.job == group)
        out[mine] = forest.only(groups.row == group).draw(X[mine], rng, used[mine])
    return out


def split(
    groups: Groups,
    share: Share,
    counts: NDArray[np.int64],
    features: tuple[NDArray[np.float32], NDArray[np.float32]],
    leaf: int,
    rng: np.random.Generator,
) -> Groups:
    """Divide groups by the value of a column that ``counts[k]`` jobs shall have.

    `features` are those of the training rows and of the jobs. A tree on them says how likely each
    value is for each job. Raises `InputError` if the counts cannot be had together with the values
    given to the jobs before.
    """
    k = len(counts)
    rows = np.flatnonzero(groups.row >= 0)
    X = np.column_stack([features[0][rows], groups.row[rows]]).astype(np.float32)
    value = share.row[rows]
    some = rng.permutation(len(rows))[:GROW_ROWS]
    tree = LeafForest.grow(X[some], np.eye(k)[value[some]], rng, trees=1, leaf=leaf, fraction=1.0)
    jobs = np.column_stack([features[1], groups.job]).astype(np.float32)
    seen = np.bincount(tree.leaves(X, 0) * k + value, minlength=len(tree.left) * k).reshape(-1, k)
    overall = seen.sum(axis=0) / seen.sum()
    likely = (seen + overall)[tree.leaves(jobs, 0)]
    likely /= likely.sum(axis=1, keepdims=True)
    occurs = np.zeros((int(max(groups.row.max(), groups.job.max(initial=0))) + 1, k), dtype=bool)
    occurs[groups.row[rows], value] = True
    chosen = choose_exactly(likely * occurs[groups.job], counts, rng)
    if chosen is None:
        pairs = zip(share.values, share.shares, strict=False)
        named = [f"{name!r} {part:g}" for name, part in pairs]
        raise InputError(
            f"mix: the shares of {share.column} ({', '.join(named)}) cannot be had with those of "
            "the other columns: too few combinations of them occur in training; ask for one of them"
        )
    return Groups(groups.job * k + chosen, np.where(groups.row < 0, -1, groups.row * k + share.row))


def choose_exactly(
    likely: NDArray[np.float64], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """Return a value for each job, exactly ``counts[k]`` times value k; None if there is no way.

    `likely` (jobs, values) has the chance of each value for each job; 0 stands for impossible. One
    value after the other, the odds of all jobs are raised or lowered by the same factor until the
    count fits, by Pareto sampling (Rosén, "On sampling with probability proportional to size",
    Journal of Statistical Planning and Inference 62, 1997), which needs no factor.
    """
    chosen = np.full(len(likely), len(counts) - 1, dtype=np.int64)
    left = np.arange(len(likely))
    for k, count in enumerate(counts[:-1]):
        here, later = likely[left, k], likely[left, k + 1 :] @ (counts[k + 1 :] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = np.log(here) - np.log(later)  # inf: it must be this value; -inf: it cannot be
        odds = np.where(here > 0, odds, -np.inf)
        if not np.isposinf(odds).sum() <= count <= (here > 0).sum():
            return None
        key = rng.logistic(size=len(left)) - odds
        taken = np.argsort(key, kind="stable")[:count]
        chosen[left[taken]] = k
        left = np.delete(left, taken)
    return None if (likely[left, -1] == 0).any() else chosen
