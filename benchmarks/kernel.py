"""Measure the compiled kernels: jobs per CPU second, beside plain Python loops with heapq.

Run ``python benchmarks/kernel.py [--json] [--large] [--growth FILE.svg]``. Made-up grids with a
fixed seed (``kernel_cases.py``), each run `repeats` times, a plain loop before each:

- ``l0``: 150 sites of 50 to 400 cores, jobs of 1 or 8 cores, load 0.85, FCFS, each job to the
  least loaded site; ``easy``: one machine of 4,096 processors, jobs of 1 to 512 (powers of two),
  load 0.85, requests of up to several times the run time; ``deep``: the same at load 1.2 and with
  a third of the jobs, where the queue only grows (all by `gridtwin.sim.kernel.compute`);
- ``l1``: 50 sites of 200 cores, one file a job by a WAN link of the site's own;
- ``l2``: the same behind one uplink, which binds (`l2_loose`: which never does);
- ``l3``: disks, caches, replicas, 1 to 4 inputs and an output a job (`l3_narrow`: WAN links half
  as wide, which bind most of the time); ``stream``: the same, read block by block beside the
  payload (l1 to stream by `gridtwin.sim.kernel.grid`);
- ``callable``, ``view``, ``jitted``: ``l0``'s grid with a Python function as broker, called by the
  grid kernel with a job's number, as `simulate` calls it, and compiled by numba.

The yardsticks are `gridtwin.sim.kernel.plain` and ``kernel_plain.py``: the same model in the same
process on fewer jobs; both sides must agree job by job, or this fails. CPU seconds are of the event
loop alone; those of laying out the tables are `assembly_s`, compiling is not counted. ``--large``
adds ten million jobs at level 0 and the peak of memory, ``--growth`` draws the rates over the
numbers of jobs, sites and flows (``kernel_growth.py``) and does nothing else.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from kernel_cases import compute, copies, stars
from kernel_plain import Grid

from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS
from gridtwin.sim.kernel import CHOOSE, plain, run_jobs
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.kernel.grid import DONE, advance
from gridtwin.sim.kernel.state import State
from gridtwin.sim.platform import Platform
from gridtwin.sim.view import View, caller
from gridtwin.sim.workload import Workload

Case = tuple[Any, ...]  # the arguments of run_jobs
Timed = tuple[float, float]  # CPU seconds: the loop, the assembly


def grid(jobs: int, sites: int = 150, seed: int = 1) -> Case:
    places, work = compute(jobs, sites, seed)
    anywhere = np.full(jobs, CHOOSE)
    return work.submit, work.cores, work.run, 2 * work.run, anywhere, places.cores, False


def cluster(jobs: int, seed: int = 1, load: float = 0.85) -> Case:
    rng = np.random.default_rng(seed)
    width = 2 ** rng.integers(0, 10, jobs)
    run = np.minimum(rng.lognormal(6.0, 2.0, jobs), 86400.0).round()
    request = (run * np.exp(rng.exponential(1.0, jobs)) / 300).round() * 300 + 300
    submit = np.cumsum(rng.exponential(1.0, jobs))
    submit *= np.dot(run, width) / (4096 * load * (submit[-1] - submit[0]))
    return submit.round(), width, run, request, np.zeros(jobs, np.int64), np.array([4096]), True


def deep(jobs: int) -> Case:
    return cluster(jobs, load=1.2)


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:  # noqa: ANN401
    begin = time.process_time()
    found = function(*arguments)
    return time.process_time() - begin, found


def go(case: tuple[Platform, Workload], broker: Any = None) -> tuple[Timed, State]:  # noqa: ANN401
    """Run the grid kernel; a `broker` of `jitted` or of a `View` is called as `simulate` does."""
    rules = Rules(broker=Brokerage.LEAST_LOADED if broker is None else Brokerage.CALLED)
    laying, state = timed(assemble, *case, rules, NO_FAULTS, 0)
    ask = caller(None if broker is bare else broker, state, case[0].names, {}).pointer
    if broker is bare:
        ask = bare(state, type(ask))
    running, why = timed(advance, state, np.inf, 10**12, ask)
    if why != DONE:
        raise SystemExit(f"the kernel stopped: {why}")
    return (running, laying), state


def bare(state: State, call: Any) -> Any:  # noqa: ANN401 - ctypes
    """Return a function that looks at the kernel's own array, as little as Python can do."""
    least = state.load.argmin
    return call(lambda job: int(least()))


