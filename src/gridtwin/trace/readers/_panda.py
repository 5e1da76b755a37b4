"""From PanDA's columns to canonical ones: what each means, and what has to be repaired first."""

from collections.abc import Iterable

import polars as pl

from gridtwin.trace import datasets
from gridtwin.trace.readers._columns import identity, nonzero
from gridtwin.trace.readers._text import LINE, RAW, REJECT

__all__ = ["MEASURES", "PERSONS", "TIMES", "WANTS", "canonical", "counted", "derived", "repaired"]

TIMES = ("creationtime", "starttime", "endtime", "statechangetime", "modificationtime")
MEASURES = (
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
    "assignedpriority",
    "attemptnr",
    "maxwalltime",
    "minramcount",
    "maxpss",
    "maxrss",
    "hs06",
    "hs06sec",
)
_LABELS = (
    "pandaid",
    "jeditaskid",
    "parentid",
    "produsername",
    "produserid",
    "workinggroup",
    "vo",
    "prodsourcelabel",
    "job_label",
    "processingtype",
    "transformation",
    "computingsite",
    "jobstatus",
    "jobsubstatus",
    "jobmetrics",
    "jobname",
    "proddblock",
    "inputfileproject",
    "inputfiletype",
    "files_info",
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
WANTS = (*_LABELS, *TIMES, *MEASURES, *_ERRORS)
"""The columns that are read; a source that lacks one gives nulls for it."""
PERSONS = ("user", "task_id", "dataset")
"""Canonical columns in which a name of a person may stand."""

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
_FINAL = ("finished", "failed", "closed", "cancelled")
_STATUS = {
    **{name: name for name in _FINAL},
    "canceled": "cancelled",
    **dict.fromkeys(_WAITING, "queued"),
    **dict.fromkeys(("running", "holding", "transferring", "merging", "stageout"), "running"),
}
_LOWER = ("prodsourcelabel", "job_label", "processingtype", "transformation", "jobstatus")
_TESTS = ("install", "ptest", "rc_test", "rc_test2", "rc_alrb", "test")
_NOT_SET = 86400.0 * 365  # databases write 1970-01-01 for a time that was never set
_MINUTE = 61.0  # times may be cut to minutes at both ends
_HS06_CAP = 999_999_999
# parts of official dataset names, which may stand inside the free text of a user's job name
_PROJECT = r"(?:^|[.:])((?:data|mc)[0-9][0-9]_[0-9A-Za-z]+|valid[0-9])\."
_STEP = r"\.(deriv|merge|recon|evgen|simul|digit|PhysCont|daq)\."
_TYPE = r"[._](DAOD_[A-Z0-9]+|DRAW_[A-Z0-9]+|D?AOD|D?ESD|EVNT|HITS|RDO|RAW)(?:[._]|$)"


def repaired(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return rows with ids as text, times that were set, a status and codes that are numbers.

    `rows` has numbers and times. The second value counts the times that were never set.
    """
    words = "have a time of 1970 in {}, where it was never set: taken as unknown"
    unset = {words.format(name): int((rows[name] <= _NOT_SET).sum()) for name in TIMES}
    numbers = ("pandaid", "jeditaskid", "parentid", *_ERRORS)
    ids = [identity(name) for name in numbers if rows[name].str.contains(r"[.eE]").any()]
    lower = pl.col(_LOWER).str.to_lowercase()
    set_times = [pl.when(pl.col(name) > _NOT_SET).then(pl.col(name)) for name in TIMES]
    rows = rows.with_columns(*ids, lower, *set_times)
    whole = {name: pl.col(name).str.contains(r"^-?[0-9]+$") for name in _ERRORS}
    wrong = pl.any_horizontal(~good.fill_null(value=True) for good in whole.values())
    codes = [pl.when(good).then(pl.col(name)).alias(name) for name, good in whole.items()]
    status = pl.col("jobstatus").replace_strict(_STATUS, default=None, return_dtype=pl.String)
    return rows.with_columns(*codes, _wrong_code=wrong, _status=status), unset


def derived(rows: pl.DataFrame) -> pl.DataFrame:
    """Return repaired rows with what several canonical columns need: cores, end, run time."""
    col = pl.col
    start, submit = col("starttime"), col("creationtime")
    metrics = col("jobmetrics").str.extract(r"(?i)(?:^|\s)(?:actual)?coreCount=([0-9]+)")
    named = metrics.cast(pl.Float64, strict=False)
    cores = pl.when(col("corecount") != 0).then(col("corecount")).otherwise(1.0)
    used = pl.coalesce(nonzero("actualcorecount"), pl.when(named > 0).then(named), cores)
    changed = [
        pl.when(col(name) >= pl.max_horizontal(start, submit, 0.0)).then(col(name))
        for name in ("statechangetime", "modificationtime")
    ]
    over = col("jobstatus").is_null() | col("_status").is_in(_FINAL)
    end = pl.coalesce("endtime", pl.when(over).then(pl.coalesce(changed)))
    rows = rows.with_columns(_cores=cores, _used=used, _end=end)
    # job_walltime is wall time x cores; it has seconds where the times may have only minutes
    wall = nonzero("job_walltime") / col("_cores")
    between = col("_end") - start
    agrees = (wall - between).abs() <= _MINUTE
    run = pl.when(agrees.fill_null(value=True)).then(pl.coalesce(wall, between)).otherwise(between)
    return rows.with_columns(_run=run, _not_core_time=~agrees.fill_null(value=True))


def counted(rows: pl.DataFrame, columns: Iterable[str]) -> dict[str, int]:
    """Return how many jobs needed each repair, by what it says of them.

    `rows` are derived; `columns` are those of the source.
    """
    col, have = pl.col, set(map(str.lower, columns))
    repairs = {
        "have no core count: 1 core is meant": nonzero("corecount").is_null(),
        "have no end time though they ended: that of their last change of state is taken": (
            col("endtime").is_null() & col("_end").is_not_null()
        ),
        "end when they start, killed before the payload began: 0 s of run time": (
            (col("starttime") == col("_end")) & (col("_run") == 0)
        ),
        "have a CPU time of -1: taken as unknown": col("cpuconsumptiontime") == -1,
        "have a job_walltime that is not cores x (end - start): start and end count": (
            col("_not_core_time")
        ),
        "lost their heartbeat: their run time may be up to 2 h short": (
            (col("jobdispatchererrorcode") == "100") & col("starttime").is_not_null()
        ),
        "have an error code that is no whole number: left out": col("_wrong_code"),
        "have a status that is not known: taken as none": (
            col("jobstatus").is_not_null() & col("_status").is_null()
        ),
    }
    if "starttime" in have:
        repairs["never ran: they have no start and no run time"] = (
            col("_status").is_in(_FINAL) & col("starttime").is_null()
        )
    if have & {"prodsourcelabel", "job_label", "processingtype"}:
        repairs["have labels of no known activity"] = _activity().is_null()
    kept = rows.filter(col(REJECT).is_null())
    counts = kept.select(
        mask.fill_null(value=False).sum().alias(words) for words, mask in repairs.items()
    )
    return dict(counts.row(0, named=True))


def canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """Return derived rows in canonical columns; ``site`` is the queue still."""
    col = pl.col
    rows = rows.with_columns(
        datasets.parse_names(rows["proddblock"]).select(
            pl.col("project", "prodstep", "datatype").name.prefix("_")
        )
    )
    submit, start = col("creationtime"), col("starttime")
    started = start.is_not_null()
    bare = col("proddblock").is_null() & col("inputfileproject").is_null()
    name = pl.when(bare).then("jobname")
    closed = (col("_status") == "closed").fill_null(value=False)
    columns = {
        "job_id": col("pandaid"),
        "task_id": pl.coalesce(_real("jeditaskid"), col("jobname").str.extract(r"^(.+)/\.[0-9]+$")),
        "attempt": col("attemptnr"),
        "parent_id": _real("parentid"),
        "user": pl.coalesce(
            "produsername", "produserid", col("jobname").str.extract(r"^user\.([^.]+)\.")
        ),
        "group": pl.coalesce(col("workinggroup"), col("jobname").str.extract(r"^group\.([^.]+)\.")),
        "vo": col("vo"),
        "activity": _activity(),
        "site": col("computingsite"),
        "queue": col("computingsite"),
        "submit_time": submit,
        "start_time": start,
        "end_time": col("_end"),
        "cores_req": col("_cores"),
        "cores_alloc": pl.when(started).then("_used"),
        "walltime_req": nonzero("maxwalltime"),
        "run_time": col("_run"),
        "wait_time": pl.when(started).then(pl.coalesce(col("job_queuetime"), start - submit)),
        "cpu_time": pl.when(col("cpuconsumptiontime") != -1).then("cpuconsumptiontime"),
        "mem_req": nonzero("minramcount"),
        "mem_used": pl.coalesce(nonzero("maxpss"), nonzero("maxrss")) / 1024,
        "input_files": pl.coalesce("ninputdatafiles", "_files"),
        "input_bytes": pl.coalesce("inputfilebytes", "_bytes"),
        "output_files": col("noutputdatafiles"),
        # what a closed job shows is a placeholder: it has written nothing
        "output_bytes": pl.when(~closed).then("outputfilebytes"),
        "dataset": col("proddblock"),
        "project": pl.coalesce("_project", "inputfileproject", name.str.extract(_PROJECT)),
        "prodstep": pl.coalesce("_prodstep", name.str.extract(_STEP)),
        "datatype": pl.coalesce("_datatype", "inputfiletype", name.str.extract(_TYPE)),
        "status": col("_status"),
        "raw_status": col("jobstatus") + (pl.lit(":") + col("jobsubstatus")).fill_null(""),
        "error_codes": _errors(),
        "priority": pl.coalesce("currentpriority", "assignedpriority"),
        "core_power": _core_power(),
    }
    return rows.select(**columns, **{name: col(name) for name in (REJECT, LINE, RAW)})


def _activity() -> pl.Expr:
    """Return user, production, test, build or merge, from the labels; never from the queue.

    ``user`` and ``panda`` are analysis (run and build jobs), ``managed`` and ``prod_test``
    production, as in PanDA's own lists; HammerCloud's tests carry ``gangarobot``.
    """
    col = pl.col
    kind = col("processingtype")
    label = pl.coalesce("prodsourcelabel", "job_label")
    by_client = label.is_null() & kind.str.starts_with("panda-client")
    analysis = label.is_in(("user", "panda")) | by_client | (label.is_null() & (kind == "pmerge"))
    return (
        pl.when(kind.str.starts_with("gangarobot") | label.is_in(_TESTS))
        .then(pl.lit("test"))
        .when(analysis & ((label == "panda") | col("transformation").str.contains("build")))
        .then(pl.lit("build"))
        .when(analysis & (kind == "pmerge"))
        .then(pl.lit("merge"))
        .when(analysis)
        .then(pl.lit("user"))
        .when(label.is_in(("managed", "prod_test")))
        .then(pl.lit("production"))
    )


def _core_power() -> pl.Expr:
    """Return HS06 = cores x power, else hs06sec = wall time x cores x power, over the cores.

    Null where neither says anything; hs06sec is useless where it stands at its cap.
    """
    seconds = pl.when(pl.col("hs06sec").is_between(0, _HS06_CAP, closed="none")).then("hs06sec")
    run = pl.when(pl.col("_run") > 0).then("_run")
    return pl.coalesce(nonzero("hs06") / pl.col("_used"), seconds / run / pl.col("_used"))


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
