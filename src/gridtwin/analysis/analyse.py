"""All analyses that apply to a table, with its key figures."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import get_args

import polars as pl

from gridtwin.analysis import (
    access_report,
    arrivals,
    cpu,
    data,
    errors,
    incidents,
    queue,
    requests,
    reuse,
    status,
    waste,
)
from gridtwin.analysis.access_base import Frame
from gridtwin.analysis.base import Analysis, Kpi, Unit, size
from gridtwin.analysis.kpis import key_figures
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable, tables
from gridtwin.trace.arrivals import submit_times

__all__ = ["analyse"]

Frames = dict[str, pl.DataFrame]
Step = tuple[str, "partial[pl.DataFrame]"]
"""Name of a frame and the call that makes it; the docstring of the function defines it."""


def analyse(
    jobs: JobTable,
    *,
    queue_map: pl.DataFrame | None = None,
    names: pl.DataFrame | None = None,
    traces: Frame | None = None,
    files: Frame | None = None,
    transfers: Frame | None = None,
    replicas: Frame | None = None,
    rses: Frame | None = None,
    truth: Frame | None = None,
) -> Analysis:
    """Return every analysis that applies to the jobs, in small frames, and the key figures.

    Parameters
    ----------
    jobs
        Any table; over a file that is scanned it is read in batches, once for each analysis.
        Peak memory: 24 bytes a job (submit times and senders), about 200 bytes for each
        (site, four hours, user, task), and what the batches take.
    queue_map
        ``queue``, ``site``: the site of each queue, put in place of the table's own.
    names
        Names and stages of error codes: ``word``, ``name``, ``stage``; by default PanDA's.
    traces, files, transfers, replicas, rses
        What Rucio and PanDA recorded of the jobs' data, see `gridtwin.analysis.access`; transfers
        and replicas need the files. Without them remote data access is unknown. Memory: about 200
        bytes a job for each of traces, transfers and replicas, and what these methods state.
    truth
        The true accesses, where they are known: the example's.

    Returns
    -------
    analysis
        What does not apply is in ``left_out`` with the reason. Floats have ten digits, so that
        the order in which batches are summed does not show.
    """
    if queue_map is not None:
        jobs = _mapped(jobs, queue_map)
    names = tables.error_codes() if names is None else names
    given = {
        "traces": traces,
        "files": files,
        "transfers": transfers,
        "replicas": replicas,
        "rses": rses,
        "truth": truth,
    }
    records = {name: frame for name, frame in given.items() if frame is not None}
    frames: Frames = {}
    definitions: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name, make in _steps(jobs, names, frames, records):
        try:
            frame = make()
        except SchemaError as reason:
            left_out[name] = str(reason)
            continue
        if frame.is_empty():
            left_out[name] = "no job tells"
            continue
        frames[name] = frame
        definitions[name] = _prose(make.func)
    kpis = key_figures(jobs, frames)
    frames = {name: _rounded(frame) for name, frame in frames.items()}
    kpis = {name: _rounded_kpi(kpi) for name, kpi in kpis.items()}
    return Analysis(
        frames=frames,
        kpis=kpis,
        definitions=definitions,
        left_out=left_out,
        notes=jobs.provenance.notes,
        source=jobs.provenance.to_json(),
        unit=_unit(jobs),
        place="queue" if "queue" in jobs and "site" not in jobs else "site",
    )


def _steps(
    jobs: JobTable, names: pl.DataFrame, done: Frames, records: access_report.Records
) -> Iterator[Step]:
    """Yield the analyses in the order of the report; `done` has the frames made so far."""
    yield "queue_time_histogram", partial(queue.queue_histogram, jobs)
    for by in get_args(queue.By):
        yield f"queue_time_by_{by}", partial(queue.queue_time, jobs, by)
    yield "queue_time_split", partial(queue.queue_split, jobs)
    yield "status", partial(status.status_shares, jobs)
    yield from _errors(jobs, names, done)
    yield from _failures(jobs, names, done)
    yield "cpu_time", partial(cpu.cpu_time, jobs)
    yield "efficiency_histogram", partial(cpu.efficiency_histogram, jobs)
    yield "efficiency", partial(cpu.efficiency, jobs)
    yield "efficiency_by_site", partial(cpu.efficiency, jobs, by_place=True)
    yield "site_power", partial(cpu.site_power, jobs)
    yield "input_sizes", partial(data.input_sizes, jobs)
    yield "dataset_sizes", partial(data.dataset_histogram, jobs)
    yield "site_footprint", partial(data.site_footprint, jobs)
    yield from _access(jobs, records)
    yield "run_over_request", partial(requests.run_over_request, jobs)
    yield "sizes", partial(requests.sizes, jobs)
    yield "users", partial(requests.users, jobs)
    yield from _arrivals(jobs)
    yield from _reuse(jobs)


def _errors(jobs: JobTable, names: pl.DataFrame, done: Frames) -> Iterator[Step]:
    yield "error_combinations", partial(errors.combinations, jobs)
    combined = done.get("error_combinations")
    if combined is not None:
        yield "error_components", partial(errors.error_components, combined)
        yield "error_codes", partial(errors.error_codes, combined, names)
        yield "error_pairs", partial(errors.error_pairs, combined)
        yield "waste_by_combination", partial(waste.wasted_by_combination, jobs, combined)
    for group in get_args(waste.Group):
        yield f"waste_by_{group}", partial(waste.wasted, jobs, group)


def _failures(jobs: JobTable, names: pl.DataFrame, done: Frames) -> Iterator[Step]:
    for group in ("all", "site", "user", "input size"):
        yield f"failure_by_{group.replace(' ', '_')}", partial(status.failure_rate, jobs, group)
    if "error_codes" in done and "failure_by_all" in done:
        total = int(done["failure_by_all"]["n"].sum())
        yield "failure_by_code", partial(status.failure_rate_by_code, done["error_codes"], total)
    yield "site_days", partial(incidents.incident_days, jobs, names)


def _access(jobs: JobTable, records: access_report.Records) -> Iterator[Step]:
    found = access_report.found_by(jobs, records)
    yield "access_by_class", partial(access_report.access_by_class, jobs, found)
    if not found:
        return
    yield "access_by_site", partial(access_report.access_by_site, found["best"])
    yield "access_rows", partial(access_report.access_rows, found)
    if "truth" in records:
        yield (
            "access_recovered",
            partial(access_report.access_recovered, found, records["truth"]),
        )
    if "transfers" in found:
        yield "transfer_time", partial(access_report.transfer_time, jobs, records)


def _arrivals(jobs: JobTable) -> Iterator[Step]:
    if "submit_time" not in jobs:
        yield "arrivals_by_hour_of_week", partial(arrivals.bursts, jobs)  # says what is missing
        return
    submit = submit_times(jobs)
    yield "arrivals_by_hour_of_week", partial(arrivals.arrival_week, submit)
    yield "arrivals_by_day", partial(arrivals.arrival_days, submit)
    yield "bursts", partial(arrivals.bursts, jobs)
    yield "arrival_gaps", partial(arrivals.arrival_gaps, submit)
    yield "arrival_dispersion", partial(arrivals.dispersions, submit)
    yield "arrival_acf", partial(arrivals.arrival_acf, submit)


def _reuse(jobs: JobTable) -> Iterator[Step]:
    try:
        used = reuse.uses(jobs)
    except SchemaError:
        yield "dataset_uses", partial(reuse.uses, jobs)  # says again what is missing
        return
    yield "dataset_uses", partial(reuse.use_counts, used)
    yield "dataset_zipf", partial(reuse.zipf, used)
    yield "reuse_distance", partial(reuse.reuse_distance, used)
    yield "popularity", partial(reuse.popularity, used)


def _mapped(jobs: JobTable, queue_map: pl.DataFrame) -> JobTable:
    """Return the jobs with the sites of a map of queues; a queue it lacks keeps its site."""
    if "queue" not in jobs:
        raise SchemaError("a map of queues needs the column 'queue', which the table does not have")
    known = dict(queue_map.select("queue", "site").iter_rows())
    own = pl.col("site") if "site" in jobs else pl.col("queue")
    site = pl.col("queue").replace_strict(known, default=own, return_dtype=pl.String)
    return jobs.with_frame(jobs.frame.with_columns(site.alias("site")), "Sites are those of a map.")


def _unit(jobs: JobTable) -> Unit:
    try:
        return size(jobs)[1]
    except SchemaError:
        return "core"


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).round_sig_figs(10))


def _rounded_kpi(kpi: Kpi) -> Kpi:
    if not isinstance(kpi.value, float):
        return kpi
    return Kpi(float(f"{kpi.value:.10g}"), kpi.unit, kpi.definition, kpi.n)


def _prose(function: Callable[..., object]) -> str:
    """Return a docstring's text before its sections as running text."""
    text = inspect.cleandoc(function.__doc__ or "")
    for heading in ("Parameters", "Returns", "Examples"):
        text = text.split(f"\n{heading}\n---")[0]
    return " ".join(text.replace("`", "").split())
