"""A PanDA-like synthetic example: user-analysis jobs on a grid of 83 queues.

Real PanDA records are private. This trace is made top-down: users open sessions, a session sends
sister tasks, a task reads one data set with one code, its scouts go first and the rest follows
half an hour to an hour and a half later, and each job waits, runs, fails, is retried, closed or
cancelled. Counts, published shares and ranges are held to what papers on ATLAS analysis jobs say;
all else is our estimate: see the page "The PanDA-like example" of the documentation. No row is a
real job, no name a real person's, no state of a named site a fact.

Memory: `load` holds all jobs (about 0.5 GB per million), `write` and `write_daily` a few days of
them and `load_traces` about 5 kB per job, which bounds the jobs it takes.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.trace.examples._panda_frames import ACCESS, FRAMES, Traces
from gridtwin.trace.examples._panda_jobs import Batch, make_batch
from gridtwin.trace.examples._panda_plan import Plan, make_plan
from gridtwin.trace.examples._panda_table import canonical
from gridtwin.trace.examples._panda_world import DAY, World, day_weights, make_world
from gridtwin.trace.readers._manifest import KEY, write_manifest
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import JobTable, Provenance
from gridtwin.trace.writers import write_parquet

__all__ = [
    "ACCESS",
    "FRAMES",
    "JOBS_PER_DAY",
    "START",
    "Traces",
    "incidents",
    "load",
    "load_traces",
    "stream",
    "write",
    "write_daily",
    "write_traces",
]

JOBS_PER_DAY = 2_239_654 / 150
"""Analysis jobs on derived data per day: published, for five months."""
START = "2024-01-01"
"""First day by default, a Monday."""
MOST_TRACED = 500_000
"""Jobs that `load_traces` takes, at most."""
_CHUNK = 4
"""Days whose tasks are made at once."""
_FIRST_ID = 6_100_000_000


@dataclass(frozen=True)
class _Example:
    """The options, and what is drawn before the first job."""

    days: int
    seed: int
    scale: float
    world: World
    plan: Plan

    def provenance(self, rows: int) -> Provenance:
        return Provenance(
            source=f"synthetic example panda (days={self.days}, scale={self.scale:g}, "
            f"seed={self.seed})",
            format="synthetic",
            rows_read=rows,
            notes=(
                "synthetic example: made by a generator of PanDA-like records; no real job",
                "counts and published shares follow papers on ATLAS analysis jobs, all else is "
                "estimated; states of named sites are invented",
            ),
        )


def load(
    days: int = 7, *, seed: int = 0, scale: float = 1.0, start: str | dt.date = START
) -> JobTable:
    """Return all jobs that are submitted within `days` days.

    Parameters
    ----------
    days
        1 or more; a day at scale 1 has 14,931 jobs on average.
    seed
        The same seed gives the same trace.
    scale
        Fraction of the load: fewer sessions of smaller tasks, on the same 83 queues.
    start
        First day, ``YYYY-MM-DD``. The calendar matters: weekends, holidays, conferences.
    """
    example = _make(days, seed, scale, start)
    whole = pl.concat(_ordered(example))
    return JobTable.from_frame(whole, example.provenance(whole.height))


def load_traces(
    days: int = 7, *, seed: int = 0, scale: float = 1.0, start: str | dt.date = START
) -> Traces:
    """Return the jobs of `load` and what other systems recorded of their data, with the truth.

    Raises `InputError` for more than about 500,000 jobs.
    """
    from gridtwin.trace.examples._panda_traces import make_traces

    if days * scale * JOBS_PER_DAY > MOST_TRACED:
        raise InputError(
            f"traces of {days * scale * JOBS_PER_DAY:,.0f} jobs do not fit into memory; expected "
            f"up to {MOST_TRACED:,}: ask for fewer days or a smaller scale"
        )
    example = _make(days, seed, scale, start)
    batches = list(_batches(example))
    jobs = pl.concat(canonical(example.world, example.plan, batch) for batch in batches)
    table = JobTable.from_frame(jobs, example.provenance(jobs.height))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2024, 3]))
    made = make_traces(example.world, example.plan, batches, rng)
    return Traces(jobs=table, incidents=_incidents(example), **made)


def incidents(
    days: int = 7, *, seed: int = 0, scale: float = 1.0, start: str | dt.date = START
) -> pl.DataFrame:
    """Return the incidents of the example of the same options; columns as in `FRAMES`."""
    return _incidents(_make(days, seed, scale, start))


def stream(
    days: int = 7, *, seed: int = 0, scale: float = 1.0, start: str | dt.date = START
) -> Iterator[pl.DataFrame]:
    """Yield the jobs of `load`, one frame of canonical columns for each day, in order."""
    example = _make(days, seed, scale, start)
    for frame in _ordered(example):
        day = ((frame["submit_time"] - example.world.start) // DAY).alias("_day")
        yield from frame.with_columns(day).partition_by("_day", include_key=False)


def write(
    path: Path | str,
    days: int = 7,
    *,
    seed: int = 0,
    scale: float = 1.0,
    start: str | dt.date = START,
) -> Provenance:
    """Write the jobs of `load` as one Parquet file, with a few days of them in memory."""
    path = Path(path)
    example = _make(days, seed, scale, start)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        rows, columns = 0, []
        for i, frame in enumerate(_ordered(example)):
            frame.write_parquet(Path(folder) / f"{i:05d}.parquet", compression="lz4")
            rows, columns = rows + frame.height, frame.columns
        provenance = example.provenance(rows)
        with writing(path) as temporary:
            pl.scan_parquet(Path(folder) / "*.parquet").sink_parquet(
                temporary, metadata={KEY: json.dumps(provenance.to_json())}
            )
    write_manifest(path, provenance, rows, columns)
    return provenance


def write_daily(
    folder: Path | str,
    days: int = 7,
    *,
    seed: int = 0,
    scale: float = 1.0,
    start: str | dt.date = START,
) -> Provenance:
    """Write the jobs of `load` as one Parquet file per day, ``jobs-YYYY-MM-DD.parquet``.

    Raises `InputError` if the folder has Parquet files already.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.glob("*.parquet")):
        raise InputError(f"{folder} has Parquet files already; give a new or an empty folder")
    example = _make(days, seed, scale, start)
    rows = 0
    for frame in stream(days, seed=seed, scale=scale, start=start):
        date = dt.datetime.fromtimestamp(frame["submit_time"].item(0), dt.UTC).date()
        metadata = {KEY: json.dumps(example.provenance(frame.height).to_json())}
        with writing(folder / f"jobs-{date}.parquet") as temporary:
            frame.write_parquet(temporary, metadata=metadata)
        rows += frame.height
    return example.provenance(rows)


