"""A study of brokers and what-ifs on the PanDA-like example: time, equal bytes, kills.

``python benchmarks/study.py [--days 30] [--scale 0.1] [--seeds 10] [--executors serial processes
ray] [--kills 10] [--json]``

3 brokers x 5 what-ifs x seeds, each seed another trace, on a grid like WLCG with 60 % of the cores
that the base's records had in use. Each executor runs the study file in a fresh process, with two
workers where it has several; CPU time is that of all processes. Then a study is killed (-9) at
moments drawn at random, resumed by the same command each time, and its bytes compared.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter
from typing import Any

STUDY = """\
name = "Brokers on the example"
seeds = {seeds}

[workload]
example = "panda"
days = {days}
scale = {scale}

[platform]
example = "panda"
share = 0.6

[policy]
broker = ["least_loaded", "data_local", "panda_analysis"]
queue = "fcfs"

[faults]
observed = true
attempts = 4
retry_delay = "30 min"
elsewhere = 0.7

[[whatif]]
name = "base"

[[whatif]]
name = "BNL lost for a day"
lost = {{ site = "BNL", at_days = 2, days = 1 }}

[[whatif]]
name = "load x 1.5"
load = 1.5

[[whatif]]
name = "storm at CERN"
storm = {{ chance = 0.5, site = "CERN", at_days = 3, days = 2 }}

[[whatif]]
name = "a new Tier-1"
new = {{ site = "NEW-T1", cores = 200, like = "BNL", at_days = 4 }}
"""


def command(study: Path, out: Path, executor: str) -> list[str]:
    """Return the command that runs the study, or goes on with it."""
    made = [sys.executable, "-m", "gridtwin", "study", "run", str(study), "-o", str(out)]
    return [*made, "--executor", executor, "--workers", "2", "--json"]


def digest(folder: Path) -> str:
    """Return the SHA-256 of all that has to repeat."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".")  # what a kill left
        if path.is_file() and not hidden and path.name not in ("log.jsonl", "report.html"):
            found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def timed(study: Path, out: Path, executor: str) -> dict[str, Any]:
    """Run the study in a process of its own; return what it took."""
    before, wall = getrusage(RUSAGE_CHILDREN), perf_counter()
    quiet = subprocess.DEVNULL
    subprocess.run(command(study, out, executor), check=True, stdout=quiet, stderr=quiet)
    wall, after = perf_counter() - wall, getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "executor": executor,
        "wall_s": wall,
        "cpu_s": cpu,
        "largest_process_mib": after.ru_maxrss / 1024,
        "folder_mb": size / 1e6,
        "digest": digest(out),
    }


def killed(study: Path, out: Path, wall: float, kills: int, seed: int) -> dict[str, Any]:
    """Kill the study at random moments, run it on each time; return what became of it."""
    rng = random.Random(seed)
    done = []
    for _ in range(kills):
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command(study, out, "serial"), stdout=quiet, stderr=quiet)
        try:
            process.wait(rng.uniform(0.0, 2.0 * wall / kills))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        done.append(len(list((out / "runs").glob("s*.json"))) if out.exists() else 0)
    subprocess.run(command(study, out, "serial"), check=True, stdout=quiet, stderr=quiet)
    return {"runs_done_at_each_kill": done, "digest": digest(out)}


def main() -> None:
    """Run the study on each executor, then with kills."""
    parser = argparse.ArgumentParser(description="A study on the example.")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--executors", nargs="*", default=["serial", "processes", "ray"])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="Of the moments of the kills.")
    parser.add_argument("--keep", type=Path, help="Folder for the runs.")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        study = folder / "study.toml"
        study.write_text(STUDY.format(days=args.days, scale=args.scale, seeds=args.seeds))
        rows = []
        for executor in args.executors:
            shutil.rmtree(folder / executor, ignore_errors=True)
            rows.append(timed(study, folder / executor, executor))
            if not args.json:
                print(rows[-1], flush=True)
        found: dict[str, Any] = {"runs": 15 * args.seeds, "executors": rows}
        if args.kills:
            shutil.rmtree(folder / "killed", ignore_errors=True)
            wall = rows[0]["wall_s"] if rows else 60.0
            found["kills"] = killed(study, folder / "killed", wall, args.kills, args.seed)
        digests = {row["digest"] for row in rows}
        digests |= {found["kills"]["digest"]} if args.kills else set()
        found["same_bytes"] = len(digests) == 1
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
