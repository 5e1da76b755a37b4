"""Text of ``sacct -P`` (``--parsable2``) or ``-p``: columns by name, separated by ``|``."""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers, reject, seconds, times
from gridtwin.trace.readers._text import LINE, RAW, REJECT, UNKNOWN, read_table

__all__ = ["STEP", "is_mine", "scan"]

STEP = "job step (its job is a row of its own)"
"""Reason for the rows ``JobID.step``."""

_TIMES = ("submit", "eligible", "start", "end")
_MEASURES = (
    "elapsedraw",
    "timelimitraw",
    "nnodes",
    "allocnodes",
    "reqcpus",
    "alloccpus",
    "ncpus",
    "priority",
    "restarts",
)
_LABELS = (
    "jobid",
    "jobidraw",
    "state",
    "user",
    "uid",
    "account",
    "group",
    "qos",
    "cluster",
    "partition",
    "elapsed",
    "timelimit",
    "totalcpu",
    "reqnodes",
    "reqmem",
    "maxrss",
    "reqtres",
    "alloctres",
    "exitcode",
    "derivedexitcode",
)
_STATUS = {
    "COMPLETED": "finished",
    **dict.fromkeys(("PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT"), "queued"),
    **dict.fromkeys(
        ("RUNNING", "SUSPENDED", "RESIZING", "CONFIGURING", "COMPLETING", "STOPPED"), "running"
    ),
    "CANCELLED": "cancelled",
    **dict.fromkeys(("PREEMPTED", "REQUEUED", "REVOKED"), "closed"),
    **dict.fromkeys(
        ("FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"), "failed"
    ),
}
_UNSET = (*UNKNOWN, "Unknown", "UNLIMITED", "Partition_Limit", "INVALID", "Not_Set", "INFINITE")
_UNITS = {"K": 2.0**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20, "P": 2.0**30}


def is_mine(columns: list[str]) -> bool:
    """Tell whether a header has a job's id, state and one of the times."""
    names = {name.lower() for name in columns}
    return bool(names & {"jobid", "jobidraw"}) and {"state", "submit"} <= names


def scan(path: Path) -> Scan:
    """Read the jobs; the largest memory of a job's steps is the job's."""
    table = read_table(
        path,
        needs=("submit", "state"),
        wants=(*_LABELS, *_TIMES, *_MEASURES),
        rename=str.lower,
        separator="|",
        quotes=False,
        unknown=_UNSET,
    )
    rows = times(numbers(table.frame, _MEASURES), _TIMES)
    rows = rows.with_columns(_full=pl.coalesce(identity("jobidraw"), identity("jobid")))
    step = pl.col("_full").str.contains(".", literal=True).fill_null(value=False)
    job = pl.col("_full").str.extract(r"^([^.]+)")
    rows = rows.with_columns(reject({STEP: step}), step.alias("_step"), job.alias("_job"))
    peak = pl.when(pl.col("_job").is_not_null()).then(_memory("maxrss").max().over("_job"))
    rows = rows.with_columns(peak.alias("_peak"), _attempt().alias("_attempt"))
    notes = (*table.notes, "Times without a zone are taken as UTC.")
    return Scan(_canonical(rows).lazy(), notes=notes, persons=("user",))


