"""The workload model of Lublin and Feitelson, as a synthetic example trace.

U. Lublin, D. G. Feitelson: The workload on parallel supercomputers: modeling the characteristics
of rigid jobs. Journal of Parallel and Distributed Computing 63(11), 1105-1122, 2003.

From the paper: sizes, run times, gaps between arrivals and their daily cycle, for all jobs
together or for batch and interactive jobs apart. Added here, because the paper has none: users
in sessions, requested times, the scaling of the gaps to a wanted load, and the first day. The
paper's model has no weeks: weekends look like other days.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import stats

from gridtwin.core.errors import InputError
from gridtwin.trace.table import JobTable, Provenance

__all__ = ["ALL", "BATCH", "INTERACTIVE", "Parameters", "load", "slot_weights"]

SLOT = 1800.0
"""Length of a slot of the daily cycle, s."""
DAWN = 11
"""Slot at which the daily cycle begins (05:30)."""
LONGEST_RUN = math.exp(12)
"""Runs are cut at this, s (45 h)."""
LONGEST_GAP = math.exp(13)
"""Gaps are cut at this, s of a day of even load."""
FIRST_DAY = 1_704_067_200.0
"""2024-01-01 00:00 UTC, a Monday."""


@dataclass(frozen=True)
class Parameters:
    """One class of jobs: the names and values are the paper's."""

    serial: float
    """Probability of a job on one processor."""
    power_of_two: float
    """Probability of a parallel job whose size is rounded to a power of two."""
    low: float
    """Least log2 of a parallel size."""
    medium: float | None
    """Where the two uniform parts of log2(size) meet; ``None``: `high` - 2.5."""
    high: float | None
    """Greatest log2 of the size; ``None``: that of the machine."""
    low_share: float
    """Probability of the lower uniform part."""
    run_short: tuple[float, float]
    """Shape and scale of the gamma law of ln(run time) of short jobs."""
    run_long: tuple[float, float]
    """The same, of long jobs."""
    short_share: tuple[float, float]
    """Probability of a short job = slope x size + intercept."""
    gap: tuple[float, float]
    """Shape and scale of the gamma law of ln(gap) in the busy hours."""
    cycle: tuple[float, float]
    """Shape and scale of the gamma law of the arrivals over the half-hours of a day."""
    cycle_ratio: float
    """How much denser arrivals are in the busy hours than `gap` says for the whole day."""


ALL = Parameters(
    serial=0.244,
    power_of_two=0.576,
    low=0.8,
    medium=None,
    high=None,
    low_share=0.86,
    run_short=(4.2, 0.94),
    run_long=(312.0, 0.03),
    short_share=(-0.0054, 0.78),
    gap=(10.2303, 0.4871),
    cycle=(8.1737, 3.9631),
    cycle_ratio=1.0225,
)
BATCH = Parameters(
    serial=0.2927,
    power_of_two=0.6686,
    low=1.2,
    medium=None,
    high=None,
    low_share=0.875,
    run_short=(6.57, 0.823),
    run_long=(639.1, 0.0156),
    short_share=(-0.003, 0.6986),
    gap=(6.0415, 0.8531),
    cycle=(6.1271, 5.2740),
    cycle_ratio=1.0519,
)
INTERACTIVE = Parameters(
    serial=0.1541,
    power_of_two=0.625,
    low=1.0,
    medium=3.0,
    high=5.5,
    low_share=0.705,
    run_short=(3.8351, 0.6605),
    run_long=(7.073, 0.6856),
    short_share=(-0.0118, 0.9156),
    gap=(6.5510, 0.6621),
    cycle=(8.9186, 3.6680),
    cycle_ratio=0.9797,
)

REQUESTS = np.array([5, 10, 15, 30, 60, 120, 240, 360, 720, 1080, 1440, 2160, 2880]) * 60.0
"""Requested times that people write, s."""


