"""``gridtwin transfer``."""

OPTIONS = ("--model", "smote", "--seeds", 1, "--sequences", 10, "--length", 30, "--steps", 1)
OPTIONS += ("--cores", 64, "--backfill", "none")


def test_an_experiment_is_run_told_and_gone_on_with(run, trace, tmp_path):
    folder = tmp_path / "it"
    told = run("transfer", trace, *OPTIONS, "-o", folder)
    assert told.code == 0, told.err
    assert "smote+load" in told.out
    assert "of the model smote" in told.out
    assert "0 of 4 trainings are done" in told.err
    assert "warning: 1 seeds" in told.err
    assert {path.name for path in folder.iterdir()} == {
        *("experiment.json", "results.parquet", "summary.json", "report.html", "runs", "samples")
    }
    again = run("transfer", trace, *OPTIONS, "-o", folder, "--json")
    assert "4 of 4 trainings are done" in again.err
    assert again.json["plan"]["seeds"] == 1
    assert again.json["verdict"][0] in told.out
    other = run("transfer", trace, *OPTIONS, "--seed", 7, "-o", folder)
    assert other.code == 1
    assert "another experiment" in other.err


def test_unknown_names_are_wrong_usage(run, trace, tmp_path):
    for option, name in (("--method", "cma"), ("--backfill", "eazy"), ("--model", "smotte")):
        told = run("transfer", trace, option, name, "-o", tmp_path / "it")
        assert told.code == 2
        assert name in told.err
