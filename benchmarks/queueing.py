"""Measure the batch machine: jobs per CPU second by policy, beside plain Python loops.

Run ``python benchmarks/queueing.py [TRACE.swf] [--json]``; without a trace, on the embedded Lublin
example. By policy, semantics and backfilling: 100 random sequences of 1,024 jobs (conservative
backfilling: 10) compiled, and the first of them by `gridtwin.policy.batch.plain`; both must agree
job by job, or this fails. ``evaluation`` is the CPU seconds of `gridtwin.policy.compare.compare`
with its twelve policies on 100 sequences of 1,024 jobs. Compiling is not counted.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gridtwin.policy.batch.plain import run_clean, run_rlscheduler
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream, from_table, read_rlscheduler
from gridtwin.policy.compare import compare
from gridtwin.policy.queueing import QUEUEING, Queueing
from gridtwin.trace import examples

LENGTH, SEQUENCES = 1024, 100
T = TypeVar("T")


def cpu(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.process_time()
    done = work()
    return time.process_time() - begin, done


def plain(stream: Stream, policy: Queueing, begin: int, backfill: str, compat: bool) -> list[float]:
    """Return the start times of one sequence in plain Python."""
    jobs = slice(begin, begin + LENGTH)
    lists = [
        values[jobs].tolist() for values in (stream.submit, stream.need, stream.run, stream.request)
    ]
    submit, request = lists[0], lists[3]
    width = stream.width[jobs].astype(float).tolist()
    origin = 0.0 if compat else float(stream.submit.min())

    def key(j: int, now: float) -> object:
        assert policy.score is not None
        score = policy.score(request[j], width[j], submit[j] - origin, max(now - submit[j], 0.0))
        if compat:
            return (score, submit[j]) if policy.by_submit else score
        return score, submit[j], j

    if compat:
        easy = backfill == "easy"
        return run_rlscheduler(*lists, cores=stream.cores, backfill=easy, key=key)
    return run_clean(*lists, cores=stream.cores, backfill=backfill, key=key)


def case(stream: Stream, policy: Queueing, backfill: str, compat: bool) -> dict[str, Any]:
    count = 10 if backfill == "conservative" else SEQUENCES
    first = np.random.default_rng(1).integers(0, len(stream) - LENGTH, count)
    semantics = "rlscheduler" if compat else None

    def compiled(begins: np.ndarray) -> np.ndarray:
        return start_times(
            stream, policy, first=begins, length=LENGTH, backfill=backfill, compat=semantics
        )

    compiled(first[:1])
    found: dict[str, Any] = {
        "policy": policy.name,
        "backfill": backfill,
        "semantics": semantics or "clean",
    }
    seconds, start = cpu(lambda: compiled(first))
    found["jobs_per_cpu_s"] = round(count * LENGTH / seconds)
    if policy.score is not None and backfill != "conservative":
        slow, expected = cpu(lambda: plain(stream, policy, int(first[0]), backfill, compat))
        if start[0].tolist() != expected:
            raise SystemExit(f"{found}: the plain loop has other start times")
        found["plain_jobs_per_cpu_s"] = round(LENGTH / slow)
        found["ratio"] = round(slow * count / seconds, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", nargs="?", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.trace is None:
        stream = from_table(examples.load("lublin"))
    else:
        stream = read_rlscheduler(args.trace)
    cases = []
    for backfill, compat in (
        *(("none", True), ("easy", True)),
        *(("none", False), ("easy", False), ("conservative", False)),
    ):
        for policy in QUEUEING.values():
            cases.append(case(stream, policy, backfill, compat))
            if not args.json:
                print(*cases[-1].values(), flush=True)
    compare(stream, sequences=2)
    seconds, found = cpu(lambda: compare(stream))
    evaluation = {
        "cpu_s": round(seconds, 3),
        "policies": len(found.rows),
        "sequences": found.sequences,
        "length": found.length,
    }
    if args.json:
        print(json.dumps({"cases": cases, "evaluation": evaluation}, indent=2))
    else:
        print("evaluation", evaluation)


if __name__ == "__main__":
    main()
