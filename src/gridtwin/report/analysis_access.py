"""Charts of remote data access: classes, sites, and what each method recovers of the truth."""

from collections.abc import Iterator

import polars as pl

from gridtwin.report import analysis_charts as draw
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import count, data_size, percent

__all__ = ["access_figures"]

_METHODS = {
    "traces": "A traces",
    "transfers": "B transfers",
    "replicas": "C replicas",
    "best": "best of these",
    "jobs": "job table alone",
}
_COLORS = {
    "local copy": "#0072B2",
    "local direct": "#56B4E9",
    "local": "#9DC9E8",
    "pre-placed": "#009E73",
    "tape": "#666666",
    "cache": "#CC79A7",
    "remote copy": "#D55E00",
    "remote direct": "#E69F00",
    "remote": "#F2C14E",
    "unknown": "#D9D9D9",
}
_PARTS = {"found": "#009E73", "missed": "#D9D9D9", "false": "#D55E00"}
_MOST = 25

Frames = dict[str, pl.DataFrame]


def access_figures(frames: Frames, unit: str) -> Iterator[Figure]:
    """Yield the charts of the section that the frames allow."""
    if (frame := frames.get("access_by_class")) is not None:
        yield _classes(frame)
    sites = frames.get("access_by_site")
    if sites is not None and (known := sites.drop_nulls("remote_share")).height > 1:
        rows = known.head(_MOST).select(
            pl.col("site").alias("label"),
            pl.col("remote_share").alias("value"),
            pl.lit("remote").alias("series"),
        )
        chart = draw.bars(rows, "Remote bytes / bytes with an answer", percent=True)
        text = (
            f"By the best method for each job; most input first. n = {count(int(known['n'].sum()))}"
            f" jobs, {count(int(known['answered'].sum()))} with an answer."
        )
        if known.height > _MOST:
            text += f" The first {_MOST} of {known.height} sites are drawn."
        yield Figure("access_by_site", "access", "Share read from other sites", text, chart)
    if (right := frames.get("access_recovered")) is not None:
        yield from _recovered(right)


def _classes(frame: pl.DataFrame) -> Figure:
    ran = frame.filter(~pl.col("access").is_in(["not started", "no input"]))
    sized = ran["bytes_share"].null_count() < ran.height
    value = pl.col("bytes_share") if sized else pl.col("jobs") / pl.col("jobs").sum().over("method")
    rows = ran.select(
        pl.col("method").replace_strict(_METHODS).alias("label"),
        pl.col("access").str.replace(", by the job table", "").alias("series"),
        value.alias("value"),
    ).drop_nulls("value")
    what = "input bytes" if sized else "jobs"
    chart = draw.stacked(rows, f"Share of the {what}", colors=_COLORS, percent=True)
    one = ran.filter(pl.col("method") == ran["method"][-1])
    text = f"n = {count(int(one['files'].sum()))} input files"
    text += f" of {data_size(float(one['bytes'].sum()))}" if sized else ""
    text += ", of jobs that started. Unknown: no record tells, which is not the same as none. "
    text += (
        "Without records of traces, transfers or replicas nothing more can be said."
        if one["method"][0] == "jobs"
        else "Direct reads, caches and replicas count with the sizes of files, of which a job may "
        "have read a part."
    )
    return Figure("access_by_class", "access", "Where jobs read their input", text, chart, "medium")


def _recovered(frame: pl.DataFrame) -> Iterator[Figure]:
    for kind, title in (
        ("read", "Read from another site: found, missed, false"),
        ("moved", "Brought ahead: found, missed, false"),
    ):
        truth = float(frame[f"{kind}_truth"].to_numpy().max())
        if not truth:
            continue
        parts = {f"{kind}_{part}": part for part in _PARTS}
        rows = frame.select(
            pl.col("method").replace_strict(_METHODS).alias("label"),
            *(pl.col(name) / truth for name in parts),
        ).rename(parts)
        rows = rows.unpivot(index="label", variable_name="series", value_name="value")
        chart = draw.stacked(
            rows, "Share of the true bytes", colors=_PARTS, percent=True, size="narrow"
        )
        share = float(frame[f"{kind}_share"].to_numpy()[-1])
        text = (
            f"Against the known truth of the example: {data_size(truth)}, of "
            f"{count(int(frame['jobs'][0]))} jobs. False: said to be so and is not. The best of "
            f"the methods finds {percent(share)}."
        )
        yield Figure(f"access_{kind}_recovered", "access", title, text, chart)
