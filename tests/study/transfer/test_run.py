"""The experiment as a whole, on a made-up trace."""

import json
import shutil

import polars as pl
import pytest

from gridtwin.core.errors import FormatError, InputError, UnknownNameError
from gridtwin.core.executor import Executor
from gridtwin.study.benchmark import Contender
from gridtwin.study.transfer import Plan, transfer

PLAN = Plan(
    models=(Contender("trace"), Contender("smote")),
    seeds=2,
    sequences=20,
    length=30,
    steps=1,
    cores=64,
)


@pytest.fixture(scope="module")
def done(jobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer") / "it"
    return transfer(jobs, folder, PLAN), folder


def test_every_source_seed_and_sequence_has_a_score(done):
    told, folder = done
    results = pl.read_parquet(folder / "results.parquet")
    sources = ["real", "real weeks", "trace", "smote", "smote+load"]
    assert results.height == 2 * len(sources) * 2 * 20
    assert results["source"].unique(maintain_order=True).to_list() == sources
    assert results.null_count().sum_horizontal().item() == 0
    for setting in told["settings"]:
        rows = {row["source"]: row for row in setting["sources"]}
        assert list(rows) == sources
        mine = results.filter(pl.col("backfill") == setting["backfill"])
        means = dict(mine.group_by("source").agg(pl.col("score").mean()).iter_rows())
        for source in sources:
            assert rows[source]["score"]["mean"] == pytest.approx(means[source])
            difference = rows[source]["difference"]["mean"]
            assert difference == pytest.approx(means[source] - means["real"], abs=1e-12)
        scores = {h["policy"]: h["score"]["mean"] for h in setting["heuristics"]}
        assert scores["sjf"] == 0
        assert setting["best"] == min(scores, key=scores.get)
        assert rows["smote+load"]["load"] == pytest.approx(rows["real"]["load"])
    assert json.loads((folder / "summary.json").read_text()) == told


def test_it_warns(done):
    told, _ = done
    assert any("2 seeds" in warning for warning in told["warnings"])
    assert any("stretches" in warning for warning in told["warnings"])


def test_what_is_done_is_not_done_again_and_gives_the_same(jobs, done, tmp_path):
    told, folder = done
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    lost = [again / "runs" / "none-trace-1.json", again / "samples" / "smote" / "0.parquet"]
    for path in lost:
        path.unlink()
    for name in ("results.parquet", "summary.json"):
        (again / name).unlink()
    kept = (again / "runs" / "easy-real-0.json").stat().st_mtime_ns
    said = []
    assert transfer(jobs, again, PLAN, progress=said.append) == told
    assert "19 of 20 trainings are done" in said
    assert (again / "runs" / "easy-real-0.json").stat().st_mtime_ns == kept
    for name in ("results.parquet", "summary.json", "runs/none-trace-1.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_processes_give_the_same_bytes(jobs, done, tmp_path):
    told, folder = done
    assert transfer(jobs, tmp_path / "it", PLAN, executor=Executor("processes", 2)) == told
    for name in ("results.parquet", "summary.json"):
        assert (tmp_path / "it" / name).read_bytes() == (folder / name).read_bytes()


def test_another_experiment_in_the_folder_is_refused(jobs, done):
    _, folder = done
    other = jobs.with_frame(jobs.collect().head(280))
    with pytest.raises(InputError, match="another experiment, by sha256"):
        transfer(other, folder, PLAN)
    with pytest.raises(InputError, match="another experiment, by plan"):
        transfer(jobs, folder, Plan(seeds=1, cores=64, length=30))


def test_other_files_and_broken_ones_are_refused(jobs, done, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"no experiment\.json"):
        transfer(jobs, tmp_path, PLAN)
    broken = tmp_path / "broken"
    shutil.copytree(done[1], broken)
    (broken / "runs" / "none-real-0.json").write_text("{")
    with pytest.raises(FormatError, match="remove it"):
        transfer(jobs, broken, PLAN)


def test_a_model_that_cannot_learn_is_left_out_and_told(jobs, tmp_path):
    models = (Contender("trace", {"leaf": 0}, "bad"), Contender("smote"))
    plan = Plan(**{**PLAN.__dict__, "backfills": ("none",), "seeds": 1, "models": models})
    told = transfer(jobs, tmp_path / "it", plan)
    assert list(told["failed"]) == ["bad"]
    sources = [row["source"] for row in told["settings"][0]["sources"]]
    assert sources == ["real", "real weeks", "smote", "smote+load"]
    assert any(warning.startswith("bad is left out: trace: leaf") for warning in told["warnings"])


def test_a_machine_that_is_too_large_hardly_queues(jobs, tmp_path):
    plan = Plan(
        models=(), backfills=("none",), seeds=1, sequences=5, length=20, steps=1, cores=9999
    )
    told = transfer(jobs, tmp_path / "it", plan)
    assert any("hardly queue" in warning for warning in told["warnings"])
    assert any("little to learn from" in warning for warning in told["warnings"])
    real = told["settings"][0]["sources"][0]
    assert real["kept"]["fcfs"]["share"] is None


def test_a_trace_that_is_too_short_is_refused(jobs, tmp_path):
    with pytest.raises(InputError, match="choose a smaller length"):
        transfer(jobs, tmp_path, Plan(length=500, cores=64))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"seeds": 0}, InputError),
        ({"method": "cma"}, UnknownNameError),
        ({"backfills": ("eazy",)}, UnknownNameError),
        ({"backfills": ("none", "none")}, InputError),
        ({"baseline": "sjf+easy"}, InputError),
        ({"baseline": "sfj"}, UnknownNameError),
        ({"models": (Contender("smotte"),)}, UnknownNameError),
        ({"models": (Contender("smote"), Contender("smote"))}, InputError),
    ],
)
def test_bad_plans_are_refused(bad, error):
    with pytest.raises(error):
        Plan(**bad)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["es", "ppo"])
def test_other_methods_train_too(jobs, tmp_path, method):
    if method == "ppo":
        pytest.importorskip("torch")
    plan = Plan(**{**PLAN.__dict__, "method": method, "backfills": ("none",), "models": ()})
    told = transfer(jobs, tmp_path / "it", plan)
    assert told["settings"][0]["sources"][0]["score"]["mean"] < 1
