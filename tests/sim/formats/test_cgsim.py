import copy
import json
import sqlite3
from contextlib import closing, suppress

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats.cgsim import (
    Config,
    read_config,
    read_platform,
    reference_speed,
    write_config,
    write_platform,
)
from gridtwin.sim.formats.cgsim_attempts import read_calibration, read_events, read_transfers
from gridtwin.sim.formats.cgsim_events import TRANSFERS, write_events
from gridtwin.sim.formats.cgsim_jobs import COLUMNS, flops, read_jobs, write_jobs
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.trace import JobTable

SITES = {
    "A": {
        "SITE_PROPERTIES": {"storage_capacity_bytes": "2000", "GFLOPS": "12", "city": "Ayr"},
        "CPUInfo": [
            {
                "units": 3,
                "cores": 8,
                "speed": 10.0,
                "BW_CPU": "10GBps",
                "LAT_CPU": "10us",
                "properties": [{"ram": "64GB"}],
                "disks": [
                    {"name": "A_DISK", "read_bw": "200MBps", "write_bw": "100MBps"},
                    {"name": "A_TMP", "read_bw": "50MBps", "write_bw": "50MBps"},
                ],
            },
            {
                "units": 1,
                "cores": 4,
                "speed": 20.0,
                "BW_CPU": "8GBps",
                "LAT_CPU": "20us",
                "disks": [{"name": "A_DISK", "read_bw": "10MBps", "write_bw": "10MBps"}],
            },
            {
                "units": 0,
                "cores": 4,
                "speed": 5.0,
                "BW_CPU": "1GBps",
                "LAT_CPU": "1us",
                "disks": [],
            },
        ],
        "files": [["in.1", 1000], ["in.2", 500.5]],
    },
    "B": {
        "SITE_PROPERTIES": {"storage_capacity_bytes": "1e6", "GFLOPS": "3"},
        "CPUInfo": [
            {
                "units": 2,
                "cores": 16,
                "speed": 3.2e9,
                "BW_CPU": "1GBps",
                "LAT_CPU": "5us",
                "disks": [{"name": "B_DISK", "read_bw": "1GBps", "write_bw": "1GBps"}],
            }
        ],
    },
}
CONNECTIONS = {"A:B": {"bandwidth": "10Gbps", "latency": "5ms"}}
CSV = (
    "PandaID,creationtime,cpuconsumptiontime,computingsite,corecount,ninputdatafiles,files_info\n"
    '11,0,600,0,8,2,"{""in.1"": 1000, ""in.2"": 500}"\n'
    "12,12.5,60,B,,,\n"
    '13,7,30,B,1,1,"{""in.1"": 900}"\n'
)


@pytest.fixture
def files(tmp_path):
    sites, wan = tmp_path / "sites.json", tmp_path / "wan.json"
    sites.write_text(json.dumps(SITES))
    wan.write_text(json.dumps(CONNECTIONS))
    return sites, wan


@pytest.fixture
def platform(files):
    return read_platform(*files)


def attempts(**changes):
    columns = {
        "job_id": ["a", "b", "b", "c", "d"],
        "attempt": [0, 0, 1, 0, 0],
        "site": ["X", "X", "Y", "Y", "X"],
        "submit_time": [0.0, 1.0, 20.0, 2.0, 3.0],
        "start_time": [0.0, 5.0, 20.0, 2.0, None],
        "end_time": [10.0, 20.0, 30.0, 2.0, 40.0],
        "status": ["finished", "failed", "finished", "finished", "cancelled"],
        "cores_req": [1, 8, 8, 2, 1],
        "input_files": [1, 1, 1, 0, 0],
        "input_bytes": [1e9, 2e9, 2e9, 0.0, 0.0],
        "cpu_time": [9.0, 70.0, 70.0, 0.0, None],
        "work": [1.0, 2.0, 2.0, 3.0, None],
    }
    return JobTable.from_frame(pl.DataFrame(columns | changes))


MOVED = pl.DataFrame(
    {
        "job_id": ["a", "b", "b", "a"],
        "attempt": [0, 0, 1, 0],
        "file": ["f", "g", "g", "o"],
        "bytes": [1e9, 2e9, 2e9, 5.0],
        "source": ["Y", "Y", "X", "X"],
        "destination": ["X", "X", "Y", "Y"],
        "start": [0.0, 5.0, 20.0, 9.0],
        "end": [2.0, 8.0, 22.0, 10.0],
        "kind": ["stage_in", "stream", "stage_in", "output"],
    },
    schema=TRANSFERS,
)
TWO = Platform(
    (Site.of("X", 16, 1e9), Site.of("Y", 8, 1e9)), (Link("w", 1e6, 0.1, ends=("X", "Y")),)
)


