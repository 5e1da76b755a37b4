"""What the metrics say, in words: marks, headline figures and sentences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gridtwin.report.numbers import number, percent

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
    "good within 15 % of it (or 0.005) and fair within 40 % (or 0.01). One that should not pass "
    "that of real weeks is good up to a tenth of the way from there to 1, fair up to half of it. "
    "All else is poor. A value "
    "that says little, such as the wait of a trace that does not queue, has no mark."
)


@dataclass(frozen=True)
class Headline:
    """One figure of the summary with what to compare it with."""

    title: str
    value: str
    mark: Mark
    best: str
    """What is measured and what the best value is."""
    references: tuple[str, ...]
    """What real data score, in words."""


@dataclass(frozen=True)
class _Wanted:
    metric: str
    title: str
    question: str
    unit: str = ""
    share: bool = False


_WANTED = (
    _Wanted("c2st", "Told apart by a classifier", "AUC; 0.5 = cannot tell synthetic from real"),
    _Wanted("wait_easy", "Mean wait, EASY scheduling", "1 = as in the real trace", " x"),
    _Wanted("load", "Offered load", "1 = as in the real trace", " x"),
    _Wanted("interarrival", "Gaps between arrivals", "KS distance; 0 = same distribution"),
    _Wanted("ks", "Each number by itself", "mean KS distance; 0 = same distributions"),
    _Wanted(
        "membership", "Training jobs told from others", "AUC of the distance; 0.5 = nobody can"
    ),
    _Wanted(
        "shadow_membership", "Shadow models' attack", "AUC; 0.5 = nobody can tell training jobs"
    ),
    _Wanted("exact_copies", "Exact copies of real jobs", "of the synthetic rows", share=True),
)

NAMES = {
    "ks": "Numbers: largest gap between distributions (KS)",
    "wd": "Numbers: Wasserstein distance, min-max scale",
    "wd_rank": "Numbers: Wasserstein distance, rank scale",
    "jsd": "Categories: Jensen-Shannon divergence",
    "tv": "Values: total variation",
    "diff_corr": "Associations: mean difference",
    "broken_dependencies": "Broken dependencies between columns",
    "over_limit": "Jobs over their time limit",
    "support_hits": "Values that real jobs have",
    "unseen_pairs": "Pairs of values that no real job has",
    "c2st": "Classifier's AUC (C2ST)",
    "dcr": "Distance to the closest training row",
    "membership": "Training jobs told by distance (AUC)",
    "shadow_membership": "Training jobs told by shadow models (AUC)",
    "dcr_share": "Share nearer to training than to held-out rows",
    "exact_copies": "Exact copies of training rows",
    "replay": "Jobs at a real time of the same user",
    "interarrival": "Gaps between arrivals (KS)",
    "fano_hour": "Unrest of hourly counts (Fano factor)",
    "fano_day": "Unrest of daily counts (Fano factor)",
    "acf": "Autocorrelation of hourly counts",
    "week_profile": "Rhythm of the week",
    "wait_easy": "Mean wait, EASY",
    "wait_fcfs": "Mean wait, FCFS",
    "slowdown_easy": "Mean bounded slowdown, EASY",
    "slowdown_fcfs": "Mean bounded slowdown, FCFS",
    **{
        f"{figure}_{policy}_{size}": f"{words}, {policy.upper()}, machine x {share}"
        for figure, words in (("wait", "Mean wait"), ("slowdown", "Mean bounded slowdown"))
        for policy in ("easy", "fcfs")
        for size, share in ((80, 0.8), (120, 1.2))
    },
    "load": "Offered load",
    "site_work": "Work by site",
    "site_arrivals": "Gaps between arrivals at a site (KS)",
}
"""Metrics in words; one that is not here goes by its own name."""
SHORT = {
    **{name: NAMES[name] for name in ("wait_easy", "wait_fcfs", "load")},
    "support_hits": "Values seen",
    "slowdown_easy": "Mean slowdown, EASY",
    "slowdown_fcfs": "Mean slowdown, FCFS",
    "fano_hour": "Unrest, hourly",
    "fano_day": "Unrest, daily",
}
SUBJECT = {
    "marginal": "Each attribute by itself",
    "joint": "Relations between attributes",
    "validity": "Rows that could not occur",
    "detection": "Can a classifier tell?",
    "privacy": "Distance to the training rows",
    "temporal": "Arrivals over time",
    "scheduling": "Load and queues",
}


def mark(row: "Row") -> Mark:
    """Return how near a row's value is to its best one; nothing where it cannot be said."""
    value = _known(row.synthetic)
    if value is None or "note" in row.detail:
        return ""
    if row.goal == "one":
        if value <= 0:
            return "poor"
        low, high = weeks_range(row) or (1.0, 1.0)
        inside = low <= value <= high
        return "good" if inside else _grade(abs(math.log(value)), math.log(1.25), math.log(1.6))
    if row.goal == "half":
        return _grade(abs(value - 0.5), 0.05, 0.1)
    if row.goal == "weeks":
        if row.weeks is None:
            return ""
        habit = (weeks_range(row) or (row.weeks, row.weeks))[1]
        return _grade(value - habit, 0.1 * (1 - habit), 0.5 * (1 - habit))
    reference = _known(row.heldout)
    if row.goal == "heldout":
        if reference is None:
            return ""
        size = abs(reference)
        return _grade(abs(value - reference), max(0.005, 0.15 * size), max(0.01, 0.4 * size))
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
    texts = {"min": "0", "half": "0.5", "one": "1", "heldout": "as held-out"}
    return {**texts, "weeks": "as real weeks"}.get(goal, goal)


def headlines(rows: "Sequence[Row]") -> list[Headline]:
    """Return the figures that matter most, those that there are, each beside its references."""
    by_name = {row.metric: row for row in rows}
    found = []
    for wanted in _WANTED:
        row = by_name.get(wanted.metric)
        if row is None or _known(row.synthetic) is None:
            continue
        text = percent if wanted.share else number
        value = text(row.synthetic) + wanted.unit
        references = tuple(_references(row, wanted.unit, text))
        found.append(Headline(wanted.title, value, mark(row), wanted.question, references))
    return found


def _references(row: "Row", unit: str, text: Callable[[float | None], str]) -> list[str]:
    told = [str(row.detail["note"])] if "note" in row.detail else []
    if row.spread is not None:
        told.append(f"samples: {text(row.spread[0])} to {text(row.spread[1])}")
    if (pair := row.detail.get("interval")) is not None:
        told.append(f"95 % interval: {text(pair[0])} to {text(pair[1])}")
    if _known(row.heldout) is not None:
        told.append(f"held-out real rows: {text(row.heldout)}{unit}")
    if (pair := weeks_range(row)) is not None:
        told.append(f"resampled real weeks: {text(pair[0])} to {text(pair[1])}")
    elif _known(row.weeks) is not None:
        told.append(f"resampled real weeks: {text(row.weeks)}{unit}")
    return told
