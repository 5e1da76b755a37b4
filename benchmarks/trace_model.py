"""The trace model on real traces: told apart, copied, arrivals, load, queues, cost.

``python benchmarks/trace_model.py theta.csv.gz KTH.swf.gz… [--fits 3] [--samples 20] [--json]``

For each trace and each of `fits` seeds: fitted on a random half of the rows, judged by its rows
against the other half; the same with the sessions of users kept together; fitted on all rows,
judged by arrivals and queues over `samples` samples, on the machine and on one of 0.8 and 1.2
times its size.
CPU seconds are of fit + one sample on all rows, after the imports; the memory is the peak of the
process.
"""

import argparse
import json
import platform
import resource
import time
from pathlib import Path

import numpy as np

import gridtwin
from gridtwin import metrics
from gridtwin.metrics import Evaluation, evaluate, join
from gridtwin.metrics.sites import sites_of
from gridtwin.trace.derive import machine_size
from gridtwin.trace.split import by_row, by_session

SHOWN = ("c2st", "dcr_share", "dcr_share_sessions", "interarrival", "acf", "load")
QUEUES = ("wait_easy", "slowdown_easy", "wait_fcfs", "slowdown_fcfs")


def judge(path: Path, seed: int, samples: int, parameters: dict[str, float]) -> dict[str, float]:
    """Return the figures of one fit."""
    jobs = gridtwin.read(path)
    Trace = gridtwin.models.get("trace")
    cores = machine_size(jobs) if sites_of(jobs) < 2 else None
    before = time.process_time()
    model = Trace(seed=seed, **parameters).fit(jobs)
    first = model.sample(seed=seed)
    cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    train, holdout = by_row(jobs, 0.5, seed=seed)
    half = Trace(seed=seed, **parameters).fit(train).sample()
    share = metrics.get("dcr_share")
    traces = [first, *(model.sample(seed=1000 * seed + k) for k in range(1, samples))]
    rows = ("marginal", "joint", "detection", "privacy")
    evaluation = join(
        evaluate(train, half, holdout, cores, seed=seed, groups=rows),
        evaluate(jobs, traces, None, cores, seed=seed, groups=("temporal", "scheduling")),
    )
    out = {"jobs": len(jobs), "cores": cores, "fit_and_sample_cpu_s": cpu, "peak_mib": peak}
    out |= figures(evaluation)
    if "user" in jobs:
        kept, other = by_session(jobs, 0.5, 3600.0, seed)
        whole = Trace(seed=seed, **parameters).fit(kept).sample()
        out["dcr_share_sessions"] = share(kept, whole, holdout=other).value
    for scale in (0.8, 1.2) if cores else ():
        other_size = evaluate(
            jobs, traces, None, int(scale * cores), seed=seed, groups=("scheduling",)
        )
        out |= figures(other_size, f" x {scale}")
    return out


def figures(evaluation: Evaluation, suffix: str = "") -> dict[str, float]:
    """Return the scores of an evaluation, their references and spreads by name."""
    out = {}
    for row in evaluation.rows:
        if row.synthetic is None:
            continue
        name = row.metric + suffix
        out[name] = row.synthetic
        for which, value in (("heldout", row.heldout), ("weeks", row.weeks)):
            if value is not None:
                out[f"{name}.{which}"] = value
        if row.spread is not None:
            out[f"{name}.low"], out[f"{name}.high"] = row.spread
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    parameters = {key: json.loads(value) for key, _, value in (s.partition("=") for s in args.set)}
    found = {}
    for path in args.traces:
        fits = [judge(path, seed, args.samples, parameters) for seed in range(args.fits)]
        found[path.name] = fits
        if not args.json:
            print(f"{path.name}: {fits[0]['jobs']} jobs, {fits[0]['cores']} cores")
            for name in SHOWN:
                show(name, fits)
            queues = (f"{metric} x {scale}" for scale in (0.8, 1.2) for metric in QUEUES)
            for name in (*QUEUES, *queues, "fit_and_sample_cpu_s", "peak_mib"):
                show(name, fits)
    if args.json:
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"machine": machine, "traces": found}, indent=1))


def show(name: str, fits: list[dict[str, float]]) -> None:
    if name not in fits[0]:
        return
    values = [fit[name] for fit in fits]
    text = f"  {name:22s} {np.median(values):8.4g}  fits " + " ".join(f"{v:.4g}" for v in values)
    for reference in ("heldout", "weeks"):
        if f"{name}.{reference}" in fits[0]:
            text += f"  {reference} {np.median([f[f'{name}.{reference}'] for f in fits]):.4g}"
    if f"{name}.low" in fits[0]:
        low = np.median([f[f"{name}.low"] for f in fits])
        high = np.median([f[f"{name}.high"] for f in fits])
        text += f"  5-95 % {low:.3g}-{high:.3g}"
    print(text)


if __name__ == "__main__":
    main()