def test_a_site_becomes_pools_a_lan_and_storages(platform):
    a, b = platform.sites
    assert [(p.hosts, p.cores, p.speed, p.memory) for p in a.pools] == [
        (3, 8, 10.0, 64e9),
        (1, 4, 20.0, None),
    ]
    assert a.storages == (
        Storage("A_DISK", 2000.0, 610e6, 310e6, files=(("in.1", 1000.0), ("in.2", 500.5))),
        Storage("A_TMP", 0.0, 150e6, 150e6),
    )
    lan = next(link for link in platform.links if link.name == a.lan)
    assert (lan.bandwidth, lan.sharing) == (8e9, "fatpipe")
    assert lan.latency == pytest.approx(20e-6)
    kept = dict(a.properties)
    assert kept["city"] == "Ayr"
    assert json.loads(kept["CPUInfo[2]"]) == SITES["A"]["CPUInfo"][2]
    assert b.cores == 32


def test_a_connection_holds_both_ways(platform):
    there, back = platform.route("A", "B"), platform.route("B", "A")
    assert there == back
    link = next(link for link in platform.links if link.name == there[0])
    assert (link.bandwidth, link.latency, link.sharing) == (1.25e9, 0.005, "shared")


def test_both_directions_may_differ(tmp_path, files):
    both = CONNECTIONS | {"B:A": {"bandwidth": "1Gbps", "latency": "6ms"}}
    files[1].write_text(json.dumps(both))
    platform = read_platform(*files)
    assert platform.route("A", "B") != platform.route("B", "A")
    write_platform(platform, tmp_path / "s", tmp_path / "c")
    assert read_platform(tmp_path / "s", tmp_path / "c") == platform


def test_what_is_written_reads_back_the_same(tmp_path, platform):
    write_platform(platform, tmp_path / "s", tmp_path / "c")
    assert read_platform(tmp_path / "s", tmp_path / "c") == platform
    assert json.loads((tmp_path / "s").read_text())["A"]["CPUInfo"][2]["units"] == 0


def test_the_reference_speed_is_the_one_of_both_units_that_is_near(platform):
    assert reference_speed(platform.sites[0]) == 12.0
    assert reference_speed(platform.sites[1]) == 3e9
    assert reference_speed(Site.of("C", 4, 1e9)) is None