def load(
    n: int = 10_000,
    *,
    seed: int = 0,
    cores: int = 256,
    load: float | None = 0.7,
    classes: Literal["all", "split"] = "all",
) -> JobTable:
    """Return `n` jobs of the Lublin-Feitelson model on a machine of `cores` processors.

    Parameters
    ----------
    n
        Number of jobs.
    seed
        The same seed gives the same trace.
    cores
        Size of the machine, at least 4; sizes go up to it.
    load
        Work offered per processor and time (0.7 = 70 % of the machine): all gaps are scaled by
        one factor to reach it. ``None`` keeps the gaps of the paper.
    classes
        ``"all"`` draws from the paper's parameters for all jobs together, ``"split"`` draws
        batch and interactive jobs, each with their own arrivals, and merges them.
    """
    if n < 1 or cores < 4:
        raise InputError(f"expected n >= 1 and cores >= 4, got n={n} and cores={cores}")
    if load is not None and not 0 < load <= 2:
        raise InputError(f"expected a load above 0 and up to 2, got {load}")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2003]))
    parts = {"all": (ALL,), "split": (BATCH, INTERACTIVE)}[classes]
    drawn = [_draw(p, n, cores, rng) for p in parts]
    size = np.concatenate([size for _, size, _ in drawn])
    run = np.concatenate([run for _, _, run in drawn])

    def arrivals(stretch: float) -> np.ndarray:
        even = zip(parts, drawn, strict=True)
        return np.concatenate([_clock(p, gaps * stretch) for p, (gaps, _, _) in even])

    submit = arrivals(1.0)
    first = np.argsort(submit, kind="stable")[:n]
    if load is not None:
        span = float(size[first] @ run[first]) / (cores * load)
        submit = arrivals(span / submit[first[-1]])
        first = np.argsort(submit, kind="stable")[:n]
    frame = _frame(np.round(submit[first]), size[first], run[first], rng)
    if classes == "split":
        queue = np.array(["batch", "interactive"])[first // n]
        frame = frame.with_columns(pl.Series("queue", queue)).select(
            name for name in ("job_id", "user", "queue", *frame.columns[2:])
        )
    note = f"synthetic: the Lublin-Feitelson 2003 workload model, seed {seed}; no real job"
    return JobTable.from_frame(
        frame,
        Provenance(
            source=f"example lublin (n={n}, seed={seed}, cores={cores})",
            format="synthetic",
            rows_read=n,
            machine_cores=cores,
            notes=(note, "users, requested times and the load are our additions to the paper's"),
        ),
    )


def slot_weights(p: Parameters) -> np.ndarray:
    """Return how dense arrivals are in the 48 half-hours from midnight; the mean is the ratio.

    The gamma law counts half-hours from midnight and is read over the 24 hours from 05:30, when
    the day of a computing centre begins: what it has beyond midnight are the first slots.
    """
    shape, scale = p.cycle
    mass = np.diff(stats.gamma.cdf(DAWN + np.arange(49) - 0.5, shape, scale=scale))
    return np.asarray(np.roll(mass / mass.mean(), DAWN) * p.cycle_ratio)


def _frame(
    submit: np.ndarray, size: np.ndarray, run: np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "job_id": [str(i + 1) for i in range(len(submit))],
            "user": _users(submit, rng),
            "submit_time": FIRST_DAY + submit,
            "cores_req": size,
            "walltime_req": _requests(run, rng),
            "run_time": run,
            "status": ["finished"] * len(submit),
        }
    )


def _draw(
    p: Parameters, n: int, cores: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return arrivals in a day of even load (s), sizes (int) and run times (whole s, >= 1)."""
    size = _sizes(p, n, cores, rng)
    run = np.rint(_exp_gamma(*_mixture(p, size, rng), LONGEST_RUN, rng))
    gaps = _exp_gamma(np.full(n, p.gap[0]), np.full(n, p.gap[1]), LONGEST_GAP, rng)
    return np.cumsum(gaps), size, np.maximum(run, 1.0)


def _sizes(p: Parameters, n: int, cores: int, rng: np.random.Generator) -> np.ndarray:
    """Return sizes: 1, or two to the power of a two-part uniform number, rounded or not."""
    high = math.log2(cores) if p.high is None else min(p.high, math.log2(cores))
    medium = min(max(p.low, high - 2.5 if p.medium is None else p.medium), high)
    lower, u = rng.random(n) < p.low_share, rng.random(n)
    log2 = np.where(lower, p.low + u * (medium - p.low), medium + u * (high - medium))
    kind = rng.random(n)
    log2 = np.where(kind < p.serial + p.power_of_two, np.rint(log2), log2)
    size = np.where(kind < p.serial, 1, np.rint(2**log2))
    return np.clip(size, 1, cores).astype(np.int64)


def _mixture(
    p: Parameters, size: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return each job's shape and scale; the larger the job, the more often those of long jobs."""
    slope, intercept = p.short_share
    short = rng.random(len(size)) < np.clip(slope * size + intercept, 0, 1)
    shape, scale = (np.where(short, p.run_short[i], p.run_long[i]) for i in (0, 1))
    return shape, scale


def _exp_gamma(
    shape: np.ndarray, scale: np.ndarray, longest: float, rng: np.random.Generator
) -> np.ndarray:
    """Return exp of gamma numbers; those above `longest` are drawn again."""
    log = rng.gamma(shape, scale)
    while (beyond := log > math.log(longest)).any():
        log[beyond] = rng.gamma(shape[beyond], scale[beyond])
    return np.exp(log)


def _clock(p: Parameters, even: np.ndarray) -> np.ndarray:
    """Return the times (s from midnight) at which the weighted time reaches `even`.

    Time in a slot counts with the slot's weight, so that a gap lasts longer by night.
    """
    passed = np.concatenate([[0.0], np.cumsum(slot_weights(p) * SLOT)])
    day, rest = np.divmod(even, passed[-1])
    return np.asarray(day * 48 * SLOT + np.interp(rest, passed, np.arange(49) * SLOT))


def _users(submit: np.ndarray, rng: np.random.Generator, users: int = 60) -> list[str]:
    """Return who sends each job: Zipf's law over users, who stay for a session of jobs.

    A job is its predecessor's user's with probability 0.9 exp(-gap / 30 min): as in real traces,
    bursts are mostly of one user.
    """
    share = 1 / np.arange(1, users + 1)
    fresh = rng.choice(users, len(submit), p=share / share.sum())
    gap = np.diff(submit, prepend=-np.inf)
    stays = rng.random(len(submit)) < 0.9 * np.exp(-gap / 1800)
    opens = np.maximum.accumulate(np.where(stays, 0, np.arange(len(submit))))
    return [f"u{user + 1:02d}" for user in fresh[opens]]


def _requests(run: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return requested times: run time / U(0.1, 1), up to the next value that people write."""
    wanted = np.minimum(run / rng.uniform(0.1, 1, len(run)), REQUESTS[-1])
    return np.asarray(REQUESTS[np.searchsorted(REQUESTS, wanted)])
