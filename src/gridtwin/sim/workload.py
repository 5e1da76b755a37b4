"""The jobs that a simulation runs, as arrays: what the kernel knows of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError

__all__ = ["Files", "Workload"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Files:
    """What jobs read: sizes, and where complete replicas are at the start."""

    bytes: Floats
    """One entry per file."""
    names: Sequence[str] | None = None
    replica_file: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    replica_node: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """Nodes are the platform's sites, then its routers."""


@dataclass(frozen=True)
class Workload:
    """Jobs in order of submission: arrays with one entry per job, and lists of inputs and parents.

    Missing arrays stand for what their comment says.
    """

    submit: Floats
    """s, never falling."""
    cores: Whole
    """1 or more."""
    run: Floats
    """s of payload where a pool has no speed, or a job no `flop`."""
    flop: Floats | None = None
    """Work of each core: the payload takes flop / speed. NaN or None: `run` holds everywhere."""
    request: Floats | None = None
    """s after the start at which it is killed; inf or None: never."""
    estimate: Floats | None = None
    """s that backfilling and fair share expect it to hold its cores; NaN or None: what its payload
    will take."""
    memory: Floats | None = None
    """Bytes of the whole job; 0 or None: not limited."""
    priority: Floats | None = None
    """Higher is first; None: all equal."""
    user: Whole | None = None
    """0, 1, ...; None: one user."""
    kind: Whole | None = None
    """Class for failures: 0, 1, ...; None: one class."""
    site: Whole | None = None
    """Index of the site where it has to run; -1 or None: as the broker says."""
    stream: NDArray[np.bool_] | None = None
    """Whether inputs are read beside the payload, block by block; None: all before."""
    output: Floats | None = None
    """Bytes written to the site's storage; None: 0."""
    output_file: Whole | None = None
    """The file that the output is, for jobs that read it; -1 or None: nobody does."""
    input_ptr: Whole | None = None
    """Inputs of job k are ``input_file[input_ptr[k]:input_ptr[k + 1]]``; None: no inputs."""
    input_file: Whole | None = None
    parent_ptr: Whole | None = None
    """So are the jobs that have to finish before; None: no parents."""
    parent: Whole | None = None
    files: Files | None = None

    def __post_init__(self) -> None:
        n = len(self.submit)
        for name in (f.name for f in fields(self)):
            values = getattr(self, name)
            if values is None or name == "files":
                continue
            wanted = {
                "input_ptr": n + 1,
                "parent_ptr": n + 1,
                "input_file": None,
                "parent": None,
            }
            length = wanted.get(name, n)
            if length is not None and len(values) != length:
                raise InputError(f"{name} has {len(values)} entries, expected {length}")
        self._check_jobs()
        self._check_lists()

    def __len__(self) -> int:
        return len(self.submit)

    def _check_jobs(self) -> None:
        if not np.isfinite(self.submit).all() or (np.diff(self.submit) < 0).any():
            raise InputError("submit: expected finite times that never fall; sort the jobs")
        if len(self) and self.cores.min() < 1:
            raise InputError(f"cores: expected 1 or more, got {self.cores.min()}")
        for name in ("run", "flop", "request", "estimate", "memory", "output"):
            values = getattr(self, name)
            if values is not None and (values < 0).any():
                raise InputError(f"{name}: expected 0 or more, got {np.nanmin(values)}")
        if self.memory is not None and not np.isfinite(self.memory).all():
            raise InputError("memory: expected finite bytes, 0 where there is no limit")
        known = self.run if self.flop is None else np.where(np.isnan(self.flop), self.run, 0.0)
        if not np.isfinite(known).all():
            raise InputError("run: expected a finite time for each job without flop")
        for name in ("user", "kind"):
            values = getattr(self, name)
            if values is not None and len(values) and values.min() < 0:
                raise InputError(f"{name}: expected codes from 0, got {values.min()}")

    def _check_lists(self) -> None:
        for ptr, items, n in (
            ("input_ptr", "input_file", len(self.files.bytes) if self.files else 0),
            ("parent_ptr", "parent", len(self)),
        ):
            starts, values = getattr(self, ptr), getattr(self, items)
            if (starts is None) != (values is None):
                raise InputError(f"{ptr} and {items} belong together; give both or neither")
            if starts is None:
                continue
            if starts[0] != 0 or starts[-1] != len(values) or (np.diff(starts) < 0).any():
                raise InputError(f"{ptr}: expected 0, ..., {len(values)}, never falling")
            if len(values) and not 0 <= values.min() <= values.max() < n:
                raise InputError(f"{items}: expected numbers from 0 to {n - 1}")
