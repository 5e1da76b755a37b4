"""Write the page of one simulation from the folder that ``gridtwin simulate`` wrote."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError
from gridtwin.core.files import writing
from gridtwin.report import facts, series, study_charts
from gridtwin.report.export import to_svg
from gridtwin.report.figures import Figure, cdf_chart
from gridtwin.report.maps import by_country, countries, site_map
from gridtwin.report.numbers import NONE, count, data_size, duration, number, percent
from gridtwin.report.page import Cell, Line, Table, environment, sections
from gridtwin.report.verdict import Headline

__all__ = ["write_simulation_report"]

DAY = 86400.0
MOST_SITES = 30
MOST_BARS = 150
"""Jobs of the Gantt chart."""
_KINDS = 6

_SECTIONS = (
    ("timelines", "Queue and use over time", "Over the whole run, all sites together."),
    ("waits", "Waits", "How long the attempts that started had waited."),
    ("sites", "Sites", "Where the work was done, and where jobs waited."),
    ("gantt", "Job by job", "A thin line is a wait, a bar a run."),
)


@dataclass(frozen=True)
class Run:
    """What a simulation left in its folder."""

    document: Mapping[str, Any]
    jobs: pl.DataFrame
    timeline: pl.DataFrame

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Read a folder; raises `FormatError` where a file is missing or broken."""
        try:
            document = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            jobs = pl.read_parquet(folder / "jobs.parquet")
            timeline = pl.read_parquet(folder / "timeline.parquet")
            cls._check(document, jobs, timeline)
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise FormatError(
                f"{folder} is no simulation's folder: {error}; expected what 'gridtwin simulate "
                "-o' writes: summary.json, jobs.parquet and timeline.parquet"
            ) from error
        return cls(document, jobs, timeline)

    @staticmethod
    def _check(document: Mapping[str, Any], jobs: pl.DataFrame, timeline: pl.DataFrame) -> None:
        for key in ("summary", "platform", "provenance"):
            if not isinstance(document[key], dict):
                raise TypeError(f"{key!r} in summary.json is no object")
        jobs.select("site", "submit_time", "start_time", "end_time", "wait_time", "run_time")
        timeline.select("time", "site", "queued", "running", "busy_cores")

    @property
    def summary(self) -> Mapping[str, Any]:
        """The figures of the run."""
        return dict(self.document["summary"])

    @cached_property
    def places(self) -> list[dict[str, Any]]:
        """The platform's sites, as its document has them."""
        return [site for site in self.document["platform"].get("site", []) if site.get("name")]

    @cached_property
    def cores(self) -> dict[str, int]:
        """Cores by site."""
        pools = {s["name"]: s.get("pool", [s]) for s in self.places}
        return {name: sum(int(p.get("cores", 0)) for p in found) for name, found in pools.items()}

    @cached_property
    def sites(self) -> pl.DataFrame:
        """Site by site: attempts, core-hours (``size``), wait, longest queue; the largest first."""
        have = self.jobs.columns
        width = next((pl.col(c) for c in ("cores_alloc", "cores_req") if c in have), pl.lit(1))
        used = (
            self.jobs.drop_nulls("site")
            .group_by("site")
            .agg(
                attempts=pl.col("start_time").count(),
                size=(pl.col("run_time") * width.fill_null(1)).sum() / 3600.0,
                wait=pl.col("wait_time").mean(),
            )
        )
        queues = self.timeline.group_by("site").agg(
            queue=pl.col("queued").max(), busy=pl.col("busy_cores").max()
        )
        found = used.join(queues, on="site", how="full", coalesce=True)
        return found.sort("size", "site", descending=[True, False], nulls_last=True)


