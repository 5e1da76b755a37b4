"""Which jobs of a trace are odd, and what makes them odd, by a model of the others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.models import Surrogate
from gridtwin.models.encoding import RowModel, with_instants
from gridtwin.trace import JobTable

__all__ = ["Anomalies", "anomalies"]

Fit = Callable[[JobTable, int], Surrogate]
DAY = 86400.0
BLOCKS = 20
"""A short trace is cut into so many blocks at least."""
NAMED = 3
"""Columns named for a job, at most."""
_LEAST = 10.0
"""A column in which one of so many jobs is as odd is not named."""


@dataclass(frozen=True)
class Anomalies:
    """Jobs by how odd they are, the oddest first.

    `frame` has ``job_id``; ``score``; ``why``, the values that make the job odd, each with how few
    jobs are as odd in that column; and for each column, by its name with ``odd_`` before it, minus
    the logarithm of that share. These add up to the score, as in Fisher's method of combining
    tests: summed likelihoods would be ruled by the columns that nobody can foretell.
    """

    frame: pl.DataFrame
    model: str

    def save(self, path: Path | str) -> None:
        """Write the table as ``.parquet`` or ``.csv``."""
        path = Path(path)
        if path.suffix not in (".parquet", ".csv"):
            raise InputError(f"{path}: expected a name that ends in .parquet or .csv")
        with writing(path) as temporary:
            if path.suffix == ".csv":
                self.frame.write_csv(temporary)
            else:
                self.frame.write_parquet(temporary)


def anomalies(
    jobs: JobTable, model: Surrogate | Fit, *, folds: int = 2, seed: int = 0
) -> Anomalies:
    """Return the jobs of a trace by how odd they are to a model of jobs.

    Parameters
    ----------
    model
        One that is fitted, or a function that fits one to jobs under a seed, which is called once
        a fold: days go to the folds in turn (a twentieth of the span, where that is less), and
        the jobs of a fold are judged by a model of the other days. So an incident of some hours
        is not taken for usual because the model has seen it. Without submit times rows are dealt
        out at random.
    folds
        2 or more; not used with a fitted model.

    Raises `InputError` for a table with no jobs, or fewer than there are folds, and for a model
    that can only sample.
    """
    if isinstance(model, Surrogate):
        parts, name = _surprises(model, jobs), model.name
        return Anomalies(_table(jobs, parts), name)
    if folds < 2:
        raise InputError(f"folds={folds}: expected 2 or more")
    frame = jobs.collect()
    fold = _folds(frame, folds, seed)
    scored, name = [], ""
    for k in np.unique(fold):
        fitted = model(jobs.with_frame(frame.filter(pl.Series(fold != k))), seed)
        name = fitted.name
        rows = pl.Series(fold == k)
        part = _surprises(fitted, jobs.with_frame(frame.filter(rows)))
        scored.append(part.with_columns(_row=np.flatnonzero(fold == k)))
    parts = pl.concat(scored, how="diagonal").sort("_row").drop("_row")
    return Anomalies(_table(jobs, parts.fill_null(0.0)), name)


def _surprises(model: Surrogate, jobs: JobTable) -> pl.DataFrame:
    if not isinstance(model, RowModel):
        raise InputError(
            f"{model.name} is no model of rows and cannot say how odd a job is; "
            "take cart or tabddpm"
        )
    return model.surprise(jobs)


def _folds(frame: pl.DataFrame, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each job: its day, or its place in a random order."""
    if frame.height < folds:
        raise InputError(f"{frame.height} jobs are too few for {folds} folds; give more jobs")
    if "submit_time" in frame.columns:
        time = frame["submit_time"].fill_null(strategy="forward").fill_null(0.0).to_numpy()
        length = min(DAY, float(np.ptp(time)) / BLOCKS)
        if length > 0:
            fold = ((time - time.min()) // length).astype(np.int64) % folds
            if len(np.unique(fold)) > 1:
                return np.asarray(fold)
    return np.random.default_rng([seed, 7]).permutation(frame.height) % folds


def _table(jobs: JobTable, nats: pl.DataFrame) -> pl.DataFrame:
    """Return the frame of `Anomalies` for the nats of each value, in the order of the jobs."""
    frame = with_instants(jobs.collect())
    if not frame.height:
        raise InputError("nothing to judge, the table has no rows; check the source")
    odd = np.column_stack([_tail(column.to_numpy()) for column in nats] or [np.zeros(len(frame))])
    score = odd.sum(axis=1)
    columns = {
        "job_id": frame["job_id"],
        "score": score,
        "why": _why(frame, nats.columns, odd),
    } | {f"odd_{name}": odd[:, k] for k, name in enumerate(nats.columns)}
    return pl.DataFrame(columns)[np.argsort(-score, kind="stable")]


def _tail(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the logarithm of the share of the jobs that are at least as odd."""
    nats = np.round(nats, 6)
    less = np.searchsorted(np.sort(nats), nats, "left")
    return np.asarray(np.log(len(nats) / (len(nats) - less)))


def _why(frame: pl.DataFrame, names: list[str], odd: NDArray[np.float64]) -> pl.Series:
    """Return the oddest values, such as ``run_time=3 (1 in 800), user=ann (1 in 20)``."""
    most = np.argsort(-odd, axis=1, kind="stable")[:, :NAMED]
    said: list[pl.Series] = []
    for place in range(most.shape[1] if names else 0):
        words = np.full(frame.height, None, dtype=object)
        for k, name in enumerate(names):
            rows = np.flatnonzero((most[:, place] == k) & (odd[:, k] >= np.log(_LEAST)))
            if len(rows):
                words[rows] = _words(name, frame[name].gather(rows), np.exp(odd[rows, k]))
        said.append(pl.Series(f"{place}", words.tolist(), dtype=pl.String))
    joined = pl.concat_str(pl.all(), separator=", ", ignore_nulls=True)
    return pl.DataFrame(said).select(joined).to_series() if said else pl.Series([""] * len(frame))


def _words(name: str, values: pl.Series, among: NDArray[np.float64]) -> list[str]:
    """Return what is said of a column's values, each as odd as one `among` so many."""
    pairs = zip(values.to_list(), among, strict=True)
    return [f"{name}={_short(value)} (1 in {n:,.0f})" for value, n in pairs]


def _short(value: object) -> str:
    match value:
        case None:
            return "none"
        case float():
            return f"{value:.6g}"
        case list():
            return "+".join(map(str, value)) or "none"
        case _:
            return str(value)
