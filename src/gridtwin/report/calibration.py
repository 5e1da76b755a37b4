"""Write the page of a calibration: the settings found, and how they do on the later records."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from gridtwin.report import facts, study_charts
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, count, date, number, quantity, signed
from gridtwin.report.page import Cell, Line, Table, write_results
from gridtwin.report.verdict import Headline
from gridtwin.sim.calibrate import PARAMETERS, Calibration, Setting, SiteFit
from gridtwin.sim.calibration.judge import QUANTITIES, Score

__all__ = ["write_calibration_report"]

MOST_SITES = 40
"""Sites of the chart and the tables; those with the most jobs."""
_NAMES = {
    "wait": "queue time",
    "log_wait": "log of the queue time",
    "wall": "wall time",
    "efficiency": "CPU efficiency",
}
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
            "settings": [_settings(fits, len(found.sites))],
            "judged": [_scores(scores)] if scores else [],
        },
        definitions=[*_DEFINITIONS, *parameters],
        provenance=_provenance(found, source),
    )


def _unit(quantity: str) -> str:
    """Return the unit of a quantity as `quantity` of `report.numbers` takes it."""
    return "s" if QUANTITIES.get(quantity) == "s" else ""


def _tally(scores: Sequence[Score], beside: str) -> tuple[int, int]:
    """Return at how many sites the calibration is beyond chance nearer, and farther."""
    ends = [getattr(score, f"minus_{beside}") for score in scores]
    return sum(high < 0 for _, high in ends), sum(low > 0 for low, _ in ends)


def _sentences(found: Calibration) -> list[str]:
    """Return the verdict: against the default and against what needs no simulation."""
    told = []
    for name, words in _NAMES.items():
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
    if len(scores) == 1:
        (score,) = scores
        unit = _unit(name)
        parts = [
            f"{quantity(getattr(score, beside), unit)} {text} ({_said(score, beside)})"
            for beside, text in (
                ("default", "by default"),
                ("training", "for the distribution of the earlier jobs"),
            )
        ]
        return (
            f"The distance to the later {words} is {quantity(score.calibrated, unit)} with the "
            f"calibrated setting, {' and '.join(parts)}."
        )
    parts = []
    for beside, text in (
        ("default", "the default setting"),
        ("training", "the distribution of the earlier jobs"),
    ):
        nearer, farther = _tally(scores, beside)
        parts.append(f"than {text} at {nearer} sites, farther at {farther}")
    return (
        f"Of {len(scores)} sites, the calibrated {words} is beyond chance nearer to the later "
        f"records {'; nearer '.join(parts)}."
    )


def _said(score: Score, beside: str) -> str:
    low, high = getattr(score, f"minus_{beside}")
    if high < 0:
        return "the calibration is nearer beyond chance"
    return "the calibration is farther beyond chance" if low > 0 else "may be chance"


def _cards(found: Calibration) -> list[Headline]:
    cards = []
    for name, words in _NAMES.items():
        scores = [s for s in found.scores if s.quantity == name and s.within == "span"]
        if not scores:
            continue
        unit = _unit(name)
        middle = [pl.Series([getattr(s, k) for s in scores]).median() for k in _MODELS]
        own, *others = (quantity(float(value), unit) for value in middle)  # type: ignore[arg-type]
        what = "distance to the later records"
        what += ", median over sites" if len(scores) > 1 else ""
        lines = [
            f"{title.lower()}: {text}"
            for title, text in zip(list(_MODELS.values())[1:], others, strict=True)
        ]
        cards.append(Headline(words.capitalize(), own, "", what, tuple(lines)))
    return cards


_MODELS = {
    "calibrated": "Calibrated",
    "default": "Default",
    "median": "Earlier median",
    "training": "Earlier jobs",
}
"""What is judged, by its field of a `Score`."""


def _figures(scores: Sequence[Score]) -> list[Figure]:
    """Return the chart of calibrated - default, a panel a quantity, a row a site."""
    rows, panels = [], []
    for name, words in _NAMES.items():
        mine = [s for s in scores if s.quantity == name and s.within == "span"]
        if not mine:
            continue
        ends = [end for s in mine for end in (*s.minus_default, s.calibrated - s.default)]
        size, unit = _scale(max(abs(end) for end in ends)) if _unit(name) else (1.0, "")
        panels.append((name, f"{words.capitalize()}{f' ({unit})' if unit else ''}"))
        for s in mine:
            low, high = s.minus_default
            change = (s.calibrated - s.default) / size
            rows.append((name, s.site, change, low / size, high / size, _judged(low, high)))
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


def _judged(low: float, high: float) -> str:
    return "better" if high < 0 else "worse" if low > 0 else "by chance"


def _settings(fits: Sequence[SiteFit], sites: int) -> Table:
    """Return the settings, a row a site; a column for what differs from its default somewhere."""
    default = Setting().to_dict()
    fitted = {known.name for fit in fits for known in fit.known}
    names = [
        name
        for name in PARAMETERS
        if name in fitted or any(fit.setting.to_dict()[name] != default[name] for fit in fits)
    ]
    lines = []
    for fit in fits:
        values, known = fit.setting.to_dict(), {one.name: one for one in fit.known}
        cells = [Cell(count(fit.jobs)), Cell(number(fit.loss)), Cell(number(fit.default))]
        for name in names:
            one = known.get(name)
            note = "" if one is None else "not told" if one.flat else _range(one.compatible)
            cells.append(Cell(_text(values[name]), note))
        lines.append(Line(fit.site, cells, fit.note))
    caption = "Settings by site" + _left(len(fits), sites)
    head = ["Site", "Jobs fitted on", "Loss", "Loss by default"]
    return Table(caption, [*head, *(name.capitalize() for name in names)], lines)


def _left(shown: int, sites: int) -> str:
    return f"; {count(sites - shown)} more are in calibration.json" if sites > shown else ""


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else number(float(value))


def _range(values: Sequence[float | str]) -> str:
    texts = [_text(value) for value in values]
    if not texts:
        return ""
    if any(isinstance(value, str) for value in values):
        return ", ".join(texts)
    return f"{texts[0]} to {texts[-1]}"


def _scores(scores: Sequence[Score]) -> Table:
    lines = []
    for s in scores:
        unit = _unit(s.quantity)
        low, high = (quantity(end, unit) for end in s.interval)
        cells = [
            Cell({"span": "whole span", "block": "within weeks"}[s.within]),
            Cell(quantity(s.calibrated, unit), f"{low} to {high}"),
        ]
        cells += [Cell(quantity(getattr(s, name), unit)) for name in list(_MODELS)[1:]]
        for beside in ("default", "training"):
            low, high = (signed(end, unit) for end in getattr(s, f"minus_{beside}"))
            judged = _judged(*getattr(s, f"minus_{beside}"))
            cells.append(Cell(f"{low} to {high}", judged, judged))
        lines.append(Line(s.site, cells, _NAMES.get(s.quantity, s.quantity)))
    head = ["Site and quantity", "Over", *_MODELS.values()]
    head += ["Calibrated − default", "Calibrated − earlier jobs"]  # noqa: RUF001 - a minus sign
    return Table("Distances to the later records; intervals hold 95 %", head, lines)


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
