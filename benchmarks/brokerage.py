"""Brokers on the PanDA-like example and a grid like WLCG, and static plans beside their bound.

``python benchmarks/brokerage.py [--days 7] [--share 0.4] [--seeds 1] [--only NAME ...] [--json]``

Online: the example's jobs on `gridtwin.sim.build.wlcg`, with `share` of the cores that the records
had in use at the same time, so that jobs queue; failures, outages and retries as in
`grid_example.py`. Each seed has its own failures and outages, the same for all brokers. The cost of
a decision is the CPU time of the broker's own call; those of the kernel are not called.

Static: work lognormal (sigma 1), sites' speeds uniform within a factor of 4, and a lognormal factor
for each pair of a job and a site, of sigma `spread`: 0.02, where a fast site is fast for all jobs,
and 0.2. The bound is that of the linear program.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from time import process_time, thread_time_ns
from typing import Any

import numpy as np
import polars as pl

import gridtwin
from gridtwin.policy.batch_brokerage import HEURISTICS, Instance, heft, makespan
from gridtwin.policy.optimal import least, lp_bound, rounded
from gridtwin.sim import Platform, simulate
from gridtwin.sim.brokers import broker_names, chooser_of
from gridtwin.sim.faults import Faults
from gridtwin.sim.view import View
from gridtwin.trace import JobTable
from gridtwin.trace.examples import panda

sys.path.insert(0, str(Path(__file__).parent))
from grid_example import faults, grid

_SIZES = ((100, 10), (500, 20), (1000, 50), (2000, 100))
_SPREADS = (0.02, 0.2)
_PAIRS = 10_000  # of a job and a site, up to which the search for the optimum is tried


def smaller(platform: Platform, share: float) -> Platform:
    """Return the platform with a share of its cores, 16 or more a pool."""
    sites = []
    for site in platform.sites:
        pools = (replace(p, cores=max(16, round(p.cores * share))) for p in site.pools)
        sites.append(replace(site, pools=tuple(pools)))
    return replace(platform, sites=tuple(sites))


def online(
    jobs: JobTable, platform: Platform, wrong: Faults, name: str, seed: int
) -> dict[str, Any]:
    """Simulate the jobs with a broker; return its figures."""
    spent = [0, 0]
    chooser = chooser_of(name, seed)

    def timed(view: View) -> int | None:
        begin = thread_time_ns()
        answer: int | None = chooser(view)  # type: ignore[misc]
        spent[0] += thread_time_ns() - begin
        spent[1] += 1
        return answer

    cpu = process_time()
    result = simulate(
        jobs,
        platform=platform,
        policy="fcfs",
        broker=name if chooser is None else timed,
        faults=wrong,
        seed=seed,
    )
    cpu = process_time() - cpu
    summary = result.summary()
    schedule = result.schedule
    core_hours = np.nan_to_num(schedule.run * schedule.width) / 3600
    finished = (result.jobs.collect(["status"])["status"] == "finished").to_numpy()
    wait = (schedule.start - schedule.submit)[np.isfinite(schedule.start)] / 3600
    return {
        "broker": name,
        "mean_queue_h": float(wait.mean()),
        "median_queue_h": float(np.median(wait)),
        "p95_queue_h": float(np.quantile(wait, 0.95)),
        "makespan_d": summary["makespan"] / 86400,
        "remote_TB": summary["moved_bytes"] / 1e12,
        "wasted_core_h": float(core_hours[~finished].sum()),
        "finished": summary["finished_share"],
        "decision_us": spent[0] / 1000 / spent[1] if spent[1] else None,
        "run_cpu_s": cpu,
    }


def instance(jobs: int, sites: int, spread: float, seed: int) -> Instance:
    """Make an instance of jobs at sites."""
    rng = np.random.default_rng(seed)
    work = rng.lognormal(8.0, 1.0, (jobs, 1))
    slow = 1.0 / rng.uniform(0.5, 2.0, (1, sites))
    return Instance.of(work * slow * rng.lognormal(0.0, spread, (jobs, sites)))


def static(
    jobs: int, sites: int, spread: float, *, seed: int, time_limit: float
) -> list[dict[str, Any]]:
    """Return each method's makespan over the bound, and its CPU time."""
    given = instance(jobs, sites, spread, seed)
    cpu = process_time()
    bound = lp_bound(given)
    rows = [{"method": "lp_bound", "ratio": 1.0, "cpu_s": process_time() - cpu}]
    methods: dict[str, Any] = {
        name: lambda rule=rule: makespan(given, rule(given)) for name, rule in HEURISTICS.items()
    }
    methods["heft"] = lambda: heft(given).makespan
    methods["lp_rounded"] = lambda: rounded(given).makespan
    if jobs * sites <= _PAIRS:
        methods["milp"] = lambda: least(given, time_limit=time_limit, gap=0.01).makespan
    for name, method in methods.items():
        cpu = process_time()
        ratio = method() / bound
        rows.append({"method": name, "ratio": ratio, "cpu_s": process_time() - cpu})
    return [{"jobs": jobs, "sites": sites, "spread": spread, **row} for row in rows]


def _mean(rows: list[dict[str, Any]], keys: list[str]) -> pl.DataFrame:
    numbers = [name for name in rows[0] if name not in keys]
    return pl.DataFrame(rows).group_by(keys, maintain_order=True).agg(pl.col(numbers).mean())


def main() -> None:
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description="Brokers on the example, plans beside the bound.")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="brokers; none: only the static part")
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = broker_names() if args.only is None else args.only
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.parquet"
        panda.write(path, args.days, seed=0)
        jobs = gridtwin.read(str(path))
        jobs = jobs.with_frame(jobs.collect())
    platform = smaller(grid(jobs), args.share)
    found: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        wrong = faults(jobs, platform, seed)
        found += [online(jobs, platform, wrong, name, seed) for name in names]
    plans: list[dict[str, Any]] = []
    static(10, 2, 0.2, seed=0, time_limit=1.0)  # compiles
    for size, spread in product(_SIZES, _SPREADS):
        for seed in range(args.instances):
            plans += static(*size, spread, seed=seed, time_limit=args.time_limit)
    told = {"jobs": len(jobs), "cores": int(platform.cores.sum()), "sites": len(platform.sites)}
    brokers = _mean(found, ["broker"]) if found else pl.DataFrame()
    ratios = _mean(plans, ["jobs", "sites", "spread", "method"]) if plans else pl.DataFrame()
    if args.json:
        both = {"brokers": brokers.to_dicts(), "plans": ratios.to_dicts()}
        print(json.dumps({**told, **both}, indent=1))
        return
    print(told)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, float_precision=3):
        print(brokers, ratios, sep="\n")


if __name__ == "__main__":
    main()
