"""The attempts and transfers in CGSim's output, a SQLite file of either form of events.

The forms are explained in `gridtwin.sim.formats.cgsim_events`, which writes them.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats.cgsim_events import (
    ATTEMPT,
    DATA,
    ENDED,
    JOBS,
    STATES,
    TRACK4,
    TRANSFERS,
    Form,
)
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import JobTable, Provenance

__all__ = ["read_calibration", "read_events", "read_transfers"]

_CHUNK = 50_000
_EVENTS = ("JobAllocation", "JobExecution", "FileTransfer", "FileRead", "FileWrite")
_OUT = ("output", "background")


def read_events(path: Path | str) -> JobTable:
    """Read the attempts from the events of either form.

    An attempt begins with the first event of a job and after each end of one. Raises `FormatError`
    where the file, its table or an event is not as it must be, naming the event's ``_ID``.
    Memory: about 350 bytes for each event.
    """
    path = Path(path)
    with _opened(path) as base:
        columns = _columns(base, "EVENTS")
        form = _form(columns)
        known = TRACK4 if form == "track4" else DATA
        more = [name for name in columns if name not in known]
        rows = _read_track4(base) if form == "track4" else _read_data(base)
        count = base.execute("SELECT COUNT(*) FROM EVENTS").fetchone()[0]
    notes = [f"{count} events are {rows.height} attempts."]
    if more:
        notes.append(f"Columns that the form does not have were not read: {', '.join(more)}.")
    rows = rows.with_columns(
        run_time=pl.col("end_time") - pl.col("start_time"),
        wait_time=pl.col("start_time") - pl.col("submit_time"),
    )
    empty = [name for name in rows.columns if name != "job_id" and not rows[name].count()]
    origin = Provenance(str(path), f"cgsim_{form}", rows.height, notes=tuple(notes))
    return JobTable.from_frame(rows.drop(empty), origin)


def read_transfers(path: Path | str) -> pl.DataFrame:
    """Read the transfers (`TRANSFERS`) from events of the form ``data_management``.

    ``kind`` is ``stage_in`` where the file does not say it. A transfer that has no end is left at
    a null one. Memory: the frame.
    """
    with _opened(Path(path)) as base:
        if _form(_columns(base, "EVENTS")) != "data_management":
            raise InputError(f"{path}: the form track4 has no transfers; write data_management")
        rows = list(_paired(base))
    return pl.DataFrame(rows, schema=TRANSFERS, orient="row")


def read_calibration(path: Path | str) -> pl.DataFrame:
    """Read the table ``JOBS``: job_id, simulated_time and historical_time, s."""
    with _opened(Path(path)) as base:
        columns = _columns(base, "JOBS")
        if missing := [name for name in JOBS if name not in columns]:
            raise InputError(f"the table JOBS has no column {', '.join(missing)}")
        query = "SELECT _ID, JOB_ID, simulated_time, historical_time FROM JOBS ORDER BY _ID"
        rows = [
            (str(job), _time(simulated, at), _time(recorded, at))
            for at, job, simulated, recorded in base.execute(query)
        ]
    schema = {"job_id": pl.String, "simulated_time": pl.Float64, "historical_time": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite file to read; what goes wrong with it is a `FormatError` with its name."""
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}; give a SQLite file of CGSim's events")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            yield base
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is no SQLite file that can be read: {error}") from error
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def _columns(base: sqlite3.Connection, table: str) -> list[str]:
    found = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
    if not found:
        raise InputError(f"there is no table {table}; expected one of CGSim's outputs")
    return found


def _form(columns: list[str]) -> Form:
    for form, known in (("track4", TRACK4), ("data_management", DATA)):
        if set(known) <= set(columns):
            return form  # type: ignore[return-value]
    raise InputError(
        f"EVENTS has the columns {', '.join(columns)}; expected {', '.join(TRACK4)}, or "
        f"{', '.join(DATA)}"
    )


def _read_track4(base: sqlite3.Connection) -> pl.DataFrame:
    names = (
        "_ID, JOB_ID, STATE, TIMESTAMP, SITE, NINPUT_FILES, NOUTPUT_FILES, INPUT_FILE_BYTES, "
        "OUTPUT_FILE_BYTES, WORKLOAD"
    )
    schema: dict[str, Any] = {
        "_id": pl.Int64, "job_id": pl.String, "state": pl.String, "time": pl.Float64,
        "site": pl.String, "input_files": pl.Int64, "output_files": pl.Int64,
        "input_bytes": pl.Float64, "output_bytes": pl.Float64, "work": pl.Float64,
    }  # fmt: skip
    cursor = base.execute(f"SELECT {names} FROM EVENTS ORDER BY _ID")
    parts = [pl.DataFrame(schema=schema)]
    while rows := cursor.fetchmany(_CHUNK):
        clean = [_clean(row) for row in rows]
        parts.append(pl.DataFrame(clean, schema=schema, orient="row"))
    events = pl.concat(parts)
    ended = pl.col("state").is_in(("finished", "failed"))
    events = events.with_columns(
        attempt=ended.shift(fill_value=False).cast(pl.Int64).cum_sum().over("job_id")
    )

    def first(*states: str) -> pl.Expr:
        return pl.col("time").filter(pl.col("state").is_in(states)).first()

    found = events.group_by("job_id", "attempt", maintain_order=True).agg(
        pl.col("site").filter(pl.col("site") != "").last(),
        first("global_pending", "site_pending").alias("submit_time"),
        first("assigned", "running").alias("start_time"),
        first("finished", "failed").alias("end_time"),
        pl.col("state").last().alias("status"),
        *(pl.col(name).last() for name in ("input_files", "input_bytes", "output_files")),
        pl.col("output_bytes").last(),
        (pl.col("work").last() / FLOPS_PER_HS23),
    )
    open_ones = {"global_pending": "queued", "site_pending": "queued", "assigned": "running"}
    return found.with_columns(pl.col("status").replace(open_ones))


