"""Judge a calibration on jobs that it has not seen, beside what needs no simulation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.calibration.losses import Measured, blocks_of, distance, draws

__all__ = ["QUANTITIES", "Score", "judge"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

QUANTITIES = {"wait": "s", "log_wait": "log(1 + s)", "wall": "s", "efficiency": ""}
"""What is judged, and its unit."""
_RESAMPLES = 300


@dataclass(frozen=True)
class Score:
    """Wasserstein distances to the later records of a site, in the unit of the quantity.

    Intervals hold 95 % of the block bootstraps. In a comparison, values below 0 are for the
    calibration.
    """

    site: str
    quantity: str
    within: str
    """``span``: all later jobs as one distribution; ``block``: the mean over blocks of time,
    weighted by jobs, of the distance within each, which also asks when it is busy."""
    jobs: int
    blocks: int
    calibrated: float
    interval: tuple[float, float]
    default: float
    """The simulation with the default setting."""
    median: float
    """The median of the site's earlier jobs, said for every job."""
    training: float
    """The distribution of the site's earlier jobs."""
    minus_default: tuple[float, float]
    """Interval of calibrated - default."""
    minus_median: tuple[float, float]
    minus_training: tuple[float, float]


def judge(
    site: str,
    submit: Floats,
    later: NDArray[np.bool_],
    recorded: Measured,
    runs: tuple[Measured, Measured],
    earlier: Measured,
    seed: int,
) -> list[Score]:
    """Return the scores of a site.

    Parameters
    ----------
    submit, later
        Submission of all jobs, and which of them are judged.
    recorded, runs
        Measured of all jobs: the records, the calibrated run and the run by default.
    earlier
        What was recorded of the jobs that it was fitted on.
    """
    out = []
    for name in recorded:
        known = later & np.isfinite(recorded[name])
        for run in runs:
            known &= np.isfinite(run[name])
        past = earlier[name][np.isfinite(earlier[name])]
        if not known.any() or not len(past):
            continue
        blocks, _ = blocks_of(submit, known)
        models = {
            "calibrated": runs[0][name],
            "default": runs[1][name],
            "median": np.full(len(submit), np.median(past)),
            "training": None,
        }
        for within in ("span", "block"):
            how = _of_span if within == "span" else _of_blocks
            table = how(recorded[name], models, past, blocks, seed)
            out.append(_score(site, name, within, int(known.sum()), len(blocks), table))
    return out


Table = dict[str, Floats]
"""By model: the distance, then those of the resamples."""
_How = Callable[[Floats, dict[str, Floats | None], Floats, list[Whole], int], Table]


def _score(site: str, name: str, within: str, jobs: int, blocks: int, table: Table) -> Score:
    ours = table["calibrated"]
    return Score(
        site=site,
        quantity=name,
        within=within,
        jobs=jobs,
        blocks=blocks,
        calibrated=float(ours[0]),
        interval=_interval(ours[1:]),
        default=float(table["default"][0]),
        median=float(table["median"][0]),
        training=float(table["training"][0]),
        minus_default=_interval((ours - table["default"])[1:]),
        minus_median=_interval((ours - table["median"])[1:]),
        minus_training=_interval((ours - table["training"])[1:]),
    )


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _of_span(
    real: Floats,
    models: dict[str, Floats | None],
    past: Floats,
    blocks: list[Whole],
    seed: int,
) -> Table:
    drawn = draws(len(blocks), _RESAMPLES, seed)
    rows = [np.concatenate(blocks)] + [np.concatenate([blocks[k] for k in d]) for d in drawn]
    return {
        name: np.array([distance(real[r], past if made is None else made[r]) for r in rows])
        for name, made in models.items()
    }


def _of_blocks(
    real: Floats,
    models: dict[str, Floats | None],
    past: Floats,
    blocks: list[Whole],
    seed: int,
) -> Table:
    drawn = np.vstack([np.arange(len(blocks)), draws(len(blocks), _RESAMPLES, seed)])
    size = np.array([len(rows) for rows in blocks], np.float64)
    out = {}
    for name, made in models.items():
        each = [distance(real[rows], past if made is None else made[rows]) for rows in blocks]
        out[name] = (np.array(each) * size)[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    return out
