"""Simulations that the grid kernel answers, by hand."""

import json
import math
import sqlite3

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.analysis.analyse import analyse
from gridtwin.core.errors import InputError, SchemaError, UnknownNameError
from gridtwin.sim import Link, Platform, Pool, Site, Storage, simulate
from gridtwin.sim.assemble import Rules
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.outages import Outage
from gridtwin.sim.workload import Workload
from gridtwin.trace.schema import TraceSchema

TWO = Platform((Site.of("A", 4), Site.of("B", 8)))
FAST = Platform((Site.of("slow", 2, 1e9), Site.of("fast", 2, 2e9)))
WIRED = Platform(
    (Site.of("A", 4), Site.of("B", 4)), (Link("wan", 1e8, ends=("A", "B")),), routers=("tape",)
)


def column(result, name):
    return result.jobs.collect()[name].to_list()


def test_the_kernel_is_chosen_by_what_is_asked(records):
    jobs = records((0.0, 1, 5.0), site=["A"])
    assert simulate(jobs, platform=TWO).kernel == "compute"
    assert simulate(jobs, platform=TWO, faults=Faults()).kernel == "grid"
    for asked in (
        {"platform": FAST},
        {"platform": WIRED},
        {"platform": TWO, "policy": "priority"},
        {"platform": TWO, "broker": "fewest_jobs"},
        {"platform": TWO, "broker": lambda view: 0},
        {"platform": TWO, "limit": 10},
        {"platform": TWO, "rules": Rules(pilot=1.0)},
        {"platform": TWO, "local": records((0.0, 1, 1.0), job_id=["x"], site=["A"])},
        {"platform": Platform((Site("A", (Pool(1), Pool(2))),)), "policy": "fcfs"},
        {"platform": Platform((Site("A", (Pool(1, memory=1e9),)),))},
    ):
        result = simulate(jobs, **asked)
        assert (result.kernel, result.outcomes) == ("grid", {"finished": 1}), asked


@pytest.mark.parametrize("policy", ["fcfs", "easy"])
def test_both_kernels_agree_on_what_both_can_answer(jobs, policy):
    platform = Platform((Site.of("small", 64), Site.of("large", 256)))
    plain = simulate(jobs, platform=platform, policy=policy)
    grid = simulate(jobs, platform=platform, policy=policy, faults=Faults())
    names = ["job_id", "site", "start_time", "end_time"]
    first, second = (r.jobs.collect(names).sort("job_id") for r in (plain, grid))
    assert first["site"].to_list() == second["site"].to_list()
    assert np.allclose(first["start_time"], second["start_time"], atol=1e-6)
    assert np.allclose(first["end_time"], second["end_time"], atol=1e-6)
    for key, value in plain.summary().items():
        assert grid.summary()[key] == (pytest.approx(value) if key != "seed" else 0), key
    assert plain.outcomes == grid.outcomes == {"finished": len(jobs)}


def test_jobs_run_faster_where_cores_are_faster(records):
    """Work is run time x core power, else x the speed of the recorded site."""
    jobs = records(
        (0.0, 2, 10.0),
        (0.0, 2, 10.0),
        site=["fast", "slow"],
        core_power=[None, 16.0],
        cpu_time=[15.0, 18.0],
        status=["failed", "finished"],
    )
    result = simulate(jobs, platform=FAST, policy="fcfs", broker="round_robin")
    assert column(result, "site") == ["slow", "fast"]
    assert column(result, "run_time") == [20.0, 20.0]  # 10 s at 2 Gf; 10 s at 16 HS23 = 4 Gf
    assert column(result, "core_power") == [4.0, 8.0]
    assert column(result, "cpu_time") == [30.0, 36.0]
    assert column(result, "status") == ["finished", "finished"]