def view(view: View) -> int:
    return int(view.load.argmin())


@numba.njit  # type: ignore[untyped-decorator]
def jitted(job: int, jobs: np.ndarray, sites: np.ndarray, pools: np.ndarray) -> int:
    best, lowest = -1, np.inf
    for k in range(len(sites)):
        load = sites[k].held / sites[k].cores
        if load < lowest:
            best, lowest = k, load
    return best


def same(case: Case) -> None:
    """Fail where the compute kernel and its plain version differ."""
    start, site = run_jobs(*case)
    if (start.tolist(), site.tolist()) != plain.run_jobs(*as_lists(case)):
        raise SystemExit("the kernel and its plain version disagree")


def as_lists(case: Case) -> Case:
    return tuple(a.tolist() if isinstance(a, np.ndarray) else a for a in case)


def same_grid(case: tuple[Platform, Workload], shared: bool) -> None:
    """Fail where the grid kernel and the plain loop differ by more than 1e-6 s."""
    _, state = go(case)
    loop = Grid(*case, shared=shared)
    loop.run()
    made = state.attempts[: len(case[1])]
    for name in ("site", "start", "staged", "end"):
        if np.abs(made[name] - np.array(getattr(loop, name))).max() > 1e-6:
            raise SystemExit(f"the kernel and the plain loop disagree about {name}")


def compared(
    jobs: int,
    plain_jobs: int,
    repeats: int,
    kernel: Callable[[], Timed],
    loop: Callable[[], float] | None,
) -> dict[str, Any]:
    """Measure both in turn: jobs per CPU second (best, median, worst), and their ratio."""
    times, plain_times = [], []
    for _ in range(repeats):
        if loop is not None:
            plain_times.append(loop())
        times.append(kernel())
    runs = [t for t, _ in times]
    figures: dict[str, Any] = {"jobs": jobs}
    for name, value in (
        ("best", min(runs)),
        ("median", statistics.median(runs)),
        ("worst", max(runs)),
    ):
        figures[f"{name}_jobs_per_cpu_s"] = round(jobs / value)
    figures["assembly_s"] = round(statistics.median(t for _, t in times), 3)
    if plain_times:
        ratios = [jobs / t / (plain_jobs / p) for t, p in zip(runs, plain_times, strict=True)]
        figures["plain_jobs"] = plain_jobs
        figures["plain_jobs_per_cpu_s"] = round(plain_jobs / statistics.median(plain_times))
        figures["ratio_to_plain"] = round(statistics.median(ratios), 1)
        figures["ratio_low"], figures["ratio_high"] = round(min(ratios), 1), round(max(ratios), 1)
    return figures


def measure(case: Callable[[int], Case], jobs: int, plain_jobs: int, repeats: int) -> dict:
    """Measure the compute kernel."""
    few, many = case(plain_jobs), case(jobs)
    same(few)  # and compile
    lists = as_lists(few)
    figures = compared(
        jobs,
        plain_jobs,
        repeats,
        lambda: (timed(run_jobs, *many)[0], 0.0),
        lambda: timed(plain.run_jobs, *lists)[0],
    )
    start, _ = run_jobs(*many)
    figures["mean_wait_s"] = round(float((start - many[0]).mean()), 1)
    figures["waiting_share"] = round(float((start > many[0]).mean()), 4)
    return figures


