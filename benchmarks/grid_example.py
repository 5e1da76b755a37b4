"""The PanDA-like example on a grid like WLCG: seconds, memory, and its figures beside the records'.

``python benchmarks/grid_example.py [--days 150] [--scale 1] [--seed 0] [--json]``

A fresh process simulates all jobs of the example with failures at each site's recorded rate, up to
three retries, made-up outages (each site twelve hours in thirty days, at random), and transfers of
inputs from where they were recorded to be read. The platform is `gridtwin.sim.build.wlcg`, with as
many cores as the records had in use at the same time: a small part of what such a grid runs.

Nothing is fitted to queue times: the figures tell how far a plain least-loaded grid is from the
records, not how well it could do. The yardstick is sorting 5 million random numbers with NumPy.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from time import perf_counter, process_time
from typing import Any

import numpy as np
import polars as pl

import gridtwin
from gridtwin.analysis.analyse import analyse
from gridtwin.sim import Platform, build, simulate
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.outages import Outage
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size
from gridtwin.trace.examples import panda

DAY = 86400.0


def grid(jobs: JobTable) -> Platform:
    """Return the grid with as many cores as the records had in use at the same time."""
    whole = build.wlcg()
    share = machine_size(jobs) / whole.cores.sum()
    sites = []
    for site in whole.sites:
        pools = (replace(p, cores=max(16, round(p.cores * share))) for p in site.pools)
        sites.append(replace(site, pools=tuple(pools)))
    return replace(whole, sites=tuple(sites))


def faults(jobs: JobTable, platform: Platform, seed: int) -> Faults:
    """Return the records' failures, and made-up outages."""
    frame = jobs.collect(["site", "status", "error_codes", "submit_time"])
    over = frame.filter(pl.col("status").is_in(["finished", "failed"]))
    rates = over.group_by("site").agg((pl.col("status") == "failed").mean())
    codes = over["error_codes"].list.first().drop_nulls().value_counts(sort=True)
    rng = np.random.default_rng(seed)
    begin, end = frame["submit_time"].min(), frame["submit_time"].max()
    outages = []
    for name in platform.names:
        for month in np.arange(begin, end, 30 * DAY):
            start = float(month + rng.uniform(0, 29 * DAY))
            outages.append(Outage(name, start, start + DAY / 2))
    return Faults(
        chance={name: rate for name, rate in rates.iter_rows() if name in platform.names},
        failures=tuple(Failure(code, float(count)) for code, count in codes.head(40).iter_rows()),
        outages=tuple(outages),
        attempts=4,
        retry_delay=1800.0,
        elsewhere=0.7,
    )


def measure(path: str, seed: int) -> dict[str, Any]:
    """Simulate the jobs of a file in this process; return what it took, and the figures."""
    numbers = np.random.default_rng(0).random(5_000_000)
    yardstick = np.inf
    for _ in range(5):
        cpu = process_time()
        np.sort(numbers)
        yardstick = min(yardstick, process_time() - cpu)
    jobs = gridtwin.read(path)
    jobs = jobs.with_frame(jobs.collect())
    platform = grid(jobs)
    wrong = faults(jobs, platform, seed)
    small = jobs.with_frame(jobs.frame.head(100))
    simulate(small, platform=platform, policy="fcfs", faults=wrong)  # compiles
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = perf_counter(), process_time()
    result = simulate(jobs, platform=platform, policy="fcfs", faults=wrong, seed=seed)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    summary = result.summary()
    records, simulated = (analyse(table).kpis for table in (jobs, result.jobs))
    return {
        "jobs": len(jobs),
        "sites": len(platform.sites),
        "cores": result.cores,
        "attempts": summary["attempts"],
        "transfers": result.transfers.height,
        "moved_bytes": summary["moved_bytes"],
        "events": result.events,
        "level": result.level,
        "outcomes": dict(result.outcomes),
        "cpu_s": cpu,
        "wall_s": wall,
        "cpu_per_yardstick": cpu / yardstick,
        "peak_mib": peak,
        "peak_before_mib": before,
        "figures": [
            {
                "figure": name,
                "unit": kpi.unit,
                "records": kpi.value,
                "simulated": simulated[name].value,
            }
            for name, kpi in records.items()
            if name in simulated
        ],
    }


def main() -> None:
    """Make the example, simulate it in a process of its own, print what came out."""
    parser = argparse.ArgumentParser(description="The example on a grid like WLCG.")
    parser.add_argument("--days", type=int, default=150)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.seed), default=float))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.parquet"
        panda.write(path, args.days, scale=args.scale, seed=args.seed)
        command = [sys.executable, __file__, "--measure", str(path), "--seed", str(args.seed)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        if name != "figures":
            print(f"{name:20} {value}")
    print(f"\n{'figure':36} {'unit':>12} {'records':>14} {'simulated':>14}")
    for row in found["figures"]:
        told = (row["records"], row["simulated"])
        values = (f"{value:14.6g}" if value is not None else f"{'':14}" for value in told)
        print(f"{row['figure']:36} {row['unit']:>12}", *values)


if __name__ == "__main__":
    main()
