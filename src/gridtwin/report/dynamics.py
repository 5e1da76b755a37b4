"""Charts of what happens over time: arrivals, and the queues of the simulated traces."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gridtwin.report import charts, series
from gridtwin.report.figures import Figure, Traces, cdf_chart, floats
from gridtwin.report.numbers import duration, number, percent
from gridtwin.report.series import Floats
from gridtwin.report.verdict import SHORT, weeks_range
from gridtwin.trace.derive import bounded_slowdown

if TYPE_CHECKING:
    from gridtwin.metrics import Row
    from gridtwin.sim import Result

__all__ = ["arrivals", "fidelity", "queues"]

DAY = 86400.0


def arrivals(traces: Traces) -> list[Figure]:
    """Return charts of the submit times; none if a trace has no such column."""
    if any("submit_time" not in jobs for jobs in traces.values()):
        return []
    times = {name: floats(jobs, "submit_time") for name, jobs in traces.items()}
    if all(not np.isfinite(t).any() for t in times.values()):
        return []
    daily, per = series.counts_over_time(times)
    daily = pl.concat([daily.rename({"start": "day", "jobs": "value"}).drop("end"), _ends(daily)])
    gaps = {name: np.diff(np.sort(t[np.isfinite(t)])) for name, t in times.items()}
    figures = [
        Figure(
            "arrivals_hour_of_week",
            "arrivals",
            "Arrivals by hour of the week",
            "Working hours and weekends should show at the same height in both lines.",
            charts.hours_of_week(series.hour_of_week(times)),
            size="wide",
        ),
        Figure(
            "arrivals_over_time",
            "arrivals",
            f"Arrivals per {per} over the whole span",
            "Look for the same unrest: busy and idle stretches of like height and length. The "
            "dates of the peaks need not agree. The last bar may be cut short.",
            charts.over_time(daily, f"Jobs per {per}"),
            size="wide",
        ),
    ]
    if any(len(gap) for gap in gaps.values()):
        chart = cdf_chart(gaps, "Time to the next job", "s", "Share of gaps")
        caption = "The left end shows bursts: jobs submitted within the same second."
        figures.append(
            Figure("cdf_interarrival", "arrivals", "Time between two arrivals", caption, chart)
        )
    return figures


def _ends(daily: pl.DataFrame) -> pl.DataFrame:
    """Return the closing corner of each trace's steps."""
    last = daily.group_by("trace", maintain_order=True).last()
    return last.select(day="end", value=pl.lit(0.0), trace="trace").select("day", "value", "trace")


def queues(simulations: "Mapping[str, Result]") -> list[Figure]:
    """Return charts of the simulated traces: queue, use, wait and bounded slowdown."""
    waits: dict[str, Floats] = {}
    slowdowns: dict[str, Floats] = {}
    queue: list[pl.DataFrame] = []
    busy: list[pl.DataFrame] = []
    for name, result in simulations.items():
        wait, run = floats(result.jobs, "wait_time"), floats(result.jobs, "run_time")
        waits[name], slowdowns[name] = wait, bounded_slowdown(wait, run)
        total = series.total_timeline(result.timeline)
        time = total["time"].to_numpy()
        queued = series.step_bins(time, total["queued"].to_numpy())
        used = series.step_bins(time, total["busy_cores"].to_numpy() / max(1, result.cores))
        queue.append(_days(queued, "max", name))
        busy.append(_days(used, "mean", name))
    figures = []
    if (frame := pl.concat(queue) if queue else None) is not None and frame.height:
        figures.append(
            Figure(
                "queue_over_time",
                "queues",
                "Jobs waiting in the simulated queue",
                "Highest number in each interval. A good synthetic trace builds queues of like "
                "height and length, at other dates.",
                charts.over_time(frame, "Jobs waiting"),
                size="wide",
            )
        )
        used_frame = pl.concat(busy)
        figures.append(
            Figure(
                "utilisation_over_time",
                "queues",
                "Use of the simulated machine",
                f"Share of the machine in use, mean of each interval. {_means(used_frame)}",
                charts.over_time(used_frame, "In use", percent=True),
                size="wide",
            )
        )
    return figures + _waits(waits, slowdowns)