def measure_grid(
    case: Callable[[int], tuple[Platform, Workload]],
    jobs: int,
    plain_jobs: int,
    repeats: int,
    *,
    stream: bool = False,
) -> dict:
    """Measure the grid kernel; the plain loop knows no streams."""
    few, many = case(plain_jobs), case(jobs)
    (_, state) = go(many)
    shared = bool(state.world[0]["level"] > 1)
    if not stream:
        same_grid(few, shared)

    def loop() -> float:
        plain_grid = Grid(*few, shared=shared)
        return timed(plain_grid.run)[0]

    figures = compared(jobs, plain_jobs, repeats, lambda: go(many)[0], None if stream else loop)
    moved = state.transfers[: state.world[0]["transfers"]]
    figures["events_per_job"] = round(int(state.world[0]["events"]) / jobs, 1)
    flowing = (moved["end"] - moved["start"]).sum() / state.attempts["end"].max()
    figures["mean_transfers_at_a_time"] = round(float(flowing), 1)
    return figures


def measure_broker(broker: Any, jobs: int, plain_jobs: int, repeats: int) -> dict:  # noqa: ANN401
    """Measure decisions of a broker of the user's own; the plain loop decides by itself."""
    lists, many = as_lists(grid(plain_jobs)), compute(jobs)
    go(many, broker)
    return compared(
        jobs,
        plain_jobs,
        repeats,
        lambda: go(many, broker)[0],
        lambda: timed(plain.run_jobs, *lists)[0],
    )


def large(jobs: int = 10_000_000) -> dict[str, Any]:
    """Run many jobs once; the peak of memory is that of this process, inputs included."""
    run_jobs(*grid(1000))
    case = grid(jobs)
    spent, _ = timed(run_jobs, *case)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"jobs": jobs, "jobs_per_cpu_s": round(jobs / spent), "peak_rss_gib": round(peak, 2)}


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def measured(jobs: int, few: int, repeats: int) -> dict[str, dict]:
    """Return the figures of all cases."""
    third, tenth = max(1, jobs // 3), max(1, jobs // 10)
    some = min(few, tenth)

    def behind(uplink: float) -> Callable[[int], tuple[Platform, Workload]]:
        return lambda n: stars(n, uplink=uplink)

    found = {
        "l0_150_sites_fcfs_least_loaded": measure(grid, jobs, few, repeats),
        "easy_4096_processors_load_0.85": measure(cluster, jobs, few, repeats),
        "deep_4096_processors_load_1.2": measure(deep, third, min(few, third), repeats),
        "l1_50_sites_own_links": measure_grid(stars, jobs, few, repeats),
        "l1_50_sites_own_links_fewer_jobs": measure_grid(stars, tenth, some, repeats),
        "l2_50_sites_uplink_binds": measure_grid(behind(1.1), jobs // 5, few // 10, repeats),
        "l2_loose_50_sites_uplink_never_binds": measure_grid(
            behind(8.0), jobs // 5, few // 10, repeats
        ),
        "l3_50_sites_disks_caches": measure_grid(copies, jobs // 5, few // 10, repeats),
        "l3_narrow_50_sites_half_the_wan": measure_grid(
            lambda n: copies(n, wan=2.5e8), jobs // 5, few // 20, repeats
        ),
        "stream_50_sites_disks_caches": measure_grid(
            lambda n: copies(n, stream=True), jobs // 5, few // 10, repeats, stream=True
        ),
    }
    for name, broker in (("callable", bare), ("view", view), ("jitted", jitted)):
        found[f"{name}_150_sites"] = measure_broker(broker, jobs // 5, few, repeats)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--plain-jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="ten million jobs at level 0 too")
    parser.add_argument("--growth", type=Path, metavar="FILE.svg", help="draw the growth instead")
    options = parser.parse_args()
    if options.jobs < 100 or options.plain_jobs < 100 or options.repeats < 1:
        parser.error("expected 100 jobs, 100 plain jobs and 1 repetition, or more")
    if options.growth:
        import kernel_growth

        kernel_growth.draw(options.growth)
        return
    report: dict[str, dict] = {
        "machine": {
            "cpu": processor(),
            "python": platform.python_version(),
            "numba": numba.__version__,
            "numpy": np.__version__,
        },
    }
    if options.large:  # first: the peak is of the whole process
        report["large_l0_150_sites"] = large()
    report |= measured(options.jobs, min(options.plain_jobs, options.jobs), options.repeats)
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for name, figures in report.items():
        print(name)
        for key, value in figures.items():
            print(f"  {key:24} {value}")


if __name__ == "__main__":
    main()
