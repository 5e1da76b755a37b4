"""Charts of small frames; each function gives one Altair chart and reads no file.

Colours, axes and sizes are the same in all of them, so that a reader learns to read one.
"""

import math
from collections.abc import Sequence
from typing import Literal

import altair as alt
import numpy as np
import polars as pl

from gridtwin.report.theme import NARROW, WIDE, Chart, ordered, styled, trace_color, trace_dash

__all__ = [
    "Axis",
    "association",
    "axis_of",
    "distribution",
    "hours_of_week",
    "load_curve",
    "over_time",
    "ratios",
    "share_bars",
]

Axis = Literal["linear", "log", "log seconds"]

_TIMES = {
    1: "1 s",
    10: "10 s",
    60: "1 min",
    600: "10 min",
    3600: "1 h",
    21600: "6 h",
    86400: "1 d",
    604800: "1 wk",
    2592000: "30 d",
    31536000: "1 yr",
    315360000: "10 yr",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def distribution(
    frame: pl.DataFrame, title: str, *, axis: Axis = "linear", share: str = "Share of jobs"
) -> Chart:
    """Draw cumulative distributions.

    Parameters
    ----------
    frame
        ``x``, ``share`` (0 to 1), ``trace``, as `series.cdf` gives them; for "log seconds" `x`
        is in seconds, and the axis is labelled in minutes, hours and days.
    title
        Of the horizontal axis, with the unit.
    share
        Title of the vertical axis.
    """
    names = frame["trace"].to_list()
    several = len(set(names)) > 1
    kind: Literal["linear", "log"] = "linear" if axis == "linear" else "log"
    ends = np.array([frame["x"].min(), frame["x"].max()], dtype=np.float64)
    if ends[0] == ends[1]:  # an axis needs a width
        ends += (-0.5, 0.5)
    chart = (
        alt.Chart(frame)
        .mark_line(interpolate="step-after", strokeWidth=2.2, clip=True)
        .encode(
            x=alt.X(
                "x:Q",
                title=title,
                scale=alt.Scale(type=kind, domain=ends.tolist(), nice=False, zero=False),
                axis=axis_of(axis, *ends.tolist()),
            ),
            y=alt.Y(
                "share:Q",
                title=share,
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            color=trace_color(names, legend=several),
            strokeDash=trace_dash(names, legend=several),
        )
        .properties(width=NARROW, height=190)
    )
    return styled(chart)


def axis_of(axis: Axis, low: float, high: float) -> alt.Axis:
    """Return an axis that names times as people do and writes 1500 as 1.5k."""
    if axis == "log seconds":
        names = ", ".join(f"'{seconds}': '{text}'" for seconds, text in _TIMES.items())
        expression = f"{{{names}}}[datum.value]"
        return alt.Axis(values=list(_TIMES), labelExpr=expression, grid=False, labelOverlap=True)
    expression = "abs(datum.value) < 1 ? format(datum.value, '~g') : format(datum.value, '~s')"
    if axis == "linear":
        return alt.Axis(labelExpr=expression, tickCount=5, grid=False, labelOverlap=True)
    ticks = _log_ticks(low, high)
    return alt.Axis(labelExpr=expression, values=ticks, grid=False, labelOverlap=True)


def _log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten between two positive numbers; below three of them 2 and 5 too."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def share_bars(frame: pl.DataFrame, title: str) -> Chart:
    """Draw how often each label occurs, one bar a trace.

    `frame` has ``label``, ``share`` (0 to 1), ``trace`` and ``order``, as `series.shares` gives
    them; long labels are cut in the picture.
    """
    names = frame["trace"].to_list()
    order = frame.sort("order")["label"].unique(maintain_order=True).to_list()
    chart = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("label:N", title=title, sort=order, axis=alt.Axis(labelLimit=110)),
            yOffset=alt.YOffset("trace:N", sort=ordered(names)),
            x=alt.X("share:Q", title="Share of jobs", axis=alt.Axis(format="%", tickCount=5)),
            color=trace_color(names, symbol="square"),
        )
        .properties(width=NARROW - 60, height=alt.Step(9 if len(order) > 6 else 12))
    )
    return styled(chart)


