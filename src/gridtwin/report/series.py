"""Small frames to draw: what a chart shows, as numbers.

Every function takes arrays or frames of any length and gives back at most about a thousand rows,
so that a report of a million jobs is as small as one of a thousand.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace import arrivals

__all__ = [
    "Floats",
    "cdf",
    "concentration",
    "counts_over_time",
    "hour_of_week",
    "shares",
    "step_bins",
    "total_timeline",
]

Floats = NDArray[np.float64]
DAY = 86400.0
_BINS = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "30 days": 30.0,
    "year": 365.0,
    "50 years": 18250.0,
}
POINTS = 300
"""Points of one line of a CDF, at most."""


def cdf(
    traces: Mapping[str, Floats], *, log: bool = False, floor: float | None = None
) -> pl.DataFrame:
    """Return the empirical distribution of each trace on one common range.

    Parameters
    ----------
    traces
        Values by name of the trace; NaN and infinities are left out.
    log
        Whether the axis is logarithmic: the lines then begin at `floor` (the smallest positive
        value where None) with the share of values at or below it, zeros included.

    Returns
    -------
    frame
        ``x``, ``share`` (of values <= x, 0 to 1), ``trace``; at most about 300 rows a trace.
    """
    clean = {name: np.asarray(v, float)[np.isfinite(v)] for name, v in traces.items()}
    everything = np.concatenate([np.empty(0), *clean.values()])
    rows: list[pl.DataFrame] = []
    if log:
        everything = everything[everything > 0]
    if len(everything):
        low = float(everything.min()) if floor is None or not log else floor
        high = max(float(everything.max()), low)
        for name, values in clean.items():
            if len(values):
                x, share = _steps(np.sort(values), low, high, log)
                rows.append(pl.DataFrame({"x": x, "share": share, "trace": [name] * len(x)}))
    return pl.concat(rows) if rows else _empty(x=pl.Float64, share=pl.Float64, trace=pl.String)


def _steps(values: Floats, low: float, high: float, log: bool) -> tuple[Floats, Floats]:
    """Return the corners of one step function between `low` and `high`; `values` are sorted."""
    unique, counts = np.unique(values, return_counts=True)
    share = np.cumsum(counts) / len(values)
    inside = (unique > low) & (unique <= high)
    unique, share_in = unique[inside], share[inside]
    if len(unique) > POINTS:
        by_share = np.searchsorted(share_in, np.linspace(0, 1, 2 * POINTS // 3))
        grid = np.geomspace if log else np.linspace
        by_value = np.searchsorted(unique, grid(low, high, POINTS // 3))
        pick = np.unique(np.minimum(np.concatenate([by_share, by_value]), len(unique) - 1))
        unique, share_in = unique[pick], share_in[pick]
    first = float(np.searchsorted(values, low, side="right")) / len(values)
    x = np.concatenate([[low], unique, [high]])
    return x, np.concatenate([[first], share_in, [1.0]])


def shares(traces: Mapping[str, pl.Series], top: int = 12) -> pl.DataFrame:
    """Return how often each label occurs: the `top` ones of the first trace, and all others.

    Returns
    -------
    frame
        ``label``, ``share`` (0 to 1), ``trace``, ``order`` (0 = most frequent in the first
        trace); a missing label is "(none)", the rest "other".
    """
    named = {k: v.cast(pl.String).fill_null("(none)").alias("label") for k, v in traces.items()}
    counts = {name: v.value_counts(sort=True, name="count") for name, v in named.items()}
    ranked: list[str] = []
    for frame in counts.values():
        ordered = frame.sort(["count", "label"], descending=[True, False])
        ranked += [x for x in ordered["label"].head(top).to_list() if x not in ranked]
    kept = ranked[:top]
    rows = []
    for name, frame in counts.items():
        total = max(1, int(frame["count"].sum()))
        known = dict(zip(frame["label"].to_list(), frame["count"].to_list(), strict=True))
        rest = total - sum(known.get(x, 0) for x in kept) if known else 0
        rows += [(x, known.get(x, 0) / total, name, i) for i, x in enumerate(kept)]
        rows.append(("other", rest / total, name, len(kept)))
    schema = {"label": pl.String, "share": pl.Float64, "trace": pl.String, "order": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    used = frame.group_by("label").agg(pl.col("share").max()).filter(pl.col("share") > 0)
    return frame.filter(pl.col("label").is_in(used["label"].to_list()))


def concentration(traces: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Return the share of jobs that the k most frequent labels send, for each trace.

    Returns
    -------
    frame
        ``x`` (k, from 1), ``share`` (0 to 1), ``trace``; missing labels are left out.
    """
    rows = []
    for name, labels in traces.items():
        counts = labels.drop_nulls().value_counts()["count"].sort(descending=True).to_numpy()
        if len(counts) == 0:
            continue
        share = np.cumsum(counts) / counts.sum()
        pick = np.unique(np.geomspace(1, len(counts), POINTS // 2).round().astype(int)) - 1
        rows.append(pl.DataFrame({"x": pick + 1.0, "share": share[pick], "trace": name}))
    return pl.concat(rows) if rows else _empty(x=pl.Float64, share=pl.Float64, trace=pl.String)


def hour_of_week(traces: Mapping[str, Floats]) -> pl.DataFrame:
    """Return the mean number of arrivals in each hour of the week (UTC; 0 = Monday 00:00).

    Returns
    -------
    frame
        ``hour`` (0 to 167), ``jobs`` (a mean per hour), ``trace``; hours of the week that the
        span of a trace does not hold are left out.
    """
    rows = []
    for name, times in traces.items():
        hour, jobs = arrivals.hour_of_week(times[np.isfinite(times)])
        if len(hour):
            rows.append(pl.DataFrame({"hour": hour, "jobs": jobs, "trace": name}))
    return pl.concat(rows) if rows else _empty(hour=pl.Int64, jobs=pl.Float64, trace=pl.String)


def counts_over_time(traces: Mapping[str, Floats]) -> tuple[pl.DataFrame, str]:
    """Return arrivals per day (hour, week…) from each trace's own first job on.

    Returns
    -------
    frame
        ``start``, ``end`` (days since the first job), ``jobs`` (in that bin), ``trace``; at most
        400 bins a trace. The last bin may be cut short by the end of the trace.
    unit
        What a bin spans: the shortest of minute, hour, day, week, 30 days, year, 50 years.
    """
    since = {}
    for name, times in traces.items():
        finite = times[np.isfinite(times)]
        if len(finite):
            since[name] = (finite - finite.min()) / DAY
    longest = max((float(days.max()) for days in since.values()), default=0.0)
    units = {name: days for name, days in _BINS.items() if longest / days <= 400}
    unit = next(iter(units), "50 years")
    width = max(_BINS[unit], longest / 400)
    rows = [_empty(start=pl.Float64, end=pl.Float64, jobs=pl.Float64, trace=pl.String)]
    for name, days in since.items():
        jobs = np.bincount((days // width).astype(int)).astype(float)
        start = np.arange(len(jobs)) * width
        columns = {"start": start, "end": start + width, "jobs": jobs}
        rows.append(pl.DataFrame(columns).with_columns(trace=pl.lit(name)))
    return pl.concat(rows), unit


def total_timeline(timeline: pl.DataFrame) -> pl.DataFrame:
    """Return the sum over sites of a timeline whose rows are each one site's change.

    Returns
    -------
    frame
        ``time``, ``queued``, ``busy_cores``: the state of all sites from each time on.
    """
    wanted = ["queued", "busy_cores"]
    steps = timeline.select("time", "site", *wanted).drop_nulls("time")
    steps = steps.sort("time", maintain_order=True)
    change = [(pl.col(c) - pl.col(c).shift(1, fill_value=0)).over("site") for c in wanted]
    return (
        steps.with_columns(pl.col(wanted).cast(pl.Float64))
        .with_columns(change)
        .group_by("time", maintain_order=True)
        .agg(pl.col(wanted).sum())
        .with_columns(pl.col(wanted).cum_sum())
    )


def step_bins(time: Floats, value: Floats, bins: int = 400) -> pl.DataFrame:
    """Return mean and maximum of a step function in equal bins from its first to its last change.

    Parameters
    ----------
    time
        Instants of change, s, in order.
    value
        What holds from each instant to the next.

    Returns
    -------
    frame
        ``start``, ``end`` (s), ``mean`` (weighted by time), ``max``.
    """
    if len(time) < 2 or time[-1] <= time[0]:
        return _empty(start=pl.Float64, end=pl.Float64, mean=pl.Float64, max=pl.Float64)
    edges = np.linspace(time[0], time[-1], bins + 1)
    area = np.concatenate([[0.0], np.cumsum(value[:-1] * np.diff(time))])
    mean = np.diff(np.interp(edges, time, area)) / np.diff(edges)
    held = np.searchsorted(time, edges[:-1], side="right") - 1
    highest = value[held].astype(float)
    bin_of = np.clip(np.searchsorted(edges, time[:-1], side="right") - 1, 0, bins - 1)
    np.maximum.at(highest, bin_of, value[:-1])
    return pl.DataFrame({"start": edges[:-1], "end": edges[1:], "mean": mean, "max": highest})


def _empty(**columns: type[pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(schema=columns)