def _attempt() -> pl.Expr:
    """Return how often a job was there before with another submit time (it was requeued)."""
    good = pl.col(REJECT).is_null() & pl.col("_job").is_not_null()
    times_seen = pl.col("submit").rank("dense").over("_job", "_step") - 1
    return pl.when(good).then(times_seen.cast(pl.Int64)).fill_null(0)


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    col = pl.col
    submit, start = col("submit"), col("start")
    state = col("state").str.to_uppercase().str.extract(r"^([A-Z_]+)")
    status = state.replace_strict(_STATUS, default=None, return_dtype=pl.String)
    open_ = status.is_in(["running", "queued"]).fill_null(value=False)
    elapsed = pl.coalesce(col("elapsedraw"), seconds("elapsed"))
    end = pl.when(start.is_not_null() & ~open_).then("end")
    cores = pl.coalesce(nonzero("reqcpus"), _tres("reqtres", "cpu"), nonzero("ncpus"))
    nodes = pl.coalesce(
        col("reqnodes").str.extract(r"^([0-9]+)").cast(pl.Float64), nonzero("nnodes")
    )
    array = pl.coalesce("jobid", "jobidraw").str.extract(r"^([0-9]+)_")
    again = pl.when(col("_attempt") > 0).then(pl.format("{}#{}", "_job", "_attempt"))
    limit = pl.coalesce(nonzero("timelimitraw") * 60, seconds("timelimit"))
    return rows.select(
        job_id=pl.coalesce(again, col("_job")),
        task_id=array,
        attempt=pl.coalesce(col("restarts"), col("_attempt")),
        user=pl.coalesce(col("user"), identity("uid")),
        group=pl.coalesce("account", "group"),
        activity=col("qos"),
        site=col("cluster"),
        queue=col("partition"),
        submit_time=submit,
        eligible_time=col("eligible"),
        start_time=start,
        end_time=end,
        nodes_req=nodes,
        nodes_alloc=pl.coalesce(nonzero("nnodes"), nonzero("allocnodes")),
        cores_req=cores,
        cores_alloc=pl.coalesce(nonzero("alloccpus"), _tres("alloctres", "cpu")),
        gpus_req=_gpus("reqtres"),
        walltime_req=pl.when(limit > 0).then(limit),
        # what has run so far is not the run time of a job that is still there
        run_time=pl.when(start.is_not_null() & ~open_).then(pl.coalesce(elapsed, end - start)),
        wait_time=start - submit,
        cpu_time=pl.when(~open_).then(seconds("totalcpu")),
        mem_req=_requested_memory(cores, nodes),
        mem_used=col("_peak"),
        status=status,
        raw_status=col("state"),
        error_codes=_errors(),
        priority=col("priority"),
        **{name: col(name) for name in (REJECT, LINE, RAW)},
    )


def _memory(column: str) -> pl.Expr:
    """Return an amount such as ``1.5G``, ``4000Mc`` or ``0`` in MB; without a letter it is MB."""
    amount = pl.col(column).str.extract(r"^([0-9.]+)[KMGTP]?[nc]?$").cast(pl.Float64, strict=False)
    unit = pl.col(column).str.extract(r"([KMGTP])[nc]?$")
    return amount * unit.replace_strict(_UNITS, default=1.0, return_dtype=pl.Float64)


def _requested_memory(cores: pl.Expr, nodes: pl.Expr) -> pl.Expr:
    """Return ReqMem (``c``: per core, ``n``: per node, else for the job), or that of ReqTRES."""
    each = pl.col("reqmem").str.extract(r"([nc])$")
    times_ = pl.when(each == "c").then(cores).when(each == "n").then(nodes).otherwise(1.0)
    asked = _memory("reqmem")
    total = (
        pl.col("reqtres")
        .str.extract(r"(?:^|,)mem=([0-9.]+)[KMGTP]?")
        .cast(pl.Float64, strict=False)
    )
    unit = pl.col("reqtres").str.extract(r"(?:^|,)mem=[0-9.]+([KMGTP])")
    total = total * unit.replace_strict(_UNITS, default=1.0, return_dtype=pl.Float64)
    return pl.coalesce(pl.when(asked > 0).then(asked * times_), pl.when(total > 0).then(total))


def _tres(column: str, key: str) -> pl.Expr:
    """Return the count of one resource in a TRES string such as ``cpu=4,node=1``."""
    return pl.col(column).str.extract(rf"(?:^|,){key}=([0-9]+)").cast(pl.Float64, strict=False)


def _gpus(column: str) -> pl.Expr:
    """Return ``gres/gpu``, else the sum over the kinds ``gres/gpu:kind``; 0 where none is named."""
    kinds = (
        pl.col(column)
        .str.extract_all(r"gres/gpu:[^=,]+=[0-9]+")
        .list.eval(pl.element().str.extract(r"=([0-9]+)").cast(pl.Float64))
    )
    return pl.coalesce(_tres(column, "gres/gpu"), kinds.list.sum())


def _errors() -> pl.Expr:
    """Return the exit codes and signals (``code:signal``) other than 0 as words."""
    words = []
    for column, name in (("exitcode", ""), ("derivedexitcode", "derived_")):
        for part, group in (("exit", 1), ("signal", 2)):
            number = pl.col(column).str.extract(r"^([0-9]+):([0-9]+)$", group)
            words.append(pl.when(number != "0").then(pl.lit(f"{name}{part}:") + number))
    codes = pl.concat_list(words).list.drop_nulls()
    return pl.when(pl.col("exitcode").is_not_null()).then(codes)
