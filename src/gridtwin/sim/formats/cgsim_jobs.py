"""CGSim's jobs CSV: the columns of PanDA's records, with times that may be the simulation's own.

The columns are those of the PanDA reader, in any order and number; this adds what only CGSim's
files have: ``creationtime``, ``starttime`` and ``endtime`` in seconds from the simulation's start
(0 where there is none), ``files_info`` as the input files of each job, ``computingsite`` as the
number of a site, and a run time where no times are recorded. One variant of CGSim divides all sizes
by 10,000 and gives each job one file in and one out; that is not done here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim.formats.cgsim import reference_speed
from gridtwin.sim.platform import Platform
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import JobTable
from gridtwin.trace.readers import REJECT, read
from gridtwin.trace.readers._columns import identity
from gridtwin.trace.readers._text import read_table

__all__ = ["COLUMNS", "INPUTS", "Jobs", "flops", "read_jobs", "write_jobs"]

INPUTS = {"job_id": pl.String, "file": pl.String, "bytes": pl.Float64}
"""Columns of a frame of input files."""

_YEAR = 365 * 86400.0  # a smaller time is one of the simulation, not of a calendar
_TIMES = {"creationtime": "submit_time", "starttime": "start_time", "endtime": "end_time"}
_NOT_HERE = ("map of queues", "No row has a submit time")  # notes that hold for PanDA's files only
_NEGATIVE = "negative creationtime"
_ERRORS = ("pilot", "exe", "ddm", "jobdispatcher", "taskbuffer")

_FROM = {
    "pandaid": "job_id",
    "creationtime": "submit_time",
    "starttime": "start_time",
    "endtime": "end_time",
    "computingelement": None,
    "assignedpriority": "priority",
    "currentpriority": "priority",
    "jobstatus": "status",
    "jobname": None,
    "cpuconsumptiontime": "cpu_time",
    "computingsite": "site",
    "cpuconversion": None,
    "job_walltime": "_walltime",
    "job_queuetime": "wait_time",
    "cpu_eff": None,
    "destinationdblock": None,
    "destinationse": None,
    "sourcesite": None,
    "transfertype": None,
    "corecount": "cores_req",
    "ninputdatafiles": "input_files",
    "inputfilebytes": "input_bytes",
    "noutputdatafiles": "output_files",
    "outputfilebytes": "output_bytes",
    **{f"{name}errorcode": f"_{name}" for name in _ERRORS},
    "pilottiming": None,
    "files_info": "_files",
}
_SAYS = {"queue": "site", "cores_alloc": "cores_req", "raw_status": "status"}
COLUMNS = tuple(_FROM)
"""The header that is written, CGSim's own of 31 columns."""


@dataclass(frozen=True)
class Jobs:
    """The jobs of a file and what they read."""

    table: JobTable
    inputs: pl.DataFrame
    """`INPUTS`: a row for each input file of each job, in the order of the file."""


def read_jobs(
    path: Path | str, platform: Platform | None = None, *, keep_names: bool = False
) -> Jobs:
    """Read a jobs CSV, plain or gzip.

    Rows that cannot be kept are counted in the table's provenance, as by `gridtwin.trace.read`.
    ``site`` is ``computingsite`` as it stands. With a platform, a whole number k that is no site's
    name is its k-th site, from 0, and ``core_power`` is the site's `reference_speed` in HS23.
    Memory: as `gridtwin.trace.read`.
    """
    path = Path(path)
    table = read(path, format="panda", keep_names=keep_names)
    raw = _raw(path)
    frame = table.collect()
    notes: list[str] = []
    dropped = dict(table.provenance.dropped)
    if "submit_time" not in frame.columns:
        frame, bad = _simulated(frame, raw, notes)
        if bad:
            dropped[_NEGATIVE] = bad
    if "queue" in frame.columns:
        frame = frame.with_columns(site=_site_names(frame["queue"], platform))
    frame = _run_times(_powers(frame, platform), notes)
    inputs = _inputs(raw.join(frame.select("job_id"), on="job_id", how="semi"), notes)
    old = table.provenance
    true = [note for note in old.notes if not any(words in note for words in _NOT_HERE)]
    provenance = replace(old, format="cgsim", dropped=dropped, notes=(*true, *notes))
    return Jobs(JobTable.from_frame(frame, provenance), inputs)


