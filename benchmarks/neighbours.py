"""Exact nearest neighbours at growing sizes: CPU seconds, and the ratio to comparing every pair.

``python benchmarks/neighbours.py [--rows 10000 100000 1300000] [--workers 2] [--json]``

Nine columns, four numbers and five categories, on both sides the same number of rows. ``alike``:
both sides drawn from the same frequencies, as a good model does. ``apart``: categories of the
queries drawn evenly and each by itself, as a bad model does, so that most combinations are new; the
search has to look at far more. The yardstick compares every pair, with an early stop, for 50
queries. CPU seconds of one process; with ``--workers``, also wall seconds of several.
"""

import argparse
import json
import os
import resource
import time

import numpy as np

from gridtwin.core.executor import Executor
from gridtwin.metrics.neighbours import Tree, nearest

LEVELS = (6, 120, 30, 8, 12)
NUMBERS = 4


def table(n: int, seed: int, *, apart: bool) -> np.ndarray:
    """Return n rows: a time, three skewed numbers with repeated values, five categories."""
    rng = np.random.default_rng(seed)
    numbers = np.column_stack([rng.random(n), np.round(rng.beta(0.5, 8, (n, 3)), 4)])
    shares = [np.arange(1, k + 1) ** -1.5 for k in LEVELS]
    if apart:
        shares = [np.ones(k) for k in LEVELS]
    return np.column_stack([numbers, *(rng.choice(len(p), n, p=p / p.sum()) for p in shares)])


def measure(n: int, *, apart: bool, workers: int) -> dict[str, float | str]:
    """Return the figures of one size; distances of 50 queries are checked against every pair."""
    base, queries = table(n, 1, apart=False), table(n, 2, apart=apart)
    before = time.process_time()
    Tree.build(base, NUMBERS)
    built = time.process_time()
    distance, _ = nearest(queries, base, NUMBERS)
    done = time.process_time()
    few = np.linspace(0, n - 1, 50).astype(int)
    exact = every_pair(queries[few], base)
    compared = time.process_time()
    np.testing.assert_allclose(distance[few], exact, atol=1e-12)
    out: dict[str, float | str] = {
        "case": "apart" if apart else "alike",
        "rows": n,
        "build_cpu_s": built - before,
        "all_cpu_s": done - built,
        "us_per_query": 1e6 * (done - built) / n,
        "every_pair_us_per_query": 1e6 * (compared - done) / len(few),
        "mean_distance": float(distance.mean()),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if workers > 1:
        start = time.perf_counter()
        again, _ = nearest(queries, base, NUMBERS, executor=Executor("processes", workers))
        out["wall_s_of_workers"] = time.perf_counter() - start
        np.testing.assert_array_equal(again, distance)
    return out


def every_pair(queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return distances by comparing each query with every row, in NumPy."""
    out = np.empty(len(queries))
    for i, query in enumerate(queries):
        squared = ((base[:, :NUMBERS] - query[:NUMBERS]) ** 2).sum(1)
        out[i] = np.sqrt((squared + 2 * (base[:, NUMBERS:] != query[NUMBERS:]).sum(1)).min())
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000, 100_000, 1_300_000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    nearest(table(100, 1, apart=False), table(100, 2, apart=False), NUMBERS)  # compile
    found = []
    for n in args.rows:
        for apart in (False, True):
            found.append(measure(n, apart=apart, workers=args.workers))
            if not args.json:
                print("  ".join(f"{k} {v:.4g}" if k != "case" else v for k, v in found[-1].items()))
    if args.json:
        print(json.dumps({"cores": os.cpu_count(), "sizes": found}, indent=1))


if __name__ == "__main__":
    main()
