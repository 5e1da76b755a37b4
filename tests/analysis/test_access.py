"""Remote data access, class by class and edge by edge, on tiny hand-made records."""

from typing import Any

import polars as pl
import pytest

from gridtwin.analysis import access
from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable
from gridtwin.trace.examples.panda import ACCESS

T0 = 1.7e9


def jobs_of(*rows: dict[str, Any], **extra: list[Any]) -> JobTable:
    """Return jobs at AGLT2, submitted at T0, started 100 s and ended 200 s later."""
    base = {
        "job_id": "1",
        "task_id": "t",
        "site": "AGLT2",
        "queue": "AGLT2",
        "submit_time": T0,
        "start_time": T0 + 100,
        "end_time": T0 + 200,
        "input_bytes": 10.0,
        "input_files": 1,
    }
    table = JobTable.from_frame(pl.DataFrame([base | row for row in rows or ({},)]))
    if extra:
        return table.with_frame(
            table.frame.with_columns(**{k: pl.Series(v) for k, v in extra.items()})
        )
    return table


def traces_of(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "appid": "1",
        "eventType": "get_sm_a",
        "clientState": "DONE",
        "stateReason": "OK",
        "remoteSite": "AGLT2_DATADISK",
        "scope": "s",
        "filename": "f",
        "filesize": 10,
        "timeStart": T0 + 101,
    }
    return pl.DataFrame([base | row for row in rows], infer_schema_length=None)


def files_of(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "pandaid": "1",
        "jeditaskid": "t",
        "scope": "s",
        "lfn": "f",
        "dataset": "d",
        "type": "input",
        "fsize": 10,
    }
    return pl.DataFrame([base | row for row in rows or ({},)], infer_schema_length=None)


def transfers_of(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "request_id": "r1",
        "request_type": "TRANSFER",
        "scope": "s",
        "name": "f",
        "dataset": "d",
        "bytes": 10,
        "src_rse": "BNL-OSG2_DATADISK",
        "dst_rse": "AGLT2_DATADISK",
        "src_type": "DISK",
        "created_at": T0 + 10,
        "started_at": T0 + 20,
        "transferred_at": T0 + 60,
        "state": "D",
    }
    return pl.DataFrame([base | row for row in rows or ({},)], infer_schema_length=None)


def replicas_of(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "scope": "s",
        "dataset": "d",
        "rse": "AGLT2_DATADISK",
        "rse_type": "DISK",
        "state": "A",
        "created_at": T0 - 1e6,
        "deleted_at": None,
    }
    schema = {"deleted_at": pl.Float64}
    return pl.DataFrame(
        [base | row for row in rows or ({},)], schema_overrides=schema, infer_schema_length=None
    )


def reasons(found: access.Found, source: str) -> dict[str, int]:
    rows = found.rows.filter(pl.col("source") == source)
    return dict(rows.select("reason", "rows").iter_rows())


def test_classes_are_those_of_the_example() -> None:
    assert access.ACCESS == ACCESS


# --- A: traces


@pytest.mark.parametrize(
    ("change", "job", "label", "remote", "at_most"),
    [
        ({}, {}, "local copy", 0.0, False),
        ({"clientState": "FOUND_ROOT"}, {}, "local direct", 0.0, False),
        ({"stateReason": "direct_access"}, {}, "local direct", 0.0, False),
        ({"remoteSite": "BNL-OSG2_DATADISK"}, {}, "remote copy", 10.0, False),
        (
            {"remoteSite": "BNL-OSG2_DATADISK", "clientState": "FOUND_ROOT"},
            {},
            "remote direct",
            10.0,
            True,
        ),
        (
            {"remoteSite": "BNL-OSG2_DATADISK", "clientState": "FOUND_ROOT"},
            {"queue": "ANALY_AGLT2_VP"},
            "cache",
            10.0,
            True,
        ),
        ({"clientState": "FOUND_ROOT"}, {"queue": "ANALY_AGLT2_VP"}, "cache", 0.0, False),
        ({"remoteSite": "AGLT2_DATATAPE"}, {}, "tape", 0.0, False),
        ({"remoteSite": "AGLT2_MCTAPE"}, {}, "tape", 0.0, False),
    ],
)
def test_traces_tell_each_class(
    change: dict[str, Any], job: dict[str, Any], label: str, remote: float, at_most: bool
) -> None:
    found = access.from_traces(jobs_of(job), traces_of(change))
    row = found.jobs.row(0, named=True)
    assert row["access"] == label
    assert row["remote_bytes"] == remote
    assert row["remote_files"] == (1 if remote else 0)
    assert row[access.column_of(label)] == 10.0
    assert row["known_share"] == 1.0
    assert row["at_most"] is at_most


