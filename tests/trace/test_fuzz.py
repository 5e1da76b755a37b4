"""Damaged files give a typed error or counted rejections: never a crash, never a lost row.

A short run of ``benchmarks/fuzz.py``, which does it 100,000 times for each reader.
"""

import importlib
import random
import sys
from pathlib import Path

import pytest

from gridtwin.trace.readers import readers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
fuzz = importlib.import_module("fuzz")
sys.path.pop(0)
ROUNDS = 120
WIDE = 40  # with PanDA's many columns a round takes four times as long
SEED = 1
READY = """import json, os, sys
def tell(what): os.write(1, json.dumps([what, 0.5, 2048, os.fstat(2).st_size]).encode() + b"\\n")
tell("ready")
tell("read")
"""


@pytest.mark.parametrize("reader", readers.names())
def test_damaged_files_balance_or_are_refused(reader, tmp_path):
    rounds = range(WIDE if reader.startswith("panda") else ROUNDS)
    outcomes = [fuzz.fuzz_round(reader, SEED, number, tmp_path)[0] for number in rounds]
    assert set(outcomes) <= set(fuzz.GOOD)
    assert outcomes.count("read") > len(rounds) / 6
    assert outcomes.count("refused") > 0


@pytest.mark.parametrize("path", fuzz.samples(), ids=lambda path: path.name)
def test_a_round_damages_a_file_the_same_way_each_time(path):
    whole = path.read_bytes()
    damaged = [fuzz.damage(path, random.Random(i)) for i in range(5)]
    assert damaged == [fuzz.damage(path, random.Random(i)) for i in range(5)]
    assert any(one != whole for one in damaged)


@pytest.mark.parametrize("number", [42833, 73301, 97629])
def test_times_without_a_date_can_be_made_text(number, tmp_path):
    assert fuzz.fuzz_round("canonical_parquet", 0, number, tmp_path)[0] in fuzz.GOOD


def test_a_run_goes_on_where_it_was(tmp_path):
    assert fuzz.Run("swf", 3, SEED, tmp_path).go()["next"] == 3
    run = fuzz.Run("swf", 5, SEED, tmp_path)
    assert run.state["next"] == 3
    state = run.go()
    assert sum(state["counts"].values()) == state["next"] == 5
    assert not state["broke"]


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("tell('AssertionError: 3 rows lost')", "3 rows lost"),
        ("os.abort()", "ended with -6"),
        ("sys.exit('the end')", "ended with 1: the end"),
        ("sys.stderr.write('panicked'); sys.stderr.flush(); tell('read')", "error: panicked"),
        ("os.read(os.pipe()[0], 1)", "no answer"),
    ],
)
def test_a_round_that_breaks_its_reader_is_told(script, what, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "PATIENCE", 1.0)
    run = fuzz.Run("swf", 2, SEED, tmp_path)
    monkeypatch.setattr(run, "command", lambda: [sys.executable, "-c", READY + script])
    state = run.go()
    assert state["counts"] == {"read": 1, "broke": 1}
    assert [broke["round"] for broke in state["broke"]] == [1]
    assert what in state["broke"][0]["what"]


def test_a_worker_that_does_not_start_is_no_finding(tmp_path, monkeypatch):
    run = fuzz.Run("swf", 2, SEED, tmp_path)
    monkeypatch.setattr(run, "command", lambda: [sys.executable, "-c", "import nothing_like_it"])
    with pytest.raises(RuntimeError, match="nothing_like_it"):
        run.go()


def test_the_oracle_counts_the_lines_of_plain_text(tmp_path):
    for path in fuzz.samples():
        if path.suffix in (".csv", ".txt", ".swf"):
            assert fuzz.survives(path, "auto", tmp_path / "rejects.csv")
    plain = tmp_path / "plain.swf"
    plain.write_bytes(b"; x\n;y\n1 2\n \x0b\n\n3\n")
    assert fuzz._records(plain, "swf") == 2
    assert fuzz._records(plain, "panda") == 3
    plain.write_bytes(b'a\n"b\n')
    assert fuzz._records(plain, "panda") is None
