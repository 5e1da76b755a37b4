"""Write a study's page from its run folder: verdict, comparison, timelines, sites, provenance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from gridtwin.core.files import writing
from gridtwin.report import study_charts, study_tables
from gridtwin.report.export import to_svg
from gridtwin.report.figures import Figure
from gridtwin.report.maps import by_country, countries, site_map
from gridtwin.report.numbers import count
from gridtwin.report.page import environment, sections
from gridtwin.report.series import Floats
from gridtwin.report.study_words import View, cards, sentences, words

if TYPE_CHECKING:
    from gridtwin.study.folder import Folder

__all__ = ["figures", "write_study_report"]

DAY = 86400.0
MOST_PANELS = 6
MOST_LINES = 6
MOST_DRAWN = 24
MOST_POINTS = 200
MOST_ROWS = 4800
"""Of a chart's frame; Altair takes 5000."""
_UNITS = {"s": ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s")),
          "bytes": ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1.0, "B"))}  # fmt: skip

_SECTIONS = (
    (
        "scenarios",
        "Scenarios side by side",
        "Each scenario beside the base, seed by seed: what a seed's jobs do to both cancels out. "
        "Bars are 95 % intervals; one that crosses the line may be chance.",
    ),
    (
        "timelines",
        "Queue and use over time",
        "Lines are means over the seeds, bands reach from the lowest to the highest seed.",
    ),
    (
        "sensitivity",
        "What moves what",
        "How much of the variance of all runs each axis explains by itself; 'together' is what the "
        "axes do in combination, 'seed' what the draw of the jobs does.",
    ),
    ("sites", "Sites", "Where the work of the base scenario is done, and where jobs wait."),
    (
        "feedback",
        "Feedback",
        "Each window was made by a model of the monitoring before it: how far it has drifted.",
    ),
)


def write_study_report(folder: "Folder", path: Path | str) -> Path:
    """Write the page of a study, finished or not; the same bytes for the same results.

    Parameters
    ----------
    folder
        Of `gridtwin.study.folder.Folder.open`.
    path
        Of the page, one HTML file with its charts as SVG, no script and no request.
    """
    view = View(folder)
    drawn = figures(view)
    pictures = {figure.key: to_svg(figure.chart) for figure in drawn}
    tables = _tables(view)
    found = sections(drawn, pictures, _SECTIONS)
    known = {section["key"]: section for section in found}
    shown = [
        known.get(key, {"key": key, "title": title, "intro": intro, "figures": []})
        for key, title, intro in _SECTIONS
        if key in known or key in tables
    ]
    page = (
        environment()
        .get_template("study.html.j2")
        .render(
            title=folder.spec.name,
            sentences=sentences(view),
            cards=cards(view) if view.rows else [],
            complete=folder.complete,
            sections=shown,
            tables=tables,
            metrics=study_tables.by_metric(view) if view.rows else [],
            constant=study_tables.constant(view) if view.rows else [],
            notes=_notes(view),
            provenance=_provenance(view),
        )
    )
    path = Path(path)
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _tables(view: View) -> dict[str, Any]:
    if not view.rows:
        return {}
    found = {"scenarios": study_tables.side_by_side(view)}
    sites = study_tables.sites(view)
    more = {
        "sensitivity": study_tables.effects(view),
        "sites": None if sites is None else sites[0],
        "feedback": study_tables.drifts(view),
    }
    return found | {key: table for key, table in more.items() if table is not None}


def figures(view: View) -> list[Figure]:
    """Return all charts of a study, in order."""
    if not view.rows:
        return []
    return [*_differences(view), *_timelines(view), *_sensitivity(view), *_map(view), *_drift(view)]


