"""Write the page of a transfer experiment: what it costs to train on generated jobs."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gridtwin.core.files import writing
from gridtwin.report import study_charts
from gridtwin.report.export import to_svg
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, count, percent, signed
from gridtwin.report.page import Cell, Line, Table, environment, sections
from gridtwin.report.verdict import Headline

__all__ = ["sentences", "write_transfer_report"]

Row = Mapping[str, Any]
Words = Callable[[float], str]
_BACKFILLS = {
    "none": "without backfilling",
    "easy": "with EASY backfilling",
    "conservative": "with conservative backfilling",
}
_REAL, _WEEKS = "real", "real weeks"
_SECTIONS = (
    (
        "cost",
        "What a source costs",
        "How much higher the bounded slowdown of later real jobs is than after training on real "
        "jobs, seed by seed and sequence by sequence. Bars are 95 % intervals over seeds and "
        "stretches of the trace; one that crosses the line may be chance. Real weeks are the same "
        "jobs in weeks drawn anew: what the draw of a period alone does.",
    ),
)


def write_transfer_report(told: Mapping[str, Any], path: Path | str) -> Path:
    """Write the page of an experiment; the same bytes for the same results.

    Parameters
    ----------
    told
        What `gridtwin.study.transfer.transfer` returns.
    path
        Of the page, one HTML file with its charts as SVG, no script and no request.
    """
    drawn = _figures(told)
    found = sections(drawn, {f.key: to_svg(f.chart) for f in drawn}, _SECTIONS)
    page = (
        environment()
        .get_template("transfer.html.j2")
        .render(
            title=f"Training on generated jobs: {Path(told['source']).name}",
            sentences=sentences(told),
            cards=_cards(told),
            sections=found,
            tables=[_sources(setting) for setting in told["settings"]],
            heuristics=[_heuristics(setting) for setting in told["settings"]],
            provenance=_provenance(told),
        )
    )
    path = Path(path)
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def sentences(told: Mapping[str, Any]) -> list[str]:
    """Return the verdict: the cost of the first model, what is kept, and the other sources."""
    judged = [_subject(setting) for setting in told["settings"]]
    if not any(judged):
        return ["No model was trained on: nothing can be said of generated jobs.", *_pending(told)]
    name = next(row["source"] for row in judged if row)
    parts = [
        f"{_cost(row['cost']['mean'])} {where} ({_within(row['cost'], _cost)}"
        f"{', which may be chance' if _by_chance(row) else ''})"
        for row, where in zip(judged, map(_where, told["settings"]), strict=True)
        if row
    ]
    lead = (
        f"A scheduler trained on the jobs of the model {name}, and not on the real ones, changes "
        f"the slowdown of later real jobs by {' and '.join(parts)}."
    )
    return [lead, *_keeping(told), *_others(told), *_pending(told)]


def _subject(setting: Row) -> Row | None:
    """Return the row of the first model."""
    models = [row for row in setting["sources"] if row["source"] not in (_REAL, _WEEKS)]
    return models[0] if models else None


def _keeping(told: Mapping[str, Any]) -> list[str]:
    """Say how much of the gain of training on real jobs is kept."""
    found = []
    for setting in told["settings"]:
        row = _subject(setting)
        kept = dict(row["kept"]) if row else {}
        known = {name: one["share"] for name, one in kept.items() if one["share"] is not None}
        parts = [
            f"{_share(share['mean'])} of the gain over {name.upper()} ({_within(share, _share)})"
            for name, share in known.items()
        ]
        if parts:
            found.append(f"{_capital(_where(setting))}, it keeps {' and '.join(parts)}.")
        for name in (name for name in kept if name not in known):
            real = setting["sources"][0]["kept"][name]["gain"]
            less = {"mean": -real["mean"], "low": _minus(real["high"]), "high": _minus(real["low"])}
            found.append(
                f"{_capital(_where(setting))}, training on real jobs changes the slowdown of "
                f"{name.upper()} by {_ratio(less['mean'])} ({_within(less, _ratio)}): too little, "
                "or too uncertain, to say which part of that is kept."
            )
    return found


def _others(told: Mapping[str, Any]) -> list[str]:
    """Say which sources are clearly worse or better than real jobs."""
    found = []
    for setting in told["settings"]:
        for judged, word in (("worse", "Worse"), ("better", "Better")):
            rows = [row for row in setting["sources"] if _judged(row) == judged]
            rows.sort(key=lambda row: -abs(row["cost"]["mean"]))
            if rows:
                names = ", ".join(f"{r['source']} {_cost(r['cost']['mean'])}" for r in rows)
                found.append(f"{word} than real jobs beyond chance, {_where(setting)}: {names}.")
        best = setting["sources"][0]["to_best"]
        found.append(
            f"{_capital(_where(setting))}, training on real jobs changes the slowdown of "
            f"{setting['best']}, the best heuristic on this test, by {_ratio(best['mean'])} "
            f"({_within(best, _ratio)})."
        )
    return found


def _pending(told: Mapping[str, Any]) -> list[str]:
    return [f"Note: {warning}." for warning in told["warnings"]]


def _where(setting: Row) -> str:
    return _BACKFILLS[setting["backfill"]]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _judged(row: Row) -> str:
    """Return whether a cost is better, worse or within chance ("")."""
    low, high = row["cost"]["low"], row["cost"]["high"]
    if low is None or low <= 0 <= high:
        return ""
    return "worse" if low > 0 else "better"


def _by_chance(row: Row) -> bool:
    return row["cost"]["low"] is not None and not _judged(row)


def _log(value: float) -> str:
    return signed(value, "")


def _ratio(value: float) -> str:
    return _cost(math.expm1(value))


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _cost(value: float) -> str:
    return signed(value, "share")


def _share(value: float) -> str:
    return f"{100 * value:.0f} %".replace("-", "\N{MINUS SIGN}")


def _within(value: Row, words: Words) -> str:
    if value["low"] is None:
        return "no interval"
    return f"95 %: {words(value['low'])} to {words(value['high'])}"


def _cards(told: Mapping[str, Any]) -> list[Headline]:
    found = []
    for setting in told["settings"]:
        row = _subject(setting)
        if row is None:
            continue
        lines = [_within(row["cost"], _cost)]
        for name, one in row["kept"].items():
            share = one["share"]
            text = (
                f"{_share(share['mean'])} of the gain is kept"
                if share
                else "the gain is too near to nothing"
            )
            lines.append(f"over {name.upper()}: {text}")
        title = f"Cost of {row['source']}, {_where(setting)}"
        best = "slowdown against training on real jobs; 0 % is best"
        found.append(Headline(title, _cost(row["cost"]["mean"]), "", best, tuple(lines)))
    return found


def _figures(told: Mapping[str, Any]) -> list[Figure]:
    rows, panels = [], []
    for setting in told["settings"]:
        panels.append((setting["backfill"], f"Cost {_where(setting)} (%)"))
        for row in setting["sources"]:
            if row["source"] != _REAL:
                ends = [row["cost"][key] for key in ("mean", "low", "high")]
                scaled = [None if end is None else 100 * end for end in ends]
                judged = _judged(row) or "by chance"
                rows.append((setting["backfill"], row["source"], *scaled, judged))
    if not rows:
        return []
    schema = {"metric": pl.String, "scenario": pl.String}
    numbers = dict.fromkeys(("change", "low", "high"), pl.Float64)
    frame = pl.DataFrame(rows, schema={**schema, **numbers, "judged": pl.String}, orient="row")
    chart = study_charts.differences(frame, panels)
    caption = "Bounded slowdown against training on real jobs; the line is no difference."
    return [
        Figure(
            "cost_by_source", "cost", "Each source beside real jobs", caption, chart, size="wide"
        )
    ]


def _sources(setting: Row) -> Table:
    references = list(setting["sources"][0]["kept"])
    head = ["Trained on", "Cost", f"Log ratio to {setting['baseline']}"]
    head += [f"Of the gain over {name.upper()}" for name in references]
    head += ["Offered load", "Sequences that queue"]
    lines = []
    for row in setting["sources"]:
        real = row["source"] == _REAL
        cost = Cell(NONE) if real else _cell(row["cost"], _cost, _judged(row))
        cells = [cost, _cell(row["score"], _log)]
        for name in references:
            share = row["kept"][name]["share"]
            cells.append(Cell("says nothing") if share is None else _cell(share, _share))
        cells += [Cell(f"{row['load']:.2f}"), Cell(percent(row["queueing"]))]
        lines.append(Line(row["source"], cells, mark="base" if real else ""))
    return Table(f"Sources, {_where(setting)}: means with 95 % intervals", head, lines)


def _cell(value: Row, words: Words, mark: str = "") -> Cell:
    note = "" if value["low"] is None else f"{words(value['low'])} to {words(value['high'])}"
    return Cell(words(value["mean"]), note, mark)


def _heuristics(setting: Row) -> Table:
    head = ["Heuristic", f"Log ratio to {setting['baseline']}"]
    lines = [Line(h["policy"], [_cell(h["score"], _log)]) for h in setting["heuristics"]]
    return Table(f"Heuristics on the same sequences, {_where(setting)}", head, lines)


def _provenance(told: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    plan, trace = told["plan"], told["trace"]
    steps = "the method's own" if plan["steps"] is None else count(plan["steps"])
    return [
        ("Command", "gridtwin transfer"),
        ("Jobs", f"{told['source']}, SHA-256 of the two parts {told['sha256']}"),
        ("Machine", f"{count(told['cores'])} cores, GPUs or nodes"),
        (
            "Trained on",
            f"the first {percent(plan['share'])}: {count(trace['train_jobs'])} jobs, offered load "
            f"{trace['train_load']:.2f}",
        ),
        (
            "Tested on",
            f"{count(plan['sequences'])} sequences of {count(plan['length'])} jobs out of "
            f"{count(trace['test_jobs'])} later ones, offered load {trace['test_load']:.2f}; "
            f"{trace['stretches']} stretches",
        ),
        ("Method", f"{plan['method']}, {steps} decisions, {plan['seeds']} seeds"),
        ("Versions", ", ".join(f"{name} {found}" for name, found in told["versions"].items())),
    ]
