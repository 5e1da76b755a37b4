"""Days on which a site failed jobs of several senders at once, more than it does by itself."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from gridtwin.analysis.base import HOUR, UNKNOWN, by_label, collect, needs, per
from gridtwin.analysis.errors import blame, combinations, named
from gridtwin.core.errors import SchemaError
from gridtwin.core.seeds import generator
from gridtwin.trace import JobTable

__all__ = ["SITE_STAGES", "counts", "detect", "incident_days", "judge"]

DAY = 24 * HOUR
PER_DAY = 6
"""Windows: shorter ones hold too few senders, longer ones dilute an incident of some hours."""
WINDOW = DAY / PER_DAY
SITE_STAGES = (
    "auth", "batch", "container", "environment", "heartbeat", "network", "stagein", "stageout",
)  # fmt: skip
"""Stages of error codes that a site can be the cause of; a payload fails by its own fault."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HIT = 0.5
"""Share of the senders that an incident reaches."""
DRAWS = 200_000
"""Site-days in the permuted data, about."""
_CELL = ("site", "window", "sender", "task")
_FOUND = {
    "site": pl.String,
    "day": pl.Date,
    "n": pl.Int64,
    "bad": pl.Int64,
    "expected": pl.Float64,
    "senders": pl.Int64,
    "hit": pl.Int64,
    "p_value": pl.Float64,
    "incident": pl.Boolean,
}


