"""Which site a job goes to: brokers by name, and what the kernels take for them."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.core.seeds import generator
from gridtwin.sim.kernel import CHOOSE
from gridtwin.sim.kernel.codes import Brokerage

__all__ = ["Broker", "Chooser", "assign", "broker_name", "brokerage", "check_broker"]

Broker = Literal["least_loaded", "fewest_jobs", "round_robin", "random", "data_local", "recorded"]
Chooser = Callable[..., Any]
"""A broker of the user's own: see `gridtwin.sim.view.caller`."""


def check_broker(broker: str | Chooser) -> None:
    """Raise `UnknownNameError` unless there is a broker of that name, or it can be called."""
    if callable(broker):
        return
    if not isinstance(broker, str):
        raise InputError(f"a broker is a name or a callable, got a {type(broker).__name__}")
    if broker not in get_args(Broker):
        raise UnknownNameError("broker", broker, get_args(Broker))


def broker_name(broker: str | Chooser) -> str:
    """Return the name that results give a broker."""
    return broker if isinstance(broker, str) else getattr(broker, "__name__", "called")


def brokerage(broker: str | Chooser) -> Brokerage:
    """Return the grid kernel's code of a broker; of ``recorded``, any: all sites are fixed."""
    if callable(broker):
        return Brokerage.CALLED
    if broker == "recorded":
        return Brokerage.LEAST_LOADED
    return Brokerage[broker.upper()]


def assign(
    broker: str,
    width: NDArray[np.int64],
    cores: NDArray[np.int64],
    *,
    recorded: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Return each job's site, an index into `cores`, for jobs that fit somewhere.

    ``recorded``: the jobs' own sites, as given. ``random``: any site wide enough, all equally
    likely. ``round_robin``: the next site, in turn, that is wide enough. ``least_loaded``: `CHOOSE`
    for all jobs; the kernel takes the site with the fewest queued and running cores per core when
    the job arrives, the first of equals.
    """
    if broker == "recorded":
        if recorded is None:
            raise ValueError("the broker 'recorded' needs the jobs' own sites")
        return recorded
    if broker == "random":
        return _random(width, cores, generator(seed))
    if broker == "round_robin":
        return _round_robin(width, cores)
    return np.full(len(width), CHOOSE, dtype=np.int64)


def _random(
    width: NDArray[np.int64], cores: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    widest_first = np.argsort(-cores, kind="stable")
    wide_enough = np.searchsorted(-cores[widest_first], -width, side="right")
    return widest_first[rng.integers(0, wide_enough)]


def _round_robin(width: NDArray[np.int64], cores: NDArray[np.int64]) -> NDArray[np.int64]:
    n = len(cores)
    if not len(width) or width.max() <= cores.min():
        return np.arange(len(width), dtype=np.int64) % n
    sizes, at = cores.tolist(), 0
    sites = np.empty(len(width), dtype=np.int64)
    for job, wanted in enumerate(width.tolist()):
        while sizes[at] < wanted:
            at = (at + 1) % n
        sites[job] = at
        at = (at + 1) % n
    return sites