def _differences(view: View) -> list[Figure]:
    """Return the chart of all changes against the base."""
    scenarios = [s for s in view.folder.scenarios if s.id != view.base.id][:MOST_DRAWN]
    if not scenarios:
        return []
    rows: list[tuple[Any, ...]] = []
    panels = []
    for metric in view.main:
        mine = [(s, view.rows[s.id, metric]) for s in scenarios if (s.id, metric) in view.rows]
        ends = [abs(row[k]) for _, row in mine for k in ("change", "low", "high") if row[k]]
        size, unit = _scaled(view.metrics[metric].unit, max(ends, default=0.0))
        panels.append((metric, f"{words(metric).capitalize()} ({unit})"))
        for scenario, row in mine:
            judged = view.judged(scenario.id, metric) or "by chance"
            scaled = [None if row[k] is None else row[k] / size for k in ("change", "low", "high")]
            rows.append((metric, scenario.label, *scaled, judged))
    schema = {"metric": pl.String, "scenario": pl.String}
    numbers = dict.fromkeys(("change", "low", "high"), pl.Float64)
    frame = pl.DataFrame(rows, schema={**schema, **numbers, "judged": pl.String}, orient="row")
    caption = f"Change against {view.base.label}; the line is no change."
    if (rest := len(view.folder.scenarios) - 1 - len(scenarios)) > 0:
        caption += f" The first {MOST_DRAWN} are drawn, {count(rest)} more are in the table."
    title = "Every scenario beside the base"
    chart = study_charts.differences(frame, panels)
    return [Figure("differences", "scenarios", title, caption, chart, size="wide")]


def _scaled(unit: str, largest: float) -> tuple[float, str]:
    """Return what to divide by, and the unit that is then meant."""
    if unit == "share":
        return 0.01, "percentage points"
    for size, name in _UNITS.get(unit, ()):
        if largest >= 2 * size or size == 1.0:
            return size, name
    return 1.0, unit


