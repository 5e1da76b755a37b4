"""Batsim's ``jobs.csv``: a line for each job that has ended, as evalys and others read it."""

import re
from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import sha256, writing
from gridtwin.trace import JobTable, Provenance

__all__ = ["COLUMNS", "read_jobs", "write_jobs"]

COLUMNS = (
    *("job_id", "workload_name", "profile", "submission_time", "requested_number_of_resources"),
    *("requested_time", "success", "final_state", "starting_time", "execution_time"),
    *("finish_time", "waiting_time", "turnaround_time", "stretch", "allocated_resources"),
    *("consumed_energy", "metadata"),
)
_STATES = {
    "COMPLETED_SUCCESSFULLY": "finished",
    "COMPLETED_FAILED": "failed",
    "COMPLETED_WALLTIME_REACHED": "failed",
    "COMPLETED_KILLED": "cancelled",
    "REJECTED": "closed",
}
_NUMBERS = {
    "submission_time": "submit_time",
    "requested_number_of_resources": "cores_req",
    "requested_time": "walltime_req",
    "starting_time": "start_time",
    "execution_time": "run_time",
    "finish_time": "end_time",
    "waiting_time": "wait_time",
}
_FOLLOW = ("success", "turnaround_time", "stretch")
"""Columns that others give."""
_SET = re.compile(r"(?:\d{1,15}(?:-\d{1,15})?)(?:[ ,]\d{1,15}(?:-\d{1,15})?)*")


def write_jobs(
    jobs: JobTable,
    path: Path | str,
    *,
    allocated: pl.Series | None = None,
    workload: str = "w0",
) -> None:
    """Write jobs or attempts as Batsim's ``jobs.csv``, a line each in their order.

    Parameters
    ----------
    jobs
        Needs ``job_id`` and ``submit_time``; what else is missing or unknown is left empty. A job
        without a start is ``REJECTED``, one without a status has ended well; a ``raw_status`` that
        is a state of Batsim's is written as it is.
    path
        The file.
    allocated
        The machines of each job as interval sets such as ``0-3,7``; None: unknown.
    workload
        The name of the workload.

    Raises `SchemaError` for a table without those two, `InputError` where `allocated` has another
    length.
    """
    jobs.require("job_id", "submit_time", for_what="Batsim's jobs.csv")
    frame = jobs.collect()
    if allocated is not None and len(allocated) != frame.height:
        raise InputError(f"allocated: {len(allocated)} entries for {frame.height} jobs")

    def column(*names: str) -> pl.Expr:
        held = [pl.col(name) for name in names if name in frame.columns]
        return pl.coalesce(held) if held else pl.lit(None, pl.Float64)

    started = column("start_time").is_not_null()
    run = pl.coalesce(column("run_time"), column("end_time") - column("start_time"))
    end = pl.coalesce(column("end_time"), column("start_time") + run)
    submit = pl.col("submit_time")
    state = _state(frame, started)
    machines = pl.lit("" if allocated is None else allocated.cast(pl.String).fill_null(""))
    text = pl.lit(None, pl.String)
    values = {
        "job_id": pl.col("job_id"),
        "workload_name": pl.lit(workload),
        "profile": column("activity").cast(pl.String),
        "submission_time": submit,
        "requested_number_of_resources": column("cores_req", "cores_alloc").cast(pl.Int64),
        "requested_time": column("walltime_req"),
        "success": (state == "COMPLETED_SUCCESSFULLY").cast(pl.Int8),
        "final_state": state,
        "starting_time": column("start_time"),
        "execution_time": pl.when(started).then(run),
        "finish_time": pl.when(started).then(end),
        "waiting_time": column("start_time") - submit,
        "turnaround_time": pl.when(started).then(end - submit),
        "stretch": pl.when(started & (run > 0)).then((end - submit) / run),
        "allocated_resources": machines,
        "consumed_energy": text,
        "metadata": text,
    }
    ordered = frame.select(values[name].alias(name) for name in COLUMNS)
    with writing(path) as temporary:
        ordered.write_csv(temporary)


def _state(frame: pl.DataFrame, started: pl.Expr) -> pl.Expr:
    """Return Batsim's name of how each job ended."""
    state = pl.lit("COMPLETED_SUCCESSFULLY")
    if "status" in frame.columns:
        words = {"failed": "COMPLETED_FAILED", "cancelled": "COMPLETED_KILLED"}
        words["closed"] = "COMPLETED_KILLED"
        known = pl.col("status").replace_strict(words, default=None, return_dtype=pl.String)
        state = pl.coalesce(known, state)
        if "walltime_req" in frame.columns and "run_time" in frame.columns:
            over = pl.col("run_time") >= pl.col("walltime_req")
            limit = (pl.col("status") == "failed") & over.fill_null(value=False)
            state = pl.when(limit).then(pl.lit("COMPLETED_WALLTIME_REACHED")).otherwise(state)
    state = pl.when(started).then(state).otherwise(pl.lit("REJECTED"))
    if "raw_status" in frame.columns:
        state = (
            pl.when(pl.col("raw_status").is_in(list(_STATES))).then("raw_status").otherwise(state)
        )
    return state


