"""The models of rows on real traces: told apart, copied, marginals, arrivals, cost.

``python benchmarks/row_models.py mira.csv.gz theta.csv.gz… [--models cart smote] [--fits 3]``

Each model is fitted on a random half of the rows and judged against the other half, for each of
`fits` seeds; the median is printed, and first what the held-out rows score. CPU seconds are of fit
+ one sample of as many rows, after the imports; memory is the peak of a process of its own.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

import gridtwin
from gridtwin.metrics import evaluate
from gridtwin.trace.split import by_row

GROUPS = ("marginal", "joint", "detection", "privacy")
SHOWN = ("c2st", "dcr_share", "dcr", "exact_copies", "wd", "jsd", "ks", "interarrival")
MODELS = ["cart", "smote", "gaussian_copula", "trace"]
COST = ("cpu_s", "peak_mib")


def judge(task: tuple[Path, str, int, dict[str, Any]]) -> dict[str, float]:
    """Return the figures of one fit, held-out ones under ``heldout.``, in a fresh process."""
    path, name, seed, parameters = task
    train, holdout = by_row(gridtwin.read(path), 0.5, seed=seed)
    train, holdout = (jobs.with_frame(jobs.collect()) for jobs in (train, holdout))
    cls = gridtwin.models.get(name)
    before = time.process_time()
    sample = cls(seed=seed, **parameters).fit(train).sample()
    out = {"cpu_s": time.process_time() - before}
    out["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = evaluate(train, sample, holdout, seed=seed, groups=(*GROUPS, "temporal"))
    for row in rows.rows:
        if row.synthetic is not None:
            out[row.metric] = row.synthetic
            out |= {f"{row.metric}:{k}": v for k, v in row.by_column.items() if v is not None}
            if row.heldout is not None:
                out[f"heldout.{row.metric}"] = row.heldout
            if row.metric == "c2st" and "without_submit_time" in row.detail:
                out["c2st_untimed"] = row.detail["without_submit_time"]
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument(
        "--models", nargs="*", default=["cart", "smote", "gaussian_copula", "trace"]
    )
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    parameters = {key: json.loads(value) for key, _, value in (s.partition("=") for s in args.set)}
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    context = multiprocessing.get_context("spawn")
    for path in args.traces:
        found[path.name] = {}
        for name in args.models:
            tasks = [(path, name, seed, parameters) for seed in range(args.fits)]
            with context.Pool(1, maxtasksperchild=1) as pool:
                found[path.name][name] = list(pool.imap(judge, tasks, chunksize=1))
            if not args.json:
                show(path.name, name, found[path.name][name], first=name == args.models[0])
    if args.json:
        print(json.dumps(found, indent=1))


def show(trace: str, name: str, fits: list[dict[str, float]], *, first: bool) -> None:
    names = (*SHOWN[:1], "c2st_untimed", *SHOWN[1:], *COST)

    def line(label: str, prefix: str) -> str:
        values = (np.median([fit.get(prefix + key, np.nan) for fit in fits]) for key in names)
        return f"{label:16s}" + "".join(f"{value:13.4g}" for value in values)

    if first:
        print(f"\n{trace:16s}" + "".join(f"{key:>13s}" for key in names))
        print(line("held-out", "heldout."))
    print(line(name, ""), flush=True)


if __name__ == "__main__":
    main()
