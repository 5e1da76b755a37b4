"""Rucio's requests for transfers, and replicas, around the jobs of the PanDA-like example.

Some transfers were made for jobs; of these only some can be matched with theirs by name, size,
place and time, so that about 1 % of the jobs and 3 % of the transfers match (published for ATLAS:
0.8-1.7 % and 1.9-3.8 %). All rates behind that are our estimates.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.examples._panda_access import PLACED, TAPE, Reads, hashed
from gridtwin.trace.examples._panda_files import disks, inputs_of, lfns, scopes, sites_named
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_world import DAY, World

__all__ = ["make_replicas", "make_rses", "make_transfers"]

Ints = NDArray[np.int64]

_KEPT, _EXACT = 0.4, 0.6
"""Share of the transfers for jobs that are recorded, and of these those that can be matched."""
_MATCHED = 0.028
"""Share of the recorded transfers that belong to a job of the table."""
_BACKGROUND = {
    "Production Input": 0.30,
    "Production Output": 0.22,
    "Data Consolidation": 0.14,
    "Data Rebalancing": 0.10,
    "Analysis Input": 0.08,
    "User Subscriptions": 0.08,
    "Staging": 0.05,
    "T0 Export": 0.03,
}


def make_transfers(
    world: World, plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads, rng: np.random.Generator
) -> pl.DataFrame:
    """Return requests for transfers: those made for jobs, and thirty times as many others."""
    brought = ((need.access == PLACED) | (need.access == TAPE)) & (
        ~np.isnan(jobs["start"])[need.job] & (rng.random(len(need.job)) < _KEPT)
    )
    own, exact = _own_transfers(world, plan, jobs, need, np.flatnonzero(brought), rng)
    n = max(int(exact / _MATCHED) - own.height, 200)
    rows = pl.concat([own, _other_transfers(world, plan, jobs, n, rng)])
    rows = rows.sort("created_at", "dst_rse", "name")
    ids = [f"{i:08x}" for i in range(rows.height)]
    fails = rng.random(rows.height) < 0.06
    return rows.with_columns(
        pl.Series("request_id", ids),
        pl.Series("state", np.where(fails, "F", "D")),
        pl.Series("reason", np.where(fails, "transfer failed: connection refused", "")),
    )


def _own_transfers(
    world: World,
    plan: Plan,
    jobs: dict[str, NDArray[Any]],
    need: Reads,
    which: Ints,
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, int]:
    """Return the requests made for jobs and how many can be matched.

    The others came before their job, as those of a whole task do, or were recorded with a size
    that is not the file's.
    """
    mine = Reads(**{f: getattr(need, f)[which] for f in Reads.__dataclass_fields__})
    job, n = mine.job, len(which)
    tape = mine.access == TAPE
    inputs = inputs_of(plan, jobs, mine)
    exact = rng.random(n) < _EXACT
    early = ~exact & (rng.random(n) < 0.6)
    created = world.start + jobs["submit"][job] + np.minimum(20 * rng.random(n), 4)
    created = created - np.where(early, rng.uniform(0.2, 20, n) * 3600, 0)
    room = np.maximum(jobs["eligible"][job] - jobs["submit"][job] - 4, 3)
    done = created + room * rng.uniform(0.6, 1.0, n)
    submitted, started = created + (done - created) * 0.1, created + (done - created) * 0.4
    site = world.site_of[jobs["queue"][job]]
    size = np.where(exact | early, mine.bytes, mine.bytes + rng.integers(1, 10**6, n))
    source = sites_named(world, mine.source)
    frame = pl.DataFrame(
        {
            "request_type": pl.Series(["TRANSFER", "STAGEIN"]).gather(tape.astype(int)),
            "activity": pl.Series(["Analysis Input", "Staging"]).gather(tape.astype(int)),
            "scope": inputs["scope"],
            "name": inputs["lfn"],
            "dataset": inputs["dataset"],
            "bytes": size,
            "src_rse": source + pl.Series(["_DATADISK", "_DATATAPE"]).gather(tape.astype(int)),
            "dst_rse": disks(world, site),
            "src_type": pl.Series(["DISK", "TAPE"]).gather(tape.astype(int)),
            "created_at": created,
            "submitted_at": submitted,
            "started_at": started,
            "transferred_at": done,
            "account": pl.Series(["panda"]).new_from_index(0, n),
        }
    )
    return frame, int(exact.sum())


def _other_transfers(
    world: World, plan: Plan, jobs: dict[str, NDArray[Any]], n: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Return requests that no job of the table asked for: production, rebalancing, subscriptions.

    A quarter of them move files of data sets that jobs of the table read, to some other place or
    at some other time.
    """
    last = float(np.max(jobs["submit"], initial=DAY))
    dataset = rng.choice(plan.tasks.dataset, n)
    file = (rng.random(n) * plan.files[dataset]).astype(np.int64)
    known = rng.random(n) < 0.25
    lfn = lfns(plan, dataset, file)
    other = pl.DataFrame({"id": rng.integers(10**7, 10**8, n), "file": file}).select(
        pl.format("AOD.{}._{}.pool.root.1", "id", pl.col("file").cast(pl.String).str.zfill(6))
    )
    shares = np.array(list(_BACKGROUND.values()))
    activity = rng.choice(len(shares), n, p=shares / shares.sum())
    stage = activity == list(_BACKGROUND).index("Staging")
    source, target = (rng.choice(len(world.sites), n, p=world.disk) for _ in range(2))
    source = np.where(stage, rng.choice(world.tape, n), source)
    created = world.start + rng.random(n) * last
    lasts = rng.lognormal(np.log(1800), 1.3, n)
    scope = scopes(plan, dataset)
    return pl.DataFrame(
        {
            "request_type": pl.Series(["TRANSFER", "STAGEIN"]).gather(stage.astype(int)),
            "activity": pl.Series(list(_BACKGROUND)).gather(activity),
            "scope": scope,
            "name": lfn.zip_with(pl.Series(known), other.to_series()),
            "dataset": plan.names.gather(dataset).zip_with(
                pl.Series(known), scope + ".periodA.physics_Main.merge.AOD.f1_m1"
            ),
            "bytes": np.rint(rng.lognormal(np.log(2.5e9), 0.9, n)).astype(np.int64),
            "src_rse": sites_named(world, source)
            + pl.Series(["_DATADISK", "_DATATAPE"]).gather(stage.astype(int)),
            "dst_rse": disks(world, target),
            "src_type": pl.Series(["DISK", "TAPE"]).gather(stage.astype(int)),
            "created_at": created,
            "submitted_at": created + 0.1 * lasts,
            "started_at": created + 0.4 * lasts,
            "transferred_at": created + lasts,
            "account": pl.Series(["panda", "prodsys", "root"]).gather(rng.integers(0, 3, n)),
        }
    )


