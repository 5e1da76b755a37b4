"""Write the page of a benchmark: models side by side on each trace."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gridtwin.metrics import Row
from gridtwin.report import facts, study_charts
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, count, duration, number
from gridtwin.report.page import Cell, Line, Section, Table, write_results
from gridtwin.report.verdict import HOW_MARKED, NAMES, SHORT, Headline, goal_text, mark, weeks_range

if TYPE_CHECKING:
    from gridtwin.study.benchmark import Benchmark

__all__ = ["write_benchmark_report"]

_REFERENCES = ("held-out real", "copy of train")
_COSTS = {"fit_cpu_s": "Fit, CPU time", "sample_cpu_s": "One sample, CPU time",
          "peak_mib": "Peak memory, MiB"}  # fmt: skip
_SIGNS = {"good": "● good", "fair": "◐ fair", "poor": "○ poor", "": ""}
_QUEUES = ("load", "wait_easy", "slowdown_easy", "wait_fcfs", "slowdown_fcfs")
_MOST_PANELS = 3
_INTRO = (
    "Rows are judged on models fitted to a part of the jobs, beside held-out real jobs and a mere "
    "copy of the training jobs; arrivals and queues on models fitted to all jobs, beside real "
    "weeks put together anew."
)


def write_benchmark_report(
    found: "Benchmark", path: Path | str, *, made: Mapping[str, str] | None = None
) -> Path:
    """Write the page of a benchmark; the same bytes for the same results.

    Parameters
    ----------
    path
        Of the page, one HTML file with its charts as SVG, no script and no request.
    made
        What else tells how to make it again, by name: the sources, the seed.
    """
    traces = [_Trace(found, name) for name in found.table["trace"].unique(maintain_order=True)]
    rows = [row for trace in traces for judged in trace.judged.values() for row in judged]
    texts = {row.metric: " ".join(row.definition.replace("`", "").split()) for row in rows}
    definitions = [(NAMES.get(name, name), text) for name, text in texts.items()]
    return write_results(
        path,
        command="gridtwin benchmark",
        title=f"{_many(traces[0].models, 'model')} on {_many(traces, 'trace')}",
        sentences=[*_over_all(traces), *(text for trace in traces for text in trace.sentences())],
        cards=[card for trace in traces for card in trace.cards()],
        wanted=[trace.section(k) for k, trace in enumerate(traces)],
        figures=[figure for k, trace in enumerate(traces) for figure in trace.figures(k)],
        tables={trace.section(k)[0]: [trace.table()] for k, trace in enumerate(traces)},
        definitions=[("Marks", HOW_MARKED), *definitions],
        provenance=[
            ("Command", "gridtwin benchmark"),
            *(made or {}).items(),
            ("Versions", facts.versions()),
        ],
    )


def _many(items: Sequence[object], what: str) -> str:
    return f"{count(len(items))} {what}{'' if len(items) == 1 else 's'}"


def _over_all(traces: "Sequence[_Trace]") -> list[str]:
    """Return the sentence that sums up several traces; nothing for one, which says it itself."""
    if len(traces) < 2 or not any(trace.judged for trace in traces):
        return []
    found = {model: 0 for trace in traces for model in trace.judged}
    marked = dict(found)
    for trace in traces:
        for model in trace.judged:
            good, of = trace.marks(model)
            found[model] += good
            marked[model] += of
    return [f"Over {len(traces)} traces: {_good({m: (found[m], marked[m]) for m in found})}."]


def _good(marks: Mapping[str, tuple[int, int]]) -> str:
    """Say on how many of how many metrics each model is good, the best first."""
    (first, (good, of)), *others = sorted(marks.items(), key=lambda item: -item[1][0])
    more = (f", {model} on {n} of {m}" for model, (n, m) in others)
    return f"{first} is good on {good} of {of} metrics{''.join(more)}"


class _Trace:
    """What a benchmark says of one trace."""

    def __init__(self, found: "Benchmark", name: str) -> None:
        self.name = name
        rows = found.table.filter(pl.col("trace") == name).iter_rows(named=True)
        self.rows: dict[str, dict[str, Any]] = {str(row["model"]): row for row in rows}
        self.models = [model for model in self.rows if model not in _REFERENCES]
        self.judged = {
            model: found.evaluations[name, model].rows
            for model in self.models
            if (name, model) in found.evaluations
        }
        self.metrics: dict[str, dict[str, Row]] = {}
        """By metric, then by model."""
        for model, judged in self.judged.items():
            for row in judged:
                self.metrics.setdefault(row.metric, {})[model] = row
        self.failed = {m: str(r["error"]) for m, r in self.rows.items() if r["error"]}

    def best(self, metric: str) -> list[str]:
        """Return the models whose value is nearest to the best one; none where all are alike."""
        far = {model: _distance(row) for model, row in self.metrics[metric].items()}
        return _least({model: value for model, value in far.items() if value is not None})

    def marks(self, model: str) -> tuple[int, int]:
        """Return on how many metrics a model is good, and how many are marked."""
        marks = [mark(row) for row in self.judged[model]]
        return marks.count("good"), len(marks) - marks.count("")

    def sentences(self) -> list[str]:
        """Return the verdict on a trace."""
        failed = [f"{m} gave nothing on {self.name}: {why}." for m, why in self.failed.items()]
        if not self.judged:
            return [f"No model gave a trace of {self.name}.", *failed]
        good = _good({model: self.marks(model) for model in self.judged})
        return [f"{self.name}: {good}.", *self._queues(), *self._told(), *failed]

    def _queues(self) -> list[str]:
        found = {m: row.synthetic for m, row in self.metrics.get("wait_easy", {}).items()}
        known = {m: value for m, value in found.items() if value is not None}
        if not known:
            return []
        parts = ", ".join(f"{number(value)} with {m}" for m, value in known.items())
        return [f"{self.name}, mean wait under EASY over that of the real trace: {parts}."]

    def _told(self) -> list[str]:
        found = {m: row.synthetic for m, row in self.metrics.get("c2st", {}).items()}
        known = {m: value for m, value in found.items() if value is not None}
        if not known:
            return []
        parts = ", ".join(f"{number(value)} for {m}" for m, value in known.items())
        return [f"{self.name}, a classifier's AUC (0.5: it cannot tell the jobs apart): {parts}."]

    def cards(self) -> list[Headline]:
        """Return a card for each model: on how many metrics it is good and best, and its costs."""
        found = []
        judged = [name for name in self.metrics if self.best(name)]
        for model in self.judged:
            value = "{} of {}".format(*self.marks(model))
            costs = self.rows[model]
            lines = [
                f"fit {duration(costs['fit_cpu_s'])}, one sample "
                f"{duration(costs['sample_cpu_s'])} of CPU time, {number(costs['peak_mib'])} MiB"
            ]
            if judged:
                best = sum(model in self.best(name) for name in judged)
                lines.insert(0, f"no model is better on {best} of {len(judged)}")
            title = f"{model} on {self.name}"
            found.append(Headline(title, value, "", "metrics are marked good", tuple(lines)))
        return found

    def section(self, place: int) -> Section:
        """Return the trace's section."""
        return (f"trace-{place}", self.name, _INTRO)

    def figures(self, place: int) -> list[Figure]:
        """Return the chart of load and queues, where these were judged."""
        names = [name for name in _QUEUES if name in self.metrics][:_MOST_PANELS]
        rows = [row for name in names for row in self._ratios(name)]
        if not rows:
            return []
        text, numbers = pl.String, dict.fromkeys(("change", "low", "high"), pl.Float64)
        schema = {"metric": text, "scenario": text, **numbers, "judged": text}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        drawn = [name for name in names if name in set(frame["metric"])]
        titles = [(name, SHORT.get(name, NAMES.get(name, name))) for name in drawn]
        chart = study_charts.ratio_panels(frame, titles)
        caption = (
            "Synthetic over real, 1 is equal. Dots: median over the samples; bars: 5 % to 95 %. A "
            "good model's bar lies within or near that of the real weeks put together anew."
        )
        title = f"Load and queues: {self.name}"
        return [Figure(f"queues_{place}", f"trace-{place}", title, caption, chart, size="wide")]

    def _ratios(self, metric: str) -> list[tuple[object, ...]]:
        """Return rows of the chart for one metric: the models, then the real weeks."""
        found: list[tuple[object, ...]] = []
        for model, row in self.metrics[metric].items():
            if row.synthetic and 0 < row.synthetic < math.inf:
                found.append((metric, model, row.synthetic, *_ends(row.spread), "model"))
        first = next(iter(self.metrics[metric].values()))
        if found and first.weeks and first.weeks > 0:
            ends = _ends(weeks_range(first))
            found.append((metric, "real weeks", first.weeks, *ends, "real weeks"))
        return found

    def table(self) -> Table:
        """Return all metrics and costs, one column a model, the best of each marked."""
        references = [name for name in _REFERENCES if name in self.rows]
        head = ["Metric", "Best is", *(name.capitalize() for name in references), *self.models]
        lines = []
        for metric, rows in self.metrics.items():
            if all(row.synthetic is None for row in rows.values()):
                continue
            cells = [Cell(goal_text(next(iter(rows.values())).goal))]
            cells += [Cell(number(self.rows[name].get(metric))) for name in references]
            best = self.best(metric)
            cells += [_cell(rows.get(model), model in best) for model in self.models]
            lines.append(Line(NAMES.get(metric, metric), cells))
        for cost, title in _COSTS.items():
            values = {m: self.rows[m][cost] for m in self.models}
            best = _least({m: value for m, value in values.items() if value is not None})
            cells = [Cell("least"), *(Cell(NONE) for _ in references)]
            text = number if cost == "peak_mib" else duration
            cells += [_best(text(values[m]), "", m in best) for m in self.models]
            lines.append(Line(title, cells))
        return Table(f"{self.name}: all metrics; the best of each is bold", head, lines)


