"""Models side by side on a small trace."""

import json
import subprocess
import sys

import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.study.benchmark import Contender, benchmark

GROUPS = ("marginal", "privacy", "temporal", "scheduling")


@pytest.fixture(scope="module")
def result(jobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    users = jobs.with_frame(jobs.frame.select("job_id", "user", "run_time"))
    contenders = ["trace", Contender("trace", label="again")]
    traces = {"made up": jobs, "no times": users}
    cores = {"made up": 200}
    found = benchmark(contenders, traces, folder, samples=2, cores=cores, groups=GROUPS)
    return found, folder


def test_models_and_references_have_a_row_each(result, jobs):
    table = result[0].table.filter(trace="made up")
    names = ["held-out real", "copy of train", "trace", "again"]
    assert table["model"].to_list() == names
    real, copy, one, two = (row for row in table.rows(named=True))
    assert copy["dcr"] == copy["ks"] == 0
    assert copy["dcr_share"] == copy["load"] == 1
    assert real["fit_cpu_s"] is None
    assert 0 < real["ks"] < 0.3
    assert one["fit_cpu_s"] > 0
    assert one["peak_mib"] > 20
    assert one["wait_easy"] is not None
    assert one["ks"] == two["ks"]  # the same model, seed and rows


def test_the_machine_is_the_one_given(result):
    assert result[0].evaluations["made up", "trace"].sizes["cores"] == 200


def test_a_model_that_refuses_a_trace_has_its_reason(result):
    table = result[0].table.filter(trace="no times")
    assert table.height == 2
    assert all("submit_time" in error for error in table["error"])


def test_the_table_and_the_synthetic_traces_are_written(result):
    found, folder = result
    written = json.loads((folder / "benchmark.json").read_text())["rows"]
    assert written == found.table.to_dicts()
    assert pl.read_csv(folder / "benchmark.csv").columns == found.table.columns
    assert (folder / "made_up" / "again" / "evaluation.json").is_file()
    assert len(gridtwin.read(folder / "made_up" / "trace" / "rows" / "0.parquet")) == 210


def test_what_cannot_be_compared_is_refused_before_anything_is_fitted(jobs, tmp_path):
    with pytest.raises(UnknownNameError, match="trace"):
        benchmark(["trase"], {"a": jobs}, tmp_path)
    with pytest.raises(InputError, match="same name"):
        benchmark(["trace", "trace"], {"a": jobs}, tmp_path)
    with pytest.raises(InputError, match="at least one model"):
        benchmark([], {"a": jobs}, tmp_path)
    with pytest.raises(InputError, match="between 0 and 1"):
        benchmark(["trace"], {"a": jobs}, tmp_path, holdout=1.0)
    with pytest.raises(InputError, match="20 or more"):
        benchmark(["trace"], {"a": jobs.with_frame(jobs.collect().head(5))}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_prints_the_table(jobs, tmp_path):
    from gridtwin.trace.writers import write

    write(jobs, tmp_path / "small.parquet")
    command = [sys.executable, "-m", "gridtwin", "benchmark", "small.parquet", "-o", "out"]
    command += ["--model", "trace", "--samples", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "held-out real" in done.stdout
    assert (tmp_path / "out" / "benchmark.csv").is_file()
