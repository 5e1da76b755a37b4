"""The PanDA-like example: seconds, memory, and its figures beside the published ones.

``python benchmarks/example.py [--days 7 150] [--daily 670] [--seed 0] [--json]``

Each length is written as one Parquet file by a fresh process, which measures itself; ``--daily``
writes a folder of daily files. The yardstick is sorting 5 million random numbers with NumPy in the
same process, the best of five; CPU seconds are given as multiples of it, too. The table of anchors
is of the last length that was written, and means most at 150 days.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

MEASURE = """
import json, resource, sys, time
import numpy as np
from gridtwin.trace.examples import panda
path, days, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
numbers = np.random.default_rng(0).random(5_000_000)
yardstick = 1e9
for _ in range(5):
    cpu = time.process_time(); np.sort(numbers)
    yardstick = min(yardstick, time.process_time() - cpu)
del numbers
wall, cpu = time.perf_counter(), time.process_time()
make = panda.write if path.endswith(".parquet") else panda.write_daily
rows = make(path, days, seed=seed).rows_read
print(json.dumps({
    "days": days, "jobs": rows,
    "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu,
    "cpu_per_yardstick": (time.process_time() - cpu) / yardstick,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def measure(path: Path, days: int, seed: int) -> dict[str, float]:
    """Write the example in a process of its own; return what it took."""
    command = [sys.executable, "-c", MEASURE, str(path), str(days), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def anchors(jobs: pl.LazyFrame, days: int) -> list[tuple[str, str, str]]:
    """Return what is published (P), derived from it (D) or estimated (E), and what came out."""
    status, wait, log = pl.col("status"), pl.col("wait_time"), pl.col("work").log()
    failed = status == "failed"
    area = pl.col("cores_alloc") * pl.col("run_time")
    per_file = pl.col("input_bytes") / pl.col("input_files")
    worked = pl.col("work") > 0
    kinds = ("queue", "project", "prodstep", "datatype", "status")
    row = jobs.select(
        pl.len().alias("jobs"),
        *(pl.col(name).n_unique() for name in kinds),
        *((status == s).mean().alias(s) for s in ("finished", "failed", "closed", "cancelled")),
        (failed.sum() / (failed | (status == "finished")).sum()).alias("rate"),
        pl.col("error_codes").filter(failed).list.len().mean().alias("components"),
        (wait < 86400).filter(wait.is_not_null()).mean().alias("one_day"),
        (wait < 172800).filter(wait.is_not_null()).mean().alias("two_days"),
        wait.quantile(0.5).alias("wait"),
        pl.col("cpu_time").filter(status == "finished").median().alias("cpu"),
        log.filter(worked).mean().alias("log_mean"),
        log.filter(worked).std().alias("log_sd"),
        (area.filter(failed).sum() / area.sum()).alias("wasted"),
        (per_file / 1e9).quantile(0.1).alias("file_low"),
        (per_file / 1e9).quantile(0.9).alias("file_high"),
        (pl.col("remote_bytes") > 0).filter(wait.is_not_null()).mean().alias("remote"),
        (pl.col("output_files").filter(status == "finished").mean()).alias("outputs"),
    ).collect(engine="streaming")
    v = row.row(0, named=True)
    queues = jobs.group_by("queue").len().sort("len", descending=True).collect()
    per_day = jobs.group_by(pl.col("submit_time") // 86400).len().collect()["len"]
    uses = jobs.select("task_id", "dataset").unique().group_by("dataset").len().collect()["len"]
    first = pl.col("error_codes").list.first().alias("code")
    codes = jobs.filter(failed).group_by(first).agg(pl.len(), area.sum().alias("area")).collect()
    ranked = codes.sort("area", descending=True)["code"].to_list()
    part = dict(zip(codes["code"], codes["len"] / codes["len"].sum(), strict=True))
    others = queues.filter(pl.col("len") / v["jobs"] < 0.019).height
    return [
        ("jobs in 150 days", "P 2,239,654", f"{v['jobs']:,} in {days} days"),
        ("jobs per day", "D 14,931", f"{v['jobs'] / days:,.0f}"),
        (
            "queues, projects, steps, types, statuses",
            "P 83, 14, 4, 54, 4",
            ", ".join(str(v[name]) for name in kinds),
        ),
        ("finished", "E 0.74", f"{v['finished']:.3f}"),
        ("failed", "E 0.14", f"{v['failed']:.3f}"),
        ("closed", "E 0.09", f"{v['closed']:.3f}"),
        ("cancelled", "E 0.03", f"{v['cancelled']:.3f}"),
        ("failed / (failed + finished)", "D 0.141 (2011)", f"{v['rate']:.3f}"),
        ("components per failed job", "P 1.17", f"{v['components']:.3f}"),
        ("share of pilot 1305", "E 0.44", f"{part.get('pilot:1305', 0):.3f}"),
        (
            "rank of pilot 1305 by wasted core-hours",
            "P among the first",
            str(1 + ranked.index("pilot:1305")),
        ),
        ("rank of pilot 1361", "P among the high", str(1 + ranked.index("pilot:1361"))),
        ("queue time under 1 day", "P many in 1-2 days", f"{v['one_day']:.3f}"),
        ("queue time under 2 days", "P many, clear tail", f"{v['two_days']:.3f}"),
        ("median queue time, h", "E 1-2", f"{v['wait'] / 3600:.2f}"),
        ("median CPU s of finished jobs", "P thousands", f"{v['cpu']:,.0f}"),
        ("mean of ln work", "D 12.12 (14 samples)", f"{v['log_mean']:.2f}"),
        ("sd of ln work", "D 1.97 (14 samples)", f"{v['log_sd']:.2f}"),
        (
            "input GB per file, 10-90 %",
            "D 1.9-6.5 (5 samples)",
            f"{v['file_low']:.1f}-{v['file_high']:.1f}",
        ),
        ("output files per finished job", "P 2.2 (2011)", f"{v['outputs']:.2f}"),
        ("largest queue", "P BNL", f"{queues['queue'][0]} {queues['len'][0] / v['jobs']:.3f}"),
        ("queues below 1.9 %", "P pooled as Others", str(others)),
        ("data sets used by 1 or 2 tasks", "P most", f"{(uses <= 2).mean():.3f}"),
        ("busiest day / mean day", "D 3.5 (2012)", f"{per_day.max() * days / v['jobs']:.2f}"),
        ("wasted core-hours", "E 0.08-0.15", f"{v['wasted']:.3f}"),
        ("jobs that read remotely", "E 0.12", f"{v['remote']:.3f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", nargs="+", type=int, default=[7, 150])
    parser.add_argument("--daily", type=int, help="also write a folder of this many daily files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = []
        for days in args.days:
            path = Path(folder) / f"{days}.parquet"
            costs.append(measure(path, days, args.seed) | {"mib": path.stat().st_size / 2**20})
        table = anchors(pl.scan_parquet(path), args.days[-1])
        if args.daily:
            costs.append(measure(Path(folder) / "daily", args.daily, args.seed))
    if args.json:
        print(json.dumps({"cost": costs, "anchors": table}, indent=1))
        return
    for cost in costs:
        print("  ".join(f"{key} {value:,.6g}" for key, value in cost.items()))
    for what, published, generated in table:
        print(f"{what:42s} {published:24s} {generated}")


if __name__ == "__main__":
    main()
