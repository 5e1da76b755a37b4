"""Schedulers trained on real and on generated jobs of Theta, KTH-SP2 and Helios.

``python benchmarks/transfer.py DATA OUT [--only theta] [--seeds 8] [--models trace smote…]``

DATA is the folder of real traces; `SETTINGS` says where each is, the machine's size and the jobs of
a sequence. OUT has a folder for each, as `gridtwin transfer` writes it; what is there is gone on
with. Helios' file names no machine: its jobs run on one that they load to 0.8, as in ``peers.py``,
where nobody waits, and on one of 1,200 GPUs, where half of the sequences queue. Printed as
Markdown; CPU seconds are of what was not yet done.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import jobs_of, machine_of

import gridtwin
from gridtwin.report import write_transfer_report
from gridtwin.study.transfer import MODELS, Plan, transfer
from gridtwin.trace import JobTable

SETTINGS: dict[str, tuple[str, int | None, int]] = {
    "theta": ("alcf/theta.csv.gz", None, 512),
    "kth": ("swf/KTH-SP2-1996-2.1-cln.swf.gz", None, 512),
    "helios": ("peers/helios/train.csv.gz", 1200, 1024),
    "helios-0.8": ("peers/helios/train.csv.gz", 0, 512),
}


def table_of(path: Path) -> JobTable:
    return jobs_of(path) if "peers" in path.parts else gridtwin.read(path)


def line(row: dict[str, Any]) -> str:
    """Return a row of the Markdown table."""
    cells = [row["source"], f"{row['load']:.2f}", f"{row['queueing']:.0%}", within(row["score"])]
    cells.append("" if row["source"] == "real" else within(row["cost"], ".1%"))
    cells += [within(one["share"], ".0%") for one in row["kept"].values()]
    return "| " + " | ".join([*cells, f"{row['climbed']:.2f}"]) + " |"


def within(value: dict[str, float | None] | None, form: str = ".3f") -> str:
    """Return a figure with its interval."""
    if value is None:
        return "–"  # noqa: RUF001 - an en dash is what tables show for no value
    mean, low, high = ("" if v is None else format(v, form) for v in value.values())
    return f"{mean} ({low} to {high})" if low else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--models", nargs="+", help="by default those of gridtwin transfer")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int)
    args = parser.parse_args()
    models = [m for m in MODELS if args.models is None or m.name in args.models]
    for name in args.only:
        file, cores, length = SETTINGS[name]
        jobs = table_of(args.data / file)
        plan = Plan(models=tuple(models), seeds=args.seeds, steps=args.steps, length=length)
        size = machine_of(jobs) if cores == 0 else cores
        begin = time.process_time()
        told = transfer(jobs, args.out / name, replace(plan, cores=size))
        spent = time.process_time() - begin
        write_transfer_report(told, args.out / name / "report.html")
        print(f"\n{name}: {told['trace']}, {spent:.0f} CPU s")
        for warning in told["warnings"]:
            print(f"- {warning}")
        for setting in told["settings"]:
            real = setting["sources"][0]
            print(
                f"\n{setting['backfill']}; best heuristic {setting['best']}, real beside it ",
                end="",
            )
            print(within(real["to_best"]), end="; heuristics ")
            print(
                ", ".join(f"{h['policy']} {h['score']['mean']:.2f}" for h in setting["heuristics"])
            )
            print("| trained on | load | queue | log ratio | cost | of FCFS | of SJF | climbed |")
            print("|---|---:|---:|---:|---:|---:|---:|---:|")
            print("\n".join(line(row) for row in setting["sources"]), flush=True)


if __name__ == "__main__":
    main()