def write_traces(folder: Path | str, traces: Traces) -> Path:
    """Write ``jobs.parquet`` and each frame of `FRAMES`, ``traces.parquet`` and so on."""
    folder = Path(folder)
    write_parquet(traces.jobs, folder / "jobs.parquet")
    source = traces.jobs.provenance.source
    for name in FRAMES:
        frame: pl.DataFrame = getattr(traces, name)
        with writing(folder / f"{name}.parquet") as temporary:
            frame.write_parquet(temporary, metadata={"source": source})
    return folder


def _make(days: int, seed: int, scale: float, start: str | dt.date) -> _Example:
    if not 1 <= days <= 3660:
        raise InputError(f"expected 1 to 3660 days, got {days}")
    if not 0 < scale <= 10:
        raise InputError(f"expected a scale above 0 and up to 10, got {scale}")
    if seed < 0:
        raise InputError(f"expected a seed of 0 or more, got {seed}")
    try:
        first = dt.date.fromisoformat(start) if isinstance(start, str) else start
    except ValueError as error:
        raise InputError(f"expected a first day as YYYY-MM-DD, got {start!r}") from error
    if not 1970 <= first.year <= 2100:
        raise InputError(f"expected a first day from 1970 to 2100, got {first}")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2024, 1]))
    world = make_world(first, days, rng)
    weights = day_weights(first, days, rng)
    plan = make_plan(world, weights, days * scale * JOBS_PER_DAY, rng)
    return _Example(days, seed, scale, world, plan)


def _batches(example: _Example) -> Iterator[Batch]:
    """Yield the jobs of the tasks of a few days at a time, numbered one after another."""
    next_id = _FIRST_ID
    for i, begin in enumerate(range(0, example.days, _CHUNK)):
        low, high = np.searchsorted(example.plan.tasks.time, [begin * DAY, (begin + _CHUNK) * DAY])
        if low == high:
            continue
        rng = np.random.default_rng(np.random.SeedSequence([example.seed, 2024, 2, i]))
        task = np.arange(low, high)
        batch = make_batch(example.world, example.plan, task, next_id, rng=rng)
        next_id += len(batch.id)
        yield batch


def _ordered(example: _Example) -> Iterator[pl.DataFrame]:
    """Yield all jobs in order of submission, some days at a time.

    What a batch submits after its days (retries, mostly) is kept until its time has come.
    """
    schema = TraceSchema.canonical()
    waiting: list[pl.DataFrame] = []
    for batch in _batches(example):
        frame = canonical(example.world, example.plan, batch)
        waiting.append(
            frame.select(pl.col(f.name).cast(f.polars) for f in schema.select(frame.columns))
        )
        last = example.plan.tasks.time[batch.task].max()
        until = example.world.start + (last // DAY // _CHUNK + 1) * _CHUNK * DAY
        whole = pl.concat(waiting).sort("submit_time", maintain_order=True)
        yield whole.filter(pl.col("submit_time") < until)
        waiting = [whole.filter(pl.col("submit_time") >= until)]
    yield from (frame for frame in waiting if frame.height)


def _incidents(example: _Example) -> pl.DataFrame:
    found = example.world.incidents
    frame = found.frame(example.world.sites)
    start = example.world.start
    return frame.with_columns(pl.col("begin", "end") + start)
