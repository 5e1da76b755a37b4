"""Exact nearest neighbours among rows of numbers and categories.

The squared distance of two rows is the sum of the squared differences of their numbers, 2 for each
category that differs (as between one-hot rows), and 1 for each number that only one of them has.
Rows are put into a k-d tree that splits categories first: a category is an interval of codes, and a
node whose interval does not hold the query's code is at least the root of 2 away. Nothing is
approximated: a node is passed over only if all its rows are farther than the best one found.

Memory: the two matrices, their distinct rows, and at most two nodes a distinct row of the base (in
practice one for every ten rows). Queries go in blocks, which an `Executor` may spread.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Self

import numpy as np

from gridtwin.core.executor import Executor, Shared
from gridtwin.sim.kernel import compiled

__all__ = ["Tree", "distinct_rows", "nearest"]

LEAF = 12
"""Rows of a node that is not split further."""
BLOCK = 50_000
"""Queries searched in one piece."""


@dataclass(frozen=True)
class Tree:
    """A k-d tree of the distinct rows of a table; node k + 1 is the left child of node k."""

    rows: np.ndarray
    """Shape (m, d), float64, in the order of the leaves."""
    weight: np.ndarray
    """How often each row occurs, shape (m,)."""
    start: np.ndarray
    end: np.ndarray
    """Rows ``start`` to ``end`` of each node."""
    right: np.ndarray
    """The right child, -1 for a leaf."""
    low: np.ndarray
    high: np.ndarray
    """Least and greatest value in each node, shape (nodes, d); low > high where all are null."""
    null: np.ndarray
    """Whether a node holds a null, shape (nodes, d)."""
    shape: np.ndarray
    """Number columns; greatest depth."""

    @classmethod
    def build(cls, base: np.ndarray, numbers: int) -> Self:
        """Return the tree of a matrix in `Encoder.scaled` form; see `nearest`."""
        rows, _, weight = distinct_rows(_dense(base, numbers))
        order, start, end, right, low, high, null, depth = _build(rows, numbers, LEAF)
        shape = np.array([numbers, depth], np.int64)
        return cls(rows[order], weight[order], start, end, right, low, high, null, shape)

    def search(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return squared distances and numbers of rows that near, shape (n,) each."""
        return _search(queries, *(getattr(self, field.name) for field in fields(self)))