def test_columns_say_where_the_size_is_not_what_was_read() -> None:
    assert access.column_of("remote direct") == "remote_direct_file_bytes"
    assert access.column_of("cache") == "cache_file_bytes"
    assert access.column_of("remote copy") == "remote_copy_bytes"
    assert access.column_of("pre-placed") == "pre_placed_bytes"


def test_traces_not_used_are_counted_by_reason() -> None:
    rows = traces_of(
        {},
        {"eventType": "put_sm_a"},
        {"clientState": "FAILED"},
        {"clientState": None},
        {"filename": None},
        {"appid": "99"},
        {"remoteSite": "NOWHERE_DATADISK"},
        {"remoteSite": None},
        {"timeStart": T0 + 102, "remoteSite": "BNL-OSG2_DATADISK"},
    )
    found = access.from_traces(jobs_of(), rows)
    assert reasons(found, "traces") == {
        "matched": 1,
        "not a pilot's read": 1,
        "read failed": 2,
        "no file name": 1,
        "no such job": 1,
        "end point of no known site": 2,
        "read again by the same job": 1,
    }
    assert found.rows["rows"].sum() == rows.height
    # the later read of the file is the one that counts
    assert found.jobs["access"].to_list() == ["remote copy"]
    assert found.jobs["remote_bytes"].to_list() == [10.0]
    assert found.matched("traces") == (1, 9)


def test_the_same_name_in_two_scopes_is_two_files() -> None:
    rows = traces_of({}, {"scope": "z", "remoteSite": "BNL_DATADISK", "filesize": 30})
    found = access.from_traces(jobs_of({"input_bytes": 40.0, "input_files": 2}), rows)
    row = found.jobs.row(0, named=True)
    assert (row["known_files"], row["remote_files"], row["remote_bytes"]) == (2, 1, 30.0)
    assert row["access"] == "remote copy"  # most bytes
    assert row["local_copy_bytes"] == 10.0


def test_a_missing_trace_shows_in_the_known_share() -> None:
    rows = traces_of({"remoteSite": "BNL_DATADISK"})
    found = access.from_traces(jobs_of({"input_bytes": 40.0, "input_files": 4}), rows)
    assert found.jobs["known_share"].to_list() == [0.25]
    rest = access.summary(found).filter(pl.col("access") == "unknown").row(0, named=True)
    assert (rest["jobs"], rest["files"], rest["bytes"]) == (1, 3, 30.0)


def test_without_sizes_bytes_are_null_and_files_count() -> None:
    rows = traces_of({"remoteSite": "BNL_DATADISK", "filesize": None})
    row = access.from_traces(jobs_of(), rows).jobs.row(0, named=True)
    assert row["access"] == "remote copy"
    assert row["remote_bytes"] is None
    assert row["remote_files"] == 1
    assert row["known_share"] == 1.0  # by files
    without = access.from_traces(jobs_of(), rows.drop("filesize", "scope", "timeStart"))
    assert without.jobs["remote_bytes"].to_list() == [None]


def test_negative_and_infinite_sizes_are_no_sizes() -> None:
    rows = traces_of({"filesize": -1.0}, {"filename": "g", "filesize": float("inf")})
    assert access.from_traces(jobs_of(), rows).jobs["known_bytes"].to_list() == [None]


def test_jobs_without_a_trace_are_unknown_never_zero() -> None:
    table = jobs_of(
        {},
        {"job_id": "2", "start_time": None},
        {"job_id": "3", "input_files": 0, "input_bytes": 0.0},
    )
    found = access.from_traces(table, traces_of({"appid": "9"}))
    assert found.jobs["access"].to_list() == ["unknown", "not started", "no input"]
    assert found.jobs["remote_bytes"].null_count() == 3
    assert found.jobs["known_share"].to_list() == [0.0, None, None]