def incident_days(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the days of each site, and those on which several senders failed at once.

    Only failures that a site can cause count: by the stage of the blamed code. A day is flagged
    where, within four hours, two or more senders fail more than their tasks do elsewhere, beyond
    what chance brings together when each sender's hours are dealt out anew over the days of the
    site; wanted: 5 % of the flagged days false (Benjamini-Hochberg). Columns ``site``, ``day``
    (of the end of the jobs), ``n`` (finished + failed), ``bad`` (failed, of such a stage),
    ``expected`` (bad jobs), ``senders``, ``hit`` (the most senders that failed unusually often
    within four hours), ``p_value`` (null where no four hours have two senders), ``incident``.
    """
    return detect(counts(jobs, names))


def counts(jobs: JobTable, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Count finished and failed jobs by site, four hours of their end, sender and task.

    The sender is the user, else the task; raises `SchemaError` for a table with neither, as jobs
    of one sender fail together. A failed job counts under the first stage of its blamed codes
    that a site can cause (`SITE_STAGES`); without error codes, or without their `names`, under
    the stage ``failed``, whatever failed it.

    Columns ``site``, ``window`` (place of the four hours since 1970), ``sender``, ``task``, ``n``
    (finished + failed), then one for each stage that occurs. Memory grows with the rows of the
    answer.
    """
    needs(jobs, "status", "end_time")
    who = [c for c in ("user", "task_id") if c in jobs]
    if not who:
        raise SchemaError("the table has no user and no task_id")
    stage = pl.lit("failed")
    if "error_codes" in jobs and names is not None:
        words = pl.col("error_codes").list.drop_nulls().list.unique().list.sort().list.join(" + ")
        stages = _stages(jobs, names)
        stage = words.fill_null("").replace_strict(stages, default=None, return_dtype=pl.String)
    frame = jobs.frame.filter(pl.col("status").is_in(["finished", "failed"])).select(
        by_label(per(jobs)).alias("site"),
        (pl.col("end_time") / WINDOW).floor().cast(pl.Int64, strict=False).alias("window"),
        pl.coalesce([pl.col(c) for c in who]).fill_null(UNKNOWN).alias("sender"),
        by_label(who[-1]).alias("task"),
        pl.when(pl.col("status") == "failed").then(stage).alias("stage"),
        pl.col("end_time").is_between(0, 4e9).alias("known"),
    )
    found = collect(
        frame.filter("known")
        .group_by(*_CELL, "stage")
        .agg(pl.len().cast(pl.Int64).alias("n"))
    )  # fmt: skip
    present = sorted(set(found["stage"].drop_nulls()))
    return (
        found.group_by(_CELL)
        .agg(
            pl.col("n").sum(),
            *(pl.col("n").filter(pl.col("stage") == s).sum().alias(s) for s in present),
        )
        .sort(_CELL)
    )


def _stages(jobs: JobTable, names: pl.DataFrame) -> dict[str, str]:
    """Return the stage of each combination of codes that a site can be blamed for."""
    words = combinations(jobs)["combination"].to_list()
    codes = pl.DataFrame(
        {"code": sorted({c for w in words for c in w.split(" + ")})}, schema={"code": pl.String}
    )
    known = dict(named(codes, names).select("code", "stage").iter_rows())
    stages = {w: [known.get(c) for c in blame(w.split(" + "))] for w in words}
    return {w: s for w, of in stages.items() for s in reversed(of) if s in SITE_STAGES}


def detect(cells: pl.DataFrame, fdr: float = 0.05, seed: int = 0) -> pl.DataFrame:
    """Flag site-days on which several senders fail at once more than their tasks do elsewhere.

    A block is what one sender has at one site within four hours. Its bad jobs of a stage follow
    a beta-binomial, whose mean is the rate of its tasks in all other site-days (drawn to the rate
    of all) times the site's own factor, and whose spread is found by moments; or else the block
    is bad as a whole (any share of its jobs, with equal chance): by its sender's own fault with
    a small probability, found by expectation-maximisation, or in an incident with probability
    1/2. Its score is the logarithm of the odds of an incident against none; a sender's own fault
    bounds it. A day's score is that of its best four hours and stage: the sum over the senders
    without the highest, so that one alone makes no incident.

    Scores are held against permuted data, in which the blocks of each site are dealt out anew
    over its own four-hour windows: that keeps what each sender and each site fails, and undoes
    that several come at once. Permuted days of all sites give the p-values; days are flagged by
    Benjamini and Hochberg (J. R. Stat. Soc. B 57 (1995) 289). Incidents stay in the permuted
    data, which errs on the side of fewer flags.

    Parameters
    ----------
    cells
        Of `counts`.
    fdr
        Wanted share of false alarms among the flagged days.
    seed
        Of the permutations.

    Returns
    -------
    frame
        One row a site-day, as in `incident_days`.
    """
    if cells.is_empty():
        return pl.DataFrame(schema=_FOUND)
    stages = [name for name in cells.columns if name not in (*_CELL, "n")]
    blocks = _blocks(cells, stages)
    scores = np.array([_scores(blocks, name) for name in stages]).reshape(
        len(stages), blocks.height
    )
    p_value, hit = _tested(blocks, scores, generator(seed))
    flags = np.zeros(len(p_value), dtype=bool)
    tested = np.isfinite(p_value)
    flags[tested] = benjamini_hochberg(p_value[tested], fdr)
    none = pl.lit(0, pl.Int64)
    days = blocks.group_by("site", "day", maintain_order=True).agg(
        pl.col("n").sum(),
        pl.sum_horizontal(none, *(pl.col(name).sum() for name in stages)).alias("bad"),
        pl.sum_horizontal(none, *(pl.col(_of(name)).sum() for name in stages)).alias("expected"),
        pl.col("sender").n_unique().alias("senders"),
    )
    return days.with_columns(
        pl.col("day").cast(pl.Int32),
        pl.Series("hit", hit),
        pl.Series("p_value", p_value).fill_nan(None),
        pl.Series("incident", flags),
    ).select(pl.col(name).cast(kind) for name, kind in _FOUND.items())


def _of(stage: str) -> str:
    return f"{stage} expected"


def _blocks(cells: pl.DataFrame, stages: list[str]) -> pl.DataFrame:
    """Sum up cells by site, window and sender, with the bad jobs expected of each stage.

    A task's rate is that of its other site-days, the prior worth half a bad job; a site's factor
    is its bad jobs over those expected, five added to both.
    """
    n = pl.col("n")
    expected = []
    for name in stages:
        bad = pl.col(name)
        overall = (bad.sum() + 0.5) / (n.sum() + 1)
        lost, sent = (c.sum().over("task") - c.sum().over("task", "site", "day") for c in (bad, n))
        rate = (lost + 0.5) / (sent + 0.5 / overall)
        factor = (bad.sum().over("site") + 5) / ((n * rate).sum().over("site") + 5)
        expected.append((n * (rate * factor).clip(1e-4, 0.9)).alias(_of(name)))
    return (
        cells.with_columns((pl.col("window") // PER_DAY).alias("day"))
        .with_columns(expected)
        .group_by("site", "day", "window", "sender")
        .agg(pl.col("n", *stages, *map(_of, stages)).sum())
        .sort("site", "window", "sender")
    )


def _scores(blocks: pl.DataFrame, stage: str) -> Floats:
    """Return the log odds of each block for an incident, by its bad jobs of one stage.

    The correlation of the beta-binomial is found by moments, each block weighted by its chance of
    being good; blocks with fewer bad jobs than expected are good.
    """
    n, k, mean = (blocks[c].to_numpy().astype(np.float64) for c in ("n", stage, _of(stage)))
    rate = mean / n
    spread = mean * (1 - rate)
    excess = ((k - mean) ** 2 - spread) / np.maximum(n - 1, 1)
    own, rho, factor = 0.01, 0.01, np.ones(len(n))
    for _ in range(8):
        a, b = rate * (1 / rho - 1), (1 - rate) * (1 / rho - 1)
        good = special.betaln(k + a, n - k + b) - special.betaln(a, b)
        odds = special.betaln(k + 1, n - k + 1) - good
        factor = np.exp(np.minimum(odds, np.where(k > mean, 50.0, 0.0)))
        chance = own * factor / (own * factor + 1 - own)
        own = float(np.clip(chance.mean(), 1e-6, HIT))
        weight = np.where(n > 1, 1 - chance, 0.0)
        among = float(weight @ spread)
        rho = float(np.clip(weight @ excess / among, 1e-3, 0.5)) if among else rho
    return np.asarray(np.log((1 - HIT + HIT * factor) / (1 - own + own * factor)))


def _tested(blocks: pl.DataFrame, scores: Floats, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Return each site-day's p-value, and the most senders with odds for an incident.

    `scores` has a row for each stage and a column for each block. The p-value is NaN where no
    window has two senders. The permuted data have about `DRAWS` site-days: 10 to 1000 for each.
    """
    starts, first = _starts(blocks, "site", "window"), _starts(blocks, "site", "day")
    windows = np.searchsorted(starts, first)
    several = np.diff(starts, append=blocks.height) > 1
    tested = np.logical_or.reduceat(several, windows)
    p_value, hit = np.full(len(first), np.nan), np.zeros(len(first), dtype=np.int64)
    if not tested.any() or not len(scores):
        return p_value, hit

    def best(x: Floats) -> Floats:
        others = np.add.reduceat(x, starts, axis=1) - np.maximum.reduceat(x, starts, axis=1)
        whole = np.where(several, others.max(axis=0), -np.inf)
        return np.asarray(np.maximum.reduceat(whole, windows)[tested])

    starts_of_site = _starts(blocks, "site")
    site = np.repeat(np.arange(len(starts_of_site)), np.diff(starts_of_site, append=blocks.height))
    times = int(np.clip(DRAWS / tested.sum(), 10, 1000))
    shuffles = (np.argsort(site + rng.random(len(site))) for _ in range(times))
    null = np.sort(np.concatenate([best(scores[:, order]) for order in shuffles]))
    above = len(null) - np.searchsorted(null, best(scores), "left")
    p_value[tested] = (1 + above) / (1 + len(null))
    hits = np.add.reduceat((scores > 0).astype(np.int64), starts, axis=1).max(axis=0)
    return p_value, np.maximum.reduceat(hits, windows)


def _starts(blocks: pl.DataFrame, *keys: str) -> Ints:
    """Return the first row of each run of equal keys."""
    changes = pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys)
    return np.flatnonzero(blocks.select(changes.alias("new"))["new"].to_numpy())


def benjamini_hochberg(p_value: Floats, fdr: float) -> NDArray[np.bool_]:
    """Return which hypotheses are rejected at this false discovery rate."""
    order = np.argsort(p_value, kind="stable")
    below = p_value[order] <= fdr * np.arange(1, len(order) + 1) / max(len(order), 1)
    kept = np.zeros(len(order), dtype=bool)
    if below.any():
        kept[order[: np.flatnonzero(below)[-1] + 1]] = True
    return kept


def judge(
    found: pl.DataFrame, incidents: pl.DataFrame | Iterable[tuple[str, float, float]]
) -> dict[str, float]:
    """Compare flagged site-days with known incidents.

    Parameters
    ----------
    found
        Of `detect`.
    incidents
        ``site``, ``begin``, ``end`` (s) of each; every day that one touches is a day of incident.

    Returns
    -------
    figures
        ``detected`` (share of the site-days of incident with jobs that are flagged),
        ``false_alarms`` (share of the other site-days that are), ``false_discoveries`` (share of
        the flagged days without an incident), and the numbers ``days``, ``incident_days``,
        ``flagged``.
    """
    if isinstance(incidents, pl.DataFrame):
        incidents = incidents.select("site", "begin", "end").iter_rows()
    known = {
        (site, day)
        for site, begin, end in incidents
        for day in range(int(begin // DAY), int(end // DAY) + 1)
    }
    days = found.select("site", pl.col("day").cast(pl.Int32), "incident")
    rows = [((site, day) in known, flagged) for site, day, flagged in days.iter_rows()]
    true, flagged = (np.array([row[i] for row in rows], dtype=bool) for i in (0, 1))
    return {
        "detected": _share(flagged[true]),
        "false_alarms": _share(flagged[~true]),
        "false_discoveries": _share(~true[flagged]),
        "days": float(len(rows)),
        "incident_days": float(true.sum()),
        "flagged": float(flagged.sum()),
    }


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else float("nan")
