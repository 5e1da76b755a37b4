"""What an episode on the grid kernel is made of: a grid, its jobs, and a part of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.assemble import Rules
from gridtwin.sim.demand import Demand, demand
from gridtwin.sim.faults import NO_FAULTS, Faults
from gridtwin.sim.parts import Link, Pool, Site, Storage
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Files, Workload
from gridtwin.trace import JobTable, examples
from gridtwin.trace.derive import machine_size

__all__ = ["Scene", "example"]

_OF_JOBS = (
    *("submit", "cores", "run", "flop", "request", "estimate", "memory", "priority"),
    *("user", "kind", "site", "stream", "output", "output_file"),
)


@dataclass(frozen=True)
class Scene:
    """A grid, the jobs that episodes are taken from, and how sites work."""

    platform: Platform
    demand: Demand
    rules: Rules = field(default_factory=Rules)
    faults: Faults = NO_FAULTS

    def __post_init__(self) -> None:
        if not len(self.demand.work):
            raise InputError("a scene without jobs; give some that can run")
        if self.demand.work.parent is not None and len(self.demand.work.parent):
            raise InputError("a scene's jobs wait for no others; leave out the parents")

    @classmethod
    def of(
        cls,
        jobs: JobTable,
        platform: Platform,
        *,
        rules: Rules | None = None,
        faults: Faults = NO_FAULTS,
        **options: Any,  # noqa: ANN401 - those of demand, which names wrong ones
    ) -> "Scene":
        """Return a scene of a table of jobs; `options` of `gridtwin.sim.demand.demand`."""
        options.setdefault("first_attempts", faults.attempts > 1)
        return cls(platform, demand(jobs, platform, **options), rules or Rules(), faults)

    def __len__(self) -> int:
        return len(self.demand.work)

    def part(self, first: int, length: int) -> Demand:
        """Return jobs `first` to `first + length`, with the files that they read.

        Raises
        ------
        InputError
            Where there are not so many.
        """
        if not 0 <= first <= len(self) - length:
            raise InputError(
                f"start_index {first} and {length} jobs of {len(self)}; expected a start from 0 to "
                f"{len(self) - length}"
            )
        work, rows = self.demand.work, slice(first, first + length)
        columns: dict[str, Any] = {
            name: None if (values := getattr(work, name)) is None else values[rows]
            for name in _OF_JOBS
        }
        columns["output_file"] = None  # whoever reads it waits for it, and nobody does
        cut = Workload(**columns, **_inputs(work, first, length))
        return replace(
            self.demand, work=cut, frame=self.demand.frame[rows], local=self.demand.local[rows]
        )


def _inputs(work: Workload, first: int, length: int) -> dict[str, Any]:
    """Return the lists of inputs of a part of the jobs; only its files are kept."""
    if work.input_ptr is None or work.input_file is None or work.files is None:
        return {}
    ptr = work.input_ptr[first : first + length + 1]
    used, file = np.unique(work.input_file[ptr[0] : ptr[-1]], return_inverse=True)
    files = work.files
    number = np.full(len(files.bytes), -1, np.int64)
    number[used] = np.arange(len(used))
    of = number[files.replica_file]
    names = None if files.names is None else [files.names[k] for k in used.tolist()]
    kept = Files(files.bytes[used], names, of[of >= 0], files.replica_node[of >= 0])
    return {"input_ptr": ptr - ptr[0], "input_file": file.astype(np.int64), "files": kept}


_NAMES = ("CERN", "BNL", "RAL", "FZK", "TRIUMF", "PIC", "SARA", "NDGF")
_SHARES: NDArray[np.float64] = np.array([0.3, 0.2, 0.13, 0.12, 0.1, 0.06, 0.05, 0.04])
_SPEEDS = (12e9, 10e9, 11e9, 9e9, 10e9, 13e9, 8e9, 10e9)
_BANDWIDTHS = (2e9, 1e9, 5e8, 5e8, 3e8, 2e8, 2e8, 1e8)


def example(days: int = 4, *, scale: float = 0.1, share: float = 0.4, seed: int = 0) -> Scene:
    """Return a made-up scene: eight sites round an exchange, and the PanDA-like example's jobs.

    The sites have `share` of the cores that the records had in use at once, so that jobs queue;
    each data set is at one of them. `days`, `scale` and `seed` are the example's.
    """
    jobs = examples.load("panda", days=days, scale=scale, seed=seed)
    frame = jobs.collect()
    cores = np.maximum(16, np.round(_SHARES * machine_size(jobs) * share)).astype(int)
    sites = tuple(
        Site(name, (Pool(int(n), speed=speed),), (Storage(f"{name} disk", 2e14),))
        for name, n, speed in zip(_NAMES, cores, _SPEEDS, strict=True)
    )
    links = tuple(
        Link(f"{name} uplink", width, 0.01, "split", ends=(name, "exchange"))
        for name, width in zip(_NAMES, _BANDWIDTHS, strict=True)
    )
    sets = frame["dataset"].drop_nulls().unique().sort()
    rng = np.random.default_rng(seed)
    where = pl.Series(_NAMES).gather(rng.choice(len(_NAMES), len(sets), p=_SHARES))
    replicas = pl.DataFrame({"dataset": sets, "site": where})
    return Scene.of(
        jobs,
        Platform(sites, links, routers=("exchange",)),
        replicas=replicas,
        origin="CERN",
        first_attempts=True,
    )