def flops(jobs: JobTable, platform: Platform) -> NDArray[np.float64]:
    """Return the work of each job per core, flop: CPU time x the `reference_speed` of its site.

    That is CGSim's model: it takes ``cpuconsumptiontime`` for the time on one core, whatever
    ``corecount`` says, so that run time = CPU time x GFLOPS / speed. NaN where the CPU time or the
    site's speed is not known.
    """
    jobs.require("cpu_time", "site", for_what="the work of CGSim's jobs")
    frame = jobs.collect(["cpu_time", "site"])
    speed = {site.name: reference_speed(site) or float("nan") for site in platform.sites}
    at = frame["site"].replace_strict(speed, default=None, return_dtype=pl.Float64)
    return (frame["cpu_time"] * at).fill_null(float("nan")).to_numpy().astype(np.float64)


def write_jobs(
    jobs: JobTable, path: Path | str, inputs: pl.DataFrame | None = None
) -> tuple[str, ...]:
    """Write a jobs CSV with the header `COLUMNS`; times are seconds, as CGSim wants them.

    `inputs` has the columns `INPUTS`; without it ``files_info`` is empty. Returns the columns of
    the table that the format has no place for, but for those that hold only nulls or repeat
    another, and ``core_power``, which is the platform's.
    """
    frame = jobs.collect()
    if "site" not in frame.columns and "queue" in frame.columns:
        frame = frame.with_columns(site="queue")
    held = {name for name in _FROM.values() if name} | {"run_time", "core_power"}
    codes = frame["error_codes"] if "error_codes" in frame.columns else None
    lost = [
        name
        for name in frame.columns
        if name not in held
        and frame[name].null_count() < frame.height
        and not (_SAYS.get(name) in frame.columns and frame[name].equals(frame[_SAYS[name]]))
        and not (name == "error_codes" and _all_told(frame[name]))
    ]
    cores = pl.col("cores_req") if "cores_req" in frame.columns else pl.lit(1)
    wall = pl.col("run_time") * cores.fill_null(1) if "run_time" in frame.columns else pl.lit(None)
    frame = frame.with_columns(wall.alias("_walltime"), _files(frame["job_id"], inputs))
    frame = frame.with_columns(_code(codes, name, frame.height) for name in _ERRORS)
    given = [
        pl.col(source) if source in frame.columns else pl.lit(None, pl.String)
        for source in (name or "" for name in _FROM.values())
    ]
    written = frame.select(column.alias(name) for column, name in zip(given, COLUMNS, strict=True))
    with writing(path) as temporary:
        written.write_csv(temporary)
    return tuple(lost)


def _raw(path: Path) -> pl.DataFrame:
    """Return, for each id once, the columns that the PanDA reader does not give, as text."""
    wants = ("pandaid", *_TIMES, "files_info")
    rows = read_table(path, needs=("pandaid",), wants=wants, rename=str.lower).frame
    rows = rows.filter(pl.col(REJECT).is_null()).with_columns(job_id=identity("pandaid"))
    return rows.select("job_id", *_TIMES, "files_info").unique(
        "job_id", keep="first", maintain_order=True
    )


def _simulated(
    frame: pl.DataFrame, raw: pl.DataFrame, notes: list[str]
) -> tuple[pl.DataFrame, int]:
    """Return the rows with the simulation's times, and how many were submitted before it began."""
    numbers = raw.select(
        "job_id", *(pl.col(name).cast(pl.Float64, strict=False) for name in _TIMES)
    ).rename(_TIMES)
    given = numbers["submit_time"].is_not_null().any()
    words = "are seconds from the simulation's start" if given else "are not given"
    notes.append(f"The times of submission {words}; 0 where there is none.")
    frame = frame.drop(_TIMES.values(), strict=False).join(
        numbers.with_columns(pl.col("submit_time").fill_null(0.0)),
        on="job_id",
        how="left",
        maintain_order="left",
    )
    start, end = pl.col("start_time"), pl.col("end_time")
    frame = frame.with_columns(
        pl.when(start.is_between(pl.col("submit_time"), _YEAR)).then(start),
    ).with_columns(pl.when(end.is_between(start, _YEAR)).then(end))
    empty = [name for name in ("start_time", "end_time") if not frame[name].count()]
    good = pl.col("submit_time").is_between(0, _YEAR)
    kept = frame.filter(good).drop(empty)
    return kept, frame.height - kept.height


