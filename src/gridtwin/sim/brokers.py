"""Which site a job goes to: brokers by name, and what the kernels take for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.core.registry import Registry
from gridtwin.core.seeds import generator
from gridtwin.sim.kernel import CHOOSE
from gridtwin.sim.kernel.codes import Brokerage

__all__ = [
    "Broker",
    "Brokering",
    "Chooser",
    "assign",
    "broker_name",
    "broker_names",
    "brokerage",
    "brokers",
    "check_broker",
    "chooser_of",
    "register_broker",
]

Broker = Literal["least_loaded", "fewest_jobs", "round_robin", "random", "data_local", "recorded"]
Chooser = Callable[..., Any]
"""A broker of the user's own: see `gridtwin.sim.view.caller`."""


@dataclass(frozen=True)
class Brokering:
    """A named broker that is called for each job."""

    name: str
    rule: str
    """What it chooses, in a line."""
    make: Callable[[int], Chooser]
    """``make(seed)``: a broker that knows nothing yet, for one run."""
    source: str = ""


brokers = Registry("broker", "gridtwin.policy", "gridtwin.brokers")
"""Brokers beside those of the kernel, by name; the modules of `gridtwin.policy` fill it."""


def register_broker(broker: Brokering) -> Brokering:
    """Make a broker known by its name and return it; a name can be taken once."""
    brokers.add(broker.name, broker)
    return broker


def broker_names() -> list[str]:
    """All names, sorted: of the kernel's own brokers and of those that are called."""
    return sorted({*get_args(Broker), *brokers.names()})


def chooser_of(broker: str | Chooser, seed: int = 0) -> Chooser | None:
    """Return what is called for each job; None where the kernel chooses itself."""
    if not isinstance(broker, str):
        return broker
    if broker in get_args(Broker):
        return None
    found = brokers.get(broker)
    if not isinstance(found, Brokering):
        raise InputError(
            f"broker {broker!r} is a {type(found).__name__}; expected a "
            "gridtwin.sim.brokers.Brokering, check the entry point that provides it"
        )
    return found.make(seed)


def check_broker(broker: str | Chooser) -> None:
    """Raise `UnknownNameError` unless there is a broker of that name, or it can be called."""
    if callable(broker):
        return
    if not isinstance(broker, str):
        raise InputError(f"a broker is a name or a callable, got a {type(broker).__name__}")
    if broker not in get_args(Broker) and broker not in (known := broker_names()):
        raise UnknownNameError("broker", broker, known)


def broker_name(broker: str | Chooser) -> str:
    """Return the name that results give a broker."""
    return broker if isinstance(broker, str) else getattr(broker, "__name__", "called")


def brokerage(broker: str | Chooser) -> Brokerage:
    """Return the grid kernel's code of a broker; of ``recorded``, any: all sites are fixed."""
    if broker == "recorded":
        return Brokerage.LEAST_LOADED
    if isinstance(broker, str) and broker in get_args(Broker):
        return Brokerage[broker.upper()]
    return Brokerage.CALLED


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
