"""The jobs of some tasks of the PanDA-like example: sites, queue times, failures, retries.

All is done for the tasks of a few days at once, one attempt after the other, so that memory is
bounded by the largest such batch (some 100,000 jobs). Laws and rates are our estimates.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.trace import tables
from gridtwin.trace.examples import _panda_errors as errors
from gridtwin.trace.examples._panda_access import PLACED, direct, reads
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_setting import CODE, NEVER, Setting, make_setting
from gridtwin.trace.examples._panda_world import DAY, HOUR, World

__all__ = ["STATUS", "SUBSTATUS", "Batch", "make_batch"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]
"""Arrays with one entry per attempt; ``of`` is the place of its task in the `Setting`."""

STATUS = ("finished", "failed", "closed", "cancelled")
FINISHED, FAILED, CLOSED, CANCELLED = range(4)
SUBSTATUS = ("", "toreassign", "taskdone", "expired", "killed")
_LONGEST_WAIT = 7 * DAY
_RETRIES, _ROUNDS = 3, 6
_SITE_HAZARD = 0.027
_CAUSE = {name: i for i, name in enumerate(errors.CAUSES)}


@dataclass(frozen=True)
class Batch:
    """One entry per job, in order of submission; times in s from the start of the window."""

    id: Ints
    task: Ints
    part: Ints
    """Which part of its task's data set the job reads."""
    attempt: Ints
    parent: Ints
    """Id of the attempt before, -1 for none."""
    queue: Ints
    submit: Floats
    eligible: Floats
    """NaN where the job was closed before its input was in place."""
    start: Floats
    """NaN for jobs that never started."""
    end: Floats
    limit: Floats
    cpu: Floats
    """Core s."""
    memory: Floats
    """Used, MB."""
    files: Ints
    bytes: Ints
    remote: Ints
    """Bytes read from another site."""
    written: Floats
    """Bytes of output."""
    priority: Floats
    status: Ints
    substatus: Ints
    first: Ints
    """Place of the first error code, -1 for none."""
    second: Ints


def make_batch(
    world: World, plan: Plan, task: Ints, first_id: int, *, rng: np.random.Generator
) -> Batch:
    """Return all jobs of these tasks that are submitted within the window.

    They are numbered from `first_id` in order of submission.
    """
    setting = make_setting(world, plan, task, rng)
    todo = _first_attempts(plan, setting, rng)
    rounds: list[Columns] = []
    rows = 0
    for _ in range(_ROUNDS):
        late = np.minimum(setting.cancel[todo["of"]], world.days * DAY)
        todo = {key: values[todo["submit"] < late] for key, values in todo.items()}
        if rounds and not len(todo["of"]):
            break
        rounds.append(_attempt(world, plan, setting, todo, rng))
        todo = _again(setting, rounds[-1], rows, rng)
        rows += len(rounds[-1]["of"])
    whole = {key: np.concatenate([r[key] for r in rounds]) for key in rounds[0]}
    return _numbered(task, whole, first_id)


