"""CSV of the DIR-LAB workload generators: sizes, run times and the intervals between arrivals.

Columns: https://github.com/DIR-LAB/Gen-Parallel-Workloads (u_id, user, gpu_num, cpu_num, node_num,
interval, run_time, wall_time, new_status). The time origin is unknown: submit times are the sum
of the intervals so far, from 0.
"""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers, reject
from gridtwin.trace.readers._text import LINE, RAW, REJECT, header, read_table

__all__ = ["scan", "sniff"]

_MEASURES = ("gpu_num", "cpu_num", "node_num", "interval", "run_time", "wall_time")
_STATUS = {"pass": "finished", "failed": "failed", "killed": "cancelled"}


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has ``u_id``, ``interval`` and ``run_time``."""
    return {"u_id", "interval", "run_time"} <= set(header(head))


def scan(path: Path) -> Scan:
    """Read the jobs; an interval that is negative or no number counts as 0 for the jobs after."""
    wants = ("u_id", "user", "new_status", *_MEASURES)
    table = read_table(path, needs=("u_id", "interval", "run_time"), wants=wants)
    rows = numbers(table.frame, _MEASURES)
    col = pl.col
    rows = rows.with_columns(reject({"negative interval": col("interval") < 0}))
    passed = pl.when(col("interval") > 0).then(col("interval")).otherwise(0.0)
    gpus = col("gpu_num") if (rows["gpu_num"] != 0).any() else pl.lit(None, pl.Float64)
    frame = rows.select(
        job_id=identity("u_id"),
        user=identity("user"),
        submit_time=pl.when(col("interval").is_not_null()).then(passed.cum_sum()),
        nodes_req=nonzero("node_num"),
        cores_req=nonzero("cpu_num"),
        gpus_req=gpus,
        walltime_req=nonzero("wall_time"),
        run_time=col("run_time"),
        status=col("new_status")
        .str.to_lowercase()
        .replace_strict(_STATUS, default=None, return_dtype=pl.String),
        raw_status=col("new_status"),
        **{name: col(name) for name in (REJECT, LINE, RAW)},
    )
    notes = (*table.notes, "Submit times are sums of intervals: they count from 0, not from 1970.")
    return Scan(frame.lazy(), notes=notes)
