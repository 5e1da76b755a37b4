"""Damage the readers' samples many times: a typed error or rows that balance, nothing else.

    python benchmarks/fuzz.py --rounds 100000            # each reader, shared by its samples
    python benchmarks/fuzz.py --rounds 2000 panda swf    # only these

One process; prints for each reader how many damaged files were refused and how many read, and the
first file that broke it, which is kept under ``runs/fuzz``. Exit code 1 if any did.
"""

import argparse
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from gridtwin.core.errors import GridtwinError
from gridtwin.trace.readers import read, readers

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "data"
NASTY = (
    b"\0",
    b"\xff",
    b'"',
    b"'",
    b",",
    b"|",
    b"\n",
    b"\r",
    b"-",
    b"9" * 30,
    b"1e999",
    b"nan",
    b"[",
    b"{",
    b"}",
    b"null",
    b"",
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


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to four places changed."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[at] = rng.randrange(256)
        elif kind == 1:
            out[at : at + 1] = rng.choice(NASTY)
        elif kind == 2:
            del out[at : at + rng.randint(1, 40)]
        elif kind == 3:
            out[at:at] = out[rng.randrange(len(out)) :][: rng.randint(1, 80)]
        else:
            del out[at:]
        out = out or bytearray(b"\n")
    return bytes(out)


def survives(path: Path, format: str, rejects: Path | None = None) -> bool:
    """Read a file; True if there were jobs, False if it was refused, an error for all else."""
    try:
        jobs = read(path, format, rejects=rejects)
        frame = jobs.collect()
    except GridtwinError:
        return False
    lost = sum(jobs.provenance.dropped.values())
    if jobs.provenance.rows_read != len(frame) + lost:
        raise AssertionError(f"{jobs.provenance.rows_read} rows read, {len(frame)} + {lost} told")
    if frame["job_id"].null_count() or frame["job_id"].n_unique() < len(frame):
        raise AssertionError("a job without an id of its own")
    for column in ("run_time", "cores_req", "walltime_req", "submit_time"):
        if column in frame.columns and not (frame[column].drop_nulls() >= 0).all():
            raise AssertionError(f"a negative {column}")
    return True


def fuzz(reader: str, rounds: int, seed: int, kept: Path) -> Counter[str]:
    """Damage the samples of a reader; count what came of it, keep the file that broke it."""
    counts: Counter[str] = Counter()
    files = samples(reader)
    rng = random.Random(f"{reader}/{seed}")
    contents = [path.read_bytes() for path in files]
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            which = i % len(files)
            path = Path(folder) / f"damaged{files[which].suffix}"
            path.write_bytes(damage(contents[which], rng))
            try:
                read_it = survives(path, "auto" if i % 4 == 0 else reader)
            except BaseException as error:  # a Rust panic is no Exception
                if isinstance(error, KeyboardInterrupt):
                    raise
                counts["broke"] += 1
                if counts["broke"] == 1:
                    kept.mkdir(parents=True, exist_ok=True)
                    copy = kept / f"{reader}.{i}{path.suffix}"
                    copy.write_bytes(path.read_bytes())
                    print(f"{reader}: {type(error).__name__}: {str(error)[:300]} ({copy})")
            else:
                counts["read" if read_it else "refused"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*", default=readers.names())
    parser.add_argument("--rounds", type=int, default=300, help="damaged files per reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"))
    args = parser.parse_args()
    warnings.simplefilter("error")
    broke = 0
    for reader in args.readers:
        before = time.process_time()
        counts = fuzz(reader, args.rounds, args.seed, args.keep)
        broke += counts["broke"]
        print(
            f"{reader}: {args.rounds} damaged files: {counts['read']} read, "
            f"{counts['refused']} refused, {counts['broke']} broke "
            f"({time.process_time() - before:.0f} s CPU)",
            flush=True,
        )
    sys.exit(1 if broke else 0)


if __name__ == "__main__":
    main()
