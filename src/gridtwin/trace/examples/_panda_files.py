"""Names of the files, scopes and storage end points in the frames of the PanDA-like example."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.examples import _panda_names as names
from gridtwin.trace.examples._panda_access import Reads
from gridtwin.trace.examples._panda_plan import Plan
from gridtwin.trace.examples._panda_world import World

__all__ = ["disks", "inputs_of", "lfns", "scopes", "sites_named"]

Ints = NDArray[np.int64]


def lfns(plan: Plan, dataset: Ints, file: Ints) -> pl.Series:
    """Return names of files: ``DAOD_X.<task that made the set>._000123.pool.root.1``."""
    kind = pl.Series(names.DATATYPES).gather(np.array(plan.catalogue.datatype)[dataset])
    parts = pl.DataFrame({"kind": kind, "tid": 30_000_000 + dataset, "file": file + 1})
    number = pl.col("file").cast(pl.String).str.zfill(6)
    return parts.select(pl.format("{}.{}._{}.pool.root.1", "kind", "tid", number)).to_series()


def scopes(plan: Plan, dataset: Ints) -> pl.Series:
    return pl.Series(tuple(names.PROJECTS)).gather(np.array(plan.catalogue.project)[dataset])


def inputs_of(plan: Plan, jobs: dict[str, NDArray[Any]], need: Reads) -> dict[str, pl.Series]:
    """Return scope, name, data set and size of the files that are read."""
    dataset = plan.tasks.dataset[jobs["task"][need.job]]
    return {
        "scope": scopes(plan, dataset),
        "lfn": lfns(plan, dataset, need.file),
        "dataset": plan.names.gather(dataset),
        "bytes": pl.Series(need.bytes),
    }


def sites_named(world: World, site: Ints) -> pl.Series:
    return pl.Series(world.sites).gather(site)


def disks(world: World, site: Ints) -> pl.Series:
    return sites_named(world, site) + "_DATADISK"
