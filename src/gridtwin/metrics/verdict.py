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


_ARRIVALS = {
    "interarrival": "gaps between jobs",
    "fano_hour": "hourly bursts",
    "fano_day": "differences between days",
    "acf": "memory from hour to hour",
    "week_profile": "the weekly rhythm",
}


def verdict(rows: Iterable[Row]) -> tuple[str, ...]:
    """Return plain sentences: rows, correlations, arrivals, queues, privacy, what is unknown."""
    known = {row.metric: row for row in rows}
    scored = {name: row for name, row in known.items() if row.synthetic is not None}
    sentences = [
        _rows(scored.get("c2st")),
        _correlations(scored.get("diff_corr")),
        _impossible(scored),
        _prediction(scored.get("diff_mlef")),
        _arrivals(scored),
        _sites(scored),
        _load(scored.get("load")),
        _queues(scored),
        _curve(scored),
        *_privacy(scored),
        _membership(scored.get("membership")),
        _shadow(scored.get("shadow_membership")),
        _replay(scored.get("replay")),
        _uses(scored),
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
    telling = row.detail.get("telling", [])
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


_RULES = {
    "support_hits": "sizes or requested times that no real job has",
    "broken_dependencies": "broken dependencies between columns",
    "over_limit": "jobs over their time limit",
    "unseen_pairs": "pairs of values that never occur together",
}


def _impossible(scored: dict[str, Row]) -> str:
    """Name what real rows hardly have and synthetic ones do."""
    judged = {name: scored[name] for name in _RULES if name in scored}
    if not judged:
        return ""
    shares = {}
    for name, row in judged.items():
        value, real = _value(row), row.heldout or 0.0
        if name == "support_hits":
            value, real = 1 - value, 1 - (row.heldout if row.heldout is not None else 1.0)
        if value > 2 * real + 0.01:
            shares[name] = f"{_RULES[name]} ({value:.1%}; real rows {real:.1%})"
    if not shares:
        return "Rows keep the rules of the real ones: values, pairs, dependencies, limits."
    return f"Some rows could not occur: {', '.join(shares.values())}."


def _prediction(row: Row | None) -> str:
    if row is None:
        return ""
    figures = f"error {_value(row):+.2f} over real training rows, {row.detail.get('trees', '')}"
    good = "as well as" if _teaches(row) else "worse than"
    return f"Predictors of the work learn from it {good} from real jobs ({figures})."


def _teaches(row: Row) -> bool:
    """Say whether predictors lose less than a tenth of their error, or than held-out rows do."""
    return bool(_value(row) <= max(2 * (row.heldout or 0), 0.1 * row.detail.get("mse_real", 0)))


def _membership(row: Row | None) -> str:
    """Say whether a job's presence among the training rows can be inferred."""
    if row is None:
        return ""
    worst, (low, high) = max(
        (_value(row), row.detail["interval"]),
        (row.detail["calibrated"], row.detail["calibrated_interval"]),
    )
    figures = f"AUC {worst:.2f}, 95 % {low:.2f} to {high:.2f}"
    if low <= 0.5:
        return f"Distances do not tell whether a job was in the training set ({figures})."
    degree = "a little better" if worst <= 0.6 else "much better"
    return f"Distances tell {degree} than chance whether a job was a training job ({figures})."


def _shadow(row: Row | None) -> str:
    """Say whether one who knows how the model is made can tell its training jobs."""
    if row is None:
        return ""
    low, high = row.detail["interval"]
    figures = f"AUC {_value(row):.2f}, 95 % {low:.2f} to {high:.2f}"
    if low <= 0.5:
        return f"Shadow models do not tell whether a job was a training job ({figures})."
    degree = "a little better" if _value(row) <= 0.6 else "much better"
    return f"Shadow models tell {degree} than chance whether a job was a training job ({figures})."


def _uses(scored: dict[str, Row]) -> str:
    """Sum up: what the trace may be used for, and what not, of what was judged."""
    fits: dict[str, bool] = {}
    if row := scored.get("c2st"):
        best = row.heldout if row.heldout is not None else 0.5
        fits["statistics of single jobs"] = _value(row) <= max(0.65, best + 0.05)
    if row := scored.get("diff_mlef"):
        fits["training predictors"] = _teaches(row)
    arrivals = [scored[name] for name in _ARRIVALS if name in scored]
    if arrivals:
        fits["studies of arrivals"] = all(_within(row, 1.25) for row in arrivals)
    queues = [scored[name] for name in _QUEUE if name in scored]
    load = scored.get("load")
    if queues and not any("note" in row.detail for row in queues):
        demand = load is None or _demand_holds(load)
        fits["scheduling studies"] = demand and all(_within(row, 1.25) for row in queues)
        if points := _points(scored):
            holds = fits["scheduling studies"] and all(
                _within(row, 1.25) for row in points.values()
            )
            fits["studies of other machine sizes"] = holds
    if row := scored.get("site_work"):
        fits["load per site"] = _within(row, 1.25)
    if row := scored.get("dcr_share"):
        attacks = [scored[n] for n in ("membership", "shadow_membership") if n in scored]
        safe = all(_value(attack) <= 0.55 for attack in attacks)
        fits["handing out in place of the records"] = _value(row) <= 0.56 and safe
    good = [use for use, fit in fits.items() if fit]
    bad = [use for use, fit in fits.items() if not fit]
    if not fits:
        return ""
    parts = [f"good for {', '.join(good)}"] if good else []
    parts += [f"not for {', '.join(bad)}"] if bad else []
    return f"In short: {'; '.join(parts)}."


def _within(row: Row, factor: float) -> bool:
    """Say whether a score lies where the bootstrap of real weeks lies, or within a factor."""
    value = _value(row)
    low, high = row.detail.get("weeks_spread", (math.nan, math.nan))
    if row.goal == "one":
        return bool(low <= value <= high or 1 / factor <= value <= factor)
    return bool(value <= max(high if high == high else 0.0, row.heldout or 0.0, 0.02) * 1.5)


def _arrivals(scored: dict[str, Row]) -> str:
    judged = {text: scored[name] for name, text in _ARRIVALS.items() if name in scored}
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
    real = row.detail.get("real")
    ratio = f"{_value(row):.2f} of the real one"
    if real is not None:
        ratio += f" ({_value(row) * real:.2f} against {real:.2f})"
    if _demand_holds(row):
        return f"The demand is right: offered load {ratio}."
    advice = "it does not queue like the original; rescale the arrivals before any study of queues"
    return f"The demand is off: offered load {ratio}; {advice}."


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


def _points(scored: dict[str, Row]) -> dict[str, Row]:
    """Return the queues on smaller and larger machines that say something, by words."""
    return {
        f"{text} at {row.detail['size']:g} x": row
        for base, text in _QUEUE.items()
        for name, row in scored.items()
        if name.startswith(f"{base}_") and "size" in row.detail and "note" not in row.detail
    }


def _curve(scored: dict[str, Row]) -> str:
    """Say whether the queues follow the load, as the machine is made smaller and larger."""
    points = _points(scored)
    if not points:
        return ""
    bad = {text: row for text, row in points.items() if not _within(row, 1.25)}
    if not bad:
        return "On smaller and larger machines, too, queues vary as those of real weeks do."
    worst = sorted(bad.items(), key=lambda item: -abs(math.log(max(_value(item[1]), 1e-9))))[:3]
    figures = "; ".join(f"{text} {_value(row):.2f}{_weeks(row)}" for text, row in worst)
    return (
        f"On smaller and larger machines {len(bad)} of {len(points)} queue figures are not those "
        f"of the real trace: {figures}."
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
        base = name.rsplit("_", 1)[0]  # where that has no value, other sizes need not say so again
        if name not in scored and not (base in _QUEUE and base in known and base not in scored):
            reasons.setdefault(str(row.detail.get("reason", "no value")), []).append(name)
    if not reasons:
        return ""
    parts = [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]
    return f"Not judged: {'; '.join(parts)}."
