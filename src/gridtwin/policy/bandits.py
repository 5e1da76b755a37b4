"""Brokers that learn from how soon jobs ended: UCB1 and LinUCB.

The reward of a job is -log of the hours from its submission to its end; a failed attempt counts as
one that took `PENALTY` seconds, if it took less. Nothing is known of a job before it has ended
(`View.ended`), so that rewards come late, and those of long jobs latest.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.estimates import History, candidates, times_of
from gridtwin.sim.brokers import Brokering, register_broker
from gridtwin.sim.view import View

__all__ = ["FEATURES", "PENALTY", "UCB1", "LinUCB", "bounds", "reward"]

Floats = NDArray[np.float64]

PENALTY = 86400.0
"""What a failed attempt is taken to have lasted at least, s."""
FEATURES = ("one", "log completion", "log fetch", "log run", "data at hand", "failed")
"""What LinUCB looks at: of a job at a site; logs of hours (fetch and run: of one more), the share
of the input that is there, the share of the site's jobs that failed, of those that have ended and
one more."""
_HOUR = 3600.0
_LEAST, _MOST = 1.0, 1e8
_BELIEF = np.array([0.0, -1.0, 0.0, 0.0, 0.0, 0.0])


def reward(seconds: float, *, finished: bool) -> float:
    """Return -log of the hours that an attempt took from submission to end, at least a second."""
    took = max(seconds, _LEAST if finished else PENALTY)
    return -math.log(took / _HOUR)


class UCB1:
    """Send a job to the site with the largest upper bound of the mean reward.

    Auer et al., Machine Learning 2002: mean + c sqrt(2 ln t / n), where c stands for the range of
    rewards; the default is that of turnarounds from a minute to 30 days. Jobs sent to a site count
    in n and t at once, those that have ended in the mean: where much is under way, less is tried.
    Sites of which nothing is known yet come first, those with the fewest jobs before the others.
    """

    def __init__(self, c: float = 10.7) -> None:
        if not c >= 0.0:
            raise InputError(f"UCB1: c is {c}; expected 0 or more")
        self.c = c
        self.mine: set[int] = set()
        self.sent = self.ended = self.total = np.zeros(0)

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        if not len(self.sent):
            self.sent, self.ended, self.total = np.zeros((3, len(view.names)))
        for row in view.ended():
            if int(row["job"]) in self.mine:
                self.mine.discard(int(row["job"]))
                self.learn(int(row["site"]), _reward_of(row))
        at = np.flatnonzero(candidates(view))
        if not len(at):
            return None
        site = int(at[self.bounds()[at].argmax()])
        self.mine.add(view.job)
        self.sent[site] += 1.0
        return site

    def learn(self, site: int, worth: float) -> None:
        """Take note of a reward."""
        self.ended[site] += 1.0
        self.total[site] += worth

    def bounds(self) -> Floats:
        """Return the sites' upper bounds."""
        known = self.ended > 0.0
        wide = self.c * np.sqrt(
            2.0 * np.log(max(self.sent.sum(), 1.0)) / np.maximum(self.sent, 1.0)
        )
        bound = np.divide(self.total, self.ended, out=np.zeros(len(known)), where=known) + wide
        return np.where(known, bound, 1e18 - 1e9 * self.sent)


class LinUCB:
    """Send a job to the site with the largest upper bound of a linear model of the reward.

    Li et al., WWW 2010, with one model for all sites: theta = A^-1 b, A = I + sum x x', b = b0 +
    sum r x, bound = theta x + alpha sqrt(x' C^-1 x), over the `FEATURES` x of the job at each site.
    A and b are sums over the jobs that have ended, C = I + sum x x' over all that were sent: what
    is under way is not tried again because its reward is late. b0 is the belief that a job takes as
    long as it is expected to (`estimates.Times`): without, the first rewards are those of short
    jobs and short queues, and from them it learns that queues do no harm.
    """

    def __init__(self, alpha: float = 0.5) -> None:
        if not alpha >= 0.0:
            raise InputError(f"LinUCB: alpha is {alpha}; expected 0 or more")
        self.alpha = alpha
        self.known = np.eye(len(FEATURES))
        """A^-1."""
        self.tried = np.eye(len(FEATURES))
        """C^-1."""
        self.b = _BELIEF.copy()
        self.seen: dict[int, Floats] = {}
        self.failed = self.ended = np.zeros(0)
        self.history = History()

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        if not len(self.ended):
            self.failed, self.ended = np.zeros((2, len(view.names)))
        for row in self.history.learn(view):
            x = self.seen.pop(int(row["job"]), None)
            if x is not None:
                self.learn(x, _reward_of(row))
                self.ended[row["site"]] += 1.0
                self.failed[row["site"]] += not row["finished"]
        at = np.flatnonzero(candidates(view))
        if not len(at):
            return None
        x = self.features(view)[at]
        theta = self.known @ self.b
        best = int(bounds(x, theta, self.tried, self.alpha).argmax())
        _add(self.tried, x[best])
        self.history.sent(view)
        self.seen[view.job] = x[best].copy()
        return int(at[best])

    def learn(self, x: Floats, worth: float) -> None:
        """Take note of a reward."""
        _add(self.known, x)
        self.b += worth * x

    def features(self, view: View) -> Floats:
        """Return the `FEATURES` of the view's job at each site, shape (sites, features)."""
        times = times_of(view, self.history)
        x = np.empty((len(view.names), len(FEATURES)))
        x[:, 0] = 1.0
        x[:, 1] = np.log(np.clip(times.completion, _LEAST, _MOST) / _HOUR)
        for k, seconds in enumerate((times.fetch, times.run), start=2):
            x[:, k] = np.log1p(np.minimum(seconds, _MOST) / _HOUR)
        total = float(view.input_bytes.sum())
        x[:, 4] = view.local_bytes() / total if total > 0.0 else 1.0
        x[:, 5] = self.failed / (self.ended + 1.0)
        return x


def bounds(x: Floats, theta: Floats, inverse: Floats, alpha: float) -> Floats:
    """Return LinUCB's upper bounds of rows of features."""
    spread = ((x @ inverse) * x).sum(axis=1)
    return np.asarray(x @ theta + alpha * np.sqrt(np.maximum(spread, 0.0)))


def _add(inverse: Floats, x: Floats) -> None:
    """Add x x' to the matrix whose inverse is given (Sherman and Morrison)."""
    ax = inverse @ x
    inverse -= np.outer(ax, ax) / (1.0 + x @ ax)


def _reward_of(row: Any) -> float:  # noqa: ANN401 - a record of ENDED
    return reward(float(row["end"] - row["ready"]), finished=bool(row["finished"]))


register_broker(
    Brokering(
        "ucb1",
        "the largest upper bound of -log turnaround",
        lambda _: UCB1(),
        "Auer et al., Machine Learning 2002",
    )
)
register_broker(
    Brokering(
        "linucb",
        "the same by a linear model of the job at the site",
        lambda _: LinUCB(),
        "Li et al., WWW 2010",
    )
)
