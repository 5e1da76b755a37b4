"""The weights of PanDA's brokerage, factor by factor.

The formulas are those of the server's code of 2026 (AtlasProdJobBroker, AtlasAnalJobBroker,
GenJobBroker, AtlasProdTaskBroker), written from a description of them. Each function takes counts
of jobs by site and returns `Weights`; the brokers that draw by them are in
`gridtwin.policy.panda_brokerage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.sim.view import View

__all__ = [
    "RULES",
    "Counts",
    "Panda",
    "Weights",
    "analysis_weights",
    "generic_weights",
    "network_factor",
    "production_weights",
    "queue_length_weights",
    "task_weights",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RATES = ((200, 2.0), (100, 1.9), (75, 1.8), (50, 1.6), (20, 1.5), (10, 1.3), (2, 1.2), (1, 1.1))
_MB, _TB, _DAY = 1e6, 1e12, 86400.0


@dataclass(frozen=True)
class Panda:
    """The rules' parameters, with the values that the server has by default."""

    best: int = 10
    """Sites that are drawn from: those with the largest weights."""
    queue_floor: float = 20.0
    """Sites with more queued jobs than this and than `queue_ratio` times those running are left
    out."""
    queue_ratio: float = 2.0
    bootstrap_priority: float = 150.0
    """Sites without any job come first for jobs of at most this priority (production)."""
    nucleus_weight: float = 1.0
    """Factor of the nucleus; 4 for tasks with much input, 100 for urgent ones where it is set."""
    network: bool = False
    """Whether the link to the nucleus counts (production)."""
    queued_files: float = 150.0
    """Files queued on a link at which its queue counts no more."""
    closeness: float = 7.7
    """Of links that were never measured: 0 (near) to 11."""
    intensity: float = 200.0
    """kB of input for each core and second of run, from which on a job has to go to its data
    (analysis) and a task to its nucleus."""
    urgent: float = 2000.0
    """Priority from which on a job may run without its data at hand (analysis)."""
    bad_jobs: int = 5
    """A task leaves a site out with so many failures there, and twice as many as successes."""
    bad_window: float = 6 * 3600.0
    """s for which they count."""
    work_floor: float = 50.0
    """Core-days of work at a nucleus from which on it counts (task)."""
    work_always: bool = False
    """Whether less work counts as `work_floor`, as the documents say, not as 1, as in the code."""
    tape: float = 0.001
    """Factor of a nucleus whose input is on tape only (task)."""


RULES = Panda()
"""The parameters as the server has them."""


@dataclass(frozen=True)
class Counts:
    """Jobs by site; arrays of one entry per site. What is not given is 0."""

    running: Floats
    activated: Floats
    assigned: Floats
    starting: Floats | float = 0.0
    defined: Floats | float = 0.0
    batch: Floats | float = 0.0
    """Jobs that the site's batch system knows of."""
    slots: Floats | float = -1.0
    """Job slots that the site is said to have; -1: nothing is said."""

    @classmethod
    def of(cls, view: View) -> Self:
        """Count the jobs as a view shows them."""
        return cls(*(np.asarray(x, float) for x in (view.running, view.queued, view.coming)))

    @property
    def queued(self) -> Floats:
        """Jobs that wait: activated, assigned, starting."""
        return self.activated + self.assigned + self.starting


@dataclass(frozen=True)
class Weights:
    """The factors of each site and their product."""

    running: Floats
    """Jobs that count as running (production: see `production_weights`)."""
    queue: Floats
    """Running jobs over those that wait."""
    data: Floats
    nucleus: Floats
    network: Floats
    weight: Floats
    left_out: Mask
    """Sites with too many queued or failed jobs, or without the data."""

    def frame(self, names: Sequence[str]) -> pl.DataFrame:
        """Return a table: a row for each site, a column for each factor."""
        return pl.DataFrame(
            {"site": list(names)} | {f.name: getattr(self, f.name) for f in fields(self)}
        )


def _weights(
    running: Floats,
    queue: Floats,
    left_out: Mask,
    data: Floats | float = 1.0,
    nucleus: Floats | float = 1.0,
    network: Floats | float = 1.0,
) -> Weights:
    """Multiply the factors."""
    one = np.ones(len(queue))
    factors = (data * one, nucleus * one, network * one)
    return Weights(running, queue, *factors, queue * data * nucleus * network, left_out)


def _crowded(counts: Counts, running: Floats, rule: Panda) -> Mask:
    return counts.queued > np.maximum(rule.queue_floor, rule.queue_ratio * running)


def production_weights(
    counts: Counts,
    *,
    total: float,
    local: Floats,
    files_to_move: Floats | float = 0.0,
    nucleus: int = -1,
    network: Floats | float = 1.0,
    rule: Panda = RULES,
) -> Weights:
    """Return the weights of production jobs.

    The queue's factor is (R + 1) / (activated + assigned + starting + defined + 10) / m with
    m = min(max((assigned + 1) / (activated + 1), 1), 2); where all input is local, assigned is left
    out and m = 1. R is the number of running jobs: at least min(batch, 20), and the slots where
    those are given; where they are given as 0, starting + running. The data's factor is
    (total + local) / total / (files_to_move / 100 + 1).

    Parameters
    ----------
    total, local
        Bytes of the job's input, and those of them that each site has.
    files_to_move
        How many of the input files each site lacks.
    nucleus
        Index of the nucleus, -1 for none.
    network
        What `network_factor` says.
    """
    running = np.asarray(counts.running, float)
    slots = np.broadcast_to(counts.slots, running.shape)
    few = np.maximum(running, np.minimum(counts.batch, 20.0))
    held = np.maximum(np.where(running < 20.0, few, running), slots)
    held = np.where(slots == 0.0, np.maximum(held, counts.starting + running), held)
    waiting = counts.activated + counts.starting + counts.defined + 10.0
    many = np.clip((counts.assigned + 1.0) / (counts.activated + 1.0), 1.0, 2.0)
    there = local >= total
    queue = (held + 1.0) / np.where(there, waiting, (waiting + counts.assigned) * many)
    data = (total + local) / total / (files_to_move / 100.0 + 1.0) if total > 0.0 else 1.0
    special = np.ones(len(running))
    if nucleus >= 0:
        special[nucleus] = rule.nucleus_weight
    return _weights(held, queue, _crowded(counts, held, rule), data, special, network)


