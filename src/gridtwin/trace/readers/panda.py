"""PanDA job records as CSV: any subset of the job table's columns, bound by name.

Known shapes: 20 and 30 columns (monitor exports), 31 with ``files_info`` (simulator input), and
short ones with little but CPU time and cores. Times have no zone; UTC is assumed.
"""

import json
from pathlib import Path

import polars as pl

from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._columns import identity, nonzero, numbers, times
from gridtwin.trace.readers._text import LINE, RAW, REJECT, Table, header, read_table

__all__ = ["WANTS", "from_table", "scan", "sniff"]

_TIMES = ("creationtime", "starttime", "endtime", "statechangetime", "modificationtime")
_MEASURES = (
    "cpuconsumptiontime",
    "corecount",
    "actualcorecount",
    "job_walltime",
    "job_queuetime",
    "ninputdatafiles",
    "inputfilebytes",
    "noutputdatafiles",
    "outputfilebytes",
    "currentpriority",
    "attemptnr",
    "maxwalltime",
    "minramcount",
    "maxpss",
)
_ERRORS = {
    "piloterrorcode": "pilot",
    "exeerrorcode": "exe",
    "transexitcode": "transexit",
    "ddmerrorcode": "ddm",
    "jobdispatchererrorcode": "jobdispatcher",
    "taskbuffererrorcode": "taskbuffer",
    "superrorcode": "sup",
    "brokerageerrorcode": "brokerage",
}
_LABELS = (
    "pandaid",
    "jeditaskid",
    "parentid",
    "produsername",
    "workinggroup",
    "vo",
    "prodsourcelabel",
    "computingsite",
    "jobstatus",
    "jobname",
    "proddblock",
    "files_info",
)
WANTS = (*_LABELS, *_TIMES, *_MEASURES, *_ERRORS)
"""The columns of the job table that are read; a source that lacks one gives nulls for it."""

_WAITING = [
    "pending",
    "defined",
    "waiting",
    "assigned",
    "throttled",
    "activated",
    "sent",
    "starting",
    "stagein",
]
_STATUS = {
    **{name: name for name in ("finished", "failed", "closed", "cancelled")},
    **dict.fromkeys(_WAITING, "queued"),
    **dict.fromkeys(("running", "holding", "transferring", "merging", "stageout"), "running"),
}
_NOT_SET = 86400.0 * 365  # databases write 1970-01-01 for a time that was never set
# parts of official dataset names, which may stand inside the free text of a user's job name
_PROJECT = r"(?:^|[.:])((?:data|mc)\d\d_[0-9A-Za-z]+|valid\d)\."
_STEP = r"\.(deriv|merge|recon|evgen|simul|digit|PhysCont|daq)\."
_TYPE = r"[._](DAOD_[A-Z0-9]+|DRAW_[A-Z0-9]+|D?AOD|D?ESD|EVNT|HITS|RDO|RAW)(?:[._]|$)"


def sniff(path: Path, head: str) -> bool:
    """Tell whether the header has ``pandaid`` and ``computingsite``."""
    return {"pandaid", "computingsite"} <= {name.lower() for name in header(head)}


def scan(path: Path) -> Scan:
    """Read the jobs; the five to eight error columns become one list of ``component:code``."""
    return from_table(read_table(path, needs=("pandaid",), wants=WANTS, rename=str.lower))


