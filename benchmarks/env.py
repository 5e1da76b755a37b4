"""Measure environments: decisions per CPU second, beside a plain-Python environment.

Run ``python benchmarks/env.py [TRACE.swf] [--seconds S] [--json]``; without a trace, on the
embedded Lublin example. Sequences of 256 jobs, the whole window of 128 rows of 8 numbers and its
mask written at each step, rows chosen at random among those shown (the draw is counted), sequences
that end begin anew (counted, too). By semantics, backfilling and sequences at once: ``batched``,
the compiled call; ``vector`` and ``copied``, the environment of gymnasium, which returns views or
copies; ``scalar``, the environment of one sequence. Compiling is not counted.

``ppo`` is training: rounds of `gridtwin.policy.rl.ppo` with its default plan and clean semantics,
decisions learnt from per CPU second, playing, three passes and all.

``plain`` is `plain_env`, for RLScheduler's semantics; one sequence of it must show the same rows
and give the same start times, or this fails. Each case is measured three times in turn with the
others, and the median is told.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from gridtwin.policy.batch.stream import Stream, from_table, read_rlscheduler
from gridtwin.policy.rl import ppo
from gridtwin.policy.rl.batched import Batched
from gridtwin.policy.rl.envs import BatchScheduling, BatchSchedulingVector
from gridtwin.trace import examples

LENGTH, WINDOW = 256, 128
SIZES = (1, 8, 64, 256, 512)
ALMOST = 1.0 - 1e-5
Shown = tuple[np.ndarray, np.ndarray, int]


def plain_env(
    stream: Stream, first: int, backfill: str, start: list[float]
) -> Generator[Shown, int, float]:
    """Yield what is shown, its mask and its rows; take a row; return the mean bounded slowdown."""
    part = slice(first, first + LENGTH)
    submit, need, run, request = (
        values[part].tolist() for values in (stream.submit, stream.need, stream.run, stream.request)
    )
    users, user = int(stream.user.max()) + 1, stream.user[part].tolist()
    longest, cores = float(stream.run.max()), stream.cores
    now, free, arrived = submit[0], cores, 0
    queue: list[int] = []
    running: list[int] = []

    def one_event() -> None:
        nonlocal now, free, arrived
        running.sort(key=lambda j: start[j] + run[j])
        ends = start[running[0]] + run[running[0]] if running else math.inf
        if arrived < LENGTH and submit[arrived] <= ends:
            now = max(now, submit[arrived])
            queue.append(arrived)
            arrived += 1
        else:
            now = max(now, ends)
            free += need[running.pop(0)]

    def begin(j: int) -> None:
        nonlocal free
        start[j] = now
        free -= need[j]
        queue.remove(j)
        running.append(j)

    def reserved(head: int) -> float:
        running.sort(key=lambda j: start[j] + request[j])
        room, when = free, now
        for j in running:
            room += need[j]
            when = start[j] + request[j]
            if room >= need[head]:
                break
        return when

    def shown() -> Shown:
        rows = np.empty((WINDOW, 8), np.float32)
        rows[:] = (0, 1, 1, 1, 1, 1, 1, 0)
        mask = np.zeros(WINDOW, np.int8)
        queue.sort(key=lambda j: submit[j])
        for row, j in enumerate(queue[:WINDOW]):
            rows[row] = (
                min((now - submit[j]) / 43200, ALMOST),
                min(request[j] / longest, ALMOST),
                min(need[j] / cores, ALMOST),
                1,
                min(user[j] / users, ALMOST) if users > 1 else 1,
                1,
                1,
                ALMOST if need[j] <= free else 1e-5,
            )
            mask[row] = 1
        return rows, mask, min(len(queue), WINDOW)

    while queue or arrived < LENGTH:
        if not queue:
            one_event()
            continue
        row = yield shown()
        head = queue[row]
        when = reserved(head) if need[head] > free else now
        while need[head] > free:
            if backfill == "easy":
                queue.sort(key=lambda j: submit[j])
                for j in tuple(queue):
                    if need[j] <= free and now + request[j] < when:
                        begin(j)
            one_event()
        begin(head)
    slow = (max(1, (start[j] - submit[j] + run[j]) / max(run[j], 10)) for j in range(LENGTH))
    return sum(slow) / LENGTH


def agree(stream: Stream, backfill: str) -> None:
    """Fail unless the plain environment and the compiled one show and do the same."""
    batched = Batched(stream, 1, LENGTH, backfill=backfill, compat="rlscheduler")
    first, rng = len(stream) // 3, np.random.default_rng(0)
    start = [math.nan] * LENGTH
    plain = plain_env(stream, first, backfill, start)
    batched.reset(first)
    rows, mask, count = next(plain)
    try:
        while True:
            look = batched.look
            if count < WINDOW and not (
                np.allclose(rows, look.obs[0], atol=1e-6) and (mask == look.mask[0]).all()
            ):
                raise SystemExit(f"{backfill}: the plain environment shows something else")
            action = int(rng.integers(count)) if count < WINDOW else 0
            if count == WINDOW:  # of a full window both may show other jobs; take the oldest
                oldest = batched.machines.waiting(0)[0] + first
                batched.step(int(np.flatnonzero(batched.job_numbers(0) == oldest)[0]))
            else:
                batched.step(action)
            rows, mask, count = plain.send(action)
    except StopIteration as end:
        same = batched.starts(0).tolist() == start
        if not same or not math.isclose(end.value, batched.look.score[0]):
            raise SystemExit(f"{backfill}: the plain environment has other start times") from None


def rate(step: Callable[[], int], seconds: float) -> float:
    """Return decisions per CPU second."""
    done, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        done += sum(step() for _ in range(8))
    return done / spent


def plain_stepper(stream: Stream, backfill: str) -> Callable[[], int]:
    rng = np.random.default_rng(1)
    running: list[Any] = []

    def step() -> int:
        if not running:
            first = int(rng.integers(len(stream) - LENGTH + 1))
            running.append(plain_env(stream, first, backfill, [math.nan] * LENGTH))
            running.append(next(running[0])[2])
        try:
            running[1] = running[0].send(int(rng.random() * running[1]))[2]
        except StopIteration:
            running.clear()
        return 1

    return step


def stepper(stream: Stream, kind: str, count: int, options: dict[str, Any]) -> Callable[[], int]:
    rng = np.random.default_rng(1)
    if kind == "scalar":
        one = BatchScheduling(stream, length=LENGTH, **options)
        one.reset(seed=1)
        rows = one.batched.look.rows

        def step_one() -> int:
            if one.step(int(rng.random() * rows[0]))[2]:
                one.reset()
            return 1

        return step_one
    if kind == "batched":
        batched = Batched(stream, count, LENGTH, same_step=True, **options)
        last = len(stream) - LENGTH + 1
        batched.reset(rng.integers(0, last, count))

        def step_all() -> int:
            batched.step(rng.random(count) * batched.look.rows, rng.integers(0, last, count))
            return count

        return step_all
    many = BatchSchedulingVector(count, stream, length=LENGTH, copy=kind == "copied", **options)
    many.reset(seed=1)

    def step_many() -> int:
        many.step((rng.random(count) * many.batched.look.rows).astype(np.int64))
        return count

    return step_many


def trainer(stream: Stream, backfill: str) -> Callable[[], int]:
    learner = ppo.Learner(stream, ppo.Plan(backfill=backfill))

    def step() -> int:
        before = learner.steps
        with ppo.one_thread():
            learner.learn()
        return learner.steps - before

    step()
    return step


def train_rate(step: Callable[[], int], seconds: float) -> float:
    """Return decisions per CPU second; a call takes a second or so."""
    done, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < seconds or not done:
        done += step()
    return done / spent


def cases(stream: Stream) -> dict[tuple[str, str, str, int], Callable[[], int]]:
    found: dict[tuple[str, str, str, int], Callable[[], int]] = {}
    for backfill in ("none", "easy"):
        found["rlscheduler", backfill, "plain", 1] = plain_stepper(stream, backfill)
        for semantics in ("rlscheduler", "clean"):
            options = {
                "backfill": backfill,
                "compat": "rlscheduler" if semantics == "rlscheduler" else None,
            }
            found[semantics, backfill, "scalar", 1] = stepper(stream, "scalar", 1, options)
            for kind in ("batched", "vector", "copied"):
                for count in SIZES:
                    key = (semantics, backfill, kind, count)
                    found[key] = stepper(stream, kind, count, options)
        found["clean", backfill, "ppo", 64] = trainer(stream, backfill)
    for count in SIZES:
        options = {"overtaking": "fitting"}
        found["clean", "decided", "batched", count] = stepper(stream, "batched", count, options)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU s of each measurement")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    stream = from_table(examples.load("lublin"))
    if args.trace is not None:
        stream = read_rlscheduler(args.trace)
    for backfill in ("none", "easy"):
        agree(stream, backfill)
    steppers = cases(stream)
    measured: dict[tuple[str, str, str, int], list[float]] = {key: [] for key in steppers}
    for _ in range(3):
        for key, step in steppers.items():
            of = train_rate if key[2] == "ppo" else rate
            measured[key].append(of(step, args.seconds))
    told = []
    for key, rates in measured.items():
        semantics, backfill, kind, count = key
        middle = statistics.median(rates)
        plain = (
            statistics.median(measured["rlscheduler", backfill, "plain", 1])
            if (backfill != "decided")
            else None
        )
        told.append(
            {
                "semantics": semantics,
                "backfill": backfill,
                "environment": kind,
                "sequences": count,
                "steps_per_cpu_s": round(middle),
                "ratio_to_plain": round(middle / plain, 1) if plain else None,
            }
        )
        if not args.json:
            print(*told[-1].values(), flush=True)
    if args.json:
        print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
