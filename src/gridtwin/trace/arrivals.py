"""Formulas of arrivals: counts, dispersion, autocorrelation, the week's profile."""

import numpy as np
from numpy.typing import NDArray

from gridtwin.trace.resample import body
from gridtwin.trace.table import JobTable

__all__ = ["autocorrelation", "counts", "fano", "hour_of_week", "submit_times"]

Floats = NDArray[np.float64]

_HOUR = 3600.0


def submit_times(jobs: JobTable) -> Floats:
    """Return the known submit times (s), sorted; empty where there are none.

    8 bytes a job in memory.
    """
    if "submit_time" not in jobs:
        return np.empty(0)
    times = jobs.frame.select("submit_time").collect(engine="streaming")["submit_time"]
    values = times.drop_nulls().to_numpy()
    return np.sort(values[np.isfinite(values)])


def counts(submit: Floats, width: float) -> Floats:
    """Return the numbers of jobs in bins of `width` s, from the full hour before the first job.

    Of the trace's `body`; the last bin, which the trace does not fill, is left out.
    """
    submit = body(submit)
    if not len(submit):
        return np.zeros(0)
    bins = ((submit - np.floor(submit[0] / _HOUR) * _HOUR) // width).astype(np.int64)
    return np.bincount(bins)[:-1].astype(float)


def fano(values: Floats) -> float:
    """Return variance / mean: 1 for a Poisson process, more for bursts; NaN for no counts."""
    return float(values.var() / values.mean()) if len(values) > 1 and values.any() else float("nan")


def autocorrelation(values: Floats, lag: int) -> float:
    """Return the autocorrelation at a lag (in bins), NaN for fewer than two lags of values."""
    if len(values) < 2 * lag or not values.std():
        return float("nan")
    centred = values - values.mean()
    return float(centred[lag:] @ centred[:-lag] / (centred @ centred))


def hour_of_week(submit: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the hours of the week that the times span, and the mean number of jobs in each.

    Hour 0 is Monday 00:00 UTC, the last is 167; `submit` in s, any order, finite.
    """
    if not len(submit):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    hours = np.floor(submit / _HOUR)
    # 1970-01-01 was a Thursday: its first hour is the 72nd of a week that begins on Monday
    slot = ((hours + 72) % 168).astype(np.int64)
    first, length = (hours.min() + 72) % 168, hours.max() - hours.min() + 1
    later = (np.arange(168) - first) % 168
    held = np.maximum(0, np.ceil((length - later) / 168))
    jobs = np.bincount(slot, minlength=168)[held > 0] / held[held > 0]
    return np.flatnonzero(held > 0), jobs
