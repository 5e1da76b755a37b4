"""What the jobs of a task of the PanDA-like example share: queues, load, faults, ends.

One entry, or one row, per task. Laws and rates are our estimates.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.trace import tables
from gridtwin.trace.examples import _panda_errors as errors
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_world import HOUR, World

__all__ = ["CODE", "LONGEST_RUN", "NEVER", "Setting", "make_setting"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 1e12
LONGEST_RUN = 96 * HOUR
CODE = {code: i for i, code in enumerate(errors.CODES)}
_SCOUTS = 10
_HAZARD = {"memory": 0.28, "input": 0.0175, "output": 0.0085}
"""Scales of the causes, set so that about 14 of 100 jobs fail, with codes in their shares."""


@dataclass(frozen=True)
class Setting:
    """What the jobs of each task share; arrays with one entry, or one row, per task."""

    task: Ints
    scouts: Ints
    release: Floats
    """When the jobs after the scouts come."""
    slots: Ints
    """Queues that the task may use, (tasks, 6): three near its data, three anywhere."""
    share: Floats
    """Cumulative probability of each, (tasks, 6)."""
    median: Floats
    spread: Floats
    mood: Floats
    """Law of the queue time at each, (tasks, 6): ln median, sigma, and what its jobs share."""
    efficiency: Floats
    limit: Floats
    hazard: Floats
    """Of a task's own fault, memory, input and output, (tasks, 4)."""
    codes: tuple[Ints, Ints]
    cancel: Floats
    """When the rest of the task is cancelled."""
    close: Floats
    """When queued jobs of the task are closed at once."""
    closes: Floats
    """The share of them that is."""
    close_slot: Ints
    """At which queue; -1: at all."""
    close_code: Ints
    close_substatus: Ints


def make_setting(world: World, plan: Plan, task: Ints, rng: np.random.Generator) -> Setting:
    """Draw what the jobs of each of these tasks share."""
    tasks, n = plan.tasks, len(task)
    jobs = tasks.jobs[task]
    release = tasks.time[task] + rng.uniform(0.5, 1.5, n) * HOUR
    slots, share = _slots(world, plan, task, rng)
    median, spread, mood = _waiting(n, rng)
    cores, level = tasks.cores[task], tasks.level[task]
    efficiency = rng.beta(6, 2.2, n)
    usual = np.exp(level) / (11 * cores * np.maximum(efficiency, 0.2))
    limit = np.clip(np.ceil(8 * usual / 600) * 600, HOUR, LONGEST_RUN)
    gamma = rng.gamma(0.3, 1 / 0.3, (n, 2))
    lacks = np.clip(tasks.memory[task] / 1800 - 0.9, 0, 1.5)
    hazard = np.column_stack(
        [
            tasks.fault[task],
            lacks * _HAZARD["memory"],
            gamma[:, 0] * _HAZARD["input"],
            gamma[:, 1] * _HAZARD["output"],
        ]
    )
    sent = release + jobs / 40
    cancelled = rng.random(n) < 0.042
    cancel = np.floor(sent + rng.lognormal(np.log(1.5 * HOUR), 1.2, n))
    close = _closing(sent, share, rng)
    return Setting(
        task=task,
        scouts=np.minimum(jobs, _SCOUTS),
        release=release,
        slots=slots,
        share=share,
        median=median,
        spread=spread,
        mood=mood,
        efficiency=efficiency,
        limit=limit,
        hazard=hazard,
        codes=errors.task_codes(n, rng),
        cancel=np.where(cancelled, cancel, NEVER),
        **close,
    )


def _slots(world: World, plan: Plan, task: Ints, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Return the queues that each task may use and their cumulative probabilities.

    Near its data by the queues' size and luck (the brokerage's weights of the hour), and about
    15 of 100 jobs elsewhere.
    """
    n = len(task)
    replicas = plan.replicas[plan.tasks.dataset[task]]
    # the queues of each site, as often as they are used: a table to pick from
    picks = np.stack(
        [
            rng.choice(
                np.flatnonzero(world.site_of == s),
                64,
                p=world.weight[world.site_of == s] / world.weight[world.site_of == s].sum(),
            )
            for s in range(len(world.sites))
        ]
    )
    near = picks[np.maximum(replicas, 0), rng.integers(0, 64, replicas.shape)]
    away = rng.choice(len(world.queues), (n, 3), p=world.weight)
    weight = world.weight[near] * rng.lognormal(0, 0.8, near.shape) * (replicas >= 0)
    weight /= weight.sum(axis=1, keepdims=True)
    far = rng.beta(0.9, 9.0, n)[:, None]
    rest = rng.dirichlet((1.0, 1.0, 1.0), n)
    share = np.concatenate([weight * (1 - far), rest * far], axis=1)
    return np.concatenate([near, away], axis=1), np.cumsum(share, axis=1)


def _waiting(n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw the law of the queue time of each task at each of its queues."""
    mix = np.array(tables.generator_params()["queue_time_s"]["mix"])
    part = rng.choice(len(mix), (n, 6), p=mix[:, 0])
    return np.log(mix[part, 1]), mix[part, 2], rng.standard_normal((n, 6))


def _closing(sent: Floats, share: Floats, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw bursts in which queued jobs of a task are closed: rebrokered, task done, expired."""
    n = len(sent)
    luck = rng.random(n)
    kind = np.select([luck < 0.145, luck < 0.22, luck < 0.235], [1, 2, 3], 0)
    delay = np.where(kind == 3, rng.uniform(2, 6, n) * 86400, rng.lognormal(np.log(9e3), 1.0, n))
    slot = (rng.random(n)[:, None] > share).sum(axis=1).clip(0, 5)
    fast = np.where(rng.random(n) < 0.7, CODE["taskbuffer:130"], CODE["taskbuffer:105"])
    code = np.choose(kind, [np.full(n, -1), fast, CODE["taskbuffer:100"], CODE["taskbuffer:102"]])
    return {
        "close": np.where(kind > 0, np.floor(sent + delay), NEVER),
        "closes": rng.uniform(0.3, 1.0, n),
        "close_slot": np.where(kind == 1, slot, -1),
        "close_code": code,
        "close_substatus": kind,
    }
