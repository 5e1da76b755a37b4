"""Runs of a study: the same bytes on any executor, after any kill, and from the folder."""

import json
import pickle
import subprocess
import sys

import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.executor import Executor
from gridtwin.study.folder import Folder, run_file, write_table
from gridtwin.study.kpis import METRICS
from gridtwin.study.run import BINS, merge, resume, run, shard_of
from gridtwin.study.spec import load, parse

TABLES = ("results", "timelines", "comparison", "sensitivity")


def test_a_study_leaves_what_the_folder_says(study, tmp_path):
    told = []
    out = run(load(study), tmp_path / "run", progress=lambda *n: told.append(n), text="# mine")
    assert told == [(k, 8) for k in range(9)]
    folder = Folder.open(out)
    assert folder.complete
    assert (out / "study.toml").read_text() == "# mine"
    results = folder.results
    assert results.columns == ["scenario", "seed", "metric", "value"]
    assert results.height == 8 * len(METRICS)
    assert results.equals(results.sort("scenario", "seed", "metric"))
    assert not any("time" in name for name in results["metric"].unique() if "turn" not in name)
    assert folder.log.height == 8
    assert folder.feedback.is_empty()
    timelines = folder.timelines
    per_run = timelines.filter(pl.col("site").is_null()).group_by("scenario", "seed").len()
    assert per_run.height == 8
    assert per_run["len"].max() <= BINS


def test_the_timeline_of_all_sites_is_the_sum_of_theirs(study, tmp_path):
    timelines = Folder.open(run(load(study), tmp_path / "run")).timelines
    one = timelines.filter(pl.col("scenario") == "s001", pl.col("seed") == 1)
    mean = one.group_by(pl.col("site").is_null().alias("all"), "site").agg(
        pl.col("busy_cores").mean()
    )
    mean = mean.group_by("all").agg(pl.col("busy_cores").sum()).sort("all")["busy_cores"]
    assert mean[0] == pytest.approx(mean[1], rel=1e-4)
    down = one.filter(pl.col("site") == "A", pl.col("time_s").is_between(2.2 * 86400, 2.8 * 86400))
    assert down["busy_cores"].max() == 0.0


def test_a_what_if_does_what_it_says(study, tmp_path):
    results = Folder.open(run(load(study), tmp_path / "run")).results
    value = {(s, k, m): v for s, k, m, v in results.iter_rows()}
    assert value["s000", 0, "jobs"] == value["s001", 0, "jobs"] == value["s002", 0, "jobs"]
    assert value["s000", 0, "jobs"] != value["s000", 1, "jobs"]  # days drawn anew by the seed
    assert value["s000", 0, "outage_kills"] == 0
    assert value["s001", 0, "mean_wait"] > value["s000", 0, "mean_wait"]
    assert value["s000", 0, "attempts"] > value["s000", 0, "jobs"]


def test_the_chunks_of_a_frame_do_not_show_in_its_file(tmp_path):
    parts = [
        pl.DataFrame(
            {"site": [None] * 60, "x": [0.5] * 60}, schema={"site": pl.String, "x": float}
        ),
        pl.DataFrame({"site": ["A", "B"] * 2000, "x": [float(k) for k in range(4000)]}),
    ]
    frame = pl.concat(parts, rechunk=False)
    assert frame.n_chunks() == 2
    files = []
    for name, one in (("a", frame), ("b", pickle.loads(pickle.dumps(frame)))):
        write_table(one, tmp_path / name)
        files.append((tmp_path / name).read_bytes())
        one.write_parquet(tmp_path / f"{name}-plain")
    assert files[0] == files[1]
    assert (tmp_path / "a-plain").read_bytes() != files[0]  # without, it would


def test_processes_give_the_same_bytes(study, tmp_path, bytes_of):
    spec = load(study)
    run(spec, tmp_path / "one")
    run(spec, tmp_path / "two", executor=Executor("processes", 2))
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


