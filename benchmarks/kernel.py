"""Measure the compiled kernel: jobs per CPU second, and how many times plain Python that is.

Run ``python benchmarks/kernel.py [--json]``. Three made-up workloads with a fixed seed:

- ``l0``: 150 sites of 50 to 400 cores, jobs of 1 or 8 cores, load 0.85, FCFS, each job to the
  least loaded site;
- ``easy``: one machine of 4,096 processors, jobs of 1 to 512 (powers of two), load 0.85, requests
  of up to several times the run time, EASY backfilling;
- ``deep``: the same at load 1.2 and with a third of the jobs, where the queue only grows.

The yardstick is `gridtwin.sim.kernel.plain`, the same algorithm with heapq, in the same process on
fewer jobs (``plain_jobs``); it looks at the whole queue again at each event, where the kernel
remembers what cannot have changed. Both must agree job by job, or this fails.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from gridtwin.sim.kernel import CHOOSE, plain, run_jobs

LOAD = 0.85
Case = tuple[Any, ...]  # the arguments of run_jobs


def grid(jobs: int, seed: int = 1) -> Case:
    rng = np.random.default_rng(seed)
    cores = rng.integers(50, 401, 150)
    width = rng.choice(np.array([1, 8]), jobs, p=[0.6, 0.4])
    run = rng.exponential(3600.0, jobs)
    submit = arrivals(rng, run, width, int(cores.sum()))
    return submit, width, run, 2 * run, np.full(jobs, CHOOSE), cores, False


def cluster(jobs: int, seed: int = 1, load: float = LOAD) -> Case:
    rng = np.random.default_rng(seed)
    width = 2 ** rng.integers(0, 10, jobs)
    run = np.minimum(rng.lognormal(6.0, 2.0, jobs), 86400.0).round()
    request = (run * np.exp(rng.exponential(1.0, jobs)) / 300).round() * 300 + 300
    submit = arrivals(rng, run, width, 4096, load).round()
    return submit, width, run, request, np.zeros(jobs, np.int64), np.array([4096]), True


def deep(jobs: int) -> Case:
    return cluster(jobs, load=1.2)


def arrivals(
    rng: np.random.Generator, run: np.ndarray, width: np.ndarray, cores: int, load: float = LOAD
) -> np.ndarray:
    submit = np.cumsum(rng.exponential(1.0, len(run)))
    return submit * (np.dot(run, width) / (cores * load * (submit[-1] - submit[0])))


def seconds(function: Callable[..., Any], arguments: Case, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        function(*arguments)
        times.append(time.process_time() - begin)
    return times


def measure(case: Callable[[int], Case], jobs: int, plain_jobs: int, repeats: int) -> dict:
    few = case(plain_jobs)
    as_lists = tuple(a.tolist() if isinstance(a, np.ndarray) else a for a in few)
    start, site = run_jobs(*few)  # compiles
    if (start.tolist(), site.tolist()) != plain.run_jobs(*as_lists):
        raise SystemExit("the kernel and its plain version disagree")
    arguments = case(jobs)
    times = seconds(run_jobs, arguments, repeats)
    plain_rate = plain_jobs / min(seconds(plain.run_jobs, as_lists, 1))
    start, _ = run_jobs(*arguments)
    return {
        "jobs": jobs,
        "best_jobs_per_cpu_s": round(jobs / min(times)),
        "median_jobs_per_cpu_s": round(jobs / statistics.median(times)),
        "plain_jobs": plain_jobs,
        "plain_jobs_per_cpu_s": round(plain_rate),
        "ratio_to_plain": round(jobs / min(times) / plain_rate, 1),
        "mean_wait_s": round(float((start - arguments[0]).mean()), 1),
        "waiting_share": round(float((start > arguments[0]).mean()), 4),
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--plain-jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    sizes = (options.jobs, min(options.plain_jobs, options.jobs), options.repeats)
    third = max(1, options.jobs // 3)
    report = {
        "machine": {
            "cpu": processor(),
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
        "l0_150_sites_fcfs_least_loaded": measure(grid, *sizes),
        "easy_4096_processors_load_0.85": measure(cluster, *sizes),
        "deep_4096_processors_load_1.2": measure(deep, third, min(sizes[1], third), sizes[2]),
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for name, figures in report.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key:24} {value}")


if __name__ == "__main__":
    main()
