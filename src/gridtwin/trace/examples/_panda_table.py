"""The jobs of the PanDA-like example as a frame of canonical columns."""

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.examples import _panda_names as names
from gridtwin.trace.examples._panda_errors import code_lists
from gridtwin.trace.examples._panda_jobs import FINISHED, STATUS, SUBSTATUS, Batch
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_world import World

__all__ = ["GROUPS", "canonical", "task_names", "user_names"]

GROUPS = ("perf-egamma", "perf-jets", "phys-exotics", "phys-higgs", "phys-sm", "phys-susy")
_FIRST_TASK = 37_000_000


def task_names(task: NDArray[np.int64]) -> pl.Series:
    """Return the ids of tasks."""
    return pl.Series(task + _FIRST_TASK).cast(pl.String)


@lru_cache(maxsize=2)
def _users(count: int) -> pl.Series:
    return pl.Series([f"u{i + 1:04d}" for i in range(count)])


def user_names(user: NDArray[np.int64]) -> pl.Series:
    """Return the pseudonyms of users; the first ones send most."""
    return _users(10_000).gather(user)


def _pick(values: tuple[str, ...] | list[str], where: NDArray[np.int64]) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(where)


def canonical(world: World, plan: Plan, batch: Batch) -> pl.DataFrame:
    """Return the jobs of a batch in canonical columns, in order of submission."""
    frame = pl.DataFrame({**_asked(world, plan, batch), **_done(world, plan, batch)})
    started = pl.col("start_time").is_not_null()
    return frame.with_columns(
        pl.when(started).then(pl.col("end_time") - pl.col("start_time")).alias("run_time"),
        (pl.col("start_time") - pl.col("submit_time")).alias("wait_time"),
        pl.when(started).then(pl.col("cores_req")).alias("cores_alloc"),
        (pl.col("cpu_time") * pl.col("core_power")).alias("work"),
        pl.when(started).then(pl.col("remote_bytes")).otherwise(0.0).alias("remote_bytes"),
    )


def _asked(world: World, plan: Plan, batch: Batch) -> dict[str, pl.Series | pl.Expr]:
    """Return what is known when a job is submitted."""
    tasks, task = plan.tasks, batch.task
    dataset = tasks.dataset[task]
    book = plan.catalogue
    parent = pl.Series(batch.parent)
    group = pl.Series((*GROUPS, None), dtype=pl.String)
    return {
        "job_id": pl.Series(batch.id).cast(pl.String),
        "task_id": task_names(task),
        "attempt": pl.Series(batch.attempt),
        "parent_id": parent.set(parent < 0, None).cast(pl.String),
        "user": user_names(tasks.user[task]),
        "group": group.gather(np.where(tasks.group[task] < 0, len(GROUPS), tasks.group[task])),
        "vo": pl.Series(["atlas"]).new_from_index(0, len(task)),
        "activity": pl.Series(["user"]).new_from_index(0, len(task)),
        "site": _pick(world.sites, world.site_of[batch.queue]),
        "queue": _pick(world.queues, batch.queue),
        "submit_time": pl.Series(world.start + batch.submit),
        "cores_req": pl.Series(tasks.cores[task]),
        "walltime_req": pl.Series(batch.limit),
        "mem_req": pl.Series(1800.0 * tasks.cores[task]),
        "input_files": pl.Series(batch.files),
        "input_bytes": pl.Series(batch.bytes.astype(np.float64)),
        "dataset": plan.names.gather(dataset),
        "project": _pick(tuple(names.PROJECTS), np.array(book.project)[dataset]),
        "prodstep": _pick(names.PRODSTEPS, np.array(book.step)[dataset]),
        "datatype": _pick(names.DATATYPES, np.array(book.datatype)[dataset]),
        "priority": pl.Series(batch.priority),
        "core_power": pl.Series(world.core_power[batch.queue]),
    }


def _done(world: World, plan: Plan, batch: Batch) -> dict[str, pl.Series]:
    """Return what is known when a job has ended."""
    finished = batch.status == FINISHED
    raw = [f"{status}:{sub}".rstrip(":") for status in STATUS for sub in SUBSTATUS]
    return {
        "eligible_time": pl.Series(world.start + batch.eligible, nan_to_null=True),
        "start_time": pl.Series(world.start + batch.start, nan_to_null=True),
        "end_time": pl.Series(world.start + batch.end),
        "cpu_time": pl.Series(batch.cpu),
        "mem_used": pl.Series(batch.memory, nan_to_null=True),
        "output_files": pl.Series(np.where(finished, plan.tasks.outputs[batch.task], 0)),
        "output_bytes": pl.Series(batch.written),
        "status": _pick(STATUS, batch.status),
        "raw_status": _pick(raw, batch.status * len(SUBSTATUS) + batch.substatus),
        "error_codes": code_lists(batch.first, batch.second),
        "remote_bytes": pl.Series(batch.remote.astype(np.float64)),
    }
