"""The charts of the pages: Altair's, drawn in the browser; colours are variables of the page."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt

from gridtwin.web.shapes import Timeline

__all__ = ["bundle", "compared", "live"]

_INK = {"labelColor": "var(--axis)", "titleColor": "var(--axis)", "titleFontWeight": "normal"}
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, 'Liberation Sans', Helvetica, Arial, sans-serif",
    "aria": False,
    "padding": 4,
    "view": {"stroke": None},
    "axis": _INK
    | {"gridColor": "var(--gridline)", "domainColor": "var(--tick)", "tickColor": "var(--tick)"},
    "legend": {"labelColor": "var(--axis)", "labelFontSize": 12, "symbolStrokeWidth": 2.5},
    "line": {"strokeWidth": 1.8},
}
_HEIGHT = 200
_LIVE = {
    "queue": ("Jobs", "~s", {"queued": "var(--orange)", "running": "var(--blue)"}),
    "use": ("Share of all cores", ".0%", {"busy": "var(--blue)", "open": "var(--tick)"}),
    "transfers": ("GB/s arriving", "~s", {"rate": "var(--green)"}),
}


@cache
def bundle() -> str:
    """Return the script that draws Vega-Lite charts, as vl-convert brings it: 0.9 MB."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


@cache
def live() -> dict[str, dict[str, Any]]:
    """Return the charts of a live simulation; each draws the data set ``points``."""
    return {name: _lines(*told) for name, told in _LIVE.items()}


def _lines(title: str, form: str, colors: dict[str, str]) -> dict[str, Any]:
    names = list(colors)
    legend = alt.Legend(title=None, orient="top") if len(names) > 1 else None
    hues = alt.Scale(domain=names, range=list(colors.values()))
    scale = alt.Scale(domain=[0, 1]) if form.endswith("%") else alt.Scale(domainMin=0)
    axis = alt.Axis(tickCount=5, labelExpr=f"format(datum.value, '{form}')")
    chart = (
        alt.Chart(alt.NamedData("points"), width="container", height=_HEIGHT)
        .transform_fold([*names], as_=["what", "value"])
        .mark_line(clip=True)
        .encode(
            x=alt.X("days:Q", title="Days", axis=alt.Axis(grid=False, tickCount=6)),
            y=alt.Y("value:Q", title=title, axis=axis, scale=scale),
            color=alt.Color("what:N", scale=hues, legend=legend),
        )
    )
    return _document(chart)


def compared(names: Sequence[str], timelines: Sequence[Timeline]) -> list[dict[str, Any]]:
    """Return the charts of runs side by side, with their data; none without timelines."""
    rows = [
        {"days": hours / 24.0, "run": name, "queued": queued, "busy": busy}
        for name, line in zip(names, timelines, strict=True)
        for hours, queued, busy in zip(line.hours, line.queued, line.busy_cores, strict=True)
    ]
    if not rows:
        return []
    colors = alt.Scale(domain=list(names), range=["var(--blue)", "var(--orange)"][: len(names)])
    dashes = alt.Scale(domain=list(names), range=[[1, 0], [5, 3]][: len(names)])
    legend = alt.Legend(title=None, orient="top") if len(names) > 1 else None
    charts = []
    for field, title in (("queued", "Queued jobs"), ("busy", "Busy cores")):
        chart = (
            alt.Chart(alt.InlineData(values=rows), width="container", height=_HEIGHT)
            .mark_line(clip=True)
            .encode(
                x=alt.X("days:Q", title="Days", axis=alt.Axis(grid=False, tickCount=6)),
                y=alt.Y(
                    f"{field}:Q",
                    title=title,
                    axis=alt.Axis(tickCount=5, labelExpr="format(datum.value, '~s')"),
                    scale=alt.Scale(domainMin=0),
                ),
                color=alt.Color("run:N", scale=colors, legend=legend),
                strokeDash=alt.StrokeDash("run:N", scale=dashes, legend=legend),
            )
        )
        charts.append(_document(chart))
    return charts


def _document(chart: alt.Chart) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(chart.to_json())
    document["config"] = _CONFIG
    return document