@pytest.mark.ray
def test_ray_gives_the_same_bytes(study, tmp_path, bytes_of):
    pytest.importorskip("ray")
    spec = load(study)
    run(spec, tmp_path / "one")
    with Executor("ray", 2) as executor:
        run(spec, tmp_path / "two", executor=executor)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_shards_together_are_the_whole(study, tmp_path, bytes_of):
    spec = load(study)
    run(spec, tmp_path / "whole")
    for i in (1, 2, 3):
        run(spec, tmp_path / str(i), shard=(i, 3))
        part = Folder.open(tmp_path / str(i))
        assert 0 < len(part.finished) < part.total
        assert part.results["scenario"].n_unique() >= 1
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "most")
    assert not Folder.open(tmp_path / "most").complete
    merge([tmp_path / str(i) for i in (3, 1, 2)], tmp_path / "merged")
    assert bytes_of(tmp_path / "merged") == bytes_of(tmp_path / "whole")
    resume(tmp_path / "most")
    assert bytes_of(tmp_path / "most") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("n", [1, 3, 8, 20])
def test_every_run_is_in_one_shard(n):
    runs = [("s", k) for k in range(8)]
    parts = [list(shard_of(runs, (i, n))) for i in range(1, n + 1)]
    assert [pair for part in parts for pair in part] == runs
    with pytest.raises(InputError, match="shard"):
        shard_of(runs, (n + 1, n))


