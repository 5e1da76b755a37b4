"""PanDA's brokerage: brokers that draw a site by the weights of `gridtwin.policy.panda_weights`.

A grid of ours knows less than PanDA does:

- activated are the jobs of a site's queue, assigned those on their way there, running those with
  cores; none is defined, starting or transferring, and a batch system's queue is not seen;
- weights are those of the moment each job is submitted, not of a cycle of many;
- where every site is left out, PanDA tries again later; here the rules that leave sites out are
  dropped, and the job goes by weight. Of the filters by hardware and software, those of `View.fits`
  are there. Jobs are not taken back from a queue, and nothing times out.
"""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.seeds import generator
from gridtwin.policy.brokerage import draw
from gridtwin.policy.estimates import History, candidates
from gridtwin.policy.panda_weights import (
    RULES,
    Counts,
    Panda,
    Weights,
    analysis_weights,
    generic_weights,
    network_factor,
    production_weights,
    task_weights,
)
from gridtwin.sim.brokers import Brokering, register_broker
from gridtwin.sim.view import View

__all__ = ["Analysis", "Generic", "Production", "Task", "draw_of"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_DAY = 86400.0


def draw_of(found: Weights, among: Mask, rule: Panda, rng: np.random.Generator) -> int | None:
    """Draw one of the best sites by weight; those left out only if there are no others."""
    if not among.any():
        return None
    good = among & ~found.left_out
    good = good if good.any() else among
    at = np.flatnonzero(good)
    best = at[np.argsort(-found.weight[at], kind="stable")[: rule.best]]
    weight = found.weight[best]
    if not weight.sum() > 0.0:
        return int(rng.choice(best))
    return int(best[draw(weight, rng)])


def _inputs(view: View) -> tuple[float, Floats]:
    """Return the bytes of the job's input, and those that each site has."""
    total = float(view.input_bytes.sum())
    return total, view.local_bytes() if total > 0.0 else np.zeros(len(view.names))


def _task(view: View) -> object:
    """Return what names the job's task; without tasks, the user."""
    task = view.field("task_id") if view.has_field("task_id") else None
    return view.user if task is None else task


class _Learner:
    """What the brokers that need run times have in common."""

    def __init__(self, rule: Panda = RULES, seed: int = 0) -> None:
        self.rule = rule
        self.rng = generator(seed)
        self.history = History()

    def intensity(self, view: View, total: float) -> float:
        """Return the kB of input for each core and second that the job is expected to run."""
        return total / 1000.0 / max(self.history.expected(view) * view.cores, 1.0)

    def learnt(self, view: View) -> NDArray[Any]:
        """Learn from what ended, take note of the view's job; return what ended."""
        ended = self.history.learn(view)
        self.history.sent(view)
        return ended


class Task(_Learner):
    """Send all jobs of a task to its nucleus, drawn by `task_weights` at the first of them.

    For a job that does not fit there, and when the nucleus is closed, another is drawn. Data that
    no site has do not count.
    """

    def __init__(self, rule: Panda = RULES, seed: int = 0) -> None:
        super().__init__(rule, seed)
        self.nuclei: dict[object, int] = {}

    def weights(self, view: View) -> Weights:
        """Return the weights of the sites as the nucleus of the job's task."""
        total, local = _inputs(view)
        free, capacity = view.storage()
        return task_weights(
            view.held * self.history.mean / _DAY,
            total=total if local.any() else 0.0,
            local=local,
            intensity=self.intensity(view, total),
            free=free,
            capacity=capacity,
            rule=self.rule,
        )

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        self.learnt(view)
        task, among = _task(view), candidates(view)
        nucleus = self.nuclei.get(task, -1)
        if nucleus < 0 or not among[nucleus]:
            found = draw_of(self.weights(view), among, self.rule, self.rng)
            if found is None:
                return None
            self.nuclei[task] = nucleus = found
        return nucleus


class Production:
    """Draw a site by `production_weights`; with `Panda.network`, beside a nucleus for each task."""

    def __init__(self, rule: Panda = RULES, seed: int = 0) -> None:
        self.rule = rule
        self.rng = generator(seed)
        self.task = Task(rule, seed + 1) if rule.network else None

    def weights(self, view: View, nucleus: int = -1) -> Weights:
        """Return the weights of the sites for the view's job."""
        total, local = _inputs(view)
        missing = np.zeros(len(local))
        if total > 0.0:
            missing = len(view.input_bytes) * (1.0 - local / total)
        network: Floats | float = 1.0
        if nucleus >= 0:
            rate = 1.0 / np.maximum(view.way(nucleus)[1], 1e-12)
            network = network_factor(rate, nucleus=nucleus, rule=self.rule)
        return production_weights(
            Counts.of(view),
            total=total,
            local=local,
            files_to_move=missing,
            nucleus=nucleus,
            network=network,
            rule=self.rule,
        )

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        nucleus = self.task(view) if self.task else None
        among = candidates(view)
        empty = np.flatnonzero(among & (view.held == 0))
        if len(empty) and view.priority <= self.rule.bootstrap_priority:
            return int(self.rng.choice(empty))
        weights = self.weights(view, -1 if nucleus is None else nucleus)
        return draw_of(weights, among, self.rule, self.rng)


class Analysis(_Learner):
    """Draw a site by `analysis_weights`: where the data are, and where the task's jobs succeed."""

    def __init__(self, rule: Panda = RULES, seed: int = 0) -> None:
        super().__init__(rule, seed)
        self.tasks: dict[int, object] = {}
        self.recent: deque[tuple[float, object, int, int]] = deque()
        self.known: dict[object, NDArray[np.int64]] = {}

    def weights(self, view: View) -> Weights:
        """Return the weights of the sites for the view's job."""
        total, local = _inputs(view)
        anywhere = view.priority >= self.rule.urgent or total <= 0.0
        anywhere = anywhere or self.intensity(view, total) < self.rule.intensity
        has_data = np.ones(len(local), bool) if anywhere else local >= total
        bad, good = self.known.get(_task(view), np.zeros((2, 1)))
        return analysis_weights(
            Counts.of(view), has_data=has_data, bad=bad, good=good, rule=self.rule
        )

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        self._count(view, self.learnt(view))
        self.tasks[view.job] = _task(view)
        return draw_of(self.weights(view), candidates(view), self.rule, self.rng)

    def _count(self, view: View, ended: NDArray[Any]) -> None:
        """Count the tasks' failures (0) and successes (1) by site, as long as they count."""
        for row in ended:
            task = self.tasks.pop(int(row["job"]), None)
            if task is not None:
                site, good = int(row["site"]), int(row["finished"])
                empty = np.zeros((2, len(view.names)), np.int64)
                self.known.setdefault(task, empty)[good, site] += 1
                self.recent.append((float(row["end"]), task, site, good))
        while self.recent and self.recent[0][0] < view.now - self.rule.bad_window:
            _, task, site, good = self.recent.popleft()
            self.known[task][good, site] -= 1
            if not self.known[task].any():
                del self.known[task]


class Generic:
    """Take the site with the largest of the `generic_weights`, any of equal ones."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = generator(seed)

    def __call__(self, view: View) -> int | None:
        """Choose the site of the view's job."""
        at = np.flatnonzero(candidates(view))
        if not len(at):
            return None
        weight = generic_weights(Counts.of(view)).weight[at]
        return int(self.rng.choice(at[weight == weight.max()]))


_SOURCE = "PanDA server, 2026"

for _broker in (
    Brokering(
        "panda_production",
        "drawn by running over waiting jobs and data at hand",
        lambda seed: Production(seed=seed),
        _SOURCE,
    ),
    Brokering(
        "panda_analysis",
        "at the data, drawn by running over waiting jobs",
        lambda seed: Analysis(seed=seed),
        _SOURCE,
    ),
    Brokering(
        "panda_task",
        "all of a task where its data are, drawn by work, data and free storage",
        lambda seed: Task(seed=seed),
        _SOURCE,
    ),
    Brokering(
        "panda_generic", "most running over waiting jobs", lambda seed: Generic(seed), _SOURCE
    ),
):
    register_broker(_broker)
