"""How often data sets are used again, how soon, and whether that can be foreseen."""

import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor

from gridtwin.analysis.base import HOUR, collect, needs
from gridtwin.trace import JobTable

__all__ = ["popularity", "reuse_distance", "use_counts", "uses", "zipf"]

WEEK = 168 * HOUR
MOST_ROWS = 100_000
"""A forecast learns from every k-th data set and week where there are more."""
MOST_WEEKS = 26
"""The forecast is judged on so many of the last weeks."""
Floats = NDArray[np.float64]


def uses(jobs: JobTable) -> pl.DataFrame:
    """Return the uses of data sets: one row for each task that reads one (job, without tasks).

    The use begins with the first job. Columns ``dataset``, ``at`` (s), ``jobs``, in order of
    time. Memory grows with the tasks.
    """
    needs(jobs, "dataset", "submit_time")
    task = pl.col("task_id") if "task_id" in jobs else pl.col("job_id")
    found = collect(
        jobs.frame.filter(pl.col("dataset").is_not_null() & pl.col("submit_time").is_finite())
        .group_by("dataset", task.fill_null(pl.col("job_id")).alias("task"))
        .agg(pl.col("submit_time").min().alias("at"), pl.len().cast(pl.Int64).alias("jobs"))
    )
    return found.sort("at", "dataset", "task").drop("task")


def use_counts(used: pl.DataFrame) -> pl.DataFrame:
    """Count data sets by the number of their uses.

    `used` of `uses`. Columns ``uses``, ``n`` (data sets), ``share`` (of the data sets),
    ``share_uses`` (of all uses).
    """
    each = used.group_by("dataset").agg(pl.len().cast(pl.Int64).alias("uses"))
    found = each.group_by("uses").agg(pl.len().cast(pl.Int64).alias("n")).sort("uses")
    all_uses = pl.col("uses") * pl.col("n")
    return found.with_columns(
        (pl.col("n") / pl.col("n").sum()).alias("share"),
        (all_uses / all_uses.sum()).alias("share_uses"),
    )


def zipf(used: pl.DataFrame) -> pl.DataFrame:
    """Fit ``uses of rank r ~ r ** -s`` over the data sets by maximum likelihood.

    Ranks are those of the uses themselves. One row: ``s``, ``distance`` (largest difference of
    the cumulative shares of fit and data: above about 0.05 the law does not hold), ``n`` (data
    sets); empty for fewer than two data sets.
    """
    schema = {"s": pl.Float64, "distance": pl.Float64, "n": pl.Int64}
    counts = used.group_by("dataset").len()["len"].sort(descending=True).to_numpy().astype(float)
    if len(counts) < 2:
        return pl.DataFrame(schema=schema)
    rank = np.log(np.arange(1, len(counts) + 1))
    mean = float(counts @ rank / counts.sum())

    def loss(s: float) -> float:
        return s * mean + float(np.log(np.exp(-s * rank).sum()))

    s = float(optimize.minimize_scalar(loss, bounds=(0.0, 10.0), method="bounded").x)
    fit = np.cumsum(np.exp(-s * rank))
    gap = np.abs(np.cumsum(counts) / counts.sum() - fit / fit[-1])
    return pl.DataFrame([(s, float(gap.max()), len(counts))], schema, orient="row")