def test_failed_jobs_are_tried_again_and_each_attempt_is_a_record(records):
    jobs = records(*[(float(k), 1, 10.0) for k in range(200)], cpu_time=[8.0] * 200)
    faults = Faults(
        chance=0.5,
        failures=(Failure("pilot:1305", 0.75, (0.5, 0.5)), Failure("pilot:1099", 0.25, (0.0, 0.0))),
        attempts=3,
        retry_delay=7.0,
        elsewhere=1.0,
    )
    result = simulate(jobs, platform=TWO, policy="fcfs", faults=faults, seed=1)
    assert sum(result.outcomes.values()) == 200
    assert set(result.outcomes) == {"finished", "failed"}
    assert 5 < result.outcomes["failed"] < 60  # 25 expected
    frame = result.jobs.collect()
    assert frame["job_id"].n_unique() == frame.height == result.summary()["attempts"]
    assert set(frame["raw_status"]) == {"finished", "failed"}
    failed = frame.filter(pl.col("status") == "failed")
    codes = failed["error_codes"].list.first()
    assert (codes == "pilot:1305").mean() == pytest.approx(0.75, abs=0.12)
    assert failed.filter(codes == "pilot:1305")["run_time"].unique().to_list() == [5.0]
    assert failed.filter(codes == "pilot:1305")["cpu_time"].unique().to_list() == [4.0]
    retried = frame.filter(pl.col("attempt") > 0)
    both = retried.join(frame, left_on="parent_id", right_on="job_id", suffix="_before")
    assert both.height == retried.height > 50
    assert (both["submit_time"] == both["end_time_before"] + 7).all()
    assert (both["site"] != both["site_before"]).all()
    assert (both["attempt"] == both["attempt_before"] + 1).all()
    assert (both["status_before"] == "failed").all()


def test_retries_of_the_records_are_left_out_where_the_simulation_makes_its_own(records):
    jobs = records(
        *[(0.0, 1, 1.0)] * 3, attempt=[0, 1, 1], parent_id=[None, "j0", None], job_id=list("abc")
    )
    own = simulate(jobs, platform=TWO, faults=Faults(attempts=2))
    assert own.rejected == {"a retry of the records": 1}
    assert own.outcomes == {"finished": 2, "rejected": 1}
    assert simulate(jobs, platform=TWO, faults=Faults()).rejected == {}


def test_inputs_are_moved_and_told(records):
    jobs = records(
        (0.0, 1, 10.0),
        (0.0, 1, 10.0),
        site=["A", "A"],
        input_bytes=[97e8, 97e8],
        dataset=["d", "e"],
    )
    result = simulate(jobs, platform=WIRED, policy="fcfs", broker=lambda view: view.job)
    assert (result.kernel, result.level) == ("grid", 1)
    moved = result.transfers
    assert moved.select("job_id", "file", "source", "destination", "kind").rows() == [
        ("j1", "e#0", "A", "B", "stage_in")
    ]
    assert moved["bytes"].item() == 97e8
    assert moved["end"].item() == pytest.approx(100 * 1.05, rel=1e-9)  # acks take their share
    assert column(result, "remote_bytes") == [0.0, 97e8]
    assert column(result, "run_time") == pytest.approx([10.0, 115.0])
    links = result.links(10)
    assert set(links["link"]) == {"wan"}
    rates = links["rate"].to_numpy()
    assert rates.sum() * 11.5 == pytest.approx(97e8)
    assert rates[-1] == pytest.approx(97e8 / 105 * (105 - 103.5) / 11.5, rel=1e-6)


def test_a_second_task_on_a_data_set_finds_what_the_first_one_brought(records):
    cache = Storage("cache", capacity=1e12, kind="cache")
    platform = Platform(
        (Site("A", (Pool(1),), (cache,)), Site("B")), (Link("wan", 1e8, ends=("A", "B")),)
    )
    jobs = records(
        (0.0, 1, 10.0),
        (1.0, 1, 10.0),
        (1e4, 1, 10.0),
        (2e4, 1, 10.0),
        task_id=["1", "1", "2", "3"],
        dataset=["d"] * 4,
        input_bytes=[1e9, 1e9, 1e9, 2e9],
    )
    result = simulate(jobs, platform=platform, policy="fcfs", origin="B")
    assert result.level == 3
    # the third reads what the first did; the fourth's file is another, of another size
    assert result.transfers["job_id"].to_list() == ["j0", "j1", "j3"]
    assert result.transfers["file"].to_list() == ["d#0", "d#1", "d#0"]


