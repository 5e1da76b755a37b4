"""What the metrics say, in words: marks, headline figures and sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gridtwin.report.numbers import number

if TYPE_CHECKING:
    from gridtwin.metrics import Row

__all__ = [
    "HOW_MARKED",
    "SUBJECT",
    "Headline",
    "Mark",
    "goal_text",
    "headlines",
    "mark",
    "weeks_range",
]

Mark = Literal["good", "fair", "poor", ""]

HOW_MARKED = (
    "Marks: a distance (best 0) is good up to 0.05 or twice what held-out real rows, or resampled "
    "real weeks, score; fair up to double that. A ratio (best 1) is good within a factor 1.25 or "
    "inside the range of resampled real weeks, fair within a factor 1.6. A chance (best 0.5) is "
    "good within 0.05 and fair within 0.1. A value that should equal the held-out rows' one is "
    "good within 15 % of it and fair within 40 %. All else is poor."
)


@dataclass(frozen=True)
class Headline:
    """One figure of the summary with what to compare it with."""

    title: str
    value: str
    mark: Mark
    reference: str
    """What the best value is and what real data score, in words."""


@dataclass(frozen=True)
class _Wanted:
    metric: str
    title: str
    question: str
    unit: str = ""


_WANTED = (
    _Wanted("c2st", "Told apart by a classifier", "AUC; 0.5 = cannot tell synthetic from real"),
    _Wanted("wait_easy", "Mean wait, EASY scheduling", "1 = as in the real trace", " x"),
    _Wanted("load", "Offered load", "1 = as in the real trace", " x"),
    _Wanted("interarrival", "Gaps between arrivals", "KS distance; 0 = same distribution"),
    _Wanted("ks", "Each number by itself", "mean KS distance; 0 = same distributions"),
    _Wanted("exact_copies", "Exact copies of real jobs", "share of the synthetic rows"),
)

SUBJECT = {
    "marginal": "Each attribute by itself",
    "joint": "Relations between attributes",
    "detection": "Can a classifier tell?",
    "privacy": "Distance to the training rows",
    "temporal": "Arrivals over time",
    "scheduling": "Load and queues",
}


def mark(row: "Row") -> Mark:
    """Return how near a row's value is to its best one; nothing where it cannot be said."""
    value = _known(row.synthetic)
    if value is None:
        return ""
    if row.goal == "one":
        if value <= 0:
            return "poor"
        low, high = weeks_range(row) or (1.0, 1.0)
        inside = low <= value <= high
        return "good" if inside else _grade(abs(math.log(value)), math.log(1.25), math.log(1.6))
    if row.goal == "half":
        return _grade(abs(value - 0.5), 0.05, 0.1)
    reference = _known(row.heldout)
    if row.goal == "heldout":
        if reference is None:
            return ""
        return _grade(abs(value - reference), 0.15 * abs(reference), 0.4 * abs(reference))
    floor = max([0.05, *(2 * r for r in (reference, _known(row.weeks)) if r is not None)])
    return _grade(value, floor, 2 * floor)


def _grade(distance: float, good: float, fair: float) -> Mark:
    # the slack is for a value that is on a bound but for its last bit
    return "good" if distance <= good + 1e-9 else "fair" if distance <= fair + 1e-9 else "poor"


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def weeks_range(row: "Row") -> tuple[float, float] | None:
    """Return the 5 % and 95 % points of resampled real weeks, where the row has them."""
    pair = row.detail.get("weeks_spread")
    return (float(pair[0]), float(pair[1])) if pair else None


def goal_text(goal: str) -> str:
    """Return the best value of a metric."""
    return {"min": "0", "half": "0.5", "one": "1", "heldout": "as held-out"}.get(goal, goal)


def headlines(rows: "Sequence[Row]") -> list[Headline]:
    """Return the figures that matter most, those that there are, each beside its references."""
    by_name = {row.metric: row for row in rows}
    found = []
    for wanted in _WANTED:
        row = by_name.get(wanted.metric)
        if row is None or _known(row.synthetic) is None:
            continue
        value = number(row.synthetic) + wanted.unit
        reference = "; ".join([wanted.question, *_references(row, wanted.unit)])
        found.append(Headline(wanted.title, value, mark(row), reference))
    return found


def _references(row: "Row", unit: str) -> list[str]:
    told = []
    if row.spread is not None:
        told.append(f"{number(row.spread[0])} to {number(row.spread[1])} over the samples")
    if _known(row.heldout) is not None:
        told.append(f"held-out real rows {number(row.heldout)}{unit}")
    if (pair := weeks_range(row)) is not None:
        told.append(f"resampled real weeks {number(pair[0])} to {number(pair[1])}")
    elif _known(row.weeks) is not None:
        told.append(f"resampled real weeks {number(row.weeks)}{unit}")
    return told
