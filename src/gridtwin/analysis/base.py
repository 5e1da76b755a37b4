"""What the analyses share: derived columns, streaming, histograms, intervals, the outcome."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gridtwin.core.errors import SchemaError
from gridtwin.core.files import writing
from gridtwin.trace import JobTable

__all__ = [
    "HOUR",
    "Analysis",
    "Kpi",
    "by_label",
    "collect",
    "core_seconds",
    "histogram",
    "needs",
    "per",
    "size",
    "top",
    "wait",
    "wall",
    "wilson",
]

HOUR = 3600.0
OTHERS = "(others)"
UNKNOWN = "(unknown)"

Unit = Literal["core", "gpu", "node"]

_SIZES: tuple[tuple[Unit, tuple[str, ...]], ...] = (
    ("core", ("cores_alloc", "cores_req")),
    ("gpu", ("gpus_req",)),
    ("node", ("nodes_alloc", "nodes_req")),
)


@dataclass(frozen=True)
class Kpi:
    """A key figure, what it means and how many jobs (or other things) it rests on."""

    value: float | int | None
    """None where no job tells."""
    unit: str
    definition: str
    n: int


@dataclass(frozen=True)
class Analysis:
    """Small tidy frames and key figures of a table of jobs."""

    frames: dict[str, pl.DataFrame]
    kpis: dict[str, Kpi]
    definitions: dict[str, str]
    """What each frame holds, by its name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What does not apply to this table, by name, and why."""
    notes: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    """Where the jobs come from: the provenance as plain values."""
    unit: Unit = "core"
    """What sizes count."""
    place: Literal["site", "queue"] = "site"
    """What places are: sites, else queues."""

    def to_json(self) -> dict[str, Any]:
        """Return key figures, definitions and notes as plain values; NaN becomes None."""
        return {
            "kpis": {name: _kpi(kpi) for name, kpi in self.kpis.items()},
            "frames": {
                name: {"rows": frame.height, "definition": self.definitions.get(name, "")}
                for name, frame in self.frames.items()
            },
            "left_out": self.left_out,
            "notes": list(self.notes),
            "source": dict(self.source),
        }

    def save(self, folder: Path | str) -> list[Path]:
        """Write each frame as Parquet and CSV into ``folder/frames`` and ``folder/kpis.json``."""
        folder = Path(folder)
        paths = [folder / "kpis.json"]
        with writing(paths[0]) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=2) + "\n", encoding="utf-8")
        for name, frame in self.frames.items():
            paths += [folder / "frames" / f"{name}.parquet", folder / "frames" / f"{name}.csv"]
            with writing(paths[-2]) as temporary:
                frame.write_parquet(temporary)
            with writing(paths[-1]) as temporary:
                frame.write_csv(temporary)
        return paths


def _kpi(kpi: Kpi) -> dict[str, Any]:
    value = kpi.value if kpi.value is None or np.isfinite(kpi.value) else None
    return {"value": value, "unit": kpi.unit, "definition": kpi.definition, "n": kpi.n}


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Run a query in batches: memory grows with the groups of the answer, not with the rows."""
    return frame.collect(engine="streaming")


def needs(jobs: JobTable, *columns: str) -> None:
    """Raise `SchemaError` in few words unless the table has all the columns."""
    missing = [name for name in columns if name not in jobs]
    if missing:
        raise SchemaError(f"the table has no {' and no '.join(missing)}")


def _finite(value: pl.Expr, low: float = 0.0) -> pl.Expr:
    return pl.when(value.is_finite() & (value >= low)).then(value)


def wall(jobs: JobTable) -> pl.Expr:
    """Return the wall time of a run (s): ``run_time``, else end - start; null if it never ran."""
    given = [pl.col("run_time")] if "run_time" in jobs else []
    if "start_time" in jobs and "end_time" in jobs:
        given.append(pl.col("end_time") - pl.col("start_time"))
    if not given:
        raise SchemaError("the table has no run_time and no start_time with end_time")
    run = _finite(pl.coalesce(given).cast(pl.Float64))
    if "start_time" in jobs:  # a job that has no start never ran, whatever its other times say
        tells = pl.col("start_time").is_not_null()
        run = pl.when(tells | pl.lit("run_time" in jobs)).then(run)
    return run