def changed(path, value):
    document = copy.deepcopy(SITES)
    at = document
    for key in path[:-1]:
        at = at[key]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("A", "CPUInfo", 1, "speed"), "fast", r"A\.CPUInfo\[1\]\.speed"),
        (("A", "CPUInfo", 0, "units"), 1.5, r"A\.CPUInfo\[0\]\.units"),
        (("A", "CPUInfo", 0, "units"), -1, r"A\.CPUInfo\[0\]\.units"),
        (("A", "CPUInfo", 0, "gpus"), 4, r"A\.CPUInfo\[0\]\.gpus is no known key"),
        (("A", "CPUInfo", 0, "BW_CPU"), KeyError, r"A\.CPUInfo\[0\]\.BW_CPU is missing"),
        (("A", "CPUInfo", 0, "disks", 1, "name"), "A_DISK", r"disks\[1\]\.name: 'A_DISK' is taken"),
        (("A", "CPUInfo", 0, "disks", 0, "read_bw"), "2 W", r"disks\[0\]\.read_bw"),
        (("A", "SITE_PROPERTIES", "storage_capacity_bytes"), KeyError, "storage_capacity_bytes is"),
        (("A", "files", 0), ["in.1"], r"A\.files\[0\]: expected a pair"),
        (("A", "files", 1, 0), "in.1", "occurs twice"),
        (("A",), [], "A: expected an object"),
        (("A", "power"), {}, r"A\.power is no known key"),
    ],
)
def test_errors_name_the_path_of_the_key(tmp_path, path, value, words):
    file = tmp_path / "sites.json"
    file.write_text(json.dumps(changed(path, value)))
    with pytest.raises(FormatError, match=words) as caught:
        read_platform(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON document"),
        ("{", "no JSON document"),
        ("{}", "no site"),
        ("[1]", "expected an object"),
        ('{"A": {}, "A": {}}', "comes twice"),
        ('{"A": {"x": NaN}}', "NaN is no JSON number"),
        ("[" * 100_000, "no JSON document"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path, text, words):
    (tmp_path / "sites.json").write_text(text)
    with pytest.raises(FormatError, match=words):
        read_platform(tmp_path / "sites.json")


@pytest.mark.parametrize("pair", ["AB", "A:C", "A:A"])
def test_connections_join_two_known_sites(files, pair):
    files[1].write_text(json.dumps({pair: CONNECTIONS["A:B"]}))
    with pytest.raises(FormatError, match="two different sites"):
        read_platform(*files)


def sited(**changes):
    values = {
        "pools": (Pool(4, 2, 1e9),),
        "storages": (Storage("d", 1e9, 2e8, 2e8),),
        "lan": "lan",
        **changes,
    }
    return Platform((Site("A", **values),), (Link("lan", 1e9, 0.0, "fatpipe"),))


def test_a_platform_made_by_hand_can_be_written(tmp_path):
    write_platform(sited(), tmp_path / "s", tmp_path / "c")
    site = read_platform(tmp_path / "s", tmp_path / "c").sites[0]
    assert site.pools == sited().sites[0].pools
    assert site.storages == sited().sites[0].storages


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        (sited(pools=(Pool(4),)), r"pool\[0\].speed"),
        (sited(lan=None), r"site\[0\].lan"),
        (sited(country="FR"), "country"),
        (sited(storages=(Storage("t", 1.0, 1.0, 1.0, kind="tape"),)), r"storage\[0\].kind"),
        (sited(storages=(Storage("t", None, 1.0, 1.0),)), r"storage\[0\].capacity"),
        (sited(storages=(Storage("t", 1.0),)), "no bandwidth"),
        (
            sited(
                properties=(("CPUInfo[0].BW_CPU", "1GBps"), ("CPUInfo[0].disks", "[")),
            ),
            "JSON",
        ),
        (sited(properties=(("CPUInfo[0].disks", "[]"),)), "remove those properties"),
        (TWO, r"site\[0\].lan"),
        (Platform((Site.of("A", 1), Site.of("B", 1))), "no way from 'A' to 'B'"),
        (
            Platform(
                (Site.of("A", 1), Site.of("B", 1)),
                (Link("x", 1.0), Link("y", 1.0)),
                (Route("A", "B", ("x", "y")),),
            ),
            "A:B: the route is x y",
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused_by_name(tmp_path, platform, words):
    with pytest.raises(InputError, match=words):
        write_platform(platform, tmp_path / "s", tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_the_older_form_of_a_site(tmp_path):
    old = {
        "Q": {
            "RSE": {"Q_DISK": "1.50", "Q_TAPE": 0, "Q_FULL": "0.00"},
            "GFLOPS": 32000,
            "CPUCount": 3,
            "CPUSpeed": [2e9, 1e9, 2e9],
        }
    }
    (tmp_path / "s.json").write_text(json.dumps(old))
    site = read_platform(tmp_path / "s.json").sites[0]
    assert [s.capacity for s in site.storages] == [1.5e12, None, 0.0]
    assert [(p.hosts, p.cores, p.speed) for p in site.pools] == [(2, 1, 2e9), (1, 1, 1e9)]
    assert site.properties == (("GFLOPS", "32000"),)
    old["Q"]["CPUCount"] = 4
    (tmp_path / "s.json").write_text(json.dumps(old))
    with pytest.raises(FormatError, match=r"Q\.CPUCount: 4, but CPUSpeed has 3"):
        read_platform(tmp_path / "s.json")


def test_a_config_names_the_files_and_the_sites(tmp_path, files):
    config = Config("grid", "/elsewhere/sites.json", "wan.json", "p.so", ("B",), (("n", "-1"),))
    write_config(config, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json") == config
    limited = read_platform(tmp_path / "config.json")
    assert limited.names == ["B"]
    assert len(limited.links) == 1
    document = json.loads((tmp_path / "config.json").read_text())
    document["Dispatcher_Plugin"] = document.pop("Plugin")
    document["Limited_Sites"] = []
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert read_platform(tmp_path / "config.json") == read_platform(*files)
    document["Limited_Sites"] = ["Z"]
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="Limited_Sites: Z"):
        read_platform(tmp_path / "config.json")
    document["Colour"] = "red"
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="Colour is no known key"):
        read_config(tmp_path / "config.json")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_document_is_read_or_refused(tmp_path, data):
    document = copy.deepcopy(SITES)
    at, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(at[key], dict | list) and at[key] and data.draw(st.booleans()):
        at = at[key]
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    junk = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    at[key] = data.draw(junk | st.lists(junk, max_size=2) | st.dictionaries(st.text(), junk))
    file = tmp_path / "mutated.json"
    file.write_text(json.dumps(document))
    with suppress(FormatError):
        read_platform(file)


def test_jobs_have_simulated_times_inputs_and_sites_by_number(tmp_path, platform):
    (tmp_path / "jobs.csv").write_text(CSV)
    jobs = read_jobs(tmp_path / "jobs.csv", platform)
    frame = jobs.table.collect()
    assert frame["job_id"].to_list() == ["11", "13", "12"]
    assert frame["submit_time"].to_list() == [0.0, 7.0, 12.5]
    assert frame["site"].to_list() == ["A", "B", "B"]
    assert frame["cores_req"].to_list() == [8, 1, 1]
    assert frame["run_time"].to_list() == [600.0, 30.0, 60.0]
    assert jobs.inputs.rows() == [
        ("11", "in.1", 1000.0),
        ("11", "in.2", 500.0),
        ("13", "in.1", 1000.0),
    ]
    notes = " ".join(jobs.table.provenance.notes)
    assert "1 files have several sizes" in notes
    assert "seconds from the simulation's start" in notes
    np.testing.assert_allclose(flops(jobs.table, platform), [7200.0, 90e9, 180e9])


def test_the_work_of_a_job_at_an_unknown_site_is_not_known(platform):
    jobs = JobTable.from_frame(
        pl.DataFrame({"job_id": ["1", "2"], "site": ["Z", "A"], "cpu_time": [1.0, None]})
    )
    assert np.isnan(flops(jobs, platform)).all()


def test_a_job_submitted_before_the_start_is_counted(tmp_path):
    (tmp_path / "j.csv").write_text(CSV + "14,-1,5,B,1,,\n")
    table = read_jobs(tmp_path / "j.csv").table
    assert len(table) == 3
    assert table.provenance.dropped == {"negative creationtime": 1}


def test_dates_stay_dates(tmp_path):
    text = "pandaid,creationtime,starttime,endtime,computingsite,jobstatus\n"
    text += "1,2025-01-20 18:10:40,2025-01-20 18:11:40,2025-01-20 18:12:40,S,finished\n"
    (tmp_path / "j.csv").write_text(text)
    frame = read_jobs(tmp_path / "j.csv").table.collect()
    assert frame["submit_time"].to_list() == [1737396640.0]
    assert frame["run_time"].to_list() == [60.0]


def test_jobs_are_written_with_the_whole_header(tmp_path, platform):
    (tmp_path / "jobs.csv").write_text(CSV)
    jobs = read_jobs(tmp_path / "jobs.csv", platform)
    lost = write_jobs(jobs.table, tmp_path / "out.csv", jobs.inputs)
    assert lost == ("queue",)  # it says 0 where the site is A
    assert (tmp_path / "out.csv").read_text().splitlines()[0].split(",") == list(COLUMNS)
    back = read_jobs(tmp_path / "out.csv", platform)
    assert back.table.collect().drop("queue").equals(jobs.table.collect().drop("queue"))
    assert back.inputs.equals(jobs.inputs)


def test_error_codes_go_to_their_columns_and_what_is_left_out_is_told(tmp_path):
    jobs = JobTable.from_frame(
        pl.DataFrame(
            {
                "job_id": ["1", "2", "3"],
                "vo": ["atlas", None, None],
                "site": ["S"] * 3,
                "submit_time": [1.0, 2.0, 3.0],
                "start_time": [1.0, 2.0, None],
                "end_time": [5.0, 3.0, None],
                "status": ["failed", "finished", None],
                "error_codes": [["pilot:1305", "ddm:100"], [], None],
            }
        )
    )
    assert write_jobs(jobs, tmp_path / "j.csv") == ("vo",)
    back = read_jobs(tmp_path / "j.csv").table.collect()
    for name in ("submit_time", "start_time", "end_time", "status", "error_codes"):
        assert back[name].to_list() == jobs.collect()[name].to_list()
    with pytest.raises(InputError, match="no column file"):
        write_jobs(jobs, tmp_path / "j.csv", pl.DataFrame({"job_id": ["1"]}))


def test_track4_tells_each_change_of_state_and_the_site(tmp_path):
    path = tmp_path / "events.db"
    write_events(attempts(), path, platform=TWO, transfers=MOVED)
    with closing(sqlite3.connect(path)) as base:
        rows = base.execute(
            "SELECT JOB_ID, STATE, TIMESTAMP, AVAILABLE_SITE_CORES, SITE_PENDING_JOBS, "
            "SITE_RUNNING_JOBS, SITE_FINISHED_JOBS, SITE_FAILED_JOBS FROM EVENTS "
            "WHERE SITE = 'X' ORDER BY _ID"
        ).fetchall()
    assert rows == [
        ("a", "global_pending", 0.0, 16, 0, 0, 0, 0),
        ("a", "site_pending", 0.0, 16, 1, 0, 0, 0),
        ("a", "assigned", 0.0, 15, 0, 0, 0, 0),
        ("b", "global_pending", 1.0, 15, 0, 0, 0, 0),
        ("b", "site_pending", 1.0, 15, 1, 0, 0, 0),
        ("a", "running", 2.0, 15, 1, 1, 0, 0),
        ("d", "global_pending", 3.0, 15, 1, 1, 0, 0),
        ("d", "site_pending", 3.0, 15, 2, 1, 0, 0),
        ("b", "assigned", 5.0, 7, 1, 1, 0, 0),
        ("b", "running", 5.0, 7, 1, 2, 0, 0),
        ("a", "finished", 10.0, 8, 1, 1, 1, 0),
        ("b", "failed", 20.0, 16, 1, 0, 1, 1),
        ("d", "failed", 40.0, 16, 0, 0, 1, 2),
    ]
    judged = read_calibration(path)
    assert judged.rows() == [("a", 8.0, 9.0), ("b", 15.0, 70.0), ("c", 0.0, 0.0), ("b", 8.0, 70.0)]


SAME = ("job_id", "attempt", "site", "submit_time", "start_time", "end_time")


@pytest.mark.parametrize("form", ["track4", "data_management"])
def test_attempts_come_back_from_events(tmp_path, form):
    write_events(attempts(), tmp_path / "e.db", form=form, platform=TWO, transfers=MOVED)
    back = read_events(tmp_path / "e.db").collect().sort("job_id", "attempt")
    given = attempts().collect().sort("job_id", "attempt")
    for name in (*SAME, "input_files", "input_bytes"):
        assert back[name].to_list() == given[name].to_list(), name
    last = "failed" if form == "track4" else "cancelled"
    assert back["status"].to_list() == ["finished", "failed", "finished", "finished", last]
    assert back["work"].to_list()[:4] == given["work"].to_list()[:4]


def test_transfers_come_back_from_events(tmp_path):
    path = tmp_path / "e.db"
    write_events(attempts(), path, form="data_management", platform=TWO, transfers=MOVED)
    assert read_transfers(path).sort("start", "job_id").equals(MOVED.sort("start", "job_id"))
    with closing(sqlite3.connect(path)) as base:
        query = "SELECT METADATA FROM EVENTS WHERE EVENT = 'FileTransfer' AND STATE = 'Finished'"
        details = json.loads(base.execute(query).fetchone()[0])
    assert details["bandwidth"] == 1e6
    assert details["duration"] == 2.0
    write_events(attempts(), path)
    with pytest.raises(FormatError, match="no transfers"):
        read_transfers(path)


def test_events_of_others_in_the_older_words_are_read(tmp_path):
    path = tmp_path / "e.db"
    with closing(sqlite3.connect(path)) as base:
        base.execute(
            "CREATE TABLE EVENTS (_ID INTEGER PRIMARY KEY AUTOINCREMENT, EVENT TEXT, STATE TEXT, "
            "STATUS TEXT, JOB_ID TEXT, TIME FLOAT, METADATA TEXT, EXTRA TEXT)"
        )
        rows = [
            ("JobAllocation", "Start", "assigned", "7", 1.0, '{"site":"S","host":"S_cpu-1"}'),
            ("JobAllocation", "Finished", "assigned", "7", 2.0, '{"site":"S"}'),
            ("FileTransfer", "Start", "assigned", "7", 2.0, '{"file":"f","size":5}'),
            ("FileTransfer", "Finished", "assigned", "7", 3.0, '{"file":"f","size":"5"}'),
            ("FileRead", "Start", "assigned", "7", 3.0, None),
            ("JobExecution", "Start", "running", "7", 4.0, '{"cores":2,"flops":1e9}'),
            ("JobExecution", "Finished", "finished", "7", 9.0, '{"cores":2}'),
        ]
        base.executemany(
            "INSERT INTO EVENTS (EVENT, STATE, STATUS, JOB_ID, TIME, METADATA) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        base.commit()
    table = read_events(path)
    row = table.collect().row(0, named=True)
    assert (row["submit_time"], row["start_time"], row["end_time"]) == (1.0, 2.0, 9.0)
    assert (row["site"], row["cores_req"], row["input_bytes"]) == ("S", 2, 5.0)
    assert "EXTRA" in " ".join(table.provenance.notes)
    assert read_transfers(path).row(0) == ("7", 0, "f", 5.0, None, None, 2.0, 3.0, "stage_in")


@pytest.mark.parametrize("form", ["track4", "data_management"])
def test_no_attempts_give_no_events(tmp_path, form):
    write_events(JobTable.from_frame(attempts().collect().clear()), tmp_path / "e.db", form=form)
    assert len(read_events(tmp_path / "e.db")) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"submit_time": [0.0, 1.0, 19.0, 2.0, 3.0]}, "before the one before it has ended"),
        ({"end_time": [float("nan")] * 5}, "end_time holds NaN"),
        ({"submit_time": [0.0, None, 19.0, 2.0, 3.0]}, "without a submit_time"),
    ],
)
def test_attempts_that_events_cannot_tell_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        write_events(attempts(**changes), tmp_path / "e.db")


