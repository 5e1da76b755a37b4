"""Make scenarios and let SimGrid say what happens in them; or compare SimGrid with such files.

``python benchmarks/simgrid_make.py FOLDER [--jobs N] [--only NAME ...]`` writes ``NAME.json`` and
``NAME.csv.gz`` (`gridtwin.sim.scenarios`) of each scenario below, from a fixed seed; ``--tiny``
makes extracts instead: the first three sites, of six cores each.
``python benchmarks/simgrid_make.py --check FOLDER`` runs the scenarios in a folder and prints how
far SimGrid's times are from those in the files. Both need SimGrid: docs/howto/simgrid-referee.md.

The files of tests/sim/golden are ``python benchmarks/simgrid_make.py tests/sim/golden --tiny``.
"""

import argparse
import json
import time
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.sim import scenarios
from gridtwin.sim.referee import differences, referee

SPEED = 1e10
BASE: dict[str, Any] = {
    "topology": "independent_wan",
    "sites": 7,
    "cores_per_site": 12,
    "hosts_per_site": 3,
    "core_speed_flops": SPEED,
    "wan_bandwidth_Bps": 1.25e8,
    "wan_latency_s": 0.005,
    "lan_bandwidth_Bps": 1.25e10,
    "lan_latency_s": 1e-05,
    "origin_link_bandwidth_Bps": 1e15,
    "origin_link_latency_s": 0.0,
}
UPLINK: dict[str, Any] = BASE | {
    "topology": "shared_uplink",
    "origin_link_bandwidth_Bps": 3e8,
    "origin_link_latency_s": 0.002,
}
FAST = {"wan_bandwidth_Bps": [2e7, 4e8, 2e9, 5e7, 1e9, 8e7, 3e7]}
LATE = {"wan_latency_s": [0.001, 0.05, 0.3, 0.02, 0.15, 0.08, 0.6]}
NO_LATENCY = {"wan_latency_s": 0.0, "lan_latency_s": 0.0, "origin_link_latency_s": 0.0}
TOLD = {
    "engine": "SimGrid 4.1, defaults (network LV08, CPU Cas01), Python actors",
    "rule": "site = fewest queued+running jobs, lowest index on ties; first come first served per "
    "site; a job holds its cores from the start of its input transfer, on the first host with a "
    "core left; origin -> host; no transfer for 0 bytes",
    "units": "seconds, bytes, flops",
}
TINY_JOBS = 30
TINY = (
    *("wan_unequal", "wan_gamma", "uplink_unequal", "uplink_equal_batches", "lan_host"),
    *("lan_site", "origin_fatpipe", "all_split", "some_zero_latency", "overload", "one_job"),
    "wide_jobs",
)

# name: the grid, how the jobs are made
SCENARIOS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "wan_unequal": (BASE | FAST | LATE, {}),
    "wan_gamma": (BASE | LATE | {"wan_bandwidth_Bps": 1.25e9}, {"big": 3}),
    "wan_speeds": (
        BASE
        | {
            "cores_per_site": [3, 6, 12, 18, 24, 9, 15],
            "core_speed_flops": [5e9, 2e10, 1e10, 8e9, 1.2e10, 1e10, 3e9],
        },
        {},
    ),
    "uplink_unequal": (UPLINK | FAST | LATE, {"big": 2}),
    "uplink_batches": (UPLINK | FAST | LATE, {"batch": 20}),
    # with its defaults SimGrid 4.1 is wrong where equal routes' flows start at the same instant
    "uplink_equal_batches": (
        UPLINK | {"simgrid_config": ["network/optim:Full"]},
        {"batch": 30, "same": True},
    ),
    "lan_host": (BASE | {"lan_bandwidth_Bps": 3e7}, {"big": 2}),
    "lan_site": (UPLINK | {"lan_bandwidth_Bps": 4e7, "lan_scope": "site"}, {"big": 2}),
    "origin_fatpipe": (UPLINK | FAST | LATE | {"origin_link_sharing": "fatpipe"}, {"big": 2}),
    "wan_fatpipe": (UPLINK | FAST | LATE | {"wan_sharing": "fatpipe"}, {"big": 2}),
    "wan_split": (BASE | {"wan_sharing": "split", "wan_bandwidth_Bps": 5e7}, {"big": 2}),
    "all_split": (
        UPLINK
        | FAST
        | LATE
        | {"wan_sharing": "split", "lan_sharing": "split", "origin_link_sharing": "split"},
        {"big": 2},
    ),
    "zero_latency": (UPLINK | FAST | NO_LATENCY, {"big": 2}),
    "some_zero_latency": (
        UPLINK | NO_LATENCY | {"wan_latency_s": [0.0, 0.01, 0.0, 0.05, 0.0, 0.002, 0.2]},
        {"big": 2},
    ),
    "overload": (UPLINK | FAST | LATE, {"load": 3.0}),
    "one_job": (UPLINK | LATE, {"jobs": 1, "zero": 0.0}),
    "no_work": (UPLINK | FAST, {"work": 0.0, "big": 2}),
    "wide_jobs": (UPLINK | FAST | LATE, {"widths": [1, 2, 4, 8, 12]}),
}


