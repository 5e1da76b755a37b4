import polars as pl
import pytest

from gridtwin.trace import JobTable


@pytest.fixture(scope="session")
def sited(jobs) -> JobTable:
    """Return the made-up jobs at three sites."""
    site = [("north", "south", "west")[i % 5 % 3] for i in range(len(jobs))]
    return JobTable.from_frame(jobs.collect().with_columns(site=pl.Series(site)), jobs.provenance)
