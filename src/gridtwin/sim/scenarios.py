"""Scenarios whose outcome SimGrid has given: ``NAME.json`` says the grid, ``NAME.csv.gz`` the jobs.

One source of data (the origin), sites of equal hosts, and for each transfer the links origin link,
WAN link of the site, LAN link of the host. In the JSON, units are seconds, bytes, bytes per second
and flop/s; a value with * may be a list with one entry per site, or a text such as
``"1e-3*(1+2*site)"``, where ``site`` counts from 0.

========================== =====================================================================
``sites``                  number of sites
``cores_per_site`` *       cores of all hosts of a site together
``hosts_per_site`` *       a divisor of them
``core_speed_flops`` *     of each core
``wan_bandwidth_Bps`` *    and ``wan_latency_s`` *: the site's own link
``lan_bandwidth_Bps`` *    and ``lan_latency_s`` *: the link of each host, or of the site
``origin_link_...``        ``bandwidth_Bps`` and ``latency_s``: the link that all transfers cross
``wan_sharing``            ``shared`` (default), ``fatpipe`` or ``split``; so ``lan_sharing``,
                           ``origin_link_sharing``
``lan_scope``              ``host`` (default): one LAN link per host; ``site``: one per site
``simgrid_config``         list of SimGrid's settings other than the defaults
========================== =====================================================================

Other keys describe the file to its reader. The jobs' columns are job, submit, input_bytes, flops,
site, start, stage_in_end, end, and, where not all jobs have one core, cores; a job starts on the
first host of its site with a core left.
"""

import ast
import gzip
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.sim.parts import Link, Sharing
from gridtwin.sim.referee import Case, Host, Times

__all__ = ["build", "read", "write"]

ORIGIN = 0
_NEEDED = (
    *("sites", "cores_per_site", "hosts_per_site", "core_speed_flops"),
    *("wan_bandwidth_Bps", "wan_latency_s", "lan_bandwidth_Bps", "lan_latency_s"),
    *("origin_link_bandwidth_Bps", "origin_link_latency_s"),
)


def build(grid: Mapping[str, Any], jobs: pl.DataFrame) -> Case:
    """Return the case that a parsed JSON and the jobs' submit, input_bytes, flops describe."""
    missing = [key for key in _NEEDED if key not in grid]
    if missing:
        raise InputError(f"{missing[0]} is missing; a scenario needs {', '.join(_NEEDED)}")
    sites, scope = grid["sites"], grid.get("lan_scope", "host")
    if isinstance(sites, bool) or not isinstance(sites, int) or sites < 0:
        raise InputError(f"sites: expected a whole number, got {sites!r}")
    if scope not in ("host", "site"):
        raise InputError(f"lan_scope: expected 'host' or 'site', got {scope!r}")
    values = {key: _per_site(key, grid[key], sites) for key in _NEEDED[1:]}
    sharing = {
        kind: cast("Sharing", grid.get(f"{kind}_sharing", "shared"))
        for kind in ("origin_link", "wan", "lan")
    }

    def link(kind: str, name: str, site: int) -> Link:
        bandwidth, latency = f"{kind}_bandwidth_Bps", f"{kind}_latency_s"
        return Link(name, values[bandwidth][site], values[latency][site], sharing[kind])

    links = [link("origin_link", "origin", 0)] if sites else []
    hosts: list[Host] = []
    routes: dict[tuple[int, int], tuple[str, ...] | None] = {}
    for site in range(sites):
        links.append(link("wan", f"wan{site}", site))
        routes[ORIGIN, site] = ("origin", f"wan{site}")
        count, cores = int(values["hosts_per_site"][site]), int(values["cores_per_site"][site])
        if count < 1 or cores % count:
            raise InputError(f"hosts_per_site: {cores} cores of site {site} on {count} hosts")
        for k in range(count):
            lan = f"lan{site}" if scope == "site" else f"lan{site}_{k}"
            if k == 0 or scope == "host":
                links.append(link("lan", lan, site))
            speed = values["core_speed_flops"][site]
            hosts.append(Host(site, cores // count, speed, (lan,)))
    return Case.of(
        hosts,
        links,
        routes,
        submit=jobs["submit"].to_numpy(),
        input_bytes=jobs["input_bytes"].to_numpy(),
        flop=jobs["flops"].to_numpy(),
        cores=jobs["cores"].to_numpy() if "cores" in jobs.columns else 1,
        source=ORIGIN,
        config=grid.get("simgrid_config", ()),
    )


def read(path: Path | str) -> tuple[Case, Times]:
    """Read ``NAME.json`` and the ``NAME.csv.gz`` beside it: what ran, and SimGrid's times."""
    path = Path(path)
    table = path.with_suffix(".csv.gz")
    try:
        grid = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(grid, dict):
            raise FormatError(f"expected an object, got {type(grid).__name__}")
        jobs = pl.read_csv(gzip.decompress(table.read_bytes()), schema_overrides=_TYPES)
        case = build(grid, jobs)
        times = [jobs[name].to_numpy() for name in ("site", "start", "stage_in_end", "end")]
    except FileNotFoundError as error:
        raise FormatError(f"{error.filename}: there is no such file; a scenario has two") from error
    except (OSError, EOFError, ValueError, pl.exceptions.PolarsError) as error:
        raise FormatError(f"{path} and {table.name} are no scenario: {error}") from error
    return case, Times(*times)


def write(path: Path | str, grid: Mapping[str, Any], case: Case, times: Times) -> None:
    """Write a scenario and its outcome, the same bytes each time."""
    path = Path(path)
    columns = {
        "job": np.arange(len(case.submit)),
        "submit": case.submit,
        "input_bytes": case.input_bytes,
        "flops": case.flop,
        "site": times.site,
        "start": times.start,
        "stage_in_end": times.stage_in_end,
        "end": times.end,
    }
    if (case.cores != 1).any():
        columns["cores"] = case.cores
    text = pl.DataFrame(columns).write_csv()
    with writing(path.with_suffix(".csv.gz")) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    with writing(path) as temporary:
        temporary.write_text(json.dumps(dict(grid), indent=1) + "\n", encoding="utf-8")


_TYPES = dict.fromkeys(("submit", "flops", "start", "stage_in_end", "end"), pl.Float64)


def _per_site(key: str, value: Any, sites: int) -> list[float]:  # noqa: ANN401 - parsed JSON
    """Return one number per site from a number, a list or an arithmetic text of ``site``."""
    if isinstance(value, str):
        return [_evaluate(key, value, site) for site in range(sites)]
    values = value if isinstance(value, list) else [value] * sites
    if len(values) != sites or not all(isinstance(v, int | float) for v in values):
        raise InputError(f"{key}: expected a number, one per site or a text, got {value!r}")
    return [float(v) for v in values]


_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def _evaluate(key: str, text: str, site: int) -> float:
    def of(node: ast.AST) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name) and node.id == "site":
            return float(site)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            value = _OPERATIONS[type(node.op)](of(node.left), of(node.right))
            return float(value)
        raise InputError(f"{key}: expected + - * / % of numbers and 'site', got {text!r}")

    try:
        return of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ZeroDivisionError) as error:
        raise InputError(f"{key}: {text!r} is no arithmetic; write a number or a list") from error
