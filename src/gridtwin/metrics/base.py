"""What a metric is, and the registry of them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, modelled_columns

__all__ = [
    "DEFAULT_GROUPS",
    "GROUPS",
    "Goal",
    "Group",
    "Metric",
    "On",
    "Score",
    "metric",
    "registry",
    "resolve",
]

Goal = Literal["min", "half", "one", "heldout", "weeks"]
"""The best value: 0, 0.5, 1, that of held-out real rows, or at most that of real weeks."""
Group = Literal[
    "marginal",
    "joint",
    "validity",
    "detection",
    "utility",
    "privacy",
    "temporal",
    "scheduling",
    "paper",
]
GROUPS: tuple[Group, ...] = get_args(Group)
"""All groups, in the order in which they are shown."""
DEFAULT_GROUPS: tuple[Group, ...] = tuple(g for g in GROUPS if g not in ("utility", "paper"))
"""Without what takes minutes, and without the paper's own forms of what is there already."""
On = Literal["rows", "unseen", "memory", "split", "arrivals", "queue"]
"""What is compared with what.

``rows``: synthetic rows with training rows. ``unseen``: with held-out rows. ``memory``: with
training rows, best as held-out rows do. ``split``: with training and held-out rows at once.
``arrivals``, ``queue``: whole traces, many samples, against the block bootstrap of real weeks.
"""


@dataclass(frozen=True)
class Score:
    """The outcome of a metric."""

    value: float
    """NaN where the metric does not apply; ``detail["reason"]`` says why then."""
    by_column: dict[str, float] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    """Plain values: sizes, caps, seeds, further figures."""

    @classmethod
    def none(cls, reason: str) -> "Score":
        """Return the score of a metric that does not apply, with the reason."""
        return cls(float("nan"), detail={"reason": reason})

    @classmethod
    def mean(cls, by_column: dict[str, float], what: str, **detail: object) -> "Score":
        """Return the mean over columns; of no columns, that there is no `what` to compare."""
        if not by_column:
            return cls.none(f"no {what} to compare")
        return cls(float(np.mean(list(by_column.values()))), by_column, dict(detail))


@dataclass(frozen=True)
class Metric:
    """A named function ``(real, synthetic, **options) -> Score`` and what it means."""

    name: str
    goal: Goal
    group: Group
    on: On
    definition: str
    function: Callable[..., Score]

    def __call__(self, real: JobTable, synthetic: JobTable, **options: object) -> Score:
        """Score a synthetic table; options that the function does not take are left out."""
        taken = inspect.signature(self.function).parameters
        return self.function(real, synthetic, **{k: v for k, v in options.items() if k in taken})

    def distance(self, value: float, reference: float | None = None) -> float:
        """Return how far a value is from the best one, 0 or more.

        `reference` is what held-out rows, or real weeks, score.
        """
        if self.goal == "one":
            return abs(float(np.log(value))) if value > 0 else float("inf")
        if self.goal == "weeks":
            return max(0.0, value - (reference or 0.0))
        best = {"min": 0.0, "half": 0.5, "heldout": reference or 0.0}[self.goal]
        return abs(value - best)


registry = Registry("metric", "gridtwin.metrics", "gridtwin.metrics")


def resolve(name: str) -> Metric:
    """Return the metric of that name; `UnknownNameError` names the nearest one."""
    found = registry.get(name)
    if not isinstance(found, Metric):
        raise InputError(
            f"metric {name!r} is a {type(found).__name__}; the entry point that provides it must "
            f"lead to a function decorated @metric({name!r}, ...)"
        )
    return found


Function = TypeVar("Function", bound=Callable[..., Score])


def metric(name: str, *, goal: Goal, group: Group, on: On) -> Callable[[Function], Function]:
    """Register a function as a metric; its docstring is the definition that is printed."""

    def register(function: Function) -> Function:
        definition = inspect.cleandoc(function.__doc__ or "")
        registry.add(name, Metric(name, goal, group, on, definition, function))
        return function

    return register


def shared_columns(real: JobTable, synthetic: JobTable, columns: Columns | None) -> Columns:
    """Return `columns` (the real table's modelled ones, where None) that both tables have."""
    columns = modelled_columns(real) if columns is None else columns
    return columns.within(real).within(synthetic)


def subsample(jobs: JobTable, n: int, rng: np.random.Generator) -> JobTable:
    """Return `n` rows drawn without replacement, in their order; all of them if there are fewer."""
    height = len(jobs)
    if height <= n:
        return jobs
    rows = np.sort(rng.choice(height, n, replace=False))
    return jobs.with_frame(jobs.collect()[rows], f"a random {n} of {height} rows")
