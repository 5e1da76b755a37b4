"""The tables of a study's page."""

import polars as pl

from gridtwin.report.maps import countries
from gridtwin.report.numbers import NONE, count, number, percent, quantity, signed
from gridtwin.report.page import Cell, Line, Table
from gridtwin.report.study_words import View, between, words

__all__ = ["by_metric", "constant", "drifts", "effects", "side_by_side", "sites"]

MOST_ROWS = 60
"""Scenarios of a table; of more the base and the two ends are told."""
MOST_SITES = 30
LEAST_SHARE = 0.01
"""Of the variance: an axis that explains less is no row of the effects."""


def side_by_side(view: View) -> Table:
    """Return the scenarios with the main metrics, each beside the base."""
    rows = []
    for scenario in view.folder.scenarios[:MOST_ROWS]:
        cells = [_cell(view, scenario.id, metric) for metric in view.main]
        base = scenario.id == view.base.id
        rows.append(Line(scenario.label, cells, "base" if base else "", "base" if base else ""))
    caption = "Scenarios side by side: mean over seeds; below it the change against the base"
    if (rest := len(view.folder.scenarios) - MOST_ROWS) > 0:
        caption += f". {count(rest)} more are in comparison.parquet"
    return Table(caption, ["Scenario", *(words(m).capitalize() for m in view.main)], rows)


def _cell(view: View, scenario: str, metric: str) -> Cell:
    row, unit = view.rows.get((scenario, metric)), view.metrics[metric].unit
    if row is None:
        return Cell(NONE)
    value = quantity(row["mean"], unit)
    if scenario == view.base.id:
        return Cell(value)
    verdict = view.judged(scenario, metric)
    note = view.changed(scenario, metric)
    return Cell(value, f"{note}: {verdict}" if verdict else note, verdict)


def by_metric(view: View) -> list[tuple[str, str, Table]]:
    """Return title, definition and table of each metric that is not the same in all scenarios.

    The best mean is first.
    """
    found = []
    for metric in view.varying:
        about = view.metrics[metric]
        mine = view.folder.comparison.filter(pl.col("metric") == metric)
        mine = mine.sort("mean", descending=about.goal == "max", maintain_order=True)
        rows = [_scenario(view, row) for row in mine.iter_rows(named=True)]
        left = len(rows) - MOST_ROWS
        if left > 0:
            base = [r for r in rows[MOST_ROWS // 2 : -MOST_ROWS // 2] if r.mark == "base"]
            rows = [*rows[: MOST_ROWS // 2], *base, *rows[-MOST_ROWS // 2 :]]
        title = words(metric).capitalize()
        caption = f"{title}: all scenarios" + ("" if left <= 0 else ", the ends of the list")
        head = ["Scenario", "Mean", "Change", "95 % interval", "Ratio", "Wins", "Seeds"]
        found.append((title, about.definition, Table(caption, head, rows)))
    return found


def constant(view: View) -> list[str]:
    """Return the metrics that are the same in all scenarios, with their values."""
    found = []
    for metric, about in view.metrics.items():
        if metric not in view.varying:
            mean = view.rows[view.base.id, metric]["mean"]
            found.append(f"{words(metric)} {quantity(mean, about.unit)}")
    return found


def _scenario(view: View, row: dict[str, object]) -> Line:
    scenario, metric = str(row["scenario"]), str(row["metric"])
    found = view.rows[scenario, metric]
    unit = view.metrics[metric].unit
    base = scenario == view.base.id
    name = view.folder.spec.by_id[scenario].label
    mean = Cell(quantity(found["mean"], unit))
    seeds = Cell(count(found["n"]))
    if base:
        return Line(name, [mean, *[Cell(NONE)] * 4, seeds], "base", "base")
    interval = between(found, unit).removeprefix("95 %: ") or NONE
    wins = NONE if found["wins"] is None else percent(found["wins"])
    cells = [
        mean,
        Cell(
            signed(found["change"], "points" if unit == "share" else unit),
            "",
            view.judged(scenario, metric),
        ),
        Cell(interval),
        Cell(number(found["ratio"])),
        Cell(wins),
        seeds,
    ]
    return Line(name, cells)


def effects(view: View) -> Table | None:
    """Return what each axis does to each metric; None where nothing varies."""
    rows = []
    frame = view.folder.sensitivity.filter(~pl.col("axis").is_in(["seed", "together"]))
    for row in frame.iter_rows(named=True):
        if row["metric"] not in view.metrics or row["share"] < LEAST_SHARE:
            continue
        unit = view.metrics[row["metric"]].unit
        interval = ""
        if row["low"] is not None:
            low, high = quantity(row["low"], unit), quantity(row["high"], unit)
            interval = f"95 %: {low} to {high}"
        cells = [
            Cell(row["axis"]),
            Cell(percent(row["share"])),
            Cell(quantity(row["effect"], unit), interval),
            Cell(str(row["least"])),
            Cell(str(row["most"])),
        ]
        rows.append(Line(words(row["metric"]).capitalize(), cells))
    head = ["Metric", "Axis", "Variance explained", "Largest difference", "Lowest", "Highest"]
    return (
        Table(
            "What an axis moves on average over all others, where it explains 1 % or more",
            head,
            rows,
        )
        if rows
        else None
    )


def sites(view: View) -> tuple[Table, pl.DataFrame] | None:
    """Return a table of the sites, and the mean busy cores of each in the base; None: no sites.

    The frame has ``site``, ``size``.
    """
    frame = view.folder.timelines.drop_nulls("site")
    means = frame.group_by("scenario", "site").agg(pl.col("busy_cores", "queued").mean())
    mine = means.filter(pl.col("scenario") == view.base.id).sort(
        "busy_cores", "site", descending=[True, False]
    )
    if not mine.height:
        return None
    place = countries(mine["site"].to_list())
    others = [s for s in (*view.deciding(), *view.happening()) if s.id != view.base.id][:4]
    queue = {(r["scenario"], r["site"]): r["queued"] for r in means.iter_rows(named=True)}
    rows = []
    for row in mine.head(MOST_SITES).iter_rows(named=True):
        waits = [queue.get((s.id, row["site"])) for s in others]
        cells = [Cell(place.get(row["site"], NONE)), Cell(number(row["busy_cores"]))]
        cells += [Cell(number(value)) for value in (row["queued"], *waits)]
        rows.append(Line(row["site"], cells))
    labels = [f"Waiting: {s.label}" for s in others]
    head = ["Site", "Country", "Busy cores, base", "Waiting, base", *labels]
    caption = "Sites by mean busy cores in the base; jobs waiting on average"
    if (rest := mine.height - MOST_SITES) > 0:
        caption += f". {count(rest)} more are in timelines.parquet"
    return Table(caption, head, rows), mine.select("site", size="busy_cores")


def drifts(view: View) -> Table | None:
    """Return the figures of each window, means over scenarios' seeds; None without feedback."""
    frame = view.folder.feedback
    if "window" not in frame.columns or not frame.height:
        return None
    frame = frame.filter(pl.col("scenario") == view.base.id)
    names = [
        n
        for n, kind in frame.schema.items()
        if kind.is_numeric() and n not in ("seed", "window") and frame[n].null_count() < len(frame)
    ]
    means = frame.group_by("window").agg(pl.col(names).cast(pl.Float64).mean()).sort("window")
    rows = [
        Line(f"Window {row['window']}", [Cell(number(row[name])) for name in names])
        for row in means.iter_rows(named=True)
    ]
    head = ["Window", *(name.replace("_", " ").capitalize() for name in names)]
    return Table("Each window of the base scenario, mean over seeds", head, rows)
