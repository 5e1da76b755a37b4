"""The whole loop on a small trace, and traces side by side."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.study import run_loop, side_by_side


@pytest.fixture(scope="module")
def busy(jobs):
    """The made-up jobs on a machine on which they queue."""
    return jobs.with_frame(jobs.frame.with_columns(pl.col("run_time") * 6))


@pytest.fixture(scope="module")
def loop(busy, tmp_path_factory):
    return run_loop(busy, tmp_path_factory.mktemp("loop"), cores=64, samples=4)


def test_what_is_shown_and_written_is_the_sample_of_median_wait(loop):
    waits = [
        gridtwin.simulate(trace, cores=64, policy="easy").summary()["mean_wait"]
        for trace in loop.samples
    ]
    assert waits[0] == sorted(waits)[1]
    assert loop.simulations["synthetic"].summary()["mean_wait"] == waits[0]
    written = gridtwin.read(loop.folder / "synthetic.parquet").collect()
    assert written.equals(loop.samples[0].collect())
    assert len(loop.samples) == 4


def test_samples_are_drawn_when_asked_for_and_always_the_same(loop):
    assert loop.samples[1].collect().equals(loop.samples[1].collect())
    assert not loop.samples[1].collect().equals(loop.samples[2].collect())
    assert loop.samples[1:3][0].collect().equals(loop.samples[1].collect())
    assert loop.samples.first(2)[0].collect().equals(loop.samples[2].collect())
    assert loop.samples.first(2)[1].collect().equals(loop.samples[0].collect())
    assert len(list(loop.samples.first(2))) == 4


def test_the_headline_is_that_of_the_evaluation(loop):
    assert loop.headline["mean wait under EASY, synthetic / real"] == pytest.approx(
        loop.evaluation["wait_easy"].synthetic
    )
    values = loop.evaluation["wait_easy"].detail["values"]
    real = loop.simulations["real"].summary()["mean_wait"]
    shown = loop.simulations["synthetic"].summary()["mean_wait"]
    assert shown / real == pytest.approx(sorted(values)[1])
    assert np.median(values) == pytest.approx(loop.evaluation["wait_easy"].synthetic)


def test_notes_speak_of_what_was_judged(loop):
    rows = [note for note in loop.evaluation.notes if note.startswith("Rows: ")]
    traces = [note for note in loop.evaluation.notes if note.startswith("Arrivals and queues: ")]
    assert rows == ["Rows: The holdout is of the same period as train."]
    assert "two random halves" in traces[0]
    assert not any("c2st" in note for note in traces)


def test_jobs_of_many_sites_run_at_their_own(jobs):
    names = pl.Series(["a", "b", "c"] * 100)
    sited = jobs.with_frame(jobs.collect().with_columns(site=names))
    results = side_by_side(sited, sited, policy="fcfs")
    assert results["real"].platform.names == ["a", "b", "c"]
    assert results["synthetic"].jobs.collect()["site"].to_list() == names.to_list()
    assert results["real"].policy == "fcfs"
    assert side_by_side(sited, sited, cores=99)["real"].platform.names == ["machine"]


def test_one_job_is_too_few(jobs, tmp_path):
    with pytest.raises(InputError, match="at least 2 jobs, this trace has 1"):
        run_loop(jobs.with_frame(jobs.frame.head(1)), tmp_path)


@pytest.mark.slow  # two fresh interpreters load and compile what the loop needs
def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path, busy):
    gridtwin.write(busy.with_frame(busy.frame.head(60)), tmp_path / "jobs.parquet")
    code = (
        "import sys, gridtwin; from gridtwin.study import run_loop; "
        "run_loop(gridtwin.read(sys.argv[1]), sys.argv[2], samples=2)"
    )
    for threads in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / "jobs.parquet", tmp_path / threads],
            check=True,
            env={"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads, "PATH": ""},
        )
    found = sorted(p.relative_to(tmp_path / "1") for p in (tmp_path / "1").rglob("*.*"))
    assert len(found) >= 10
    for path in found:
        assert (tmp_path / "1" / path).read_bytes() == (tmp_path / "2" / path).read_bytes(), path
