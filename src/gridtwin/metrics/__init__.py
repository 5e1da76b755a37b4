"""Metrics: how near a synthetic trace is to the real one, and what it may be used for.

``get(name)`` returns a metric, ``evaluate(...)`` runs all of them with their reference rows.
"""

from gridtwin.metrics.base import Metric, Score, metric, registry, resolve
from gridtwin.metrics.evaluation import Evaluation, Row
from gridtwin.metrics.judge import evaluate, join

__all__ = ["Evaluation", "Metric", "Row", "Score", "evaluate", "get", "join", "metric", "names"]


def get(name: str) -> Metric:
    """Return the metric of that name; `UnknownNameError` names the nearest one."""
    return resolve(name)


def names() -> list[str]:
    """Return the names of all metrics."""
    return registry.names()
