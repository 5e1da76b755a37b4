"""Brokers by name: simple rules, and those that expect when a job will end.

A broker chooses a site for each job when that is submitted, from what `gridtwin.sim.view.View`
shows then. Those of the kernel (``least_loaded``, ``fewest_jobs``, ``round_robin``, ``random``,
``data_local``, ``recorded``) are in `gridtwin.sim.brokers`; PanDA's rules in
`gridtwin.policy.panda_brokerage`, those that learn from rewards in `gridtwin.policy.bandits`, those
that see all jobs at once in `gridtwin.policy.batch_brokerage` and `gridtwin.policy.optimal`.

Where no site fits, a broker answers None; see `gridtwin.policy.estimates.candidates` for closed
sites and retries.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.seeds import generator
from gridtwin.policy.estimates import (
    History,
    candidates,
    least,
    ready_seconds,
    times_of,
)
from gridtwin.sim.brokers import Brokering, register_broker
from gridtwin.sim.view import View

__all__ = ["Expecting", "PowerOfTwo", "WeightedRandom", "draw"]

Rule = Literal["olb", "met", "mct"]


def draw(weight: NDArray[np.float64], rng: np.random.Generator) -> int:
    """Return an index with a chance proportional to its weight (0 or more, some above 0)."""
    ends = np.cumsum(weight)
    return int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))


class WeightedRandom:
    """Send a job to any site it fits, with a chance proportional to the site's cores."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = generator(seed)

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        among = candidates(view)
        return draw(among * view.size, self.rng) if among.any() else None


class PowerOfTwo:
    """Draw two sites that a job fits, send it to that with fewer cores held per core.

    Mitzenmacher, IEEE TPDS 2001. Both draws are proportional to nothing: all sites are alike.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = generator(seed)

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        among = np.flatnonzero(candidates(view))
        if len(among) < 2:
            return int(among[0]) if len(among) else None
        first, second = self.rng.choice(among, 2, replace=False).tolist()
        return int(first if view.load[first] <= view.load[second] else second)


class Expecting:
    """Send a job where it is expected to start, to run or to end first.

    ``olb`` (opportunistic load balancing): least time until it gets cores. ``met`` (minimum
    execution time): least fetch + run. ``mct`` (minimum completion time): least sum of all three.
    Braun et al., J. Parallel Distrib. Comput. 2001; the times are `estimates.Times`, with run times
    learnt from jobs that have ended.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.history = History()

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        self.history.learn(view)
        among = candidates(view)
        if not among.any():
            return None
        self.history.sent(view)
        if self.rule == "olb":
            return least(ready_seconds(view, self.history), among)
        times = times_of(view, self.history)
        return least(times.fetch + times.run if self.rule == "met" else times.completion, among)


_BRAUN = "Braun et al., JPDC 2001"

for _broker in (
    Brokering(
        "weighted_random", "any site, with a chance proportional to its cores", WeightedRandom
    ),
    Brokering(
        "power_of_two", "the less loaded of two sites", PowerOfTwo, "Mitzenmacher, TPDS 2001"
    ),
    Brokering("olb", "where it gets cores first", lambda _: Expecting("olb"), _BRAUN),
    Brokering("met", "where inputs and run take least", lambda _: Expecting("met"), _BRAUN),
    Brokering("mct", "where it ends first", lambda _: Expecting("mct"), _BRAUN),
):
    register_broker(_broker)
