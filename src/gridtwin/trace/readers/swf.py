"""Standard Workload Format (SWF 2.2): ``;`` header lines, then 18 numbers a line, -1 = unknown.

Definition: https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Dialects with up to 21
fields are read; what follows the 18th is ignored.
"""

import re
from pathlib import Path

import polars as pl

from gridtwin.trace._swf import SITES
from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, numbers, reject
from gridtwin.trace.readers._text import LINE, MALFORMED, RAW, REJECT, read_lines

__all__ = ["PART", "scan", "sniff"]

PART = "checkpoint part (status 2-4)"
"""Reason for lines that are parts of a job that has a summary line of its own."""

_FIELDS = [
    "job",
    "submit",
    "wait",
    "run",
    "procs",
    "cpu",
    "mem",
    "req_procs",
    "req_time",
    "req_mem",
    "status",
    "user",
    "group",
    "app",
    "queue",
    "part",
    "prev",
    "think",
]
_IDS = ("job", "status", "user", "group", "app", "queue", "part", "prev")
_STATUS = {"0": "failed", "1": "finished", "5": "cancelled"}
_NO_LIMIT = (8639999.0, 99999999.0, 2.0**31 - 1, 2.0**32 - 1)
_EPOCH = 5e8  # submit times and start times beyond this (1985) count from 1970
_KEYS = {"Version", "UnixStartTime", "MaxJobs", "MaxRecords", "MaxNodes", "MaxProcs"}
_WORD = re.compile(r"[-+]?[\d.]+([eE][-+]?\d+)?")
_HEADER = re.compile(r"^;\s*([A-Za-z][A-Za-z0-9]*):\s*(.*?)\s*$")


def sniff(path: Path, head: str) -> bool:
    """Tell whether there is an SWF header, or a line of 18 numbers among the first ones."""
    lines = [line.strip() for line in head.split("\n") if line.strip()]
    keys = {match[1] for line in lines if (match := _HEADER.match(line))}
    return bool(keys & _KEYS) or any(_is_record(line) for line in lines[:20])


def _is_record(line: str) -> bool:
    words = line.split()
    return len(words) >= len(_FIELDS) and all(map(_WORD.fullmatch, words[: len(_FIELDS)]))


def scan(path: Path) -> Scan:
    """Read the jobs of an SWF file; the machine's size comes from MaxProcs or MaxNodes."""
    lines, notes = read_lines(path)
    comment = pl.col(RAW).str.strip_chars_start().str.starts_with(";")
    header = _header(lines.filter(comment)[RAW].to_list())
    rows = _rows(lines.filter(~comment))
    origin = _number(header, "UnixStartTime")
    if origin is None:
        notes.append("No UnixStartTime in the header: submit times count from 1970-01-01.")
    elif origin > _EPOCH and rows.height and rows.select((pl.col("submit") > _EPOCH).all()).item():
        notes.append("Submit times count from 1970-01-01, not from UnixStartTime.")
        origin = None
    unlimited = rows.select(pl.col("req_time").is_in(_NO_LIMIT).sum()).item()
    if unlimited:
        notes.append(f"{unlimited} jobs asked for no limit (such as 8639999 s): taken as unknown.")
    in_bytes = bool(rows.select((pl.col("_words") == 21).mean() > 0.5).item())
    if in_bytes:
        notes.append("21 fields a line: requested memory is taken as bytes, not KB.")
    procs, nodes = _number(header, "MaxProcs"), _number(header, "MaxNodes")
    if procs and procs == nodes:
        notes.append("MaxProcs equals MaxNodes: a processor of this log may be a whole node.")
    notes += [f"Header note: {text}" for text in header.get("Note", [])[:10] if text]
    frame = _canonical(rows, header, origin=origin or 0.0, memory=2.0**-20 if in_bytes else 2**-10)
    size = procs or nodes
    return Scan(frame.lazy(), machine_cores=size or None, notes=tuple(notes))


