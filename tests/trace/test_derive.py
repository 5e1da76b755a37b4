import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.derive import (
    bounded_slowdown,
    machine_size,
    offered_load,
    peak_width,
    runnable,
)


def table(machine_cores=None, **columns):
    n = len(next(iter(columns.values())))
    frame = pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns}, strict=False)
    return JobTable.from_frame(frame, Provenance(machine_cores=machine_cores))


def test_jobs_come_in_submit_order_and_point_at_their_rows():
    jobs = table(submit_time=[30.0, 10.0, 20.0], run_time=[3.0, 1.0, 2.0], cores_req=[3, 1, 2])
    ready = runnable(jobs)
    assert ready.submit.tolist() == [10, 20, 30]
    assert ready.run.tolist() == [1, 2, 3]
    assert ready.width.tolist() == [1, 2, 3]
    assert jobs.collect()["cores_req"].to_numpy()[ready.row].tolist() == [1, 2, 3]
    assert ready.dropped == {}
    assert len(ready) == 3


def test_an_unsorted_frame_is_put_in_order_and_ties_keep_theirs():
    jobs = table(submit_time=[1.0, 2.0, 3.0], run_time=[1.0, 1.0, 1.0], cores_req=[1, 2, 3])
    shuffled = jobs.with_frame(
        pl.DataFrame(
            {"submit_time": [5.0, 2.0, 5.0], "run_time": [1.0] * 3, "cores_req": [7, 8, 9]}
        )
    )
    ready = runnable(shuffled)
    assert ready.row.tolist() == [1, 0, 2]
    assert ready.width.tolist() == [8, 7, 9]


def test_every_job_left_out_is_counted_under_its_first_reason():
    jobs = table(
        submit_time=[None, float("nan"), 1.0, 2.0, 3.0, 4.0, 5.0],
        run_time=[1.0, None, None, -5.0, math.inf, 1.0, 1.0],
        cores_req=[1, 1, 1, 1, 1, 0, 2],
    )
    ready = runnable(jobs)
    assert ready.dropped == {
        "no submit time": 2,
        "no run time": 2,
        "negative run time": 1,
        "no size": 1,
    }
    assert len(ready) + sum(ready.dropped.values()) == 7
    assert ready.submit.tolist() == [5]


def test_the_size_is_what_was_asked_else_what_was_given():
    jobs = table(
        submit_time=[0.0] * 4,
        run_time=[1.0] * 4,
        cores_req=[4, None, 0, None],
        cores_alloc=[8, 8, 6, None],
        nodes_req=[1, 1, 1, 1],
    )
    ready = runnable(jobs)
    assert ready.unit == "cores"
    assert ready.width.tolist() == [4, 8, 6]
    assert ready.dropped == {"no size": 1}


@pytest.mark.parametrize(("column", "unit"), [("gpus_req", "gpus"), ("nodes_req", "nodes")])
def test_tables_without_core_counts_use_gpus_or_nodes(column, unit):
    ready = runnable(table(submit_time=[0.0], run_time=[1.0], cores_req=[None], **{column: [3]}))
    assert (ready.unit, ready.width.tolist()) == (unit, [3])


def test_run_time_is_taken_from_start_and_end_where_it_is_missing():
    jobs = table(
        submit_time=[0.0, 0.0],
        start_time=[5.0, 5.0],
        end_time=[9.0, 9.0],
        run_time=[None, 3.0],
        cores_req=[1, 1],
    )
    assert runnable(jobs).run.tolist() == [4, 3]


def test_the_request_is_the_wall_time_where_it_is_positive():
    jobs = table(
        submit_time=[0.0] * 5,
        run_time=[7.0] * 5,
        cores_req=[1] * 5,
        walltime_req=[60.0, 0.0, -1.0, None, math.nan],
    )
    assert runnable(jobs).request.tolist() == [60, 7, 7, 7, 7]


