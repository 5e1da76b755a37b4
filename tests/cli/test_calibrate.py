import pytest

from gridtwin.sim import Platform

pytest.importorskip("optuna", reason="calibration needs the extra tune")


def test_calibrate_prints_what_it_found_and_writes_it(run, trace, tmp_path):
    to = ("-o", tmp_path / "out", "--trials", 4, "--profiles", 0)
    done = run("calibrate", "--jobs", trace, "--free", "cores, dispatch", *to)
    assert done.code == 0, done.err
    assert "95 % intervals" in done.out
    assert "fitting machine" in done.err
    assert Platform.load(tmp_path / "out" / "platform.toml").names == ["machine"]
    again = run("calibrate", "--jobs", trace, *to, "--json")
    assert again.json["trials"] == 4
    assert {score["quantity"] for score in again.json["scores"]} == {"wait", "log_wait"}


def test_calibrate_says_what_cannot_be_fitted(run, trace, tmp_path):
    done = run("calibrate", "--jobs", trace, "--free", "speed", "-o", tmp_path / "out")
    assert done.code == 1
    assert "'speed' cannot be fitted; choose from policy, cores" in done.err