def _cell(row: Row | None, best: bool) -> Cell:
    if row is None or row.synthetic is None:
        return Cell(NONE)
    return _best(number(row.synthetic), _SIGNS[mark(row)], best)


def _best(text: str, note: str, best: bool) -> Cell:
    return Cell(text, f"{note}, best" if best and note else "best" if best else note,
                "best" if best else "")  # fmt: skip


def _ends(pair: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """Return both ends of an interval, or none where a logarithm has no place for one."""
    return pair if pair is not None and 0 < pair[0] <= pair[1] < math.inf else (None, None)


def _distance(row: Row) -> float | None:
    """Return how far a value is from its best one; None where that cannot be said."""
    value = row.synthetic
    if value is None or not math.isfinite(value):
        return None
    if row.goal == "one":
        return abs(math.log(value)) if value > 0 else math.inf
    if row.goal == "weeks":
        habit = (weeks_range(row) or (0.0, row.weeks))[1]
        return None if habit is None else max(0.0, value - habit)
    best = {"half": 0.5, "heldout": row.heldout}.get(row.goal, 0.0)
    return None if best is None else abs(value - best)


def _least(values: Mapping[str, float]) -> list[str]:
    """Return who has the least; nobody where there is but one, or all have the same."""
    if len(set(values.values())) < 2:
        return []
    least = min(values.values())
    return [name for name, value in values.items() if value == least]