def from_table(table: Table) -> Scan:
    """Return the jobs of a table of text in the columns `WANTS`, whatever source it is from."""
    rows = times(numbers(table.frame, _MEASURES), _TIMES)
    notes = list(table.notes)
    set_times = [pl.when(pl.col(name) > _NOT_SET).then(pl.col(name)) for name in _TIMES]
    ids = [identity(name) for name in ("pandaid", "jeditaskid", "parentid", *_ERRORS)]
    rows = rows.with_columns(*set_times, *ids)
    rows = rows.with_columns(_files(rows["files_info"], notes))
    if "inout_bytes" in map(str.lower, table.columns):
        notes.append("inout_bytes is the sum of input and output: not read.")
    return Scan(_canonical(rows).lazy(), notes=tuple(notes))


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    col = pl.col
    submit, start = col("creationtime"), col("starttime")
    end = pl.when(start.is_not_null()).then(
        pl.coalesce("endtime", "statechangetime", "modificationtime")
    )
    cores = pl.when(col("corecount") != 0).then(col("corecount")).otherwise(1.0)
    actual = nonzero("actualcorecount")
    # job_walltime is wall time x cores; it has seconds where the times may have only minutes
    wall = nonzero("job_walltime")
    wait = pl.coalesce(col("job_queuetime"), start - submit)
    name = pl.coalesce("proddblock", "jobname")
    closed = col("jobstatus") == "closed"
    columns = {
        "job_id": col("pandaid"),
        "task_id": pl.coalesce(_real("jeditaskid"), col("jobname").str.extract(r"^(.+)/\.\d+$")),
        "attempt": col("attemptnr"),
        "parent_id": _real("parentid"),
        "user": pl.coalesce(col("produsername"), col("jobname").str.extract(r"^user\.([^.]+)\.")),
        "group": pl.coalesce(col("workinggroup"), col("jobname").str.extract(r"^group\.([^.]+)\.")),
        "vo": col("vo"),
        "activity": col("prodsourcelabel"),
        "site": col("computingsite"),
        "queue": col("computingsite"),
        "submit_time": submit,
        "start_time": start,
        "end_time": end,
        "cores_req": cores,
        "cores_alloc": pl.when(start.is_not_null()).then(pl.coalesce(actual, cores)),
        "walltime_req": nonzero("maxwalltime"),
        "run_time": pl.coalesce(wall / cores, end - start),
        "wait_time": pl.when(start.is_not_null()).then(wait),
        "cpu_time": pl.when(col("cpuconsumptiontime") != -1).then("cpuconsumptiontime"),
        "mem_req": nonzero("minramcount"),
        "mem_used": nonzero("maxpss") / 1024,
        "input_files": pl.coalesce("ninputdatafiles", "_files"),
        "input_bytes": pl.coalesce("inputfilebytes", "_bytes"),
        "output_files": col("noutputdatafiles"),
        # what a closed job shows is a placeholder: it has written nothing
        "output_bytes": pl.when(~closed.fill_null(value=False)).then("outputfilebytes"),
        "dataset": col("proddblock"),
        "project": name.str.extract(_PROJECT),
        "prodstep": name.str.extract(_STEP),
        "datatype": name.str.extract(_TYPE),
        "status": col("jobstatus").replace_strict(_STATUS, default=None, return_dtype=pl.String),
        "raw_status": col("jobstatus"),
        "error_codes": _errors(),
        "priority": col("currentpriority"),
    }
    return rows.select(**columns, **{name: col(name) for name in (REJECT, LINE, RAW)})


def _real(column: str) -> pl.Expr:
    """Return an id that is null where it is 0."""
    return pl.when(pl.col(column) != "0").then(pl.col(column))


def _errors() -> pl.Expr:
    """Return the codes other than 0 as words ``component:code``; null if no column is filled."""
    words = [
        pl.when(pl.col(column) != "0").then(pl.lit(f"{component}:") + pl.col(column))
        for column, component in _ERRORS.items()
    ]
    filled = pl.any_horizontal(pl.col(column).is_not_null() for column in _ERRORS)
    return pl.when(filled).then(pl.concat_list(words).list.drop_nulls())


def _files(info: pl.Series, notes: list[str]) -> list[pl.Series]:
    """Return the number and the bytes of the files in ``files_info``, JSON of {file: bytes}."""
    counts: list[float | None] = []
    sizes: list[float | None] = []
    wrong = 0
    for text in info.to_list():
        found = _sizes(text) if text is not None else None
        wrong += text is not None and found is None
        counts.append(None if found is None else float(len(found)))
        sizes.append(None if found is None else sum(found))
    if wrong:
        notes.append(f"{wrong} rows have a files_info that is no JSON of sizes: taken as unknown.")
    return [
        pl.Series("_files", counts, dtype=pl.Float64),
        pl.Series("_bytes", sizes, dtype=pl.Float64),
    ]


def _sizes(text: str) -> list[float] | None:
    try:
        values = list(json.loads(text).values())
        sizes = [float(value) for value in values]
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    return sizes if all(0 <= size < float("inf") for size in sizes) else None
