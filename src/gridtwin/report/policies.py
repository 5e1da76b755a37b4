"""Write the page of a comparison of queueing policies."""

import math
from pathlib import Path

import polars as pl

from gridtwin.policy.compare import Comparison, Row
from gridtwin.report import facts, study_charts
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, count, number, percent, quantity
from gridtwin.report.page import Cell, Line, Table, write_results
from gridtwin.report.verdict import Headline

__all__ = ["write_policies_report"]

_NAMES = {
    "bsld": ("bounded slowdown", ""),
    "wait": ("wait", "s"),
    "turnaround": ("turnaround", "s"),
    "utilization": ("utilization", "share"),
    "worst_user": ("worst user's bounded slowdown", ""),
}
"""Objectives in words, and their units."""
_SECTION = (
    "policies",
    "Policies",
    "All policies run the same sequences, each on an empty machine, and are compared sequence by "
    "sequence: what a burst does to all of them cancels out.",
)
_DEFINITIONS = (
    ("Bounded slowdown", "(wait + run) over the run, of which at least 10 s are counted; 1 is "
     "best. Of a sequence: the mean over its jobs."),
    ("Ratio", "e to the mean over the sequences of log(objective / that of the baseline): below 1 "
     "is less than the baseline. Of utilization, more is better; waits are counted from 1 s. The "
     "interval holds 95 % of the ratios when sequences are drawn anew; one that holds 1 may be "
     "chance."),
    ("Wins", "Share of the sequences on which no policy is better; equal ones share."),
    ("Fairness", "Jain's index of the users' average bounded slowdowns: 1 if all are alike."),
    ("Utilization", "Of the machine's cores, over the makespan of a sequence."),
)  # fmt: skip


def write_policies_report(found: Comparison, path: Path | str, *, source: str = "") -> Path:
    """Write the page of a comparison; the same bytes for the same comparison.

    Parameters
    ----------
    path
        Of the page, one HTML file with its chart as SVG, no script and no request.
    source
        What the jobs were read from.
    """
    return write_results(
        path,
        command="gridtwin compare-policies",
        title=f"Queueing policies on {Path(source).name or 'a trace'}",
        sentences=_sentences(found),
        cards=_cards(found),
        wanted=[_SECTION],
        figures=_figures(found),
        tables={"policies": [_table(found)]},
        definitions=_DEFINITIONS,
        provenance=_provenance(found, source),
    )


def _ratio(log: float, found: Comparison) -> float:
    """Return a log ratio as the ratio of the objectives, as large as it is."""
    turned = -log if found.objective == "utilization" else log
    try:
        return math.exp(turned)
    except OverflowError:
        return math.inf


def _interval(row: Row, found: Comparison) -> str:
    low, high = sorted((_ratio(row.low, found), _ratio(row.high, found)))
    return f"{number(low)} to {number(high)}"


def _judged(row: Row, found: Comparison) -> str:
    """Return whether a policy is better or worse than the baseline, or cannot be told apart."""
    if row.policy == found.baseline:
        return ""
    return "better" if row.high < 0 else "worse" if row.low > 0 else "by chance"


def _sentences(found: Comparison) -> list[str]:
    """Return the verdict: the best policy, who is better than the baseline, and what to doubt."""
    what, base = _NAMES[found.objective][0], found.baseline
    others = [row for row in found.rows if row.policy != base]
    doubts = [f"{text[:1].upper()}{text[1:]}." for text in found.warnings]
    if not others:
        own = found.rows[0]
        mean = quantity(own.mean, _NAMES[found.objective][1])
        return [f"Only {base} was run: its mean {what} is {mean}. Name others beside it.", *doubts]
    best = found.rows[0]
    runner = others[0]
    told = (
        f"times the {what} of {base} (95 %: {_interval(runner, found)}); "
        f"it wins {percent(runner.wins)} of the sequences"
    )
    ratio = number(_ratio(runner.log_ratio, found))
    if best.policy == base:
        lead = f"None is better than {base}; the next is {runner.policy}, with {ratio} {told}."
    else:
        lead = f"{best.policy} is best, with {ratio} {told}."
    if _judged(runner, found) == "by chance":
        lead += f" That may be chance: the interval of {runner.policy} holds 1."
    calm = [text for text in doubts if "hardly queues" in text]
    groups = {
        "Better than {} beyond chance": "better",
        "Worse than {} beyond chance": "worse",
        "Not told apart from {}": "by chance",
    }
    sorted_out = []
    for title, kind in groups.items():
        names = [row.policy for row in others if _judged(row, found) == kind]
        if names:
            sorted_out.append(f"{title.format(base)}: {', '.join(names)}.")
    return [*calm, lead, *sorted_out, *(text for text in doubts if text not in calm)]


