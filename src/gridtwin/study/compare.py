"""Compare scenarios seed by seed, and say which axis moves which figure."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from gridtwin.study.kpis import METRICS
from gridtwin.study.spec import Spec

__all__ = ["comparison", "sensitivity"]

RESAMPLES = 2000
COMPARISON = {
    "scenario": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "base_mean": pl.Float64,
    "mean": pl.Float64,
    "change": pl.Float64,
    "ratio": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "wins": pl.Float64,
}
SENSITIVITY = {
    "axis": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "share": pl.Float64,
    "effect": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "least": pl.String,
    "most": pl.String,
}


def comparison(results: pl.DataFrame, spec: Spec, base: str | None = None) -> pl.DataFrame:
    """Return each scenario beside the base one, metric by metric, over the seeds that both have.

    ``change`` is mean - base_mean, in the metric's unit; ``low`` and ``high`` bound it in 95 % of
    the resamples of seeds, pair by pair (`interval`); ``wins`` is the share of the seeds on which
    the scenario is better, equal ones count half (null: the metric has no better side).
    """
    base = spec.base if base is None else base
    cube = _cube(results, spec)
    at = [s.id for s in spec.scenarios].index(base)
    rows = []
    for k, scenario in enumerate(spec.scenarios):
        for m, metric in enumerate(spec.metrics):
            both = np.isfinite(cube[k, :, m]) & np.isfinite(cube[at, :, m])
            mine, theirs = cube[k, both, m], cube[at, both, m]
            if not both.any():
                continue
            low, high = interval(mine - theirs)
            first, second = float(theirs.mean()), float(mine.mean())
            row = (scenario.id, metric, int(both.sum()), first, second, second - first)
            ratio = second / first if first else None
            rows.append((*row, ratio, low, high, _wins(metric, mine - theirs)))
    return pl.DataFrame(rows, schema=COMPARISON, orient="row")


def interval(
    differences: NDArray[np.float64], *, level: float = 0.95, seed: int = 0
) -> tuple[float | None, float | None]:
    """Return the bounds of the mean by the expanded percentile bootstrap; None for one value.

    Percentiles are moved outwards so that the interval is as wide as Student's for few values:
    Hesterberg, The American Statistician 69(4), 2015, section 3.3.
    """
    n = len(differences)
    if n < 2:
        return None, None
    drawn = np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))
    tail = tail_of(n, level)
    low, high = np.quantile(differences[drawn].mean(1), [tail, 1 - tail])
    return float(low), float(high)


def tail_of(n: int, level: float = 0.95) -> float:
    """Return the expanded percentile for `n` values, 2 or more; see `interval`."""
    t = stats.t.ppf((1 - level) / 2, n - 1)
    return float(stats.norm.cdf(np.sqrt(n / (n - 1)) * t))


def sensitivity(results: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """Return which axis moves which metric, over the seeds that every scenario has.

    ``share`` is the part of the variance of all runs that the means of the axis' choices explain
    (its main effect in the analysis of variance of a complete design); ``seed`` and ``together``
    (what the axes do in combination, and chance) are given beside it, and all of them sum to 1.
    ``effect`` is the difference of the largest and the smallest of those means, with a 95 %
    bootstrap interval over seeds; ``least`` and ``most`` are the choices.
    """
    cube = _cube(results, spec)
    rows: list[tuple[object, ...]] = []
    for m, metric in enumerate(spec.metrics):
        have = np.isfinite(cube[:, :, m]).all(0)
        if have.any():
            rows += _effects(cube[:, have, m], metric, spec)
    return pl.DataFrame(rows, schema=SENSITIVITY, orient="row")


def _effects(values: NDArray[np.float64], metric: str, spec: Spec) -> list[tuple[object, ...]]:
    """Return the rows of a metric; values are (scenarios, seeds)."""
    n = values.shape[1]
    total = float(((values - values.mean()) ** 2).mean())
    drawn = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    rows: list[tuple[object, ...]] = []
    explained = 0.0
    for axis, labels in spec.axes.items():
        if len(labels) < 2:
            continue
        mine = np.array([labels.index(s.values[axis]) for s in spec.scenarios])
        means = np.array([values[mine == k].mean(0) for k in range(len(labels))])
        level = means.mean(1)
        effect = float(level.max() - level.min())
        low, high = None, None
        if n > 1:
            resampled = means[:, drawn].mean(2)
            low, high = np.quantile(resampled.max(0) - resampled.min(0), [0.025, 0.975]).tolist()
        share = float(level.var()) / total if total else 0.0
        explained += share
        names = (labels[int(level.argmin())], labels[int(level.argmax())])
        rows.append((axis, metric, n, share, effect, low, high, *names))
    seed = float(values.mean(0).var()) / total if total else 0.0
    rest = max(0.0, 1.0 - explained - seed) if total else 0.0
    rows.append(("seed", metric, n, seed, None, None, None, None, None))
    rows.append(("together", metric, n, rest, None, None, None, None, None))
    return rows


def _cube(results: pl.DataFrame, spec: Spec) -> NDArray[np.float64]:
    """Return values by scenario, seed and metric; NaN where a run is missing or has none."""
    cube = np.full((len(spec.scenarios), len(spec.seeds), len(spec.metrics)), np.nan)
    places: tuple[dict[str, int], dict[int, int], dict[str, int]] = (
        {s.id: k for k, s in enumerate(spec.scenarios)},
        {seed: k for k, seed in enumerate(spec.seeds)},
        {metric: k for k, metric in enumerate(spec.metrics)},
    )
    known = results.filter(pl.col("metric").is_in(list(spec.metrics))).drop_nulls("value")
    if known.height:
        at = tuple(
            np.array([place[key] for key in known[name].to_list()])  # type: ignore[index]
            for name, place in zip(("scenario", "seed", "metric"), places, strict=True)
        )
        cube[at] = known["value"].to_numpy()
    return cube


def _wins(metric: str, differences: NDArray[np.float64]) -> float | None:
    goal = METRICS[metric].goal
    if goal == "none":
        return None
    better = differences < 0 if goal == "min" else differences > 0
    return float(better.mean() + 0.5 * (differences == 0).mean())