@pytest.mark.parametrize("missing", ["submit_time", "run_time", "cores_req"])
def test_a_table_without_a_needed_column_is_refused(missing):
    columns = {"submit_time": [0.0], "run_time": [1.0], "cores_req": [1]}
    del columns[missing]
    with pytest.raises(SchemaError):
        runnable(table(**columns))


def test_an_empty_table_has_nothing_to_run():
    jobs = table(submit_time=[], run_time=[], cores_req=[])
    assert len(runnable(jobs)) == 0
    assert machine_size(jobs) == 1


def test_a_stated_machine_size_is_taken_as_it_is():
    jobs = table(machine_cores=128, submit_time=[0.0], run_time=[1.0], cores_req=[256])
    assert machine_size(jobs) == 128


def test_a_stated_core_count_says_nothing_about_gpus():
    jobs = table(machine_cores=128, submit_time=[0.0], run_time=[1.0], gpus_req=[4])
    assert machine_size(jobs) == 4


def test_machine_size_is_the_recorded_peak():
    jobs = table(
        submit_time=[0.0, 0.0, 0.0],
        start_time=[0.0, 10.0, 5.0],
        end_time=[10.0, 20.0, 15.0],
        run_time=[10.0] * 3,
        cores_req=[4, 4, 3],
    )
    assert machine_size(jobs) == 7  # the first ends when the second starts


def overlapping(wait):
    start = np.arange(0, 8000, 100.0)
    width = np.where(np.arange(80) < 12, 100, 10)
    start[:12] = 0.0  # twelve of the widest jobs at once, for a moment
    run = np.where(np.arange(80) < 12, 300.0, 500.0)
    return table(
        submit_time=start - wait,
        start_time=start,
        end_time=start + run,
        run_time=run,
        cores_req=width,
    )


def test_records_that_overlap_beyond_the_machine_while_jobs_wait_are_not_believed():
    assert machine_size(overlapping(3600.0)) == 100


def test_a_burst_on_a_machine_where_nobody_waits_is_believed():
    assert machine_size(overlapping(0.0)) == 1200


def test_machine_size_without_start_times_assumes_no_wait():
    jobs = table(submit_time=[0.0, 1.0, 9.0], run_time=[5.0, 5.0, 5.0], cores_req=[2, 3, 4])
    assert machine_size(jobs) == 5


def test_machine_size_holds_the_widest_job_even_if_it_took_no_time():
    jobs = table(
        submit_time=[0.0, 0.0], start_time=[1.0, 1.0], run_time=[0.0, 1.0], cores_req=[9, 2]
    )
    assert machine_size(jobs) == 9


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 10), st.integers(1, 5)),
        min_size=1,
        max_size=20,
    )
)
def test_peak_width_equals_the_largest_sum_at_any_instant(intervals):
    start = np.array([s for s, _, _ in intervals])
    end = np.array([s + d for s, d, _ in intervals])
    width = np.array([w for _, _, w in intervals])
    expected = max(int(width[(start <= t) & (t < end)].sum()) for t in range(31))
    assert peak_width(start, end, width) == expected


def test_peak_width_of_nothing_is_zero():
    assert peak_width([], [], []) == 0


def test_bounded_slowdown_by_hand():
    wait, run = [0.0, 10.0, 100.0, 5.0], [100.0, 10.0, 1.0, 0.0]
    assert bounded_slowdown(wait, run).tolist() == [1, 2, 10.1, 1]
    assert bounded_slowdown([100.0], [1.0], tau=1).tolist() == [101]
    with pytest.raises(InputError, match="above 0"):
        bounded_slowdown([1.0], [1.0], tau=0)


def test_offered_load_by_hand():
    assert offered_load([10.0, 20.0], [2, 1], [0.0, 10.0], cores=8) == 0.5
    assert math.isnan(offered_load([1.0], [1], [5.0], cores=1))
    assert math.isnan(offered_load([], [], [], cores=1))
    with pytest.raises(InputError, match="0 cores"):
        offered_load([1.0], [1], [0.0], cores=0)
