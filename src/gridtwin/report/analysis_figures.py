"""Which charts the page of an analysis has, in the order of the sections, with their captions."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from gridtwin.analysis import Analysis
from gridtwin.report import analysis_charts as draw
from gridtwin.report.analysis_access import access_figures
from gridtwin.report.analysis_charts import STATUS
from gridtwin.report.charts import hours_of_week
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import count, percent

__all__ = ["SECTIONS", "analysis_figures"]

SECTIONS = (
    ("queue", "Queue time", "From the creation of a job to its start; of jobs that started."),
    ("status", "How jobs end", "Final statuses, by jobs and by the core-hours they held."),
    (
        "errors",
        "Errors",
        "A failed job may carry several error codes. In the view of any component it counts under "
        "each of them, so that shares sum to more than 100 %; in the blamed view it counts once.",
    ),
    ("failures", "Failure rates", "Failed / (finished + failed), with 95 % Wilson intervals."),
    ("waste", "Wasted core-hours", "Cores x wall time of failed jobs."),
    ("cpu", "CPU consumption", "CPU time is summed over the cores of a job."),
    ("power", "Power of sites", "Benchmark of a core times cores."),
    ("data", "Data sets and sites", "What jobs read, and where they ran."),
    (
        "access",
        "Remote data access",
        "What jobs read from other sites. What no record tells is unknown, never 0.",
    ),
    ("requests", "Requests, sizes, users", "What was asked for, and by whom."),
    ("arrivals", "Arrivals", "When jobs are submitted."),
    ("reuse", "Reuse of data sets", "A use is one task that reads the data set."),
)
Made = Iterator[Figure]
Frames = dict[str, pl.DataFrame]


def analysis_figures(analysis: Analysis) -> list[Figure]:
    """Return the charts that the frames of an analysis allow."""
    parts: tuple[Callable[[Frames, str], Made], ...] = (
        _queue,
        _status,
        _errors,
        _failures,
        _waste,
        _cpu,
        _power,
        _data,
        access_figures,
        _requests,
        _arrivals,
        _reuse,
    )
    frames = {name: frame for name, frame in analysis.frames.items() if frame.height}
    drawn = [figure for part in parts for figure in part(frames, analysis.unit)]
    return [_placed(figure, analysis.place) for figure in drawn]


def _placed(figure: Figure, place: str) -> Figure:
    """Return a figure whose words call the places what they are: sites, or queues."""
    title, caption = (text.replace("site", place) for text in (figure.title, figure.caption))
    return replace(figure, title=title, caption=caption)


def _series(frame: pl.DataFrame, name: str = "Jobs") -> pl.DataFrame:
    return frame.with_columns(pl.lit(name).alias("series"))


def _n(frame: pl.DataFrame) -> str:
    return f"n = {count(int(frame['n'].sum()))}."


def _positive(frame: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Return the bins above 0, and a sentence on the share of zeros."""
    zero = frame.filter(pl.col("high") == 0)
    n, zeros = int(frame["n"].sum()), int(zero["n"].sum())
    said = f" {percent(zeros / n)} are 0 and not drawn." if zeros else ""
    return frame.filter(pl.col("high") > 0), said


def _queue(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("queue_time_histogram")) is not None:
        seen, zeros = _positive(frame)
        if seen.height:
            chart = draw.histogram(_series(seen), "Queue time", axis="log seconds", size="medium")
            text = f"{_n(frame)}{zeros} Bins of a tenth of a decade."
            yield Figure("queue_time", "queue", "Queue time", text, chart, "medium")
    titles = {
        "site": "Queue time by site",
        "queue": "Queue time by queue",
        "size": f"Queue time by {unit}s",
        "priority": "Queue time by priority",
    }
    if "queue_time_by_site" in frames:
        titles.pop("queue")
    for by, title in titles.items():
        groups = frames.get(f"queue_time_by_{by}")
        if groups is None or groups.height < 2:
            continue
        shown = _quantiles(groups.head(25))
        chart = draw.intervals(shown, "Queue time", axis="log seconds")
        text = f"Median, and 10 % to 90 % of the jobs. {_n(groups)}{_cut(groups, 25)}"
        yield Figure(f"queue_time_by_{by}", "queue", title, text, chart)
    if (hours := frames.get("queue_time_by_hour")) is not None:
        rows = hours.select(pl.col("group").cast(pl.Float64).alias("x"), "p50", "p90")
        rows = rows.rename({"p50": "median", "p90": "90th percentile"})
        rows = rows.unpivot(index="x", variable_name="series", value_name="y")
        chart = draw.lines(rows, "Hour of the submission (UTC)", "Queue time", seconds=True)
        title = "Queue time by hour of the day"
        yield Figure("queue_time_by_hour", "queue", title, _n(hours), chart)
    if (split := frames.get("queue_time_split")) is not None:
        rows = split.select(pl.col("part").alias("label"), pl.col("share").alias("value"))
        chart = draw.bars(_series(rows), "Share of the queue time", percent=True)
        text = "Before and after the job could have started. n = " + count(
            int(split["n"].to_numpy().max())
        )
        text += "."
        yield Figure("queue_time_split", "queue", "Data wait and slot wait", text, chart)


