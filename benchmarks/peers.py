"""Our models beside the published outputs of five other generators, judged alike.

``python benchmarks/peers.py DATA [--traces helios philly] [--models trace cart…] [--json]``

DATA is a folder with, per trace, ``train.csv.gz`` (real jobs, in order of submission: user,
gpu_num, cpu_num, node_num, interval, run_time, new_status) and what others' generators made of it:
``gan``, ``ctgan``, ``tvae``, ``gc`` (Gaussian copula), ``cg`` (CopulaGAN). Our models learn the
same rows. All are judged against these rows, as theirs learnt all of them: so copies pass the
classifier, and ``dcr`` and ``exact_copies`` beside the held-out row say who copies. The held-out
row compares two random halves; for arrivals and queues it is real weeks drawn anew. Times are
rounded to whole seconds, as the real ones are, which theirs are not: a classifier would tell them
by that alone. The files name no machine: the jobs are run on one that they load to 0.8, no smaller
than the widest of them. Printed as Markdown.
"""

import argparse
import json
import time
from pathlib import Path

import polars as pl

from gridtwin import models
from gridtwin.core.errors import GridtwinError
from gridtwin.metrics import Evaluation, evaluate
from gridtwin.metrics.base import Group
from gridtwin.metrics.scheduling import replay
from gridtwin.trace import JobTable
from gridtwin.trace.derive import runnable

PEERS = {"gan": "GAN", "ctgan": "CTGAN", "tvae": "TVAE", "gc": "Gaussian copula", "cg": "CopulaGAN"}
MODELS = ("trace", "cart", "smote", "gaussian_copula")
METRICS = ("c2st", "ks", "wd", "jsd", "diff_corr", "support_hits", "dcr", "exact_copies")
METRICS += ("interarrival", "acf", "load", "wait_fcfs", "wait_easy", "slowdown_easy")
METRICS += ("wait_easy_80", "wait_easy_120")
GROUPS = ("marginal", "joint", "validity", "detection", "privacy", "temporal", "scheduling")
LOAD = 0.8
"""Offered load of the real jobs on their machine, which decides its size; see the metric load."""
START = 1.5e9
"""Submit time of the first job: the files have only the gaps between jobs."""


def jobs_of(path: Path) -> JobTable:
    """Return the jobs of a file; rows that no machine could run stay, and are counted."""
    frame = pl.read_csv(path, infer_schema_length=None)
    gap = pl.col("interval").cast(pl.Float64).round().clip(lower_bound=0)
    columns = {
        "job_id": pl.int_range(pl.len()).cast(pl.String),
        "user": pl.col("user").cast(pl.String),
        "submit_time": START + gap.cum_sum(),
        "gpus_req": pl.col("gpu_num"),
        "nodes_req": pl.col("node_num"),
        "run_time": pl.col("run_time").cast(pl.Float64).round(),
        "status": pl.col("new_status"),
    }
    if (frame["cpu_num"] != 0).any():
        columns["cores_req"] = pl.col("cpu_num")
    return JobTable.from_frame(frame.select(**columns))


def machine_of(train: JobTable) -> int:
    """Return the size of the machine that these jobs load to `LOAD`."""
    many, widest = 10**6, int(runnable(train).width.max())
    return max(round(replay(train, many, "fcfs").load * many / LOAD), widest)


def line(name: str, scores: dict[str, float | None]) -> str:
    """Return a row of the Markdown table."""
    cells = ["" if scores.get(m) is None else f"{scores[m]:.3g}" for m in METRICS]
    return f"| {name} | " + " | ".join(cells) + " |"


def scores_of(evaluation: Evaluation) -> dict[str, dict[str, float | None]]:
    """Return the scores of the trace and of the two references."""
    rows = [row for row in evaluation.rows if row.metric in METRICS]
    return {
        "own": {row.metric: row.synthetic for row in rows},
        "held-out real": {r.metric: r.heldout if r.weeks is None else r.weeks for r in rows},
        "copy of train": {row.metric: row.train_copy for row in rows},
    }


def compare(
    folder: Path, names: list[str], samples: int, seed: int, groups: list[Group]
) -> dict[str, dict]:
    """Return the scores of the references, the published outputs and our models."""
    train = jobs_of(folder / "train.csv.gz")
    cores = machine_of(train)
    makers = {PEERS[k]: [jobs_of(folder / f"{k}.csv.gz")] for k in PEERS}
    found: dict[str, dict] = {"held-out real": {}, "copy of train": {}}
    for name in (*makers, *names):
        try:
            before = time.process_time()
            traces = makers.get(name) or drawn(name, train, samples, seed)
            cost = time.process_time() - before
            judged = scores_of(evaluate(train, traces, cores=cores, seed=seed, groups=groups))
        except GridtwinError as error:
            found[name] = {"error": str(error)}
            continue
        for key in ("held-out real", "copy of train"):  # a score of the first that has one
            known = {name: v for name, v in judged[key].items() if v is not None}
            found[key] = known | found[key]
        found[name] = judged["own"]
        if name in names:
            found[name]["cpu_s"] = cost
    return found


def drawn(name: str, train: JobTable, samples: int, seed: int) -> list[JobTable]:
    """Return samples of a model that learnt the rows."""
    model = models.get(name)(seed=seed).fit(train)
    return [model.sample(seed=seed + 1 + k) for k in range(samples)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--traces", nargs="+", default=["helios", "philly"])
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--samples", type=int, default=10, help="of each of our models")
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), help="of metrics")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    there = [name for name in args.models if name in models.names()]
    results = {
        trace: compare(args.data / trace, there, args.samples, args.seed, args.groups)
        for trace in args.traces
    }
    if args.json:
        print(json.dumps(results, indent=1))
        return
    for trace, found in results.items():
        print(f"\n{trace}\n\n| model | " + " | ".join(METRICS) + " |")
        print("| --- |" + " ---: |" * len(METRICS))
        for name, scores in found.items():
            print(f"| {name} | {scores['error']} |" if "error" in scores else line(name, scores))
        costs = [f"{n} {s['cpu_s']:.1f}" for n, s in found.items() if "cpu_s" in s]
        print(f"\nCPU s to fit and to draw {args.samples} traces: {', '.join(costs)}")


if __name__ == "__main__":
    main()