def _header(lines: list[str]) -> dict[str, list[str]]:
    """Return the values of each header key, in order; a key may come many times."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if match := _HEADER.match(line.strip()):
            found.setdefault(match[1], []).append(match[2])
    return found


def _number(header: dict[str, list[str]], key: str) -> int | None:
    """Return the number that a header value begins with, as in ``338 (batch partition)``."""
    match = re.match(r"[0-9]{1,15}(?![0-9])", header.get(key, [""])[0])
    return int(match[0]) if match else None


def _rows(lines: pl.DataFrame) -> pl.DataFrame:
    """Split lines into fields: ids as text, the others as numbers, unknown ones as null."""
    words = pl.col(RAW).str.strip_chars().str.replace_all(r"\s+", " ")
    count = words.str.count_matches(" ", literal=True) + 1
    fields = words.str.split_exact(" ", len(_FIELDS) - 1).struct.rename_fields(_FIELDS)
    rows = lines.with_columns(count.alias("_words"), fields.alias("_fields")).unnest("_fields")
    malformed = ~pl.col("_words").is_between(len(_FIELDS), 21)
    malformed |= pl.col(RAW).str.contains("\0", literal=True)
    rows = rows.with_columns(
        pl.when(malformed).then(pl.lit(MALFORMED)).alias(REJECT),
        pl.when(~malformed).then(pl.col(_FIELDS)),
    )
    measures = [name for name in _FIELDS if name not in _IDS]
    rows = numbers(rows, measures)
    ids = [identity(name) for name in _IDS]
    rows = rows.with_columns(*ids, pl.when(pl.col(measures) != -1).then(pl.col(measures)))
    rows = rows.with_columns(pl.when(pl.col(_IDS) != "-1").then(pl.col(_IDS)))
    return rows.with_columns(reject({PART: pl.col("status").is_in(["2", "3", "4"])}))


def _canonical(
    rows: pl.DataFrame, header: dict[str, list[str]], *, origin: float, memory: float
) -> pl.DataFrame:
    col = pl.col
    positive = {name: pl.when(col(name) != 0).then(col(name)) for name in ("procs", "req_procs")}
    asked = pl.coalesce(positive["req_procs"], positive["procs"])
    # cancelled before it started: nothing was given; ran: what was asked for was given
    given = pl.coalesce(positive["procs"], pl.when(col("run") > 0).then(positive["req_procs"]))
    limit = pl.when((col("req_time") != 0) & ~col("req_time").is_in(_NO_LIMIT)).then("req_time")
    submit = col("submit") + origin
    # what the log calls the wait of a job that never started is the time until it was cancelled
    never = (col("status") == "5") & positive["procs"].is_null() & (col("run").fill_null(0) == 0)
    wait = pl.when(~never.fill_null(value=False)).then(col("wait"))
    group = _named(rows, "group", header.get("Group", []))
    queue = _named(rows, "queue", header.get("Queue", []))
    partition = _named(rows, "part", header.get("Partition", []))
    columns = {
        "job_id": col("job"),
        "parent_id": pl.when(col("prev") != "0").then(col("prev")),
        "user": _named(rows, "user", header.get("User", [])),
        "group": group,
        "activity": _named(rows, "app", header.get("Executable", [])),
        "site": partition if _is_grid(header) else pl.lit(None, pl.String),
        "queue": queue if _is_grid(header) else pl.coalesce(queue, partition),
        "submit_time": submit,
        "start_time": submit + wait,
        "end_time": submit + wait + col("run"),
        "cores_req": asked,
        "cores_alloc": given,
        "walltime_req": limit,
        "run_time": col("run"),
        "wait_time": wait,
        "cpu_time": col("cpu") * pl.coalesce(given, asked),
        "mem_req": col("req_mem") * asked * memory,
        "mem_used": col("mem") * pl.coalesce(given, asked) * 2**-10,
        "status": col("status").replace_strict(_STATUS, default=None, return_dtype=pl.String),
        "raw_status": col("status"),
        REJECT: col(REJECT),
        LINE: col(LINE),
        RAW: col(RAW),
    }
    if any("LCG" in text for text in header.get("Installation", [])):
        columns["vo"] = group
    return rows.select(**columns)


def _is_grid(header: dict[str, list[str]]) -> bool:
    """Whether partitions are sites of their own: they have host names, or computers vary.

    The partitions of a single machine share its processors and its queue.
    """
    if SITES in header.get("Computer", []):
        return True
    names = header.get("Partition", [])
    hosts = sum("." in text for text in names)
    various = any("various" in text.lower() for text in header.get("Computer", []))
    return len(names) > 1 and (various or 2 * hosts > len(names))


def _named(rows: pl.DataFrame, column: str, names: list[str]) -> pl.Expr:
    """Return a column of numbers as the names that the header gives them, where it does.

    Blank names and names that two numbers would share are not used. A queue (or other label) that
    is 0 in every row and has no name says nothing, and becomes null.
    """
    found = {}
    for text in names:
        number, _, name = text.strip().partition(" ")
        if number.isdecimal() and len(number) < 19 and name.strip():
            found[str(int(number))] = name.strip()
    labels = rows[column].drop_nulls().unique().to_list()
    final = [found.get(label, label) for label in labels]
    if len(set(final)) < len(final):
        found = {}
    if set(labels) == {"0"} and "0" not in found:
        return pl.lit(None, pl.String)
    return pl.col(column).replace(found) if found else pl.col(column)