def _days(bins: pl.DataFrame, column: str, trace: str) -> pl.DataFrame:
    """Return a binned step function as ``day`` since its beginning, ``value`` and ``trace``."""
    if bins.height == 0:
        return pl.DataFrame(schema={"day": pl.Float64, "value": pl.Float64, "trace": pl.String})
    start, end = bins["start"].to_numpy(), bins["end"].to_numpy()
    day = (np.append(start, end[-1]) - start[0]) / DAY
    value = np.append(bins[column].to_numpy(), 0.0)
    return pl.DataFrame({"day": day, "value": value}).with_columns(trace=pl.lit(trace))


def _means(frame: pl.DataFrame) -> str:
    """Return the mean over equal intervals of each trace, in words."""
    inner = frame.group_by("trace", maintain_order=True).agg(
        pl.col("value").slice(0, pl.len() - 1).mean()
    )
    told = [f"{name} {percent(value)}" for name, value in inner.iter_rows()]
    return f"Mean: {', '.join(told)}."


def _waits(waits: Mapping[str, Floats], slowdowns: Mapping[str, Floats]) -> list[Figure]:
    if not any(np.isfinite(values).any() for values in waits.values()):
        return []
    mean_wait = [f"{k} {duration(_mean(v))}" for k, v in waits.items()]
    mean_slow = [f"{k} {number(_mean(v))}" for k, v in slowdowns.items()]
    return [
        Figure(
            "cdf_wait",
            "queues",
            "Simulated wait",
            f"Where a line begins at the left edge, so many jobs wait for at most 1 s. Mean: "
            f"{', '.join(mean_wait)}.",
            cdf_chart(waits, "Simulated wait", "s"),
        ),
        Figure(
            "cdf_slowdown",
            "queues",
            "Simulated bounded slowdown",
            f"(wait + run) / run, with runs under 10 s counted as 10 s; 1 = no wait. Mean: "
            f"{', '.join(mean_slow)}.",
            cdf_chart(slowdowns, "Bounded slowdown", ""),
        ),
    ]


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def fidelity(rows: "Sequence[Row]") -> list[Figure]:
    """Return the chart of all ratios of synthetic to real, beside resampled real weeks."""
    found = [row for row in rows if row.goal == "one" and row.synthetic]
    found = [row for row in found if row.detail.get("size", 1) == 1]  # others have their own chart
    found.sort(key=lambda row: (row.group != "scheduling", row.metric != "load", row.metric))
    cells: list[tuple[str, int, str, float | None, float | None, float | None]] = []
    dots: list[tuple[str, str, float]] = []
    for place, row in enumerate(found):
        name = SHORT.get(row.metric, row.metric)
        low, high = row.spread or (None, None)
        cells.append((name, place, "synthetic", row.synthetic, low, high))
        dots += [(name, "synthetic", value) for value in row.detail.get("values", ()) if value > 0]
        if row.weeks:
            low, high = weeks_range(row) or (None, None)
            cells.append((name, place, "real weeks", row.weeks, low, high))
    if not cells:
        return []
    text = {"figure": pl.String, "trace": pl.String}
    numbers = {"mid": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    schema = {"figure": pl.String, "order": pl.Int64, "trace": pl.String, **numbers}
    frame = pl.DataFrame(cells, schema=schema, orient="row")
    frame = frame.with_columns(pl.when(pl.col(c) > 0).then(pl.col(c)) for c in numbers)
    samples = pl.DataFrame(dots, schema={**text, "mid": pl.Float64}, orient="row")
    caption = (
        "Large dots: median over the samples; bars: 5 % to 95 %; small dots: single samples. "
        "Queues are heavy-tailed: real weeks put together anew already differ this much from the "
        "real trace. A good model's bar lies within or near that of the real weeks."
    )
    title = "Synthetic over real, beside resampled real weeks"
    chart = charts.ratios(frame, samples)
    return [Figure("fidelity", "queues", title, caption, chart, size="medium")]
