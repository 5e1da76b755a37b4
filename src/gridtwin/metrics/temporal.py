"""When jobs arrive: gaps, bursts, rhythm, and whether it is the real calendar again."""

import numpy as np

from gridtwin.metrics.base import Score, metric
from gridtwin.metrics.joint import pearson
from gridtwin.metrics.marginal import ks_distance
from gridtwin.trace import JobTable
from gridtwin.trace.arrivals import autocorrelation, counts, fano, submit_times

__all__ = [
    "acf",
    "fano_day",
    "fano_hour",
    "interarrival",
    "replay",
    "week_profile",
]

_HOUR = 3600.0
_WEEK = 168
LAGS = (1, 24, 168)
"""Hours."""


@metric("interarrival", goal="min", group="temporal", on="arrivals")
def interarrival(real: JobTable, synthetic: JobTable) -> Score:
    """Kolmogorov-Smirnov distance of the gaps between jobs in order of submission (log(1 + s)).

    0 = the same, 1 = no overlap.
    """
    a, b = submit_times(real), submit_times(synthetic)
    if len(a) < 2 or len(b) < 2:
        return Score.none("fewer than two submit times")
    a, b = np.log1p(np.diff(a)), np.log1p(np.diff(b))
    detail = {
        "median_gap_real_s": float(np.expm1(np.median(a))),
        "median_gap_synthetic_s": float(np.expm1(np.median(b))),
        "gap_lag1_real": autocorrelation(a, 1),
        "gap_lag1_synthetic": autocorrelation(b, 1),
    }
    return Score(ks_distance(a, b), detail=detail)


def _fano(real: JobTable, synthetic: JobTable, width: float, what: str) -> Score:
    a = fano(counts(submit_times(real), width))
    b = fano(counts(submit_times(synthetic), width))
    if not (np.isfinite(a) and np.isfinite(b)) or a == 0:
        return Score.none(f"too short for counts by the {what}, or no bursts in the real trace")
    return Score(b / a, detail={"real": a, "synthetic": b})


@metric("fano_hour", goal="one", group="temporal", on="arrivals")
def fano_hour(real: JobTable, synthetic: JobTable) -> Score:
    """Fano factor of hourly job counts (variance / mean), synthetic over real.

    1 = as bursty as the real trace, less = smoother.
    """
    return _fano(real, synthetic, _HOUR, "hour")


@metric("fano_day", goal="one", group="temporal", on="arrivals")
def fano_day(real: JobTable, synthetic: JobTable) -> Score:
    """Fano factor of daily job counts (variance / mean), synthetic over real.

    1 = days differ as much as in the real trace, less = days are too alike.
    """
    return _fano(real, synthetic, 24 * _HOUR, "day")


@metric("acf", goal="min", group="temporal", on="arrivals")
def acf(real: JobTable, synthetic: JobTable) -> Score:
    """Mean absolute difference of the autocorrelation of hourly job counts at 1, 24 and 168 h.

    0 = the same. By column: the difference at each lag that both traces are long enough for.
    """
    a, b = counts(submit_times(real), _HOUR), counts(submit_times(synthetic), _HOUR)
    values = {lag: (autocorrelation(a, lag), autocorrelation(b, lag)) for lag in LAGS}
    both = {lag: pair for lag, pair in values.items() if np.isfinite(pair).all()}
    detail = {f"lag {lag} h": list(pair) for lag, pair in both.items()}
    difference = {f"lag {lag} h": abs(x - y) for lag, (x, y) in both.items()}
    return Score.mean(difference, "lags of 1 h or more", real_synthetic=detail)


@metric("week_profile", goal="min", group="temporal", on="arrivals")
def week_profile(real: JobTable, synthetic: JobTable) -> Score:
    """Total-variation distance of the shares of jobs by hour of the week (UTC).

    0 = the same rhythm, 1 = no common hour. Of the day, for traces of less than a week.
    """
    a, b = submit_times(real), submit_times(synthetic)
    if len(a) < 2 or len(b) < 2:
        return Score.none("fewer than two submit times")
    period = _WEEK if min(np.ptp(a), np.ptp(b)) >= _WEEK * _HOUR else 24
    p, q = (np.bincount((x // _HOUR % period).astype(np.int64), minlength=period) for x in (a, b))
    distance = float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)
    return Score(distance, detail={"hours": period})


@metric("replay", goal="weeks", group="temporal", on="arrivals")
def replay(real: JobTable, synthetic: JobTable) -> Score:
    """Share of synthetic jobs for which the real trace has a job of the same user within an hour.

    Real weeks drawn anew show what habits alone give. Much more means that the synthetic trace
    follows the real calendar: it tells who was active when, and its samples share the busy and
    quiet days. ``hourly_correlation`` is that of the two traces' counts by hour of the calendar.
    """
    times = [submit_times(jobs) for jobs in (real, synthetic)]
    if min(map(len, times)) < 2:
        return Score.none("fewer than two submit times")
    if "user" not in real or "user" not in synthetic:
        return Score.none("no users")
    names = ["user", "submit_time"]
    a, b = (jobs.collect(names).drop_nulls().sort("submit_time") for jobs in (real, synthetic))
    if a.is_empty() or b.is_empty():
        return Score.none("no users")
    near = b.join_asof(
        a.with_columns(found=True),
        on="submit_time",
        by="user",
        strategy="nearest",
        tolerance=_HOUR,
        check_sortedness=False,  # both are sorted above
    )
    first = min(float(t[0]) for t in times)
    hours = int((max(float(t[-1]) for t in times) - first) // _HOUR) + 1
    edges = first + _HOUR * np.arange(hours + 1)
    x, y = (np.histogram(t, edges)[0].astype(float) for t in times)
    value = near["found"].count() / near.height
    return Score(value, detail={"hourly_correlation": pearson(x, y)})
