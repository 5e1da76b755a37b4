"""Write the page of the demo: what each part of the dynamic model found, and where its page is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gridtwin.core.files import writing
from gridtwin.report import analysis as analysed
from gridtwin.report import facts, verdict
from gridtwin.report.export import to_svg
from gridtwin.report.html import write_report
from gridtwin.report.numbers import count
from gridtwin.report.page import environment, sections
from gridtwin.report.study import figures, write_study_report
from gridtwin.report.study_words import View
from gridtwin.report.study_words import cards as study_cards
from gridtwin.report.study_words import sentences as study_sentences

if TYPE_CHECKING:
    from gridtwin.study.demo import Demo

__all__ = ["write_demo_report"]

_SHOWN = {"differences", "queue_over_time", "map"}
_FIGURES = (
    ("scenarios", "Scenarios side by side", "What each policy does in each circumstance."),
    ("timelines", "Jobs waiting", "How the queue grows and drains, mean and range of the seeds."),
    ("sites", "Where the work is done", "Of the base scenario."),
)


def write_demo_report(
    demo: "Demo", *, title: str, synthetic: bool, provenance: Mapping[str, str]
) -> Path:
    """Write the pages of the parts, and ``report.html``, which sums them up; return its path.

    `synthetic`: whether the records themselves were generated, which the pages then say.
    """
    folder = demo.folder
    notes = ("The example is itself synthetic: 'real' stands for it here.",) if synthetic else ()
    analysed.write_analysis(
        folder / "analysis",
        demo.analysis,
        title=f"What the records tell: {title}",
        notes=notes,
        provenance=provenance,
    )
    write_report(
        folder / "fidelity",
        title=f"The trace model against {title}",
        real=demo.loop.real,
        synthetic=demo.loop.samples,
        evaluation=demo.loop.evaluation,
        simulations=demo.loop.simulations,
        notes=notes,
        provenance={**provenance, "model": "trace"},
    )
    write_study_report(demo.study, folder / "study" / "report.html")

    view = View(demo.study)
    drawn = [figure for figure in figures(view) if figure.key in _SHOWN]
    pictures = {figure.key: to_svg(figure.chart) for figure in drawn}
    rows = tuple(demo.loop.evaluation.rows)
    page = (
        environment()
        .get_template("demo.html.j2")
        .render(
            title=f"The dynamic model of {title}",
            synthetic=synthetic,
            summary=_summary(demo),
            parts=[
                {
                    "key": "records",
                    "title": "The records",
                    "page": "analysis/analysis.html",
                    "more": "Queue times, errors, waste, sites, data and arrivals",
                    "sentences": analysed.sentences(demo.analysis),
                    "cards": analysed.cards(demo.analysis),
                },
                {
                    "key": "fidelity",
                    "title": "The model of them",
                    "page": "fidelity/report.html",
                    "more": "Every score beside what real jobs get",
                    "sentences": list(demo.loop.evaluation.verdict),
                    "cards": verdict.headlines(rows),
                },
                {
                    "key": "policies",
                    "title": "Policies and what-ifs",
                    "page": "study/report.html",
                    "more": "All scenarios, figures, sites and intervals",
                    "sentences": study_sentences(view),
                    "cards": study_cards(view),
                },
            ],
            sections=sections(drawn, pictures, _FIGURES),
            provenance=[*provenance.items(), *_origin(demo)],
        )
    )
    path = folder / "report.html"
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _summary(demo: "Demo") -> list[str]:
    """Return what was done, in a sentence each."""
    jobs, study = len(demo.loop.real), demo.study
    first = (
        f"{count(jobs)} jobs were read and analysed; a model learnt from them generates traces "
        f"like them; such traces ran on a platform in {count(len(study.scenarios))} scenarios "
        f"under {count(len(study.spec.seeds))} seeds each."
    )
    told = [first]
    for sentences in (demo.loop.evaluation.verdict, study_sentences(View(study))):
        told += list(sentences)[:1]
    return told


def _origin(demo: "Demo") -> list[tuple[str, str]]:
    return [
        ("Files", "study.toml and platform.toml are there to be changed and run again"),
        ("Runs", f"{count(len(demo.study.finished))} of {count(demo.study.total)}"),
        ("Versions", facts.versions()),
    ]
