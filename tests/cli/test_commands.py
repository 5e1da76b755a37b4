"""Each command on a small trace: what it prints, what it writes, and with which exit code."""

import json

import polars as pl
import pytest

import gridtwin
from gridtwin.core.files import sha256


@pytest.mark.parametrize("suffix", [".swf", ".swf.gz", ".csv", ".parquet"])
def test_ingest(run, jobs, tmp_path, suffix):
    source, output = tmp_path / f"in{suffix}", tmp_path / "out" / "jobs.parquet"
    gridtwin.write(jobs, source)
    done = run("ingest", source, "-o", output, "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    assert found["rows_read"] == found["rows_kept"] + sum(found["dropped"].values()) == 300
    assert found["sha256"] == sha256(source)
    assert found["format"]
    assert len(gridtwin.read(output)) == found["rows_kept"]


def test_ingest_for_people(run, trace, tmp_path):
    done = run("ingest", trace, "-o", tmp_path / "jobs.csv")
    assert done.code == 0
    assert "rows read" in done.out
    assert "300" in done.out
    assert (tmp_path / "jobs.csv").exists()


def test_ingest_counts_and_writes_rejects(run, tmp_path):
    source, rejects = tmp_path / "jobs.csv", tmp_path / "r.csv"
    source.write_text(
        "job_id,submit_time,run_time,cores_req\na,1700000000,10,1\nb,1700000001,-5,1\n"
    )
    done = run("ingest", source, "-o", tmp_path / "o.parquet", "--rejects", rejects, "--json")
    assert done.code == 0
    assert (done.json["rows_read"], done.json["rows_kept"]) == (2, 1)
    assert sum(done.json["dropped"].values()) == 1
    assert len(rejects.read_text().splitlines()) == 2


def test_ingest_of_several_files(run, jobs, trace, tmp_path):
    names = ("submit_time", "start_time", "end_time")
    later = jobs.frame.with_columns(pl.format("9{}", "job_id").alias("job_id"), pl.col(names) + 1e7)
    for name, rows in (("later", later), ("overlap", jobs.frame.head(50))):
        gridtwin.write(jobs.with_frame(rows), tmp_path / f"{name}.parquet")
    sources = (trace, tmp_path / "later.parquet", tmp_path / "overlap.parquet")
    done = run("ingest", *sources, "-o", tmp_path / "all.parquet", "--json")
    assert done.code == 0
    assert (done.json["rows_read"], done.json["rows_kept"]) == (650, 600)
    assert list(done.json["dropped"].values()) == [50]
    frame = gridtwin.read(tmp_path / "all.parquet").collect()
    assert frame.height == frame["job_id"].n_unique() == 600
    assert frame["submit_time"].is_sorted()


def test_check_of_a_good_file(run, trace):
    done = run("check", trace, "--json")
    assert done.code == 0
    assert done.json["good"] is True
    assert all(f["level"] != "error" for f in done.json["findings"])
    assert run("check", trace).code == 0


def test_check_finds_jobs_wider_than_the_machine(run, trace, jobs):
    wide = int((jobs.collect()["cores_req"] > 16).sum())
    done = run("check", trace, "--cores", 16, "--json")
    assert done.code == 1
    assert done.json["good"] is False
    errors = {f["what"]: f["rows"] for f in done.json["findings"] if f["level"] == "error"}
    assert errors == {"cores_req above the machine's 16": wide}
    table = run("check", trace, "--cores", 16)
    assert table.code == 1
    assert "cores_req above" in table.out


def test_train_sample_and_load(run, trace, tmp_path):
    model, output = tmp_path / "model", tmp_path / "synth.parquet"
    done = run("train", "trace", trace, "-o", model, "--seed", 3, "--json")
    assert done.code == 0, done.err
    assert done.json["parameters"]["seed"] == 3
    done = run("sample", model, "-o", output, "-n", 120, "--seed", 5, "--json")
    assert done.code == 0, done.err
    assert done.json["rows_kept"] == 120
    expected = gridtwin.models.load(model).sample(120, seed=5).collect()
    assert gridtwin.read(output).collect().equals(expected.select(gridtwin.read(output).columns))


def test_sample_draws_as_many_as_were_fitted(run, trace, tmp_path):
    assert "fitted" in run("train", "trace", trace, "-o", tmp_path / "m").out
    done = run("sample", tmp_path / "m", "-o", tmp_path / "s.csv")
    assert done.code == 0
    assert "300" in done.out


def test_evaluate(run, trace, synthetic, tmp_path):
    first, second = synthetic
    args = ("--train", trace, "--synthetic", first, "--synthetic", second, "-o", tmp_path)
    more = ("--shadow", "trace", "--search", 0, "--workers", 2)
    done = run("evaluate", *args, "--holdout", trace, "--cores", 256, *more, "--json")
    assert done.code == 0, done.err
    metrics = {row["metric"] for row in done.json["rows"]}
    assert {"shadow_membership", "wait_easy_80"} < metrics
    saved = json.loads((tmp_path / "evaluation.json").read_text())
    assert {row["metric"] for row in saved["rows"]} == metrics


def test_simulate(run, trace, jobs, tmp_path):
    done = run("simulate", "--jobs", trace, "--cores", 256, "--policy", "fcfs", "-o", tmp_path)
    assert done.code == 0, done.err
    assert "utilisation" in done.out
    assert len(gridtwin.read(tmp_path / "jobs.parquet")) == 300
    easy = run("simulate", "--jobs", trace, "-o", tmp_path / "easy", "--json")
    assert easy.code == 0, easy.err
    expected = gridtwin.simulate(jobs, cores=256, policy="easy").summary()
    found = {key: easy.json[key] for key in expected}
    assert found == json.loads(json.dumps(expected))
    assert easy.json["rejections"] == {}


def test_simulate_says_what_did_not_fit(run, trace, jobs, tmp_path):
    wide = int((jobs.collect()["cores_req"] > 16).sum())
    done = run("simulate", "--jobs", trace, "--cores", 16, "-o", tmp_path, "--json")
    assert done.code == 0
    assert done.json["rejections"] == {"wider than the machine": wide}
    done = run("simulate", "--jobs", trace, "--cores", 16, "-o", tmp_path)
    assert f"{wide} jobs not simulated: wider than the machine" in done.err


def test_simulate_on_a_platform(run, trace, tmp_path):
    platform = tmp_path / "two.toml"
    platform.write_text('[[site]]\nname = "A"\ncores = 64\n[[site]]\nname = "B"\ncores = 64\n')
    args = ("--jobs", trace, "--platform", platform, "--broker", "round_robin", "-o", tmp_path)
    done = run("simulate", *args, "--json")
    assert done.code == 0, done.err
    assert (done.json["sites"], done.json["cores"], done.json["jobs"]) == (2, 128, 300)
    platform.write_text("[[site]]\ncores = 64\n")
    assert run("simulate", *args).code == 1


@pytest.mark.parametrize("name", ["out.csv", "out.swf", "out.parquet", "out.swf.gz"])
def test_export(run, trace, jobs, tmp_path, name):
    done = run("export", trace, "-o", tmp_path / name, "--json")
    assert done.code == 0, done.err
    assert len(gridtwin.read(tmp_path / name)) == len(jobs)


def test_report(run, trace, synthetic, tmp_path):
    first, second = synthetic
    args = ("--train", trace, "--synthetic", first, "--synthetic", second, "-o", tmp_path)
    done = run("report", *args, "--json")
    assert done.code == 0, done.err
    page = (tmp_path / "report.html").read_text()
    assert done.json["report"] == str(tmp_path / "report.html")
    assert "<svg" in page


def test_report_of_a_folder(run, trace, tmp_path):
    assert run("simulate", "--jobs", trace, "-o", tmp_path / "sim").code == 0
    done = run("report", tmp_path / "sim", "--json")
    assert done.code == 0, done.err
    assert done.json["report"] == str(tmp_path / "sim" / "report.html")
    assert "Job by job" in (tmp_path / "sim" / "report.html").read_text()


def test_report_needs_a_folder_of_results_or_traces(run, trace, tmp_path):
    done = run("report", tmp_path)
    assert done.code == 1
    assert "neither spec.json nor summary.json" in done.err
    assert run("report").code == 2
    assert run("report", "--train", trace).code == 2
    assert run("report", tmp_path, "--train", trace).code == 2


def test_demo_on_a_file(run, trace, tmp_path):
    done = run("demo", "--data", trace, "--samples", 2, "-o", tmp_path, "--json")
    assert done.code == 0, done.err
    assert done.json["report"] == str(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for part in ("analysis/analysis.html", "fidelity/report.html", "study/report.html"):
        assert f'href="{part}"' in page
        assert (tmp_path / part).is_file()
    again = run("study", "show", tmp_path / "study", "--json").json
    assert again["done"] == again["runs"] == 27
    assert "sjf+easy · load x 1.5" in again["scenarios"].values()
