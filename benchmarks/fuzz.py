"""Damage the readers' samples many times: a typed error or rows that balance, nothing else.

    python benchmarks/fuzz.py --rounds 100000            # each reader, one after the other
    python benchmarks/fuzz.py --rounds 2000 panda swf    # only these
    python benchmarks/fuzz.py panda --only 1234          # one round again, in this process

Each round damages one sample as its number says, and has one reader read it in a worker process
with a limit of memory and of time. A round breaks its reader if anything but an error of gridtwin
comes out, if rows are lost, if something is written to standard error, if the worker ends or does
not answer. ``--log`` keeps the counts of each reader as JSON, from which an interrupted run goes
on; files that broke a reader are kept there too. Exit code 1 if any did.
"""

import argparse
import gc
import io
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from damage import damage

from gridtwin.core.errors import GridtwinError
from gridtwin.core.files import writing
from gridtwin.trace.readers import read, readers

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "data"
MEMORY = 6 << 30  # bytes of address space of a worker, and of what it starts
PATIENCE = 60.0  # s for a round; the machine may be busy
GOOD = ("read", "refused")
# one thread: the tables are tiny
ALONE = {"POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
EVERY = 500  # rounds from one note in the log to the next

# what Polars calls white space, which is less than Python does
BLANK = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def samples(reader: str = "") -> list[Path]:
    """Return the samples of a reader, or of all: ``<reader>.<what>.<suffix>``, no manifests."""
    return sorted(
        path
        for path in SAMPLES.iterdir()
        if path.suffix in (".swf", ".csv", ".txt", ".parquet", ".json")
        and "." in path.stem
        and not path.stem.endswith(".csv")
        and path.name.startswith(f"{reader}." if reader else "")
    )


def survives(path: Path, format: str, rejects: Path | None = None) -> bool:
    """Read a file; True if there were jobs, False if it was refused, an error for all else."""
    try:
        jobs = read(path, format, rejects=rejects)
    except GridtwinError as error:
        if not str(error).strip():
            raise AssertionError("an error without a word") from error
        return False
    frame = jobs.collect()
    lost = sum(jobs.provenance.dropped.values())
    if jobs.provenance.rows_read != len(frame) + lost:
        raise AssertionError(f"{jobs.provenance.rows_read} rows read, {len(frame)} + {lost} told")
    records = _records(path, jobs.provenance.format)
    if records not in (None, jobs.provenance.rows_read):
        raise AssertionError(f"{jobs.provenance.rows_read} rows read of {records} lines")
    if frame["job_id"].null_count() or frame["job_id"].n_unique() < len(frame):
        raise AssertionError("a job without an id of its own")
    for column in ("run_time", "cores_req", "walltime_req", "submit_time"):
        if column in frame.columns and not (frame[column].drop_nulls() >= 0).all():
            raise AssertionError(f"a negative {column}")
    if rejects is not None:  # a part of the rounds: it takes as long as the rest
        _in_pieces(path, jobs.provenance.format, jobs.provenance.rows_read)
    return True


def _records(path: Path, format: str) -> int | None:
    """Return how many records a file of text must have, None where that is not plain to see."""
    data = path.read_bytes()
    if format.endswith(("parquet", "json")) or any(mark in data for mark in (b'"', b"\r", b"\0")):
        return None
    try:
        lines = [line.strip(BLANK) for line in data.decode("ascii").split("\n")]
    except UnicodeDecodeError:
        return None
    if format == "swf":
        return sum(line != "" and not line.startswith(";") for line in lines)
    return sum(line != "" for line in lines) - 1


def _in_pieces(path: Path, format: str, rows: int) -> None:
    """Read the file as `ingest` would; raises `AssertionError` for another number of rows."""
    batches = getattr(readers.get(format), "batches", None)
    if batches is None:
        return
    found = sum(scan.frame.collect().height for scan in batches(path, raw=len(path.name) % 2 == 0))
    if found != rows:
        raise AssertionError(f"{rows} rows read at once, {found} in pieces")


def fuzz_round(reader: str, seed: int, number: int, folder: Path) -> tuple[str, Path]:
    """Damage a sample as the round's number says and read it; return what came of it."""
    rng = random.Random(f"{reader}/{seed}/{number}")
    files = samples_of(reader)
    sample = files[number % len(files)]
    path = folder / f"{number}{sample.suffix}"
    path.write_bytes(damage(sample, rng))
    rejects = folder / "rejects.csv" if rng.random() < 0.2 else None
    try:
        read_it = survives(path, "auto" if rng.random() < 0.15 else reader, rejects)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a Rust panic is no Exception
        return f"{type(error).__name__}: {str(error)[:400]}", path
    return "read" if read_it else "refused", path


samples_of = cache(samples)


def work(reader: str, seed: int, first: int, stop: int, folder: Path) -> None:
    """Do rounds and print what came of each, a line of JSON each: the worker's part.

    The file of a round stays in the folder if it broke the reader, or the worker.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    gc.freeze()
    os.write(1, b'["ready", 0, 0, 0]\n')
    for number in range(first, stop):
        outcome, path = fuzz_round(reader, seed, number, folder)
        if outcome in GOOD:
            path.unlink()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        said = os.fstat(2).st_size  # standard error is a file
        told = (outcome, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, said)
        os.write(1, json.dumps(told).encode() + b"\n")


def _fast_folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # held in memory


def _answers(
    worker: "subprocess.Popen[bytes]", told: io.BufferedRandom
) -> Iterator[tuple[str, float, int]]:
    """Yield what a worker tells of each round: the outcome, its CPU time in s, its peak in KiB.

    The last one is of the round in which it ended or was silent. Raises `RuntimeError` where it
    ends before the first.
    """
    assert worker.stdout is not None
    rest, cpu, peak, ready, seen = b"", 0.0, 0, False, 0
    while select.select([worker.stdout], [], [], PATIENCE)[0]:
        data = os.read(worker.stdout.fileno(), 1 << 16)
        if not data:
            end = f"the worker ended with {worker.wait()}: {_said(told, seen)}"
            if not ready:
                raise RuntimeError(end)
            yield end, cpu, peak
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            outcome, cpu, peak, size = json.loads(line)
            if size > seen:
                outcome, seen = f"on standard error: {_said(told, seen)}", size
            if ready:
                yield outcome, cpu, peak
            ready = True
    yield f"no answer in {PATIENCE:.0f} s", cpu, peak


def _said(told: io.BufferedRandom, seen: int) -> str:
    """Return what was written after a place, without moving: the writer shares where we are."""
    return os.pread(told.fileno(), 400, seen).decode(errors="replace")


class Run:
    """The rounds of one reader: a worker, started anew when it ended, and what came of each."""

    def __init__(self, reader: str, rounds: int, seed: int, log: Path) -> None:
        self.reader, self.rounds, self.seed, self.log = reader, rounds, seed, log
        self.file, self.folder = log / f"{reader}.json", log
        self.state: dict[str, Any] = {"reader": reader, "seed": seed, "next": 0, "counts": {}}
        self.state |= {"broke": [], "cpu_s": 0.0, "peak_mib": 0}
        if self.file.is_file():
            stored = json.loads(self.file.read_text())
            self.state = stored if stored["seed"] == seed else self.state

    def go(self) -> dict[str, Any]:
        """Do all rounds that are left; return the state."""
        while self.state["next"] < self.rounds:
            with (
                tempfile.TemporaryDirectory(dir=_fast_folder()) as folder,
                tempfile.TemporaryFile() as told,
            ):
                self.folder = Path(folder)
                self._watch(told)
            self._note()
        self._note()
        return self.state

    def command(self) -> list[str]:
        """Return the command line of a worker that goes on with the next round."""
        where = [self.reader, "--seed", str(self.seed), "--work", str(self.state["next"])]
        where += ["--rounds", str(self.rounds), "--folder", str(self.folder)]
        return [sys.executable, __file__, *where]

    def _watch(self, told: io.BufferedRandom) -> None:
        """Count what a worker tells, until it is done, ends or is silent; `told` is its stderr."""
        worker = subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=told, env=os.environ | ALONE, bufsize=0
        )
        before = self.state["cpu_s"]
        try:
            for outcome, cpu, peak in _answers(worker, told):
                self.state["cpu_s"] = round(before + cpu, 1)
                self.state["peak_mib"] = max(self.state["peak_mib"], peak >> 10)
                self._count(outcome)
                if self.state["next"] == self.rounds:
                    break
        finally:
            worker.kill()
            worker.communicate()

    def _count(self, outcome: str) -> None:
        number = self.state["next"]
        what = outcome if outcome in GOOD else "broke"
        self.state["counts"][what] = self.state["counts"].get(what, 0) + 1
        self.state["next"] = number + 1
        if what == "broke":
            self._keep(number, outcome)
        if what == "broke" or number % EVERY == 0:
            self._note()

    def _keep(self, number: int, outcome: str) -> None:
        """Keep the file of a round that broke its reader: the first hundred."""
        if len(self.state["broke"]) >= 100:
            return
        kept = ""
        for left in self.folder.glob(f"{number}.*"):
            kept = str(self.log / f"{self.reader}.{left.name}")
            shutil.move(left, kept)
        self.state["broke"].append({"round": number, "what": outcome, "file": kept})
        print(f"{self.reader} round {number}: {outcome[:300]} ({kept})", flush=True)

    def _note(self) -> None:
        self.state["when"] = time.strftime("%Y-%m-%d %H:%M:%S")
        with writing(self.file) as temporary:
            temporary.write_text(json.dumps(self.state, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*", default=readers.names())
    parser.add_argument("--rounds", type=int, default=300, help="damaged files per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("runs/fuzz"), help="where counts are kept")
    parser.add_argument("--only", type=int, help="do this round alone, and raise what it raises")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.readers[0], args.seed, args.work, args.rounds, args.folder)
        return
    if args.only is not None:
        warnings.simplefilter("error")
        print(*fuzz_round(args.readers[0], args.seed, args.only, Path(tempfile.mkdtemp())))
        return
    args.log.mkdir(parents=True, exist_ok=True)
    broke = 0
    for reader in args.readers:
        state = Run(reader, args.rounds, args.seed, args.log).go()
        counts = Counter(state["counts"])
        broke += counts["broke"]
        print(
            f"{reader}: {state['next']} damaged files: {counts['read']} read, "
            f"{counts['refused']} refused, {counts['broke']} broke "
            f"({state['cpu_s']:.0f} s CPU, {state['peak_mib']} MiB)",
            flush=True,
        )
    sys.exit(1 if broke else 0)


if __name__ == "__main__":
    main()
