"""Damaged files give a typed error or counted rejections: never a crash, never a lost row.

A short run of ``benchmarks/fuzz.py``, which does it 100,000 times for each reader.
"""

import importlib.util
import random
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz.py"
SPEC = importlib.util.spec_from_file_location("fuzz", FILE)
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
ROUNDS = 40
WHOLE = (".parquet", ".json")  # in these, damage in one place can make all unreadable


@pytest.mark.parametrize("path", fuzz.samples(), ids=lambda path: path.name)
def test_damaged_files_balance_or_are_refused(path, tmp_path):
    rng = random.Random(path.name)
    data, name = path.read_bytes(), path.name.split(".")[0]
    good = 0
    for i in range(ROUNDS):
        target = tmp_path / f"{i}{path.suffix}"
        target.write_bytes(fuzz.damage(data, rng))
        good += fuzz.survives(target, "auto" if i % 2 else name, tmp_path / "rejects.csv")
    assert good > (0 if path.suffix in WHOLE else ROUNDS / 4)


def test_a_run_that_breaks_is_told(tmp_path, monkeypatch):
    assert fuzz.fuzz("swf", 20, 0, tmp_path)["broke"] == 0
    monkeypatch.setattr(fuzz, "survives", lambda *_: 1 / 0)
    assert fuzz.fuzz("swf", 2, 0, tmp_path)["broke"] == 2
    assert len(list(tmp_path.iterdir())) == 1
