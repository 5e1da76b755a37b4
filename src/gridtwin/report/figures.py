"""Which charts a report has, and what each one's caption says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from gridtwin.metrics.base import subsample
from gridtwin.metrics.joint import association_matrix
from gridtwin.report import charts, series
from gridtwin.report.numbers import count, number, percent
from gridtwin.report.series import Floats
from gridtwin.report.theme import Chart, label, unit
from gridtwin.trace import JobTable, TraceSchema
from gridtwin.trace.encode import modelled_columns

__all__ = ["Figure", "attributes", "cdf_chart", "floats", "relations"]

Traces = Mapping[str, JobTable]

MOST_NUMBERS = 12
MOST_CATEGORIES = 6
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Figure:
    """A chart with what a reader needs to read it."""

    key: str
    """Stem of its file name."""
    section: str
    """Key of the section of the page."""
    title: str
    caption: str
    """What to look for, in one or two sentences."""
    chart: Chart
    size: Literal["narrow", "medium", "wide"] = "narrow"


def attributes(traces: Traces) -> tuple[list[Figure], list[str]]:
    """Return distributions of the columns that all traces have, and what was left out and why."""
    shared = _shared_columns(traces)
    figures: list[Figure] = []
    left_out: list[str] = []
    drawn: list[Floats] = []
    for column, values in _numbers(traces, shared):
        finite = {name: v[np.isfinite(v)] for name, v in values.items()}
        distinct = np.unique(np.concatenate([np.empty(0), *finite.values()]))
        if len(distinct) == 0:
            left_out.append(f"{label(column)}: no values")
        elif len(distinct) == 1:
            left_out.append(f"{label(column)}: always {distinct[0]:g}")
        elif any(np.array_equal(values["real"], other, equal_nan=True) for other in drawn):
            left_out.append(f"{label(column)}: the same as a column above")
        elif len(drawn) == MOST_NUMBERS:
            left_out.append(f"{label(column)}: only the first {MOST_NUMBERS} numbers are drawn")
        else:
            drawn.append(values["real"])
            figures.append(_distribution(column, values))
    for column in shared:
        kind = TraceSchema.canonical()[column]
        if kind.dtype != "str" or column in ("job_id", "raw_status"):
            continue
        labels = {name: jobs.collect([column])[column] for name, jobs in traces.items()}
        if kind.kind == "category":
            figures += _shares(column, labels, left_out)
        elif column in ("user", "group", "task_id"):
            figures += _concentration(column, labels)
    return figures, left_out


def _shared_columns(traces: Traces) -> list[str]:
    tables = list(traces.values())
    return [c for c in tables[0].columns if all(c in table.columns for table in tables[1:])]


def _numbers(traces: Traces, shared: list[str]) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Yield the number columns, then two ratios and products that matter to a scheduler."""
    schema = TraceSchema.canonical()
    for column in shared:
        if schema[column].kind == "number":
            yield column, {name: floats(jobs, column) for name, jobs in traces.items()}
    if {"run_time", "walltime_req"} <= set(shared):
        yield (
            "run / request",
            {
                name: _ratio(floats(jobs, "run_time"), floats(jobs, "walltime_req"))
                for name, jobs in traces.items()
            },
        )
    for size in ("cores_req", "cores_alloc", "nodes_req", "gpus_req"):
        if {"run_time", size} <= set(shared):
            name = size.split("_")[0].rstrip("s") + "-hours"
            yield (
                name,
                {
                    trace: floats(jobs, "run_time") * floats(jobs, size) / 3600
                    for trace, jobs in traces.items()
                },
            )
            return


