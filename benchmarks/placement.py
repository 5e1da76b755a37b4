"""Placement on the PanDA-like example and a grid like WLCG; plans of jobs and data beside a bound.

``python benchmarks/placement.py [--days 7] [--share 0.4] [--every 2] [--room 2] [--only NAME ...]
[--brokers NAME ...] [--instances 3] [--json]``

Online: jobs, sites, failures, outages and retries as in `brokerage.py`. Each site has as much room
for outputs and copies as `room` times all input bytes, shared out by cores, 10 TB at least. The
policy is asked every `every` hours. The cost of a decision is the CPU time of looking, deciding and
ordering. Inputs are where they were recorded to be read, and almost every file is read by one job
alone, so that what can be gained is data sets' files that are not read yet.

Static: jobs and sites as in `brokerage.py` with spread 0.2; data sets of lognormal size, each at
one site, read by jobs at random; fetching takes a job half as long as a copy takes; room at each
site for 30 % of all data.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl

import gridtwin
from gridtwin.policy.batch_brokerage import HEURISTICS
from gridtwin.policy.joint import alternate, joint_least
from gridtwin.policy.joint_program import DataInstance, joint_makespan
from gridtwin.policy.placement import placement_names
from gridtwin.policy.placing import simulate_with_placement
from gridtwin.sim import Platform, Storage
from gridtwin.sim.faults import Faults
from gridtwin.trace import JobTable
from gridtwin.trace.examples import panda

sys.path.insert(0, str(Path(__file__).parent))
from brokerage import smaller
from grid_example import faults, grid

_SIZES = ((100, 10, 20), (500, 20, 60))
_PAIRS = 1_000  # of a job and a site, up to which the search for the optimum is tried


def roomy(platform: Platform, total: float) -> Platform:
    """Return the platform with disks for `total` bytes in all, by cores, 10 TB at least."""
    cores = platform.cores / platform.cores.sum()
    sites = []
    for site, part in zip(platform.sites, cores, strict=True):
        disks = [s for s in site.storages if s.kind != "cache"] or [Storage(f"{site.name} disk")]
        room = max(float(part) * total, 1e13) / len(disks)
        sites.append(replace(site, storages=tuple(replace(d, capacity=room) for d in disks)))
    return replace(platform, sites=tuple(sites))


def online(
    jobs: JobTable, platform: Platform, wrong: Faults, name: str, broker: str, every: float
) -> dict[str, Any]:
    """Simulate the jobs with a placement policy and a broker; return its figures."""
    cpu = process_time()
    placed = simulate_with_placement(
        jobs,
        name,
        every=every,
        platform=platform,
        queueing="fcfs",
        broker=broker,
        faults=wrong,
    )
    figures: dict[str, Any] = placed.figures
    asked = max(figures["decisions"], 1)
    return {
        "broker": broker,
        "placement": name,
        "remote_TB": figures["remote_bytes"] / 1e12,
        "placed_TB": figures["placed_bytes"] / 1e12,
        "copies": figures["copies"],
        "removed": figures["removed"],
        "refused": figures["refused"],
        "queue_h": figures["mean_queue"] / 3600,
        "stage_in_s": figures["mean_stage_in"],
        "finished": placed.result.summary()["finished_share"],
        "decision_ms": 1000 * figures["decision_cpu"] / asked,
        "run_cpu_s": process_time() - cpu,
    }


def instance(jobs: int, sites: int, sets: int, seed: int) -> DataInstance:
    """Make an instance of jobs, sites and data sets."""
    rng = np.random.default_rng(seed)
    work = rng.lognormal(8.0, 1.0, (jobs, 1))
    slow = 1.0 / rng.uniform(0.5, 2.0, (1, sites))
    run = work * slow * rng.lognormal(0.0, 0.2, (jobs, sites))
    size = rng.lognormal(0.0, 1.0, sets)
    dataset = rng.integers(0, sets, jobs)
    readers = jobs / sets
    copy = size[:, None] / rng.uniform(0.5, 2.0, (1, sites)) * run.mean() / 5.0 * sites / readers
    there = np.zeros((sets, sites), bool)
    there[np.arange(sets), rng.integers(0, sites, sets)] = True
    room = np.full(sites, 0.3 * size.sum())
    return DataInstance.of(
        run, 0.5 * copy[dataset], dataset, size=size, copy=copy, room=room, there=there
    )


def static(jobs: int, sites: int, sets: int, seed: int, time_limit: float) -> list[dict[str, Any]]:
    """Return each method's makespan over the bound of the joint program, and its CPU time."""
    given = instance(jobs, sites, sets, seed)
    begin = process_time()
    plan = alternate(given)
    rows = [{"method": "alternating", "ratio": plan.gap + 1.0, "cpu_s": process_time() - begin}]
    rows.append({"method": "lp_rounded, no copies", "ratio": plan.first / plan.bound})
    bare = given.given(given.there)
    for name, rule in HEURISTICS.items():
        begin = process_time()
        done = joint_makespan(given, rule(bare), given.there)
        rows.append(
            {
                "method": f"{name}, no copies",
                "ratio": done / plan.bound,
                "cpu_s": process_time() - begin,
            }
        )
    if jobs * sites <= _PAIRS:
        begin = process_time()
        best = joint_least(given, time_limit=time_limit, gap=0.01)
        spent = process_time() - begin
        rows.append({"method": "milp", "ratio": best.makespan / plan.bound, "cpu_s": spent})
    return [{"jobs": jobs, "sites": sites, "sets": sets, **row} for row in rows]


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description="Placement on the example; joint plans.")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("--room", type=float, default=2.0)
    parser.add_argument("--only", nargs="*", help="policies; none: only the static part")
    parser.add_argument("--brokers", nargs="*", default=["least_loaded", "mct"])
    parser.add_argument("--instances", type=int, default=3)
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = args.only
    if names is None:
        names = [*placement_names(), "hot_set+lru", "prefetch+lru"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.parquet"
        panda.write(path, args.days, seed=0)
        jobs = gridtwin.read(str(path))
        jobs = jobs.with_frame(jobs.collect())
    total = float(jobs.collect(["input_bytes"])["input_bytes"].sum())
    platform = roomy(smaller(grid(jobs), args.share), args.room * total)
    wrong = faults(jobs, platform, 0)
    every = 3600.0 * args.every
    found = [
        online(jobs, platform, wrong, name, broker, every)
        for broker in args.brokers
        for name in names
    ]
    plans = [
        row
        for size in _SIZES
        for seed in range(args.instances)
        for row in static(*size, seed=seed, time_limit=args.time_limit)
    ]
    keys = ["jobs", "sites", "sets", "method"]
    ratios = pl.DataFrame(plans) if plans else pl.DataFrame()
    if plans:
        ratios = ratios.group_by(keys, maintain_order=True).agg(pl.col("ratio", "cpu_s").mean())
    if args.json:
        print(json.dumps({"placement": found, "plans": ratios.to_dicts()}, indent=1))
        return
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=3):
        print(pl.DataFrame(found), ratios, sep="\n")


if __name__ == "__main__":
    main()
