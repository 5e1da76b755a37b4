"""What a synthetic trace may be used for, in words, from its scores and their references."""

import math
from collections.abc import Iterable

from gridtwin.metrics.evaluation import Row

__all__ = ["verdict"]

_QUEUE = {
    "wait_easy": "the mean wait under EASY",
    "wait_fcfs": "the mean wait under FCFS",
    "slowdown_easy": "the mean bounded slowdown under EASY",
    "slowdown_fcfs": "the mean bounded slowdown under FCFS",
}


def verdict(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return plain sentences: rows, correlations, arrivals, queues, privacy, what is unknown."""
    known = {row.metric: row for row in rows}
    scored = {name: row for name, row in known.items() if row.synthetic is not None}
    sentences = [
        _rows(scored.get("c2st")),
        _correlations(scored.get("diff_corr")),
        _arrivals(scored),
        _sites(scored),
        _load(scored.get("load")),
        _queues(scored),
        *_privacy(scored),
        _replay(scored.get("replay")),
        _unknown(known, scored),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def _value(row: Row) -> float:
    return math.nan if row.synthetic is None else row.synthetic


def _rows(row: Row | None) -> str:
    if row is None:
        return ""
    auc, best = _value(row), row.heldout if row.heldout is not None else 0.5
    untimed = row.detail.get("without_submit_time")
    also = f"; without the submit time {untimed:.2f}" if untimed is not None else ""
    seen = "; against the training rows, which copies pass" * (row.detail.get("against") == "train")
    figures = f"(AUC {auc:.2f}{also}; real against real {best:.2f}{seen})"
    if auc <= best + 0.05:
        return f"Single jobs cannot be told from real ones {figures}: good for per-job statistics."
    telling = [name for name, drop in row.by_column.items() if drop is not None and drop > 0.01]
    mostly = f", mostly by {', '.join(telling[:3])}" if telling else ""
    if auc <= 0.65:
        return f"Single jobs can hardly be told from real ones {figures}{mostly}."
    if auc <= 0.8:
        return (
            f"Single jobs can be told from real ones {figures}{mostly}: good for rough statistics, "
            f"not for training predictors."
        )
    return (
        f"Single jobs are easily told from real ones {figures}{mostly}: do not use them for "
        f"per-job statistics or to train predictors."
    )


def _correlations(row: Row | None) -> str:
    if row is None:
        return ""
    value, noise = _value(row), row.heldout or 0.0
    if value <= max(2 * noise, 0.02):
        return (
            f"Correlations between columns hold (off by {value:.3f}; sampling noise {noise:.3f})."
        )
    worst = [name for name, off in row.by_column.items() if off is not None and off > 1.5 * value]
    where = f", most in {', '.join(worst[:3])}" if worst else ""
    hold = "nearly hold, off by" if value <= 0.05 else "are off by"
    return f"Correlations between columns {hold} {value:.3f} (sampling noise {noise:.3f}){where}."


def _within(row: Row, factor: float) -> bool:
    """Say whether a score lies where the bootstrap of real weeks lies, or within a factor."""
    value = _value(row)
    low, high = row.detail.get("weeks_spread", (math.nan, math.nan))
    if row.goal == "one":
        return bool(low <= value <= high or 1 / factor <= value <= factor)
    return bool(value <= max(high if high == high else 0.0, row.heldout or 0.0, 0.02) * 1.5)


def _arrivals(scored: dict[str, Row]) -> str:
    names = {
        "interarrival": "gaps between jobs",
        "fano_hour": "hourly bursts",
        "fano_day": "differences between days",
        "acf": "memory from hour to hour",
        "week_profile": "the weekly rhythm",
    }
    judged = {text: scored[name] for name, text in names.items() if name in scored}
    if not judged:
        return ""
    good = [text for text, row in judged.items() if _within(row, 1.25)]
    bad = [text for text in judged if text not in good]
    if not bad:
        return f"Arrivals are like the real ones: {', '.join(good)}."
    kept = f" (not in {', '.join(good)})" if good else ""
    return f"Arrivals differ from the real ones in {', '.join(bad)}{kept}."


def _sites(scored: dict[str, Row]) -> str:
    row = scored.get("site_work")
    if row is None:
        return ""
    moved = f"{_value(row):.0%} of the work is at other sites than in the real trace"
    good = "good" if _within(row, 1.25) else "not good"
    return f"{moved}: {good} for studies of load per site."


def _load(row: Row | None) -> str:
    if row is None:
        return ""
    ratio = _value(row)
    if _demand_holds(row):
        return f"The demand is right: offered load {ratio:.2f} of the real one."
    advice = "rescale the arrivals before any study of queues"
    return f"The demand is off: offered load {ratio:.2f} of the real one; {advice}."


def _demand_holds(row: Row) -> bool:
    return 0.9 <= _value(row) <= 1.1


def _queues(scored: dict[str, Row]) -> str:
    judged = {text: scored[name] for name, text in _QUEUE.items() if name in scored}
    if not judged:
        return ""
    note = next((row.detail["note"] for row in judged.values() if "note" in row.detail), "")
    if note:
        return f"Queues: {note}."
    good = [text for text, row in judged.items() if _within(row, 1.25)]
    bad = {text: row for text, row in judged.items() if text not in good}
    figures = "; ".join(f"{text} {_value(row):.2f}{_weeks(row)}" for text, row in judged.items())
    load = scored.get("load")
    if not bad and load is not None and not _demand_holds(load):
        return (
            f"Queues come near those of real weeks only by chance, as the demand is off: do not "
            f"rely on them. Relative to the real trace: {figures}."
        )
    if not bad:
        return (
            f"Queues vary as those of real weeks do: good for scheduling studies, over many "
            f"samples. Relative to the real trace: {figures}."
        )
    if len(bad) < len(judged):
        return (
            f"Queues are right in part: compare policies with care, do not read levels. Relative "
            f"to the real trace: {figures}."
        )
    return (
        f"Queues are not those of the real trace: do not use it for scheduling studies. Relative "
        f"to the real trace: {figures}."
    )


def _weeks(row: Row) -> str:
    """Return the range of the reference, where there is one."""
    spread = row.detail.get("weeks_spread")
    return f" (real weeks {spread[0]:.2f} to {spread[1]:.2f})" if spread else ""


def _replay(row: Row | None) -> str:
    """Say whether the real calendar is given away; nothing where habits explain it."""
    if row is None or row.weeks is None:
        return ""
    value, habit = _value(row), row.detail.get("weeks_spread", (0.0, row.weeks))[1]
    if value <= habit + 0.1 * (1 - habit):
        return ""
    near = "follows the real calendar" if value > (1 + habit) / 2 else "leans on the real calendar"
    return (
        f"The trace {near}: {value:.0%} of its jobs have a real job of the same user within an "
        f"hour (real weeks drawn anew: {row.weeks:.0%}). It tells who was active when, and samples "
        f"share the busy and quiet days."
    )


def _privacy(scored: dict[str, Row]) -> Iterable[str]:
    share, copies = scored.get("dcr_share"), scored.get("exact_copies")
    if share is not None:
        value = _value(share)
        figures = f"DCR-share {value:.2f}; 0.5 favours no training row, 1 copies them"
        if value <= 0.56:
            yield f"Training rows are not given away ({figures})."
        elif value <= 0.65:
            yield f"Synthetic rows lean towards training rows ({figures}): share with care."
        else:
            yield f"Synthetic rows follow training rows ({figures}): do not publish them."
    if copies is not None:
        value, natural = _value(copies), copies.heldout or 0.0
        if value > natural + 0.005:
            yield f"{value:.1%} of the rows are copies of training rows (real rows: {natural:.1%})."


def _unknown(known: dict[str, Row], scored: dict[str, Row]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, row in known.items():
        if name not in scored:
            reasons.setdefault(str(row.detail.get("reason", "no value")), []).append(name)
    if not reasons:
        return ""
    parts = [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]
    return f"Not judged: {'; '.join(parts)}."
