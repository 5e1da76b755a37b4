"""Run scenarios whose outcome SimGrid has given through the grid kernel; print how far it is off.

``python benchmarks/simgrid_golden.py [FOLDER]`` reads every pair ``NAME.json`` and ``NAME.csv.gz``
(or ``NAME.csv``) in a folder (`gridtwin.sim.scenarios` explains them; `DEFAULTS` says what a file
may leave out) and prints a JSON list of ``{scenario, jobs, max_start, max_stage_in_end, max_end}``:
the largest differences of any job, in seconds. Without a folder it reads tests/sim/golden.

The kernel knows one LAN link per site. A link for each host becomes one that the site's flows do
not share, which is exact as long as the flows of one host cannot fill it; where they could, stderr
says so and the differences are those of the approximation.
"""

import argparse
import ctypes
import gzip
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError, GridtwinError
from gridtwin.sim import scenarios
from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.kernel.grid import advance
from gridtwin.sim.kernel.network import GAMMA
from gridtwin.sim.parts import Link, Pool, Route, Site
from gridtwin.sim.platform import Platform
from gridtwin.sim.referee import Case, Host
from gridtwin.sim.workload import Files, Workload

EXTRACTS = Path(__file__).resolve().parents[1] / "tests" / "sim" / "golden"
NO_LIMIT = 1e15
DEFAULTS: Mapping[str, Any] = {
    "hosts_per_site": 1,
    "origin_link_bandwidth_Bps": NO_LIMIT,
    "origin_link_latency_s": 0.0,
    "lan_bandwidth_Bps": NO_LIMIT,
    "lan_latency_s": 0.0,
}
"""What a scenario that does not say has; hosts and links without a part in its outcome."""
ORIGIN = "origin of data"
TIMES = ("start", "stage_in_end", "end")
_NUMBERS = ("submit", "input_bytes", "flops", *TIMES)
_ask = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda job: -1)  # never called


def load(path: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    """Return a scenario's parsed JSON, completed, and its jobs in order of submission."""
    packed, plain = path.with_suffix(".csv.gz"), path.with_suffix(".csv")
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    jobs = pl.read_csv(text, schema_overrides=dict.fromkeys(_NUMBERS, pl.Float64))
    missing = [name for name in _NUMBERS if name not in jobs.columns]
    if missing:
        raise FormatError(f"{path.name}: its jobs have no column {missing[0]!r}")
    grid = DEFAULTS | json.loads(path.read_text(encoding="utf-8"))
    return grid, jobs.sort("submit", maintain_order=True)


def platform_of(case: Case) -> tuple[Platform, list[str]]:
    """Return a case's platform, and what in it is only nearly the case's."""
    links = {link.name: link for link in case.links}
    sites, routes, notes = [], [], []
    for s in range(case.sites):
        hosts = [host for host in case.hosts if host.site == s]
        path = case.routes[scenarios.ORIGIN, s] or ()
        shared = len({host.lan for host in hosts}) == 1
        lan = links[_name(hosts[0].lan[0])]
        if not shared:
            if any(_fills(host, path, links) for host in hosts):
                notes.append(f"site {s}: the LAN links of its hosts may bind; taken as one pipe")
            lan = replace(lan, sharing="fatpipe")
            for host in hosts:
                del links[_name(host.lan[0])]
            links[lan.name] = lan
        pool = Pool(sum(host.cores for host in hosts), speed=hosts[0].speed)
        sites.append(Site(f"site{s}", (pool,), lan=lan.name))
        routes.append(Route(ORIGIN, f"site{s}", path))
    return Platform(tuple(sites), tuple(links.values()), tuple(routes), (ORIGIN,)), notes


def _fills(host: Host, path: tuple[str, ...], links: Mapping[str, Link]) -> bool:
    """Return whether the flows of all cores of a host could take more than its LAN link has."""
    lan, way = links[_name(host.lan[0])], [links[_name(name)] for name in path]
    if lan.sharing == "fatpipe":
        return False
    latency = lan.latency + sum(link.latency for link in way)
    bound = min([link.bandwidth for link in (lan, *way)])
    bound = min(bound, GAMMA / (2.0 * latency)) if latency > 0.0 else bound
    all_of_them = [link.bandwidth / _use(link) for link in way if link.sharing != "fatpipe"]
    most = min([host.cores * bound, *all_of_them])
    return most * _use(lan) > lan.bandwidth * (1.0 + 1e-9)


def _use(link: Link) -> float:
    """Return the share of a link that a byte takes, with 5 % of traffic on the way back."""
    return 1.05 if link.sharing == "shared" else 1.0


def _name(crossing: str) -> str:
    return crossing.removesuffix(":up").removesuffix(":down")


def workload_of(jobs: pl.DataFrame, sites: int) -> Workload:
    """Return the jobs, each with an input of its own that lies at the origin."""
    n = len(jobs)
    size = jobs["input_bytes"].to_numpy()
    return Workload(
        submit=jobs["submit"].to_numpy(),
        cores=jobs["cores"].to_numpy() if "cores" in jobs.columns else np.ones(n, np.int64),
        run=np.zeros(n),
        flop=jobs["flops"].to_numpy(),
        input_ptr=np.arange(n + 1),
        input_file=np.arange(n),
        files=Files(size, replica_file=np.arange(n), replica_node=np.full(n, sites)),
    )


def simulate(grid: Mapping[str, Any], jobs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the kernel's site, start, stage_in_end and end of each job, and notes."""
    platform, notes = platform_of(scenarios.build(grid, jobs.head(0)))
    workload = workload_of(jobs, len(platform.sites))
    rules = Rules(broker=Brokerage.FEWEST_JOBS, transfers=False)
    state = assemble(platform, workload, rules, NO_FAULTS, 0)
    advance(state, math.inf, sys.maxsize, _ask)
    found = state.attempts[: len(workload)]
    found = found[np.argsort(found["job"], kind="stable")]
    columns = {"site": "site", "start": "start", "stage_in_end": "staged", "end": "end"}
    return pl.DataFrame({name: found[of].copy() for name, of in columns.items()}), notes


def compare(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the largest differences of a scenario's times, and notes."""
    grid, jobs = load(path)
    ours, notes = simulate(grid, jobs)
    apart = {
        f"max_{name}": float((ours[name] - jobs[name]).abs().max() or 0.0)  # type: ignore[arg-type]
        for name in TIMES
    }
    if "site" in jobs.columns and (moved := int((ours["site"] != jobs["site"]).sum())):
        notes.append(f"{moved} of {len(jobs)} jobs ran at other sites")
    return {"scenario": path.stem, "jobs": len(jobs), **apart}, notes


def pairs(folder: Path) -> Iterator[Path]:
    """Return the scenarios of a folder: JSON files with a table of jobs beside them."""
    for path in sorted(folder.glob("*.json")):
        if any(path.with_suffix(suffix).exists() for suffix in (".csv.gz", ".csv")):
            yield path
        else:
            print(f"{path.name}: no table of jobs beside it, left out", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=EXTRACTS)
    folder = parser.parse_args().folder
    found, failed = [], 0
    for path in pairs(folder):
        try:
            row, notes = compare(path)
        except (GridtwinError, OSError, ValueError, pl.exceptions.PolarsError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        found.append(row)
        for note in notes:
            print(f"{path.name}: {note}", file=sys.stderr)
    print(json.dumps(found, indent=1))
    if failed or not found:
        raise SystemExit(f"{failed} scenarios could not be read; {len(found)} were compared")


if __name__ == "__main__":
    main()