def _quantiles(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        pl.col("group").alias("label"),
        pl.col("p10").alias("low"),
        pl.col("p50").alias("mid"),
        pl.col("p90").alias("high"),
    )


def _cut(frame: pl.DataFrame, most: int) -> str:
    return f" The first {most} are drawn." if frame.height > most else ""


def _shares(frame: pl.DataFrame, label: str, unit: str) -> pl.DataFrame:
    """Return shares of jobs and, where run times are known, of core-hours as two series."""
    hours = pl.col("share_core_hours").fill_nan(None)
    known = frame.select(hours.is_not_null().any()).item()
    wanted = {"share": "jobs"} | ({"share_core_hours": f"{unit}-hours"} if known else {})
    rows = frame.select(pl.col(label).alias("label"), *wanted).rename(wanted).fill_nan(None)
    return rows.unpivot(index="label", variable_name="series", value_name="value")


def _status(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("status")) is None:
        return
    chart = draw.bars(_shares(frame, "status", unit), "Share", percent=True)
    yield Figure("final_status", "status", "Final status", _n(frame), chart)


def _errors(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("error_components")) is not None:
        total = float(frame.filter(pl.col("component") != "(no code)")["share"].sum())
        rows = frame.select(pl.col("component").alias("label"), pl.col("share").alias("value"))
        chart = draw.bars(_series(rows), "Share of failed jobs", percent=True)
        text = f"Any component: shares sum to {percent(total)}."
        yield Figure("error_components", "errors", "Components with an error", text, chart)
    if (codes := frames.get("error_codes")) is not None:
        rows = codes.head(25).select(
            pl.concat_str(pl.col("code"), pl.lit(" ") + pl.col("name"), ignore_nulls=True)
            .str.slice(0, 46)
            .alias("label"),
            pl.col("share").alias("any component"),
            pl.col("share_blamed").alias("blamed"),
        )
        rows = rows.unpivot(index="label", variable_name="series", value_name="value")
        chart = draw.bars(rows, "Share of failed jobs", percent=True, size="medium", labels=290)
        text = (
            f"{count(codes.height)} different codes.{_cut(codes, 25)} Where a job has several "
            "blamed codes left, each counts for its part."
        )
        yield Figure("error_codes", "errors", "Error codes", text, chart, "medium")
    if (pairs := frames.get("error_pairs")) is not None:
        order = (
            pairs.group_by("a").agg(pl.col("n").sum()).sort(["n", "a"], descending=[True, False])
        )
        rows = pairs.select(pl.col("a").alias("row"), pl.col("b").alias("column"), "n")
        chart = draw.matrix(rows, "failed jobs with both", order=order["a"].to_list())
        text = "Jobs that carry both codes; the codes most frequent among jobs with several."
        yield Figure("error_pairs", "errors", "Codes that occur together", text, chart, "medium")


