"""Compare the batch machine's start times with those of RLScheduler, run by run.

Run ``python benchmarks/rlscheduler_golden.py GOLDEN.json TRACE.swf`` (plain or gzip). The golden
file has `sets` of sequences (`seq_len`), whose `rows` name the policy, whether with backfilling,
the sequence's first job (`start_index`, from 0 in the jobs kept), and the SHA-256 of the start
times, int64 little-endian in the order of the trace. Prints JSON: how many runs ``matched``, and
each that is ``mismatched`` with its figures beside the file's. A policy is judged as it was run
there: WFP3 and UNICEP with the published wrong wait, with ``_truewait`` the correct one. Where
sets name the SHA-256 of their trace and some have that of this one, the others are left out.
"""

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream, read_rlscheduler
from gridtwin.policy.queueing import QUEUEING, Queueing
from gridtwin.trace.derive import bounded_slowdown

SPELT = {"unicef": "unicep", "wfp": "wfp3", "small": "smallest"}


def named(policy: str) -> Queueing | None:
    """Return the policy as it was run there: with the wrong wait unless it says otherwise."""
    name = policy.lower()
    right = name.endswith("_truewait")
    name = name.removesuffix("_truewait")
    name = SPELT.get(name, name)
    return QUEUEING.get(name if right else f"{name}_legacy", QUEUEING.get(name))


def differing(stream: Stream, length: int, row: dict[str, Any], start: np.ndarray) -> dict | None:
    """Return None where the hashes agree, else what is known of the run."""
    found = hashlib.sha256(start.astype("<i8").tobytes()).hexdigest()
    if found == row["starts_sha256"]:
        return None
    jobs = slice(row["start_index"], row["start_index"] + length)
    wait = start - stream.submit[jobs]
    submit = stream.submit[jobs]
    keys = ("policy", "backfill", "start_index")
    return {key: row[key] for key in keys} | {
        "seq_len": length,
        "first_job": int(stream.row[row["start_index"]]),
        "avg_bsld": float(bounded_slowdown(wait, stream.run[jobs]).mean()),
        "avg_bsld_expected": row.get("avg_bsld"),
        "avg_wait": float(wait.mean()),
        "avg_wait_expected": row.get("avg_wait"),
        "equal_submit_times": int(len(submit) - len(np.unique(submit))),
    }


def belonging(golden: dict[str, Any], trace: Path) -> list[dict[str, Any]]:
    """Return the sets of sequences of this trace, all if none says so."""
    raw = trace.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    fingerprint = hashlib.sha256(raw).hexdigest()
    mine = [one for one in golden["sets"] if one.get("workload_sha256") == fingerprint]
    return mine or golden["sets"]


def compare(sets: list[dict[str, Any]], stream: Stream) -> dict[str, Any]:
    matched, mismatched = 0, []
    for one in sets:
        length = int(one["seq_len"])
        runs: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        for row in one["rows"]:
            runs.setdefault((row["policy"], bool(row["backfill"])), []).append(row)
        for (policy, backfill), rows in runs.items():
            queueing = named(policy)
            if queueing is None:
                mismatched += [row | {"reason": "no such policy"} for row in rows]
                continue
            start = start_times(
                stream,
                queueing,
                first=[row["start_index"] for row in rows],
                length=length,
                backfill="easy" if backfill else "none",
                compat="rlscheduler",
            )
            for row, times in zip(rows, start, strict=True):
                wrong = differing(stream, length, row, times)
                matched += wrong is None
                mismatched += [] if wrong is None else [wrong]
    return {"matched": matched, "mismatched": mismatched}


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: rlscheduler_golden.py GOLDEN.json TRACE.swf")
    trace = Path(sys.argv[2])
    sets = belonging(json.loads(Path(sys.argv[1]).read_text()), trace)
    print(json.dumps(compare(sets, read_rlscheduler(trace)), indent=2))


if __name__ == "__main__":
    main()
