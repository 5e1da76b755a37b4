"""What a study found, in words: which choice is best, what what-ifs do, what moves what."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from gridtwin.report.numbers import count, percent, quantity, signed
from gridtwin.report.verdict import Headline

if TYPE_CHECKING:
    from gridtwin.study.folder import Folder
    from gridtwin.study.kpis import Metric
    from gridtwin.study.spec import Scenario

__all__ = ["View", "cards", "sentences", "words"]

_MAIN = (
    "mean_wait",
    "mean_turnaround",
    "wasted_share",
    "moved_bytes",
    "p95_wait",
    "mean_bounded_slowdown",
    "finished_share",
    "makespan",
)
_POLICY = ("broker", "queue", "policy")
MOST_MAIN = 4
MOST_WHATIFS = 6
LITTLE = 0.05
"""A share of the variance that is not worth a sentence."""


def words(metric: str) -> str:
    """Return a metric's name in words."""
    return metric.replace("p95_", "95th percentile of the ").replace("_", " ")


@dataclass(frozen=True)
class View:
    """A study's folder, read the way that the page tells it."""

    folder: "Folder"

    @cached_property
    def metrics(self) -> "dict[str, Metric]":
        """The study's metrics that have a value, by name."""
        from gridtwin.study.kpis import METRICS

        there = set(self.folder.comparison["metric"])
        return {name: METRICS[name] for name in self.folder.spec.metrics if name in there}

    @cached_property
    def varying(self) -> list[str]:
        """The metrics that differ between scenarios; all where there is but one."""
        frame = self.folder.comparison.group_by("metric").agg(
            (pl.col("mean").max() > pl.col("mean").min())
            | (pl.col("low") < 0).any()
            | (pl.col("high") > 0).any()
        )
        differs = dict(frame.iter_rows())
        one = len(self.folder.scenarios) == 1
        return [n for n in self.metrics if one or differs[n]]

    @cached_property
    def main(self) -> list[str]:
        """The metrics of the verdict: with a better side and not the same in all scenarios."""
        judged = [name for name in self.varying if self.metrics[name].goal != "none"]
        judged.sort(key=lambda name: _MAIN.index(name) if name in _MAIN else len(_MAIN))
        return (judged or list(self.metrics))[:MOST_MAIN]

    @cached_property
    def base(self) -> "Scenario":
        """The scenario that others are compared with."""
        return self.folder.spec.by_id[self.folder.spec.base]

    @cached_property
    def choices(self) -> list[str]:
        """The axes that somebody decides: brokers and queues."""
        return [a for a in self.folder.spec.axes if a.split(".")[0] in _POLICY]

    @cached_property
    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Rows of the comparison by scenario and metric."""
        frame = self.folder.comparison
        return {(row["scenario"], row["metric"]): row for row in frame.iter_rows(named=True)}

    @cached_property
    def choice(self) -> "dict[str, str]":
        """What each scenario decides, in words; empty where nothing is decided."""
        return {s.id: " · ".join(s.values[a] for a in self.choices) for s in self.folder.scenarios}

    @cached_property
    def circumstance(self) -> "dict[str, str]":
        """What each scenario meets, in words: its choice on all other axes."""
        return {
            s.id: " · ".join(v for a, v in s.values.items() if a not in self.choices)
            for s in self.folder.scenarios
        }

    def deciding(self) -> "list[Scenario]":
        """Return the scenarios that differ from the base by what is decided alone, it included."""
        mine = self.circumstance[self.base.id]
        return [s for s in self.folder.scenarios if self.circumstance[s.id] == mine]

    def happening(self) -> "list[Scenario]":
        """Return the scenarios that decide as the base does and meet something else."""
        mine = self.choice[self.base.id]
        found = [s for s in self.folder.scenarios if self.choice[s.id] == mine]
        return [s for s in found if s.id != self.base.id]

    def best(self, scenarios: "list[Scenario]", metric: str) -> "Scenario | None":
        """Return the scenario of the best mean, of equal ones the base, else the first."""
        sign = -1.0 if self.metrics[metric].goal == "max" else 1.0
        known = [s for s in scenarios if (s.id, metric) in self.rows]

        def key(scenario: "Scenario") -> tuple[float, bool]:
            return sign * self.rows[scenario.id, metric]["mean"], scenario.id != self.base.id

        return min(known, key=key, default=None)

    def judged(self, scenario: str, metric: str) -> str:
        """Return whether a change is better, worse, only other, or within chance ("")."""
        row = self.rows.get((scenario, metric))
        if row is None or row["low"] is None or row["low"] <= 0 <= row["high"]:
            return ""
        goal = self.metrics[metric].goal
        if goal == "none":
            return "other"
        return "better" if (row["change"] < 0) == (goal == "min") else "worse"

    def changed(self, scenario: str, metric: str) -> str:
        """Return a change with its interval, in words."""
        row, unit = self.rows[scenario, metric], self.metrics[metric].unit
        ratio = row["ratio"]
        told = [signed(ratio - 1, "share")] if ratio and math.isfinite(ratio) else []
        unit = "points" if unit == "share" else unit
        told += [between(row, unit)] if row["low"] is not None else []
        inside = f" ({'; '.join(told)})" if told else ""
        return f"{signed(row['change'], unit)}{inside}"


def between(row: dict[str, Any], unit: str) -> str:
    """Return an interval in words; nothing where there is none."""
    if row["low"] is None:
        return ""
    unit = "points" if unit == "share" else unit
    return f"95 %: {signed(row['low'], unit)} to {signed(row['high'], unit)}"


def sentences(view: View) -> list[str]:
    """Return the verdict, the most important sentence first."""
    if not view.rows:
        return [_progress(view) or "Nothing has been measured yet."]
    told = _deciding(view) if len(view.deciding()) > 1 else []
    told += _happening(view)
    if not told:
        first = view.main[0]
        value = quantity(view.rows[view.base.id, first]["mean"], view.metrics[first].unit)
        told = [f"The {words(first)} is {value}; there is one scenario and nothing beside it."]
    told += _moving(view)
    n = len(view.folder.spec.seeds)
    if n == 1:
        told.append("One seed: nothing here says what is chance. Take five or more.")
    elif n < 5:
        told.append(f"Only {n} seeds: the intervals are wide, and themselves uncertain.")
    told += _still(view)
    if progress := _progress(view):
        told.insert(0, progress)
    return told


def _still(view: View) -> list[str]:
    """Say in which scenarios seeds change nothing, so that they tell nothing of chance."""
    same = (
        view.folder.results.filter(pl.col("metric").is_in(view.main))
        .drop_nulls("value")
        .group_by("scenario", "metric")
        .agg((pl.col("value").n_unique() == 1) & (pl.len() > 1))
        .group_by("scenario")
        .agg(pl.col("value").all())
    )
    still = int(same["value"].sum())
    if not still:
        return []
    where = "" if still == same.height else f" in {still} of {same.height} scenarios"
    return [
        f"All seeds give the same figures{where}: nothing is drawn at random there, and the "
        "intervals say nothing of what other jobs would do."
    ]


def _progress(view: View) -> str:
    folder = view.folder
    if folder.complete:
        return ""
    done, total = count(len(folder.finished)), count(folder.total)
    return f"Unfinished: {done} of {total} runs are done, and what follows is of those."


def _deciding(view: View) -> list[str]:
    """Say which choice is best on each main metric, everything else being as in the base."""
    told = []
    options = view.deciding()
    for metric in view.main:
        best = view.best(options, metric)
        if best is None or view.metrics[metric].goal == "none":
            continue
        unit = view.metrics[metric].unit
        side = "highest" if view.metrics[metric].goal == "max" else "lowest"
        value = quantity(view.rows[best.id, metric]["mean"], unit)
        name = view.choice[best.id]
        text = f"{_capital(name)} has the {side} {words(metric)} of {len(options)} choices: {value}"
        if best.id == view.base.id:
            told.append(f"{text}; it is the base. {_next(view, options, metric)}".strip())
            continue
        row = view.rows[best.id, metric]
        theirs = quantity(row["base_mean"], unit)
        text += f" against {theirs} of {view.choice[view.base.id]}: {view.changed(best.id, metric)}"
        if row["wins"] is not None:
            text += f"; better on {percent(row['wins'])} of the seeds"
        clear = view.judged(best.id, metric) or row["low"] is None
        told.append(text + ("." if clear else ", which may be chance."))
    return told + _elsewhere(view)


def _next(view: View, options: "list[Scenario]", metric: str) -> str:
    others = [s for s in options if s.id != view.base.id]
    second = view.best(others, metric)
    if second is None:
        return ""
    return f"Next is {view.choice[second.id]}, {view.changed(second.id, metric)}."


def _elsewhere(view: View) -> list[str]:
    """Say whether the best choice stays so whatever happens."""
    metric = view.main[0]
    here = view.best(view.deciding(), metric)
    if view.metrics[metric].goal == "none" or here is None:
        return []
    others: dict[str, list[Scenario]] = {}
    for scenario in view.folder.scenarios:
        others.setdefault(view.circumstance[scenario.id], []).append(scenario)
    if len(others) < 2:
        return []
    best = {name: view.best(scenarios, metric) for name, scenarios in others.items()}
    name = view.choice[here.id]
    changes = [(n, view.choice[s.id]) for n, s in best.items() if s and view.choice[s.id] != name]
    if not changes:
        return [
            f"By {words(metric)}, {name} stays best in each of the {len(others)} circumstances."
        ]
    listed = "; ".join(f"{choice} with '{where}'" for where, choice in changes[:4])
    return [f"By {words(metric)}, {name} is not best everywhere: {listed}."]


def _happening(view: View) -> list[str]:
    """Say what each what-if does to the main metrics, decided as in the base."""
    told = []
    events = view.happening()
    for scenario in events[:MOST_WHATIFS]:
        name = view.circumstance[scenario.id]
        moved = [m for m in view.main if view.judged(scenario.id, m)]
        known = [m for m in view.main if (scenario.id, m) in view.rows]
        if moved:
            parts = [f"{words(m)} {view.changed(scenario.id, m)}" for m in moved[:2]]
            told.append(f"{_capital(name)}: {'; '.join(parts)}.")
        elif known and view.rows[scenario.id, known[0]]["low"] is None:
            metric = known[0]
            told.append(f"{_capital(name)}: {words(metric)} {view.changed(scenario.id, metric)}.")
        elif known:
            told.append(f"{_capital(name)}: no main figure moves by more than chance.")
    if (rest := len(events) - MOST_WHATIFS) > 0:
        told.append(f"{rest} more are in the tables below.")
    return told


def _moving(view: View) -> list[str]:
    """Say which axis moves the main metrics most."""
    frame = view.folder.sensitivity
    told = []
    for metric in view.main[:2]:
        rows = frame.filter(
            (pl.col("metric") == metric) & ~pl.col("axis").is_in(["seed", "together"])
        ).sort("share", descending=True)
        if rows.height < 2:
            continue
        shares = list(rows.select("axis", "share").iter_rows())
        if shares[0][1] < LITTLE:
            told.append(f"No axis by itself moves the {words(metric)} beyond what seeds do.")
            continue
        parts = ", ".join(f"{axis} {percent(share)}" for axis, share in shares[:3])
        told.append(
            f"The {words(metric)} is moved most by {shares[0][0]}; of its variance: {parts}."
        )
    return told


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if " " in text else text


def cards(view: View) -> list[Headline]:
    """Return the main metrics: of the base with its interval, and the best choice beside it."""
    from gridtwin.study.compare import interval

    found = []
    for metric in view.main:
        if (view.base.id, metric) not in view.rows:
            continue
        unit = view.metrics[metric].unit
        mine = view.folder.results.filter(
            (pl.col("scenario") == view.base.id) & (pl.col("metric") == metric)
        )["value"].drop_nulls()
        low, high = interval(mine.to_numpy())
        told = [f"{view.base.label}, mean of {len(mine)} seeds"]
        if low is not None:
            told.append(f"95 %: {quantity(low, unit)} to {quantity(high, unit)}")
        best = view.best(view.deciding(), metric)
        if best is not None and best.id != view.base.id:
            value = quantity(view.rows[best.id, metric]["mean"], unit)
            told.append(f"best: {view.choice[best.id]}, {value}")
        value = quantity(view.rows[view.base.id, metric]["base_mean"], unit)
        definition = view.metrics[metric].definition
        found.append(Headline(words(metric).capitalize(), value, "", definition, tuple(told)))
    return found
