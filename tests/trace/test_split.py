"""Splits: sizes, nothing lost, sessions whole."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable
from gridtwin.trace.split import by_row, by_session, by_time, session_ids


def table(users, times):
    ids = [str(i) for i in range(len(users))]
    return JobTable.from_frame(
        pl.DataFrame(
            {"job_id": ids, "user": users, "submit_time": times},
            schema_overrides={"user": pl.String, "submit_time": pl.Float64},
        )
    )


SPLITS = [
    lambda jobs, fraction: by_time(jobs, fraction),
    lambda jobs, fraction: by_row(jobs, fraction, 5),
    lambda jobs, fraction: by_session(jobs, fraction, 600.0, 5),
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 1.0])
def test_no_job_is_lost_or_twice(jobs, split, fraction):
    one, two = split(jobs, fraction)
    ids = pl.concat([one.collect()["job_id"], two.collect()["job_id"]])
    assert sorted(ids) == sorted(jobs.collect()["job_id"])
    assert abs(len(one) - fraction * len(jobs)) <= 20
    assert one.collect()["submit_time"].is_sorted()
    assert one.provenance.machine_cores == jobs.provenance.machine_cores
    assert len(one.provenance.notes) == len(jobs.provenance.notes) + 1


def test_by_time_cuts_the_past_from_the_future(jobs):
    past, future = by_time(jobs, 0.7)
    assert len(past) == 210
    assert past.collect()["submit_time"].max() <= future.collect()["submit_time"].min()


def test_by_row_depends_on_the_seed_alone(jobs):
    first, again, other = by_row(jobs, 0.5, 1)[0], by_row(jobs, 0.5, 1)[0], by_row(jobs, 0.5, 2)[0]
    assert len(first) == 150
    assert first.collect().equals(again.collect())
    assert not first.collect().equals(other.collect())


def test_by_session_keeps_sessions_whole(jobs):
    one, two = by_session(jobs, 0.5, 600.0, 3)
    session = dict(zip(jobs.collect()["job_id"], session_ids(jobs, 600.0), strict=True))
    first = {session[i] for i in one.collect()["job_id"]}
    assert first.isdisjoint(session[i] for i in two.collect()["job_id"])
    assert len(first) > 1


def test_sessions_by_hand():
    jobs = table(["a", "b", "a", "a", None, None, "b"], [0, 1, 9, 19, 20, 20, 30])
    # a: 0, 9 | 19 (a gap of just 10 divides); unknown users: each alone; b: 1 | 30
    assert session_ids(jobs, 10).tolist() == [0, 1, 0, 2, 3, 4, 5]


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 50)), max_size=25),
    gap=st.integers(1, 10),
)
def test_sessions_against_a_plain_loop(rows, gap):
    rows = sorted(rows, key=lambda row: row[1])
    jobs = table([user for user, _ in rows], [time for _, time in rows])
    last, session, want, count = {}, {}, [], 0
    for user, time in rows:
        if user is None or user not in last or time - last[user] >= gap:
            session[user], count = count, count + 1
        last[user] = time
        want.append(session[user])
    assert session_ids(jobs, gap).tolist() == want
    assert session_ids(jobs, gap).dtype == np.int64


def test_bad_arguments_are_errors(jobs):
    with pytest.raises(InputError, match="from 0 to 1"):
        by_row(jobs, 1.5, 0)
    with pytest.raises(InputError, match="gap"):
        by_session(jobs, 0.5, 0.0, 0)
    bare = JobTable.from_frame(pl.DataFrame({"job_id": ["1"]}))
    with pytest.raises(SchemaError, match="submit_time"):
        by_time(bare, 0.5)
    with pytest.raises(SchemaError, match="user"):
        session_ids(bare, 60.0)