def test_files_and_replicas_may_be_given(records):
    jobs = records((0.0, 1, 1.0), (0.0, 1, 1.0))
    files = pl.DataFrame(
        {
            "pandaid": ["j0", "j0", "j1", "j1"],
            "lfn": ["x", "y", "x", "log"],
            "fsize": [1e9, 2e9, 1e9, 5.0],
            "type": ["input", "input", "input", "log"],
            "dataset": ["d", "e", "d", None],
        }
    )
    replicas = pl.DataFrame(
        {"dataset": ["d", "e", "e"], "site": ["B", "A", "nowhere"], "state": ["A", "A", "A"]}
    )
    options = {"platform": WIRED, "policy": "fcfs", "broker": lambda view: 0, "files": files}
    result = simulate(jobs, **options, replicas=replicas)
    assert result.transfers.select("job_id", "file", "source").sort("job_id").rows() == [
        ("j0", "x", "B"),
        ("j1", "x", "B"),
    ]
    assert column(result, "input_bytes") == [3e9, 1e9]
    assert any("1 replicas at sites" in note for note in result.notes)
    by_file = simulate(
        jobs, **options, replicas=pl.DataFrame({"lfn": ["x", "y"], "site": ["A"] * 2})
    )
    assert by_file.transfers.is_empty()
    lost = simulate(jobs, **options, replicas=replicas.head(1))
    assert any("1 of 2 input files" in note for note in lost.notes)
    assert column(lost, "input_bytes") == [1e9, 1e9]


def test_data_local_goes_where_most_bytes_are(records):
    jobs = records((0.0, 1, 1.0), (0.0, 1, 1.0), input_bytes=[1e9, 1e9], dataset=["d", "e"])
    replicas = pl.DataFrame({"dataset": ["d", "e"], "site": ["B", "A"]})
    result = simulate(jobs, platform=WIRED, policy="fcfs", broker="data_local", replicas=replicas)
    assert column(result, "site") == ["B", "A"]
    assert result.transfers.is_empty()


def test_children_start_after_their_parents(records):
    jobs = records((0.0, 1, 10.0), (0.0, 1, 5.0), (1.0, 1, 5.0))
    parents = pl.DataFrame({"job_id": ["j2", "j2", "j1"], "parent": ["j0", "j1", "elsewhere"]})
    result = simulate(jobs, platform=TWO, policy="fcfs", parents=parents)
    assert result.jobs.collect().sort("job_id")["start_time"].to_list() == [0, 0, 10]
    assert any("1 of 3 pairs" in note for note in result.notes)
    with pytest.raises(SchemaError, match="job_id and parent"):
        simulate(jobs, platform=TWO, parents=pl.DataFrame({"job_id": ["j1"]}))


def test_children_of_what_failed_are_not_run(records):
    jobs = records((0.0, 99, 10.0), (0.0, 1, 5.0), (0.0, 1, 5.0))
    parents = pl.DataFrame({"job_id": ["j1", "j2"], "parent": ["j0", "j1"]})
    result = simulate(jobs, platform=TWO, policy="fcfs", parents=parents)
    assert result.outcomes == {"no_site": 1, "parent_failed": 2}
    assert sorted(column(result, "status")) == ["cancelled", "cancelled", "closed"]
    assert result.decisions.rows() == [(0.0, "j0", 0, None, "least_loaded")]


def test_local_jobs_take_room_and_are_told_apart(records):
    jobs = records((0.0, 4, 10.0), (1.0, 4, 10.0))
    local = records((0.5, 8, 20.0), (0.5, 1, 1.0), job_id=["x", "y"], site=["B", "elsewhere"])
    result = simulate(jobs, platform=TWO, policy="fcfs", local=local)
    assert column(result, "job_id") == ["j0", "j1"]
    assert column(result, "site") == ["A", "A"]
    assert column(result, "wait_time") == [0.0, 9.0]
    assert result.local.collect()["job_id"].to_list() == ["x"]
    assert result.outcomes == {"finished": 2}
    assert result.summary()["local_attempts"] == 1
    assert result.summary()["utilisation"] == pytest.approx((2 * 40 + 160) / (12 * 20.5))
    assert result.decisions["chosen_by"].to_list() == ["least_loaded", "fixed", "least_loaded"]
    assert any("1 local jobs are at no site" in note for note in result.notes)
    busy = result.timeline.filter(pl.col("site") == "B")
    assert busy["busy_cores"].to_list() == [8, 0]
    with pytest.raises(InputError, match="is a local job too"):
        simulate(jobs, platform=TWO, local=records((0.0, 1, 1.0), job_id=["j0"], site=["A"]))