def test_bad_calls_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected track4 or data_management"):
        write_events(attempts(), tmp_path / "e.db", form="track5")
    with pytest.raises(InputError, match="transfers lack kind"):
        write_events(attempts(), tmp_path / "e.db", transfers=MOVED.drop("kind"))
    moved = MOVED.with_columns(job_id=pl.lit("z"))
    with pytest.raises(InputError, match="'z', which has no such attempt"):
        write_events(attempts(), tmp_path / "e.db", form="data_management", transfers=moved)
    with pytest.raises(InputError, match="no file"):
        read_events(tmp_path / "none.db")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE EVENTS SET STATE = 'lost' WHERE _ID = 4", "event 4: STATE is 'lost'"),
        ("UPDATE EVENTS SET TIMESTAMP = 'noon' WHERE _ID = 2", "event 2: expected a number"),
        ("UPDATE EVENTS SET NINPUT_FILES = -1 WHERE _ID = 1", "event 1: expected a whole number"),
        ("ALTER TABLE EVENTS RENAME COLUMN SITE TO PLACE", "EVENTS has the columns"),
        ("DROP TABLE EVENTS", "no table EVENTS"),
    ],
)
def test_wrong_events_are_named(tmp_path, change, words):
    path = tmp_path / "e.db"
    write_events(attempts(), path)
    with closing(sqlite3.connect(path)) as base:
        base.execute(change)
        base.commit()
    with pytest.raises(FormatError, match=words):
        read_events(path)