def _failures(frames: Frames, unit: str) -> Made:
    titles = {
        "site": "Failure rate by site",
        "user": "Failure rate by user",
        "input_size": "Failure rate by input size",
        "code": "Failures by blamed code",
    }
    for name, title in titles.items():
        frame = frames.get(f"failure_by_{name}")
        if frame is None or frame.height < 2:
            continue
        rows = frame.head(25).select(
            pl.col("group").alias("label"), "low", pl.col("rate").alias("mid"), "high"
        )
        chart = draw.intervals(rows, "Failed / (finished + failed)", axis="percent")
        n = int(frame["n"][0] if name == "code" else frame["n"].sum())
        order = "Most jobs first. " if name in ("site", "user") else ""
        text = f"{order}n = {count(n)}.{_cut(frame, 25)}"
        yield Figure(f"failure_by_{name}", "failures", title, text, chart)
    days = frames.get("site_days")
    if days is None or not days["incident"].any():
        return
    flagged = days.filter("incident").with_columns(pl.col("bad").sum().over("site").alias("all"))
    flagged = flagged.sort(["all", "site", "day"], descending=[True, False, False])
    kept = flagged["site"].unique(maintain_order=True).head(30).to_list()
    shown = flagged.filter(pl.col("site").is_in(kept))
    rows = shown.select("day", pl.col("site").alias("label"), pl.col("bad").alias("value"))
    dates = days["day"].sort().to_list()
    chart = draw.strip(rows, "failed jobs", days=(dates[0], dates[-1]))
    text = (
        f"{count(flagged.height)} of {count(days.drop_nulls('p_value').height)} site-days have "
        "several senders that fail at once more than elsewhere, of kinds that a site can cause "
        "(wanted false discovery rate 5 %)."
    )
    if flagged["site"].n_unique() > 30:
        text += " The 30 sites with the most failed jobs are drawn."
    yield Figure("incidents", "failures", "Site-day incidents", text, chart, "wide")


def _waste(frames: Frames, unit: str) -> Made:
    titles = {
        "combination": "Wasted by combination of codes",
        "site": "Wasted by site",
        "user": "Wasted by user",
        "task": "Wasted by task",
    }
    for name, title in titles.items():
        frame = frames.get(f"waste_by_{name}")
        if frame is None or frame.height < 2 or not frame["core_hours"].sum():
            continue
        size: draw.Size = "medium" if name == "combination" else "narrow"
        labels = 290 if name == "combination" else 170
        some = frame.filter(pl.col("core_hours") > 0)
        rows = some.head(20).select(
            pl.col("group").str.slice(0, 60).alias("label"), pl.col("share_wasted").alias("value")
        )
        chart = draw.bars(
            _series(rows), f"Share of wasted {unit}-hours", percent=True, size=size, labels=labels
        )
        total = float(frame["core_hours"].sum())
        text = f"{count(round(total))} {unit}-hours wasted, {_n(frame)}"
        if name == "combination":
            text += f" They are {percent(float(frame['share_all'].sum()))} of all {unit}-hours."
        text += _cut(some, 20)
        yield Figure(f"waste_by_{name}", "waste", title, text, chart, size)


