"""What was read and what was made of it, as pairs of name and value."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gridtwin.core.errors import SchemaError
from gridtwin.report.figures import floats
from gridtwin.report.numbers import NONE, count, data_size, date, duration, number, percent
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size, offered_load, runnable

if TYPE_CHECKING:
    from gridtwin.sim import Result

__all__ = [
    "dropped",
    "provenance",
    "simulation_table",
    "summary_rows",
    "trace_table",
    "versions",
]


def trace_table(
    traces: Mapping[str, JobTable], cores: int | None = None, sites: int = 1
) -> list[tuple[str, list[str]]]:
    """Return rows of the table "what was read": a name and a text for each trace.

    `cores` is the size of the machine, or of all `sites`, that was simulated; where None it is
    derived from the real trace, if that can run.
    """
    size, told = _machine(traces["real"], cores, sites)
    columns = [_facts(jobs, size) for jobs in traces.values()]
    rows = [
        (name, [facts.get(name, NONE) for facts in columns])
        for name in dict.fromkeys(name for facts in columns for name in facts)
    ]
    if told:
        rows.append(("Machine", [told] + ["the same"] * (len(columns) - 1)))
    return rows


def _machine(jobs: JobTable, cores: int | None, sites: int) -> tuple[int | None, str]:
    """Return the machine's size, and in words how it is known."""
    try:
        ready = runnable(jobs)
    except SchemaError:
        return None, ""
    if not len(ready):
        return None, ""
    if sites > 1 and cores:
        return cores, f"{count(cores)} {ready.unit} at {count(sites)} simulated sites together"
    derived = machine_size(jobs, ready)
    size = cores or derived
    how = "as given"
    if size == derived:
        stated = jobs.provenance.machine_cores == size
        how = "stated by the source" if stated else "the most in use at once"
    return size, f"{count(size)} {ready.unit} ({how})"


def _facts(jobs: JobTable, cores: int | None) -> dict[str, str]:
    source = jobs.provenance
    generated = source.format == "synthetic"
    # a model's source reads "NAME fitted on PATH": the path is in the provenance below
    name = source.source.split(" fitted on ")[0] if generated else PurePath(source.source).name
    facts = {"Source": f"model {name!r}" if generated else name or source.source}
    facts["Jobs"] = count(len(jobs))
    if source.rows_read and not generated:
        kept = source.rows_read - sum(source.dropped.values())
        lost = source.rows_read - kept
        facts["Rows read"] = f"{count(source.rows_read)}, kept {count(kept)}, dropped {count(lost)}"
    if "submit_time" in jobs:
        times = floats(jobs, "submit_time")
        times = times[np.isfinite(times)]
        if len(times):
            first, last = float(times.min()), float(times.max())
            facts["Submitted"] = f"{date(first)} to {date(last)} ({duration(last - first)})"
    for column, name in (("user", "Users"), ("site", "Sites")):
        if column in jobs:
            facts[name] = count(
                jobs.frame.select(pl.col(column).drop_nulls().n_unique()).collect().item()
            )
    if cores is not None:
        facts["Offered load, whole span"] = _load(jobs, cores)
    return facts


def _load(jobs: JobTable, cores: int) -> str:
    try:
        ready = runnable(jobs)
    except SchemaError:
        return NONE
    return number(offered_load(ready.run, ready.width, ready.submit, cores))


def dropped(traces: Mapping[str, JobTable]) -> list[tuple[str, str, int]]:
    """Return the rows that were dropped: trace, reason, how many."""
    return [
        (name, reason, n)
        for name, jobs in traces.items()
        for reason, n in jobs.provenance.dropped.items()
        if n
    ]


def simulation_table(
    simulations: "Mapping[str, Result]",
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the traces simulated, and rows of their summaries: a name and a text for each."""
    return list(simulations), summary_rows([result.summary() for result in simulations.values()])


def summary_rows(summaries: Sequence[Mapping[str, object]]) -> list[tuple[str, list[str]]]:
    """Return rows of summaries of simulations: a name and a text for each of them."""
    keys = dict.fromkeys(key for summary in summaries for key in summary if key not in _HIDDEN)
    rows = []
    for key in keys:
        name = key.replace("_", " ").replace("p95", "95th percentile of").capitalize()
        rows.append((name, [_text(key, summary.get(key)) for summary in summaries]))
    return rows


_HIDDEN = ("seed", "broker", "unit")


def _text(key: str, value: object) -> str:
    """Return a figure of a simulation's summary in the unit that suits it."""
    if not isinstance(value, int | float):
        return NONE if value is None else str(value)
    if key.endswith("_wait") or key == "makespan":
        return duration(value)
    if key.endswith("_share") or key == "utilisation":
        return percent(value)
    if key.endswith("_bytes"):
        return data_size(value)
    return count(value) if isinstance(value, int) else number(value)


def provenance(traces: Mapping[str, JobTable], more: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is needed to make the report again, `more` first."""
    rows = list(more.items())
    for name, jobs in traces.items():
        source = jobs.provenance
        rows.append((f"{name.capitalize()}: source", f"{source.source} (format: {source.format})"))
        if source.sha256:
            rows.append((f"{name.capitalize()}: SHA-256", source.sha256))
        rows += [(f"{name.capitalize()}: note", note) for note in source.notes]
    rows.append(("Versions", versions()))
    return rows


def versions() -> str:
    """Return the versions of gridtwin, of what it computes with, and of Python."""
    libraries = ("gridtwin", "polars", "numpy", "scipy", "scikit-learn", "numba", "altair")
    told = [f"{name} {found}" for name in libraries if (found := _version(name))]
    return ", ".join([*told, f"Python {platform.python_version()}"])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