@pytest.mark.parametrize("form", ["track4", "data_management"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_database_is_read_or_refused(tmp_path, form, data):
    path = tmp_path / f"{form}.db"
    write_events(attempts(), path, form=form, transfers=MOVED)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    for read in (read_events, read_calibration, read_transfers):
        with suppress(FormatError):
            read(path)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 20), st.integers(0, 5), st.integers(0, 9), st.sampled_from("XY"),
            st.sampled_from(["finished", "failed"]), st.integers(1, 3),
        ),
        max_size=12,
    ),
    form=st.sampled_from(["track4", "data_management"]),
)  # fmt: skip
def test_any_attempts_come_back(tmp_path, rows, form):
    frame = pl.DataFrame(
        {
            "job_id": [str(k) for k in range(len(rows))],
            "attempt": [0] * len(rows),
            "site": [row[3] for row in rows],
            "submit_time": [float(row[0]) for row in rows],
            "start_time": [float(row[0] + row[1]) for row in rows],
            "end_time": [float(row[0] + row[1] + row[2]) for row in rows],
            "status": [row[4] for row in rows],
            "cores_req": [row[5] for row in rows],
        },
        schema_overrides={"job_id": pl.String, "site": pl.String, "status": pl.String},
    )
    given_table = JobTable.from_frame(frame)
    write_events(given_table, tmp_path / "e.db", form=form, platform=TWO)
    back = read_events(tmp_path / "e.db").collect()
    if rows:
        columns = [*SAME, "status"]
        assert (
            back.select(columns)
            .sort("job_id")
            .equals(given_table.collect().select(columns).sort("job_id"))
        )
    with closing(sqlite3.connect(tmp_path / "e.db")) as base:
        if form == "track4" and rows:
            last = base.execute(
                "SELECT SITE_PENDING_JOBS, SITE_RUNNING_JOBS, SITE, AVAILABLE_SITE_CORES "
                "FROM EVENTS ORDER BY _ID DESC LIMIT 1"
            ).fetchone()
            assert last[:2] == (0, 0)
            assert last[3] == {"X": 16, "Y": 8}[last[2]]


