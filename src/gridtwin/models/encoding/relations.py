"""What must hold between the columns of a job, kept by construction."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError

__all__ = ["AT_LIMIT", "cpu_time", "run_time", "with_offsets", "without_offsets"]

Values = Mapping[str, NDArray[np.float64]]

AT_LIMIT = 0.98
"""A job that ran this share of its requested time is taken to have been stopped by it."""
_SHORT = 0.1
"""A job that ran less than this share ended by itself; its run time is taken as it is."""


def run_time(
    run: NDArray[np.float64], asked: NDArray[np.float64], limit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return run times that fit the requests `limit`, from jobs that ran `run` and asked `asked`.

    Where the two requests are within a factor of two, a job that was over its request passes the
    new one by the same seconds, and others keep their share of the request, or their seconds if
    they were short against both. Where they are further apart a request says little about the
    run time: the seconds stay, up to the new request. All in seconds, NaN for unknown; where
    either request is unknown the run time stays.
    """
    known = (limit > 0) & (asked > 0) & (limit != asked) & ~np.isnan(run)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = run / asked
        far = (limit > 2 * asked) | (asked > 2 * limit)
        short = (share < _SHORT) & (run < AT_LIMIT * limit)
        near = np.where(share >= 1.0, limit + (run - asked), share * limit)
        fitted = np.where(far, np.minimum(run, limit), np.where(short, run, near))
    return np.where(known, fitted, run)


def cpu_time(
    cpu: NDArray[np.float64], donor: NDArray[np.float64], own: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return cpu times of the same efficiency: `donor` and `own` are cores x run time in core-s."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = cpu / donor * own
    return np.where((donor > 0) & (own >= 0), scaled, cpu)


def with_offsets(frame: pl.DataFrame, model: str) -> pl.DataFrame:
    """Return the rows that have a submit time, with waits and run times in place of instants.

    ``eligible_time`` becomes seconds since submit. Raises `InputError` if no row is left.
    """
    if "submit_time" not in frame.columns:
        raise InputError(
            f"the model {model!r} needs 'submit_time'; this trace has no arrival times "
            f"(columns: {', '.join(frame.columns)})"
        )
    frame = frame.filter(pl.col("submit_time").is_finite()).sort("submit_time", maintain_order=True)
    if frame.is_empty():
        raise InputError(f"the model {model!r} found no row with a submit time; check the source")
    have = set(frame.columns)
    if "wait_time" not in have and "start_time" in have:
        frame = frame.with_columns(wait_time=pl.col("start_time") - pl.col("submit_time"))
    if "run_time" not in have and {"start_time", "end_time"} <= have:
        frame = frame.with_columns(run_time=pl.col("end_time") - pl.col("start_time"))
    if "eligible_time" in have:
        frame = frame.with_columns(pl.col("eligible_time") - pl.col("submit_time"))
    numbers = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    return frame.with_columns(pl.col(numbers).fill_nan(None))


def without_offsets(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Undo `with_offsets` and return these columns: start = submit + wait, end = start + run."""
    have = set(frame.columns)
    start = pl.col("submit_time") + pl.col("wait_time") if "wait_time" in have else pl.lit(None)
    end = start + pl.col("run_time") if "run_time" in have else pl.lit(None)
    instants = [
        start.cast(pl.Float64).alias("start_time"),
        end.cast(pl.Float64).alias("end_time"),
    ]
    if "eligible_time" in have:
        instants.append(pl.col("eligible_time") + pl.col("submit_time"))
    frame = frame.with_columns(instants)
    if "parent_id" in columns:
        frame = frame.with_columns(parent_id=pl.lit(None, dtype=pl.String))
    return frame.select(columns)
