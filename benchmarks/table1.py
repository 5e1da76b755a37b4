"""All models on real traces and the PanDA-like example: scores of the paper, ours, and costs.

``python benchmarks/table1.py DATA OUT [--models trace cart…] [--traces theta…] [--rows 20000]``

DATA is the folder of real traces; `FILES` says where each is. Models that this installation does
not have are left out and named. The same as `gridtwin benchmark` with the groups ``utility`` and
``paper``; of the PanDA-like example 150 days are made and 200,000 jobs drawn. The trace model on
further traces: ``--models trace --traces kth hpc2n ctc helios philly --samples 20``. Nets are
trained with the budget ``fast`` unless ``--budget paper`` says otherwise; a trace and model whose
evaluation is in OUT already is not run again.
"""

import argparse
import inspect
from pathlib import Path

import numpy as np
import polars as pl
from peers import jobs_of, machine_of

import gridtwin
from gridtwin import models
from gridtwin.metrics.base import GROUPS, subsample
from gridtwin.study.benchmark import Contender, benchmark
from gridtwin.trace import JobTable
from gridtwin.trace.examples import load

MODELS = (
    *("smote", "gaussian_copula", "tvae", "ctgan", "copulagan", "ctabgan", "tabddpm", "findiff"),
    *("realtabformer", "cart", "arn", "trace"),
)
FILES = {
    "mira": "alcf/mira.csv.gz",
    "theta": "alcf/theta.csv.gz",
    "lcg": "swf/LCG_head70.swf.gz",
    "kth": "swf/KTH-SP2-1996-2.1-cln.swf.gz",
    "hpc2n": "swf/HPC2N-2002-2.2-cln.swf.gz",
    "ctc": "swf/CTC-SP2-1996-3.1-cln.swf.gz",
    "helios": "peers/helios/train.csv.gz",
    "philly": "peers/philly/train.csv.gz",
}
SHOWN = ("model", "wd", "jsd", "diff_corr", "dcr", "diff_mlef", "c2st", "dcr_share")
SHOWN += ("interarrival", "acf", "load", "wait_fcfs", "wait_easy", "slowdown_easy")
SHOWN += ("wait_easy_80", "wait_easy_120", "fit_cpu_s", "sample_cpu_s", "peak_mib", "error")


def table_of(name: str, data: Path, seed: int) -> JobTable:
    """Return a trace by its short name."""
    if name == "panda":
        jobs = load("panda", days=150, seed=seed)
        return subsample(jobs, 200_000, np.random.default_rng(seed))
    if name in ("helios", "philly"):
        return jobs_of(data / FILES[name])
    return gridtwin.read(data / FILES[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--traces", nargs="+", default=["mira", "theta", "lcg", "panda"])
    parser.add_argument("--rows", type=int, help="jobs of a trace, at most")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--groups", nargs="+", default=GROUPS)
    parser.add_argument("--budget", default="fast", choices=("fast", "paper"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    there = [name for name in args.models if name in models.names()]
    print("models not installed:", ", ".join(set(args.models) - set(there)) or "none")
    tables = []
    for name in args.traces:
        table = pl.concat([judged(name, model, args) for model in there], how="diagonal")
        table = table.unique("model", keep="first", maintain_order=True)  # the references
        tables.append(table)
        print(f"\n{name}")
        with pl.Config(
            tbl_rows=-1, tbl_cols=-1, tbl_width_chars=250, tbl_hide_dataframe_shape=True
        ):
            print(table.select(column for column in SHOWN if column in table.columns))
    pl.concat(tables, how="diagonal").write_csv(args.out / "table1.csv")


def judged(name: str, model: str, args: argparse.Namespace) -> pl.DataFrame:
    """Return the rows of one trace and model, from OUT if they are there."""
    file = args.out / name / f"{model}.parquet"
    if not file.is_file():
        jobs = table_of(name, args.data, args.seed)
        parameters = inspect.signature(models.get(model)).parameters
        settings = {"budget": args.budget} if "budget" in parameters else {}
        result = benchmark(
            [Contender(model, settings, label=model)],
            {name: jobs},
            args.out,
            cores={name: machine_of(jobs)} if name in ("helios", "philly") else {},
            rows=args.rows,
            samples=args.samples,
            groups=args.groups,
            seed=args.seed,
        )
        result.table.write_parquet(file)
    return pl.read_parquet(file)


if __name__ == "__main__":
    main()