def _by_status(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with their status as ``series``, in the order that statuses always have."""
    order = {name: i for i, name in enumerate(STATUS)}
    place = pl.col("status").replace_strict(order, default=len(order), return_dtype=pl.Int64)
    return frame.sort(place, "status", "low").rename({"status": "series"})


def _cpu(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("cpu_time")) is not None:
        seen, zeros = _positive(frame)
        if seen.height:
            chart = draw.histogram(_by_status(seen), "CPU time (core s)", size="medium")
            text = f"{_n(frame)}{zeros}"
            yield Figure("cpu_time", "cpu", "CPU time of a job", text, chart, "medium")
    if (frame := frames.get("efficiency_histogram")) is not None:
        named = pl.when("clipped").then(pl.lit("above 1")).otherwise(pl.lit("0 to 1"))
        rows = frame.with_columns(named.alias("series")).sort("series", "low")
        over = float(frame.filter("clipped")["share"].sum())
        chart = draw.histogram(rows, "CPU time / (wall time x cores)", axis="linear")
        text = f"{_n(frame)} {percent(over)} are above 1, which cannot be; they are drawn at 1."
        yield Figure("efficiency", "cpu", "CPU efficiency", text, chart)
    sites = frames.get("efficiency_by_site")
    if sites is not None and sites.height > 1:
        chart = draw.intervals(_quantiles(sites.head(25)), "CPU efficiency", axis="percent")
        text = f"Median, and 10 % to 90 % of the jobs. {_n(sites)}{_cut(sites, 25)}"
        yield Figure("efficiency_by_site", "cpu", "CPU efficiency by site", text, chart)


def _power(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("site_power")) is None:
        return
    rows = frame.select(
        pl.col("cores").cast(pl.Float64).alias("x"),
        pl.col("power").alias("y"),
        pl.when("outlier").then("site").alias("label"),
    )
    chart = draw.points(rows, "Cores in use at once (most)", "HS23 of these cores")
    text = (
        f"{frame.height} sites. Cores are the most that the jobs of this table held at a full "
        "hour, a lower bound. Diamonds: sites whose power per core is an outlier (modified "
        "z-score above 3.5)."
    )
    yield Figure("site_power", "power", "Power against cores", text, chart, "medium")
    away = frame.sort(pl.col("core_power"), descending=True)
    rows = away.select(pl.col("site").alias("label"), pl.col("core_power").alias("value"))
    if rows.height > 30:
        rows = pl.concat([rows.head(15), rows.tail(15)])
    chart = draw.bars(_series(rows), "HS23 per core")
    text = "As recorded with the jobs, mean over jobs." + (
        " The 15 highest and the 15 lowest." if frame.height > 30 else ""
    )
    yield Figure("core_power", "power", "Power per core", text, chart)


def _data(frames: Frames, unit: str) -> Made:
    for name, title, counted, text in (
        ("input_sizes", "Input of a job", "Jobs", ""),
        (
            "dataset_sizes",
            "Size of data sets",
            "Data sets",
            " The most that one task read of each: a lower bound.",
        ),
    ):
        if (frame := frames.get(name)) is not None:
            seen, zeros = _positive(frame)
            if seen.height:
                chart = draw.histogram(_series(seen), "Size (bytes)", count=counted)
                yield Figure(name, "data", title, f"{_n(frame)}{zeros}{text}", chart)
    sites = frames.get("site_footprint")
    if sites is None or sites.height < 2:
        return
    wanted = {"share": "jobs", "core_hours": f"{unit}-hours", "dataset_bytes": "bytes of data sets"}
    told = {k: v for k, v in wanted.items() if sites[k].null_count() < sites.height}
    rows = sites.select(
        pl.col("site").alias("label"), *((pl.col(c) / pl.col(c).sum()).alias(told[c]) for c in told)
    )
    rows = rows.unpivot(index="label", variable_name="series", value_name="value")
    chart = draw.bars(rows, "Share", percent=True, size="medium")
    pooled = int(sites.filter(pl.col("site") == "Others")["sites"].sum())
    text = f"{_n(sites)} Others: {pooled} sites with less than 1.9 % of the jobs each."
    yield Figure("site_footprint", "data", "What each site did", text, chart, "medium")


def _requests(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("run_over_request")) is not None:
        seen = frame.with_columns(pl.col("high").fill_null(1.02))
        chart = draw.histogram(
            _by_status(seen), "Run time / requested wall time", axis="linear", size="medium"
        )
        text = f"{_n(frame)} The last bar holds all jobs that ran as long as asked, or longer."
        title = "Use of the requested time"
        yield Figure("run_over_request", "requests", title, text, chart, "medium")
    if (frame := frames.get("sizes")) is not None and frame.height > 1:
        chart = draw.bars(_shares(frame, "size", unit), "Share", percent=True)
        yield Figure("sizes", "requests", f"{unit.capitalize()}s of a job", _n(frame), chart)
    if (frame := frames.get("users")) is not None and frame.height > 1:
        rows = frame.head(15).select(pl.col("user").alias("label"), pl.col("share").alias("value"))
        chart = draw.bars(_series(rows), "Share of jobs", percent=True)
        yield Figure("users", "requests", "Users with the most jobs", _n(frame), chart)


def _arrivals(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("arrivals_by_hour_of_week")) is not None and frame.height > 1:
        rows = frame.select("hour", "jobs", pl.lit("real").alias("trace"))
        chart = hours_of_week(rows)
        title = "Arrivals by hour of the week"
        yield Figure("arrivals_by_hour_of_week", "arrivals", title, "", chart, "wide")
    if (frame := frames.get("arrivals_by_day")) is not None and frame.height > 1:
        rows = frame.select("day", pl.col("jobs").alias("value"))
        chart = draw.steps(rows, "Jobs per day", reference=float(frame["jobs"].to_numpy().mean()))
        peak = float(frame["relative"].to_numpy().max())
        text = f"Dashed: the mean day. The busiest day has {peak:.2g} times as many."
        yield Figure("arrivals_by_day", "arrivals", "Arrivals by day", text, chart, "wide")
    if (frame := frames.get("bursts")) is not None and frame.height > 1:
        wanted = {"share": "bursts", "share_jobs": "jobs in them"}
        rows = frame.select(pl.col("size").alias("label"), *wanted).rename(wanted)
        rows = rows.unpivot(index="label", variable_name="series", value_name="value")
        chart = draw.bars(rows, "Share", percent=True)
        text = "Jobs of one sender with at most 60 s between them, by their number."
        yield Figure("bursts", "arrivals", "Size of bursts", text, chart)
    if (frame := frames.get("arrival_gaps")) is not None:
        seen, zeros = _positive(frame)
        if seen.height:
            chart = draw.histogram(_series(seen), "Gap", axis="log seconds", count="Gaps")
            title = "Time between two arrivals"
            yield Figure("arrival_gaps", "arrivals", title, f"{_n(frame)}{zeros}", chart)
    if (frame := frames.get("arrival_acf")) is not None and frame.height > 2:
        rows = frame.select(pl.col("lag").alias("x"), pl.col("acf").alias("y"))
        chart = draw.lines(_series(rows), "Lag (h)", "Autocorrelation", dots=False)
        text = "Of hourly job counts: peaks at 24 h and 168 h show days and weeks."
        yield Figure("arrival_acf", "arrivals", "Memory of arrivals", text, chart)


def _reuse(frames: Frames, unit: str) -> Made:
    if (frame := frames.get("dataset_uses")) is not None:
        few = float(frame.filter(pl.col("uses") <= 2)["share"].sum())
        if frame.height > 1:
            rows = frame.select(
                pl.col("uses").cast(pl.Float64).alias("x"),
                pl.col("n").cast(pl.Float64).alias("y"),
                pl.lit(None, pl.String).alias("label"),
            )
            chart = draw.points(rows, "Uses of a data set", "Data sets", size="narrow", height=190)
            text = f"{_n(frame)} {percent(few)} were used once or twice."
            law = frames.get("dataset_zipf")
            if law is not None:
                s, gap = law.row(0)[:2]
                text += f" Zipf exponent {s:.2f}, distance {gap:.2f}."
            yield Figure("dataset_uses", "reuse", "Uses of each data set", text, chart)
    if (frame := frames.get("reuse_distance")) is not None:
        again = frame.drop_nulls("low")
        if again.height > 1:
            rows = again.select(
                (pl.col("high") + 1).cast(pl.Float64).alias("x"), pl.col("hit_rate").alias("y")
            )
            chart = draw.lines(
                _series(rows), "Data sets kept", "Uses found again", axis="log", percent=True
            )
            text = (
                "Share of uses that a store of so many data sets would still have held, the least "
                f"recently used going first. n = {count(int(frame['n'].sum()))} uses."
            )
            yield Figure("reuse_distance", "reuse", "Reuse distance", text, chart)
    if (frame := frames.get("popularity")) is not None and frame.height > 1:
        names = {"model_top": "forecast", "last_top": "as last week"}
        rows = frame.select(pl.col("week").alias("x"), *names).rename(names)
        rows = rows.unpivot(index="x", variable_name="series", value_name="y").drop_nulls()
        chart = draw.lines(rows, "", "Uses caught", axis="date", percent=True)
        error = [float(np.mean(frame[f"{who}_mae"].to_numpy())) for who in ("model", "last")]
        new = float(frame["new"].sum()) / max(float((frame["new"] + frame["uses"]).sum()), 1.0)
        text = (
            "Share of a week's uses on the tenth of the known data sets ranked highest the week "
            f"before. Mean error: forecast {error[0]:.3g} uses, as last week {error[1]:.3g}. "
            f"{percent(new)} of all uses are of names that were not known before."
        )
        yield Figure("popularity", "reuse", "Next week's popular data sets", text, chart)