def test_repeated_jobs_do_not_double_bytes() -> None:
    table = jobs_of({}, {"site": "BNL"})
    found = access.from_traces(table, traces_of({"remoteSite": "BNL_DATADISK"}))
    assert found.jobs["remote_bytes"].to_list() == [10.0]
    assert reasons(found, "jobs") == {"job id repeated": 1}


def test_ids_may_be_numbers_and_sites_may_come_from_the_queue() -> None:
    table = jobs_of({"queue": "AGLT2_MERGE"})
    table = table.with_frame(table.frame.drop("site"))
    found = access.from_traces(table, traces_of({"appid": 1}))
    assert found.jobs.select("site", "access").row(0) == ("AGLT2", "local copy")


def test_a_queue_that_no_table_knows_is_a_cache_by_its_name() -> None:
    found = access.from_jobs(jobs_of({"queue": "ANALY_NEW_VP", "site": "NEW"}))
    assert found.jobs["access"].to_list() == ["cache"]


# --- B: transfers


@pytest.mark.parametrize(
    ("change", "label", "remote"),
    [
        ({}, "pre-placed", 0.0),
        ({"transferred_at": T0 + 150}, "remote copy", 10.0),
        ({"src_rse": "AGLT2_SCRATCHDISK"}, "local copy", 0.0),
        ({"request_type": "STAGEIN"}, "tape", 0.0),
        ({"src_type": "TAPE"}, "tape", 0.0),
        ({"src_rse": "BNL-OSG2_MCTAPE", "src_type": None}, "tape", 0.0),
        ({"dataset": None}, "pre-placed", 0.0),
        ({"created_at": T0, "transferred_at": T0 + 200}, "remote copy", 10.0),
    ],
)
def test_transfers_tell_classes(change: dict[str, Any], label: str, remote: float) -> None:
    found = access.from_transfers(jobs_of(), files_of(), transfers_of(change))
    row = found.jobs.row(0, named=True)
    assert (row["access"], row["remote_bytes"]) == (label, remote)
    assert row["moved_bytes"] == (10.0 if label in ("pre-placed", "tape") else 0.0)
    assert found.matched("transfers") == (1, 1)
    assert found.matched("files") == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scope": "z"}, "no job of the table has such a file"),
        ({"scope": None}, "no job of the table has such a file"),
        ({"name": "g"}, "no job of the table has such a file"),
        ({"bytes": 11}, "other size"),
        ({"bytes": None}, "no id, name or size"),
        ({"request_id": None}, "no id, name or size"),
        ({"dataset": "e"}, "other site, time or data set"),
        ({"dst_rse": "BNL_DATADISK", "src_rse": "AGLT2_DATADISK"}, "other site, time or data set"),
        ({"created_at": T0 - 1}, "other site, time or data set"),
        ({"transferred_at": T0 + 201}, "other site, time or data set"),
        ({"transferred_at": None}, "no times"),
        ({"state": "F"}, "not done"),
        ({"dst_rse": "NOWHERE_DATADISK"}, "end point of no known site"),
    ],
)
def test_transfers_that_do_not_match_are_counted(change: dict[str, Any], reason: str) -> None:
    moves = transfers_of(change).with_columns(pl.col("transferred_at").cast(pl.Float64))
    found = access.from_transfers(jobs_of(), files_of(), moves)
    assert reasons(found, "transfers") == {reason: 1}
    assert reasons(found, "files") == {"no transfer matches": 1}
    row = found.jobs.row(0, named=True)
    assert (row["access"], row["remote_bytes"], row["known_share"]) == ("unknown", None, 0.0)


def test_an_output_matches_from_the_site_of_its_job_and_is_no_input() -> None:
    move = {"dst_rse": "BNL_DATADISK", "src_rse": "AGLT2_SCRATCHDISK"}
    found = access.from_transfers(jobs_of(), files_of({"type": "output"}), transfers_of(move))
    assert found.matched("transfers") == (1, 1)
    assert found.jobs["access"].to_list() == ["unknown"]


def test_transfers_for_a_task_count_from_its_first_job() -> None:
    table = jobs_of({}, {"job_id": "2", "submit_time": T0 + 50})
    files = files_of({}, {"pandaid": "2"})
    by_job = access.from_transfers(table, files, transfers_of())
    assert by_job.jobs["access"].to_list() == ["pre-placed", "unknown"]
    by_task = access.from_transfers(table, files, transfers_of(), since="task")
    assert by_task.jobs["access"].to_list() == ["pre-placed", "pre-placed"]
    assert by_task.matched("transfers") == (1, 1)