def _numbered(task: Ints, whole: Columns, first_id: int) -> Batch:
    """Order jobs by submission and number them."""
    order = np.argsort(whole["submit"], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = first_id + np.arange(len(order))
    parent = whole["parent"][order]
    known = parent >= 0
    parent[known] = place[parent[known]]
    names = [f.name for f in fields(Batch) if f.name not in ("id", "task", "parent")]
    rest = {name: whole[name][order] for name in names}
    return Batch(id=place[order], task=task[whole["of"][order]], parent=parent, **rest)


def _first_attempts(plan: Plan, setting: Setting, rng: np.random.Generator) -> Columns:
    """Return the scouts of each task and, 30-90 min later, its other jobs within seconds."""
    task = setting.task
    jobs = plan.tasks.jobs[task]
    of = np.repeat(np.arange(len(task)), jobs)
    part = np.arange(len(of)) - np.repeat(np.cumsum(jobs) - jobs, jobs)
    scout = part < setting.scouts[of]
    made = plan.tasks.time[task] + rng.uniform(60, 400, len(task))
    submit = np.where(scout, made[of] + 0.2 * part, setting.release[of] + part / 40)
    staged = rng.lognormal(np.log(6 * HOUR), 1.2, len(of))
    submit += np.where(plan.tasks.tape[task][of], np.minimum(staged, 6 * 86400), 0)
    return {
        "of": of,
        "part": part,
        "scout": scout,
        "slot": _pick(setting, of, rng),
        "attempt": np.zeros(len(of), dtype=np.int64),
        "parent": np.full(len(of), -1),
        "cause": np.full(len(of), -1),
        "submit": np.floor(submit + rng.random(len(of)) * 3),
    }


def _pick(setting: Setting, of: Ints, rng: np.random.Generator) -> Ints:
    luck = rng.random(len(of))
    return np.asarray((luck[:, None] > setting.share[of, :5]).sum(axis=1))


def _other(setting: Setting, of: Ints, slot: Ints, rng: np.random.Generator) -> Ints:
    """Return another queue of the task for three of four, any for the others."""
    new = _pick(setting, of, rng)
    stuck = (new == slot) & (rng.random(len(of)) < 0.75)
    return np.asarray(np.where(stuck, 3 + rng.integers(0, 3, len(of)), new))


def _attempt(
    world: World, plan: Plan, setting: Setting, todo: Columns, rng: np.random.Generator
) -> Columns:
    """Let attempts wait, run, fail or be stopped; return the columns of `Batch` and more."""
    queue = setting.slots[todo["of"], todo["slot"]]
    now = {**todo, "queue": queue, **_input(world, plan, setting.task[todo["of"]], todo, queue)}
    now |= _waits(world, plan, setting, now, rng)
    now |= _intended(world, plan, setting, now, rng)
    now |= _failures(world, setting, now, rng)
    now |= _ends(setting, now, rng)
    return now | _results(plan, setting, now, rng)


def _input(world: World, plan: Plan, task: Ints, todo: Columns, queue: Ints) -> Columns:
    """Sum up the input files of each job."""
    need = reads(world, plan, task, todo["part"], queue)
    n = len(task)
    moved = need.access >= PLACED
    return {
        "files": np.bincount(need.job, minlength=n),
        "bytes": np.bincount(need.job, need.bytes, n).astype(np.int64),
        "remote": np.bincount(need.job, need.bytes * need.remote, n).astype(np.int64),
        "moved": np.bincount(need.job, moved, n) > 0,
        "direct": direct(task, queue, np.bincount(need.job, need.remote, n) == 0),
    }


def _waits(
    world: World, plan: Plan, setting: Setting, now: Columns, rng: np.random.Generator
) -> Columns:
    """Draw queue times: of the task at the queue, of the site's hour, and of the job."""
    of, slot, submit = now["of"], now["slot"], now["submit"]
    n = len(of)
    hour = (submit // HOUR).astype(np.int64)
    load = world.load[world.site_of[now["queue"]], np.minimum(hour, world.load.shape[1] - 1)]
    deviation = 0.75 * setting.mood[of, slot] + 0.5 * load + 0.43 * rng.standard_normal(n)
    log = setting.median[of, slot] + setting.spread[of, slot] * deviation - 0.1
    log += 0.25 * (plan.tasks.cores[setting.task[of]] > 1) + 0.25 * (now["remote"] > 0)
    wait = np.exp(log - 1.0 * now["scout"])
    data = np.where(now["moved"], rng.lognormal(np.log(2400), 1.0, n), rng.uniform(15, 180, n))
    data = np.minimum(data, 2 * DAY)
    wait = np.floor(np.maximum(wait, data + rng.uniform(5, 60, n)))
    return {
        "load": load,
        "eligible": submit + np.floor(data),
        "begin": submit + wait,
        "expired": wait > _LONGEST_WAIT,
    }


def _intended(
    world: World, plan: Plan, setting: Setting, now: Columns, rng: np.random.Generator
) -> Columns:
    """Draw how long jobs would run, and how many core s of CPU time a second of that takes."""
    of = now["of"]
    task, n = setting.task[of], len(of)
    cores = plan.tasks.cores[task]
    part = now["files"] / plan.tasks.files_per_job[task]
    sd = tables.generator_params()["workload"]["within_task_sd"]
    work = np.exp(plan.tasks.level[task] + sd * rng.standard_normal(n)) * part
    speed = setting.efficiency[of] * rng.lognormal(0, 0.08, n)
    speed = np.where((now["remote"] > 0) & now["direct"], 0.85 * speed, speed)
    # rounding and turbo clocks make a few jobs seem to use more than all their cores
    most = np.where(rng.random(n) < 0.01, 1.08, 0.995)
    speed = np.clip(speed, 0.02, most) * cores
    setup = rng.uniform(40, 180, n)
    run = np.minimum(work / world.core_power[now["queue"]] / speed, 0.97 * setting.limit[of])
    return {"wanted": run + setup, "setup": setup, "speed": speed, "limit": setting.limit[of]}


def _failures(world: World, setting: Setting, now: Columns, rng: np.random.Generator) -> Columns:
    """Draw the cause of each failure (-1: none) and its codes."""
    of, n = now["of"], len(now["of"])
    site = world.site_of[now["queue"]]
    hazard = np.column_stack([setting.hazard[of], np.full(n, _SITE_HAZARD)])
    # what failed for its task's sake fails again, mostly
    same = now["cause"] == _CAUSE["task"]
    hazard[:, 0] = np.where(same, 0.68 + 0.32 * np.minimum(hazard[:, 0], 1), hazard[:, 0])
    faulty = world.failure[site]
    hazard[:, 2] *= faulty * np.where(now["remote"] > 0, 2.5, 1.0)
    hazard[:, 3] *= faulty
    hazard[:, 4] *= faulty * np.exp(0.35 * now["load"])
    passed = np.cumsum(hazard, axis=1)
    total = passed[:, -1]
    fails = rng.random(n) < np.minimum(total, 0.97)
    luck = rng.random(n) * total
    cause = np.where(fails, (luck[:, None] > passed[:, :4]).sum(axis=1), -1)
    cause = _struck(world, site, now, cause, rng)
    first, second = np.full(n, -1), np.full(n, -1)
    bad = np.flatnonzero(cause >= 0)
    own = (setting.codes[0][of[bad]], setting.codes[1][of[bad]])
    first[bad] = errors.failure_code(cause[bad], own, now["direct"][bad], rng)
    second[bad] = errors.second_code(first[bad], rng)
    return {"cause": cause, "first": first, "second": second}


def _struck(world: World, site: Ints, now: Columns, cause: Ints, rng: np.random.Generator) -> Ints:
    """Return the causes of failure with those of incidents at the start, or at the end."""
    incidents = world.incidents
    for time, share in ((now["begin"], 1.0), (now["begin"] + now["wanted"], 0.8)):
        at = incidents.at(site, time)
        hit = np.flatnonzero(at >= 0)
        hit = hit[rng.random(len(hit)) < share * incidents.severity[at[hit]]]
        kind = incidents.kind[at[hit]] + _CAUSE["storage"]
        if share < 1:  # outputs cannot be written
            kind = np.where(kind == _CAUSE["storage"], _CAUSE["output"], kind)
            hit, kind = hit[kind != _CAUSE["network"]], kind[kind != _CAUSE["network"]]
        free = cause[hit] < 0
        cause[hit[free]] = kind[free]
    return cause


def _ends(setting: Setting, now: Columns, rng: np.random.Generator) -> Columns:
    """Say when and how each attempt ends: by itself, closed while queued, or cancelled."""
    of, submit, n = now["of"], now["submit"], len(now["of"])
    failed = now["cause"] >= 0
    run = np.where(
        failed, errors.failed_run(now["first"], now["wanted"], now["limit"], rng), now["wanted"]
    )
    start = now["begin"].copy()
    end = start + np.floor(run)
    status = np.where(failed, FAILED, FINISHED)
    close, slot = setting.close[of], setting.close_slot[of]
    closed = (rng.random(n) < setting.closes[of]) & ((slot < 0) | (slot == now["slot"]))
    closed &= ~now["scout"] & (submit < close) & (now["parent"] < 0) & (close < NEVER)
    closed &= close < submit + _LONGEST_WAIT
    gone = closed | now["expired"]
    end = np.where(closed, close, np.where(now["expired"], submit + _LONGEST_WAIT, end))
    status = np.where(gone, CLOSED, status)
    substatus = np.where(closed, setting.close_substatus[of], np.where(gone, 3, 0))
    code = np.where(closed, setting.close_code[of], CODE["taskbuffer:102"])
    killed = end > setting.cancel[of]
    end = np.where(killed, setting.cancel[of], end)
    status = np.where(killed, CANCELLED, status)
    substatus = np.where(killed, 4, substatus)
    code = np.where(killed, CODE["taskbuffer:100"], code)
    start[gone | (killed & (start >= end))] = np.nan
    stopped = gone | killed
    return {
        "start": start,
        "end": end,
        "status": status,
        "substatus": substatus,
        "first": np.where(stopped, code, now["first"]),
        "second": np.where(stopped, -1, now["second"]),
        "eligible": np.where(now["eligible"] < end, now["eligible"], np.nan),
    }


def _results(plan: Plan, setting: Setting, now: Columns, rng: np.random.Generator) -> Columns:
    """Return CPU time, memory and output of each attempt, and its priority."""
    of, n = now["of"], len(now["of"])
    task = setting.task[of]
    cores = plan.tasks.cores[task]
    ran = np.nan_to_num(now["end"] - now["start"])
    busy = np.where(now["first"] == CODE["pilot:1150"], np.minimum(ran, now["wanted"]), ran)
    cpu = np.floor(np.maximum(busy - now["setup"], 0) * now["speed"])
    memory = plan.tasks.memory[task] * cores**0.8 * rng.lognormal(0, 0.1, n) + 200
    lacked = (now["cause"] == _CAUSE["memory"]) & (now["status"] == FAILED)
    memory = np.where(lacked, np.maximum(memory, 2200.0 * cores), memory)
    written = np.rint(plan.tasks.outputs[task] * rng.lognormal(np.log(7e7), 0.85, n))
    # a user's priority starts at 1000 and falls with what the user sent in the last 24 hours
    priority = 1000 - (plan.tasks.sent_before[task] + now["part"]) / 14
    return {
        "cpu": cpu,
        "memory": np.where(np.isnan(now["start"]), np.nan, np.rint(memory)),
        "written": np.where(now["status"] == FINISHED, written, 0.0),
        "priority": np.maximum(np.floor(priority), -2000.0),
    }


def _again(setting: Setting, done: Columns, rows: int, rng: np.random.Generator) -> Columns:
    """Return the attempts that follow: retries of failed jobs, and jobs closed to run elsewhere."""
    n = len(done["of"])
    luck = rng.random(n)
    retried = (done["status"] == FAILED) & (done["attempt"] < _RETRIES) & (luck < 0.6)
    moved = (done["status"] == CLOSED) & (done["substatus"] == 1) & (luck < 0.9)
    new = np.flatnonzero(retried | moved)
    pause = np.where(retried[new], rng.uniform(60, 1500, len(new)), rng.uniform(5, 90, len(new)))
    cause = np.where(retried[new], done["cause"][new], -1)
    return {
        "of": done["of"][new],
        "part": done["part"][new],
        "scout": np.zeros(len(new), dtype=bool),
        "slot": _other(setting, done["of"][new], done["slot"][new], rng),
        "attempt": done["attempt"][new] + retried[new],
        "parent": rows + new,
        "cause": cause,
        "submit": np.floor(done["end"][new] + pause),
    }
