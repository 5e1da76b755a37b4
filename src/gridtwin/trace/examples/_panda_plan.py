"""Who sends which tasks when: users, their sessions, and tasks that read one data set each.

A few arrays with one entry per task: 150 days have some 20,000.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from gridtwin.trace import tables
from gridtwin.trace.examples import _panda_names as names
from gridtwin.trace.examples._panda_world import DAY, HOUR, World

__all__ = ["MOST_FILES", "Plan", "make_plan"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_FILES = 30_000
"""A data set has at most this many files."""
_AGAIN = 1.14
"""Jobs per first attempt: retries and jobs made again elsewhere come on top."""
_FAULT = (0.05, 0.95)
"""Beta law of a task's own faults: nearly none in most tasks, nearly all jobs in some."""
_SLOTS = 3
"""Sites with replicas of a data set, at most; and sites without, that a task may use."""


@dataclass(frozen=True)
class Tasks:
    """One entry per task, in order of `time`."""

    time: Floats
    """When the task came, s from the start."""
    user: Ints
    jobs: Ints
    """First attempts."""
    files_per_job: Ints
    dataset: Ints
    cores: Ints
    level: Floats
    """Mean ln(work) of its jobs; work in HS23 s."""
    fault: Floats
    """Probability that a job fails for the task's own fault (code, set-up)."""
    memory: Floats
    """MB per core that its jobs need."""
    tape: NDArray[np.bool_]
    """Whether its input is on tape only."""
    group: Ints
    """Physics group it is sent for; -1: none."""
    outputs: Ints
    sent_before: Floats
    """Jobs that the user sent in the 24 h before the task."""


@dataclass(frozen=True)
class Plan:
    """The tasks of the whole window and the data sets that they read."""

    tasks: Tasks
    catalogue: names.Catalogue
    names: pl.Series
    """Name of each data set."""
    files: Ints
    """Files of each data set."""
    file_bytes: Floats
    """Median size of a file of each data set."""
    replicas: Ints
    """Sites with a replica on disk, (data sets, 3); -1: none."""
    tape_site: Ints
    """Site with the copy on tape."""
    made: Floats
    """When each data set came to be, s from the start."""


