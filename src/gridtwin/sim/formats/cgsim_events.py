"""CGSim's output: events of jobs in SQLite, in its two forms, and the calibration table.

``track4``: ``EVENTS`` with a row for each change of a job's state and the state of its site then.
``data_management``: ``EVENTS`` with a row for each begin and end of an allocation, execution or
transfer, details as JSON in ``METADATA``.

Both are written from attempts (a `JobTable`: job_id, attempt, site, submit_time, start_time,
end_time, status, cores_req, …) and transfers (`TRANSFERS`). An attempt is assigned its cores when
it starts, and runs its payload from the end of its last stage-in on. Hosts are not named: cores are
booked by the pool. What a form cannot tell: error codes, and in ``track4`` a closed or cancelled
attempt from a failed one; a number of files or bytes that is not known is 0 there. An attempt that
is over without an end does so when it began, or was submitted.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim.platform import Platform
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.sim.use import TRANSFERS
from gridtwin.trace import JobTable

__all__ = [
    "ATTEMPT",
    "DATA",
    "ENDED",
    "JOBS",
    "STATES",
    "TRACK4",
    "TRANSFERS",
    "Form",
    "write_events",
]

Form = Literal["track4", "data_management"]

_CHUNK = 50_000
TRACK4: dict[str, str] = {
    "_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "JOB_ID": "TEXT NOT NULL",
    "CPU_NAME": "TEXT NOT NULL",
    "STATE": "TEXT NOT NULL",
    "TIMESTAMP": "REAL NOT NULL",
    "SITE": "TEXT NOT NULL",
    "AVAILABLE_SITE_CORES": "INTEGER NOT NULL",
    "AVAILABLE_SITE_CPUS": "INTEGER NOT NULL",
    "WORKLOAD": "TEXT NOT NULL",
    "NINPUT_FILES": "INTEGER NOT NULL",
    "NOUTPUT_FILES": "INTEGER NOT NULL",
    "INPUT_FILE_BYTES": "INTEGER NOT NULL",
    "OUTPUT_FILE_BYTES": "INTEGER NOT NULL",
    "SYSTEM_PENDING_JOBS": "INTEGER NOT NULL",
    "SITE_PENDING_JOBS": "INTEGER NOT NULL",
    "SITE_RUNNING_JOBS": "INTEGER NOT NULL",
    "SITE_FINISHED_JOBS": "INTEGER NOT NULL",
    "SITE_FAILED_JOBS": "INTEGER NOT NULL",
}
DATA: dict[str, str] = {
    "_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "EVENT": "TEXT NOT NULL",
    "STATE": "TEXT NOT NULL",
    "STATUS": "TEXT NOT NULL",
    "JOB_ID": "TEXT NOT NULL",
    "TIME": "FLOAT NOT NULL",
    "METADATA": "TEXT",
}
JOBS: dict[str, str] = {
    "_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "JOB_ID": "INTEGER NOT NULL",
    "simulated_time": "REAL NOT NULL",
    "historical_time": "REAL NOT NULL",
}
STATES = ("global_pending", "site_pending", "assigned", "running", "finished", "failed")
ENDED = ("finished", "failed", "closed", "cancelled")
_KIND_OF_STATE = {2: 1, 3: 4, 4: 5, 5: 5}
ATTEMPT = {
    "job_id": pl.String,
    "attempt": pl.Int64,
    "site": pl.String,
    "submit_time": pl.Float64,
    "start_time": pl.Float64,
    "end_time": pl.Float64,
    "status": pl.String,
    "cores_req": pl.Int64,
    "input_files": pl.Int64,
    "output_files": pl.Int64,
    "input_bytes": pl.Float64,
    "output_bytes": pl.Float64,
    "cpu_time": pl.Float64,
    "work": pl.Float64,
}


def write_events(
    attempts: JobTable,
    path: Path | str,
    *,
    form: Form = "track4",
    platform: Platform | None = None,
    transfers: pl.DataFrame | None = None,
) -> None:
    """Write the events of a simulation as a SQLite file of one of the two forms.

    With a `platform`, sites have free cores and links a bandwidth and latency. Where the attempts
    have a ``cpu_time``, there is the table ``JOBS`` of simulated and recorded times too.

    Raises `InputError` for another form, attempts without ``job_id``, ``submit_time`` or ``site``,
    several attempts of a job where one begins before the last has ended, and transfers that lack a
    column. Memory: the frames, 150 (`track4`) or 300 bytes for each event, and one chunk.
    """
    if form not in get_args(Form):
        raise InputError(f"form is {form!r}; expected {' or '.join(get_args(Form))}")
    moved = _transfers(transfers)
    rows = _attempts(attempts, moved)
    if form == "track4":
        columns, events = TRACK4, _track4(rows, _states(rows), platform)
    else:
        columns = DATA
        events = _data_events(rows, moved, _activities(rows, moved), platform)
    with writing(path) as temporary, closing(sqlite3.connect(temporary)) as base:
        base.execute("PRAGMA journal_mode = OFF")
        _fill(base, "EVENTS", columns, events)
        judged = rows.filter(pl.col("cpu_time").is_not_null() & pl.col("end_time").is_not_null())
        judged = judged.filter(pl.col("_payload").is_not_null())
        if judged.height:
            timed = judged.select("job_id", pl.col("end_time") - pl.col("_payload"), "cpu_time")
            _fill(base, "JOBS", JOBS, timed.iter_rows())
        base.commit()


def _transfers(transfers: pl.DataFrame | None) -> pl.DataFrame:
    if transfers is None:
        return pl.DataFrame(schema=TRANSFERS)
    if missing := [name for name in TRANSFERS if name not in transfers.columns]:
        raise InputError(
            f"transfers lack {', '.join(missing)}; they need the columns {', '.join(TRANSFERS)}"
        )
    return transfers.select(pl.col(name).cast(dtype) for name, dtype in TRANSFERS.items())


def _attempts(attempts: JobTable, moved: pl.DataFrame) -> pl.DataFrame:
    """Return the attempts with all columns of `ATTEMPT`, and ``_payload``, when that starts."""
    attempts.require("submit_time", "site", for_what="CGSim's events")
    frame = attempts.collect()
    for name, dtype in frame.schema.items():
        if name in ATTEMPT and dtype.is_float() and not frame[name].drop_nulls().is_finite().all():
            raise InputError(f"{name} holds NaN or infinity; leave such attempts out")
    if frame["submit_time"].null_count():
        raise InputError("attempts without a submit_time have no events; leave them out")
    rows = frame.select(
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in ATTEMPT.items()
    ).with_columns(pl.col("attempt").fill_null(0), pl.col("site").fill_null(""))
    rows = rows.sort("submit_time", "attempt", maintain_order=True)
    over = pl.col("status").is_in(ENDED)
    ended = pl.coalesce("end_time", pl.when(over).then(pl.coalesce("start_time", "submit_time")))
    rows = rows.with_columns(end_time=ended)
    staged = (
        moved.filter(pl.col("kind") == "stage_in")
        .group_by("job_id", "attempt")
        .agg(pl.col("end").max().alias("_staged"))
    )
    rows = rows.join(staged, on=("job_id", "attempt"), how="left", maintain_order="left")
    payload = pl.max_horizontal("start_time", "_staged")
    reached = pl.col("start_time").is_not_null() & (
        pl.col("end_time").is_null() | (payload <= pl.col("end_time"))
    )
    rows = rows.with_columns(pl.when(reached).then(payload).alias("_payload")).drop("_staged")
    before = rows.sort("job_id", "attempt").select(
        "job_id",
        again=pl.col("job_id") == pl.col("job_id").shift(),
        late=pl.col("end_time").shift().fill_null(float("inf")) > pl.col("submit_time"),
    )
    clash = before.filter(pl.col("again") & pl.col("late"))
    if clash.height:
        raise InputError(
            f"job {clash['job_id'][0]!r} has an attempt that is submitted before the one before it "
            "has ended; CGSim's events cannot tell them apart"
        )
    return rows


def _states(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the changes of state in order of time, with the state of the site after each.

    ``_row`` is the attempt's position in `rows`; no more of it is repeated in each event.
    """
    final = pl.col("status").is_in(ENDED)
    ended = pl.when(final).then("end_time")
    state = pl.when(pl.col("status") == "finished").then(4).otherwise(5)
    placed = pl.when(pl.col("site") != "").then("submit_time")
    moments = (("submit_time", 0), (placed, 1), ("start_time", 2), ("_payload", 3), (ended, state))
    begun = pl.max_horizontal("submit_time", "start_time")
    numbered = rows.with_row_index("_row")
    events = pl.concat(
        numbered.select(
            "_row",
            _as(time).alias("_time"),
            _as(state).cast(pl.Int8).alias("_state"),
            # at one instant what ends comes first, but not before its own begin
            _ends=pl.lit(value=time is ended) & (begun < ended),
        )
        for time, state in moments
    ).drop_nulls("_time")
    first = ~pl.col("_ends").fill_null(value=False)
    events = events.sort("_time", first, "_row", "_state", maintain_order=True).drop("_ends")
    of = {
        "_site": rows["site"].rank("dense"),
        "_cores": rows["cores_req"].fill_null(1),
        "_began": rows["start_time"].is_not_null(),
        "_ran": rows["_payload"].is_not_null(),
        "_home": rows["site"] != "",
    }
    at, over = pl.col("_state"), pl.col("_state") >= 4
    marked = events.with_columns(value.gather(events["_row"]).alias(k) for k, value in of.items())
    began, cores = pl.col("_began"), pl.col("_cores")
    change = {
        "_pending": pl.when(at == 1).then(1).when((at == 2) | (over & ~began)).then(-1),
        "_running": pl.when(at == 3).then(1).when(over & pl.col("_ran")).then(-1),
        "_finished": pl.when(at == 4).then(1),
        "_failed": pl.when(at == 5).then(1),
        "_busy": pl.when(at == 2).then(cores).when(over & began).then(-cores),
        "_system": pl.when(pl.col("_home")).then(0).when(at == 0).then(1).when(over).then(-1),
    }
    counts = (
        value.fill_null(0).cast(pl.Int64).cum_sum().over("_site").alias(name)
        for name, value in change.items()
    )
    return marked.select("_row", "_state", "_time", *counts)