def test_several_transfers_of_a_file_count_it_once_and_the_first_one() -> None:
    moves = transfers_of(
        {"request_id": "r2", "transferred_at": T0 + 150}, {}, {"request_id": "r3", "created_at": T0}
    )
    found = access.from_transfers(jobs_of(), files_of({}, {}), moves)
    row = found.jobs.row(0, named=True)
    assert (row["access"], row["known_bytes"], row["known_files"]) == ("pre-placed", 10.0, 1)
    assert found.matched("transfers") == (3, 3)


def test_rows_of_the_file_table_are_counted_by_reason() -> None:
    rows = files_of(
        {},
        {"type": "log"},
        {"type": None},
        {"pandaid": "9"},
        {"jeditaskid": "other"},
        {"lfn": "g", "fsize": None},
        {"lfn": "h"},
    )
    found = access.from_transfers(jobs_of(), rows, transfers_of())
    assert reasons(found, "files") == {
        "matched": 1,
        "neither input nor output": 2,
        "no such job": 1,
        "other task than the job's": 1,
        "no size": 1,
        "no transfer matches": 1,
    }


def test_the_transfer_share_is_of_the_union_inside_the_queue_time() -> None:
    table = jobs_of({}, {"job_id": "2", "start_time": T0}, {"job_id": "3"})
    moves = transfers_of(
        {"started_at": T0 + 10, "transferred_at": T0 + 30},
        {"request_id": "b", "started_at": T0 + 20, "transferred_at": T0 + 40},
        {"request_id": "c", "started_at": T0 + 25, "transferred_at": T0 + 28},
        {"request_id": "d", "created_at": T0 + 80, "started_at": None, "transferred_at": T0 + 150},
        {"request_id": "e", "started_at": T0 + 110, "transferred_at": T0 + 120},
    )
    files = files_of({}, {"pandaid": "2"}, {"pandaid": "3", "lfn": "other"})
    share = access.transfer_share(access.match_transfers(table, files, moves))
    # 10..40 and 80..100 of 100 s; job 2 did not wait, job 3 has no match
    assert share.rows() == [("1", 5, 50.0, 100.0, 0.5), ("2", 5, 0.0, 0.0, None)]


# --- C: replicas


@pytest.mark.parametrize(
    ("rows", "label", "remote"),
    [
        (({},), "local", 0.0),
        (({"rse": "BNL_DATADISK"},), "remote", 10.0),
        (({"rse": "BNL_DATADISK"}, {}), "local", 0.0),
        (({"state": "U"}, {"rse": "BNL_DATADISK"}), "remote", 10.0),
        (({"state": "U"},), "remote", 10.0),
        (({"state": None},), "remote", 10.0),
        (({"deleted_at": T0 + 99.0}, {"rse": "BNL_DATADISK"}), "remote", 10.0),
        (({"deleted_at": T0 + 101.0},), "local", 0.0),
        (({"created_at": T0 + 101.0}, {"rse": "BNL_DATADISK"}), "remote", 10.0),
        (({"rse": "AGLT2_DATATAPE", "rse_type": "TAPE"},), "tape", 10.0),
        (({"rse": "AGLT2_DATATAPE", "rse_type": None},), "tape", 10.0),
        (({"rse": "NOWHERE_DATADISK"},), "remote", 10.0),
    ],
)
def test_replicas_bound_remote_bytes_from_above(
    rows: tuple[dict[str, Any], ...], label: str, remote: float
) -> None:
    found = access.from_replicas(jobs_of(), files_of(), replicas_of(*rows))
    row = found.jobs.row(0, named=True)
    assert (row["access"], row["remote_bytes"]) == (label, remote)
    assert row["at_most"] is (label == "remote")


def test_a_snapshot_needs_no_times() -> None:
    snapshot = replicas_of().drop("created_at", "deleted_at", "rse_type")
    found = access.from_replicas(jobs_of(), files_of(), snapshot)
    assert found.jobs["access"].to_list() == ["local"]


