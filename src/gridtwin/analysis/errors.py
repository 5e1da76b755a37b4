"""Why jobs fail: the codes of the eight error columns, in two views.

*Any component*: a job counts under each of its codes; shares of the failed jobs sum to more than
100 %. *Blamed*: each failed job counts once, by the rule of PanDA's monitor; shares sum to 100 %.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations as pairs

import polars as pl

from gridtwin.analysis.base import collect, core_seconds, needs, wall
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable

__all__ = [
    "NO_CODE",
    "blame",
    "combinations",
    "error_codes",
    "error_components",
    "error_pairs",
    "several_codes",
]

NO_CODE = "(no code)"
_JOIN = " + "
_SECONDARY = ("taskbuffer:300", "ddm:200", "sup:8970")
_DECISIVE = ("pilot:1305", "pilot:1235")


def blame(codes: Sequence[str]) -> list[str]:
    """Return the codes of one job that are to blame, by the rule of PanDA's monitor.

    Of several codes, taskbuffer:300, ddm:200 and sup:8970 are left out (they follow from
    others); if pilot:1305 (or else pilot:1235) is there, it alone is kept. What is left may be
    several codes still. A rule that would leave none leaves all.

    Examples
    --------
    >>> blame(["exe:65", "pilot:1305", "taskbuffer:300"])
    ['pilot:1305']
    """
    codes = sorted(set(codes))
    if len(codes) > 1:
        codes = [code for code in codes if code not in _SECONDARY] or codes
    for decisive in _DECISIVE:
        if decisive in codes:
            return [decisive]
    return codes


def combinations(jobs: JobTable, statuses: Iterable[str] = ("failed",)) -> pl.DataFrame:
    """Count jobs of these statuses by the set of their error codes.

    Columns ``combination`` (codes in alphabetical order, joined by " + "; "(no code)"), ``n``
    (jobs), ``ran`` (those with a run), ``wall_hours``, ``core_hours`` (null where the table does
    not tell); most jobs first. The other functions of this module start from it: its height is
    the number of different combinations, however many jobs there are.
    """
    needs(jobs, "status", "error_codes")
    none = pl.lit(None, pl.Float64)
    try:
        hours = wall(jobs) / 3600
    except SchemaError:
        hours = none
    try:
        used = core_seconds(jobs) / 3600
    except SchemaError:
        used = none
    codes = pl.col("error_codes").list.drop_nulls().list.unique().list.sort().list.join(_JOIN)
    found = collect(
        jobs.frame.filter(pl.col("status").is_in(list(statuses)))
        .select(codes.fill_null("").alias("combination"), hours.alias("wall"), used.alias("used"))
        .group_by("combination")
        .agg(
            pl.len().cast(pl.Int64).alias("n"),
            (pl.col("wall") > 0).sum().cast(pl.Int64).alias("ran"),
            pl.col("wall").sum().alias("wall_hours"),
            pl.col("used").sum().alias("core_hours"),
        )
    )
    return found.with_columns(
        pl.col("combination").replace("", NO_CODE),
    ).sort(["n", "combination"], descending=[True, False])


def _codes(combination: str) -> list[str]:
    return [] if combination == NO_CODE else combination.split(_JOIN)


def error_components(combined: pl.DataFrame) -> pl.DataFrame:
    """Return the share of failed jobs with a code of each component; shares may pass 100 %.

    `combined` as `combinations` gives it. Columns ``component``, ``n`` (jobs with one or more
    codes of it), ``share`` of all failed jobs.
    """
    rows = [
        (component, n)
        for combination, n in combined.select("combination", "n").iter_rows()
        for component in dict.fromkeys(
            code.partition(":")[0] for code in _codes(combination) or [NO_CODE]
        )
    ]
    frame = pl.DataFrame(rows, {"component": pl.String, "n": pl.Int64}, orient="row")
    total = max(int(combined["n"].sum()), 1)
    counts = frame.group_by("component").agg(pl.col("n").sum())
    return counts.sort(["n", "component"], descending=[True, False]).with_columns(
        (pl.col("n") / total).alias("share")
    )


def error_codes(combined: pl.DataFrame, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return each code in both views, with its name and stage.

    Parameters
    ----------
    combined
        Of `combinations`.
    names
        ``word`` ("component:code"), ``name``, ``stage``, as `tables.error_codes` gives them.

    Returns
    -------
    frame
        ``code`` ("component:code"), ``name``, ``stage``, ``n`` and ``share`` (failed jobs that
        have it: any component), ``blamed`` (jobs it is blamed for; a job with k blamed codes
        counts 1/k for each) and ``share_blamed`` (sums to 1), ``core_hours`` and ``ran_hours``
        (mean wall time before the failure) of the jobs it is blamed for.
    """
    schema = dict.fromkeys(("any", "blamed", "core_hours", "wall_hours", "ran"), pl.Float64)
    rows = []
    for combination, n, ran, hours, used in combined.select(
        "combination", "n", "ran", "wall_hours", "core_hours"
    ).iter_rows():
        codes = _codes(combination) or [NO_CODE]
        guilty = blame(codes)
        for code in codes:
            part = (code in guilty) / len(guilty)
            shared = (None if x is None else x * part for x in (used, hours, ran))
            rows.append((code, float(n), n * part, *shared))
    total = max(int(combined["n"].sum()), 1)
    frame = (
        pl.DataFrame(rows, {"code": pl.String, **schema}, orient="row")
        .group_by("code")
        .agg(pl.all().sum())
        .sort(["any", "code"], descending=[True, False])
        .select(
            "code",
            pl.col("any").cast(pl.Int64).alias("n"),
            (pl.col("any") / total).alias("share"),
            "blamed",
            (pl.col("blamed") / total).alias("share_blamed"),
            "core_hours",
            pl.when(pl.col("ran") > 0)
            .then(pl.col("wall_hours") / pl.col("ran"))
            .alias("ran_hours"),
        )
    )
    return named(frame, names)


