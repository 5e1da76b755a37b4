"""Estimate how fast sites are from the CPU time that equal work took at each of them."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from gridtwin.core.errors import InputError
from gridtwin.trace import JobTable

__all__ = ["WORK", "Speeds", "relative_speeds"]

WORK = (("task_id",), ("user", "dataset"), ("dataset",))
"""Columns by which jobs do equal work; the first that a table has, all of them, is used."""

_MOST_SITES = 2000


@dataclass(frozen=True)
class Speeds:
    """Relative speeds of sites, with geometric mean 1 over the jobs compared."""

    sites: tuple[str, ...]
    ratio: NDArray[np.float64]
    """Speed relative to the mean, one per site; 1 where it could not be compared."""
    error: NDArray[np.float64]
    """Standard error of the ratio's logarithm; NaN where it could not be compared."""
    jobs: NDArray[np.int64]
    """Jobs of each site in tasks that ran at several sites."""
    work: tuple[str, ...]
    """The columns that tell equal work."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which sites could be compared with the others."""
        return np.isfinite(self.error)


def relative_speeds(jobs: JobTable, *, work: tuple[str, ...] | None = None) -> Speeds:
    """Return how fast each site's cores are, relative to the others.

    Each job that ended well took ``log(cpu_time) = a[task] - log(speed[site]) + noise``: a
    two-way model, solved by least squares over the tasks that ran at several sites (equivalently
    on the sites alone, the tasks eliminated). A mean of CPU times per site would take the tasks
    that a site was given for its speed. Sites that share no task with the largest group of sites,
    directly or through others, are not compared.

    Parameters
    ----------
    jobs
        Needs ``site`` and ``cpu_time``; without ``status`` all jobs count as ended well.
    work
        Columns by which jobs do equal work; None: the first of `WORK` that the table has.

    Raises
    ------
    SchemaError, InputError
        Where a column is missing, or no columns tell equal work.

    Memory: the pairs of task and site, and a dense matrix of sites times sites (at most 2,000).
    """
    jobs.require("site", "cpu_time", for_what="speeds")
    work = _work(jobs, work)
    cells = _cells(jobs, work)
    sites = sorted(jobs.collect(["site"])["site"].drop_nulls().unique().to_list())
    if len(sites) > _MOST_SITES:
        raise InputError(f"{len(sites)} sites; speeds are compared of at most {_MOST_SITES}")
    index = {name: k for k, name in enumerate(sites)}
    site = cells["site"].replace_strict(index, return_dtype=pl.Int64).to_numpy()
    task = cells["task"].to_numpy()
    inside = _largest_group(task, site, cells["n"].to_numpy(), len(sites))
    cells = cells.filter(np.isin(site, inside))
    ratio, error = np.ones(len(sites)), np.full(len(sites), np.nan)
    n = np.zeros(len(sites), dtype=np.int64)
    if len(inside):
        np.add.at(n, site[np.isin(site, inside)], cells["n"].to_numpy())
        level, error[inside] = _solve(cells, inside, site[np.isin(site, inside)])
        ratio[inside] = np.exp(np.average(level, weights=n[inside]) - level)
    return Speeds(tuple(sites), ratio, error, n, work)


def _work(jobs: JobTable, work: tuple[str, ...] | None) -> tuple[str, ...]:
    if work is not None:
        jobs.require(*work, for_what="speeds")
        return work
    for columns in WORK:
        if all(name in jobs for name in columns):
            return columns
    told = ", or ".join(" and ".join(columns) for columns in WORK)
    raise InputError(f"no columns tell which jobs do equal work; expected {told}")


def _cells(jobs: JobTable, work: tuple[str, ...]) -> pl.DataFrame:
    """Return jobs, sum and sum of squares of log CPU time per task and site, of shared tasks."""
    names = [*dict.fromkeys(("site", "cpu_time", *work))]
    frame = jobs.collect(names + (["status"] if "status" in jobs else []))
    if "status" in frame.columns:
        frame = frame.filter(pl.col("status") == "finished")
    frame = frame.filter(pl.col("cpu_time") > 0, pl.col("cpu_time").is_finite()).drop_nulls(names)
    log = pl.col("cpu_time").log()
    task = pl.struct(work).rank("dense").cast(pl.Int64) - 1
    cells = (
        frame.with_columns(task=task)
        .group_by("site", "task")
        .agg(n=pl.len().cast(pl.Int64), log_sum=log.sum(), square_sum=log.pow(2).sum())
    )
    return cells.filter(pl.len().over("task") > 1).sort("site", "task")


def _largest_group(
    task: NDArray[np.int64], site: NDArray[np.int64], n: NDArray[np.int64], sites: int
) -> NDArray[np.int64]:
    """Return the sites, ascending, of the group with most jobs that is joined by shared tasks."""
    if not len(task):
        return np.zeros(0, dtype=np.int64)
    tasks = int(task.max()) + 1
    edges = csr_array((np.ones(len(task)), (task, tasks + site)), shape=(tasks + sites,) * 2)
    _, group = connected_components(edges, directed=False)
    of_site = group[tasks:]
    largest = np.argmax(np.bincount(of_site[site], weights=n))
    return np.flatnonzero(of_site == largest).astype(np.int64)


def _solve(
    cells: pl.DataFrame, inside: NDArray[np.int64], site: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the log time at each site of one group, centred, and its standard error.

    With the tasks eliminated the normal equations are ``(diag(c) - N' diag(1/m) N) b = r``: N the
    counts (task x site), c and m its sums over tasks and over sites. The matrix is a Laplacian,
    of rank one less than there are sites; its pseudo-inverse is found by lifting the null vector.
    """
    task = np.unique(cells["task"].to_numpy(), return_inverse=True)[1]
    at = (task, np.searchsorted(inside, site))
    shape = (int(task.max()) + 1, len(inside))
    count = csr_array((cells["n"].to_numpy().astype(float), at), shape=shape)
    sums = cells["log_sum"].to_numpy()
    per_task, per_site = count.sum(axis=1), count.sum(axis=0)
    mean = np.bincount(task, weights=sums) / per_task
    right = np.bincount(at[1], weights=sums, minlength=len(inside)) - count.T @ mean
    laplacian = np.diag(per_site) - (count.T @ (count.multiply(1 / per_task[:, None]))).toarray()
    lift = np.trace(laplacian) / len(inside) ** 2
    inverse = np.linalg.inv(laplacian + lift) - 1 / (lift * len(inside) ** 2)
    level = inverse @ right
    residual = cells["square_sum"].to_numpy().sum() - per_task @ mean**2 - right @ level
    freedom = per_site.sum() - len(per_task) - len(inside) + 1
    variance = max(float(residual), 0.0) / freedom if freedom > 0 else 0.0
    return level, np.sqrt(np.maximum(variance * np.diag(inverse), 0.0))