def _timelines(view: View) -> list[Figure]:
    """Return queue and use over time, a panel a circumstance and a colour a choice."""
    everything = view.folder.timelines.filter(pl.col("site").is_null())
    if not everything.height:
        return []
    lines = list(dict.fromkeys(view.choice[s.id] for s in view.deciding()))[:MOST_LINES]
    here = view.circumstance[view.base.id]
    panels = [here, *(p for p in dict.fromkeys(view.circumstance.values()) if p != here)]
    panels = panels[:MOST_PANELS]
    last = float(everything["time_s"].max())  # type: ignore[arg-type]
    first = float(everything["time_s"].min())  # type: ignore[arg-type]
    points = min(MOST_POINTS, MOST_ROWS // (len(lines) * len(panels)))
    grid = np.linspace(first, last, points)
    figures = []
    for column, title, axis in (
        ("queued", "Jobs waiting", "Jobs waiting"),
        ("busy_cores", "Cores in use", "Cores in use"),
    ):
        parts = []
        for scenario in view.folder.scenarios:
            line, panel = view.choice[scenario.id], view.circumstance[scenario.id]
            if line in lines and panel in panels:
                mine = everything.filter(pl.col("scenario") == scenario.id)
                if mine.height:
                    part = _band(mine, column, grid)
                    names = {"line": line or "all", "panel": panel or " "}
                    parts.append(part.with_columns(**{k: pl.lit(v) for k, v in names.items()}))
        if not parts:
            continue
        chart = study_charts.bands(
            pl.concat(parts),
            axis,
            order=[line or "all" for line in lines],
            panels=[panel or " " for panel in panels],
        )
        key = {"queued": "queue", "busy_cores": "use"}[column] + "_over_time"
        figures.append(Figure(key, "timelines", title, "", chart, size="wide"))
    return figures


def _band(frame: pl.DataFrame, column: str, grid: Floats) -> pl.DataFrame:
    """Return mean, lowest and highest over the seeds at each point of a grid; 0 after the end."""
    values = []
    for _, part in sorted(frame.partition_by("seed", as_dict=True).items()):
        part = part.sort("time_s")
        time, value = part["time_s"].to_numpy(), part[column].to_numpy().astype(float)
        width = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
        at = np.searchsorted(time, grid, side="right") - 1
        held = np.where(at >= 0, value[np.maximum(at, 0)], 0.0)
        values.append(np.where(grid > time[-1] + width, 0.0, held))
    stack = np.array(values)
    several = len(stack) > 1
    return pl.DataFrame(
        {
            "day": np.round(grid / DAY, 4),
            "mid": np.round(stack.mean(0), 3),
            "low": np.round(stack.min(0), 3) if several else np.full(len(grid), np.nan),
            "high": np.round(stack.max(0), 3) if several else np.full(len(grid), np.nan),
        }
    ).with_columns(pl.col("low", "high").fill_nan(None))


def _sensitivity(view: View) -> list[Figure]:
    frame = view.folder.sensitivity.filter(pl.col("metric").is_in(list(view.metrics)))
    axes = frame["axis"].unique(maintain_order=True).to_list()
    if not set(axes) - {"seed", "together"}:
        return []
    varying = frame.group_by("metric").agg(pl.col("share").sum()).filter(pl.col("share") > 0)
    frame = frame.filter(pl.col("metric").is_in(varying["metric"].to_list()))
    if not frame.height:
        return []
    order = [a for a in axes if a not in ("seed", "together")] + ["together", "seed"]
    named = frame.with_columns(
        pl.col("metric").map_elements(lambda m: words(m).capitalize(), return_dtype=pl.String)
    ).select("metric", "axis", "share")
    chart = study_charts.shares_of_variance(named, order)
    title = "Which axis moves which figure"
    return [Figure("variance", "sensitivity", title, "", chart, size="wide")]


def _map(view: View) -> list[Figure]:
    found = study_tables.sites(view)
    if found is None:
        return []
    frame = found[1]
    place = countries(frame["site"].to_list())
    if len(set(place.values())) < 2:
        return []
    chart = site_map(by_country(frame, place), "Busy cores, mean")
    caption = f"Mean busy cores of the base scenario by country; {count(len(place))} sites"
    if (rest := frame.height - len(place)) > 0:
        caption += f", and {count(rest)} of no known country"
    return [Figure("map", "sites", "Work by country", caption + ".", chart, size="wide")]


def _drift(view: View) -> list[Figure]:
    table = study_tables.drifts(view)
    if table is None or len(table.rows) < 2:
        return []
    frame = view.folder.feedback.filter(pl.col("scenario") == view.base.id)
    known = [n for n in frame.columns if n.replace("_", " ").capitalize() in table.head[1:]][:9]
    long = frame.select("window", pl.col(known).cast(pl.Float64)).unpivot(
        index="window", variable_name="figure", value_name="value"
    )
    bands = long.group_by("figure", "window", maintain_order=True).agg(
        mid=pl.col("value").mean(), low=pl.col("value").min(), high=pl.col("value").max()
    )
    caption = "Mean over the seeds; the band reaches from the lowest to the highest."
    chart = study_charts.drift(bands.with_columns(pl.col("figure").str.replace_all("_", " ")))
    return [Figure("drift", "feedback", "Window by window", caption, chart, size="wide")]


def _notes(view: View) -> Sequence[str]:
    frame = view.folder.notes.group_by("note", maintain_order=True).agg(pl.col("runs").sum())
    return [f"{note} ({count(runs)} runs)" for note, runs in frame.iter_rows()]


def _provenance(view: View) -> list[tuple[str, str]]:
    spec, folder = view.folder.spec, view.folder
    seeds = ", ".join(map(str, spec.seeds[:20])) + ("…" if len(spec.seeds) > 20 else "")
    return [
        ("Command", "gridtwin study run"),
        *((f"Axis: {axis}", ", ".join(labels)) for axis, labels in spec.axes.items()),
        ("Base scenario", f"{view.base.label} ({view.base.id})"),
        ("Seeds", seeds),
        ("Runs done", f"{count(len(folder.finished))} of {count(folder.total)}"),
        *((f"Input: {name}", f"SHA-256 {digest}") for name, digest in spec.inputs.items()),
        ("Versions", ", ".join(f"{name} {found}" for name, found in spec.versions.items())),
    ]