def _cards(found: Comparison) -> list[Headline]:
    what, unit = _NAMES[found.objective]
    best = found.rows[0]
    base = next(row for row in found.rows if row.policy == found.baseline)
    beside = () if best is base else (f"{base.policy}: {quantity(base.mean, unit)}",)
    queues = Headline(
        "Sequences that queue",
        percent(found.queueing),
        "",
        "bounded slowdown above 1.5 under first come, first served",
        (f"offered load of the whole trace: {number(found.load)}",),
    )
    mean = Headline(f"Mean {what}", quantity(best.mean, unit), "", f"of {best.policy}", beside)
    if len(found.rows) == 1:
        return [mean, queues]
    by = f"by the mean log ratio of the {what}"
    return [Headline("Best policy", best.policy, "", by, ()), mean, queues]


def _figures(found: Comparison) -> list[Figure]:
    """Return the chart of the log ratios; nothing where there is but the baseline."""
    schema = {"metric": pl.String, "scenario": pl.String}
    numbers = dict.fromkeys(("change", "low", "high"), pl.Float64)
    rows = [
        ("log", row.policy, row.log_ratio, row.low, row.high, _judged(row, found))
        for row in found.rows
        if row.policy != found.baseline and math.isfinite(row.log_ratio)
    ]
    if not rows:
        return []
    frame = pl.DataFrame(rows, schema={**schema, **numbers, "judged": pl.String}, orient="row")
    what = _NAMES[found.objective][0]
    chart = study_charts.differences(frame, [("log", f"Log ratio to {found.baseline}")])
    caption = (
        f"Mean over {count(found.sequences)} sequences of the log ratio of the {what}; bars hold "
        "95 %. Left of the line is better."
    )
    title = f"Each policy beside {found.baseline}"
    return [Figure("log_ratios", "policies", title, caption, chart, size="wide")]


def _table(found: Comparison) -> Table:
    what, unit = _NAMES[found.objective]
    head = ["Policy", f"Ratio to {found.baseline}", "Wins", f"Mean {what}", "Geometric mean"]
    head += ["95th percentile"]
    more = [
        (title, key, of)
        for title, key, of in (
            ("Bounded slowdown", "bsld", ""),
            ("Wait", "wait", "s"),
            ("Utilization", "utilization", "share"),
            ("Worst user", "worst_user", ""),
            ("Fairness", "fairness", ""),
        )
        if key != found.objective
    ]
    lines = []
    for row in found.rows:
        base = row.policy == found.baseline
        ratio = (
            Cell(NONE)
            if base
            else Cell(
                number(_ratio(row.log_ratio, found)), _interval(row, found), _judged(row, found)
            )
        )
        values = [quantity(value, unit) for value in (row.mean, row.geo_mean, row.p95)]
        values += [quantity(getattr(row, key), of) for _, key, of in more]
        cells = [ratio, Cell(percent(row.wins)), *(Cell(text) for text in values)]
        lines.append(Line(row.policy, cells, "baseline" if base else "", "base" if base else ""))
    caption = (
        f"{count(found.sequences)} sequences of {count(found.length)} jobs, the best first; the "
        "interval of the ratio holds 95 %"
    )
    return Table(caption, [*head, *(title for title, _, _ in more)], lines)


def _provenance(found: Comparison, source: str) -> list[tuple[str, str]]:
    rows = [
        ("Command", "gridtwin compare-policies"),
        ("Jobs", f"{source}: {count(found.jobs)} jobs" if source else f"{count(found.jobs)} jobs"),
        ("Machine", f"{count(found.cores)} cores or nodes"),
        ("Protocol", found.protocol),
        ("Sequences", f"{count(found.sequences)} of {count(found.length)} jobs"),
        ("Who is first blocks", "yes" if found.commit else "no"),
        ("Seed", str(found.seed)),
    ]
    rows += [("Left out", f"{count(n)} jobs: {reason}") for reason, n in found.dropped.items()]
    return [*rows, ("Versions", facts.versions())]
