"""The tables of a calibration's page, and its figures in words."""

from collections.abc import Sequence

from gridtwin.report.numbers import count, number, quantity, signed
from gridtwin.report.page import Cell, Line, Table
from gridtwin.sim.calibrate import PARAMETERS, Setting, SiteFit
from gridtwin.sim.calibration.judge import QUANTITIES, Score

__all__ = [
    "BESIDE",
    "MODELS",
    "NAMES",
    "WITHIN",
    "judged",
    "scores_table",
    "settings_table",
    "unit_of",
]

NAMES = {
    "wait": "queue time",
    "log_wait": "log of the queue time",
    "wall": "wall time",
    "efficiency": "CPU efficiency",
}
MODELS = {
    "calibrated": "Calibrated",
    "default": "Default",
    "median": "Earlier median",
    "training": "Earlier jobs",
}
"""What is judged, by its field of a `Score`."""


BESIDE = {
    "default": "the default setting",
    "training": "the distribution of the earlier jobs",
}
"""What the verdict compares with, by its field of a `Score`."""


WITHIN = {
    "span": "Distances over the whole span of the later records",
    "block": "Distances within weeks of the later records",
}


def unit_of(quantity: str) -> str:
    """Return the unit of a quantity as `quantity` of `report.numbers` takes it."""
    return "s" if QUANTITIES.get(quantity) == "s" else ""


def judged(low: float, high: float) -> str:
    """Return what an interval of calibrated less something else says."""
    return "better" if high < 0 else "worse" if low > 0 else "by chance"


def settings_table(fits: Sequence[SiteFit], sites: int) -> Table:
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


def scores_table(scores: Sequence[Score], within: str) -> list[Table]:
    """Return the table of one kind of distance; none where nothing was judged."""
    lines = []
    for s in (score for score in scores if score.within == within):
        unit = unit_of(s.quantity)
        low, high = (quantity(end, unit) for end in s.interval)
        cells = [Cell(quantity(s.calibrated, unit), f"{low} to {high}")]
        cells += [Cell(quantity(getattr(s, name), unit)) for name in list(MODELS)[1:]]
        for beside in BESIDE:
            ends = getattr(s, f"minus_{beside}")
            low, high = (signed(end, unit) for end in ends)
            text = f"{low} to {high}" if any(ends) else "the same"
            word = judged(*ends) if any(ends) else ""
            cells.append(Cell(text, word, word))
        lines.append(Line(s.site, cells, NAMES.get(s.quantity, s.quantity)))
    head = ["Site and quantity", *MODELS.values()]
    head += ["Calibrated − default", "Calibrated − earlier jobs"]  # noqa: RUF001 - a minus sign
    return [Table(f"{WITHIN[within]}; intervals hold 95 %", head, lines)] if lines else []
