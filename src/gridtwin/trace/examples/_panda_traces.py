"""What other systems recorded of the data of the PanDA-like example, beside the truth.

Rucio's traces of each access, PanDA's file table, Rucio's requests for transfers, and replicas;
columns in `_panda_frames`. Records have the holes that real ones have, at rates of our estimate:
2 % of the accesses leave no trace and 2 % a failed one before the good one.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.examples._panda_access import (
    CACHE,
    LOCAL_COPY,
    LOCAL_DIRECT,
    PLACED,
    REMOTE_DIRECT,
    TAPE,
    Reads,
    hashed,
    reads,
)
from gridtwin.trace.examples._panda_errors import CODES
from gridtwin.trace.examples._panda_files import disks, inputs_of, sites_named
from gridtwin.trace.examples._panda_frames import ACCESS, FRAMES
from gridtwin.trace.examples._panda_jobs import FAILED, FINISHED, Batch
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_table import task_names, user_names
from gridtwin.trace.examples._panda_transfers import make_replicas, make_rses, make_transfers
from gridtwin.trace.examples._panda_world import World

__all__ = ["make_traces"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LOST, _REPEATED = 0.02, 0.02
_INPUT_CODES = ("pilot:1099", "pilot:1151", "pilot:1361", "pilot:1368")


def make_traces(
    world: World, plan: Plan, batches: list[Batch], rng: np.random.Generator
) -> dict[str, pl.DataFrame]:
    """Return the frames of `Traces` beside jobs and incidents, for all jobs of the window."""
    jobs = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in Batch.__dataclass_fields__
    }
    need = reads(world, plan, jobs["task"], jobs["part"], jobs["queue"])
    need = _first_come(world, plan, jobs, need)
    made = {
        "traces": _traces(world, plan, jobs, need, rng),
        "files": _files(plan, jobs, need),
        "transfers": make_transfers(world, plan, jobs, need, rng),
        "replicas": make_replicas(world, plan),
        "rses": make_rses(world),
        "truth": _truth(world, plan, jobs, need),
    }
    return {
        name: frame.select(pl.col(key).cast(kind) for key, kind in FRAMES[name].items())
        for name, frame in made.items()
    }


def _first_come(world: World, plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads) -> Reads:
    """Let only the first job bring a file to its site; those after it find it there."""
    brought = np.flatnonzero(
        ((need.access == PLACED) | (need.access == TAPE)) & ~np.isnan(jobs["start"])[need.job]
    )
    job = need.job[brought]
    order = np.argsort(jobs["submit"][job], kind="stable")
    dataset = plan.tasks.dataset[jobs["task"][job]]
    key = pl.DataFrame(
        {"dataset": dataset, "file": need.file[brought], "site": world.site_of[jobs["queue"][job]]}
    )[order]
    first = key.select(pl.struct(pl.all()).is_first_distinct()).to_series().to_numpy()
    later = brought[order[~first]]
    access = need.access.copy()
    access[later] = LOCAL_COPY
    return replace(need, access=access)


def _truth(world: World, plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads) -> pl.DataFrame:
    site = world.site_of[jobs["queue"]][need.job]
    frame = pl.DataFrame(
        {
            "job_id": jobs["id"][need.job],
            **inputs_of(plan, jobs, need),
            "site": sites_named(world, site),
            "source_site": sites_named(world, _source(site, need)),
            "access": pl.Series(ACCESS).gather(need.access),
            "remote": need.remote,
        }
    )
    return frame.filter(~np.isnan(jobs["start"])[need.job])


def _source(site: Ints, need: Reads) -> Ints:
    """Return the site that each file comes from: the job's own for what is there already."""
    here = (need.access == LOCAL_COPY) | (need.access == LOCAL_DIRECT)
    return np.where(here, site, need.source)


def _files(plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads) -> pl.DataFrame:
    """Return the file table: inputs, outputs and logs of all jobs."""
    inputs = pl.DataFrame(inputs_of(plan, jobs, need)).rename({"bytes": "fsize"})
    ended = np.where(jobs["status"] == FINISHED, 0, np.where(jobs["status"] == FAILED, 1, 2))
    state = pl.Series(["finished", "failed", "cancelled"]).gather(ended)
    whose = pl.DataFrame(
        {
            "pandaid": jobs["id"],
            "jeditaskid": task_names(jobs["task"]),
            "attemptnr": jobs["attempt"],
            "status": state,
        }
    )
    job, name = _made(plan, jobs)
    return pl.concat(
        [
            inputs.with_columns(type=pl.lit("input")).hstack(
                whose[need.job].with_columns(status=pl.lit("ready"))
            ),
            name.hstack(whose[job]),
        ],
        how="diagonal",
    )


def _made(plan: Plan, jobs: dict[str, NDArray[Any]]) -> tuple[Ints, pl.DataFrame]:
    """Return the outputs and logs: their job, and scope, lfn, dataset, type and size."""
    count = np.where(jobs["status"] == FINISHED, plan.tasks.outputs[jobs["task"]], 0) + 1
    job = np.repeat(np.arange(len(count)), count)
    which = np.arange(len(job)) - np.repeat(np.cumsum(count) - count, count)
    size = np.where(which == 0, 300_000, jobs["written"][job] / np.maximum(count[job] - 1, 1))
    frame = pl.DataFrame(
        {
            "user": user_names(plan.tasks.user[jobs["task"][job]]),
            "task": task_names(jobs["task"][job]),
            "id": jobs["id"][job],
            "which": which,
            "fsize": np.rint(size).astype(np.int64),
        }
    )
    log = pl.col("which") == 0
    kind = pl.when(log).then(pl.lit("log")).otherwise(pl.lit("output"))
    suffix = pl.when(log).then(pl.lit("log.tgz")).otherwise(pl.format("EXT{}.root", "which"))
    return job, frame.select(
        pl.format("user.{}", "user").alias("scope"),
        pl.format("user.{}.{}._{}.{}", "user", "task", "id", suffix).alias("lfn"),
        pl.format("user.{}.{}_{}", "user", "task", kind).alias("dataset"),
        kind.alias("type"),
        "fsize",
    )


