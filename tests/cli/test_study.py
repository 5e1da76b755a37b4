"""The commands of a study, from a new file to a comparison."""

import pytest

import gridtwin
from gridtwin.study.spec import load


@pytest.fixture
def small(trace, tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(
        f'seeds = 2\n[workload]\nrecords = "{trace}"\ndays = 4\nreplicate = "days"\n'
        "[platform]\ncores = 128\n"
        '[policy]\nqueue = ["fcfs", "easy"]\n[[whatif]]\nname = "base"\n'
        '[[whatif]]\nname = "double"\nload = 2\n'
    )
    return path


def test_a_new_file_is_a_study(run, tmp_path, trace):
    path = tmp_path / "mine.toml"
    done = run("study", "new", path)
    assert done.code == 0
    assert "gridtwin study run" in done.out
    assert load(path).axes["whatif"] == ("base", "load x 1.5", "BNL lost for a day")
    again = run("study", "new", path)
    assert again.code == 1
    assert "is there already" in again.err
    assert run("study", "new", path, "--force", "--records", trace).code == 0
    assert load(path).scenarios[0].workload.records == str(trace)
    assert run("study", "new", tmp_path / "x.toml", "--records", tmp_path / "no").code == 1


@pytest.mark.slow
def test_a_new_file_runs_as_it_is(run, tmp_path, trace):
    for name, more in (("a", ()), ("b", ("--records", trace))):
        assert run("study", "new", tmp_path / f"{name}.toml", *more).code == 0
        done = run("study", "run", tmp_path / f"{name}.toml", "-o", tmp_path / name)
        assert (done.code, "runs done" in done.out) == (0, True)


def test_the_keys_in_the_comments_of_a_new_file_are_right(tmp_path):
    from gridtwin.study.spec import parse
    from gridtwin.study.template import write

    lines = write(tmp_path / "s.toml").read_text().splitlines()
    shown = [line[2:] for line in lines if line.startswith("# ") and " = {" in line]
    shown += ["outages = 'outages.toml'"]
    (tmp_path / "outages.toml").write_text("outage = []\n")
    assert len(shown) > 8
    for line in shown:
        spec = (
            parse(f'[workload]\nexample = "panda"\n[[whatif]]\n{line}\n', root=tmp_path)
            if (not line.startswith("base"))
            else None
        )
        assert spec is None or spec.scenarios[0].whatif.model_fields_set


def test_run_show_and_compare(run, small, tmp_path):
    out = tmp_path / "run"
    done = run("study", "run", small, "-o", out)
    assert done.code == 0
    assert "8 of 8 runs" in done.err
    assert "easy · double" in done.out
    shown = run("study", "show", out, "--json").json
    assert (shown["done"], shown["runs"], shown["base"]) == (8, 8, "s000")
    assert {row["axis"] for row in shown["sensitivity"]} == {"queue", "whatif", "seed", "together"}
    found = run("study", "compare", out, "--base", "easy · base", "--metric", "jobs", "--json").json
    change = {found["scenarios"][row["scenario"]]: row["change"] for row in found["comparison"]}
    assert change["fcfs · base"] == change["easy · base"] == 0.0
    assert change["easy · double"] > 0
    text = run("study", "compare", out, "--metric", "mean_wait")
    assert "mean_wait (s)" in text.out
    assert run("study", "compare", out, "--metric", "mean_weight").code == 2
    assert run("study", "compare", out, "--base", "nothing").code == 1


def test_shards_merge_and_resume(run, small, tmp_path):
    for i in (1, 2):
        assert run("study", "run", small, "-o", tmp_path / str(i), "--shard", f"{i}/2").code == 0
    told = run("study", "show", tmp_path / "1")
    assert "4 runs are missing (s000-1, s001-1," in told.err
    assert run("study", "merge", tmp_path / "all", tmp_path / "1", tmp_path / "2").code == 0
    resumed = run("study", "resume", tmp_path / "1", "--json").json
    assert (
        resumed["comparison"] == run("study", "show", tmp_path / "all", "--json").json["comparison"]
    )
    again = run("study", "run", tmp_path / "all", "-o", tmp_path / "again")
    assert again.code == 0
    assert (tmp_path / "again/results.parquet").read_bytes() == (
        tmp_path / "all/results.parquet"
    ).read_bytes()


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--executor", "threads"), 2, "'threads' is not one of"),
        (("--shard", "1"), 2, "expected i/n"),
        (("--shard", "3/2"), 1, "shard 3/2"),
    ],
)
def test_wrong_options_are_told(run, small, tmp_path, more, code, told):
    done = run("study", "run", small, "-o", tmp_path / "run", *more)
    assert (done.code, told in done.err) == (code, True)


def test_a_bad_file_is_told(run, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[workload]\nexample = "lublin"\n[policy]\nbroker = ["random", "best"]\n')
    done = run("study", "run", path)
    assert done.code == 1
    assert "bad.toml: policy.broker[1]: unknown broker 'best'" in done.err


def test_an_input_that_changed_is_told(run, jobs, small, tmp_path):
    own = tmp_path / "own.parquet"
    gridtwin.write(jobs, own)
    small.write_text('[workload]\nrecords = "own.parquet"\ndays = 2\n')
    assert run("study", "run", small, "-o", tmp_path / "run").code == 0
    gridtwin.write(jobs.with_frame(jobs.frame.head(99)), own)
    done = run("study", "resume", tmp_path / "run")
    assert done.code == 1
    assert "own.parquet is not what it was when the study began" in done.err