def test_walltime_kills_only_where_it_is_asked_for(records):
    jobs = records((0.0, 1, 10.0), (0.0, 1, 10.0), walltime_req=[4.0, None])
    kept = simulate(jobs, platform=TWO, faults=Faults())
    assert kept.outcomes == {"finished": 2}
    killed = simulate(jobs, platform=TWO, walltime=True)
    assert killed.outcomes == {"finished": 1, "walltime": 1}
    assert column(killed, "run_time") == [4.0, 10.0]
    assert column(killed, "error_codes") == [["pilot:1213"], []]


ODD = (math.nan, math.inf, -1.0, None, 0.0)


@pytest.mark.parametrize("platform", [FAST, WIRED])
def test_odd_numbers_in_records_do_no_harm(records, platform):
    n = len(ODD)
    jobs = records(
        *[(float(k), 1, 10.0) for k in range(n)],
        **{
            name: pl.Series(ODD, dtype=pl.Float64, strict=False)
            for name in (
                *("core_power", "input_bytes", "output_bytes", "priority", "mem_req"),
                *("walltime_req", "cpu_time", "work"),
            )
        },
        site=["A", None, "slow", "", "B"],
    )
    result = simulate(jobs, platform=platform, policy="priority", walltime=True, origin=None)
    assert result.outcomes == {"finished": n}
    assert column(result, "run_time") == [10.0] * n or platform is FAST


@pytest.mark.parametrize("rows", [[], [(5.0, 1, 0.0)]])
@pytest.mark.parametrize("platform", [FAST, WIRED])
def test_empty_and_one_job_tables(records, tmp_path, rows, platform):
    result = simulate(records(*rows), platform=platform, faults=Faults(1.0, attempts=2))
    assert result.outcomes == ({"failed": 1} if rows else {})
    assert len(result.jobs) == 2 * len(rows)
    assert result.averaged(3).height in (0, 3 * len(platform.sites))
    result.save(tmp_path)


def test_files_of_odd_sizes_are_refused(records):
    files = pl.DataFrame({"job_id": ["j0"], "file": ["x"], "bytes": [math.nan]})
    with pytest.raises(InputError, match="got nan of 'x'"):
        simulate(records((0.0, 1, 1.0)), platform=WIRED, files=files)
    with pytest.raises(SchemaError, match="files need a column file or lfn"):
        simulate(records((0.0, 1, 1.0)), platform=WIRED, files=files.drop("file"))
    with pytest.raises(SchemaError, match="replicas need the columns"):
        simulate(records((0.0, 1, 1.0)), platform=WIRED, replicas=pl.DataFrame({"rse": ["x"]}))


def test_memory_is_booked_like_cores(records):
    platform = Platform((Site("A", (Pool(8, memory=4 * 2.0**30),)),))
    jobs = records((0.0, 1, 10.0), (0.0, 1, 10.0), (0.0, 1, 10.0), mem_req=[3000.0, 2000.0, 9000.0])
    result = simulate(jobs, platform=platform)
    assert result.outcomes == {"finished": 2, "no_site": 1}
    assert sorted(result.jobs.collect()["start_time"].drop_nulls()) == [0.0, 10.0]


def test_what_nothing_is_known_of_runs_as_recorded_and_is_told(records):
    jobs = records((0.0, 1, 10.0), (0.0, 1, 10.0), core_power=[8.0, None], site=["fast", "moon"])
    result = simulate(jobs, platform=FAST, policy="fcfs", broker=lambda view: "slow")
    assert column(result, "run_time") == [20.0, 10.0]
    assert any(note.startswith("1 jobs have no core_power") for note in result.notes)


def test_the_compute_kernel_tells_decisions_and_outcomes_too(records):
    result = simulate(records((0.0, 1, 1.0), (0.0, 9, 1.0), (1.0, 1, 1.0)), platform=TWO)
    assert result.outcomes == {"finished": 2, "rejected": 1}
    assert result.decisions.rows() == [
        (0.0, "j0", 0, "A", "least_loaded"),
        (1.0, "j2", 0, "A", "least_loaded"),
    ]
    assert result.transfers.is_empty()
    assert result.links().is_empty()


