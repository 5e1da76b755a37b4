"""Charts of the analysis: bars, histograms, intervals, matrices, points; all from small frames."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import altair as alt
import polars as pl

from gridtwin.report.charts import Axis, axis_of
from gridtwin.report.theme import COLORS, NARROW, WIDE, Chart, styled

__all__ = [
    "STATUS",
    "bars",
    "histogram",
    "intervals",
    "lines",
    "matrix",
    "points",
    "stacked",
    "steps",
    "strip",
]

BLUE, ORANGE = COLORS["real"], COLORS["synthetic"]
STATUS = {
    "finished": "#009E73",
    "failed": ORANGE,
    "cancelled": "#E69F00",
    "closed": "#999999",
    "running": "#56B4E9",
    "queued": "#CC79A7",
}
"""The colour of each status, the same in every chart."""
_SPARE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#333333")
SHORT = "abs(datum.value) < 1 ? format(datum.value, '~g') : format(datum.value, '~s')"
Size = Literal["narrow", "medium", "wide"]
WIDTH: dict[Size, int] = {"narrow": NARROW, "medium": 560, "wide": WIDE}


def _colors(names: list[str]) -> alt.Color:
    spare = iter(_SPARE * (1 + len(names) // len(_SPARE)))
    known = [STATUS.get(name) or next(spare) for name in names]
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolSize=80)
    scale = alt.Scale(domain=names, range=known)
    return alt.Color("series:N", scale=scale, legend=legend if len(names) > 1 else None)


def _written(percent: bool) -> alt.Axis:
    if percent:
        return alt.Axis(format="~%", tickCount=5, labelOverlap="greedy")
    return alt.Axis(labelExpr=SHORT, tickCount=5, labelOverlap="greedy")


def _room(labels: Sequence[str], most: int) -> int:
    """Return the room that the longest label takes (px), at most `most`."""
    return min(most, 12 + int(6.3 * max(map(len, labels), default=0)))


def _days(first: dt.date, last: dt.date) -> alt.X:
    """Return the axis of the days from `first` to `last`: at most ten of them are named."""
    step = 1 + (last - first).days // 10
    named = [first + dt.timedelta(days=i) for i in range(0, (last - first).days + 1, step)]
    ends = [first, last + dt.timedelta(days=1)]
    values, domain = (
        [alt.DateTime(year=day.year, month=day.month, date=day.day) for day in days]
        for days in (named, ends)
    )
    axis = alt.Axis(values=values, format="%Y-%m-%d", grid=False, labelAlign="left")
    return alt.X("day:T", title=None, axis=axis, scale=alt.Scale(domain=domain))


def bars(
    frame: pl.DataFrame,
    title: str,
    *,
    percent: bool = False,
    size: Size = "narrow",
    labels: int = 170,
) -> Chart:
    """Draw horizontal bars in the order of the rows.

    `frame` has ``label``, ``value`` and ``series`` (bars of one label stand side by side).
    `labels` is the most room for a label, px.
    """
    order = frame["label"].unique(maintain_order=True).to_list()
    room = _room(order, labels)
    names = frame["series"].unique(maintain_order=True).to_list()
    chart = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("label:N", title=None, sort=order, axis=alt.Axis(labelLimit=labels)),
            x=alt.X("value:Q", title=title, axis=_written(percent)),
            color=_colors(names),
        )
        .properties(width=WIDTH[size] - room, height=alt.Step(16 if len(names) == 1 else 9))
    )
    if len(names) > 1:
        chart = chart.encode(yOffset=alt.YOffset("series:N", sort=names))
    return styled(chart)


def stacked(
    frame: pl.DataFrame,
    title: str,
    *,
    colors: dict[str, str],
    percent: bool = False,
    size: Size = "medium",
) -> Chart:
    """Draw one horizontal bar for each label, of parts in the order and with the colours given.

    `frame` has ``label``, ``series`` (a key of `colors`) and ``value``.
    """
    present = set(frame["series"])
    shown = {name: color for name, color in colors.items() if name in present}
    place = {name: i for i, name in enumerate(shown)}
    rows = frame.with_columns(pl.col("series").replace_strict(place).alias("place"))
    scale = alt.Scale(domain=list(shown), range=list(shown.values()))
    columns = 5 if size == "medium" else 3
    legend = alt.Legend(
        title=None, orient="top", symbolType="square", symbolSize=80, columns=columns
    )
    chart = (
        alt.Chart(rows)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            y=alt.Y(
                "label:N", title=None, sort=frame["label"].unique(maintain_order=True).to_list()
            ),
            x=alt.X("value:Q", title=title, axis=_written(percent), scale=alt.Scale(nice=False)),
            color=alt.Color("series:N", scale=scale, legend=legend),
            order="place:O",
        )
        .properties(width=WIDTH[size] - 60, height=alt.Step(24))
    )
    return styled(chart)


def histogram(
    frame: pl.DataFrame,
    title: str,
    *,
    axis: Axis = "log",
    count: str = "Jobs",
    size: Size = "narrow",
) -> Chart:
    """Draw counts in bins, one on the other where there are several series.

    `frame` has ``low``, ``high`` (both above 0 on a logarithmic axis), ``n``, ``series``.
    """
    names = frame["series"].unique(maintain_order=True).to_list()
    low, high = float(frame["low"].to_numpy().min()), float(frame["high"].to_numpy().max())
    kind: Literal["linear", "log"] = "linear" if axis == "linear" else "log"
    scale = alt.Scale(type=kind, domain=[low, high], nice=False, zero=False)
    order = {name: i for i, name in enumerate(names)}
    stacked = frame.sort(pl.col("series").replace_strict(order, return_dtype=pl.Int64), "low")
    top = pl.col("n").cum_sum().over("low", "high")
    stacked = stacked.with_columns(top.alias("top"), (top - pl.col("n")).alias("base"))
    chart = (
        alt.Chart(stacked)
        .mark_rect(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("low:Q", title=title, scale=scale, axis=axis_of(axis, low, high)),
            x2="high:Q",
            y=alt.Y("base:Q", title=count, axis=_written(percent=False)),
            y2="top:Q",
            color=_colors(names),
        )
        .properties(width=WIDTH[size], height=190)
    )
    return styled(chart)


def intervals(
    frame: pl.DataFrame,
    title: str,
    *,
    axis: Axis | Literal["percent"] = "log",
    size: Size = "narrow",
    labels: int = 170,
) -> Chart:
    """Draw a point and a range for each label, in the order of the rows.

    `frame` has ``label``, ``low``, ``mid``, ``high``; `labels` is the most room for a label, px.
    """
    order = frame["label"].unique(maintain_order=True).to_list()
    room = _room(order, labels)
    y = alt.Y("label:N", title=None, sort=order, axis=alt.Axis(labelLimit=labels))
    if axis == "percent":
        scale, ticks = alt.Scale(zero=True), _written(percent=True)
    else:
        floor = 1.0 if axis == "log seconds" else 1e-9
        bounds = ("low", "mid", "high")
        frame = frame.with_columns(pl.col(c).clip(floor) for c in bounds if axis != "linear")
        ends = [float(frame["low"].to_numpy().min()), float(frame["high"].to_numpy().max())]
        ends[1] = ends[1] if ends[1] > ends[0] else ends[0] * 2 + 1
        kind: Literal["linear", "log"] = "linear" if axis == "linear" else "log"
        scale = alt.Scale(type=kind, domain=ends, nice=False)
        ticks = axis_of(axis, *ends)
    base = alt.Chart(frame).encode(y=y)
    x = alt.X("mid:Q", title=title, scale=scale, axis=ticks)
    layers = [
        base.mark_rule(strokeWidth=4, opacity=0.35, color=BLUE).encode(
            x=alt.X("low:Q", scale=scale, title=title, axis=ticks), x2="high:Q"
        ),
        base.mark_point(filled=True, size=45, opacity=1, color=BLUE).encode(x=x),
    ]
    drawn = alt.layer(*layers).properties(width=WIDTH[size] - room, height=alt.Step(15))
    return styled(drawn)


def matrix(frame: pl.DataFrame, title: str, *, order: list[str]) -> Chart:
    """Draw a matrix of counts on a logarithmic colour scale: ``row``, ``column``, ``n``."""
    cell = max(20.0, min(34.0, 480 / max(1, len(order))))
    base = alt.Chart(frame).encode(
        x=alt.X("column:N", title=None, sort=order, axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("row:N", title=None, sort=order, axis=alt.Axis(labelLimit=220)),
    )
    top = max(float(frame["n"].to_numpy().max()), 2.0)
    legend = alt.Legend(
        title=title,
        orient="top",
        gradientLength=140,
        gradientThickness=8,
        format=".2~s",
        titleFontWeight="normal",
    )
    scale = alt.Scale(type="log", scheme="blues", domain=[1, top])
    cells = base.mark_rect(stroke="white").encode(
        color=alt.Color("n:Q", scale=scale, legend=legend)
    )
    strong = alt.condition(f"datum.n > {top**0.6}", alt.value("white"), alt.value("#333"))
    text = base.mark_text(fontSize=9).encode(text=alt.Text("n:Q", format=".2~s"), color=strong)
    side = cell * len(order)
    return styled(alt.layer(cells, text).properties(width=side, height=side))


def points(
    frame: pl.DataFrame, x: str, y: str, *, size: Size = "medium", height: int = 300
) -> Chart:
    """Draw points on two logarithmic axes; those with a ``label`` are marked and named.

    `frame` has ``x``, ``y`` (both above 0), ``label`` (null: an ordinary point). `x` and `y` are
    the titles.
    """
    scales, axes = {}, {}
    for column in ("x", "y"):
        values = frame[column].to_numpy()
        low, high = float(values.min()) / 1.25, float(values.max()) * 1.25
        scales[column] = alt.Scale(type="log", domain=[low, high], nice=False)
        axes[column] = axis_of("log", low, high)
    base = alt.Chart(frame).encode(
        x=alt.X("x:Q", title=x, scale=scales["x"], axis=axes["x"]),
        y=alt.Y("y:Q", title=y, scale=scales["y"], axis=axes["y"]),
    )
    named = base.transform_filter("isValid(datum.label)")
    layers = [
        base.transform_filter("!isValid(datum.label)").mark_point(
            filled=True, size=40, opacity=0.65, color=BLUE
        ),
        named.mark_point(filled=True, size=60, shape="diamond", color=ORANGE, opacity=1),
        named.mark_text(align="left", dx=7, fontSize=10, color="#444").encode(text="label:N"),
    ]
    return styled(alt.layer(*layers).properties(width=WIDTH[size], height=height))


def lines(
    frame: pl.DataFrame,
    x: str,
    y: str,
    *,
    axis: Literal["linear", "log", "date"] = "linear",
    percent: bool = False,
    seconds: bool = False,
    dots: bool = True,
    size: Size = "narrow",
) -> Chart:
    """Draw lines: ``x``, ``y``, ``series``; `x` and `y` are the titles, `dots` marks each row.

    With `seconds`, `y` is a time on a logarithmic axis; what is below 1 s is drawn there.
    """
    names = frame["series"].unique(maintain_order=True).to_list()
    up = alt.Y("y:Q", title=y, axis=_written(percent), scale=alt.Scale(zero=True))
    if seconds:
        frame = frame.with_columns(pl.col("y").clip(1.0))
        low, high = float(frame["y"].to_numpy().min()), float(frame["y"].to_numpy().max())
        scale = alt.Scale(type="log", domain=[low, max(high, 2 * low)], nice=False)
        up = alt.Y("y:Q", title=y, axis=axis_of("log seconds", low, high), scale=scale)
    across = alt.X("x:T" if axis == "date" else "x:Q", title=x, axis=alt.Axis(grid=False))
    if axis == "linear":
        across = alt.X("x:Q", title=x, axis=alt.Axis(grid=False), scale=alt.Scale(zero=False))
    elif axis == "log":
        low, high = float(frame["x"].to_numpy().min()), float(frame["x"].to_numpy().max())
        across = alt.X(
            "x:Q",
            title=x,
            axis=axis_of("log", low, max(high, low * 2)),
            scale=alt.Scale(type="log", domain=[low, max(high, low * 2)], nice=False),
        )
    chart = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=22, filled=True) if dots else False)
        .encode(
            x=across,
            y=up,
            color=_colors(names),
        )
        .properties(width=WIDTH[size], height=190)
    )
    return styled(chart)


def steps(frame: pl.DataFrame, title: str, *, reference: float | None = None) -> Chart:
    """Draw a bar for each day: ``day`` (date), ``value``; `reference` is a dashed line."""
    until = (pl.col("day") + pl.duration(days=1)).alias("until")
    drawn = (
        alt.Chart(frame.with_columns(until, pl.lit(0.0).alias("zero")))
        .mark_rect(color=BLUE, opacity=0.85)
        .encode(
            x=_days(frame["day"].to_list()[0], frame["day"].to_list()[-1]),
            x2="until:T",
            y=alt.Y("value:Q", title=title, axis=_written(percent=False)),
            y2="zero:Q",
        )
    )
    layers: list[alt.Chart] = [drawn]
    if reference is not None:
        line = alt.Chart(pl.DataFrame({"value": [reference]}))
        layers.append(line.mark_rule(color="#333", strokeDash=[4, 3]).encode(y="value:Q"))
    return styled(alt.layer(*layers).properties(width=WIDE, height=150))


def strip(frame: pl.DataFrame, title: str, *, days: tuple[dt.date, dt.date]) -> Chart:
    """Draw dots by day and label, larger for more: ``day`` (date), ``label``, ``value``.

    `days` are the first and the last one of the axis.
    """
    order = frame["label"].unique(maintain_order=True).to_list()
    legend = alt.Legend(title=title, orient="top", labelExpr=SHORT, titleFontWeight="normal")
    noon = pl.col("day").cast(pl.Datetime("ms")) + pl.duration(hours=12)
    chart = (
        alt.Chart(frame.with_columns(noon.alias("day")))
        .mark_point(filled=True, color=ORANGE, opacity=0.75)
        .encode(
            x=_days(*days),
            y=alt.Y("label:N", title=None, sort=order, axis=alt.Axis(grid=True, labelLimit=170)),
            size=alt.Size("value:Q", scale=alt.Scale(range=[12, 220]), legend=legend),
        )
        .properties(width=WIDE - 110, height=alt.Step(15))
    )
    return styled(chart)
