import polars as pl
import pytest

from gridtwin.trace import JobTable, Provenance, TraceSchema


def table(**columns):
    """Return a table of these columns; job ids are made up."""
    height = len(next(iter(columns.values())))
    given = {"job_id": [str(i) for i in range(height)], **columns}
    schema = {name: TraceSchema.canonical()[name].polars for name in given}
    return JobTable.from_frame(pl.DataFrame(given, schema=schema), Provenance(rows_read=height))


@pytest.fixture
def grid():
    """Six jobs of two users at two sites, counted by hand in the tests."""
    return table(
        user=["a", "a", "a", "b", "b", None],
        task_id=["1", "1", "2", "3", "3", "4"],
        site=["X", "X", "Y", "X", "Y", None],
        queue=["X1", "X2", "Y1", "X1", "Y1", "Z"],
        submit_time=[0.0, 10.0, 3600.0, 7200.0, 7230.0, 90000.0],
        eligible_time=[10.0, 20.0, 3600.0, 7300.0, None, None],
        start_time=[100.0, 110.0, 4600.0, 8200.0, None, 90100.0],
        end_time=[3700.0, 3710.0, 8200.0, 15400.0, None, 90100.0],
        run_time=[3600.0, 3600.0, 3600.0, 7200.0, None, 0.0],
        cores_alloc=[1, 1, 8, 2, None, 1],
        cores_req=[1, 1, 8, 2, 4, 1],
        walltime_req=[7200.0, 3600.0, 7200.0, None, 60.0, 60.0],
        cpu_time=[1800.0, 7200.0, 14400.0, 7200.0, None, 0.0],
        input_bytes=[1e9, 2e9, 5e9, 5e9, 5e9, 0.0],
        dataset=["d1", "d1", "d2", "d1", "d1", None],
        status=["finished", "failed", "failed", "finished", "closed", "failed"],
        error_codes=[[], ["pilot:1305", "exe:65"], ["pilot:1099"], [], ["taskbuffer:102"], None],
        core_power=[10.0, 10.0, 12.0, 10.0, 12.0, None],
        priority=[1.0, 2.0, 3.0, 4.0, 5.0, None],
    )