def wait(jobs: JobTable) -> pl.Expr:
    """Return the queue time (s): ``wait_time``, else start - submit; null if it never started."""
    given = [pl.col("wait_time")] if "wait_time" in jobs else []
    if "start_time" in jobs and "submit_time" in jobs:
        given.append(pl.col("start_time") - pl.col("submit_time"))
    if not given:
        raise SchemaError("the table has no wait_time and no submit_time with start_time")
    return _finite(pl.coalesce(given).cast(pl.Float64))


def size(jobs: JobTable) -> tuple[pl.Expr, Unit]:
    """Return each job's size and its unit: cores, else GPUs, else nodes.

    Given cores come before requested ones; null where no column has a size above 0.
    """
    for unit, names in _SIZES:
        present = [name for name in names if name in jobs]
        if present:
            sizes = [pl.when(pl.col(name) > 0).then(pl.col(name)) for name in present]
            return pl.coalesce(sizes), unit
    raise SchemaError("the table has no cores, GPUs or nodes")


def core_seconds(jobs: JobTable) -> pl.Expr:
    """Return wall time x size (core seconds, or GPU or node seconds); null where either is."""
    return wall(jobs) * size(jobs)[0]


def per(jobs: JobTable) -> str:
    """Return the column that stands for places: ``site``, else ``queue``, else ``vo``."""
    for name in ("site", "queue"):
        if name in jobs:
            return name
    raise SchemaError("the table has no site and no queue")


def histogram(
    frame: pl.LazyFrame, value: pl.Expr, *, per_decade: int = 10, by: Sequence[str] = ()
) -> pl.DataFrame:
    """Count values in logarithmic bins; null, NaN, infinite and negative ones are left out.

    Parameters
    ----------
    frame
        Any number of rows.
    value
        What to count.
    per_decade
        Bins per factor of ten; edges are powers of ``10 ** (1 / per_decade)``.
    by
        Further columns to count by.

    Returns
    -------
    frame
        `by`, ``low``, ``high`` (the bin holds low <= value < high; 0 to 0 are zeros), ``n``,
        ``share`` of all counted rows of all groups.
    """
    rows = frame.select(*by, _finite(value.cast(pl.Float64)).alias("x")).drop_nulls("x")
    # a hair above the logarithm, so that edges such as 1000 fall into the bin they begin
    place = (pl.col("x").log10() * per_decade + 1e-9).floor()
    bins = collect(
        rows.group_by(*by, pl.when(pl.col("x") > 0).then(place).alias("bin"))
        .agg(pl.len().cast(pl.Int64).alias("n"))
    )  # fmt: skip
    edge = [pl.lit(10.0) ** ((pl.col("bin") + i) / per_decade) for i in (0, 1)]
    return (
        bins.sort(*by, "bin", nulls_last=False)
        .select(
            *by,
            edge[0].fill_null(0.0).alias("low"),
            edge[1].fill_null(0.0).alias("high"),
            "n",
            (pl.col("n") / pl.col("n").sum()).alias("share"),
        )
    )  # fmt: skip


def by_label(column: str) -> pl.Expr:
    """Return a column as text, "(unknown)" where it is null."""
    return pl.col(column).cast(pl.String).fill_null(UNKNOWN)


def top(frame: pl.DataFrame, label: str, rank: str, n: int, sums: Sequence[str]) -> pl.DataFrame:
    """Return the `n` rows with the largest `rank`, and one "(others)" with the sums of the rest.

    Columns other than `label` and `sums` are null in the row of the others. Ties go by label.
    """
    frame = frame.sort([rank, label], descending=[True, False], nulls_last=True)
    if frame.height <= n:
        return frame
    rest = frame.slice(n).select(pl.lit(OTHERS).alias(label), *(pl.col(c).sum() for c in sums))
    return pl.concat([frame.head(n), rest], how="diagonal")


def wilson(
    successes: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Wilson score interval of a share: E. B. Wilson, JASA 22 (1927) 209.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``; 0 to 1 where n = 0. It holds for
    trials that are independent: failures that come in clusters make it too narrow.
    """
    k, count = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    z = float(stats.norm.ppf(0.5 + level / 2))
    safe = np.maximum(count, 1e-9)
    p = np.where(count > 0, k / safe, 0.5)
    half = z * np.sqrt(p * (1 - p) / safe + z * z / (4 * safe * safe))
    middle, scale = p + z * z / (2 * safe), 1 + z * z / safe
    low, high = (middle - half) / scale, (middle + half) / scale
    low = np.where(count > 0, np.clip(low, 0.0, 1.0), 0.0)
    return low, np.where(count > 0, np.clip(high, 0.0, 1.0), 1.0)
