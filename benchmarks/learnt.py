"""Measure learnt priorities beside the best heuristic: Lublin-256, HPC2N, KTH-SP2 and Theta.

Run ``python benchmarks/learnt.py FOLDER [--only lublin] [--seeds 3] [--json]``, FOLDER with the
traces as in `TRACES`. Each trace is split by time: learnt on the first 60 % (the last 40,000 jobs
of these), tested on 128 sequences of 1,024 jobs of the rest, the same for all. Both decide anew at
each event. The heuristic is the best of the default ones of ``compare-policies`` *on the test*,
which a learnt policy cannot choose by; ``log_ratio`` is the mean over the sequences, and over the
policies learnt from each seed, of log(mean bounded slowdown / the heuristic's), below 0 is better,
with two 95 % intervals: sequences drawn anew, and stretches of 1,024 jobs drawn anew with all
sequences that begin in them, for sequences overlap. ``to_easy`` is to the best heuristic with EASY
backfilling. ``blind`` is learnt without looking at what fits now, from the first seed.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gridtwin
from gridtwin.policy.batch.stream import Stream, from_table
from gridtwin.policy.compare import DEFAULT, figures, named
from gridtwin.policy.rl.priority import Searched
from gridtwin.policy.rl.search import Found, Plan, search
from gridtwin.policy.rl.windows import span
from gridtwin.sim.policies import Backfill

TRACES = {
    "lublin": "swf/lublin_256.swf.gz",
    "hpc2n": "swf/HPC2N-2002-2.2-cln.swf.gz",
    "kth": "swf/KTH-SP2-1996-2.1-cln.swf.gz",
    "theta": "alcf/theta.csv.gz",
}
LENGTH, SEQUENCES, MOST = 1024, 128, 40_000
BACKFILLS: tuple[Backfill, ...] = ("none", "easy")
Array = np.ndarray


def interval(ratio: Array, first: Array, length: int) -> dict[str, list[float]]:
    """Return 95 % intervals of the mean, of sequences drawn anew and of stretches drawn anew."""
    rng = np.random.default_rng(0)
    alone = ratio[rng.integers(0, len(ratio), (4000, len(ratio)))].mean(1)
    _, block = np.unique(first // length, return_inverse=True)
    sums, counts = np.bincount(block, ratio), np.bincount(block)
    drawn = rng.integers(0, len(sums), (4000, len(sums)))
    blocks = sums[drawn].sum(1) / counts[drawn].sum(1)
    return {
        name: [round(float(x), 4) for x in np.quantile(values, [0.025, 0.975])]
        for name, values in (("interval", alone), ("interval_of_stretches", blocks))
    }


def heuristics(test: Stream, first: Array, backfill: Backfill) -> dict[str, Array]:
    """Return log mean bounded slowdown of each sequence under each heuristic."""
    return {
        name: np.log(figures(test, name, first, length=LENGTH)["bsld"])
        for name in named(DEFAULT, backfill)
    }


def measure(stream: Stream, backfill: Backfill, plan: Plan, seeds: int) -> dict[str, Any]:
    train, test = span(stream, 0.0, 0.6), span(stream, 0.6, 1.0)
    if len(train) > MOST:
        train = span(train, 1 - MOST / len(train), 1.0)
    plan = replace(plan, backfill=backfill)
    rng = np.random.default_rng(7)
    first = np.sort(rng.integers(0, len(test) - LENGTH + 1, SEQUENCES))
    known = heuristics(test, first, backfill)
    best = min(known, key=lambda name: known[name].mean())
    easy = known if backfill == "easy" else heuristics(test, first, "easy")
    least = min(easy.values(), key=lambda values: values.mean())

    def learn(plan: Plan) -> tuple[Found, Array]:
        found = search(train, plan)
        machine = Searched(test, LENGTH, backfill=backfill, foresight=found.foresight)
        return found, np.log(machine.figures(found.weights, first)[0, :, 0])

    begin = time.process_time()
    learnt = [learn(replace(plan, seed=seed)) for seed in range(seeds)]
    spent = time.process_time() - begin
    values = np.array([value for _, value in learnt])
    ratio = (values - known[best]).mean(0)
    blind = learn(replace(plan, blind=True))[1] - known[best]
    return {
        "heuristic": best,
        "its_geo_mean": round(float(np.exp(known[best].mean())), 2),
        "learnt_geo_mean": round(float(np.exp(values.mean())), 2),
        "log_ratio": round(float(ratio.mean()), 4),
        **interval(ratio, first, LENGTH),
        "of_seeds": [round(float((value - known[best]).mean()), 4) for value in values],
        "blind": round(float(blind.mean()), 4),
        "blind_interval": interval(blind, first, LENGTH)["interval"],
        "to_easy": round(float((values - least).mean()), 4),
        "wins": round(float((ratio < 0).mean()), 3),
        "begun": [tuple(found.begun) for found, _ in learnt],
        "held_out_gain": [round(found.gain, 4) for found, _ in learnt],
        "steps": sum(found.steps for found, _ in learnt),
        "train_cpu_s": round(spent, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=TRACES, nargs="*", default=list(TRACES))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    plan = Plan(
        rounds=args.rounds, candidates=16, sequences=48, copies=8, restarts=1, foresight=True
    )
    told = []
    for name in args.only:
        stream = from_table(gridtwin.read(args.folder / TRACES[name]))
        for backfill in BACKFILLS:
            found = measure(stream, backfill, plan, args.seeds)
            told.append({"trace": name, "backfill": backfill} | found)
            if not args.json:
                print(*(f"{key}={value}" for key, value in told[-1].items()), flush=True)
    if args.json:
        print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