def make_plan(world: World, weights: Floats, wanted: float, rng: np.random.Generator) -> Plan:
    """Draw sessions, tasks and data sets for about `wanted` jobs, retries and all.

    `weights` says how many sessions each day has, relative to the mean.
    """
    params = tables.generator_params()
    first_attempts = wanted / _AGAIN
    largest = int(np.clip(0.12 * wanted, 1, min(params["jobs_per_task"]["max"], 1 + wanted / 6)))
    sessions = _sessions(world, weights, first_attempts, largest, rng)
    drafted = _tasks(sessions, largest, rng)
    catalogue, dataset, files = _datasets(sessions, drafted, rng)
    per_job = np.maximum(drafted["files_per_job"], -(-files[dataset] // largest))
    drafted["dataset"], drafted["files_per_job"] = dataset, per_job
    drafted["jobs"] = -(-files[dataset] // per_job)
    kept = _fill(drafted["session"], drafted["jobs"], int(first_attempts), rng)
    order = kept[np.argsort(drafted["time"][kept], kind="stable")]
    order = order[drafted["time"][order] < world.days * DAY]
    drafted = {key: values[order] for key, values in drafted.items()}
    drafted["sent_before"] = _sent_before(drafted["user"], drafted["time"], drafted["jobs"])
    tasks = Tasks(**{f.name: drafted[f.name] for f in fields(Tasks)})
    return _with_replicas(world, tasks, catalogue, files, rng)


def _sessions(
    world: World, weights: Floats, first_attempts: float, largest: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw a third more sessions than needed: who, when, what kind of data, what kind of work."""
    params = tables.generator_params()
    size = params["jobs_per_task"]
    mean_jobs = np.minimum(
        size["median"] * np.exp(size["sigma"] * np.random.default_rng(1).standard_normal(20_000)),
        largest,
    ).mean()
    n = int(1.35 * first_attempts / mean_jobs / 5) + 3
    users = params["users"]
    popular = 1 / np.arange(1, users["n"] + 1) ** users["zipf_s"]
    user = rng.choice(users["n"], n, p=popular / popular.sum())
    day = rng.choice(world.days, n, p=weights / weights.sum())
    time = np.sort(day * DAY + _hours(n, rng) * HOUR)
    # a user has habits: 7 of 10 sessions read one of a few kinds that the user likes
    shares = np.array(list(names.PROJECTS.values()))
    own_projects = rng.choice(len(shares), (users["n"], 3), p=shares / shares.sum())
    types = names.datatype_shares()
    own_types = rng.choice(len(types), (users["n"], 2), p=types)
    habit = rng.random(n) < 0.7
    project = np.where(
        habit,
        own_projects[user, rng.integers(0, 3, n)],
        rng.choice(len(shares), n, p=shares / shares.sum()),
    )
    datatype = np.where(
        habit, own_types[user, rng.integers(0, 2, n)], rng.choice(len(types), n, p=types)
    )
    simulated = np.array([not name.startswith("data") for name in names.PROJECTS])[project]
    luck = rng.random(n)
    step = np.where(
        simulated,
        np.select([luck < 0.93, luck < 0.97], [0, 2], 3),
        np.select([luck < 0.75, luck < 0.95, luck < 0.985], [0, 1, 2], 3),
    )
    return {
        "user": user,
        "time": time,
        "project": project,
        "datatype": datatype,
        "step": step,
        "epoch": names.renewals(time / DAY, rng.random(n)),
        # kinds of work: skimming, ordinary, heavy
        "work": rng.choice([-1.0, 0.0, 1.0], n, p=[0.30, 0.42, 0.28]) * 2.3
        + 0.35 * rng.standard_normal(n),
        "size": _centred(users["n"], rng)[user] * 0.55 + 0.4 * rng.standard_normal(n),
        "fault": rng.beta(*_FAULT, n),
        "memory": rng.lognormal(np.log(850), 0.45, n),
        "group": np.where(rng.random(n) < 0.08, user % 6, -1),
        "outputs": 1 + rng.poisson(1.2, n),
        "tape": rng.random(n) < 0.01,
        "again": rng.random(n),
    }


def _centred(n: int, rng: np.random.Generator) -> Floats:
    """Return standard normal numbers, the heavy users' (the first) drawn towards 0."""
    calm = np.minimum(1.0, np.arange(1, n + 1) / 30)
    return np.asarray(rng.standard_normal(n) * calm)


def _hours(n: int, rng: np.random.Generator) -> Floats:
    """Draw hours of the day, UTC: the density is 1 + 0.45 cos, highest at 14."""
    grid = np.linspace(0, 24, 1441)
    turn = 2 * np.pi / 24
    passed = grid + 0.45 / turn * (np.sin((grid - 14) * turn) + np.sin(14 * turn))
    return np.asarray(np.interp(rng.random(n) * passed[-1], passed, grid))


def _tasks(
    sessions: dict[str, NDArray[Any]], largest: int, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Draw the tasks of the sessions: sisters that differ little."""
    params = tables.generator_params()
    length = np.minimum(rng.geometric(1 / 5, len(sessions["time"])), 60)
    session = np.repeat(np.arange(len(length)), length)
    n = len(session)
    first = np.cumsum(length) - length
    gap = rng.lognormal(np.log(40), 1.2, n)
    gap[first] = 0
    since = np.cumsum(gap)
    time = sessions["time"][session] + since - since[first][session]
    size, work = params["jobs_per_task"], params["workload"]
    log_jobs = np.log(size["median"]) + sessions["size"][session] + 1.55 * rng.standard_normal(n)
    jobs = np.clip(np.rint(np.exp(log_jobs)), 1, largest).astype(np.int64)
    # few files per job where there are many jobs: a data set has its limit
    luck = rng.random(n)
    per_job = np.where(luck < 0.4, 1, 1 + rng.geometric(1 / 6, n))
    per_job = np.clip(per_job, 1, np.clip(MOST_FILES // jobs, 1, 200))
    kind = sessions["work"][session] + 0.35 * rng.standard_normal(n)
    heavy = kind / 1.85
    cores = np.where(rng.random(n) < ndtr((heavy - 1.35) / 0.9), 8, 1)
    odd = rng.random(n) < 0.03
    cores = np.where(odd, rng.choice([2, 4, 16], n, p=[0.3, 0.6, 0.1]), cores)
    shared = rng.random(n) < 0.6
    fault = np.where(shared, sessions["fault"][session], rng.beta(*_FAULT, n))
    return {
        "session": session,
        "time": np.floor(time),
        "user": sessions["user"][session],
        "jobs": jobs,
        "files_per_job": per_job,
        "cores": cores,
        "level": work["ln_mean"] + 0.2 + kind,
        "fault": fault,
        "memory": sessions["memory"][session] * rng.lognormal(0, 0.15, n),
        "tape": sessions["tape"][session],
        "group": sessions["group"][session],
        "outputs": sessions["outputs"][session],
    }


def _datasets(
    sessions: dict[str, NDArray[Any]],
    tasks: dict[str, NDArray[Any]],
    rng: np.random.Generator,
) -> tuple[names.Catalogue, Ints, Ints]:
    """Give each task a data set: sister samples, those of the user's session before, or popular.

    Popular ones are those of a task before, any with the same chance: what is used much is used
    more. Returns the catalogue, each task's data set and each data set's files.
    """
    catalogue = names.Catalogue.empty()
    files: list[int] = []
    chosen = np.empty(len(tasks["time"]), dtype=np.int64)
    per_job = np.asarray(tasks["files_per_job"])
    wanted = (np.asarray(tasks["jobs"]) * per_job - (rng.random(len(chosen)) * per_job)).astype(int)
    wanted = np.clip(wanted, 1, MOST_FILES)
    start = rng.integers(0, 900_000, len(sessions["time"]))
    again, luck = np.asarray(sessions["again"]), rng.random(len(chosen))
    before: dict[int, list[int]] = {}
    bounds = np.searchsorted(tasks["session"], np.arange(len(again) + 1))
    kinds = np.column_stack([sessions[key] for key in names.KIND]).tolist()
    users = np.asarray(sessions["user"]).tolist()
    for s, kind in enumerate(kinds):
        old: list[int] = []
        if again[s] < 0.55:
            old = before.get(users[s], [])
        elif again[s] < 0.8:
            other = int(luck[bounds[s]] * bounds[s])
            old = chosen[other : min(other + 8, int(bounds[s]))].tolist()
        repeat = [d for d in old if catalogue.epoch[d] == kind[3]]
        mine = []
        for i, t in enumerate(range(bounds[s], bounds[s + 1])):
            if i < len(repeat) and luck[t] < 0.95:
                dataset = int(repeat[i])
            else:
                dataset = catalogue.add(kind, int(start[s]) + i)
            if dataset == len(files):
                files.append(int(wanted[t]))
            chosen[t] = dataset
            mine.append(dataset)
        before[users[s]] = mine
    sizes = np.array(files, dtype=np.int64)
    return catalogue, chosen, sizes


def _fill(session: NDArray[Any], jobs: Ints, wanted: int, rng: np.random.Generator) -> Ints:
    """Return the tasks of sessions, taken at random, that fit into the wanted number of jobs."""
    session = np.asarray(session).astype(np.int64)
    total = np.bincount(session, jobs).astype(np.int64)
    taken = np.zeros(len(total), dtype=bool)
    left = max(wanted, 1)
    for s in rng.permutation(len(total)).tolist():
        if total[s] <= left:
            taken[s] = True
            left -= int(total[s])
    if not taken.any():
        return np.array([int(np.argmin(jobs))])
    return np.flatnonzero(taken[session])


def _sent_before(user: Ints, time: Floats, jobs: Ints) -> Floats:
    """Return how many jobs the user of each task sent in the 24 h before it."""
    order = np.lexsort((time, user))
    key = user[order] * 1e10 + time[order]
    passed = np.concatenate([[0], np.cumsum(jobs[order])])
    low = np.searchsorted(key, np.maximum(key - DAY, user[order] * 1e10))
    out = np.empty(len(user))
    out[order] = passed[:-1] - passed[low]
    return out


def _with_replicas(
    world: World,
    tasks: Tasks,
    catalogue: names.Catalogue,
    files: Ints,
    rng: np.random.Generator,
) -> Plan:
    """Place each data set at one to three sites, and say how large its files are."""
    params = tables.generator_params()
    n = len(catalogue)
    shares = params["replicas"]["disk"]
    count = rng.choice([int(k) for k in shares], n, p=list(shares.values()))
    sites = rng.choice(len(world.sites), (n, _SLOTS), p=world.disk)
    sites[:, 1][sites[:, 1] == sites[:, 0]] = -1
    sites[:, 2][(sites[:, 2] == sites[:, 0]) | (sites[:, 2] == sites[:, 1])] = -1
    sites[np.arange(_SLOTS) >= count[:, None]] = -1
    size = params["file_bytes"]
    made = np.full(n, np.inf)
    np.minimum.at(made, tasks.dataset, tasks.time)
    return Plan(
        tasks=tasks,
        catalogue=catalogue,
        names=pl.Series("dataset", catalogue.names),
        files=files,
        file_bytes=rng.lognormal(np.log(size["median"]), size["sigma"], n),
        replicas=sites,
        tape_site=rng.choice(world.tape, n),
        made=np.where(np.isfinite(made), made, 0.0) - rng.lognormal(np.log(20), 1, n) * DAY,
    )