def write_simulation_report(folder: Path | str, path: Path | str | None = None) -> Path:
    """Write the page of a simulation's folder, by default as ``report.html`` in it.

    One HTML file with its charts as SVG, no script and no request; of many sites and jobs it shows
    the largest and says so. Raises `FormatError` where the folder is none of a simulation.
    """
    folder = Path(folder)
    run = Run.open(folder)
    drawn = [*_timelines(run), *_waits(run), *_map(run), *_gantt(run)]
    pictures = {figure.key: to_svg(figure.chart) for figure in drawn}
    found = sections(drawn, pictures, _SECTIONS)
    origin = run.document["provenance"]
    summary = [(name, value) for name, (value,) in facts.summary_rows([run.summary])]
    page = (
        environment()
        .get_template("simulation.html.j2")
        .render(
            title=f"{Path(str(origin.get('source', ''))).name} under {run.summary.get('policy')}",
            synthetic=any("synthetic" in str(note).lower() for note in origin.get("notes", ())),
            sentences=_sentences(run),
            cards=_cards(run),
            sections=found,
            sites=_site_table(run),
            summary=[(name, [value]) for name, value in summary],
            outcomes=[(k, [count(n)]) for k, n in run.document.get("outcomes", {}).items()],
            definitions=list(run.document.get("definitions", {}).items()),
            provenance=_provenance(run),
        )
    )
    path = folder / "report.html" if path is None else Path(path)
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _sentences(run: Run) -> list[str]:
    """Return the verdict on a run."""
    s = run.summary
    where = f"{count(s['cores'])} {s['unit']}"
    where += f" at {count(s['sites'])} sites, sent by {s['broker']}" if s["sites"] > 1 else ""
    told = [f"{count(s['jobs'])} jobs ran under {s['policy']} on {where}."]
    if s.get("mean_wait") is not None:
        if not s["waiting_share"]:
            load = f" (offered load {number(s['offered_load'])})"
            told.append(f"No job waited{load}: this run says nothing about policies.")
        else:
            told.append(
                f"{percent(s['waiting_share'])} of the attempts waited. Mean wait "
                f"{duration(s['mean_wait'])}, half at most {duration(s['median_wait'])}, 95 % at "
                f"most {duration(s['p95_wait'])}."
            )
    if (lost := s.get("lost_share")) is not None:
        told.append(
            f"{percent(s['finished_share'])} of the jobs finished in the end; {percent(lost)} of "
            "the core seconds went to attempts that did not."
        )
    if run.sites.height > 1 and (queued := run.sites.filter(pl.col("queue") > 0)).height:
        top = queued.sort("queue", "site", descending=[True, False]).row(0, named=True)
        told.append(f"The longest queue was at {top['site']}: {count(int(top['queue']))} jobs.")
    if s["rejected"]:
        reasons = ", ".join(f"{k} ({count(n)})" for k, n in run.document["rejections"].items())
        told.append(f"{count(s['rejected'])} jobs were not simulated: {reasons}.")
    if not run.document.get("complete", True):
        told.insert(0, "Unfinished: the run stopped at its bound on events.")
    return told + [str(note) for note in run.document.get("notes", ())]


def _cards(run: Run) -> list[Headline]:
    s = run.summary
    told = run.document.get("definitions", {})
    low, high = duration(s.get("median_wait")), duration(s.get("p95_wait"))
    wait = (f"half at most {low}", f"95 % at most {high}")
    low = number(s.get("median_bounded_slowdown"))
    high = number(s.get("p95_bounded_slowdown"))
    slow = (f"half at most {low}", f"95 % at most {high}")
    load = (f"offered load {number(s.get('offered_load'))}",)
    wanted: list[tuple[str, str, str, tuple[str, ...]]] = [
        ("Mean wait", duration(s.get("mean_wait")), "wait", wait),
        ("Mean bounded slowdown", number(s.get("mean_bounded_slowdown")), "bounded_slowdown", slow),
        ("Utilisation", percent(s.get("utilisation")), "utilisation", load),
        ("Makespan", duration(s.get("makespan")), "makespan", ()),
    ]
    if "finished_share" in s:
        moved = data_size(s["moved_bytes"])
        finished = percent(s["finished_share"])
        wanted.append(("Finished in the end", finished, "finished_share", ()))
        wanted.append(("Moved between sites", moved, "moved_bytes", ()))
    return [
        Headline(title, value, "", told.get(key, ""), more) for title, value, key, more in wanted
    ]


