"""Batsim's workloads and its table of jobs."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError, SchemaError
from gridtwin.sim.formats.batsim import (
    Staging,
    read_jobs,
    read_workload,
    write_jobs,
    write_workload,
)
from gridtwin.trace import JobTable

DOCUMENT: dict[str, Any] = {
    "nb_res": 8,
    "jobs": [
        {"id": "b", "subtime": 5, "res": 4, "profile": "w", "walltime": 100, "colour": "red"},
        {"id": 1, "subtime": 0.5, "res": 2, "profile": "d", "walltime": -1},
        {"id": "c", "subtime": 6, "res": 4, "profile": "s", "dependencies": ["b", 1]},
        {"id": "e", "subtime": 7, "res": 2, "profile": "io"},
    ],
    "profiles": {
        "d": {"type": "DelayProfile", "delay": 20.25, "ret": 3},
        "w": {"type": "parallel_homogeneous", "cpu": 1e9, "com": 0},
        "t": {"type": "parallel_homogeneous_total", "cpu": 8e9, "com": 0},
        "p": {"type": "ParallelTaskProfile", "cpu": [1e9, 5e9, 0, 0], "com": []},
        "s": {"type": "composed", "seq": ["w", "t", "p"], "repeat": 2},
        "in": {"type": "data_staging", "nb_bytes": 100, "from": "pfs", "to": "bb"},
        "rw": {
            "type": "ParallelTaskOnStorageHomogeneousProfile",
            "bytes_to_read": 10,
            "bytes_to_write": 7,
            "storage": "bb",
        },
        "out": {
            "type": "parallel_homogeneous_pfs",
            "bytes_to_write": 30,
            "generation_strategy": "DefinedAmountsSpreadUniformly",
        },
        "io": {"type": "SequentialCompositionProfile", "seq": ["in", "d", "out"]},
    },
}


def read(folder: Path, document: object, **options: float) -> Any:
    path = folder / "w.json"
    path.write_text(json.dumps(document))
    return read_workload(path, **options)


def test_profiles_become_times_work_and_bytes(tmp_path: Path) -> None:
    found = read(tmp_path, DOCUMENT)
    frame = found.jobs.collect()
    assert frame["job_id"].to_list() == ["1", "b", "c", "e"]
    assert frame["submit_time"].to_list() == [0.5, 5, 6, 7]
    assert frame["cores_req"].to_list() == [2, 4, 4, 2]
    assert frame["walltime_req"].to_list() == [None, 100, None, None]
    assert frame["run_time"].to_list() == [20.25, None, None, 20.25]
    assert frame["status"].to_list() == ["failed", "finished", "finished", "finished"]
    # w: 1e9, t: 8e9 / 4, p: the longest of its machines, all twice
    assert found.flop[2] == 2 * (1e9 + 2e9 + 5e9)
    assert np.isnan(found.flop[[0, 3]]).all()
    assert frame["work"][1] == 4e9 / 0.25e9
    assert found.parent_ptr.tolist() == [0, 0, 0, 2, 2]
    assert found.parent.tolist() == [1, 0]
    assert found.staging[3] == (Staging(100, "pfs", "bb"), Staging(30, None, "pfs"))
    assert frame["input_bytes"].to_list() == [0, 0, 0, 100]
    assert frame["output_bytes"].to_list() == [0, 0, 0, 30]
    assert found.jobs.provenance.machine_cores == 8
    assert found.jobs.provenance.notes == ("key 'colour' of 1 jobs is not used",)
    timed = read(tmp_path, DOCUMENT, speed=1e9).jobs.collect()
    assert timed["run_time"].to_list() == [20.25, 1, 16, 20.25]


def test_jobs_are_given_to_the_simulation(tmp_path: Path) -> None:
    found = read(tmp_path, DOCUMENT)
    bare = found.workload()
    assert bare.request.tolist() == [math.inf, 100, math.inf, math.inf]
    assert bare.flop[1] == 1e9
    assert bare.files is None
    moved = found.workload({"pfs": 3})
    assert moved.input_ptr.tolist() == [0, 0, 0, 0, 1]
    assert moved.files.bytes.tolist() == [100]
    assert moved.files.replica_node.tolist() == [3]
    assert moved.output.tolist() == [0, 0, 0, 30]
    with pytest.raises(InputError, match="'pfs' is missing"):
        found.workload({})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"profiles": {"d": {"type": "smpi"}}}, "profiles.d.type: 'smpi' cannot be .* trace"),
        ({"profiles": {"d": {"type": "TraceReplayProfile"}}}, "it replays a trace"),
        ({"profiles": {"d": {"type": "send"}}}, "talks with the scheduler"),
        ({"profiles": {"d": {"type": "nap"}}}, "'nap' cannot be represented: known: delay"),
        ({"profiles": {"d": {"delay": 1}}}, "profiles.d.type: expected a text"),
        ({"profiles": {"d": {"type": "delay"}}}, "profiles.d.delay is missing"),
        ({"profiles": {"d": {"type": "delay", "delay": -1}}}, "delay: expected 0 or more"),
        ({"profiles": {"d": {"type": "delay", "delay": 1, "x": 1}}}, "profiles.d.x is no known"),
        ({"profiles": {"d": {"type": "parallel_homogeneous", "com": 3}}}, "d.com: messages"),
        ({"profiles": {"d": {"type": "parallel", "cpu": [1]}}}, "expected 2 numbers .* got 1"),
        ({"profiles": {"d": {"type": "composed", "seq": ["d"]}}}, "circle: d -> d"),
        ({"profiles": {"d": {"type": "composed", "seq": ["y"]}}}, "there is no profile 'y'"),
        ({"profiles": {}}, r"jobs\[0\].profile: there is no profile 'd'"),
        ({"jobs": [{"id": "1", "subtime": 0, "res": 0, "profile": "d"}]}, r"jobs\[0\].res"),
        ({"jobs": [{"id": "1", "subtime": 0, "res": 1}]}, r"jobs\[0\].profile is missing"),
        ({"jobs": 3}, "jobs: expected a list"),
        ({"nb_res": 0}, "nb_res: expected a whole number from 1"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    job = {"id": "1", "subtime": 0, "res": 2, "profile": "d"}
    base: dict[str, Any] = {"nb_res": 2, "jobs": [job], "profiles": DOCUMENT["profiles"]}
    with pytest.raises(FormatError, match=message):
        read(tmp_path, base | change)
    with pytest.raises(FormatError, match=r"jobs\[1\].id: '1' is taken"):
        read(tmp_path, base | {"jobs": [job, job]})
    with pytest.raises(FormatError, match="there is no job 'x'"):
        read(tmp_path, base | {"jobs": [job | {"dependencies": ["x"]}]})
    for names in (["d", "w"], ["d", "in"], ["out", "d"]):
        mixed = {"z": {"type": "composed", "seq": names}}
        changed = {"jobs": [job | {"profile": "z"}], "profiles": DOCUMENT["profiles"] | mixed}
        with pytest.raises(FormatError, match=r"profiles\.z: .*cannot be represented"):
            read(tmp_path, base | changed)


@pytest.mark.parametrize("version", [4, 5])
def test_written_workloads_come_back(tmp_path: Path, jobs: JobTable, version: Any) -> None:
    path = tmp_path / "w.json"
    assert write_workload(jobs, path, version=version) == {}
    again = read_workload(path)
    columns = ["job_id", "submit_time", "cores_req", "walltime_req", "run_time"]
    assert again.jobs.collect(columns).equals(jobs.collect(columns))
    assert again.jobs.provenance.machine_cores == 256
    document = json.loads(path.read_text())
    assert min(job["subtime"] for job in document["jobs"]) == 0
    write_workload(jobs, path, version=version, speed=2e9, machines=999)
    again = read_workload(path, speed=2e9)
    assert again.jobs.collect(columns).equals(jobs.collect(columns))
    assert again.jobs.provenance.machine_cores == 999


def test_what_cannot_be_written_is_counted_or_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "job_id": ["a", "b"],
            "submit_time": [1.0, 2.0],
            "run_time": [None, 3.0],
            "cores_req": [1, 1],
        }
    )
    path = tmp_path / "w.json"
    assert write_workload(JobTable.from_frame(frame), path) == {"no run time": 1}
    assert len(read_workload(path).jobs) == 1
    twice = frame.with_columns(job_id=pl.lit("a"), run_time=pl.lit(1.0))
    with pytest.raises(InputError, match="occur twice"):
        write_workload(JobTable.from_frame(twice), path)
    for options in ({"speed": 0.0}, {"version": 6}):
        with pytest.raises(InputError):
            write_workload(JobTable.from_frame(frame), path, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="speed"):
        read_workload(path, speed=-1)
    write_workload(JobTable.from_frame(frame.clear()), path)
    assert len(read_workload(path).jobs) == 0


def test_jobs_csv_comes_back(tmp_path: Path, jobs: JobTable) -> None:
    jobs = jobs.with_frame(jobs.collect().head(60))
    path = tmp_path / "out_jobs.csv"
    sets = pl.Series([f"0-{k}" if k % 2 else f"{k} {k + 5}-{k + 6}" for k in range(60)])
    write_jobs(jobs, path, allocated=sets)
    lines = path.read_text().splitlines()
    assert lines[0] == (
        "job_id,workload_name,profile,submission_time,requested_number_of_resources,"
        "requested_time,success,final_state,starting_time,execution_time,finish_time,"
        "waiting_time,turnaround_time,stretch,allocated_resources,consumed_energy,metadata"
    )
    again = read_jobs(path)
    columns = ["job_id", "submit_time", "start_time", "end_time", "cores_req", "walltime_req"]
    columns += ["run_time", "wait_time", "status"]
    assert again.collect(columns).equals(jobs.collect(columns))
    sizes = [k + 1 if k % 2 else 3 for k in range(60)]
    assert again.collect()["cores_alloc"].to_list() == sizes
    states = set(again.collect()["raw_status"])
    assert states >= {"COMPLETED_SUCCESSFULLY", "COMPLETED_FAILED", "COMPLETED_KILLED"}
    row = pl.read_csv(path).row(3, named=True)
    assert row["turnaround_time"] == row["finish_time"] - row["submission_time"]
    write_jobs(again, tmp_path / "2.csv", allocated=sets)
    assert (tmp_path / "2.csv").read_bytes() == path.read_bytes()


def test_jobs_without_a_start_are_rejected_ones(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "job_id": ["a", "b", "c"],
            "submit_time": [1.0, 2.0, 3.0],
            "start_time": [1.0, None, 4.0],
            "end_time": [2.0, None, 104.0],
            "run_time": [1.0, None, 100.0],
            "walltime_req": [5.0, 5.0, 100.0],
            "status": ["finished", "closed", "failed"],
        }
    )
    path = tmp_path / "j.csv"
    write_jobs(JobTable.from_frame(frame), path)
    again = read_jobs(path).collect()
    states = ["COMPLETED_SUCCESSFULLY", "REJECTED", "COMPLETED_WALLTIME_REACHED"]
    assert again["raw_status"].to_list() == states
    assert again["status"].to_list() == ["finished", "closed", "failed"]
    assert again["start_time"].to_list() == [1, None, 4]
    with pytest.raises(InputError, match="2 entries for 3 jobs"):
        write_jobs(JobTable.from_frame(frame), path, allocated=pl.Series(["", ""]))
    with pytest.raises(SchemaError, match="submit_time"):
        write_jobs(JobTable.from_frame(frame.select("job_id")), path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no CSV"),
        ("a,b\n1,2\n", "column job_id is missing"),
        ("job_id,submission_time,final_state\na,x,REJECTED\n", "line 2: submission_time: .* 'x'"),
        ("job_id,submission_time,final_state\na,,REJECTED\n", "line 2: submission_time is empty"),
        ("job_id,submission_time,final_state\na,nan,REJECTED\n", "line 2: submission_time"),
        ("job_id,submission_time,final_state\n,1,REJECTED\n", "line 2: job_id is empty"),
        ("job_id,submission_time,final_state\na,1,OK\n", "line 2: final_state: 'OK' is unknown"),
        ("job_id,submission_time,final_state\na,1,REJECTED,9\n", "no CSV"),
        (
            "job_id,submission_time,final_state,allocated_resources\na,1,REJECTED,1-\n",
            "line 2: allocated_resources",
        ),
        (
            "job_id,submission_time,final_state,requested_number_of_resources\na,1,REJECTED,1.5\n",
            "line 2: requested_number_of_resources: .*'1.5'",
        ),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "j.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_jobs(path)
    with pytest.raises(FormatError, match="no such file"):
        read_jobs(tmp_path / "none.csv")


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 3000), cut=st.integers(0, 20), put=st.text(max_size=6))
def test_damaged_workloads_raise_format_errors_only(
    tmp_path_factory: pytest.TempPathFactory, jobs: JobTable, at: int, cut: int, put: str
) -> None:
    folder = tmp_path_factory.mktemp("batsim")
    text = json.dumps(DOCUMENT)
    at %= len(text)
    (folder / "w.json").write_text(text[:at] + put + text[at + cut :], "utf-8", "replace")
    with suppress(FormatError):
        assert len(read_workload(folder / "w.json").jobs) <= 4
    write_jobs(jobs.with_frame(jobs.collect().head(8)), folder / "j.csv")
    table = (folder / "j.csv").read_text()
    at %= len(table)
    (folder / "j.csv").write_text(table[:at] + put + table[at + cut :], "utf-8", "replace")
    with suppress(FormatError):
        assert len(read_jobs(folder / "j.csv")) <= 9 + put.count("\n")