def floats(jobs: JobTable, column: str) -> Floats:
    """Return a number column as float64, NaN for nulls."""
    values = jobs.collect([column])[column].cast(pl.Float64).fill_null(float("nan"))
    return np.asarray(values.to_numpy(), dtype=np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _distribution(column: str, values: dict[str, Floats]) -> Figure:
    missing = {
        name: float(np.mean(~np.isfinite(v))) if len(v) else 0.0 for name, v in values.items()
    }
    caption = ""
    if max(missing.values()) > 0:
        told = ", ".join(f"{name} {percent(share)}" for name, share in missing.items())
        caption = f"Without a value: {told}."
    return Figure(
        key=f"cdf_{column.replace(' / ', '_per_').replace('-', '_')}",
        section="attributes",
        title=label(column),
        caption=caption,
        chart=cdf_chart(values, label(column), unit(column)),
    )


def cdf_chart(
    values: Mapping[str, Floats], title: str, unit_name: str, share: str = "Share of jobs"
) -> Chart:
    """Draw distributions on the axis that suits them: log where they span a factor 50."""
    everything = np.concatenate([np.empty(0), *values.values()])
    positive = everything[np.isfinite(everything) & (everything > 0)]
    seconds = unit_name == "s"
    low = float(positive.min()) if len(positive) else 1.0
    low = max(low, 1.0) if seconds else low
    high = float(positive.max()) if len(positive) else 0.0
    if high / low >= 50:
        frame = series.cdf(values, log=True, floor=low)
        named = title if seconds or not unit_name else f"{title} ({unit_name})"
        return charts.distribution(
            frame, named, axis="log seconds" if seconds else "log", share=share
        )
    size = 1.0
    if seconds:
        pairs = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "s"))
        size, unit_name = next(p for p in pairs if high >= 2 * p[0] or p[0] == 1.0)
    frame = series.cdf({name: v / size for name, v in values.items()})
    named = f"{title} ({unit_name})" if unit_name else title
    return charts.distribution(frame, named, share=share)


def _shares(column: str, labels: dict[str, pl.Series], left_out: list[str]) -> list[Figure]:
    frame = series.shares(labels)
    names = frame["label"].unique().to_list()
    if len(names) < 2:
        what = f"always {names[0]}" if names else "no values"
        left_out.append(f"{label(column)}: {what}")
        return []
    title = f"{label(column)}: share of jobs"
    caption = "The two bars of a pair should be equally long."
    chart = charts.share_bars(frame, label(column))
    return [Figure(f"shares_{column}", "attributes", title, caption, chart)]


def _concentration(column: str, labels: dict[str, pl.Series]) -> list[Figure]:
    counts = {name: values.drop_nulls().n_unique() for name, values in labels.items()}
    if max(counts.values()) < 2:
        return []
    many = {"user": "users", "group": "groups", "task_id": "tasks"}[column]
    told = ", ".join(f"{name} {count(n)}" for name, n in counts.items())
    chart = charts.distribution(
        series.concentration(labels), f"The k busiest {many}", axis="log", share="Share of jobs"
    )
    caption = f"Share of the jobs that come from the k busiest {many}. In all: {told}."
    title = f"How few {many} send most jobs"
    return [Figure(f"busiest_{column}", "attributes", title, caption, chart)]


def relations(traces: Traces, seed: int = 0) -> list[Figure]:
    """Return the association matrices of the real and the synthetic trace and their difference."""
    if "synthetic" not in traces:
        return []
    columns = modelled_columns(traces["real"]).without("raw_status")
    for jobs in traces.values():
        columns = columns.within(jobs)
    if len(columns) < 2 or min(len(jobs) for jobs in traces.values()) < 2:
        return []
    rng = np.random.default_rng(seed)
    matrices = {}
    for name in ("real", "synthetic"):
        jobs = subsample(traces[name], MOST_ROWS, rng)
        names, matrices[name] = association_matrix(jobs, columns)
    words = [label(name) for name in names]
    figures = []
    for name, matrix in matrices.items():
        figures.append(
            Figure(
                f"association_{name}",
                "relations",
                f"Associations in the {name} trace",
                "Orange: the two rise together, or one tells the other. Blue: one rises as the "
                "other falls.",
                charts.association(_cells(words, matrix), order=words),
            )
        )
    change = matrices["synthetic"] - matrices["real"]
    off = np.abs(change[~np.eye(len(names), dtype=bool)])
    worst = f"Mean difference {number(float(off.mean()))}, largest {number(float(off.max()))}."
    figures.append(
        Figure(
            "association_difference",
            "relations",
            "Difference: synthetic minus real",
            f"White everywhere is best. {worst}",
            charts.association(_cells(words, change), order=words, difference=True),
        )
    )
    return figures


def _cells(names: list[str], matrix: np.ndarray) -> pl.DataFrame:
    rows = [
        (names[i], names[j], round(float(matrix[i, j]), 3))
        for i in range(len(names))
        for j in range(len(names))
    ]
    schema = {"row": pl.String, "column": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
