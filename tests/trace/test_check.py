import polars as pl
import pytest

import gridtwin
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.check import check

GOOD = {
    "job_id": ["a", "b"],
    "user": ["u1", "u2"],
    "submit_time": [1.7e9, 1.7e9 + 5],
    "start_time": [1.7e9 + 1, 1.7e9 + 6],
    "end_time": [1.7e9 + 11, 1.7e9 + 26],
    "cores_req": [1, 4],
    "walltime_req": [60.0, 60.0],
    "run_time": [10.0, 20.0],
}


def found(level="error", *, cores=8, dropped=None, **columns):
    origin = Provenance(machine_cores=cores, dropped=dropped or {})
    table = JobTable.from_frame(pl.DataFrame({**GOOD, **columns}), origin)
    return {f.what: f.rows for f in check(table) if f.level == level}


def test_nothing_to_say_of_good_jobs():
    assert gridtwin.check is check
    assert [found(level) for level in ("error", "warning", "note")] == [{}, {}, {}]


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"job_id": ["a", "a"]}, "job_id not unique"),
        ({"run_time": [-1.0, 20.0]}, "run_time below 0"),
        ({"run_time": [float("inf"), 20.0]}, "run_time no number"),
        ({"walltime_req": [float("nan"), 60.0]}, "walltime_req no number"),
        ({"start_time": [1.6e9, 1.7e9 + 6]}, "start_time before submit_time"),
        ({"end_time": [1.7e9 - 11, 1.7e9 + 26]}, "end_time before start_time"),
        ({"cores_req": [9, 4]}, "cores_req above the machine's 8"),
        ({"dropped": {"no size": 1}}, "not kept: no size"),
    ],
)
def test_errors(columns, what):
    assert found(**columns) == {what: 1}


@pytest.mark.parametrize(
    ("columns", "level", "what"),
    [
        ({"run_time": [10.0, 55.0]}, "warning", "run_time is not end - start"),
        ({"cores_req": [0, 4]}, "warning", "cores_req is 0"),
        ({"walltime_req": [5.0, 60.0]}, "note", "run_time above walltime_req"),
        ({"user": [None, "u2"]}, "note", "user unknown"),
    ],
)
def test_warnings_and_notes(columns, level, what):
    assert found(level, **columns) == {what: 1}
    assert found("error", **columns) == {}


def test_times_in_milliseconds_are_noticed():
    late = {name: [1.7e12, 1.7e12] for name in ("submit_time", "start_time", "end_time")}
    assert found("warning", run_time=[0.0, 0.0], **late) == {"submit_time not of 1970-2096": 2}


def test_an_empty_table_and_missing_columns():
    empty = JobTable.from_frame(pl.DataFrame({"job_id": []}, schema={"job_id": pl.String}))
    assert [f.what for f in check(empty) if f.level == "error"] == ["no jobs"]
    bare = JobTable.from_frame(pl.DataFrame({"job_id": ["a"]}))
    assert {f.what for f in check(bare) if f.level == "warning"} == {
        "no column submit_time",
        "no column run_time",
    }