def _timelines(run: Run) -> list[Figure]:
    total = series.total_timeline(run.timeline)
    figures = []
    for column, title, how in (
        ("queued", "Jobs waiting", "max"),
        ("busy_cores", "In use", "mean"),
    ):
        time, value = total["time"].to_numpy(), total[column].to_numpy().astype(float)
        bins = series.step_bins(time, value, 300)
        if not bins.height:
            continue
        days = (bins["start"].to_numpy() - float(time[0])) / DAY
        frame = pl.DataFrame({"day": np.round(days, 4), "mid": np.round(bins[how].to_numpy(), 3)})
        frame = frame.with_columns(
            low=pl.lit(None, pl.Float64),
            high=pl.lit(None, pl.Float64),
            line=pl.lit("all"),
            panel=pl.lit(" "),
        )
        unit = str(run.summary["unit"])
        axis = title if column == "queued" else f"{unit.capitalize()} in use"
        caption = {"max": "Highest number in each interval.", "mean": "Mean of each interval."}[how]
        if column == "busy_cores":
            caption += f" Of {count(run.summary['cores'])} {unit}."
        chart = study_charts.bands(frame, axis, order=["all"])
        key = "queue_over_time" if column == "queued" else "use_over_time"
        figures.append(Figure(key, "timelines", axis, caption, chart, size="wide"))
    return figures


def _waits(run: Run) -> list[Figure]:
    figures = []
    for column, title in (("wait_time", "Wait"), ("run_time", "Run time")):
        values = run.jobs.filter(pl.col("start_time").is_not_null())[column]
        known = values.cast(pl.Float64).drop_nulls().to_numpy()
        if len(known):
            chart = cdf_chart({"simulated": known}, title, "s", "Share of attempts")
            caption = f"n = {count(len(known))}. The share of attempts with at most that value."
            figures.append(Figure(f"cdf_{column}", "waits", title, caption, chart))
    return figures


def _map(run: Run) -> list[Figure]:
    sites = run.sites.select("site", "size").drop_nulls()
    place = countries(sites["site"].to_list(), {s["name"]: s.get("country") for s in run.places})
    if len(set(place.values())) < 2:
        return []
    frame = by_country(sites, place)
    largest = ", ".join(
        f"{row['name']} {number(row['size'])}" for row in frame.head(5).iter_rows(named=True)
    )
    caption = f"Core-hours by country; the largest: {largest}."
    if (rest := sites.height - len(place)) > 0:
        caption += f" {count(rest)} sites of no known country are not drawn."
    chart = site_map(frame, "Core-hours")
    return [Figure("map", "sites", "Work by country", caption, chart, size="wide")]


def _site_table(run: Run) -> Table | None:
    """Return the sites, the most used first; None where there is but one."""
    if len(run.places) < 2:
        return None
    place = countries(
        run.sites["site"].to_list(), {s["name"]: s.get("country") for s in run.places}
    )
    span = run.summary.get("makespan") or 0.0
    rows = []
    for row in run.sites.head(MOST_SITES).iter_rows(named=True):
        cores = run.cores.get(row["site"], 0)
        hours = cores * span / 3600.0
        cells = [
            place.get(row["site"], NONE),
            count(cores),
            count(row["attempts"] or 0),
            number(row["size"]),
            percent((row["size"] or 0.0) / hours) if hours else NONE,
            duration(row["wait"]),
            count(int(row["queue"] or 0)),
        ]
        rows.append(Line(row["site"], [Cell(text) for text in cells]))
    caption = "Sites by core-hours"
    if (rest := run.sites.height - MOST_SITES) > 0:
        caption += f"; {count(rest)} more had less"
    if (idle := len(run.places) - run.sites.height) > 0:
        caption += f"; {count(idle)} had none"
    head = ["Site", "Country", "Cores", "Attempts", "Core-hours", "In use", "Mean wait"]
    return Table(caption, [*head, "Longest queue"], rows)


