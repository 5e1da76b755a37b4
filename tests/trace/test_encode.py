import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Columns, Encoder, modelled_columns


def table(**columns) -> JobTable:
    n = len(next(iter(columns.values())))
    return JobTable.from_frame(pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}))


def test_modelled_columns_of_a_trace(jobs):
    columns = modelled_columns(jobs)
    assert columns.numbers == ("submit_time", "cores_req", "walltime_req", "run_time", "wait_time")
    assert columns.categories == ("user", "group", "queue", "status")
    assert set(columns.left_out) == {"job_id", "start_time", "end_time"}


def test_columns_without_information_are_left_out_with_a_reason():
    jobs = table(
        user=["a"] * 4,
        queue=[None] * 4,
        site=["x", None, "x", "x"],
        nodes_req=[1, 2, 2, 1],
        run_time=[float("nan")] * 4,
    )
    columns = modelled_columns(jobs)
    assert columns.names == ("nodes_req", "site")
    assert columns.left_out["user"] == "one value only"
    assert columns.left_out["queue"] == columns.left_out["run_time"] == "no values"


def test_a_column_of_names_is_left_out_and_start_is_kept_where_nothing_gives_it():
    n = 200
    jobs = table(
        dataset=[f"d{i}" for i in range(n)],
        user=[f"u{i % 7}" for i in range(n)],
        start_time=np.arange(n, dtype=float),
    )
    columns = modelled_columns(jobs)
    assert columns.names == ("start_time", "user")
    assert "200 distinct texts" in columns.left_out["dataset"]


def test_codes_rank_levels_by_frequency_and_mark_unseen_and_null():
    fitted = table(user=["b", "a", "b", "c", "a", "b"], cores_req=[1, 2, 4, 8, 8, 8])
    encoder = Encoder.fit(fitted)
    other = table(user=["c", "z", None, "b"], cores_req=[16, None, 1, 2])
    codes = encoder.codes(other)
    assert encoder.columns.names == ("cores_req", "user")
    np.testing.assert_array_equal(codes[:, 0], [16, np.nan, 1, 2])
    np.testing.assert_array_equal(codes[:, 1], [2, 3, np.nan, 0])


def test_lists_are_joined_to_one_text():
    jobs = table(error_codes=[["pilot:1", "exe:2"], [], None, ["pilot:1", "exe:2"]])
    encoder = Encoder.fit(jobs)
    assert encoder.levels == (("pilot:1 exe:2", ""),)
    np.testing.assert_array_equal(encoder.codes(jobs)[:, 0], [0, 1, np.nan, 0])


def test_unit_is_between_0_and_1_and_one_hot(jobs):
    encoder = Encoder.fit(jobs)
    unit = encoder.unit(jobs)
    names = encoder.unit_names()
    assert unit.shape == (len(jobs), len(names))
    assert unit.dtype == np.float32
    assert unit.min() == 0
    assert unit.max() == 1
    users = unit[:, [k for k, name in enumerate(names) if name.startswith("user")]]
    np.testing.assert_array_equal(users.sum(axis=1), 1)


def test_unit_of_nulls_unseen_values_and_many_levels():
    encoder = Encoder.fit(table(user=["a", "a", "b", "c"], run_time=[0.0, 10.0, None, 4.0]))
    other = table(user=["a", "c", None, "z"], run_time=[5.0, None, 20.0, 0.0])
    assert encoder.unit_names(max_levels=1) == [
        "run_time",
        "run_time is null",
        "user=a",
        "user other",
    ]
    expected = [[0.5, 0, 1, 0], [0, 1, 0, 1], [2, 0, 0, 1], [0, 0, 0, 1]]
    np.testing.assert_array_equal(encoder.unit(other, max_levels=1), expected)


def test_a_constant_number_is_0_not_a_division_by_zero():
    jobs = table(nodes_req=[5, 5, 5])
    encoder = Encoder.fit(jobs, Columns(("nodes_req",), ()))
    np.testing.assert_array_equal(encoder.unit(jobs), [[0], [0], [0]])


def test_errors_name_what_is_missing():
    jobs = table(nodes_req=[1, 2])
    with pytest.raises(SchemaError, match="run_time missing"):
        Encoder.fit(jobs, Columns(("run_time",), ()))
    with pytest.raises(InputError, match="none"):
        Encoder.fit(table(nodes_req=[1, 2]).with_frame(jobs.collect().head(0)))


def test_within_keeps_what_the_other_table_has():
    columns = Columns(("run_time", "nodes_req"), ("user",))
    kept = columns.within(table(nodes_req=[1, 2]))
    assert kept.names == ("nodes_req",)
    assert set(kept.left_out) == {"run_time", "user"}