def read_jobs(path: Path | str) -> JobTable:
    """Read Batsim's ``jobs.csv``.

    Machines are counted into ``cores_alloc``, which ones is not kept; ``profile`` is ``activity``,
    ``final_state`` is ``raw_status`` and gives ``status``. Columns without a place in a job table
    are named in the notes where they hold anything. Memory: about ten times the file.

    Raises `FormatError` naming the line and the column where a number or state is none.
    """
    path = Path(path)
    try:
        frame = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=False)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: there is no such file; expected Batsim's jobs.csv") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(f"{path} is no CSV that can be read: {error}") from error
    needed = ("job_id", "submission_time", "final_state")
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise FormatError(
            f"{path}: column {missing[0]} is missing; expected Batsim's jobs.csv: "
            f"{', '.join(COLUMNS)}"
        )
    found = {"job_id": _filled(path, frame, "job_id"), **_states(path, frame)}
    for name, ours in _NUMBERS.items():
        if name in frame.columns:
            found[ours] = _numbers(path, frame, name)
    if found["submit_time"].has_nulls():
        _filled(path, frame, "submission_time")
    if "profile" in frame.columns:
        found["activity"] = frame["profile"]
    if "allocated_resources" in frame.columns:
        found["cores_alloc"] = _sizes(path, frame["allocated_resources"])
    held = {*_NUMBERS, *_FOLLOW, "job_id", "final_state", "profile", "allocated_resources"}
    lost = [name for name in frame.columns if name not in held and _says(frame[name])]
    notes = [f"columns not read: {', '.join(lost)}"] if lost else []
    provenance = Provenance(
        source=str(path),
        format="batsim jobs.csv",
        rows_read=frame.height,
        sha256=sha256(path),
        notes=tuple(notes),
    )
    table = pl.DataFrame(found).with_columns(
        pl.when(pl.col("walltime_req") >= 0).then("walltime_req").alias("walltime_req")
        if "walltime_req" in found
        else []
    )
    return JobTable.from_frame(table, provenance)


def _says(column: pl.Series) -> bool:
    """Whether a column differs between lines or is no empty text."""
    return column.n_unique() > 1 or column.fill_null("").str.strip_chars().ne("").any()


def _filled(path: Path, frame: pl.DataFrame, name: str) -> pl.Series:
    column = frame[name]
    empty = (column.is_null() | (column == "")).arg_true()
    if len(empty):
        raise FormatError(f"{path}: line {empty[0] + 2}: {name} is empty; give it")
    return column


def _numbers(path: Path, frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column as finite numbers; null where it is empty."""
    text = frame[name].str.strip_chars()
    text = text.set(text == "", None)
    values = text.cast(pl.Float64, strict=False)
    wrong = (text.is_not_null() & ~values.is_finite().fill_null(value=False)).arg_true()
    if name == "requested_number_of_resources":
        odd = (values != values.round()) | (values < 1) | (values > 2**53)
        wrong = (odd.fill_null(value=False) | text.is_in(["nan", "inf"])).arg_true().append(wrong)
    if len(wrong):
        line = int(wrong[0])
        raise FormatError(f"{path}: line {line + 2}: {name}: expected a number, got {text[line]!r}")
    return values


def _states(path: Path, frame: pl.DataFrame) -> dict[str, pl.Series]:
    text = frame["final_state"].str.strip_chars()
    wrong = (~text.is_in(list(_STATES)).fill_null(value=False)).arg_true()
    if len(wrong):
        line = int(wrong[0])
        raise FormatError(
            f"{path}: line {line + 2}: final_state: {text[line]!r} is unknown; "
            f"known: {', '.join(_STATES)}"
        )
    return {"raw_status": text, "status": text.replace_strict(_STATES, return_dtype=pl.String)}


def _sizes(path: Path, column: pl.Series) -> pl.Series:
    """Return how many machines each interval set holds; null for an empty one."""
    counts: list[int | None] = []
    for k, value in enumerate(column.to_list()):
        text = (value or "").strip()
        if not text:
            counts.append(None)
            continue
        if not _SET.fullmatch(text):
            raise FormatError(
                f"{path}: line {k + 2}: allocated_resources: expected such as '0-3,7', "
                f"got {text[:40]!r}"
            )
        ends = [[int(end) for end in part.split("-")] for part in re.split(r"[ ,]", text)]
        counts.append(sum(max(part[-1] - part[0] + 1, 0) for part in ends))
    return pl.Series(counts, dtype=pl.Int64)