@pytest.mark.parametrize(
    ("sites", "connections", "counts"),
    [
        (
            "sites/mimic_new_site_info.json.gz",
            "sites/mimic_new_site_conn_info.json",
            (32, 496, 7422),
        ),
        ("sites/toy_new_site_info.json", "sites/toy_new_site_conn_info.json", (20, 190, 20)),
        ("rubin_synth/site_info.json", "rubin_synth/site_conn_info.json", (5, 10, 7161)),
    ],
)
def test_the_public_platforms_are_read_whole(data_dir, tmp_path, sites, connections, counts):
    platform = read_platform(data_dir / sites, data_dir / connections)
    found = [len(s.files) for site in platform.sites for s in site.storages]
    assert (len(platform.sites), len(platform.routes), sum(found)) == counts
    assert all(0.5 < reference_speed(site) / site.speed < 2 for site in platform.sites)
    write_platform(platform, tmp_path / "s", tmp_path / "c")
    back = read_platform(tmp_path / "s", tmp_path / "c")
    assert back.sites == platform.sites
    ways = {link.name: link for link in platform.links} | {link.name: link for link in back.links}
    for a in platform.names:
        for b in platform.names:
            if a != b:
                there, again = (ways[p.route(a, b)[0]] for p in (platform, back))
                assert (there.bandwidth, there.latency) == (again.bandwidth, again.latency)


