"""The outcome of a judgement: a row per metric, references beside it, and a verdict."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.files import writing

__all__ = ["Evaluation", "Row"]


@dataclass(frozen=True)
class Row:
    """One metric of the synthetic trace and its reference values, None where there is none."""

    metric: str
    group: str
    goal: str
    definition: str
    synthetic: float | None
    """Of the first sample; the median over samples for arrivals and queues."""
    heldout: float | None
    """Of real rows that are not training rows."""
    train_copy: float | None
    """Of the training rows themselves, taken as synthetic."""
    weeks: float | None
    """Median over block bootstraps of the real weeks."""
    spread: tuple[float, float] | None
    """5 % and 95 % over the samples, where there are several."""
    by_column: dict[str, float | None] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    """Sizes, caps, further figures; ``reason`` where the metric does not apply;
    ``weeks_spread`` the 5 % and 95 % of the reference."""
    heldout_by_column: dict[str, float | None] = field(default_factory=dict)
    """What held-out rows score by column, where there are any."""


@dataclass(frozen=True)
class Evaluation:
    """All rows of a judgement, what was assumed, and what follows."""

    rows: tuple[Row, ...]
    verdict: tuple[str, ...]
    """What the trace may be used for and what not, in plain sentences."""
    notes: tuple[str, ...]
    """How the references were made, a sentence each."""
    sizes: dict[str, int]
    """Rows of train, holdout and one synthetic sample, samples, cores."""
    left_out: dict[str, str]
    """Columns that were not compared, and why."""

    def __getitem__(self, metric: str) -> Row:
        for row in self.rows:
            if row.metric == metric:
                return row
        raise KeyError(f"{metric}; there are {', '.join(row.metric for row in self.rows)}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; a number that is not finite becomes null."""
        values: dict[str, Any] = _plain(asdict(self))
        return values

    def frame(self) -> pl.DataFrame:
        """Return the table of metrics, one a row."""
        names = ("synthetic", "heldout", "train_copy", "weeks")
        records = [
            {"metric": row.metric, "group": row.group, "goal": row.goal}
            | {name: getattr(row, name) for name in names}
            | {"low": row.spread[0] if row.spread else None}
            | {"high": row.spread[1] if row.spread else None}
            | {"reason": row.detail.get("reason"), "definition": row.definition}
            for row in self.rows
        ]
        numbers = dict.fromkeys((*names, "low", "high"), pl.Float64)
        text = dict.fromkeys(("metric", "group", "goal", "reason", "definition"), pl.String)
        return pl.DataFrame(records, schema_overrides={**numbers, **text})

    def columns(self) -> pl.DataFrame:
        """Return the scores by column, one a row: column, metric, synthetic, heldout."""
        records = [
            (name, row.metric, value, row.heldout_by_column.get(name))
            for row in self.rows
            for name, value in row.by_column.items()
        ]
        texts, numbers = ("column", "metric"), ("synthetic", "heldout")
        schema = dict.fromkeys(texts, pl.String()) | dict.fromkeys(numbers, pl.Float64())
        return pl.DataFrame(records, schema=schema, orient="row")

    def save(self, folder: Path | str) -> None:
        """Write ``evaluation.json``, ``evaluation.csv`` and ``columns.csv`` into the folder."""
        with writing(Path(folder) / "evaluation.json") as path:
            text = json.dumps(self.to_json(), indent=1, allow_nan=False)
            path.write_text(text, encoding="utf-8")
        with writing(Path(folder) / "evaluation.csv") as path:
            self.frame().write_csv(path)
        with writing(Path(folder) / "columns.csv") as path:
            self.columns().write_csv(path)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Return the value with NumPy scalars as Python ones and no number that JSON lacks."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