def test_a_data_set_without_replicas_is_unknown() -> None:
    files = files_of({"dataset": "e"}, {"dataset": None, "lfn": "g"}, {"pandaid": "2"})
    found = access.from_replicas(
        jobs_of({}, {"job_id": "2", "start_time": None}), files, replicas_of()
    )
    assert found.jobs["access"].to_list() == ["unknown", "not started"]
    assert reasons(found, "files") == {
        "data set not among the replicas": 1,
        "no data set": 1,
        "no such job, or it did not start": 1,
    }


# --- D: jobs


def test_the_job_table_alone_tells_caches_and_dispatch_and_no_bytes() -> None:
    table = jobs_of(
        {},
        {"job_id": "2", "queue": "ANALY_AGLT2_VP"},
        {"job_id": "3"},
        {"job_id": "4"},
        dispatchdblock=[None, None, "panda.d", "NULL"],
    )
    found = access.from_jobs(table)
    assert found.jobs["access"].to_list() == ["unknown", "cache", "pre-placed", "unknown"]
    assert found.jobs["remote_bytes"].null_count() == 4
    assert found.jobs["remote_files"].null_count() == 4
    assert found.jobs["known_share"].to_list() == [0.0] * 4
    assert reasons(found, "jobs") == {"matched": 2, "no answer": 2}
    labels = access.summary(found)["access"].to_list()
    assert labels == ["cache, by the job table", "pre-placed, by the job table", "unknown"]


# --- the best of them, and what they find of the truth


def test_the_best_record_at_hand_comes_first() -> None:
    table = jobs_of(
        *({"job_id": str(i), "input_bytes": 10.0} for i in range(1, 6)),
        {"job_id": "6", "queue": "ANALY_AGLT2_VP"},
    )
    a = access.from_traces(table, traces_of({}, {"appid": "2"}))
    files = files_of(*({"pandaid": str(i)} for i in (1, 3)), {"pandaid": "4", "lfn": "g"})
    b = access.from_transfers(table, files, transfers_of())
    c = access.from_replicas(table, files, replicas_of({"rse": "BNL_DATADISK"}))
    both = access.best(c, access.from_jobs(table), b, a)
    assert both.jobs.select("job_id", "method", "access").rows() == [
        ("1", "traces", "pre-placed"),  # read locally, because a transfer brought it
        ("2", "traces", "local copy"),
        ("3", "transfers", "pre-placed"),
        ("4", "replicas", "remote"),
        ("5", "jobs", "unknown"),
        ("6", "jobs", "cache"),
    ]
    assert both.files.collect().height == 4
    assert both.jobs["remote_bytes"].to_list() == [0.0, 0.0, 0.0, 10.0, None, None]


def test_a_remote_read_stays_remote_whatever_was_transferred() -> None:
    a = access.from_traces(jobs_of(), traces_of({"remoteSite": "BNL_DATADISK"}))
    b = access.from_transfers(jobs_of(), files_of(), transfers_of())
    assert access.best(a, b).jobs["access"].to_list() == ["remote copy"]


def test_best_wants_single_methods() -> None:
    a = access.from_traces(jobs_of(), traces_of({}))
    b = access.from_transfers(jobs_of(), files_of(), transfers_of())
    with pytest.raises(InputError, match="at least one"):
        access.best()
    with pytest.raises(InputError, match="single methods"):
        access.best(access.best(a, b), a)


def test_the_summary_adds_up() -> None:
    table = jobs_of(
        {"input_bytes": 40.0, "input_files": 3},
        {"job_id": "2"},
        {"job_id": "3", "start_time": None, "input_bytes": 7.0},
    )
    rows = traces_of(
        {},
        {
            "filename": "g",
            "filesize": 20,
            "remoteSite": "BNL_DATADISK",
            "clientState": "FOUND_ROOT",
        },
    )
    table_ = access.summary(access.from_traces(table, rows))
    assert table_.select("access", "jobs", "files", "bytes", "remote_bytes").rows() == [
        ("local copy", 1, 1, 10.0, 0.0),
        ("remote direct", 1, 1, 20.0, 20.0),
        ("unknown", 2, 2, 20.0, None),
        ("not started", 1, 1, 7.0, None),
    ]
    assert table_["bytes_share"].to_list() == [0.2, 0.4, 0.4, None]
    assert table_["not_all_read"].to_list()[:2] == [False, True]


