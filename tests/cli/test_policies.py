"""``gridtwin policies`` and ``gridtwin compare-policies``."""

import json

import pytest

import gridtwin


@pytest.fixture
def trace(jobs, tmp_path):
    path = tmp_path / "jobs.swf"
    gridtwin.write(jobs, path)
    return path


def test_policies_are_listed_with_formula_and_source(run):
    done = run("policies", "--json")
    assert done.code == 0, done.err
    listed = {one["name"]: one for one in done.json["policies"]}
    assert listed["f1"]["formula"] == "log10(r) n + 870 log10(s)"
    assert (listed["wfp3"]["moving"], listed["wfp3"]["simulate"]) == (True, True)
    assert all(one["source"] for one in listed.values())
    assert "SC 2017" in run("policies").out


def test_policies_are_compared(run, trace, tmp_path):
    args = ("compare-policies", trace, "--length", 50, "--cores", 64, "--policy", "fcfs")
    done = run(*args, "--policy", "sjf", "--backfill", "easy", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert {row["policy"] for row in done.json["rows"]} == {"fcfs+easy", "sjf+easy"}
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == done.json
    assert "times the bounded slowdown of fcfs+easy" in (tmp_path / "out/report.html").read_text()
    assert "overlap much" in done.err
    told = run(*args, "--protocol", "published")
    assert told.code == 1
    assert "size from the SWF header" in told.err
    told = run(*args[:4], "--protocol", "published", "--policy", "sjf")
    assert told.code == 0, told.err
    assert "for reproduction" in told.err
    assert "sjf" in told.out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--policy", "sfj"), "did you mean 'sjf'"),
        (("--objective", "bsl"), "did you mean 'bsld'"),
        (("--backfill", "eazy"), "did you mean 'easy'"),
        (("--protocol", "paird"), "did you mean 'paired'"),
    ],
)
def test_unknown_names_are_wrong_usage(run, trace, wrong, told):
    done = run("compare-policies", trace, "--length", 50, *wrong)
    assert done.code == 2
    assert told in done.err