def _as(value: str | int | pl.Expr) -> pl.Expr:
    """Return a column by name, a constant, or the expression that it is."""
    if isinstance(value, pl.Expr):
        return value
    return pl.col(value) if isinstance(value, str) else pl.lit(value)


def _track4(
    rows: pl.DataFrame, events: pl.DataFrame, platform: Platform | None
) -> Iterator[tuple[Any, ...]]:
    sites = platform.sites if platform else ()
    total = {site.name: site.cores for site in sites}
    hosts = {site.name: sum(pool.hosts for pool in site.pools) for site in sites}
    have, width = (
        pl.col("site").replace_strict(known, default=0, return_dtype=pl.Int64)
        for known in (total, hosts)
    )
    free = pl.when(have > 0).then(have - pl.col("_busy")).otherwise(0)
    flop = pl.col("work") * FLOPS_PER_HS23
    columns = [
        pl.col("job_id"),
        pl.lit("").alias("cpu"),
        pl.col("_state").replace_strict(dict(enumerate(STATES)), return_dtype=pl.String),
        pl.col("_time"),
        pl.col("site"),
        free.alias("cores"),
        pl.when(have > 0).then(free * width // have).otherwise(0).alias("cpus"),
        flop.round().cast(pl.Int64, strict=False).cast(pl.String).fill_null(""),
        *(
            pl.col(name).fill_null(0).round().cast(pl.Int64)
            for name in ("input_files", "output_files", "input_bytes", "output_bytes")
        ),
        *(pl.col(f"_{name}") for name in ("system", "pending", "running", "finished", "failed")),
    ]
    for chunk in events.iter_slices(_CHUNK):
        yield from chunk.hstack(rows[chunk["_row"]]).select(columns).iter_rows()


def _activities(rows: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """Return begins and ends in order of time: of allocations, executions, transfers.

    ``_row`` is the attempt's position in `rows`, ``_move`` the transfer's in `moved`.
    """
    final = pl.col("status").is_in(ENDED)
    never = final & pl.col("start_time").is_null()
    moments = (
        pl.col("submit_time"),
        pl.when(never).then("end_time").otherwise("start_time"),
        pl.col("_payload"),
        pl.when(final & pl.col("_payload").is_not_null()).then("end_time"),
    )
    numbered = rows.with_row_index("_row")
    states = _states(rows).filter(pl.col("_state") >= 2)
    busy = states.select(
        "_row", "_busy", _kind=pl.col("_state").replace_strict(_KIND_OF_STATE, return_dtype=pl.Int8)
    )
    events = pl.concat(
        numbered.select("_row", _time=time, _kind=pl.lit(kind, pl.Int8))
        for time, kind in zip(moments, (0, 1, 4, 5), strict=True)
    ).drop_nulls("_time")
    events = events.join(busy, on=("_row", "_kind"), how="left", maintain_order="left")
    place = moved.with_row_index("_move").join(
        numbered.select("job_id", "attempt", "_row"), on=("job_id", "attempt"), how="left"
    )
    lost = place.filter(pl.col("_row").is_null())
    if lost.height:
        raise InputError(f"transfers of job {lost['job_id'][0]!r}, which has no such attempt")
    ways = [
        place.select("_row", "_move", _time=when, _kind=pl.lit(kind, pl.Int8))
        for when, kind in (("start", 2), ("end", 3))
    ]
    events = pl.concat([events, *ways], how="diagonal").drop_nulls("_time")
    # of one attempt at one instant: in the order of the kinds
    return events.sort("_time", "_row", "_kind", maintain_order=True)


def _data_events(
    rows: pl.DataFrame, moved: pl.DataFrame, events: pl.DataFrame, platform: Platform | None
) -> Iterator[tuple[Any, ...]]:
    total = {site.name: site.cores for site in platform.sites} if platform else {}
    speed = {site.name: site.speed for site in platform.sites} if platform else {}
    ways: dict[tuple[str, str], dict[str, float]] = {}
    names = ("JobAllocation", "JobAllocation", *("FileTransfer",) * 2, *("JobExecution",) * 2)
    details_of_moves = moved.drop("job_id", "attempt")
    for chunk in events.iter_slices(_CHUNK):
        moves = details_of_moves.select(pl.all().gather(chunk["_move"]))
        for row in chunk.hstack(rows[chunk["_row"]]).hstack(moves).iter_rows(named=True):
            kind = row["_kind"]
            if kind in (2, 3):
                status, details = "running", _transfer(row, ways, platform, ended=kind == 3)
            else:
                status, details = _job(row, kind, total, speed)
            details = {key: value for key, value in details.items() if value is not None}
            state = "Finished" if kind % 2 else "Started"
            yield names[kind], state, status, row["job_id"], row["_time"], json.dumps(details)


def _transfer(
    row: dict[str, Any],
    ways: dict[tuple[str, str], dict[str, float]],
    platform: Platform | None,
    *,
    ended: bool,
) -> dict[str, Any]:
    source, destination = row["source"], row["destination"]
    details = {
        "file": row["file"],
        "size": row["bytes"],
        "source_site": source,
        "destination_site": destination,
        "kind": row["kind"],
        "attempt": row["attempt"],
        "duration": row["end"] - row["start"] if ended and row["start"] is not None else None,
    }
    if platform is None or source is None or destination is None:
        return details
    if (source, destination) not in ways:
        ways[source, destination] = _way(platform, source, destination)
    return details | ways[source, destination]


def _way(platform: Platform, source: str, destination: str) -> dict[str, float]:
    try:
        names = platform.route(source, destination)
    except InputError:
        return {}
    links = {link.name: link for link in platform.links}
    found = [links[name.removesuffix(":up").removesuffix(":down")] for name in names]
    if not found:
        return {}
    return {
        "bandwidth": min(link.bandwidth for link in found),
        "latency": sum(link.latency for link in found),
    }


def _job(
    row: dict[str, Any], kind: int, total: dict[str, int], speed: dict[str, float | None]
) -> tuple[str, dict[str, Any]]:
    """Return the status and the details of an event of an allocation or execution."""
    site, start, payload = row["site"], row["start_time"], row["_payload"]
    details: dict[str, Any] = {"site": site, "host": "", "attempt": row["attempt"]}
    cores = total.get(site)
    if cores and kind and row["_busy"] is not None:
        details["site_cpu_util"] = row["_busy"] / cores
    if kind == 0:
        return "pending", {"status": "pending", **details, **_sizes(row)}
    if kind == 1:
        status = "assigned" if start is not None else row["status"]
        return status, {"status": status, **details}
    flop = None if row["work"] is None else row["work"] * FLOPS_PER_HS23
    details |= {"flops": flop, "cores": row["cores_req"], "speed": speed.get(site)}
    if kind == 4:
        return "running", details | {"start_time": payload}
    waits = {
        "file_transfer_queue_time": payload - start,
        "resource_waiting_queue_time": start - row["submit_time"],
        "total_queue_time": payload - row["submit_time"],
    }
    return row["status"], details | {
        "duration": row["end_time"] - payload,
        "retries": row["attempt"],
        "queue_time": payload - row["submit_time"],
        **waits,
    }


def _sizes(row: dict[str, Any]) -> dict[str, Any]:
    """Return what CGSim has no keys for and our reader takes up again."""
    names = ("cores_req", "input_files", "input_bytes", "output_files", "output_bytes")
    return {name: row[name] for name in names}


def _fill(
    base: sqlite3.Connection, table: str, columns: dict[str, str], rows: Iterable[tuple[Any, ...]]
) -> None:
    described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    base.execute(f"CREATE TABLE {table} ({described})")
    names = list(columns)[1:]
    marks = ", ".join("?" * len(names))
    base.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)
