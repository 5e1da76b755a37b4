"""A workflow: jobs that wait for each other and read what others wrote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.workload import Files, Workload
from gridtwin.trace import JobTable

__all__ = ["Machine", "Whole", "Workflow"]

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Machine:
    """A machine that ran tasks."""

    name: str
    cores: int | None = None
    hertz: float | None = None
    memory: float | None = None
    """Bytes."""


@dataclass(frozen=True)
class Workflow:
    """Jobs that wait for each other: lists of parents and files, one for each job.

    Those of job k are ``parent[parent_ptr[k]:parent_ptr[k + 1]]``, and so on; parents come before
    their children.
    """

    name: str
    jobs: JobTable
    """``run_time`` is null for tasks that the file does not say to have run."""
    parent_ptr: Whole
    parent: Whole
    files: tuple[tuple[str, float], ...] = ()
    """Name and bytes."""
    input_ptr: Whole | None = None
    input_file: Whole | None = None
    output_ptr: Whole | None = None
    output_file: Whole | None = None
    machines: tuple[Machine, ...] = ()
    makespan: float | None = None
    """Of the run that the file records, s."""

    def workload(self, *, origin: int | None = None) -> Workload:
        """Return the jobs as the simulation takes them, all submitted at 0.

        `origin` is the node that has the files which no task writes, as an index into the
        platform's sites and then its routers; None: no files are moved. What tasks read of a
        task's outputs becomes one file.

        Raises `InputError` for a task without a run time, and where files are moved for a file
        that two tasks write, or outputs of which a task reads some and another task others.
        """
        frame = self.jobs.collect()
        missing = frame["run_time"].is_null().arg_true()
        if len(missing):
            name = frame["job_id"][int(missing[0])]
            raise InputError(f"task {name!r} has no run time; give it in the execution")
        moved = {} if origin is None else self._moved(frame["job_id"].to_list(), origin)
        return Workload(
            submit=frame["submit_time"].to_numpy(),
            cores=frame["cores_req"].to_numpy(),
            run=frame["run_time"].to_numpy(),
            parent_ptr=self.parent_ptr,
            parent=self.parent,
            **moved,
        )

    def _moved(self, names: list[str], origin: int) -> dict[str, Any]:
        """Return the arrays of files: those that no task writes, then one for each task."""
        n = len(names)
        reads, writes = self._items(n, "input"), self._items(n, "output")
        writer: dict[int, int] = {}
        for k, files in enumerate(writes):
            for file in files:
                if file in writer:
                    raise InputError(
                        f"file {self.files[file][0]!r} is written by {names[writer[file]]!r} and "
                        f"{names[k]!r}; a file has one writer"
                    )
                writer[file] = k
        wanted = {file for files in reads for file in files if file in writer}
        kept = [[file for file in files if file in wanted] for files in writes]
        first = [file for file in range(len(self.files)) if file not in writer]
        place = {file: at for at, file in enumerate(first)}
        pointers, inputs = [0], []
        for k, files in enumerate(reads):
            for parent in sorted({writer[file] for file in files if file in writer}):
                left_out = [file for file in kept[parent] if file not in files]
                if left_out:
                    raise InputError(
                        f"task {names[k]!r} reads outputs of {names[parent]!r} but not "
                        f"{self.files[left_out[0]][0]!r}, which another reads; this cannot be run"
                    )
                inputs.append(len(first) + parent)
            inputs += [place[file] for file in files if file not in writer]
            pointers.append(len(inputs))
        sizes = np.array([size for _, size in self.files], dtype=np.float64)
        made = [float(sizes[files].sum()) for files in kept]
        return {
            "input_ptr": np.array(pointers, dtype=np.int64),
            "input_file": np.array(inputs, dtype=np.int64),
            "output": np.array([float(sizes[files].sum()) for files in writes]),
            "output_file": np.array([len(first) + k if kept[k] else -1 for k in range(n)]),
            "files": Files(
                np.concatenate([sizes[first], np.array(made, dtype=np.float64)]),
                replica_file=np.arange(len(first), dtype=np.int64),
                replica_node=np.full(len(first), origin, dtype=np.int64),
            ),
        }

    def _items(self, n: int, kind: str) -> list[list[int]]:
        starts, items = getattr(self, f"{kind}_ptr"), getattr(self, f"{kind}_file")
        if starts is None or items is None:
            return [[] for _ in range(n)]
        return [items[starts[k] : starts[k + 1]].tolist() for k in range(n)]
