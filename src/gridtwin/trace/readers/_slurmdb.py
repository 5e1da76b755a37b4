"""The numeric job table of Slurm's accounting database, as in the MIT SuperCloud log."""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers
from gridtwin.trace.readers._text import LINE, RAW, REJECT, read_table

__all__ = ["is_mine", "scan"]

_NEEDS = ("id_job", "time_submit", "time_start", "time_end", "state")
_TIMES = ("time_submit", "time_eligible", "time_start", "time_end")
_MEASURES = (
    *_TIMES,
    "timelimit",
    "time_suspended",
    "nodes_alloc",
    "cpus_req",
    "mem_req",
    "priority",
    "exit_code",
    "derived_ec",
)
_LABELS = (
    "id_job",
    "id_array_job",
    "id_user",
    "id_group",
    "partition",
    "state",
    "job_type",
    "tres_alloc",
    "tres_req",
)
_STATUS = {
    **dict.fromkeys(("0",), "queued"),
    **dict.fromkeys(("1", "2"), "running"),
    "3": "finished",
    "4": "cancelled",
    "8": "closed",
    **dict.fromkeys(("5", "6", "7", "9", "10", "11"), "failed"),
}
_INFINITE = 2.0**32 - 2  # this and the next number stand for "no limit" and "not set"
_PER_CPU = 2**63  # this bit set: memory per CPU, not of the job


def is_mine(columns: list[str]) -> bool:
    """Tell whether a header has the columns without which there is no job."""
    return set(_NEEDS) <= set(columns)


def scan(path: Path) -> Scan:
    """Read the jobs: times in Unix seconds, limits in minutes, sizes from the TRES strings."""
    table = read_table(path, needs=_NEEDS, wants=(*_MEASURES, *_LABELS))
    # as a float, a number beyond 2^63 has lost what stands below; as an integer it has not
    exact = pl.col("mem_req").cast(pl.UInt64, strict=False)
    per_cpu = pl.when(exact >= _PER_CPU).then((exact - _PER_CPU).cast(pl.Float64))
    rows = table.frame.with_columns(per_cpu.alias("_per_cpu"))
    rows = numbers(rows, _MEASURES)
    rows = rows.with_columns(
        *(identity(name) for name in ("id_job", "id_array_job", "id_user", "id_group", "state")),
        *(_set(name) for name in (*_TIMES, "timelimit", "priority")),
    )
    ids = rows.filter(pl.col(REJECT).is_null())["id_job"]
    job = pl.lit(None, pl.String) if ids.is_duplicated().any() else pl.col("id_job")
    return Scan(_canonical(rows, job).lazy(), notes=table.notes)


def _canonical(rows: pl.DataFrame, job: pl.Expr) -> pl.DataFrame:
    col = pl.col
    submit, start, end = col("time_submit"), col("time_start"), col("time_end")
    paused = pl.when(col("time_suspended").is_between(0, end - start)).then("time_suspended")
    cores = pl.coalesce(nonzero("cpus_req"), _tres("tres_req", 1))
    memory = pl.coalesce(
        _tres("tres_req", 2),
        pl.when(col("mem_req") < _PER_CPU).then(nonzero("mem_req")),
        col("_per_cpu") * cores,
    )
    return rows.select(
        job_id=job,
        task_id=pl.when(col("id_array_job") != "0").then("id_array_job"),
        user=col("id_user"),
        group=col("id_group"),
        activity=col("job_type"),
        queue=col("partition"),
        submit_time=submit,
        eligible_time=col("time_eligible"),
        start_time=start,
        end_time=end,
        nodes_req=_tres("tres_req", 4),
        nodes_alloc=nonzero("nodes_alloc"),
        cores_req=cores,
        cores_alloc=_tres("tres_alloc", 1),
        gpus_req=_gpus("tres_req"),
        walltime_req=nonzero("timelimit") * 60,
        run_time=end - start - paused.fill_null(0),
        wait_time=start - submit,
        mem_req=memory,
        status=col("state").replace_strict(_STATUS, default=None, return_dtype=pl.String),
        raw_status=col("state"),
        error_codes=_errors(),
        priority=col("priority"),
        **{name: col(name) for name in (REJECT, LINE, RAW)},
    )


def _set(column: str) -> pl.Expr:
    """Return a number that is null where it is 0, "not set" or "no limit"."""
    value = pl.col(column)
    return pl.when((value != 0) & ~value.is_in([_INFINITE, _INFINITE + 1])).then(value)


def _tres(column: str, key: int) -> pl.Expr:
    """Return the value of one key of a TRES string such as ``1=20,2=170000,4=1``."""
    return pl.col(column).str.extract(rf"(?:^|,){key}=([0-9]+)").cast(pl.Float64, strict=False)


def _gpus(column: str) -> pl.Expr:
    """Return the GPUs of all kinds (keys from 1001 up); 0 where only others are named."""
    found = (
        pl.col(column)
        .str.extract_all(r"(?:^|,)1[0-9][0-9][0-9]=[0-9]+")
        .list.eval(pl.element().str.extract(r"=([0-9]+)").cast(pl.Float64))
    )
    return found.list.sum()


def _errors() -> pl.Expr:
    """Return exit codes and signals, unpacked from the wait status, as words."""
    words = []
    for column, name in (("exit_code", ""), ("derived_ec", "derived_")):
        value = pl.col(column).cast(pl.Int64, strict=False)
        for part, number in (("exit", value // 256), ("signal", value % 256)):
            word = pl.lit(f"{name}{part}:") + number.cast(pl.String)
            words.append(pl.when(number > 0).then(word))
    codes = pl.concat_list(words).list.drop_nulls()
    return pl.when(pl.col("exit_code").is_not_null()).then(codes)
