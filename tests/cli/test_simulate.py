"""``gridtwin simulate`` on grids."""

import json

import polars as pl
import pytest

from gridtwin.sim import Link, Platform, Site, outages
from gridtwin.sim.outages import Outage


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.toml"
    sites = (Site.of("A", 512, 1e9), Site.of("B", 512, 2e9), Site("store"))
    links = (
        Link("a", 1e9, 0.01, ends=("store", "A")),
        Link("b", 1e9, 0.01, ends=("store", "B")),
    )
    Platform(sites, links).save(path)
    return path


@pytest.fixture
def data(jobs, tmp_path):
    """The made-up trace, with data; and others' jobs."""
    import gridtwin

    names = pl.Series(["A", "B"] * 150)
    frame = jobs.collect().with_columns(site=names, input_bytes=pl.lit(1e9), dataset=pl.lit("d"))
    gridtwin.write(jobs.with_frame(frame), tmp_path / "jobs.parquet")
    others = frame.head(20).with_columns(job_id=pl.format("x{}", "job_id"))
    gridtwin.write(jobs.with_frame(others), tmp_path / "local.parquet")
    replicas = pl.DataFrame({"dataset": ["d"], "site": ["store"]})
    replicas.write_parquet(tmp_path / "replicas.parquet")
    return tmp_path


def test_a_grid_with_all_that_can_go_wrong(run, grid, data):
    (data / "f.toml").write_text('chance = 0.01\nretry_delay = "5 min"\nelsewhere = 0.9\n')
    outages.save(data / "o.toml", [Outage("A", 0.0, 1e9)])
    args = (
        *("simulate", "--jobs", data / "jobs.parquet", "--platform", grid, "--policy", "fcfs"),
        *("--broker", "fewest_jobs", "--failures", data / "f.toml", "--failure-rate", 0.2),
        *("--retries", 3, "--outages", data / "o.toml", "--local", data / "local.parquet"),
        *("--replicas", data / "replicas.parquet", "--format", "cgsim", "--format", "batsim"),
    )
    done = run(*args, "-o", data / "run", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["kernel"] == "grid"
    assert sum(found["outcomes"].values()) == 300
    assert found["attempts"] > 300
    assert found["moved_bytes"] >= 300e9
    assert found["local_attempts"] >= 20
    names = {path.name for path in (data / "run").iterdir()}
    assert {"jobs.parquet", "local.parquet", "transfers.parquet", "decisions.parquet"} <= names
    assert {"links.parquet", "events.sqlite", "jobs.csv", "summary.json"} <= names
    told = run(*args, "-o", data / "again")
    assert told.code == 0, told.err
    assert "outcomes" in told.out
    assert "finished" in told.out


def test_a_bound_on_events_is_told(run, grid, data):
    args = ("simulate", "--jobs", data / "jobs.parquet", "--platform", grid, "--policy", "fcfs")
    done = run(*args, "--limit", 50, "-o", data / "run")
    assert done.code == 0, done.err
    assert "stopped after 50 events" in done.err
    done = run(*args, "--limit", 50, "-o", data / "run", "--json")
    assert done.json["complete"] is False
    assert sum(done.json["outcomes"].values()) == 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--broker", "nearest"), "unknown broker 'nearest'"),
        (("--format", "excel"), "unknown format 'excel'"),
        (("--failures", "{data}/local.parquet"), "no TOML file"),
        (("--replicas", "{data}/grid.toml"), "no readable Parquet"),
        (("--files", "{data}/none.parquet"), "none.parquet"),
        (("--outages", "{data}/none.toml"), "none.toml"),
        (("--origin", "moon"), "origin: there is no site or router 'moon'"),
        (("--local", "{data}/jobs.parquet"), "is a local job too"),
        (("--parents", "{data}/replicas.parquet"), "parents need the columns job_id and parent"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(run, grid, data, options, message):
    options = [option.format(data=data) for option in options]
    args = ("simulate", "--jobs", data / "jobs.parquet", "--platform", grid, "--policy", "fcfs")
    done = run(*args, *options, "-o", data / "run")
    assert done.code in (1, 2)  # 2: a name that is none
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (data / "run").exists()


BATSIM = {
    "nb_res": 4,
    "jobs": [
        {"id": str(k), "subtime": k, "res": 2, "profile": "p", "colour": "red"} for k in range(3)
    ],
    "profiles": {"p": {"type": "delay", "delay": 10}},
}


def test_a_scenario_of_another_simulator(run, grid, tmp_path):
    (tmp_path / "w.json").write_text(json.dumps(BATSIM), encoding="utf-8")
    args = ("simulate", "--scenario", tmp_path / "w.json", "-o", tmp_path / "run")
    done = run(*args, "--format", "dcsim", "--format", "batsim", "--json")
    assert done.code == 0, done.err
    assert done.json["outcomes"] == {"finished": 3}
    assert done.json["notes"] == ["key 'colour' of 3 jobs is not used"]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"jobs.parquet", "jobs.csv", "results.csv", "summary.json"} <= names
    done = run(*args, "--platform", grid)
    assert done.code == 0, done.err
    assert "note: nb_res is 4; the platform has 1024 cores." in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give one of them"),
        (("--jobs", "w.json", "--scenario", "w.json"), "give one of them"),
        (("--jobs", "w.json", "--datasets", "w.json"), "needs --scenario"),
        (("--scenario", "w.json", "--stream"), "a scenario says this itself"),
        (("--scenario", "w.json", "--cores", "4"), "a scenario says this itself"),
        (("--scenario", "w.json", "--datasets", "w.json"), "without workloads"),
        (("--scenario", "none.json"), "there is no such file"),
    ],
)
def test_scenarios_that_cannot_be_run_are_refused(run, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.json").write_text(json.dumps(BATSIM), encoding="utf-8")
    done = run("simulate", *options, "-o", tmp_path / "run")
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "run").exists()


def test_data_are_placed_while_jobs_run(run, grid, data):
    done = run(
        *("simulate", "--jobs", data / "jobs.parquet", "--platform", grid, "--policy", "fcfs"),
        *("--replicas", data / "replicas.parquet", "--placement", "popularity+lru"),
        *("--placement-every", 0.05, "-o", data / "placed", "--json"),
    )
    told = json.loads((data / "placed" / "placement.json").read_text(encoding="utf-8"))
    copies = pl.read_parquet(data / "placed" / "copies.parquet")
    assert told["figures"]["copies"] == copies.drop_nulls("end").height > 0
    assert set(told["figures"]) == set(told["definitions"])
    assert any("placement popularity+lru" in note for note in done.json["notes"])
    assert (data / "placed" / "jobs.parquet").exists()
    wrong = run(
        *("simulate", "--jobs", data / "jobs.parquet", "--platform", grid, "--policy", "fcfs"),
        *("--placement", "prefech", "-o", data / "wrong"),
    )
    assert wrong.code == 2
    assert "did you mean 'prefetch'" in wrong.err


def test_a_page_is_written_unless_it_is_not_wanted(run, trace, tmp_path):
    args = ("simulate", "--jobs", trace, "--cores", 256, "-o")
    done = run(*args, tmp_path / "with")
    assert done.code == 0, done.err
    assert f"report: {tmp_path / 'with' / 'report.html'}" in done.out
    assert "300 jobs ran" in (tmp_path / "with" / "report.html").read_text()
    assert run(*args, tmp_path / "without", "--no-report").code == 0
    assert not (tmp_path / "without" / "report.html").exists()
