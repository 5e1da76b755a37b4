"""How long a job may take at each site, by what is known when it is submitted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.kernel.jit import compiled
from gridtwin.sim.view import View

__all__ = ["History", "Times", "candidates", "least", "ready_seconds", "slowness", "times_of"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PRIOR = 3600.0
_AWAY = 1e18


@dataclass
class History:
    """Run times that ended jobs had: what a broker has learnt to expect.

    A job that asks for a time is expected to run for its share of it, the mean share of the jobs of
    its kind; another for their mean time. Where nothing ended yet: all that it asks for, or `prior`
    seconds. Times are those on a core of the sites' mean speed.
    """

    prior: float = _PRIOR
    open: dict[int, tuple[float, int, int, bool]] = field(default_factory=dict)
    """Of each job that was sent and has not ended: the seconds it asked for (NaN: it did not), its
    kind, its cores, whether it takes less on faster cores."""
    sums: dict[int, list[float]] = field(default_factory=dict)
    """By kind: jobs, seconds; those that asked for a time, the sum of the shares they took."""
    cores: float = 0.0
    core_seconds: float = 0.0
    _slow: Floats = field(default_factory=lambda: np.zeros(0))

    def sent(self, view: View) -> None:
        """Take note of a job that is sent somewhere."""
        self.open[view.job] = (view.estimate, view.kind, view.cores, view.scales)

    def learn(self, view: View) -> NDArray[Any]:
        """Take note of attempts that ended and return them; failures say nothing of run times."""
        ended, slow = view.ended(), self._slowness(view)
        for row in ended:
            known = self.open.pop(int(row["job"]), None)
            if known is None or not row["finished"]:
                continue
            asked, kind, cores, scales = known
            begin = row["start"] if np.isnan(row["staged"]) else row["staged"]
            seconds = float(row["computed"] - begin) / (slow[row["site"]] if scales else 1.0)
            if not seconds >= 0.0:
                continue
            sums = self.sums.setdefault(kind, [0.0, 0.0, 0.0, 0.0])
            sums[0] += 1.0
            sums[1] += seconds
            if asked > 0.0:
                sums[2] += 1.0
                sums[3] += seconds / asked
            self.cores += cores
            self.core_seconds += cores * seconds
        return ended

    def expected(self, view: View) -> float:
        """Return the seconds that the view's job is expected to run on a core of mean speed."""
        n, seconds, shares, share = self.sums.get(view.kind, (0.0, 0.0, 0.0, 0.0))
        asked = view.estimate
        if asked > 0.0:
            return asked * share / shares if shares else asked
        return seconds / n if n else self.mean

    @property
    def mean(self) -> float:
        """Mean seconds of a core of all that ended."""
        return self.core_seconds / self.cores if self.cores else self.prior

    def slow(self, view: View) -> Floats:
        """Return how many times as long as on the mean core the view's job runs at each site."""
        return self._slowness(view) if view.scales else np.ones(len(view.names))

    def _slowness(self, view: View) -> Floats:
        if not len(self._slow):
            self._slow = slowness(view.speed)
        return self._slow


@dataclass(frozen=True)
class Times:
    """What a job may take at each site, s; a closed site is ready 1e18 s later."""

    ready: Floats
    """Until it gets its cores."""
    fetch: Floats
    """Until its inputs are there: what `View.fetch_seconds` says, which knows of no other."""
    run: Floats

    @property
    def completion(self) -> Floats:
        """Until it ends: ready + fetch + run."""
        return self.ready + self.fetch + self.run


def slowness(speed: Floats) -> Floats:
    """Return how many times as long as on the mean core of the grid a job runs at each site."""
    known = np.isfinite(speed) & (speed > 0.0)
    slow = np.ones(len(speed))
    slow[known] = speed[known].mean() / speed[known] if known.any() else 1.0
    return slow


def _ready(free, queued, held, size, share, slow, cores, mean, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for s in range(len(out)):
        out[s] = 0.0
        if queued[s] > 0 or free[s] < cores:
            lacking = max(held[s] - size[s] + cores, 1)  # those that wait, and its own, less free
            out[s] = mean * slow[s] * lacking / max(size[s] * share[s], 1e-9)
        if share[s] <= 0.0:
            out[s] = out[s] % _AWAY + _AWAY


_ready_all: Any = compiled(_ready)


def ready_seconds(view: View, history: History) -> Floats:
    """Return how long the view's job would wait at each site, about.

    0 where nobody queues and it has room. Else until as many cores are given back as jobs before it
    wait for, and as it needs itself beside those free: a site gives back all of its cores in
    `History.mean` seconds, times its slowness.
    """
    slow = history.slow(view)
    out = np.empty(len(slow))
    _ready_all(
        view.free,
        view.queued,
        view.held,
        view.size,
        view.open,
        slow,
        view.cores,
        history.mean,
        out,
    )
    return out


def times_of(view: View, history: History) -> Times:
    """Return what the view's job may take at each site."""
    run = history.expected(view) * history.slow(view)
    return Times(ready_seconds(view, history), view.fetch_seconds(), run)


def candidates(view: View) -> Mask:
    """Return the sites that a broker chooses from: the job fits them.

    Without those that are closed and, for a retry, that of the attempt before, unless no others
    are left.
    """
    fits = view.fits()
    good = fits & (view.open > 0.0)
    if view.attempt > 0 and view.last >= 0:
        good[view.last] = False
    return good if good.any() else fits


def least(values: Floats, among: Mask) -> int | None:
    """Return the first of the sites with the least value among some; None if there are none."""
    at = np.flatnonzero(among)
    return int(at[values[at].argmin()]) if len(at) else None