def network_factor(
    rate: Floats, files: Floats | float = 0.0, *, nucleus: int, rule: Panda = RULES
) -> Floats:
    """Return the factor of the link from each site to the nucleus, 2.5 for that itself.

    Half of 2 - files / `Panda.queued_files`, not below 0, half by the rate (bytes/s): 2 above 200
    MB/s down to 1 below 1 MB/s; where it is NaN, 1 + (11 - closeness) / 11.
    """
    by_rate = np.ones(len(rate))
    for mb, worth in reversed(_RATES):
        by_rate[rate > mb * _MB] = worth
    by_rate[np.isnan(rate)] = 1.0 + (11.0 - rule.closeness) / 11.0
    factor = 0.5 * np.maximum(2.0 - files / rule.queued_files, 0.0) + 0.5 * by_rate
    factor[nucleus] = 2.5
    return factor


def task_weights(
    work: Floats,
    *,
    total: float,
    local: Floats,
    intensity: float | None,
    free: Floats,
    capacity: Floats,
    tape: Mask | None = None,
    rule: Panda = RULES,
) -> Weights:
    """Return the weights of a task's nucleus: 1/work x local/total x free/capacity x free in TB.

    Parameters
    ----------
    work
        Core-days that a site still has to do; below `Panda.work_floor` it counts as 1, or as the
        floor with `Panda.work_always`.
    total, local, intensity
        Bytes of input, those that each site has, and kB for each core and second; the data count
        above `Panda.intensity`, and where it is None.
    free, capacity
        Bytes of each site's storage; inf: without a limit. Free counts up to 1,000 TB.
    tape
        Whether a site has the input on tape only.
    """
    floor = rule.work_floor if rule.work_always else 1.0
    queue = 1.0 / np.where(work >= rule.work_floor, work, floor)
    matters = total > 0.0 and (intensity is None or intensity > rule.intensity)
    data = local / total if matters else np.ones(len(work))
    if tape is not None:
        data = np.where(tape, rule.tape * data, data)
    limited = np.isfinite(capacity) & (capacity > 0.0)
    share = np.divide(free, capacity, out=np.ones(len(work)), where=limited)
    room = share * np.minimum(free / _TB, 1000.0)
    return _weights(work, queue, room <= 0.0, data, room)


def analysis_weights(
    counts: Counts,
    *,
    has_data: Mask,
    bad: Floats | float = 0.0,
    good: Floats | float = 0.0,
    rule: Panda = RULES,
) -> Weights:
    """Return the weights of users' jobs: (R + 1) / (activated + assigned + starting + defined + 1).

    Sites are left out without the data, with a queue too long, and with too many of the task's jobs
    failed or closed (`bad`) beside those finished (`good`).
    """
    running = np.asarray(counts.running, float)
    queue = (running + 1.0) / (counts.queued + counts.defined + 1.0)
    failing = np.asarray(bad) >= np.maximum(2.0 * np.asarray(good), rule.bad_jobs)
    return _weights(running, queue, ~has_data | failing | _crowded(counts, running, rule))


def queue_length_weights(
    counts: Counts,
    *,
    jobs: float,
    user_running: Floats | float,
    users: float,
    longest: Floats | float,
    site_class: Floats | float = 1.0,
    base: float = 5.0,
    ratio: float = 0.05,
) -> Floats:
    """Return the newer weights of users' jobs: by the room that a site's queue has for a user.

    W = site_class (L - Q - jobs / n) / (sum(L - Q) - jobs) over n sites, not below 0, with the most
    that may queue L = max(base, ratio R, longest max(user_running / R, 1 / users)). All are 0 where
    no site has room.
    """
    running = np.asarray(counts.running, float)
    share = np.divide(user_running, running, out=np.zeros(len(running)), where=running > 0.0)
    most = np.maximum.reduce(
        [
            np.full(len(running), base),
            ratio * running,
            longest * np.maximum(share, 1.0 / max(users, 1.0)),
        ]
    )
    room = most - counts.queued
    left = float(room.sum()) - jobs
    if left <= 0.0:
        return np.zeros(len(running))
    return np.asarray(np.maximum(site_class * (room - jobs / len(room)) / left, 0.0))


def generic_weights(counts: Counts) -> Weights:
    """Return the weights of other experiments' jobs: (R+1) / (activated+assigned+1) / (assigned+1).

    The site with the largest weight is taken, any of those that are equal.
    """
    running = np.asarray(counts.running, float)
    queue = (running + 1.0) / (counts.activated + counts.assigned + 1.0) / (counts.assigned + 1.0)
    return _weights(running, queue, np.zeros(len(running), bool))