def reuse_distance(used: pl.DataFrame) -> pl.DataFrame:
    """Count uses by how many other data sets were used since the last use of the same one.

    The distance tells how many data sets a store must hold to have this one still (least
    recently used goes first). Columns ``low``, ``high`` (distances, powers of two: 0, 1, 2 to
    3, ...; null: the first use), ``n`` (uses), ``share``, ``hit_rate`` (share of all uses with
    at most that distance), ``median_days`` since the last use.
    """
    _, name = np.unique(used["dataset"].to_numpy().astype(str), return_inverse=True)
    at = used["at"].to_numpy()
    order = np.argsort(name, kind="stable")
    again = np.flatnonzero(name[order][1:] == name[order][:-1])
    here, last = order[again + 1], order[again]
    chronological = np.argsort(here)
    here, last = here[chronological], last[chronological]
    # other names between two uses = uses between, less those that repeat a name seen between
    distance = here - last - 1 - _greater_before(last)
    place = np.where(distance > 0, np.floor(np.log2(np.maximum(distance, 1))) + 1, 0).astype(int)
    rows = pl.DataFrame({"place": place, "days": (at[here] - at[last]) / 86400})
    found = rows.group_by("place").agg(
        pl.len().cast(pl.Int64).alias("n"), pl.col("days").median().alias("median_days")
    )
    first = pl.DataFrame(
        {"place": None, "n": used.height - len(here), "median_days": None}, schema=found.schema
    )
    found = pl.concat([found.sort("place"), first]).filter(pl.col("n") > 0)
    power = pl.lit(2).pow(pl.col("place")).cast(pl.Int64)
    total = max(used.height, 1)
    hit = pl.when(pl.col("place").is_not_null()).then(pl.col("n").cum_sum() / total)
    return found.select(
        (power // 2).alias("low"),
        (power - 1).alias("high"),
        "n",
        (pl.col("n") / total).alias("share"),
        hit.alias("hit_rate"),
        "median_days",
    )


def _greater_before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each value how many earlier ones are greater; all differ. O(n log² n)."""
    n = len(values)
    count = np.zeros(n, dtype=np.int64)
    width = 1
    while width < n:
        # sorted by pairs of blocks and then by value; of each pair the later block is counted
        pair, late = np.arange(n) // (2 * width), (np.arange(n) // width) % 2
        order = np.lexsort((values, pair))
        early_so_far = np.cumsum(1 - late[order])
        per_pair = np.bincount(pair, weights=1 - late).astype(np.int64)
        before = np.concatenate([[0], np.cumsum(per_pair)])[pair[order]]
        greater = per_pair[pair[order]] - (early_so_far - before)
        count[order] += greater * late[order]
        width *= 2
    return count


def popularity(used: pl.DataFrame, fewest: int = 4) -> pl.DataFrame:
    """Forecast each data set's uses of the next week, and compare with "as last week".

    For the last 26 full weeks, from the `fewest`-th on, a Poisson regression is fitted on all weeks
    before it and forecasts the uses of all data sets known by then. It knows the uses of the
    last week, of the week before, of all time, and the weeks since first and last use.

    Returns
    -------
    frame
        A row a week: ``week`` (its first day), ``n`` (data sets known), ``uses`` (of these),
        ``new`` (uses of data sets that were not known: no forecast has them), and for both the
        forecast (``model_*``) and the uses of last week (``last_*``): ``mae`` (mean absolute
        error a data set), ``top`` (share of the week's uses on the tenth of the data sets that
        was ranked highest), ``rank`` (Spearman's correlation with the uses).
    """
    table = _weekly(used)
    weeks = table.shape[1]
    rows = []
    origin = float(used["at"].to_numpy().min()) if used.height else 0.0
    for week in range(max(fewest, weeks - MOST_WEEKS), weeks):
        known = np.flatnonzero(table[:, :week].any(axis=1))
        if len(known) < 20:
            continue
        truth = table[known, week]
        model = _forecast(table, week)[known]
        last = table[known, week - 1]
        rows.append({
            "week": origin + week * WEEK, "n": len(known), "uses": int(truth.sum()),
            "new": int(table[:, week].sum() - truth.sum()),
            **{f"model_{k}": v for k, v in _scores(truth, model).items()},
            **{f"last_{k}": v for k, v in _scores(truth, last).items()},
        })  # fmt: skip
    names = [f"{who}_{what}" for who in ("model", "last") for what in ("mae", "top", "rank")]
    schema = {"week": pl.Float64, "n": pl.Int64, "uses": pl.Int64, "new": pl.Int64}
    frame = pl.DataFrame(rows, {**schema, **dict.fromkeys(names, pl.Float64)})
    return frame.with_columns(pl.from_epoch(pl.col("week").cast(pl.Int64)).dt.date())


def _weekly(used: pl.DataFrame) -> Floats:
    """Return uses by data set (row) and full week from the first use (column)."""
    if not used.height:
        return np.zeros((0, 0))
    at = used["at"].to_numpy()
    week = ((at - at.min()) // WEEK).astype(np.int64)
    full = min(int((at.max() - at.min()) // WEEK), 520)
    _, name = np.unique(used["dataset"].to_numpy().astype(str), return_inverse=True)
    table = np.zeros((int(name.max()) + 1, full), dtype=np.float64)
    inside = week < full
    np.add.at(table, (name[inside], week[inside]), 1)
    return table


def _features(table: Floats, week: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the data sets known before a week, and what is known of each."""
    past = table[:, :week] > 0
    known = np.flatnonzero(past.any(axis=1))
    past = past[known]
    first = week - past.argmax(axis=1)
    since = past[:, ::-1].argmax(axis=1) + 1
    last, before = table[known, week - 1], table[known, max(week - 2, 0)] * (week > 1)
    total = table[known, :week].sum(axis=1)
    return known, np.column_stack(
        [np.log1p(last), np.log1p(before), np.log1p(total), np.log(first), np.log(since),
         np.log1p(total / first), first == 1]
    )  # fmt: skip


def _forecast(table: Floats, week: int) -> Floats:
    """Return the uses expected in a week, 0 for data sets not known before it."""
    rows, targets = [], []
    for past in range(max(1, week - 12), week):
        known, features = _features(table, past)
        rows.append(features)
        targets.append(table[known, past])
    known, features = _features(table, week)
    y = np.concatenate(targets)
    thin = slice(None, None, 1 + len(y) // MOST_ROWS)
    x, y = np.concatenate(rows)[thin], y[thin]
    expected = np.zeros(len(table))
    if not y.any():
        return expected
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the forecast is scored as it is
        model = PoissonRegressor(alpha=1e-3, max_iter=300).fit((x - mean) / spread, y)
    ceiling = 2 * float(y.max()) + 1
    expected[known] = np.minimum(model.predict((features - mean) / spread), ceiling)
    return expected


def _scores(truth: Floats, forecast: Floats) -> dict[str, float | None]:
    tenth = max(len(truth) // 10, 1)
    # equal forecasts share their place: which of them is in the tenth is a matter of chance
    order = np.sort(forecast)[::-1]
    edge = order[tenth - 1]
    above, level = forecast > edge, forecast == edge
    part = (tenth - above.sum()) / level.sum()
    caught = truth[above].sum() + part * truth[level].sum()
    constant = np.ptp(truth) == 0 or np.ptp(forecast) == 0
    return {
        "mae": float(np.abs(truth - forecast).mean()),
        "top": float(caught / truth.sum()) if truth.sum() else None,
        "rank": None if constant else float(stats.spearmanr(truth, forecast).statistic),
    }