def jobs_of(
    name: str,
    grid: dict[str, Any],
    jobs: int,
    *,
    load: float = 0.95,
    zero: float = 0.3,
    big: float = 1.0,
    batch: int = 1,
    same: bool = False,
    work: float = 4000.0,
    widths: list[int] | None = None,
) -> pl.DataFrame:
    """Return made-up jobs: submit, input_bytes, flops, cores; `load` is of the computing alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    cores, speeds = grid["cores_per_site"], grid["core_speed_flops"]
    spread = np.broadcast_to(cores, grid["sites"]) * np.broadcast_to(speeds, grid["sites"])
    width = rng.choice(widths, jobs) if widths else np.ones(jobs, dtype=np.int64)
    width = np.minimum(width, np.min(cores))
    run = np.full(jobs, work) if same else rng.exponential(max(work, 1e-9), jobs)
    gap = (work or 100.0) * width.mean() * SPEED / (spread.sum() * load)
    groups = -(-jobs // batch)
    submit = np.repeat(np.cumsum(rng.exponential(gap * batch, groups)), batch)[:jobs]
    size = np.full(jobs, 2e9) if same else big * rng.lognormal(np.log(2e9), 1.2, jobs)
    size = np.where(rng.random(jobs) < zero, 0.0, size)
    return pl.DataFrame(
        {
            "submit": submit.round(6),
            "input_bytes": size.astype(np.int64),
            "flops": (run * SPEED * (work > 0)).round(1),
            "cores": width,
        }
    )


def shrunk(grid: dict[str, Any]) -> dict[str, Any]:
    """Return the grid's first three sites, of six cores each."""
    fewer = {key: value[:3] if isinstance(value, list) else value for key, value in grid.items()}
    return fewer | {"sites": 3, "cores_per_site": 6}


def make(folder: Path, jobs: int, names: Collection[str], tiny: bool) -> None:
    for name in names:
        grid, options = SCENARIOS[name]
        grid = shrunk(grid) if tiny else grid
        options = {"jobs": jobs} | options
        case = scenarios.build(grid, jobs_of(name, grid, **options))
        begin = time.perf_counter()
        times = referee(case)
        scenarios.write(folder / f"{name}.json", grid | TOLD, case, times)
        wait = times.start - case.submit
        stage = (times.stage_in_end - times.start)[case.input_bytes > 0]
        print(
            f"{name:22} {len(wait):6} jobs  waiting {np.mean(wait > 0):4.0%}  "
            f"staging mean {stage.mean():8.1f} s max {stage.max():9.1f} s  "
            f"{time.perf_counter() - begin:5.1f} s"
        )


def check(folder: Path) -> None:
    out = []
    for path in sorted(folder.glob("*.json")):
        case, theirs = scenarios.read(path)
        apart = differences(referee(case), theirs)
        out.append({"scenario": path.stem, "jobs": len(case.submit)} | apart)
    print(json.dumps(out, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--only", nargs="*", choices=SCENARIOS)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.check:
        check(given.folder)
    else:
        jobs = given.jobs or (TINY_JOBS if given.tiny else 2000)
        make(given.folder, jobs, given.only or (TINY if given.tiny else SCENARIOS), given.tiny)


if __name__ == "__main__":
    main()