def _site_names(queue: pl.Series, platform: Platform | None) -> pl.Series:
    if platform is None:
        return queue
    numbered = {str(k): name for k, name in enumerate(platform.names)}
    names = {**numbered, **{name: name for name in platform.names}}
    return queue.replace(names)


def _powers(frame: pl.DataFrame, platform: Platform | None) -> pl.DataFrame:
    if platform is None or "site" not in frame.columns:
        return frame
    speeds = {site.name: reference_speed(site) for site in platform.sites}
    power = {name: speed / FLOPS_PER_HS23 for name, speed in speeds.items() if speed}
    column = frame["site"].replace_strict(power, default=None, return_dtype=pl.Float64)
    return frame.with_columns(column.alias("core_power")) if column.count() else frame


def _run_times(frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Take the CPU time for the run time where none is recorded, as CGSim does for all."""
    if "cpu_time" not in frame.columns:
        return frame
    known = pl.col("run_time") if "run_time" in frame.columns else pl.lit(None, pl.Float64)
    filled = frame.with_columns(pl.coalesce(known, "cpu_time").alias("run_time"))
    before = frame["run_time"].count() if "run_time" in frame.columns else 0
    if more := filled["run_time"].count() - before:
        notes.append(f"{more} jobs have no recorded run time: their CPU time is taken.")
    return filled


def _inputs(raw: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return the input files of the jobs; a file is as large as where it is named first."""
    ids: list[str] = []
    files: list[str] = []
    sizes: list[float] = []
    first: dict[str, float] = {}
    wrong: set[str] = set()
    for job, text in zip(raw["job_id"], raw["files_info"], strict=True):
        for file, size in _sizes(text):
            if first.setdefault(file, size) != size:
                wrong.add(file)
            ids.append(job)
            files.append(file)
            sizes.append(first[file])
    if wrong:
        notes.append(f"{len(wrong)} files have several sizes: that of the first job counts.")
    return pl.DataFrame({"job_id": ids, "file": files, "bytes": sizes}, schema=INPUTS)


def _sizes(text: str | None) -> Iterator[tuple[str, float]]:
    """Yield the files of a ``files_info``; the reader's notes count what is no JSON of sizes."""
    if text is None:
        return
    try:
        found = [(str(name), float(size)) for name, size in json.loads(text).items()]
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return
    if all(0 <= size < float("inf") for _, size in found):
        yield from found


def _files(jobs: pl.Series, inputs: pl.DataFrame | None) -> pl.Series:
    if inputs is None:
        return pl.Series("_files", [None] * len(jobs), dtype=pl.String)
    if missing := [name for name in INPUTS if name not in inputs.columns]:
        raise InputError(f"inputs has no column {', '.join(missing)}; it needs {', '.join(INPUTS)}")
    lists = inputs.group_by("job_id", maintain_order=True).agg("file", "bytes")
    words = {
        job: json.dumps(
            {f: int(b) if b == int(b) else b for f, b in zip(files, sizes, strict=True)}
        )
        for job, files, sizes in lists.iter_rows()
    }
    return pl.Series("_files", [words.get(job) for job in jobs], dtype=pl.String)


def _code(codes: pl.Series | None, name: str, height: int) -> pl.Series:
    """Return the code of one component: 0 where there is no error, null where nothing is known."""
    if codes is None:
        return pl.Series(f"_{name}", [None] * height, dtype=pl.String)
    found = [
        None if words is None else next((w[len(name) + 1 :] for w in words if _of(w, name)), "0")
        for words in codes.to_list()
    ]
    return pl.Series(f"_{name}", found, dtype=pl.String)


def _all_told(codes: pl.Series) -> bool:
    """Return whether each job has one code at most of each component, and of no other one."""
    return all(
        len(words) == sum(any(_of(w, name) for w in words) for name in _ERRORS)
        for words in codes.drop_nulls().to_list()
    )


def _of(word: str, name: str) -> bool:
    return word.startswith(f"{name}:")
