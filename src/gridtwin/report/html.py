"""Write the report: one HTML file that needs nothing else, no network and no script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridtwin.core.files import writing
from gridtwin.report import facts, judged, verdict
from gridtwin.report.dynamics import arrivals, fidelity, queues
from gridtwin.report.export import Format, to_svg
from gridtwin.report.figures import attributes, relations
from gridtwin.report.numbers import number
from gridtwin.report.page import environment, save, sections
from gridtwin.trace import JobTable

if TYPE_CHECKING:
    from gridtwin.metrics import Evaluation, Row
    from gridtwin.sim import Result

__all__ = ["write_report"]

_SECTIONS = (
    (
        "attributes",
        "What the jobs ask for and do",
        "Cumulative distributions: each line shows which share of the jobs has at most the value "
        "below. The closer the two lines, the better.",
    ),
    (
        "relations",
        "Relations between attributes",
        "How strongly each attribute tells about each other one: Pearson's r for two numbers, the "
        "correlation ratio for a number and a category, Theil's U for two categories.",
    ),
    (
        "arrivals",
        "When jobs arrive",
        "The week's rhythm, unrest from day to day, and bursts.",
    ),
    (
        "queues",
        "The queues that the traces make",
        "Both traces were run through the same simulated machine and scheduler. This is the test "
        "that counts for scheduling studies.",
    ),
)
_AT_SITES = (
    "Both traces were run through the same simulated sites and scheduler, each job at its own "
    "site. A site that is only as large as the real trace used it at once makes no real job wait: "
    "there the synthetic trace can but wait longer."
)


def write_report(
    folder: Path | str,
    *,
    title: str,
    real: JobTable,
    synthetic: JobTable | Sequence[JobTable],
    evaluation: "Evaluation | None" = None,
    simulations: "Mapping[str, Result] | None" = None,
    notes: Sequence[str] = (),
    provenance: Mapping[str, str] | None = None,
    figures: Sequence[Format] = ("svg",),
) -> Path:
    """Write ``folder/report.html`` and, for each format, ``folder/figures/<chart>.<format>``.

    Parameters
    ----------
    folder
        Made if it is not there.
    title
        Of the report: what trace, what model.
    real, synthetic
        The traces to compare; of several synthetic samples the first one is drawn.
    evaluation
        The metrics with their reference values; the report has none where None.
    simulations
        Results by the name of the trace, such as "real" and "synthetic".
    notes
        Sentences for the reader, shown in the summary.
    provenance
        What made the report, by name: seed, command, model.
    figures
        Formats of the charts' own files; none to write only the page.

    Returns
    -------
    path
        Of the page. It holds its charts as SVG, makes no request and runs no script.
    """
    first = synthetic if isinstance(synthetic, JobTable) else next(iter(synthetic), None)
    traces = {"real": real} if first is None else {"real": real, "synthetic": first}
    simulations = simulations or {}
    rows = tuple(evaluation.rows) if evaluation is not None else ()
    drawn, left_out = attributes(traces)
    drawn += relations(traces) + arrivals(traces) + fidelity(rows) + judged.load_curve(rows)
    drawn += queues(simulations)
    folder = Path(folder)
    pictures = {figure.key: to_svg(figure.chart) for figure in drawn}
    save(drawn, pictures, folder / "figures", figures)
    simulated, simulation_rows = facts.simulation_table(simulations)
    cores, sites = _machine(evaluation, simulations)
    told = [(k, t, _AT_SITES if k == "queues" and sites > 1 else i) for k, t, i in _SECTIONS]
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            traces=list(traces),
            trace_rows=facts.trace_table(traces, cores, sites),
            dropped=facts.dropped(traces),
            notes=list(notes),
            headlines=verdict.headlines(rows),
            sentences=_shortest_first(evaluation.verdict if evaluation is not None else ()),
            judged_notes=evaluation.notes if evaluation is not None else (),
            sections=sections(drawn, pictures, told),
            left_out=left_out,
            simulated=simulated,
            simulation_rows=simulation_rows,
            columns=judged.column_table(rows),
            telling=judged.telling(rows),
            groups=_groups(rows),
            how_marked=verdict.HOW_MARKED,
            provenance=facts.provenance(traces, provenance or {}),
        )
    )
    path = folder / "report.html"
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _shortest_first(sentences: Sequence[str]) -> list[str]:
    """Return the sentences, the one that sums them up first."""
    return sorted(sentences, key=lambda text: not text.startswith("In short"))


def _machine(
    evaluation: "Evaluation | None", simulations: "Mapping[str, Result]"
) -> tuple[int | None, int]:
    """Return the cores that were simulated or judged, None where nothing was, and the sites."""
    for result in simulations.values():
        return result.cores, len(result.platform.sites)
    cores = evaluation.sizes.get("cores") if evaluation is not None else None
    return cores or None, 1


def _groups(rows: "Sequence[Row]") -> list[dict[str, Any]]:
    """Return the metric table: groups in order of appearance, values as text."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(_row(row))
    return [{"title": verdict.SUBJECT.get(g, g.capitalize()), "rows": r} for g, r in groups.items()]


def _row(row: "Row") -> dict[str, Any]:
    weeks = verdict.weeks_range(row)
    return {
        "metric": row.metric,
        "name": verdict.NAMES.get(row.metric, row.metric),
        "definition": _prose(row.definition),
        "mark": verdict.mark(row),
        "best": verdict.goal_text(row.goal),
        "synthetic": number(row.synthetic),
        "spread": _range(row.spread) or _interval(row),
        "heldout": number(row.heldout),
        "train_copy": number(row.train_copy),
        "weeks": number(row.weeks),
        "weeks_spread": _range(weeks),
        "columns": [(name, number(value)) for name, value in row.by_column.items()],
        "reason": str(row.detail.get("reason", row.detail.get("note", ""))),
    }


def _interval(row: "Row") -> str:
    """Return the 95 % interval of an attack's AUC, where the row has one."""
    pair = row.detail.get("interval")
    return "" if pair is None or row.synthetic is None else f"95 %: {_range((pair[0], pair[1]))}"


def _prose(docstring: str) -> str:
    """Return a docstring as running text: one line a paragraph, no marks of code."""
    paragraphs = docstring.replace("`", "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _range(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{number(pair[0])} to {number(pair[1])}"
