"""CSV of the LUMOS project (Theta, ThetaGPU, Mira …), and its four-column Philly extract.

Columns: https://github.com/DIR-LAB/lumos. ``node_hour`` is never read: it is node-hours for some
machines and node-seconds for others.
"""

from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers
from gridtwin.trace.readers._text import LINE, RAW, REJECT, header, read_table

__all__ = ["scan", "sniff"]

_NEEDS = ("submit_time", "wait_time", "run_time")
_SIZES = ("gpu_num", "cpu_num", "node_num")
_MEASURES = (*_NEEDS, *_SIZES, "wall_time")
# Killed: by its user, by a signal or at its limit; the source does not say which
_STATUS = {"pass": "finished", "failed": "failed", "killed": "cancelled"}


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has submit, wait and run times and a LUMOS size column."""
    names = {_plain(name) for name in header(head)}
    return set(_NEEDS) <= names and bool(names & set(_SIZES)) and "job_id" not in names


def scan(path: Path) -> Scan:
    """Read the jobs of one machine; the file does not state the machine's size."""
    wants = ("job", "user", "project", "state", "new_status", *_MEASURES)
    table = read_table(path, needs=_NEEDS, wants=wants, rename=_plain)
    rows = numbers(table.frame, _MEASURES)
    ids = [identity(name) for name in ("job", "user", "project", "state")]
    rows = rows.with_columns(*ids).with_columns(_given("user"), _given("project"))
    notes = list(table.notes)
    col = pl.col
    group, nodes, gpus = col("project"), nonzero("node_num"), col("gpu_num")
    if _same(rows, "project", "user"):
        notes.append("project repeats user in every row: not read.")
        group = pl.lit(None, pl.String)
    if (rows["gpu_num"] > 0).any() and _same(rows, "node_num", "gpu_num"):
        notes.append("node_num repeats gpu_num in every row: not read.")
        nodes = pl.lit(None, pl.Float64)
    if not (rows["gpu_num"] > 0).any():
        gpus = pl.lit(None, pl.Float64)
    start = col("submit_time") + col("wait_time")
    code = pl.when(~col("state").is_in(["0"])).then(col("state"))
    frame = rows.select(
        job_id=col("job"),
        user=col("user"),
        group=group,
        submit_time=col("submit_time"),
        start_time=start,
        end_time=start + col("run_time"),
        nodes_req=nodes,
        cores_req=nonzero("cpu_num"),
        gpus_req=gpus,
        walltime_req=nonzero("wall_time"),
        run_time=col("run_time"),
        wait_time=col("wait_time"),
        status=col("new_status")
        .str.to_lowercase()
        .replace_strict(_STATUS, default=None, return_dtype=pl.String),
        raw_status=pl.coalesce(pl.format("{}:{}", "new_status", code), col("new_status"), code),
        error_codes=pl.when(code.is_not_null()).then(pl.concat_list(pl.lit("exit:") + code)),
        **{name: col(name) for name in (REJECT, LINE, RAW)},
    )
    return Scan(frame.lazy(), notes=tuple(notes))


def _plain(name: str) -> str:
    """Return a column name as LUMOS writes it: ``Wait-Time`` is ``wait_time``."""
    plain = name.lower().replace("-", "_")
    return {"job_status": "new_status"}.get(plain, plain)


def _given(column: str) -> pl.Expr:
    """Return an id that is null where it was withheld (0)."""
    return pl.when(pl.col(column) != "0").then(pl.col(column))


def _same(rows: pl.DataFrame, one: str, other: str) -> bool:
    """Tell whether two columns say the same in every row that can be read."""
    rows = rows.filter(pl.col(REJECT).is_null())
    return rows[one].count() > 0 and bool(rows[one].eq_missing(rows[other]).all())