def nearest(
    queries: np.ndarray, base: np.ndarray, numbers: int, *, executor: Executor | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each query's distance to its nearest row of `base` and how many rows are that near.

    Both matrices are of `Encoder.scaled` form, float64, shapes (n, d) and (m, d); the first
    `numbers` columns are numbers, the others category codes; NaN is null. An empty base gives
    infinity and 0. Every `executor` gives the same result.
    """
    rows, place, _ = distinct_rows(_dense(queries, numbers))
    distance, count = np.full(len(rows), np.inf), np.zeros(len(rows), np.int64)
    if len(base) and len(rows):
        tree = Tree.build(base, numbers)
        blocks = [slice(at, at + BLOCK) for at in range(0, len(rows), BLOCK)]
        found = _in_blocks(tree, [rows[block] for block in blocks], executor or Executor())
        for block, (squared, ties) in zip(blocks, found, strict=True):
            distance[block], count[block] = np.sqrt(squared), ties
    return distance[place], count[place]


def _in_blocks(
    tree: Tree, blocks: list[np.ndarray], executor: Executor
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the search of each block; the tree goes to other processes once."""
    if len(blocks) == 1:
        executor = Executor()
    with executor.share(tree) as shared:
        yield from executor.map(partial(_search_shared, shared), blocks)


def _search_shared(tree: Shared[Tree], queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return tree.get().search(queries)


def distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct rows, sorted, the place of each row among them, and their counts."""
    n = len(matrix)
    if not n or not matrix.shape[1]:
        return matrix[: min(n, 1)], np.zeros(n, np.int64), np.full(min(n, 1), n)
    order = np.lexsort(matrix.T)
    rows = matrix[order]
    new = np.ones(n, bool)
    step = slice(0, n - 1), slice(1, n)
    same = (rows[step[0]] == rows[step[1]]) | (np.isnan(rows[step[0]]) & np.isnan(rows[step[1]]))
    new[1:] = ~same.all(1)
    number = np.cumsum(new) - 1
    place = np.empty(n, np.int64)
    place[order] = number
    return rows[new], place, np.bincount(number)


def _dense(matrix: np.ndarray, numbers: int) -> np.ndarray:
    """Return a float64 copy with the null of a category as a level of its own, -1."""
    out = np.array(matrix, np.float64, order="C")
    out[:, numbers:][np.isnan(out[:, numbers:])] = -1.0
    return out


@compiled
def _build(rows: np.ndarray, numbers: int, leaf: int) -> tuple[Any, ...]:
    """Return order, start, end, right, low, high, null of the nodes, and the depth."""
    n, d = rows.shape
    most = 2 * n
    order = np.arange(n)
    start, end, right = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.int64)
    low, high = np.empty((most, d)), np.empty((most, d))
    null = np.zeros((most, d), np.bool_)
    waiting = [(0, n, -1, 0)]  # rows from, to; the parent of a right child; depth
    nodes, deepest = 0, 0
    while waiting:
        first, last, above, depth = waiting.pop()
        node = nodes
        nodes += 1
        deepest = max(deepest, depth)
        start[node], end[node], right[node] = first, last, -1
        if above >= 0:
            right[above] = node
        split, widest = -1, 0.0
        for k in range(d):
            least, greatest, missing = np.inf, -np.inf, False
            for i in range(first, last):
                value = rows[order[i], k]
                if np.isnan(value):
                    missing = True
                else:
                    least, greatest = min(least, value), max(greatest, value)
            low[node, k], high[node, k], null[node, k] = least, greatest, missing
            width = max(greatest - least, 0.0)
            if missing and greatest >= least:
                width += 1.0
            if k >= numbers and width > 0:
                width += 1e9  # a category that differs weighs more than any number
            if width > widest:
                split, widest = k, width
        if last - first <= leaf or split < 0:
            continue
        keys = rows[order[first:last], split]
        keys = np.where(np.isnan(keys), -np.inf, keys)
        rank = np.argsort(keys)
        order[first:last] = order[first:last][rank]
        keys = keys[rank]
        middle = len(keys) // 2
        below, above_middle = middle, middle
        while below > 0 and keys[below] == keys[below - 1]:
            below -= 1
        while above_middle < len(keys) and keys[above_middle] == keys[middle]:
            above_middle += 1
        cut = below
        if below == 0 or (above_middle < len(keys) and above_middle - middle < middle - below):
            cut = above_middle
        waiting.append((first + cut, last, node, depth + 1))
        waiting.append((first, first + cut, -1, depth + 1))
    kept = slice(0, nodes)
    return (
        order,
        start[kept].copy(),
        end[kept].copy(),
        right[kept].copy(),
        low[kept].copy(),
        high[kept].copy(),
        null[kept].copy(),
        deepest,
    )


@compiled
def _bound(
    query: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    null: np.ndarray,
    numbers: int,
    limit: float,
) -> float:
    """Return the least squared distance that a row of a node can have, or one over the limit."""
    total = 0.0
    for k in range(len(query) - 1, -1, -1):
        value = query[k]
        if k >= numbers:
            if value < low[k] or value > high[k]:
                total += 2.0
        elif np.isnan(value):
            if not null[k]:
                total += 1.0
        elif low[k] > high[k]:
            total += 1.0
        else:
            off = max(low[k] - value, value - high[k], 0.0)
            off *= off
            total += min(off, 1.0) if null[k] else off
        if total > limit:
            break
    return total


@compiled
def _search(
    queries: np.ndarray,
    rows: np.ndarray,
    weight: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    right: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    null: np.ndarray,
    shape: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared distance and number of nearest rows for each query; see `Tree`."""
    numbers, d = shape[0], queries.shape[1]
    distance, count = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    stack, bounds = np.empty(shape[1] + 2, np.int64), np.empty(shape[1] + 2)
    for i in range(len(queries)):
        query = queries[i]
        best, ties, limit = np.inf, 0, np.inf
        stack[0], bounds[0], top = 0, 0.0, 1
        while top > 0:
            top -= 1
            node, bound = stack[top], bounds[top]
            while bound <= limit and right[node] >= 0:
                near, far = node + 1, right[node]
                bound = _bound(query, low[near], high[near], null[near], numbers, limit)
                other = _bound(query, low[far], high[far], null[far], numbers, limit)
                if other < bound:
                    near, far, bound, other = far, near, other, bound
                if other <= limit:
                    stack[top], bounds[top] = far, other
                    top += 1
                node = near
            if bound > limit:
                continue
            for j in range(start[node], end[node]):
                total = 0.0
                # categories first: one difference weighs most and ends the comparison soonest
                for k in range(d - 1, -1, -1):
                    a, b = query[k], rows[j, k]
                    if a == b:
                        continue
                    if k >= numbers:
                        total += 2.0
                    elif np.isnan(a) or np.isnan(b):
                        if not (np.isnan(a) and np.isnan(b)):
                            total += 1.0
                    else:
                        total += (a - b) * (a - b)
                    if total > best:
                        break
                if total < best:
                    best, ties = total, weight[j]
                    limit = best * (1 + 1e-12)  # rounding must not cost a tie
                elif total == best:
                    ties += weight[j]
        distance[i], count[i] = best, ties
    return distance, count
