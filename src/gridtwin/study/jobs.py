"""The jobs of a run, and how a what-if changes them: more, fewer, others, on other data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable
from gridtwin.trace.chains import roots

__all__ = ["DAY", "Given", "added", "loaded", "midnight", "removed", "renewed"]

DAY = 86_400.0
_TIMES = ("submit_time", "eligible_time", "start_time", "end_time")
_IDS = ("job_id", "parent_id", "task_id")
_Span = tuple[float, float]


@dataclass(frozen=True)
class Given:
    """Jobs, and what goes with them."""

    jobs: JobTable
    begin: float
    """Midnight (UTC, s) before the first job."""
    replicas: pl.DataFrame | None = None
    files: pl.DataFrame | None = None
    parents: pl.DataFrame | None = None

    @property
    def frame(self) -> pl.DataFrame:
        """The rows."""
        return self.jobs.collect()

    def having(self, frame: pl.DataFrame, note: str) -> "Given":
        """Return other rows, in order of submission."""
        ordered = frame.sort("submit_time", maintain_order=True)
        return replace(self, jobs=self.jobs.with_frame(ordered, note))

    def joined(self, others: JobTable, span: _Span, suffix: str) -> "Given":
        """Return these jobs and others, whose first day is moved to the begin of `span`."""
        frame = others.collect()
        shift = span[0] - midnight(frame)
        moved = _moved(frame, np.full(frame.height, shift), suffix)
        moved = moved.filter(pl.col("submit_time") < span[1])
        whole = pl.concat([self.frame, moved], how="diagonal")
        return self.having(whole, f"{moved.height} jobs of {others.provenance.source} are added")


def midnight(frame: pl.DataFrame) -> float:
    """Return the midnight (UTC, s) before the first job."""
    if "submit_time" not in frame.columns:
        raise SchemaError("a study needs jobs with the column submit_time; add it")
    first = frame["submit_time"].min()
    if first is None:
        raise InputError("the workload has no job with a submit time; check the source")
    return float(np.floor(float(first) / DAY) * DAY)  # type: ignore[arg-type]


def removed(
    given: Given, values: Mapping[str, Sequence[Any]], known: pl.DataFrame, at: str
) -> Given:
    """Leave out the jobs that have one of the values; those must occur in `known`."""
    frame = given.frame
    kept = frame.filter(~_having(frame, values, known, at))
    return given.having(kept, f"what if: {frame.height - kept.height} jobs are left out")


def added(
    given: Given,
    like: Mapping[str, Sequence[Any]],
    known: pl.DataFrame,
    name: str,
    factor: float,
    span: _Span,
    rng: np.random.Generator,
) -> Given:
    """Add the tasks of a new group: copies of those that are `like` this, on other days."""
    frame = given.frame
    mine = _having(frame, like, known, "whatif.added.like").to_numpy() & _inside(frame, span)
    copies = _copies(frame, mine, factor, span, rng, f"@{name}")
    marks = [pl.lit(name).alias("group")] if "group" in copies.columns else []
    if "user" in copies.columns:
        marks.append((pl.col("user") + f"@{name}").alias("user"))
    whole = pl.concat([frame, copies.with_columns(marks)])
    return given.having(whole, f"what if: {copies.height} jobs of the group {name!r} are added")


def loaded(given: Given, factor: float, span: _Span, rng: np.random.Generator) -> Given:
    """Send whole tasks again on other days of the span, or leave some out.

    Sessions, tasks and the hours of the day stay as they are; the number of jobs in the span is
    `factor` times what it was, up to a task.
    """
    frame = given.frame
    inside = _inside(frame, span)
    told = f"what if: {factor:g} times the load"
    if factor >= 1:
        copies = _copies(frame, inside, factor - 1.0, span, rng, "*")
        return given.having(pl.concat([frame, copies]), told)
    rows = np.flatnonzero(inside)
    gone = rows[_some_tasks(frame[rows], 1.0 - factor, rng)]
    keep = np.ones(frame.height, bool)
    keep[gone] = False
    return given.having(frame.filter(pl.Series(keep)), told)


def renewed(
    given: Given,
    start: float,
    share: float,
    factor: float,
    sites: Sequence[str],
    rng: np.random.Generator,
) -> Given:
    """Let jobs that are submitted from `start` on read new data sets in place of some."""
    frame = given.frame
    if "dataset" not in frame.columns:
        raise SchemaError("whatif.renewal needs jobs with the column dataset; add it")
    names = frame["dataset"].drop_nulls().unique().sort()
    chosen = names.filter(pl.Series(rng.random(len(names)) < share, dtype=pl.Boolean))
    hit = (pl.col("submit_time") >= start) & pl.col("dataset").is_in(chosen.implode())
    changes = [pl.when(hit).then(pl.col("dataset") + "~new").otherwise("dataset").alias("dataset")]
    if "input_bytes" in frame.columns and factor != 1.0:
        size = pl.col("input_bytes")
        changes.append(pl.when(hit).then(size * factor).otherwise(size).alias("input_bytes"))
    replicas = given.replicas
    if sites and len(chosen):
        place = pl.Series([sites[k % len(sites)] for k in range(len(chosen))])
        new = pl.DataFrame({"dataset": chosen + "~new", "site": place})
        replicas = new if replicas is None else pl.concat([replicas, new], how="diagonal")
    told = f"what if: {len(chosen)} data sets are renewed"
    return replace(given.having(frame.with_columns(changes), told), replicas=replicas)


def _having(
    frame: pl.DataFrame, values: Mapping[str, Sequence[Any]], known: pl.DataFrame, at: str
) -> pl.Series:
    """Return which rows have one of the values, of any of the columns."""
    found = pl.Series(np.zeros(frame.height, bool))
    for column, some in values.items():
        if column not in known.columns:
            raise SchemaError(
                f"{at}.{column}: the jobs have no such column; expected one of "
                f"{', '.join(known.columns)}"
            )
        texts = [str(value) for value in some]
        names = known[column].cast(pl.String)
        for text in texts:
            if not (names == text).any():
                common = names.drop_nulls().value_counts(sort=True)[column].head(5).to_list()
                raise InputError(
                    f"{at}.{column}: no job has {text!r}; frequent are {', '.join(sorted(common))}"
                )
        found |= frame[column].cast(pl.String).is_in(texts).fill_null(value=False)
    return found


def _inside(frame: pl.DataFrame, span: _Span) -> NDArray[np.bool_]:
    submit = frame["submit_time"].fill_null(np.nan).to_numpy()
    return np.asarray((submit >= span[0]) & (submit < span[1]))


def _tasks(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Return the number of each row's task, in order of their names; without tasks, of a job."""
    alone = roots(frame) if "parent_id" in frame.columns else frame["job_id"]
    names = "j" + alone
    if "task_id" in frame.columns:
        names = frame.select(
            pl.when(pl.col("task_id").is_null()).then(names).otherwise("t" + pl.col("task_id"))
        ).to_series()
    return (
        names.rank("dense").cast(pl.Int64).to_numpy() - 1 if len(names) else np.zeros(0, np.int64)
    )


