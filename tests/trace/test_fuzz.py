"""Damaged files give a typed error or counted rejections: never a crash, never a lost row."""

import random
from pathlib import Path

import pytest

from gridtwin.core.errors import GridtwinError
from gridtwin.trace.readers import read

SAMPLES = Path(__file__).resolve().parents[1] / "data"
FILES = sorted(
    path
    for path in SAMPLES.iterdir()
    if path.suffix in (".swf", ".csv", ".txt", ".parquet") and "." in path.stem
)
ROUNDS = 40
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
    b"",
)


def damage(data, rng):
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_damaged_files_balance_or_are_refused(path, tmp_path):
    rng = random.Random(path.name)
    data = path.read_bytes()
    name = path.name.split(".")[0]
    good = 0
    for i in range(ROUNDS):
        target = tmp_path / f"{i}{path.suffix}"
        target.write_bytes(damage(data, rng))
        try:
            jobs = read(target, "auto" if i % 2 else name, rejects=tmp_path / "rejects.csv")
        except GridtwinError:
            continue
        good += 1
        frame = jobs.collect()
        dropped = jobs.provenance.dropped
        assert jobs.provenance.rows_read == len(frame) + sum(dropped.values())
        assert frame["job_id"].null_count() == 0
        for column in ("run_time", "cores_req", "walltime_req", "submit_time"):
            if column in frame.columns:
                assert (frame[column].drop_nulls() >= 0).all()
    if path.suffix != ".parquet":
        assert good > ROUNDS / 4
