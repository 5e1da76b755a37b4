"""Which files a job of the PanDA-like example reads, how large they are, and from where.

A file is a number within its data set. Its size, its replicas and the way in which a queue reads
are functions of these numbers (a hash, no generator), so that every job and every frame agrees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_world import World

__all__ = ["Reads", "brought", "direct", "hashed", "reads"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LOCAL_COPY, LOCAL_DIRECT, REMOTE_COPY, REMOTE_DIRECT, CACHE, PLACED, TAPE = range(7)


@dataclass(frozen=True)
class Reads:
    """One entry per input file of each job, in the order of the jobs."""

    job: Ints
    """Place of the job among those asked about."""
    file: Ints
    """Number of the file in its data set, from 0."""
    bytes: Ints
    source: Ints
    """Site that it comes from."""
    access: Ints
    """Place in `ACCESS`."""
    remote: Bools
    """Read from another site than the job's."""


def hashed(*numbers: Ints | int) -> Floats:
    """Return a number in (0, 1) that depends on these whole numbers alone (splitmix64)."""
    with np.errstate(over="ignore"):
        state: NDArray[np.uint64] = np.array(0x9E3779B97F4A7C15, dtype=np.uint64)
        for number in numbers:
            state = state ^ np.asarray(number).astype(np.uint64)
            state = (state + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.asarray(((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def direct(task: Ints, queue: Ints, local: Bools) -> Bools:
    """Return whether the jobs of a task read directly at a queue, rather than copy first."""
    return np.asarray(hashed(task, queue, 11) < np.where(local, 0.45, 0.7))


def brought(task: Ints, queue: Ints) -> Bools:
    """Return whether what a task needs at a queue far from its data is brought there first."""
    return np.asarray(hashed(task, queue, 12) < 0.2)


def reads(world: World, plan: Plan, task: Ints, part: Ints, queue: Ints) -> Reads:
    """Return the input files of jobs: the `part`-th jobs of tasks, run at these queues."""
    tasks = plan.tasks
    dataset, per_job = tasks.dataset[task], tasks.files_per_job[task]
    first = part * per_job
    count = np.minimum(per_job, plan.files[dataset] - first)
    job = np.repeat(np.arange(len(task)), count)
    begins = np.cumsum(count) - count
    file = np.arange(len(job)) - begins[job] + first[job]
    of = dataset[job]
    size = np.rint(plan.file_bytes[of] * np.exp(0.1 * ndtri(hashed(of, file, 1)))).astype(np.int64)
    site = world.site_of[queue]
    near = (plan.replicas[dataset] == site[:, None]).any(axis=1)
    # three of a hundred replicas lack some of its files
    partial = hashed(dataset, site, 2) < 0.03
    held = np.where(near & partial, 0.6 + 0.35 * hashed(dataset, site, 3), 1.0 * near)
    there = hashed(of, file, site[job], 4) < held[job]
    source = np.where(there, site[job], _elsewhere(plan, dataset, site)[job])
    here, away = _access(world, plan, task, queue, near)
    access = np.where(there, here[job], away[job])
    tape = tasks.tape[task][job]
    access = np.where(tape, TAPE, access)
    source = np.where(tape, plan.tape_site[of], source)
    # the only replica on disk lacks the file, and the tape store is the job's own site's
    access = np.where((access == REMOTE_COPY) & (source == site[job]), LOCAL_COPY, access)
    access = np.where((access == REMOTE_DIRECT) & (source == site[job]), LOCAL_DIRECT, access)
    far = (access == REMOTE_COPY) | (access == REMOTE_DIRECT) | (access == CACHE)
    return Reads(job, file, size, source, access, far & (source != site[job]))


def _access(world: World, plan: Plan, task: Ints, queue: Ints, near: Bools) -> tuple[Ints, Ints]:
    """Return each job's access to files that are there, and to files that are not."""
    streams = direct(task, queue, near)
    cached = world.cached[queue]
    here = np.where(cached, CACHE, np.where(streams, LOCAL_DIRECT, LOCAL_COPY))
    away = np.where(streams, REMOTE_DIRECT, REMOTE_COPY)
    away = np.where(brought(task, queue) & ~near, PLACED, away)
    return here, np.where(cached, CACHE, away)


def _elsewhere(plan: Plan, dataset: Ints, site: Ints) -> Ints:
    """Return a site other than the job's that has the data: always the same for both.

    The tape store where the only disk replica is the job's own.
    """
    replicas = plan.replicas[dataset]
    other = (replicas >= 0) & (replicas != site[:, None])
    first = (hashed(dataset, site, 5) * np.maximum(other.sum(axis=1), 1)).astype(np.int64)
    ranked = np.cumsum(other, axis=1) - 1
    chosen = np.argmax(other & (ranked == first[:, None]), axis=1)
    found = replicas[np.arange(len(dataset)), chosen]
    return np.asarray(np.where(other.any(axis=1), found, plan.tape_site[dataset]))