def _some_tasks(frame: pl.DataFrame, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows of tasks drawn at random until they have that share of the rows."""
    task = _tasks(frame)
    size = np.bincount(task)
    order = rng.permutation(len(size))
    before = np.cumsum(size[order]) - size[order]
    wanted = share * frame.height
    drawn = np.zeros(len(size), bool)
    # a task counts if more than half of it is wanted
    drawn[order[before + size[order] / 2 <= wanted]] = True
    return np.flatnonzero(drawn[task])


def _copies(
    frame: pl.DataFrame,
    inside: NDArray[np.bool_],
    factor: float,
    span: _Span,
    rng: np.random.Generator,
    suffix: str,
) -> pl.DataFrame:
    """Return `factor` times the rows that are inside, by whole tasks, each on another day."""
    rows = np.flatnonzero(inside)
    parts = []
    for k in range(int(np.ceil(factor - 1e-12))):
        share = min(1.0, factor - k)
        mine = rows if share >= 1 else rows[_some_tasks(frame[rows], share, rng)]
        part = frame[mine]
        parts.append(_moved(part, _shifts(part, span, rng), suffix * (k + 1)))
    return pl.concat(parts) if parts else frame.clear()


def _shifts(part: pl.DataFrame, span: _Span, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return by how much (s) each row is moved: its task to another day of the span."""
    if not part.height:
        return np.zeros(0)
    task = _tasks(part)
    submit = part["submit_time"].to_numpy()
    first = np.full(int(task.max()) + 1, np.inf)
    np.minimum.at(first, task, submit)
    last = float(submit.max()) if np.isinf(span[1]) else span[1]
    start = np.floor(span[0] / DAY) * DAY
    days = max(1, int(np.ceil((last - start) / DAY)))
    day = np.floor((first - start) / DAY)
    other = (day + rng.integers(1, max(days, 2), len(first))) % days
    return np.asarray((other - day)[task] * DAY)


def _moved(frame: pl.DataFrame, shift: NDArray[np.float64], suffix: str) -> pl.DataFrame:
    """Return the rows at other times, with ids of their own."""
    by = pl.Series(shift, dtype=pl.Float64)
    times = [pl.col(name) + by for name in _TIMES if name in frame.columns]
    ids = [pl.col(name) + suffix for name in _IDS if name in frame.columns]
    return frame.with_columns(*times, *ids)
