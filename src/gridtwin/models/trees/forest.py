"""Trees whose leaves hold training rows: draw a row that resembles a given one.

The idea is sequential CART synthesis (Reiter, "Using CART to generate partially synthetic public
use microdata", Journal of Official Statistics 21, 2005), with two changes: several trees on parts
of the rows, and drawing without replacement inside a leaf, which keeps the totals of a column.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

__all__ = ["LeafForest"]

GROW_ROWS = 100_000
"""Splits are found on this many rows at most; all rows of the tree then fall into its leaves."""


@dataclass(frozen=True)
class LeafForest:
    """Some trees, their nodes one after the other; a node without a left child is a leaf.

    The rows of leaf ``k`` are ``rows[first[k] : first[k + 1]]``.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    first: NDArray[np.int64]
    rows: NDArray[np.int32]

    @classmethod
    def grow(
        cls,
        X: NDArray[np.float32],
        Y: NDArray[np.float64],
        rng: np.random.Generator,
        *,
        trees: int,
        leaf: int,
        fraction: float,
    ) -> "LeafForest":
        """Grow trees that predict `Y` (n x targets) from `X` (n x features).

        Each takes a random `fraction` of the rows and has at least `leaf` of them in a leaf.
        """
        n, parts = len(X), []
        offset, filled = 0, 0
        for _ in range(trees):
            rows = rng.permutation(n)[: max(1, round(fraction * n))]
            grown = rows[:GROW_ROWS]
            tree = DecisionTreeRegressor(
                min_samples_leaf=leaf, random_state=int(rng.integers(1 << 31))
            )
            nodes = tree.fit(X[grown], Y[grown]).tree_
            at = nodes.apply(X[rows])
            count = np.bincount(at, minlength=nodes.node_count)
            inner = nodes.children_left >= 0
            parts.append(
                (
                    np.array([offset]),
                    nodes.feature,
                    nodes.threshold,
                    np.where(inner, nodes.children_left + offset, -1),
                    np.where(inner, nodes.children_right + offset, -1),
                    filled + np.cumsum(count) - count,
                    rows[np.argsort(at, kind="stable")],
                )
            )
            offset += nodes.node_count
            filled += len(rows)
        joined = [np.concatenate(part) for part in zip(*parts, strict=True)]
        joined[5] = np.append(joined[5], filled)
        types = (np.int32, np.int32, np.float64, np.int32, np.int32, np.int64, np.int32)
        return cls(*(a.astype(t) for a, t in zip(joined, types, strict=True)))

    def leaves(self, X: NDArray[np.float32], tree: int) -> NDArray[np.int32]:
        """Return the leaf of one tree into which each row of `X` falls."""
        at = np.full(len(X), self.roots[tree], dtype=np.int32)
        active = np.arange(len(X))
        while True:
            active = active[self.left[at[active]] >= 0]
            if not len(active):
                return at
            node = at[active]
            low = X[active, self.feature[node]] <= self.threshold[node]
            at[active] = np.where(low, self.left[node], self.right[node])

    def draw(
        self, X: NDArray[np.float32], rng: np.random.Generator, avoid: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Return a training row for each row of `X`, from the leaf of a random tree.

        Inside a leaf the rows are handed out in turn, so that each is used equally often. `avoid`
        (n x any number) has the rows that should not be taken for each; if all of a leaf are to be
        avoided, or nearly all, one of them is taken. Where a leaf has no row (`only`), the rows of
        the nearest node above it are handed out.
        """
        out = np.empty(len(X), dtype=np.int32)
        chosen = rng.integers(0, len(self.roots), len(X))
        for tree in range(len(self.roots)):
            mine = np.flatnonzero(chosen == tree)
            leaf = self.leaves(X[mine], tree)
            leaf, end = self._filled(leaf)
            begin = self.first[leaf]
            size = self.first[end] - begin
            turn = (_turns(leaf, rng) + rng.integers(0, 1 << 31, len(self.first))[leaf]) % size
            rows = self._shuffled(tree, rng)
            base = self.first[self.roots[tree]]
            picked = rows[begin - base + turn]
            for _ in range(4):
                again = (avoid[mine] == picked[:, None]).any(axis=1)
                if not again.any():
                    break
                turn = np.where(again, (turn + 1) % size, turn)
                picked = rows[begin - base + turn]
            out[mine] = picked
        return out

    def only(self, rows: NDArray[np.bool_]) -> "LeafForest":
        """Return the same trees with these training rows alone (n booleans, one of them true).

        A tree that has seen none of them becomes one leaf with all of them.
        """
        kept = rows[self.rows]
        count = np.add.reduceat(np.append(kept, False), self.first[:-1], dtype=np.int64)
        count[np.diff(self.first) == 0] = 0
        left, parts = self.left.copy(), []
        for root, end in pairwise([*self.roots, len(left)]):
            part = slice(self.first[root], self.first[end])
            parts.append(self.rows[part][kept[part]])
            if not len(parts[-1]):
                parts[-1] = np.flatnonzero(rows).astype(np.int32)
                left[root], count[root] = -1, len(parts[-1])
        first = np.concatenate([[0], np.cumsum(count)])
        return replace(self, left=left, first=first, rows=np.concatenate(parts))

    def _filled(self, leaf: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return for leaves the nearest node at or above that has rows, and the node after it.

        Nodes are in depth-first order, so that those below a node follow it.
        """
        end = leaf + 1
        if (self.first[end] > self.first[leaf]).all():
            return leaf, end
        inner = np.flatnonzero(self.left >= 0)
        above = np.zeros(len(self.left), dtype=np.int32)
        above[self.left[inner]] = above[self.right[inner]] = inner
        last = np.arange(len(self.left), dtype=np.int32)
        while len(inner):  # from a node to its right-most leaf
            last[inner] = self.right[last[inner]]
            inner = inner[self.left[last[inner]] >= 0]
        node = leaf.copy()
        while len(empty := np.flatnonzero(self.first[last[node] + 1] == self.first[node])):
            node[empty] = above[node[empty]]
        return node, last[node] + 1

    def _shuffled(self, tree: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return the rows of one tree, in random order inside each leaf."""
        begin = self.roots[tree]
        end = self.roots[tree + 1] if tree + 1 < len(self.roots) else len(self.first) - 1
        first = self.first[begin : end + 1]
        leaf = np.repeat(np.arange(end - begin), np.diff(first))
        order = np.lexsort((rng.random(len(leaf)), leaf))
        return self.rows[first[0] : first[-1]][order]

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays under names that begin with `prefix`."""
        return {f"{prefix}.{f.name}": getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_arrays(cls, prefix: str, arrays: dict[str, NDArray[Any]]) -> "LeafForest":
        """Undo `to_arrays`."""
        return cls(*(arrays[f"{prefix}.{f.name}"] for f in fields(cls)))


def _turns(group: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return 0, 1, 2, … to the members of each group, in random order."""
    order = np.lexsort((rng.random(len(group)), group))
    arranged = group[order]
    starts = np.flatnonzero(np.diff(arranged, prepend=-1))
    sizes = np.diff(np.r_[starts, len(group)])
    turns = np.empty(len(group), dtype=np.int64)
    turns[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return turns
