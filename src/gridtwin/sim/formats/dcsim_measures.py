"""What DCSim measures of each job, from a result."""

from typing import TYPE_CHECKING

import polars as pl

from gridtwin.sim.formats.dcsim_results import MEASURES
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import JobTable

if TYPE_CHECKING:
    from gridtwin.sim.result import Result

__all__ = ["finished", "measures"]


def finished(jobs: JobTable) -> JobTable:
    """Return the attempts that finished: DCSim has no others."""
    return jobs.with_frame(jobs.collect().filter(pl.col("status") == "finished"))


def measures(result: "Result") -> pl.DataFrame:
    """Return the columns `MEASURES` of each attempt.

    ``hit_rate`` is the share of the input that came from the own site. The times of reading and
    writing are from the first transfer's start to the last one's end, 0 without a transfer;
    ``flops`` are those of the job, once, and ``compute_time`` is what they take on its cores: null
    where the jobs have no ``work``, or the site no speed.
    """
    frame = result.jobs.collect()
    spans = {
        name: result.transfers.filter((pl.col("kind") == "output") == out)
        .group_by("job_id")
        .agg((pl.col("end").max() - pl.col("start").min()).alias(name))
        for name, out in (("stage_in_time", False), ("stage_out_time", True))
    }
    for spent in spans.values():
        frame = frame.join(spent, on="job_id", how="left", maintain_order="left")
    for name in ("work", "core_power", "input_bytes", "remote_bytes"):
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, pl.Float64).alias(name))
    read = pl.col("input_bytes")
    return frame.select(
        "job_id",
        hit_rate=pl.when(read > 0).then(1.0 - pl.col("remote_bytes").fill_null(0.0) / read),
        compute_time=pl.col("work") / pl.col("core_power") / pl.col("cores_req"),
        flops=pl.col("work") * FLOPS_PER_HS23,
        stage_in_time=pl.col("stage_in_time").fill_null(0.0),
        stage_out_time=pl.col("stage_out_time").fill_null(0.0),
    ).select(MEASURES)
