"""What a judgement says beside its table: queues against load, and column by column."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from gridtwin.report import charts
from gridtwin.report.figures import Figure
from gridtwin.report.numbers import NONE, number
from gridtwin.report.theme import label
from gridtwin.report.verdict import weeks_range

if TYPE_CHECKING:
    from gridtwin.metrics import Row

__all__ = ["column_table", "load_curve", "telling"]

_CURVES = {"wait": "Mean wait against load", "slowdown": "Mean bounded slowdown against load"}
_COLUMN_METRICS = {
    "ks": "Numbers: KS",
    "jsd": "Categories: JSD",
    "tv": "Total variation",
    "diff_corr": "Associations",
    "support_hits": "Values seen",
    "c2st": "AUC lost, shuffled",
}
_ALONE = "AUC of it alone"


def load_curve(rows: "Sequence[Row]") -> list[Figure]:
    """Return the mean wait and slowdown against the load, over machine sizes and policies."""
    points: dict[str, list[tuple[str, float, str, float, float | None, float | None]]] = {}
    for row in rows:
        detail, value = row.detail, row.synthetic
        if value is None or not {"policy", "figure", "size", "real"} <= set(detail):
            continue
        real, load = float(detail["real"]["mean"]), float(detail["load_real"])
        if not (real > 0 and load > 0):
            continue
        kept = points.setdefault(detail["figure"], [])
        panel = detail["policy"].upper()
        kept.append((panel, load, "real", real, None, None))
        low, high = row.spread or (None, None)
        kept.append((panel, load, "synthetic", value * real, _of(low, real), _of(high, real)))
        if row.weeks:
            low, high = weeks_range(row) or (None, None)
            ends = _of(low, real), _of(high, real)
            kept.append((panel, load, "real weeks", row.weeks * real, *ends))
    numbers = {"mid": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    schema = {"policy": pl.String, "load": pl.Float64, "trace": pl.String, **numbers}
    figures = []
    for figure, title in _CURVES.items():
        frame = pl.DataFrame(points.get(figure, []), schema=schema, orient="row")
        frame = frame.with_columns(pl.when(pl.col(c) > 0).then(pl.col(c)) for c in numbers)
        if frame["load"].n_unique() < 2:
            continue
        caption = (
            "The same traces on machines of 0.8, 1 and 1.2 times the size (from right to left). "
            "Dots: median over the samples; bars: 5 % to 95 %. A good model's line follows the "
            "real one; its bars lie within or near those of the real weeks put together anew."
        )
        chart = charts.load_curve(frame, waits=figure == "wait")
        figures.append(Figure(f"load_{figure}", "queues", title, caption, chart, size="medium"))
    return figures


def _of(ratio: float | None, real: float) -> float | None:
    return None if ratio is None else ratio * real


def telling(rows: "Sequence[Row]") -> str:
    """Return by which columns a classifier tells synthetic rows, in words; empty if not judged."""
    row = next((row for row in rows if row.metric == "c2st"), None)
    if row is None or row.synthetic is None:
        return ""
    auc = f"AUC {number(row.synthetic)}, held-out real rows {number(row.heldout)}"
    columns = [label(name) for name in row.detail.get("telling", ())]
    if not columns:
        return f"The classifier finds no column that tells synthetic jobs from real ones ({auc})."
    return (
        f"The classifier tells synthetic jobs from real ones most by: {', '.join(columns)} ({auc})."
    )


def column_table(rows: "Sequence[Row]") -> dict[str, Any]:
    """Return ``titles`` and ``rows``: each column's scores beside held-out ones, as text.

    The columns that tell most come first. Empty where no metric of columns was judged.
    """
    judged = {row.metric: row for row in rows if row.metric in _COLUMN_METRICS and row.by_column}
    classifier = judged.get("c2st")
    told = list(classifier.detail.get("telling", ())) if classifier else []
    # associations and the rest are of columns that these have, too
    names = [n for key in ("ks", "jsd", "c2st") if key in judged for n in judged[key].by_column]
    scores = {
        title: (judged[key].by_column, judged[key].heldout_by_column)
        for key, title in _COLUMN_METRICS.items()
        if key in judged
    }
    if classifier and "alone" in classifier.detail:
        held = classifier.detail.get("heldout_detail", {}).get("alone", {})
        scores[_ALONE] = (classifier.detail["alone"], held)
    return {
        "titles": list(scores) if names else [],
        "rows": [
            {
                "name": label(name),
                "told": name in told,
                "cells": [
                    (number(own.get(name)), _held(ref.get(name))) for own, ref in scores.values()
                ],
            }
            for name in dict.fromkeys([*(n for n in told if n in names), *names])
        ],
    }


def _held(value: float | None) -> str:
    text = number(value)
    return "" if text == NONE else text