@pytest.mark.parametrize(
    ("name", "sites", "storages", "cores"),
    [
        ("site_info.json", 150, 739, 0),
        ("site_info_bnl.json", 2, 13, 0),
        ("site_info_cpu.json.gz", 150, 739, 98277),
    ],
)
def test_the_public_queues_are_read_whole(data_dir, name, sites, storages, cores):
    platform = read_platform(data_dir / "sites" / name)
    assert len(platform.sites) == sites
    assert sum(len(site.storages) for site in platform.sites) == storages
    assert platform.cores.sum() == cores


def test_the_public_config_is_read(data_dir):
    platform = read_platform(data_dir / "rubin_synth/rubin_config.json")
    assert platform.names == ["Summit", "Base", "USDF", "FrDF", "UKDF"]


@pytest.mark.parametrize(
    ("jobs", "sites", "counts"),
    [
        ("panda/mimic_job.csv.gz", "sites/mimic_new_site_info.json.gz", (966, 11456)),
        ("panda/toy_job.csv", "sites/toy_new_site_info.json", (20, 20)),
        ("rubin_synth/jobs.csv", "rubin_synth/site_info.json", (1000, 7161)),
    ],
)
def test_the_public_jobs_are_read_whole(data_dir, tmp_path, jobs, sites, counts):
    platform = read_platform(data_dir / sites)
    found = read_jobs(data_dir / jobs, platform)
    assert (len(found.table), found.inputs.height) == counts
    assert found.table.provenance.dropped == {}
    assert set(found.table.collect()["site"]) <= set(platform.names)
    assert not np.isnan(flops(found.table, platform)).any()
    write_jobs(found.table, tmp_path / "j.csv", found.inputs)
    back = read_jobs(tmp_path / "j.csv", platform)
    assert back.inputs.equals(found.inputs)
    same = ["job_id", "site", "submit_time", "cores_req", "cpu_time", "run_time", "input_bytes"]
    assert back.table.collect().select(same).equals(found.table.collect().select(same))