def test_recovered_counts_right_and_false_bytes() -> None:
    table = jobs_of({}, {"job_id": "2"}, {"job_id": "3"})
    rows = traces_of(
        {"remoteSite": "BNL_DATADISK"}, {"appid": "2", "remoteSite": "BNL_DATADISK", "filesize": 5}
    )
    truth = pl.DataFrame(
        {
            "job_id": ["1", "2", "3"],
            "scope": ["s"] * 3,
            "lfn": ["f"] * 3,
            "bytes": [10, 5, 30],
            "access": ["remote copy", "pre-placed", "remote direct"],
            "remote": [True, False, True],
        }
    )
    row = access.recovered(access.from_traces(table, rows), truth).row(0, named=True)
    assert row["read_truth"] == 40
    assert row["read_found"] == 10
    assert row["read_share"] == 0.25
    assert row["read_false"] == 5
    assert (row["moved_truth"], row["moved_found"], row["moved_false"]) == (5, 0, 0)
    assert (row["jobs"], row["jobs_answered"], row["files_answered"]) == (3, 2, 2)
    assert row["same_class"] == 0.5
    assert row["transfers"] is None


# --- bad input


def test_missing_and_wrong_columns_are_said_in_words() -> None:
    table = jobs_of()
    with pytest.raises(SchemaError, match="traces lack the columns filename"):
        access.from_traces(table, traces_of({}).drop("filename"))
    with pytest.raises(SchemaError, match="'filesize' of traces is String; expected numbers"):
        access.from_traces(table, traces_of({"filesize": "10"}))
    with pytest.raises(SchemaError, match="'appid' of traces is Float64; ids lose digits"):
        access.from_traces(table, traces_of({"appid": 1.0}))
    with pytest.raises(SchemaError, match="'scope' of traces is List"):
        access.from_traces(table, traces_of({"scope": ["s"]}))
    with pytest.raises(SchemaError, match="transfers lack the columns src_rse, dst_rse"):
        access.from_transfers(table, files_of(), transfers_of().drop("src_rse", "dst_rse"))
    with pytest.raises(SchemaError, match="'created_at' of transfers is String"):
        access.from_transfers(table, files_of(), transfers_of({"created_at": "now"}))
    with pytest.raises(SchemaError, match="replicas lack the columns state"):
        access.from_replicas(table, files_of(), replicas_of().drop("state"))
    no_times = table.with_frame(table.frame.drop("submit_time"))
    with pytest.raises(SchemaError, match="submit_time not in this table"):
        access.from_transfers(no_times, files_of(), transfers_of())
    with pytest.raises(SchemaError, match="site or queue"):
        access.from_jobs(table.with_frame(table.frame.drop("site", "queue")))
    with pytest.raises(SchemaError, match="'remote' of true accesses is Int"):
        access.recovered(
            access.from_jobs(table),
            pl.DataFrame(
                {"job_id": ["1"], "scope": "s", "lfn": "f", "bytes": 1, "access": "x", "remote": 1}
            ),
        )


def test_times_may_be_date_times() -> None:
    times = ["created_at", "started_at", "transferred_at"]
    moves = transfers_of().with_columns(pl.from_epoch(pl.col(times), time_unit="s"))
    found = access.from_transfers(jobs_of(), files_of(), moves)
    assert found.jobs["access"].to_list() == ["pre-placed"]


def test_empty_records_leave_everything_unknown() -> None:
    table = jobs_of()
    for found in (
        access.from_traces(table, traces_of({}).clear()),
        access.from_transfers(table, files_of().clear(), transfers_of().clear()),
        access.from_replicas(table, files_of(), replicas_of().clear()),
    ):
        assert found.jobs["access"].to_list() == ["unknown"]
        assert found.jobs["remote_bytes"].to_list() == [None]
    nobody = table.with_frame(table.frame.filter(pl.lit(value=False)))
    assert access.from_traces(nobody, traces_of({})).jobs.height == 0
    assert access.summary(access.from_jobs(nobody)).height == 0


def test_lazy_frames_do_as_well() -> None:
    found = access.from_traces(jobs_of(), traces_of({}).lazy())
    assert found.jobs["access"].to_list() == ["local copy"]
