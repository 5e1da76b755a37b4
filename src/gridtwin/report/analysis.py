"""Write the page of an analysis: key figures, charts, definitions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gridtwin.analysis import Analysis, Kpi
from gridtwin.core.files import writing
from gridtwin.report import facts
from gridtwin.report.analysis_figures import SECTIONS, analysis_figures
from gridtwin.report.export import Format, to_svg
from gridtwin.report.numbers import count, duration, number, percent
from gridtwin.report.page import environment, save, sections

__all__ = ["cards", "is_synthetic", "kpi_text", "sentences", "write_analysis"]

CARDS = (
    "queue_time_median",
    "failure_rate",
    "remote_share",
    "wasted_share",
    "component_share_sum",
    "cpu_efficiency",
    "at_limit_share",
    "peak_day_over_mean",
    "datasets_used_once_or_twice",
    "jobs",
    "sites",
    "cpu_time_median",
    "jobs_per_day",
)
"""The key figures at the top of the page: the first six that the table has."""


def write_analysis(
    folder: Path | str,
    analysis: Analysis,
    *,
    title: str,
    notes: Sequence[str] = (),
    provenance: Mapping[str, str] | None = None,
    figures: Sequence[Format] = ("svg",),
) -> Path:
    """Write ``folder/analysis.html`` and, for each format, ``folder/figures/<chart>.<format>``.

    Parameters
    ----------
    folder
        Made if it is not there.
    analysis
        Of `gridtwin.analysis.analyse`.
    title
        Heading of the page.
    notes
        Sentences for the reader, shown in the summary.
    provenance
        What made the page, by name.
    figures
        Formats of the charts' own files; none to write only the page.

    Returns
    -------
    path
        Of the page. It holds its charts as SVG, makes no request and runs no script.
    """
    folder = Path(folder)
    drawn = analysis_figures(analysis)
    pictures = {figure.key: to_svg(figure.chart) for figure in drawn}
    save(drawn, pictures, folder / "figures", figures)
    source = analysis.source
    page = (
        environment()
        .get_template("analysis.html.j2")
        .render(
            title=title,
            synthetic=is_synthetic(source),
            sentences=sentences(analysis),
            cards=cards(analysis),
            kpis=[_card(name, kpi) for name, kpi in analysis.kpis.items()],
            notes=list(notes),
            sections=sections(drawn, pictures, SECTIONS),
            definitions=list(analysis.definitions.items()),
            left_out=_reasons(analysis.left_out),
            dropped=list(dict(source.get("dropped", {})).items()),
            provenance=_origin(source, provenance or {}),
        )
    )
    path = folder / "analysis.html"
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def is_synthetic(source: Mapping[str, Any]) -> bool:
    """Tell whether the jobs were made by a generator, by their provenance."""
    words = [str(source.get("format", "")), str(source.get("source", "")), *source.get("notes", ())]
    return any("synthetic" in word.lower() for word in words)


_SENTENCES = (
    ("queue_time_median", "Half of the jobs start within {} of their creation."),
    ("failure_rate", "{} of the jobs that ended finished or failed have failed."),
    ("wasted_share", "{} of the core-hours went to jobs that failed."),
    ("cpu_efficiency", "The CPUs were busy for {} of the time that jobs held them."),
    ("remote_share", "{} of the data access was remote."),
    ("peak_day_over_mean", "The busiest day saw {} times the jobs of a mean day."),
)


def cards(analysis: Analysis) -> list[dict[str, Any]]:
    """Return the first six key figures that the jobs have."""
    kpis = analysis.kpis
    return [_card(name, kpis[name]) for name in CARDS if name in kpis][:6]


def sentences(analysis: Analysis) -> list[str]:
    """Return what the key figures say, those that the jobs have."""
    kpis = analysis.kpis
    counted = [kpi_text(kpis[name]) for name in ("jobs", "sites") if _told(kpis.get(name))]
    first = f"What was analysed: {' at '.join(counted)}."
    known = [(kpis[name], text) for name, text in _SENTENCES if _told(kpis.get(name))]
    return [first, *(text.format(kpi_text(kpi)) for kpi, text in known)]


def _told(kpi: Kpi | None) -> bool:
    return kpi is not None and kpi.value is not None


def _card(name: str, kpi: Kpi) -> dict[str, Any]:
    words = name.replace("_", " ").replace(" p90", ", 90th percentile").replace("cpu", "CPU")
    return {
        "key": name,
        "title": words[:1].upper() + words[1:],
        "value": kpi_text(kpi),
        "mark": "",
        "best": kpi.definition,
        "references": (f"n = {count(kpi.n)}",),
        "n": count(kpi.n),
    }


def kpi_text(kpi: Kpi) -> str:
    """Return a key figure with the unit that suits it."""
    if kpi.value is None:
        return "unknown"
    if kpi.unit == "s":
        return duration(kpi.value)
    if kpi.unit == "share":
        return percent(kpi.value)
    whole = isinstance(kpi.value, int) or abs(kpi.value) >= 1000
    plain = count(round(kpi.value)) if whole else number(kpi.value)
    return plain if kpi.unit in ("", "ratio") else f"{plain} {kpi.unit}"


def _reasons(left_out: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return reasons with the names of all frames that each keeps away."""
    found: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        found.setdefault(reason, []).append(name.replace("_", " "))
    return [(reason, ", ".join(names)) for reason, names in found.items()]


def _origin(source: Mapping[str, Any], more: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is needed to make the page again, `more` first."""
    rows = list(more.items())
    rows.append(("Source", f"{source.get('source', '')} (format: {source.get('format', '')})"))
    if source.get("sha256"):
        rows.append(("SHA-256", str(source["sha256"])))
    rows += [("Note", str(note)) for note in source.get("notes", ())]
    rows.append(("Versions", facts.versions()))
    return rows