def _clean(row: tuple[Any, ...]) -> tuple[Any, ...]:
    at, job, state, time, site, *numbers, flop = row
    if state not in STATES:
        raise InputError(f"event {at}: STATE is {state!r}; expected one of {', '.join(STATES)}")
    files = (_count(value, at) for value in numbers[:2])
    sizes = (float(_count(value, at)) for value in numbers[2:])
    work = None if flop in ("", None) else _time(flop, at)
    return at, str(job), state, _time(time, at), str(site), *files, *sizes, work


def _count(value: object, at: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**62:
        raise InputError(f"event {at}: expected a whole number of 0 or more, got {value!r:.60}")
    return value


def _time(value: object, at: object) -> float:
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = float("nan")
    if not abs(found) < 1e300:
        raise InputError(f"event {at}: expected a number, got {value!r:.60}")
    return found


def _details(base: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield (id, event, whether it begins, status, job, time, details) in the order of the ids."""
    query = "SELECT _ID, EVENT, STATE, STATUS, JOB_ID, TIME, METADATA FROM EVENTS ORDER BY _ID"
    for at, event, state, status, job, time, text in base.execute(query):
        if event not in _EVENTS or state not in ("Start", "Started", "Finished"):
            raise InputError(
                f"event {at}: EVENT is {event!r} and STATE {state!r}; expected one of "
                f"{', '.join(_EVENTS)}, Started or Finished"
            )
        try:
            details = json.loads(text or "{}")
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"event {at}: METADATA is no JSON: {error}") from error
        if not isinstance(details, dict):
            raise InputError(f"event {at}: METADATA is {text!r:.60}; expected a JSON object")
        yield at, event, state != "Finished", str(status), str(job), _time(time, at), details


def _read_data(base: sqlite3.Connection) -> pl.DataFrame:
    current: dict[str, dict[str, Any]] = {}
    done: list[tuple[Any, ...]] = []
    tries: dict[str, int] = {}

    def close(job: str) -> None:
        found = current.pop(job)
        done.append(tuple(found.get(name) for name in ATTEMPT))

    for at, event, begins, status, job, time, details in _details(base):
        if event == "JobAllocation" and begins and job in current:
            close(job)
        if job not in current:
            current[job] = {"job_id": job, "attempt": tries.get(job, 0), "status": "queued"}
            tries[job] = tries.get(job, 0) + 1
        found = current[job]
        if event == "JobAllocation":
            found |= _allocated(details, time, status, at, begins=begins)
        elif event == "JobExecution":
            found |= _executed(details, time, status, at, begins=begins)
        elif event == "FileTransfer" and not begins and details.get("kind") not in _OUT:
            # where the allocation told the bytes, the transfers may be fewer: from caches, streams
            more = 0.0 if found.get("_told") else _size(details, at)
            found["input_bytes"] = found.get("input_bytes", 0.0) + more
    for job in list(current):
        close(job)
    return pl.DataFrame(done, schema=ATTEMPT, orient="row")


def _allocated(
    details: dict[str, Any], time: float, status: str, at: object, *, begins: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {"site": str(details.get("site") or "") or None}
    if begins:
        whole = {name: details.get(name) for name in ("cores_req", "input_files", "output_files")}
        sizes = {name: details.get(name) for name in ("input_bytes", "output_bytes")}
        found |= {k: _count(v, at) for k, v in whole.items() if v is not None}
        found |= {k: _time(v, at) for k, v in sizes.items() if v is not None}
        return found | {"submit_time": time, "_told": "input_bytes" in found}
    if status in ENDED:
        return found | {"end_time": time, "status": status}
    return found | {"start_time": time, "status": "running"}


def _executed(
    details: dict[str, Any], time: float, status: str, at: object, *, begins: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if details.get("flops") is not None:
        found["work"] = _time(details["flops"], at) / FLOPS_PER_HS23
    if details.get("cores") is not None:
        found["cores_req"] = _count(int(_time(details["cores"], at)), at)
    if details.get("site"):
        found["site"] = str(details["site"])
    if begins:
        return found | {"status": "running"}
    return found | {"end_time": time, "status": status if status in ENDED else "finished"}


def _size(details: dict[str, Any], at: object) -> float:
    return _time(details.get("size"), at)


def _paired(base: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield each transfer once: the begin of a file of a job belongs to its next end."""
    waiting: dict[tuple[str, str], list[float]] = {}
    attempt: dict[str, int] = {}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for at, event, begins, _, job, time, details in _details(base):
        if event == "JobAllocation" and begins:
            attempt[job] = attempt.get(job, -1) + 1
        if event != "FileTransfer":
            continue
        file = str(details.get("file"))
        if begins:
            waiting.setdefault((job, file), []).append(time)
            rows[job, file] = details
            continue
        starts = waiting.get((job, file))
        start = starts.pop(0) if starts else None
        yield _moved(job, attempt, details, start, time, at)
    for (job, file), starts in waiting.items():
        for start in starts:
            yield _moved(job, attempt, rows[job, file], start, None, "without an end")


def _moved(
    job: str,
    attempt: dict[str, int],
    details: dict[str, Any],
    start: float | None,
    end: float | None,
    at: object,
) -> tuple[Any, ...]:
    number = details.get("attempt", attempt.get(job, 0))
    source, destination = details.get("source_site"), details.get("destination_site")
    return (
        job,
        _count(number, at),
        str(details.get("file")),
        _size(details, at),
        None if source is None else str(source),
        None if destination is None else str(destination),
        start,
        end,
        str(details.get("kind", "stage_in")),
    )
