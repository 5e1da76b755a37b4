"""ALCF's public job records (DIM_JOB_COMPOSITE CSV), bound by column name.

Source: https://reports.alcf.anl.gov/data. The files do not state the time zone; UTC is assumed.
Columns differ between years: those not named here are ignored.
"""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers, times
from gridtwin.trace.readers._text import LINE, RAW, REJECT, header, read_table

__all__ = ["scan", "sniff"]

_NEEDS = ("QUEUED_TIMESTAMP", "START_TIMESTAMP", "END_TIMESTAMP")
_MEASURES = (
    "WALLTIME_SECONDS",
    "RUNTIME_SECONDS",
    "QUEUED_WAIT_SECONDS",
    "ELIGIBLE_WAIT_SECONDS",
    "NODES_REQUESTED",
    "NODES_USED",
    "CORES_REQUESTED",
    "CORES_USED",
    "GPUS_REQUESTED",
)
_LABELS = (
    "JOB_NAME",
    "COBALT_JOBID",
    "MACHINE_NAME",
    "USERNAME_GENID",
    "PROJECT_NAME_GENID",
    "QUEUE_NAME",
    "EXIT_CODE",
    "EXIT_STATUS",
)


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has the three time stamps, in any order."""
    return set(_NEEDS) <= {name.upper() for name in header(head)}


def scan(path: Path) -> Scan:
    """Read the jobs; success is EXIT_STATUS 0, or EXIT_CODE 0 where there is no EXIT_STATUS."""
    wants = (*_NEEDS, *_MEASURES, *_LABELS)
    table = read_table(path, needs=_NEEDS, wants=wants, rename=str.upper)
    rows = times(numbers(table.frame, _MEASURES), _NEEDS)
    rows = rows.with_columns(identity(name) for name in _LABELS)
    col = pl.col
    queued, start, end = (col(name) for name in _NEEDS)
    outcome = pl.coalesce("EXIT_STATUS", "EXIT_CODE")
    code = pl.coalesce("EXIT_CODE", "EXIT_STATUS")
    frame = rows.select(
        job_id=pl.coalesce("COBALT_JOBID", "JOB_NAME"),
        user=col("USERNAME_GENID"),
        group=col("PROJECT_NAME_GENID"),
        site=col("MACHINE_NAME"),
        queue=col("QUEUE_NAME"),
        submit_time=queued,
        eligible_time=start - col("ELIGIBLE_WAIT_SECONDS"),
        start_time=start,
        end_time=end,
        nodes_req=nonzero("NODES_REQUESTED"),
        nodes_alloc=nonzero("NODES_USED"),
        cores_req=nonzero("CORES_REQUESTED"),
        cores_alloc=nonzero("CORES_USED"),
        gpus_req=col("GPUS_REQUESTED"),
        walltime_req=nonzero("WALLTIME_SECONDS"),
        run_time=pl.coalesce(col("RUNTIME_SECONDS"), end - start),
        wait_time=pl.coalesce(col("QUEUED_WAIT_SECONDS"), start - queued),
        status=pl.when(outcome == "0")
        .then(pl.lit("finished"))
        .when(outcome.is_not_null())
        .then(pl.lit("failed")),
        raw_status=outcome,
        error_codes=pl.when(code != "0").then(pl.concat_list(pl.lit("exit:") + code)),
        **{name: col(name) for name in (REJECT, LINE, RAW)},
    )
    notes = (*table.notes, "The time zone is not stated: times are taken as UTC.")
    return Scan(frame.lazy(), notes=notes)