def named(frame: pl.DataFrame, names: pl.DataFrame | None) -> pl.DataFrame:
    """Add the ``name`` and ``stage`` of each ``code``; null where the table has none."""
    if names is None:
        empty = pl.lit(None, pl.String)
        return frame.with_columns(empty.alias("name"), empty.alias("stage"))
    known = names.select(pl.col("word").alias("code"), "name", "stage")
    return frame.join(known, on="code", how="left", maintain_order="left")


def error_pairs(combined: pl.DataFrame, most: int = 15) -> pl.DataFrame:
    """Count failed jobs that have both of two codes: the co-occurrence matrix, both halves.

    Of the `most` frequent codes among the jobs with several. Columns ``a``, ``b``, ``n`` (jobs
    with both), ``share_of_a`` (of the failed jobs that have a).
    """
    having: dict[str, int] = {}
    several: dict[str, int] = {}
    both: dict[tuple[str, str], int] = {}
    for combination, n in combined.select("combination", "n").iter_rows():
        codes = _codes(combination)
        for code in codes:
            having[code] = having.get(code, 0) + n
            if len(codes) > 1:
                several[code] = several.get(code, 0) + n
        for pair in pairs(codes, 2):
            both[pair] = both.get(pair, 0) + n
    kept = set(sorted(several, key=lambda code: (-several[code], code))[:most])
    rows = [
        (a, b, n, n / having[a])
        for (x, y), n in sorted(both.items())
        if x in kept and y in kept
        for a, b in ((x, y), (y, x))
    ]
    schema = {"a": pl.String, "b": pl.String, "n": pl.Int64, "share_of_a": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row").sort("a", "b")


def several_codes(combined: pl.DataFrame) -> tuple[float | None, int]:
    """Return the share of failed jobs with more than one code, and the number of failed jobs."""
    n = int(combined["n"].sum())
    several = int(
        combined.filter(pl.col("combination").str.contains(_JOIN, literal=True))["n"].sum()
    )
    return (several / n if n else None), n