def _gantt(run: Run) -> list[Figure]:
    """Return the Gantt chart of a small run, or of a part of it around the longest wait."""
    started = run.jobs.drop_nulls(["submit_time", "start_time", "end_time"])
    started = started.filter(pl.all_horizontal(pl.col("start_time", "end_time").is_finite()))
    started = started.sort("submit_time", maintain_order=True)
    if not started.height:
        return []
    caption = f"All {count(started.height)} attempts that started."
    if started.height > MOST_BARS:
        middle = int((started["wait_time"].fill_null(0.0)).arg_max() or 0)
        first = min(max(0, middle - MOST_BARS // 2), started.height - MOST_BARS)
        total = count(started.height)
        started = started.slice(first, MOST_BARS)
        caption = f"{MOST_BARS} of {total} attempts, submitted around the one that waited longest."
    by, kind, names = _kinds(started)
    begin = float(started["submit_time"].min())  # type: ignore[arg-type]
    span = float(started["end_time"].max()) - begin  # type: ignore[arg-type]
    size, unit = next(
        p
        for p in ((DAY, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
        if span >= 2 * p[0] or p[0] == 1
    )
    times = {"submit": "submit_time", "start": "start_time", "end": "end_time"}
    frame = started.select(
        pl.int_range(pl.len()).alias("row"),
        *(((pl.col(c) - begin) / size).round(4).alias(n) for n, c in times.items()),
    ).with_columns(kind=kind)
    chart = study_charts.gantt(frame, names, unit=unit)
    return [Figure("job_by_job", "gantt", f"Jobs by {by}", caption, chart, size="wide")]


def _kinds(jobs: pl.DataFrame) -> tuple[str, pl.Series, list[str]]:
    """Return by what jobs differ, the kind of each, and the kinds in order."""
    by = next((c for c in ("site", "status") if c in jobs and jobs[c].n_unique() > 1), "cores")
    if by == "cores":
        width = next((c for c in ("cores_alloc", "cores_req") if c in jobs.columns), None)
        cores = pl.Series([1] * len(jobs)) if width is None else jobs[width].fill_null(1)
        names = ["1 core", "2 to 8", "9 to 64", "65 to 512", "more"]
        place = np.searchsorted([1, 8, 64, 512], cores.to_numpy())
        kind = pl.Series([names[k] for k in place], dtype=pl.String)
        return by, kind, [name for name in names if name in set(kind)]
    kind = jobs[by].cast(pl.String).fill_null("unknown")
    order = kind.value_counts().sort("count", by, descending=[True, False])[by].to_list()
    most, rest = order[:_KINDS], order[_KINDS:]
    kind = kind.replace(dict.fromkeys(rest, "all others"))
    return by, kind, [*most, "all others"] if rest else most


def _provenance(run: Run) -> list[tuple[str, str]]:
    origin, s = run.document["provenance"], run.summary
    rows = [
        ("Command", "gridtwin simulate"),
        ("Source", str(origin.get("source", ""))),
        ("Seed", str(s.get("seed"))),
        ("Kernel", f"{run.document.get('kernel')}, level {run.document.get('level')}"),
    ]
    if origin.get("sha256"):
        rows.append(("SHA-256", str(origin["sha256"])))
    notes = [*run.document["platform"].get("notes", ()), *origin.get("notes", ())]
    rows += [("Note", str(note)) for note in dict.fromkeys(notes)]
    rows.append(("Simulated with", f"gridtwin {run.document.get('gridtwin')}"))
    rows.append(("Versions", facts.versions()))
    return rows