def make_replicas(world: World, plan: Plan) -> pl.DataFrame:
    """Return where the data sets that are read lie, on disk and on tape."""
    dataset = np.unique(plan.tasks.dataset)
    sites = plan.replicas[dataset]
    row, column = np.nonzero(sites >= 0)
    on_tape = np.unique(plan.tasks.dataset[plan.tasks.tape])
    held = np.concatenate([dataset[row], on_tape])
    site = np.concatenate([sites[row, column], plan.tape_site[on_tape]])
    tape = np.arange(len(held)) >= len(row)
    hollow = ~tape & (hashed(held, site, 2) < 0.03)
    share = np.where(hollow, 0.6 + 0.35 * hashed(held, site, 3), 1.0)
    length = plan.files[held]
    there = np.floor(length * share).astype(np.int64)
    token = pl.Series(["_DATADISK", "_DATATAPE"]).gather(tape.astype(int))
    return pl.DataFrame(
        {
            "scope": scopes(plan, held),
            "dataset": plan.names.gather(held),
            "rse": sites_named(world, site) + token,
            "site": sites_named(world, site),
            "rse_type": pl.Series(["DISK", "TAPE"]).gather(tape.astype(int)),
            "state": pl.Series(["A", "U"]).gather(hollow.astype(int)),
            "length": length,
            "available_length": there,
            "bytes": np.rint(there * plan.file_bytes[held]),
            "created_at": world.start + plan.made[held],
            "deleted_at": pl.Series([None], dtype=pl.Float64).new_from_index(0, len(held)),
        }
    )


def make_rses(world: World) -> pl.DataFrame:
    rows = [
        (f"{site}_{token}", site, "DISK")
        for site in world.sites
        for token in ("DATADISK", "SCRATCHDISK")
    ]
    rows += [(f"{world.sites[i]}_DATATAPE", world.sites[i], "TAPE") for i in world.tape]
    return pl.DataFrame(rows, schema=["rse", "site", "rse_type"], orient="row")
