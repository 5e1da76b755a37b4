"""What a simulation is asked to run: the jobs of a table as a workload."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.sim.inputs import inputs_of
from gridtwin.sim.platform import Platform
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.sim.workload import Workload
from gridtwin.trace import JobTable
from gridtwin.trace.derive import Runnable, runnable

__all__ = ["Demand", "demand", "recorded_sites"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_MB = 2.0**20
_NONE, _UNKNOWN = -1, -2


@dataclass(frozen=True)
class Demand:
    """A workload, and what of its records the workload has no place for."""

    work: Workload
    frame: pl.DataFrame
    """The records, a row for each job of the workload."""
    local: NDArray[np.bool_]
    """Whether a job is of the background: submitted at its site by others."""
    kinds: tuple[str, ...] = ()
    """Names of `Workload.kind`, the failures' classes: the activities in order of their names, an
    empty one where none is given."""
    unit: str = "cores"
    rejected: tuple[tuple[str, int], ...] = ()
    """Jobs of the table that are not in the workload, by reason."""
    notes: tuple[str, ...] = ()


def demand(
    jobs: JobTable,
    platform: Platform,
    *,
    recorded: bool = False,
    local: JobTable | None = None,
    files: pl.DataFrame | None = None,
    replicas: pl.DataFrame | None = None,
    origin: str | Sequence[str] | None = None,
    parents: pl.DataFrame | None = None,
    stream: bool = False,
    walltime: bool = False,
    first_attempts: bool = False,
) -> Demand:
    """Return the jobs of a table as a workload for a platform.

    Parameters
    ----------
    jobs
        Needs submit time, run time and size: see `gridtwin.trace.derive.runnable`. The work of a
        core is the run time times ``core_power``, else times the speed of the job's own site in the
        platform; a job with neither runs as long as recorded on every core.
    recorded
        Whether each job has to run at its own ``site``.
    local
        Jobs of others, which have to run at their own sites.
    files, replicas, origin
        What the jobs read and where it is: see `gridtwin.sim.inputs.inputs_of`. Only a platform
        with links moves data.
    parents
        ``job_id`` and ``parent``: the job starts after the parent has finished. Parents that are
        not run are taken as finished, and counted in the notes.
    stream
        Whether inputs are read beside the payload.
    walltime
        Whether jobs are killed after the time that they asked for; backfilling counts on it anyway.
    first_attempts
        Whether to leave out the retries of the records (``attempt`` above 0 of a job with a
        ``parent_id``), for a simulation that makes its own.

    Raises
    ------
    SchemaError
        For tables and frames that lack a column.
    InputError
        For an origin, or a parent, that is not there, and jobs that are local jobs too.

    Memory: the table twice, 100 bytes a job, and what `inputs_of` takes.
    """
    whole, ready, is_local, rejected = _together(jobs, local)
    site = np.full(len(ready), _NONE, np.int64)
    if recorded or is_local.any():
        own = recorded_sites(whole, ready.row, platform)
        site = own if recorded else np.where(is_local, own, _NONE)
    bad = {}
    if recorded:
        bad = {
            "no site recorded": ~is_local & (site == _NONE),
            "site not in the platform": ~is_local & (site == _UNKNOWN),
        }
    if first_attempts:
        bad["a retry of the records"] = ~is_local & _retries(whole)[ready.row]
    notes: list[str] = []
    astray = is_local & (site < 0)
    if astray.any():
        notes.append(f"{astray.sum()} local jobs are at no site of the platform and are left out")
    keep = ~astray
    for reason, these in bad.items():
        if count := int((these & keep).sum()):
            rejected[reason] = count
        keep &= ~these
    row = ready.row[keep]
    table = whole[row]
    moved: dict[str, Any] = {}
    if platform.links:
        nodes = (origin,) if isinstance(origin, str) else tuple(origin or ())
        read = inputs_of(table, platform, files=files, replicas=replicas, origin=nodes)
        notes += read.notes
        moved = {"input_ptr": read.ptr, "input_file": read.file, "files": read.files}
    kind, kinds = _codes(table, "activity")
    family, told = _family(table, parents)
    flop = _flop(table, ready.run[keep], platform)
    if flop is not None and (unknown := int(np.isnan(flop).sum())):
        notes.append(
            f"{unknown} jobs have no core_power and no site of a known speed; they run as long as "
            "recorded on every core"
        )
    work = Workload(
        submit=ready.submit[keep],
        cores=ready.width[keep],
        run=ready.run[keep],
        flop=flop,
        request=_asked(table, np.inf) if walltime else None,
        estimate=_asked(table, np.nan),
        memory=_number(table, "mem_req", 0.0) * _MB,
        priority=_number(table, "priority", 0.0),
        user=_codes(table, "user")[0],
        kind=kind,
        site=site[keep],
        stream=np.full(len(row), stream),
        output=_number(table, "output_bytes", 0.0),
        **family,
        **moved,
    )
    return Demand(
        work,
        table,
        is_local[keep],
        kinds,
        ready.unit,
        tuple(rejected.items()),
        (*notes, *told),
    )


def recorded_sites(frame: pl.DataFrame, row: Whole, platform: Platform) -> Whole:
    """Return the sites of rows as indices, -1 where none is recorded, -2 if it is unknown."""
    if "site" not in frame.columns:
        raise SchemaError("jobs that run at their own sites need the column site; add it")
    index = {name: k for k, name in enumerate(platform.names)}
    names = frame["site"].gather(row)
    found = names.replace_strict(index, default=_UNKNOWN, return_dtype=pl.Int64)
    return np.where(names.is_null().to_numpy(), _NONE, found.to_numpy()).astype(np.int64)


def _together(
    jobs: JobTable, local: JobTable | None
) -> tuple[pl.DataFrame, Runnable, NDArray[np.bool_], dict[str, int]]:
    """Return both tables as one, what of it can run in order of submission, and what is local."""
    whole, ready = jobs.collect(), runnable(jobs)
    rejected = dict(ready.dropped)
    if local is None:
        return whole, ready, np.zeros(len(ready), bool), rejected
    others, more = local.collect(), runnable(local)
    if more.unit != ready.unit and len(more) and len(ready):
        raise InputError(
            f"jobs are sized in {ready.unit}, local jobs in {more.unit}; give one unit"
        )
    both = others["job_id"].filter(others["job_id"].is_in(whole["job_id"].implode()))
    if len(both):
        raise InputError(f"job {both[0]!r} is a local job too; give them ids of their own")
    order = np.argsort(np.concatenate([ready.submit, more.submit]), kind="stable")
    is_local = order >= len(ready)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(ready, name), getattr(more, name)])[order]
        for name in ("row", "submit", "width", "run", "request")
    }
    arrays["row"] += whole.height * is_local
    whole = pl.concat([whole, others], how="diagonal")
    return whole, replace(ready, dropped={}, **arrays), is_local, rejected


def _retries(whole: pl.DataFrame) -> NDArray[np.bool_]:
    if not {"attempt", "parent_id"} <= set(whole.columns):
        return np.zeros(whole.height, bool)
    again = (pl.col("attempt").fill_null(0) > 0) & pl.col("parent_id").is_not_null()
    return whole.select(again=again)["again"].to_numpy()


def _flop(table: pl.DataFrame, run: Floats, platform: Platform) -> Floats | None:
    """Return the work of a core of each job, NaN where nothing tells."""
    if all(pool.speed is None for site in platform.sites for pool in site.pools):
        return None
    power = _number(table, "core_power", np.nan) * FLOPS_PER_HS23
    power[power == 0] = np.nan
    if "site" in table.columns:
        speeds = {site.name: site.speed for site in platform.sites}
        own = table["site"].replace_strict(speeds, default=None, return_dtype=pl.Float64)
        power = np.where(np.isnan(power), own.fill_null(np.nan).to_numpy(), power)
    return run * power


def _asked(table: pl.DataFrame, missing: float) -> Floats:
    """Return the time that each job asked for, s."""
    asked = _number(table, "walltime_req", missing)
    return np.where(asked > 0, asked, missing)


def _number(table: pl.DataFrame, name: str, missing: float) -> Floats:
    """Return a column as floats; `missing` for what is absent, no number, infinite or negative."""
    if name not in table.columns:
        return np.full(table.height, missing)
    values = np.array(table[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)
    good = np.isfinite(values) & ((values >= 0) | (name == "priority"))
    return np.where(good, values, missing)


def _codes(table: pl.DataFrame, name: str) -> tuple[Whole, tuple[str, ...]]:
    """Return a column as numbers from 0 in order of the texts; null counts as a text."""
    if name not in table.columns:
        return np.zeros(table.height, np.int64), ("",)
    column = table[name].fill_null("")
    texts = column.unique().sort()
    code = column.replace_strict(texts, pl.Series(range(len(texts))), return_dtype=pl.Int64)
    return code.to_numpy(), tuple(texts.to_list())


def _family(
    table: pl.DataFrame, parents: pl.DataFrame | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the lists of parents, and notes."""
    if parents is None:
        return {}, ()
    if missing := [name for name in ("job_id", "parent") if name not in parents.columns]:
        raise SchemaError(f"parents need the columns job_id and parent; no {missing[0]}")
    rows = table.select("job_id").with_row_index("row")
    pairs = parents.select(pl.col("job_id", "parent").cast(pl.String)).unique(maintain_order=True)
    found = pairs.join(rows, on="job_id").join(
        rows.rename({"row": "of"}), left_on="parent", right_on="job_id"
    )
    found = found.sort("row", "of")
    counts = np.bincount(found["row"].to_numpy(), minlength=table.height)
    lists = {
        "parent_ptr": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "parent": found["of"].cast(pl.Int64).to_numpy(),
    }
    absent = pairs.height - found.height
    told = f"{absent} of {pairs.height} pairs of job and parent have one that is not run"
    return lists, (told,) if absent else ()
