import polars as pl
import pytest

from gridtwin.trace import JobTable, Provenance

COLUMNS = {"submit_time": pl.Float64, "run_time": pl.Float64, "cores_req": pl.Int64}


@pytest.fixture
def records():
    """Make a table of jobs given as (submit, width, run), and more columns."""

    def make(*rows, **extra):
        frame = pl.DataFrame(
            {
                "job_id": extra.pop("job_id", [f"j{k}" for k in range(len(rows))]),
                "submit_time": [row[0] for row in rows],
                "cores_req": [row[1] for row in rows],
                "run_time": [row[2] for row in rows],
                **extra,
            },
            schema_overrides=COLUMNS,
        )
        return JobTable.from_frame(frame, Provenance(source="made up", rows_read=len(rows)))

    return make
