"""Charts of studies and simulations: differences with intervals, bands over time, Gantt."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from gridtwin.report.theme import NARROW, WIDE, Chart, styled

__all__ = [
    "PALETTE",
    "bands",
    "differences",
    "drift",
    "gantt",
    "ratio_panels",
    "shares_of_variance",
]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
"""Of Okabe and Ito (2008), told apart with any colour vision."""
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 1], [1, 3], [10, 4])
_JUDGED = {
    "better": "#009E73",
    "worse": "#D55E00",
    "other": "#0072B2",
    "model": "#0072B2",
    "by chance": "#999999",
    "real weeks": "#999999",
}


def differences(frame: pl.DataFrame, panels: Sequence[tuple[str, str]]) -> Chart:
    """Draw how far scenarios are from the base, one panel a metric.

    Parameters
    ----------
    frame
        ``metric``, ``scenario`` (label), ``change``, ``low``, ``high`` (null: not known), in the
        panel's unit, ``judged``: better, worse, other or "by chance".
    panels
        Metric and title of each panel, in order.
    """
    axis = alt.Axis(tickCount=4, labelOverlap=True)
    drawn = [(metric, title, alt.Scale()) for metric, title in panels]
    return _side_by_side(frame, drawn, zero=0.0, axis=axis)


def ratio_panels(frame: pl.DataFrame, panels: Sequence[tuple[str, str]]) -> Chart:
    """Draw ratios to the real trace, one panel a metric, on log axes around 1.

    Parameters
    ----------
    frame
        As of `differences`; ``change``, ``low`` and ``high`` are ratios above 0, and ``judged`` is
        model or "real weeks".
    panels
        Metric and title of each panel, in order.
    """
    drawn = []
    for metric, title in panels:
        mine = frame.filter(pl.col("metric") == metric)
        ends = pl.concat([mine[name] for name in ("change", "low", "high")]).drop_nulls().to_list()
        domain = [min(0.5, *ends) / 1.1, max(2.0, *ends) * 1.1]
        drawn.append((metric, title, alt.Scale(type="log", domain=domain, nice=False)))
    axis = alt.Axis(tickCount=4, labelOverlap=True, format="~g")
    return _side_by_side(frame, drawn, zero=1.0, axis=axis)


def _side_by_side(
    frame: pl.DataFrame,
    panels: Sequence[tuple[str, str, alt.Scale]],
    *,
    zero: float,
    axis: alt.Axis,
) -> Chart:
    """Draw dots with intervals beside a line at `zero`, one panel a metric, one row a scenario."""
    order = frame["scenario"].unique(maintain_order=True).to_list()
    present = [name for name in _JUDGED if name in set(frame["judged"])]
    color = alt.Color(
        "judged:N",
        scale=alt.Scale(domain=present, range=[_JUDGED[name] for name in present]),
        legend=alt.Legend(
            title=None, orient="top", symbolType="circle", symbolOpacity=1, symbolSize=60
        ),
    )
    drawn = []
    for k, (metric, title, scale) in enumerate(panels):
        names = alt.Axis(domain=False, ticks=False, labels=k == 0, labelLimit=260, grid=False)
        rows = alt.Scale(domain=order)  # the same in each panel, whoever is missing there
        y = alt.Y("scenario:N", title=None, scale=rows, axis=names)
        mine = frame.filter(pl.col("metric") == metric)
        line = alt.Chart(pl.DataFrame({"zero": [zero]})).mark_rule(color="#333")
        bars = (
            alt.Chart(mine.drop_nulls("low"))
            .mark_rule(strokeWidth=4, opacity=0.45)
            .encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q", y=y, color=color)
        )
        dots = alt.Chart(mine).mark_point(filled=True, size=55, opacity=1)
        dots = dots.encode(
            x=alt.X("change:Q", title=title, scale=scale, axis=axis), y=y, color=color
        )
        width = (WIDE - 220) // len(panels) - 20
        marked = line.encode(x=alt.X("zero:Q", scale=scale))
        drawn.append(
            alt.layer(marked, bars, dots).properties(width=max(width, 150), height=alt.Step(19))
        )
    return styled(alt.hconcat(*drawn, spacing=20))


def bands(
    frame: pl.DataFrame, title: str, *, order: Sequence[str], panels: Sequence[str] = ("",)
) -> Chart:
    """Draw lines over time with bands, one panel a circumstance, one colour a choice.

    Parameters
    ----------
    frame
        ``day``, ``mid``, ``low``, ``high`` (both null: no band), ``line``, ``panel``.
    title
        Of the vertical axis, with the unit.
    order
        The lines in order; one alone has no legend.
    panels
        The panels in order; one alone has no heading.
    """
    several = len(order) > 1
    colors = [PALETTE[k % len(PALETTE)] for k in range(len(order))]
    dashes = [_DASHES[k % len(_DASHES)] for k in range(len(order))]
    guide = alt.Legend(
        title=None, orient="top", symbolType="stroke", symbolOpacity=1, labelLimit=300
    )
    color = alt.Color(
        "line:N",
        scale=alt.Scale(domain=list(order), range=colors),
        legend=guide if several else None,
    )
    dash = alt.StrokeDash(
        "line:N",
        scale=alt.Scale(domain=list(order), range=dashes),
        legend=guide if several else None,
    )
    x = alt.X(
        "day:Q",
        title="Days",
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(grid=False, tickCount=10),
    )
    axis = alt.Axis(tickCount=4, labelExpr="format(datum.value, '~s')")
    base = alt.Chart(frame).encode(x=x)
    area = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.18)
        .encode(y=alt.Y("low:Q", title=title), y2="high:Q", color=color)
    )
    line = base.mark_line(strokeWidth=1.6, clip=True).encode(
        y=alt.Y("mid:Q", title=title, axis=axis), color=color, strokeDash=dash
    )
    height = 200 if len(panels) == 1 else 130
    layered = alt.layer(area, line).properties(width=WIDE, height=height)
    if len(panels) == 1:
        return styled(layered)
    header = alt.Header(labelAngle=0, labelOrient="top", labelAnchor="start", labelPadding=2)
    row = alt.Row("panel:N", sort=list(panels), header=header)
    return styled(layered.facet(row=row, spacing=10))


def shares_of_variance(frame: pl.DataFrame, order: Sequence[str]) -> Chart:
    """Draw which part of each metric's variance an axis explains.

    Parameters
    ----------
    frame
        ``metric`` (in words), ``axis``, ``share`` (0 to 1).
    order
        The axes in order; "seed" and "together" are grey.
    """
    metrics = frame["metric"].unique(maintain_order=True).to_list()
    grey = {"seed": "#999999", "together": "#D9D9D9"}
    colors = [grey.get(axis, PALETTE[k % len(PALETTE)]) for k, axis in enumerate(order)]
    places = {axis: k for k, axis in enumerate(order)}
    frame = frame.with_columns(place=pl.col("axis").replace_strict(places))
    chart = (
        alt.Chart(frame)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "share:Q",
                title="Share of the variance over all runs",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%", tickCount=5),
                stack="zero",
            ),
            y=alt.Y(
                "metric:N",
                title=None,
                sort=metrics,
                axis=alt.Axis(domain=False, ticks=False, labelLimit=260),
            ),
            color=alt.Color(
                "axis:N",
                scale=alt.Scale(domain=list(order), range=colors),
                legend=alt.Legend(title=None, orient="top", symbolType="square"),
            ),
            order=alt.Order("place:O"),
        )
        .properties(width=WIDE - 240, height=alt.Step(20))
    )
    return styled(chart)


def drift(frame: pl.DataFrame) -> Chart:
    """Draw figures of each window of a feedback, one small panel a figure.

    `frame` has ``window``, ``figure``, ``mid``, ``low``, ``high`` over the seeds.
    """
    base = alt.Chart(frame).encode(
        x=alt.X("window:Q", title="Window", axis=alt.Axis(tickMinStep=1))
    )
    y = alt.Y("mid:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=4))
    line = base.mark_line(point=True, color=PALETTE[0]).encode(y=y)
    area = base.mark_area(opacity=0.18, color=PALETTE[0]).encode(
        y=alt.Y("low:Q", title=None), y2="high:Q"
    )
    panels = alt.layer(area, line).properties(width=NARROW - 60, height=120)
    header = alt.Header(labelOrient="top", labelAnchor="start")
    facet = alt.Facet(
        "figure:N", header=header, sort=frame["figure"].unique(maintain_order=True).to_list()
    )
    return styled(panels.facet(facet=facet, columns=3).resolve_scale(y="independent"))


def gantt(frame: pl.DataFrame, order: Sequence[str], *, unit: str) -> Chart:
    """Draw each job's wait (thin) and run (thick, as thick in all), the first submitted on top.

    Parameters
    ----------
    frame
        ``row`` (0 on top), ``submit``, ``start``, ``end`` in `unit` since the first one, ``kind``.
    order
        The kinds in order of their colours.
    """
    colors = [PALETTE[k % len(PALETTE)] for k in range(len(order))]
    scale = alt.Scale(domain=list(order), range=colors)
    step = max(3.0, min(12.0, 620 / max(frame.height, 1)))
    y = alt.Y("row:O", title="Jobs, by submission", axis=alt.Axis(labels=False, ticks=False))
    title = f"Time since the first submission drawn ({unit})"
    x = alt.Scale(nice=False, zero=False)
    waits = (
        alt.Chart(frame)
        .mark_rule(color="#999", strokeWidth=1)
        .encode(x=alt.X("submit:Q", title=title, scale=x), x2="start:Q", y=y)
    )
    runs = (
        alt.Chart(frame)
        .mark_bar(height=step * 0.75)
        .encode(
            x=alt.X("start:Q", title=title, scale=x),
            x2="end:Q",
            y=y,
            stroke=alt.Stroke("kind:N", scale=scale, legend=None),  # the shortest show too
            color=alt.Color(
                "kind:N",
                scale=scale,
                legend=alt.Legend(title=None, orient="top", symbolType="square", labelLimit=200),
            ),
        )
    )
    return styled(alt.layer(waits, runs).properties(width=WIDE, height=alt.Step(step)))