def test_a_run_is_repeated_from_its_folder(study, tmp_path, bytes_of):
    run(load(study), tmp_path / "one", text=study.read_text())
    study.unlink()
    run(load(tmp_path / "one"), tmp_path / "two", text=(tmp_path / "one/study.toml").read_text())
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_inputs_may_have_moved(study, tmp_path, bytes_of):
    run(load(study), tmp_path / "run", shard=(1, 2))
    (tmp_path / "elsewhere").mkdir()
    for name in ("jobs.parquet", "sites.toml"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    with pytest.raises(InputError, match=r"jobs\.parquet: there is no file"):
        resume(tmp_path / "run")
    resume(tmp_path / "run", root=tmp_path / "elsewhere")
    assert Folder.open(tmp_path / "run").complete
    run(load(tmp_path / "run", root=tmp_path / "elsewhere"), tmp_path / "again")
    first, second = bytes_of(tmp_path / "run"), bytes_of(tmp_path / "again")
    assert first.pop("spec.json") != second.pop("spec.json")  # it says where the inputs are
    assert first == second


def test_a_changed_input_is_refused(study, tmp_path, jobs):
    run(load(study), tmp_path / "run", shard=(1, 2))
    gridtwin.write(jobs.with_frame(jobs.frame.head(250)), tmp_path / "jobs.parquet")
    with pytest.raises(InputError, match=r"jobs\.parquet is not what it was"):
        resume(tmp_path / "run")
    with pytest.raises(InputError, match="an input differs"):
        run(load(study), tmp_path / "run")
    with pytest.raises(InputError, match=r"jobs\.parquet is not what it was"):
        load(tmp_path / "run")


def test_another_study_is_refused(study, tmp_path):
    run(load(study), tmp_path / "run", shard=(1, 8))
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 3"))
    with pytest.raises(InputError, match="another study: the study differs: seeds is 2, there 3"):
        run(load(study), tmp_path / "run")
    run(load(study), tmp_path / "other", shard=(1, 12))
    with pytest.raises(InputError, match="not of one study"):
        merge([tmp_path / "run", tmp_path / "other"], tmp_path / "merged")
    with pytest.raises(InputError, match=r"no spec\.json"):
        run(load(study), tmp_path)
    with pytest.raises(FormatError, match=r"no spec\.json"):
        resume(tmp_path)


def test_shards_that_differ_are_refused(study, tmp_path):
    for name in ("a", "b"):
        run(load(study), tmp_path / name, shard=(1, 8))
    path = run_file(tmp_path / "b", "s000", 0, ".json")
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    with pytest.raises(InputError, match="are of one run and differ"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "merged")


@pytest.mark.parametrize("kind", ["serial", "processes"])
def test_a_failing_run_names_its_scenario_and_keeps_the_others(study, tmp_path, kind):
    study.write_text(study.read_text().replace('lost = { site = "A"', 'lost = { site = "C"'))
    with pytest.raises(InputError) as error:
        run(load(study), tmp_path / "run", executor=Executor(kind, 2))
    assert "scenario s001 (least_loaded · A lost for a day), seed 0" in str(error.value)
    assert "whatif.lost.site: there is no site 'C' in the platform; it has A, B" in str(error.value)
    folder = Folder.open(tmp_path / "run")
    assert ("s000", 0) in folder.finished
    assert folder.results["value"].drop_nulls().len() > 0


def test_an_unfinished_folder_can_be_looked_at(study, tmp_path):
    run(load(study), tmp_path / "run", shard=(1, 4))
    folder = Folder.open(tmp_path / "run")
    assert (len(folder.finished), folder.total, folder.complete) == (2, 8, False)
    assert set(folder.comparison["scenario"]) == {"s000", "s001"}
    assert folder.sensitivity.is_empty()  # not all scenarios have a seed in common
    (tmp_path / "run" / "results.parquet").unlink()
    assert Folder.open(tmp_path / "run").results.height == 2 * len(METRICS)
    run_file(tmp_path / "run", "s000", 0, ".json").write_text("{")
    with pytest.raises(FormatError, match="remove it and resume"):
        _ = Folder.open(tmp_path / "run").results


def test_without_axes_there_is_one_scenario(tmp_path, jobs):
    gridtwin.write(jobs, tmp_path / "jobs.parquet")
    spec = parse('[workload]\nrecords = "jobs.parquet"\ndays = 3\n', root=tmp_path)
    folder = Folder.open(run(spec, tmp_path / "run"))
    assert folder.total == 1
    assert folder.comparison["change"].to_list() == [0.0] * folder.comparison.height
    jobs_run = folder.results.filter(pl.col("metric") == "jobs")["value"].item()
    assert 0 < jobs_run < 300


def _start(study, out):
    command = [sys.executable, "-m", "gridtwin", "study", "run", str(study), "-o", str(out)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _kill_after(process, runs):
    """Kill -9 a study as soon as it says that so many runs are done."""
    for line in process.stderr:
        if line.startswith(f"{runs} of"):
            break
    process.kill()
    process.communicate()
    assert process.returncode == -9


@pytest.mark.slow
def test_killed_at_several_moments_and_resumed_it_gives_the_same_bytes(study, tmp_path, bytes_of):
    text = study.read_text()
    run(load(study), tmp_path / "whole", text=text)
    out = tmp_path / "killed"
    for runs in (0, 1, 4, 7):
        _kill_after(_start(study, out), runs)
        if (out / "spec.json").exists():
            assert Folder.open(out).results.height % len(METRICS) == 0
    (out / "runs" / ".s000-0.json.abcd").write_text("half")  # as a kill in a write leaves it
    resume(out)
    assert bytes_of(out) == bytes_of(tmp_path / "whole")
    assert Folder.open(out).log.height >= 8


def test_a_study_that_was_killed_before_it_began_begins(study, tmp_path, bytes_of):
    text = study.read_text()
    run(load(study), tmp_path / "whole", shard=(1, 8), text=text)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "study.toml").write_text(text)
    (tmp_path / "begun" / ".spec.json.x1y2").write_text('{"format"')
    run(load(study), tmp_path / "begun", shard=(1, 8), text=text)
    assert bytes_of(tmp_path / "begun") == bytes_of(tmp_path / "whole")


def test_what_a_kill_left_half_is_done_again(study, tmp_path, bytes_of):
    run(load(study), tmp_path / "whole")
    run(load(study), tmp_path / "half", shard=(1, 2))
    # killed between the two files of a run, and while it wrote the log
    run_file(tmp_path / "half", "s003", 0, ".json").unlink()
    with (tmp_path / "half" / "log.jsonl").open("a") as log:
        log.write('{"scenario": "s0')
    resume(tmp_path / "half")
    assert bytes_of(tmp_path / "half") == bytes_of(tmp_path / "whole")
    assert json.loads((tmp_path / "half" / "spec.json").read_text())["base"] == "s000"
