"""Retries: the attempts at the same work, chained by the attempt before."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.table import JobTable

__all__ = ["last_attempts", "retries", "roots"]

_COLUMNS = ("job_id", "parent_id", "task_id", "submit_time", "status", "site")


def retries(jobs: JobTable) -> pl.DataFrame:
    """Return one row for each chain of attempts: a job, the retries of it, and how it ended.

    Columns: chain (id of the first attempt, in the table or not), whole (it is in the table),
    attempts (rows of the table), first_job, last_job, first_status, last_status, sites (distinct),
    span (s from the first to the last submit). The last attempt is the one submitted last; columns
    that the table cannot fill are left out. Each retry has a new id and names the attempt before
    in ``parent_id``; a job without one is a chain of its own. Chains that bite their own tail
    (damaged records) are one chain each, named after their first row.

    Needs ``job_id`` and ``parent_id``. Memory: about 200 bytes a job.
    """
    jobs.require("job_id", "parent_id", for_what="chains of retries")
    have = [name for name in _COLUMNS if name in jobs.columns]
    frame = jobs.collect(have).with_columns(chain=roots(jobs.collect(["job_id", "parent_id"])))
    if "submit_time" in have:
        frame = frame.sort("submit_time", maintain_order=True)
    col = pl.col
    found = [
        (col("job_id") == col("chain")).any().alias("whole"),
        pl.len().cast(pl.Int64).alias("attempts"),
        col("job_id").first().alias("first_job"),
        col("job_id").last().alias("last_job"),
    ]
    if "status" in have:
        found.append(col("status").first().alias("first_status"))
        found.append(col("status").last().alias("last_status"))
    if "site" in have:
        found.append(col("site").drop_nulls().n_unique().cast(pl.Int64).alias("sites"))
    if "submit_time" in have:
        found.append((col("submit_time").max() - col("submit_time").min()).alias("span"))
    return frame.group_by("chain", maintain_order=True).agg(found)


def last_attempts(jobs: JobTable) -> JobTable:
    """Return the jobs that are the last attempt of their chain: each piece of work once."""
    kept = retries(jobs)["last_job"]
    frame = jobs.frame.filter(pl.col("job_id").is_in(kept.implode()))
    return jobs.with_frame(frame, "Only the last attempt of each chain of retries is here.")


def roots(frame: pl.DataFrame) -> pl.Series:
    """Return the id at the beginning of each job's chain; the frame has job_id and parent_id."""
    ids = pl.concat([frame["job_id"], frame["parent_id"].drop_nulls()]).unique(maintain_order=True)
    index = pl.DataFrame({"id": ids}).with_row_index("at")
    node, parent = (
        frame.join(index, left_on=name, right_on="id", how="left", maintain_order="left")["at"]
        for name in ("job_id", "parent_id")
    )
    up = np.arange(len(ids), dtype=np.int64)  # absent parents are beginnings
    known = parent.is_not_null()
    up[node.filter(known).to_numpy()] = parent.filter(known).to_numpy()
    return ids.gather(_tops(up)[node.to_numpy()]).alias("chain")


def _tops(up: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each node ends on going `up`; the nodes of a circle, at its least one."""
    for node in _circles(up):
        up[node] = node
    while not np.array_equal(up, further := up[up]):
        up = further
    return up


def _circles(up: NDArray[np.int64]) -> list[int]:
    """Return the least node of each circle of two or more nodes."""
    inside = up.copy()  # after enough doublings only nodes of circles, and beginnings, are left
    for _ in range(len(up).bit_length()):
        inside = inside[inside]
    nodes = np.unique(inside)
    least, seen = [], set[int]()
    for node in nodes[up[nodes] != nodes].tolist():
        if node in seen:
            continue
        circle, at = [node], int(up[node])
        while at != node:
            circle.append(at)
            at = int(up[at])
        seen.update(circle)
        least.append(min(circle))
    return least
