"""The wait-against-load curve: the queues also on smaller and larger machines.

A trace may queue like the real one on the machine where it was recorded and not under more or less
load. So the queues of `scheduling` are made anew at other machine sizes; with those at the machine
itself they are the points of one curve.
"""

from collections.abc import Callable

from gridtwin.metrics.base import Score, metric
from gridtwin.metrics.scheduling import Figure, Memo, Policy, queue_ratio
from gridtwin.trace import JobTable

__all__ = ["SIZES"]

SIZES = (0.8, 1.2)
"""Machine sizes relative to the trace's own machine."""
_FIGURES: dict[Figure, str] = {"wait": "Mean wait", "slowdown": "Mean bounded slowdown (10 s)"}
_POLICIES: dict[Policy, str] = {"fcfs": "first come first served", "easy": "EASY backfilling"}


def _at(policy: Policy, figure: Figure, size: float) -> Callable[..., Score]:
    def ratio(
        real: JobTable, synthetic: JobTable, *, cores: int | None = None, memo: Memo | None = None
    ) -> Score:
        return queue_ratio(real, synthetic, policy, figure, cores=cores, memo=memo, size=size)

    ratio.__doc__ = (
        f"{_FIGURES[figure]} under {_POLICIES[policy]} on a machine of {size:g} times the size, "
        f"synthetic over real.\n\n"
        f"1 = the same queue at that load. Jobs wider than the machine are left out on both sides "
        f"and counted. By column: the ratio of the quantiles."
    )
    return ratio


for _policy in _POLICIES:
    for _figure in _FIGURES:
        for _size in SIZES:
            _name = f"{_figure}_{_policy}_{_size:.0%}".removesuffix("%")
            _register = metric(_name, goal="one", group="scheduling", on="queue")
            _register(_at(_policy, _figure, _size))
