"""Jobs as text in the Standard Workload Format 2.2: the header, then 18 fields a job."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.trace.table import JobTable

__all__ = ["SITES", "text"]

SITES = "various, partitions are sites"
"""What the header calls the computer of jobs that have a site."""
_STATUS = {"finished": "1", "failed": "0", "cancelled": "5", "closed": "5"}
_LABELS = {
    "user": "User",
    "group": "Group",
    "activity": "Executable",
    "queue": "Queue",
    "site": "Partition",
}
_TIMES = ("submit_time", "wait_time", "run_time", "walltime_req")
_HELD = (
    *("job_id", "parent_id", "start_time", "end_time", "status", "raw_status"),
    *("cores_req", "cores_alloc", "cpu_time", "mem_req", "mem_used"),
    *_LABELS,
    *_TIMES,
)
_NUMBER = r"^(0|[1-9][0-9]{0,17})$"
_LAST = 253402300799  # the last second of the year 9999


def text(jobs: JobTable) -> str:
    """Return the whole file; see `gridtwin.trace.writers.write_swf`."""
    jobs.require("submit_time", for_what="writing SWF")
    frame = jobs.collect()
    notes = [f"written by gridtwin from {_line(jobs.provenance.source)}"]
    frame = _sized(frame, notes)
    origin = _origin(frame)
    names = {column: _names(frame, column) for column in _LABELS if column in frame.columns}
    records = frame.select(pl.concat_str(_fields(frame, origin, names, notes), separator=" "))
    header = _header(jobs, frame, origin, names, [*notes, *_lost(frame)])
    return "\n".join([*header, *records.to_series().to_list()]) + "\n"


def _origin(frame: pl.DataFrame) -> int:
    """Return UnixStartTime: the first submit time, in whole seconds."""
    first = frame["submit_time"].min()
    if first is None:
        return 0
    if not isinstance(first, float) or not 0 <= first <= _LAST:
        raise InputError(f"the first submit time is {first!r}; SWF needs one from 1970 on, in s")
    return math.floor(first)


def _sized(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Give a table without cores its GPUs or nodes as processors."""
    if "cores_req" in frame.columns or "cores_alloc" in frame.columns:
        return frame
    for name in ("gpus_req", "nodes_req"):
        if name in frame.columns:
            notes.append(f"a processor is one of the source's {name.removesuffix('_req')}")
            return frame.with_columns(pl.col(name).alias("cores_req"))
    return frame


def _names(frame: pl.DataFrame, column: str) -> dict[str, str] | None:
    """Return the number of each label, or None where the labels are numbers themselves.

    A column of nothing but 0 is named too, as a reader may take it for "no label".
    """
    labels = frame[column].drop_nulls().unique(maintain_order=True)
    if labels.str.contains(_NUMBER).all() and labels.to_list() != ["0"]:
        return None
    if labels.to_list() == ["0"]:
        return {"0": "0"}
    return {label: str(i) for i, label in enumerate(labels.to_list(), 1)}


def _fields(
    frame: pl.DataFrame,
    origin: int,
    names: Mapping[str, dict[str, str] | None],
    notes: list[str],
) -> list[pl.Expr]:
    def column(name: str, dtype: type[pl.DataType] = pl.Float64) -> pl.Expr:
        return pl.col(name) if name in frame.columns else pl.lit(None, dtype)

    def label(name: str) -> pl.Expr:
        numbers = names.get(name)
        return column(name, pl.String).replace(numbers) if numbers else column(name, pl.String)

    asked, given = column("cores_req"), column("cores_alloc")
    procs = pl.coalesce(given, asked)
    procs = pl.when(procs > 0).then(procs)
    asked_procs = pl.when(asked > 0).then(asked).otherwise(procs)
    start = column("start_time")
    job, parent = _ids(frame, notes)
    status = column("status", pl.String)
    cpu = (column("cpu_time") / procs).cast(pl.String).str.replace(r"\.0$", "")
    fields = [
        job,
        _whole(column("submit_time") - origin),
        _whole(pl.coalesce(column("wait_time"), start - column("submit_time"))),
        _whole(pl.coalesce(column("run_time"), column("end_time") - start)),
        _whole(given),
        cpu,
        _whole(column("mem_used") * 1024 / procs),
        _whole(asked),
        _whole(column("walltime_req")),
        _whole(column("mem_req") * 1024 / asked_procs),
        status.replace_strict(_STATUS, default=None, return_dtype=pl.String),
        *(label(name) for name in _LABELS),
        parent,
        pl.lit("-1"),
    ]
    return [field.fill_null("-1") for field in fields]


def _ids(frame: pl.DataFrame, notes: list[str]) -> tuple[pl.Expr, pl.Expr]:
    """Return job numbers and the numbers of preceding jobs: the ids themselves where they are."""
    ids = frame["job_id"]
    if bool(ids.str.contains(_NUMBER).all()) and not ids.is_duplicated().any():
        number = {name: name for name in ids.to_list()}
    else:
        notes.append("job numbers are positions: the source's ids are no unique numbers")
        number = {name: str(i) for i, name in enumerate(ids.to_list(), 1)}
        ids = pl.Series([str(i) for i in range(1, len(ids) + 1)], dtype=pl.String)
    if "parent_id" not in frame.columns:
        return pl.lit(ids), pl.lit("-1")
    parent = pl.col("parent_id").replace_strict(number, default=None, return_dtype=pl.String)
    return pl.lit(ids), parent


def _whole(value: pl.Expr) -> pl.Expr:
    """Return a number as text, rounded; null where it is unknown or negative."""
    rounded = value.cast(pl.Float64).round().cast(pl.Int64, strict=False)
    return pl.when(rounded >= 0).then(rounded).cast(pl.String)


def _lost(frame: pl.DataFrame) -> list[str]:
    """Return what the lines do not hold of the table."""
    notes = []
    times = [name for name in _TIMES if name in frame.columns]
    if any((frame[name] != frame[name].round()).any() for name in times):
        notes.append("times are rounded to whole seconds")
    if "status" in frame.columns and (frame["status"] == "closed").any():
        notes.append("status 5 (cancelled) also stands for jobs that were closed")
    left = [name for name in frame.columns if name not in _HELD]
    if left:
        notes.append(f"columns not written: {', '.join(left)}")
    return notes


def _header(
    jobs: JobTable,
    frame: pl.DataFrame,
    origin: int,
    names: Mapping[str, dict[str, str] | None],
    notes: list[str],
) -> list[str]:
    size = jobs.provenance.machine_cores
    first = datetime.fromtimestamp(origin, UTC)
    lines = [
        "; Version: 2.2",
        "; Conversion: gridtwin",
        f"; MaxJobs: {frame.height}",
        f"; MaxRecords: {frame.height}",
        f"; UnixStartTime: {origin}",
        "; TimeZoneString: UTC",
        f"; StartTime: {first:%a %b %d %H:%M:%S} UTC {first:%Y}",
    ]
    if "site" in names:
        lines.append(f"; Computer: {SITES}")
    if size is not None:
        lines.append(f"; MaxProcs: {size}")
    for column, key in _LABELS.items():
        used: set[str] = set()
        for label, number in (names.get(column) or {}).items():
            name = _line(label) or "blank"
            name = name if name not in used else f"{name} ({number})"
            used.add(name)
            lines.append(f"; {key}: {number} {name}")
    return [*lines, *(f"; Note: {note}" for note in notes), ";"]


def _line(text: str) -> str:
    """Return a text as one line: each run of white space becomes a space."""
    return " ".join(text.replace("\0", " ").split())