def _traces(
    world: World, plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads, rng: np.random.Generator
) -> pl.DataFrame:
    """Return what pilots reported: reads, their failures, and writes."""
    started = ~np.isnan(jobs["start"])[need.job]
    kept = np.flatnonzero(started & (rng.random(len(need.job)) >= _LOST))
    again = kept[rng.random(len(kept)) < _REPEATED]
    bad = np.flatnonzero(np.isin(jobs["first"], _input_codes()) & (jobs["status"] == FAILED))
    spoilt = np.isin(need.job[kept], bad) & (hashed(need.job[kept], need.file[kept], 6) < 0.5)
    good = _read_rows(world, plan, jobs, need, kept, failed=spoilt)
    before = _read_rows(world, plan, jobs, need, again, failed=np.ones(len(again), dtype=bool))
    rows = pl.concat(
        [
            good,
            before.with_columns(pl.col("timeStart", "transferStart", "timeEnd") - 20),
            _write_rows(world, plan, jobs),
        ]
    )
    ids = [f"{i:032x}" for i in range(rows.height)]
    version = pl.lit("synthetic").alias("eventVersion")
    return rows.with_columns(pl.Series("uuid", ids), version).sort("timeStart", "uuid")


def _input_codes() -> list[int]:
    return [CODES.index(code) for code in _INPUT_CODES]


def _read_rows(
    world: World,
    plan: Plan,
    jobs: dict[str, NDArray[Any]],
    need: Reads,
    kept: Ints,
    *,
    failed: NDArray[np.bool_],
) -> pl.DataFrame:
    """Return a row for each of these reads."""
    mine = Reads(**{f: getattr(need, f)[kept] for f in Reads.__dataclass_fields__})
    job = mine.job
    site = world.site_of[jobs["queue"]][job]
    streamed = np.isin(mine.access, (LOCAL_DIRECT, REMOTE_DIRECT, CACHE))
    brought = (mine.access == PLACED) | (mine.access == TAPE)
    source = np.where(brought, site, _source(site, mine))
    begin = world.start + jobs["start"][job] + 5
    lasts = np.where(streamed, 1.0, mine.bytes / np.where(source == site, 1.5e8, 4e7))
    inputs = inputs_of(plan, jobs, mine)
    state = np.where(failed, 2, np.where(streamed, 1, 0))
    reason = np.where(failed, 2, np.where(streamed, 1, 0))
    return pl.DataFrame(
        {
            "eventType": pl.Series(["get_sm_a"]).new_from_index(0, len(job)),
            "protocol": pl.Series(["davs", "root"]).gather(streamed.astype(int)),
            "clientState": pl.Series(["DONE", "FOUND_ROOT", "FAILED"]).gather(state),
            "stateReason": pl.Series(["OK", "direct_access", "transfer failed"]).gather(reason),
            "localSite": disks(world, site),
            "remoteSite": disks(world, source),
            "pq": pl.Series(world.queues).gather(jobs["queue"][job]),
            "appid": pl.Series(jobs["id"][job]).cast(pl.String),
            "taskid": task_names(jobs["task"][job]),
            "usr": user_names(plan.tasks.user[jobs["task"][job]]),
            "scope": inputs["scope"],
            "filename": inputs["lfn"],
            "dataset": inputs["dataset"],
            "filesize": inputs["bytes"],
            "timeStart": begin,
            "transferStart": begin + 1,
            "timeEnd": begin + 1 + np.rint(lasts),
        }
    )


def _write_rows(world: World, plan: Plan, jobs: dict[str, NDArray[Any]]) -> pl.DataFrame:
    """Return a row for each output that a finished job wrote to its site's scratch disk."""
    job, made = _made(plan, jobs)
    done = np.flatnonzero((jobs["status"][job] == FINISHED) & (made["type"] == "output").to_numpy())
    job, made = job[done], made[done]
    disk = sites_named(world, world.site_of[jobs["queue"][job]]) + "_SCRATCHDISK"
    end = world.start + jobs["end"][job]

    def constant(text: str) -> pl.Series:
        return pl.Series([text]).new_from_index(0, len(job))

    return pl.DataFrame(
        {
            "eventType": constant("put_sm_a"),
            "protocol": constant("davs"),
            "clientState": constant("DONE"),
            "stateReason": constant("OK"),
            "localSite": disk,
            "remoteSite": disk,
            "pq": pl.Series(world.queues).gather(jobs["queue"][job]),
            "appid": pl.Series(jobs["id"][job]).cast(pl.String),
            "taskid": task_names(jobs["task"][job]),
            "usr": user_names(plan.tasks.user[jobs["task"][job]]),
            "scope": made["scope"],
            "filename": made["lfn"],
            "dataset": made["dataset"],
            "filesize": made["fsize"],
            "timeStart": end - 30,
            "transferStart": end - 29,
            "timeEnd": end - 10,
        }
    )