def association(frame: pl.DataFrame, *, order: Sequence[str], difference: bool = False) -> Chart:
    """Draw a matrix of associations between columns.

    Parameters
    ----------
    frame
        ``row``, ``column``, ``value`` (-1 to 1; null is left blank).
    order
        The columns, in order.
    difference
        Whether the values are differences, synthetic minus real; only the legend changes.
    """
    cell = min(34.0, NARROW / max(1, len(order)))
    base = alt.Chart(frame).encode(
        x=alt.X("column:N", title=None, sort=list(order), axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", title=None, sort=list(order)),
    )
    color = alt.Color(
        "value:Q",
        scale=alt.Scale(scheme="blueorange", domain=[-1, 0, 1]),
        legend=alt.Legend(
            title="synthetic - real" if difference else "association",
            orient="top",
            gradientLength=140,
            gradientThickness=8,
            titleFontWeight="normal",
            values=[-1, 0, 1],
        ),
    )
    layers = [base.mark_rect(stroke="white", strokeWidth=1).encode(color=color)]
    if len(order) <= 12:
        text = base.transform_filter("isValid(datum.value)").mark_text(fontSize=9)
        strong = alt.condition("abs(datum.value) > 0.75", alt.value("white"), alt.value("#333"))
        layers.append(text.encode(text=alt.Text("value:Q", format=".1f"), color=strong))
    side = cell * len(order)
    return styled(alt.layer(*layers).properties(width=side, height=side))


def hours_of_week(frame: pl.DataFrame) -> Chart:
    """Draw arrivals by hour of the week: ``hour`` (0 = Monday 00:00), ``jobs``, ``trace``."""
    names = frame["trace"].to_list()
    several = len(set(names)) > 1
    expression = f"{list(_DAYS)!r}[floor(datum.value / 24)]"
    chart = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X(
                "hour:Q",
                title="Hour of the week (UTC); each day begins at its line",
                scale=alt.Scale(domain=[0, 168], nice=False),
                axis=alt.Axis(
                    values=list(range(0, 168, 24)), labelExpr=expression, labelAlign="left"
                ),
            ),
            y=alt.Y("jobs:Q", title="Jobs per hour (mean)", axis=alt.Axis(tickCount=5)),
            color=trace_color(names, legend=several),
            strokeDash=trace_dash(names, legend=several),
        )
        .properties(width=WIDE, height=200)
    )
    return styled(chart)


def over_time(frame: pl.DataFrame, title: str, *, percent: bool = False) -> Chart:
    """Draw a quantity over time, one panel a trace, all on the same axes.

    Parameters
    ----------
    frame
        ``day`` (days since the first job), ``value`` (holds until the next row), ``trace``.
    title
        Of the vertical axis, with the unit.
    percent
        Whether the values are shares, 0 to 1, to be written in per cent.
    """
    names = frame["trace"].to_list()
    written = "format(datum.value, '.0%')" if percent else "format(datum.value, '~s')"
    axis = alt.Axis(tickCount=4, labelExpr=written)
    scale = alt.Scale(domain=[0, 1]) if percent else alt.Scale(nice=True)
    header = alt.Header(labelAngle=0, labelOrient="top", labelAnchor="start", labelPadding=2)
    chart = (
        alt.Chart(frame)
        .mark_area(interpolate="step-after", line={"strokeWidth": 1}, opacity=0.85, clip=True)
        .encode(
            x=alt.X(
                "day:Q",
                title="Days since the first job",
                scale=alt.Scale(nice=False, zero=False),
                axis=alt.Axis(grid=False),
            ),
            y=alt.Y("value:Q", title=title, axis=axis, scale=scale, stack=None),
            color=trace_color(names, legend=False),
            row=alt.Row("trace:N", sort=ordered(names), header=header, spacing=8),
        )
        .properties(width=WIDE, height=110)
    )
    return styled(chart)


