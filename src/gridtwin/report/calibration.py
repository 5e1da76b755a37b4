"""Write the page of a calibration: the settings found, and how they do on the later records."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gridtwin.report import facts, study_charts
from gridtwin.report.calibration_tables import (
    BESIDE,
    MODELS,
    NAMES,
    WITHIN,
    judged,
    scores_table,
    settings_table,
    unit_of,
)
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, count, date, quantity
from gridtwin.report.page import write_results
from gridtwin.report.verdict import Headline
from gridtwin.sim.calibrate import PARAMETERS, Calibration
from gridtwin.sim.calibration.judge import Score

__all__ = ["write_calibration_report"]

MOST_SITES = 40
"""Sites of the chart and the tables; those with the most jobs."""
_MEANING = {
    "policy": "how jobs are started",
    "cores": "share of the cores that these jobs can use",
    "dispatch": "median time from submission to the queue, s",
    "spread": "standard deviation of the logarithm of that time",
    "limit": "share of the site's cores that one user can hold",
    "caps": "whether single users are held to what they seemed to be held to",
    "estimate": "what backfilling expects a job to take, over what it asked for",
    "background": "jobs that the records do not show, over those that they do",
    "pilot": "time that a job holds its cores before its payload, s",
    "stretch": "wall time of a payload over its CPU time per core",
    "bandwidth": "bandwidth of the site's routes over that of the platform",
}
_SECTIONS = (
    (
        "settings",
        "What was found",
        "The setting of each site; one that stands at its default changes nothing. Small, below: "
        "the values that the records are compatible with, where profiles were asked for.",
    ),
    (
        "judged",
        "On later records",
        "Wasserstein distance of simulated to recorded values of the jobs submitted after those it "
        "was fitted on, 0 is best. Beside it the simulation with the default setting, and two that "
        "need no simulation: the median and the distribution of the site's earlier jobs.",
    ),
)
_DEFINITIONS = (
    ("Loss", "Mean Wasserstein distance to the records it was fitted on, over weeks and "
     "quantities; about 1 for a model that says the median for every job."),
    ("Whole span", "All later jobs of a site as one distribution."),
    ("Within weeks", "The mean over weeks (days or hours of a short trace), weighted by jobs, of "
     "the distance within each, which also asks when it is busy."),
    ("Intervals", "Hold 95 % of block bootstraps; those of differences are paired, and below 0 are "
     "for the calibration."),
)  # fmt: skip


def write_calibration_report(
    found: Calibration, path: Path | str, *, source: str = "", most: int = MOST_SITES
) -> Path:
    """Write the page of a calibration; the same bytes for the same results.

    Parameters
    ----------
    path
        Of the page, one HTML file with its chart as SVG, no script and no request.
    source
        What the records were read from.
    most
        Sites of the chart and the tables.
    """
    fits = sorted(found.sites, key=lambda fit: -fit.jobs)[:most]
    shown = {fit.site for fit in fits}
    scores = [score for score in found.scores if score.site in shown]
    parameters = [(name, text) for name, text in _MEANING.items() if name in PARAMETERS]
    return write_results(
        path,
        command="gridtwin calibrate",
        title=f"Calibration of {Path(source).name or 'a platform'}",
        sentences=_sentences(found),
        cards=_cards(found),
        wanted=_SECTIONS,
        figures=_figures(scores),
        tables={
            "settings": [settings_table(fits, len(found.sites))],
            "judged": [table for within in WITHIN for table in scores_table(scores, within)],
        },
        definitions=[*_DEFINITIONS, *parameters],
        provenance=_provenance(found, source),
    )


def _tally(scores: Sequence[Score], beside: str) -> tuple[int, int]:
    """Return at how many sites the calibration is beyond chance nearer, and farther."""
    ends = [getattr(score, f"minus_{beside}") for score in scores]
    return sum(high < 0 for _, high in ends), sum(low > 0 for low, _ in ends)


def _sentences(found: Calibration) -> list[str]:
    """Return the verdict: against the default and against what needs no simulation."""
    told = []
    for name, words in NAMES.items():
        scores = [s for s in found.scores if s.quantity == name and s.within == "span"]
        if scores:
            told.append(_compared(words, name, scores))
    if not told:
        told = ["No later job has what it takes to judge the calibration."]
    known = [known for fit in found.sites for known in fit.known]
    if flat := sum(one.flat for one in known):
        told.append(
            f"{flat} of {len(known)} fitted values are not told by the records: others do as well."
        )
    notes = [f"{fit.site}: {fit.note}." for fit in found.sites if fit.note]
    told += notes[:5]
    if (rest := len(notes) - 5) > 0:
        told.append(f"{rest} more sites keep the default setting.")
    return told


def _compared(words: str, name: str, scores: Sequence[Score]) -> str:
    """Say of one quantity how near the calibration comes to the later records."""
    if all(s.calibrated == s.default and s.minus_default == (0.0, 0.0) for s in scores):
        return f"{_capital(words)}: the calibration leaves it as it is by default."
    if len(scores) > 1:
        parts = []
        for beside, text in BESIDE.items():
            nearer, farther = _tally(scores, beside)
            parts.append(f"than {text} at {nearer} and farther at {farther}")
        return (
            f"{_capital(words)}, {len(scores)} sites: beyond chance, the calibration is nearer to "
            f"the later records {'; '.join(parts)}."
        )
    (score,) = scores
    unit = unit_of(name)
    parts = [
        f"{quantity(getattr(score, beside), unit)} with {text} ({_said(score, beside)})"
        for beside, text in BESIDE.items()
    ]
    return (
        f"{_capital(words)}: the distance to the later records is "
        f"{quantity(score.calibrated, unit)} with the calibrated setting; {' and '.join(parts)}."
    )


def _said(score: Score, beside: str) -> str:
    told = {"better": "the calibration is nearer", "worse": "the calibration is farther"}
    return told.get(judged(*getattr(score, f"minus_{beside}")), "the difference may be chance")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _cards(found: Calibration) -> list[Headline]:
    cards = []
    for name, words in NAMES.items():
        scores = [s for s in found.scores if s.quantity == name and s.within == "span"]
        if not scores:
            continue
        unit = unit_of(name)
        middle = [pl.Series([getattr(s, k) for s in scores]).median() for k in MODELS]
        own, *others = (quantity(float(value), unit) for value in middle)  # type: ignore[arg-type]
        what = "distance to the later records"
        what += ", median over sites" if len(scores) > 1 else ""
        lines = [
            f"{title.lower()}: {text}"
            for title, text in zip(list(MODELS.values())[1:], others, strict=True)
        ]
        cards.append(Headline(_capital(words), own, "", what, tuple(lines)))
    return cards


def _figures(scores: Sequence[Score]) -> list[Figure]:
    """Return the chart of calibrated - default, a panel a quantity, a row a site."""
    rows, panels = [], []
    for name, words in NAMES.items():
        mine = [s for s in scores if s.quantity == name and s.within == "span"]
        if not mine:
            continue
        ends = [end for s in mine for end in (*s.minus_default, s.calibrated - s.default)]
        if not any(ends):
            continue
        size, unit = _scale(max(abs(end) for end in ends)) if unit_of(name) else (1.0, "")
        panels.append((name, f"{_capital(words)}{f' ({unit})' if unit else ''}"))
        for s in mine:
            low, high = s.minus_default
            change = (s.calibrated - s.default) / size
            rows.append((name, s.site, change, low / size, high / size, judged(low, high)))
    if not rows:
        return []
    text, numbers = pl.String, dict.fromkeys(("change", "low", "high"), pl.Float64)
    schema = {"metric": text, "scenario": text, **numbers, "judged": text}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    caption = (
        "Distance to the later records with the calibrated setting, less that with the default "
        "one, over the whole span; bars hold 95 %. Left of the line the calibration is nearer."
    )
    chart = study_charts.differences(frame, panels)
    title = "Calibrated less default"
    return [Figure("calibrated", "judged", title, caption, chart, size="wide")]


def _scale(largest: float) -> tuple[float, str]:
    """Return the unit of time that suits a value in s."""
    units = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))
    return next((u for u in units if largest >= 2 * u[0]), (1.0, "s"))


def _provenance(found: Calibration, source: str) -> list[tuple[str, str]]:
    later = max((score.jobs for score in found.scores), default=0)
    rows = [
        ("Command", "gridtwin calibrate"),
        ("Records", source or NONE),
        ("Split", f"jobs submitted from {date(found.split)} on were judged"),
        ("Sites", count(len(found.sites))),
        ("Judged", f"up to {count(later)} jobs of a site"),
        ("Trials", f"{count(found.trials)} at each site"),
        ("Seed", str(found.seed)),
        ("Cores", "known" if found.stated else "the most in use at once"),
    ]
    rows += [("Left out", f"{count(n)} jobs: {reason}") for reason, n in found.left_out.items()]
    return [*rows, ("Versions", facts.versions())]