def test_sites_may_have_policies_of_their_own(records):
    rows = [(0.0, 1, 10.0), (1.0, 1, 10.0), (2.0, 1, 10.0)] * 2
    jobs = records(*rows, priority=[0.0, 1.0, 2.0] * 2, site=["A"] * 3 + ["B"] * 3)
    platform = Platform((Site.of("A", 1), Site.of("B", 1)))
    result = simulate(jobs, platform=platform, policy={"A": "priority"}, broker="recorded")
    start = result.jobs.collect().sort("job_id")["start_time"].to_list()
    assert start == [0, 20, 10, 0, 10, 20]
    assert result.policy == "A: priority"


def test_a_workload_may_be_given_beside_its_records(records):
    jobs = records((0.0, 1, 1.0), (0.0, 1, 1.0))
    work = Workload(
        np.zeros(2),
        np.ones(2, np.int64),
        np.full(2, 5.0),
        parent_ptr=np.array([0, 0, 1]),
        parent=np.array([0]),
    )
    result = simulate(jobs, platform=TWO, work=work, policy="fcfs")
    assert column(result, "end_time") == [5.0, 10.0]
    with pytest.raises(InputError, match="one for each"):
        simulate(records((0.0, 1, 1.0)), platform=TWO, work=work)
    with pytest.raises(InputError, match="it says these itself"):
        simulate(jobs, platform=TWO, work=work, parents=pl.DataFrame())


def test_the_loop_closes(jobs, tmp_path):
    """What is simulated can be analysed, judged, learnt from and simulated again."""
    platform = Platform((Site.of("A", 128, 1e9), Site.of("B", 128, 2e9)))
    result = simulate(
        jobs, platform=platform, faults=Faults(0.2, attempts=2), policy="fcfs", seed=3
    )
    table = result.jobs
    assert set(table.columns) <= set(TraceSchema.canonical().names)
    kpis = analyse(table).kpis
    failed = (table.collect()["status"] == "failed").mean()
    assert kpis["failed_share"].value == pytest.approx(failed, rel=1e-9)
    rate = result.outcomes["failed"] / len(jobs)
    assert kpis["failure_rate_last_attempt"].value == pytest.approx(rate, rel=1e-9)
    assert gridtwin.evaluate(jobs, table).rows
    model = gridtwin.models.get("trace")(seed=0).fit(table)
    sample = model.sample(50, seed=1)
    again = simulate(sample, platform=platform, faults=Faults(0.2), policy="fcfs")
    assert sum(again.outcomes.values()) == 50
    path = tmp_path / "jobs.parquet"
    gridtwin.write(table, path)
    levels = {finding.level for finding in gridtwin.check(gridtwin.read(path))}
    assert "error" not in levels


def test_a_result_is_saved_whole(records, tmp_path):
    jobs = records((0.0, 1, 10.0), (0.0, 2, 10.0), site=["A", "A"], input_bytes=[1e9, 2e9])
    local = records((0.0, 1, 1.0), job_id=["x"], site=["A"])
    result = simulate(
        jobs,
        platform=WIRED,
        broker=lambda view: "B",
        faults=Faults(0.5, attempts=4),
        seed=4,
        local=local,
        policy="fcfs",
    )
    result.save(tmp_path, formats=("cgsim", "cgsim_data", "batsim"))
    names = ("jobs", "timeline", "transfers", "decisions", "links", "local")
    for name in names:
        assert pl.read_parquet(tmp_path / f"{name}.parquet").height > 0
    document = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert document["outcomes"] == dict(result.outcomes)
    assert document["summary"]["attempts"] == len(result.jobs)
    assert set(document["summary"]) - {"policy", "broker", "seed"} <= {
        f"{part}{key}"
        for key in document["definitions"]
        for part in ("", "mean_", "median_", "p95_")
    }
    for name in ("events", "events_data"):
        with sqlite3.connect(tmp_path / f"{name}.sqlite") as base:
            ids = {row[0] for row in base.execute("SELECT DISTINCT JOB_ID FROM EVENTS")}
        assert ids == {"j0", "j1"}
    rows = pl.read_csv(tmp_path / "jobs.csv")
    assert rows.height == len(result.jobs)
    with pytest.raises(UnknownNameError, match="did you mean 'cgsim'"):
        result.save(tmp_path, formats=("cgsin",))


def test_the_same_seed_gives_the_same_result(jobs):
    platform = Platform((Site.of("A", 64, 1e9), Site.of("B", 96, 2e9)))
    faults = Faults(0.3, attempts=3, elsewhere=0.5)
    first, second, other = (
        simulate(jobs, platform=platform, faults=faults, policy="fcfs", broker="random", seed=seed)
        for seed in (1, 1, 2)
    )
    assert_frame_equal(first.jobs.collect(), second.jobs.collect())
    assert first.outcomes != other.outcomes or len(first.jobs) != len(other.jobs)