def ratios(frame: pl.DataFrame, samples: pl.DataFrame) -> Chart:
    """Draw how figures of the trace compare with the real one's: 1 is equal, the axis is log.

    Parameters
    ----------
    frame
        ``figure`` (what is compared), ``order``, ``trace`` ("synthetic" or "real weeks"), and the
        ratios to the real trace ``low``, ``mid``, ``high`` (5 %, median, 95 % over samples;
        `low` and `high` may be null).
    samples
        ``figure``, ``trace``, ``mid``: the ratio of each single sample; may be empty.
    """
    names = frame["trace"].to_list()
    order = frame.sort("order")["figure"].unique(maintain_order=True).to_list()
    ends = pl.concat([frame["low"], frame["mid"], frame["high"], samples["mid"]]).drop_nulls()
    low, high = np.quantile(ends.to_numpy(), [0.0, 1.0])
    domain = [min(0.5, low) / 1.1, max(2.0, high) * 1.1]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    base = alt.Chart(frame).encode(
        y=alt.Y("figure:N", title=None, sort=order, axis=alt.Axis(domain=False, ticks=False)),
        yOffset=alt.YOffset("trace:N", sort=ordered(names)),
        color=trace_color(names, symbol="circle"),
    )
    axis = alt.Axis(format="~g", tickCount=6, labelOverlap=True)
    mid = alt.X("mid:Q", title="Ratio to the real trace (1 = equal)", scale=scale, axis=axis)
    layers = [
        alt.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(color="#333").encode(x="one:Q"),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=5, opacity=0.4)
        .encode(x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.properties(data=samples).mark_point(filled=True, size=12, opacity=0.5).encode(x=mid),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=mid),
    ]
    return styled(alt.layer(*layers).properties(width=NARROW + 40, height=alt.Step(15)))


def load_curve(frame: pl.DataFrame, *, waits: bool) -> Chart:
    """Draw a figure of the queue against the offered load, one panel a policy, on log axes.

    Parameters
    ----------
    frame
        ``policy``, ``load``, ``trace`` ("real", "real weeks", "synthetic"), and the figure's
        ``mid``, ``low``, ``high`` (median, 5 %, 95 %; null is not drawn).
    waits
        Whether the figure is a wait in s, or else a slowdown.
    """
    names = frame["trace"].to_list()
    aside = {
        name: 1 + 0.012 * place
        for place, name in enumerate(("real weeks", "real", "synthetic"), -1)
    }
    # bars side by side: the traces' loads are the real one's
    frame = frame.with_columns(at=pl.col("load") * pl.col("trace").replace_strict(aside))
    ends = pl.concat([frame[name] for name in ("mid", "low", "high")]).drop_nulls()
    low, high = float(ends.min()) / 1.15, float(ends.max()) * 1.15  # type: ignore[arg-type]
    loads = sorted({round(load, 2) for load in frame["load"].to_list()})
    across = alt.Scale(type="log", domain=[loads[0] * 0.96, loads[-1] * 1.04], nice=False)
    x = alt.X(
        "at:Q",
        title="Offered load of the real trace",
        scale=across,
        axis=alt.Axis(values=loads, format=".2f", grid=False),
    )
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    title = "Mean wait" if waits else "Mean bounded slowdown"
    axis = axis_of("log seconds" if waits else "log", low, high)
    base = alt.Chart(frame).encode(x=x, color=trace_color(names))
    y = alt.Y("mid:Q", title=title, scale=scale, axis=axis)
    lines = base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=trace_dash(names))
    bars = (
        base.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=4, opacity=0.45)
        .encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    )
    dots = base.mark_point(filled=True, size=50, opacity=1).encode(y=y)
    panels = alt.layer(bars, lines, dots).properties(width=260, height=220)
    header = alt.Header(labelAngle=0, labelOrient="top", labelPadding=2)
    order = [name for name in ("FCFS", "EASY") if name in set(frame["policy"])]
    return styled(
        panels.facet(column=alt.Column("policy:N", sort=order, header=header), spacing=24)
    )
