"""Draw the jobs and files that DCSim's workloads and data sets describe."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.seeds import spawn
from gridtwin.sim.formats.dcsim import Dataset, JobClass
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import JobTable, Provenance

__all__ = ["Draw", "draw"]


@dataclass(frozen=True)
class Draw:
    """Jobs that were drawn, what they read and where that lies."""

    jobs: JobTable
    """``task_id`` is the workload, ``work`` its flops in HS23 s; there is no run time."""
    inputs: pl.DataFrame
    """job_id, file, bytes, access (copy or stream)."""
    files: pl.DataFrame
    """file, bytes, location: a row for each place; location is null where none is said."""


def draw(workloads: Iterable[JobClass], datasets: Iterable[Dataset] = (), seed: int = 0) -> Draw:
    """Draw the jobs of workloads and the files of data sets; the same seed gives the same.

    Raises `InputError` where a workload or data set comes twice, or a data set is not there.
    Memory: the frames, about 200 bytes for each job and file.
    """
    workloads, given = tuple(workloads), tuple(datasets)
    known = {one.name: one for one in given}
    if len(known) < len(given) or len({one.name for one in workloads}) < len(workloads):
        raise InputError("two workloads or data sets have one name; give each its own")
    streams = iter(spawn(seed, len(known) + len(workloads)))
    sizes = {name: one.filesize.draw(one.num_files, next(streams)) for name, one in known.items()}
    jobs, inputs, files = [_JOBS_FRAME], [_INPUTS_FRAME], [_FILES_FRAME]
    files += [_files(known[name], values) for name, values in sizes.items()]
    notes = ["run_time is not known: run the jobs on sites that have a speed."]
    for one in workloads:
        rng = next(streams)
        frame = _jobs(one, rng)
        own = _inputs(one, known, sizes, rng)
        if one.kind != "calculation" and not one.infile_datasets:
            files.append(own.select("file", "bytes", location=pl.lit(None, pl.String)))
        elif own.is_empty() and one.num_jobs and one.kind != "calculation":
            notes.append(f"Workload {one.name} has fewer files than jobs: its jobs read none.")
        read = own.group_by("job_id").agg(
            input_files=pl.len().cast(pl.Int64), input_bytes=pl.sum("bytes")
        )
        frame = frame.join(read, on="job_id", how="left", maintain_order="left")
        jobs.append(
            frame.with_columns(
                pl.col("input_files").fill_null(0), pl.col("input_bytes").fill_null(0.0)
            )
        )
        inputs.append(own)
    table = pl.concat(jobs)
    origin = Provenance("DCSim workloads", "dcsim", table.height, notes=tuple(notes))
    return Draw(JobTable.from_frame(table, origin), pl.concat(inputs), pl.concat(files))


_JOBS_FRAME = pl.DataFrame(
    schema={
        "job_id": pl.String,
        "task_id": pl.String,
        "submit_time": pl.Float64,
        "cores_req": pl.Int64,
        "work": pl.Float64,
        "mem_req": pl.Float64,
        "output_files": pl.Int64,
        "output_bytes": pl.Float64,
        "input_files": pl.Int64,
        "input_bytes": pl.Float64,
    }
)
_INPUTS_FRAME = pl.DataFrame(
    schema={"job_id": pl.String, "file": pl.String, "bytes": pl.Float64, "access": pl.String}
)
_FILES_FRAME = pl.DataFrame(schema={"file": pl.String, "bytes": pl.Float64, "location": pl.String})


def _jobs(one: JobClass, rng: np.random.Generator) -> pl.DataFrame:
    n = one.num_jobs
    megabytes = 1.0 if one.memory_unit == "MB" else 1e-6
    return pl.DataFrame(
        {
            "job_id": [f"job_{one.name}_{k}" for k in range(n)],
            "task_id": [one.name] * n,
            "submit_time": np.full(n, one.submission_time),
            "cores_req": one.cores.draw_cores(n, rng),
            "work": one.flops.draw(n, rng) / FLOPS_PER_HS23,
            "mem_req": one.memory.draw(n, rng) * megabytes,
            "output_files": np.ones(n, dtype=np.int64),
            "output_bytes": np.floor(one.outfilesize.draw(n, rng)),
        },
        schema_overrides={"job_id": pl.String, "task_id": pl.String},
    )


def _inputs(
    one: JobClass,
    datasets: dict[str, Dataset],
    sizes: dict[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return the input files of the jobs of a workload."""
    if one.kind == "calculation" or not one.num_jobs:
        return _INPUTS_FRAME
    if missing := [name for name in one.infile_datasets if name not in datasets]:
        raise InputError(
            f"workload {one.name} reads the data set {', '.join(missing)}, which is not there; "
            "give its file"
        )
    each = one.infiles_per_job
    if not one.infile_datasets and one.infilesize is not None:
        each = each or 0
        files = [f"infile_{one.name}_{j}_{f}" for j in range(one.num_jobs) for f in range(each)]
        values = np.floor(one.infilesize.draw(len(files), rng))
    else:
        chosen = [name for name in datasets if name in one.infile_datasets]
        names = [f"infile_{name}_{k}" for name in chosen for k in range(len(sizes[name]))]
        each = len(names) // one.num_jobs if each is None else each
        if each > len(names):
            raise InputError(
                f"workload {one.name}: infiles_per_job is {each}, but its data sets have "
                f"{len(names)} files; give more files or fewer per job"
            )
        at = np.arange(each * one.num_jobs) % max(len(names), 1)
        files = [names[k] for k in at]
        values = np.floor(np.concatenate([np.zeros(0), *(sizes[name] for name in chosen)]))[at]
    return pl.DataFrame(
        {
            "job_id": [f"job_{one.name}_{j}" for j in range(one.num_jobs) for _ in range(each)],
            "file": files,
            "bytes": values,
            "access": ["stream" if one.kind == "streaming" else "copy"] * len(files),
        },
        schema=_INPUTS_FRAME.schema,
    )


def _files(dataset: Dataset, values: NDArray[np.float64]) -> pl.DataFrame:
    names = [f"infile_{dataset.name}_{k}" for k in range(len(values))]
    parts = [
        pl.DataFrame(
            {"file": names, "bytes": np.floor(values), "location": [place] * len(names)},
            schema=_FILES_FRAME.schema,
        )
        for place in dataset.location
    ]
    return pl.concat([_FILES_FRAME, *parts])
