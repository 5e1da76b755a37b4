"""What happens to a simulation on its way: failure storms, and policies that are switched."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim import Platform, Simulation
from gridtwin.sim.steer import switch, switch_broker
from gridtwin.study.jobs import DAY
from gridtwin.study.platforms import site_of
from gridtwin.study.whatif import Storm, Switch, WhatIf

__all__ = ["Step", "drive", "steps"]

Step = tuple[float, Callable[[Simulation], None]]
"""When (s), and what is done to the running simulation then."""


def steps(whatif: WhatIf, platform: Platform, begin: float) -> list[Step]:
    """Return what is done to the running simulation, in order of time."""
    found = _storms(whatif.storm, platform, begin)
    for one in whatif.switch:
        if one.site is not None:
            site_of(platform, one.site, "whatif.switch.site")
        found.append((begin + one.at_days * DAY, _switching(one)))
    return sorted(found, key=lambda step: step[0])


def drive(run: Simulation, todo: Sequence[Step]) -> None:
    """Let a simulation run to its end, and do what there is to do on the way."""
    for time, act in todo:
        run.until(time)
        act(run)
    run.until()


def _switching(one: Switch) -> Callable[[Simulation], None]:
    def act(run: Simulation) -> None:
        if one.broker is not None:
            switch_broker(run, one.broker)
        if one.queue is not None:
            switch(run, one.queue, one.site)

    return act


def _storms(storms: Sequence[Storm], platform: Platform, begin: float) -> list[Step]:
    """Return a step for each time at which a storm begins or ends."""
    rows = []
    for storm in storms:
        for name in storm.site:
            site_of(platform, name, "whatif.storm.site")
        chosen = np.array([not storm.site or name in storm.site for name in platform.names])
        rows.append((storm.within(begin), chosen, storm.chance))
    base: list[NDArray[np.float64]] = []

    def at(time: float) -> Step:
        def act(run: Simulation) -> None:
            chance = run.state.chance
            if not base:
                base.append(chance.copy())
            left = 1.0 - base[0]
            for (start, end), chosen, more in rows:
                if start <= time < end:
                    left[chosen] *= 1.0 - more
            chance[:] = 1.0 - left

        return time, act

    times = {time for span, _, _ in rows for time in span if time < np.inf}
    return [at(time) for time in sorted(times)]