def test_written_bytes_add_up(records):
    jobs = records((0.0, 1, 10.0), (0.0, 1, 20.0), output_bytes=[3.0, 4.0])
    result = simulate(jobs, platform=TWO, policy="fcfs", faults=Faults())
    stored = result.stored(2)
    assert stored.filter(pl.col("site") == "A")["bytes"].to_list() == [3.0, 3.0]
    assert stored.filter(pl.col("site") == "B")["bytes"].to_list() == [0.0, 4.0]
    assert math.isclose(result.schedule.end.max(), 20.0)


BAD = {
    "larger than any site": ({}, {"no_site": 1, "finished": 1}),
    "site with zero cores": (
        {"platform": Platform((Site("A"), Site.of("B", 8)))},
        {"finished": 1, "no_site": 1},
    ),
    "no cores anywhere": ({"platform": Platform((Site("A"),))}, {"no_site": 2}),
    "outage without end": (
        {"faults": Faults(outages=(Outage("A", 0.0), Outage("B", 0.0)))},
        {"never_started": 1, "no_site": 1},
    ),
    "outage without end, retries": (
        {"faults": Faults(outages=(Outage("A", 1.0), Outage("B", 1.0)), attempts=5)},
        {"never_started": 1, "no_site": 1},
    ),
    "link without bandwidth": (
        {"platform": Platform(WIRED.sites, (Link("wan", 0.0, ends=("A", "B")),))},
        {"unfinished": 1, "never_started": 1},
    ),
    "nothing that reaches the data": (
        {"platform": Platform(WIRED.sites, WIRED.links, routers=("far",)), "origin": "far"},
        {"no_replica": 1, "finished": 1},
    ),
    "storage full": (
        {
            "platform": Platform(
                (Site("B", (Pool(4),), (Storage("s", capacity=10.0),)),),
            ),
            "faults": Faults(attempts=3),
        },
        {"storage_full": 1, "no_site": 1},
    ),
    "circle": (
        {"parents": pl.DataFrame({"job_id": ["j0", "j1"], "parent": ["j1", "j0"]})},
        {"never_ready": 2},
    ),
    "waits for itself": (
        {"parents": pl.DataFrame({"job_id": ["j0"], "parent": ["j0"]})},
        {"never_ready": 1, "no_site": 1},
    ),
    "limit": ({"limit": 1}, {"never_started": 1, "unfinished": 1}),
}


@pytest.mark.parametrize("name", BAD)
def test_nothing_hangs_and_each_job_has_one_outcome(records, tmp_path, name):
    options, expected = BAD[name]
    jobs = records(
        (0.0, 1, 10.0),
        (5.0, 99, 10.0),
        site=["A", "A"],
        input_bytes=[1e9, 0.0],
        output_bytes=[100.0, 0.0],
    )
    broker = (lambda view: "B") if "link" in name or "reaches" in name else None
    if broker:
        jobs = jobs.with_frame(jobs.collect().with_columns(cores_req=pl.Series([1, 4])))
    options = {"platform": TWO, "policy": "fcfs", "broker": broker} | options
    result = simulate(jobs, faults=options.pop("faults", Faults()), **options)
    assert result.outcomes == expected
    assert sum(result.outcomes.values()) == len(jobs)
    assert result.complete == (name != "limit")
    result.save(tmp_path)
    frame = result.jobs.collect()
    assert frame["raw_status"].null_count() == 0
    assert frame["status"].null_count() == 0
    if {"never_ready", "never_started", "unfinished"} & set(expected):
        assert result.notes


def test_sites_of_several_pools_run_first_come_first_served_unless_asked(records):
    site = Site("A", (Pool(2, speed=1e9), Pool(2, speed=2e9, name="fast")))
    jobs = records((0.0, 1, 5.0))
    assert simulate(jobs, platform=Platform((site,))).policy == "fcfs"
    assert simulate(jobs, platform=Platform((Site.of("A", 2),))).policy == "easy"
    with pytest.raises(InputError, match="one pool"):
        simulate(jobs, platform=Platform((site,)), policy="easy")
