"""What placement may know of files at an instant: where they are, who read them, who waits.

The catalogue has all files that jobs of the simulated table read, from the beginning, as a data
management system knows files before jobs come; it has none that nobody will ever read, so that to
copy a whole data set pays more often than it would in a catalogue of all files.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.sim.demand import Demand
from gridtwin.sim.kernel.codes import Moves
from gridtwin.sim.platform import Platform
from gridtwin.sim.run import Simulation
from gridtwin.sim.view import View

__all__ = ["DataView", "data_sets"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

_OUT = int(Moves.OUTPUT)
_NONE = np.zeros(0, np.int64)


class DataView:
    """Files, replicas, storages, reads and waiting jobs of a simulation that stands still.

    Sites are numbers in the platform's order; nodes are sites, then routers. Memory: 60 bytes a
    replica, and 50 for each read of the last `memory` seconds.
    """

    def __init__(self, run: Simulation, *, memory: float = 30 * 86400.0) -> None:
        self.names: Sequence[str] = run.platform.names
        """The sites' names."""
        self.memory = memory
        """s for which reads and moves are remembered."""
        self.bytes: Floats = run.state.file_bytes
        """Size of each file."""
        self.dataset, self.dataset_names = data_sets(run.demand, len(self.bytes))
        """Number of each file's data set; a file of none is one by itself."""
        order = np.argsort(self.dataset, kind="stable")
        ends = np.cumsum(np.bincount(self.dataset, minlength=len(self.dataset_names)))
        self._members = np.split(order, ends[:-1]) if len(ends) else []
        sets = len(self.dataset_names)
        self.total: Floats = np.bincount(self.dataset, self.bytes, sets).astype(np.float64)
        """Bytes of each data set."""
        self.may_hold: Mask = _may_hold(run.platform)
        """Whether copies may go to a site: it has a storage for what stays, or no site has one and
        it has cores."""
        self.now = run.now
        self._run, self._view = run, View(run.state, run.platform.names, {})
        self._open, self._seen, self._moved = _NONE, 0, 0
        none = np.zeros(0)
        self.reads: dict[str, NDArray[Any]] = {"time": none, "file": _NONE, "site": _NONE}
        """Reads of the last `memory` s, by jobs that have started, in columns of one entry each:
        ``time`` (of the start), ``file``, ``site`` (of the job)."""
        self.moves: dict[str, NDArray[Any]] = {
            name: _NONE for name in ("file", "source", "site")
        } | {"time": none, "bytes": none}
        """Transfers of inputs that ended in the last `memory` s: ``time`` (of the end), ``file``,
        ``source`` (a node), ``site``, ``bytes``; none where `Rules.transfers` is off."""
        self.waiting: dict[str, Whole] = {"file": _NONE, "site": _NONE}
        """Inputs of the jobs in the sites' queues, in order of submission: ``file``, ``site``."""
        wait, per_byte = zip(*(self._view.way(n) for n in range(len(run.state.nodes))), strict=True)
        self._wait, self._per_byte = np.array(wait), np.array(per_byte)

    @property
    def load(self) -> Floats:
        """Cores of queued and running jobs per core, by site; 1e18 more while it is closed."""
        return self._view.load

    @property
    def cores(self) -> Whole:
        """Cores of each site."""
        return self._view.size

    @property
    def free(self) -> Floats:
        """Bytes free at each site for files that stay, without what copies under way will take."""
        return self._view.storage()[0]

    def look(self, now: float) -> None:
        """Bring all up to an instant at which the simulation stands."""
        self.now = now
        self._look_at_replicas()
        self._look_at_jobs()
        self._look_at_moves()

    def has(self, file: NDArray[np.integer], site: NDArray[np.integer]) -> Mask:
        """Return whether files are at sites, or under way there; caches do not count."""
        return _among(self._key(file, site), self._kept)

    def arrived(self, file: NDArray[np.integer], site: NDArray[np.integer]) -> Mask:
        """Return whether files are at sites already; caches do not count."""
        return _among(self._key(file, site), self._there)

    def files_of(self, dataset: int) -> Whole:
        """Return the files of a data set."""
        return self._members[dataset]

    def seconds(self, file: NDArray[np.integer], site: NDArray[np.integer]) -> Floats:
        """Return how long each file would take to a site from its nearest copy, alone; 0: there."""
        file, site = np.asarray(file, np.int64), np.asarray(site, np.int64)
        count = self._ptr[file + 1] - self._ptr[file]
        pair = np.repeat(np.arange(len(file)), count)
        rank = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
        node = self.node[self._ptr[file][pair] + rank]
        cost = self.cost(node, site[pair], self.bytes[file[pair]])
        out = np.full(len(file), np.inf)
        np.minimum.at(out, pair, cost)
        return out

    def cost(self, node: NDArray[np.integer], site: NDArray[np.integer], size: Floats) -> Floats:
        """Return the seconds that so many bytes take from a node to a site, alone on their way."""
        return np.asarray(self._wait[node, site] + self._per_byte[node, site] * size)

    def _key(self, file: NDArray[np.integer], site: NDArray[np.integer]) -> Whole:
        return np.asarray(file, np.int64) * len(self.names) + site

    def _look_at_replicas(self) -> None:
        """List the copies: `file`, `node`, `removable`, by file; and pairs of file and site."""
        state = self._run.state
        rows = state.replicas[: int(state.world[0]["replicas"])]
        rows = rows[rows["file"] >= 0]
        rows = rows[np.argsort(rows["file"], kind="stable")]
        stays, n = rows["cached"] == 0, len(self.names)
        self.file: Whole = rows["file"].astype(np.int64)
        """File of each copy, rising; those in caches count."""
        self.node: Whole = rows["node"].astype(np.int64)
        """Node of each copy."""
        self.removable: Mask = stays & (rows["kept"] == 1)
        """Whether a copy was made in this run, by a job or by placement, and is in no cache."""
        self.stays: Mask = stays
        """Whether a copy is in no cache."""
        self._ptr = np.concatenate(
            [[0], np.cumsum(np.bincount(self.file, minlength=len(self.bytes)))]
        )
        at = stays & (self.node < n)
        self._there = np.sort(self._key(self.file[at], self.node[at]))
        copies = state.copies[: int(state.world[0]["copies"])]
        coming = copies[np.isnan(copies["end"])]
        more = self._key(coming["file"], coming["node"])
        node, size = coming["node"].astype(np.int64), coming["bytes"]
        self.coming: Floats = np.bincount(node, size, n).astype(np.float64)
        """Bytes of copies under way to each site."""
        self._kept = np.sort(np.concatenate([self._there, more]))
        self.may_start = int(state.world[0]["most_copying"] - state.world[0]["copying"])
        """Copies that may begin now: as many as the rules allow, less those under way."""
        held = np.bincount(self.node[at], self.bytes[self.file[at]], n)
        self.stored: Floats = held.astype(np.float64)
        """Bytes of files that stay, by site."""

    def _look_at_jobs(self) -> None:
        state, last = self._run.state, self._seen
        self._seen = int(state.world[0]["attempts"])
        among = np.concatenate([self._open, np.arange(last, self._seen)])
        rows = state.attempts[among]
        started = ~np.isnan(rows["start"])
        waits = ~started & np.isnan(rows["end"]) & (rows["site"] >= 0)
        self._open = among[waits]
        which, file = self._inputs(rows["job"][started])
        new = {
            "time": rows["start"][started][which],
            "file": file,
            "site": rows["site"][started][which].astype(np.int64),
        }
        self._remember(self.reads, new)
        which, file = self._inputs(rows["job"][waits])
        self.waiting = {"file": file, "site": rows["site"][waits][which].astype(np.int64)}

    def _look_at_moves(self) -> None:
        state, last = self._run.state, self._moved
        self._moved = int(state.world[0]["transfers"])
        rows = state.transfers[last : self._moved]
        rows = rows[(rows["kind"] != _OUT) & (rows["source"] != rows["destination"])]
        new = {"time": rows["end"].copy(), "bytes": rows["bytes"].copy()}
        for name, column in (("file", "file"), ("source", "source"), ("site", "destination")):
            new[name] = rows[column].astype(np.int64)
        self._remember(self.moves, new)

    def _inputs(self, job: NDArray[np.integer]) -> tuple[Whole, Whole]:
        """Return the inputs of jobs: for each, which of the jobs it is, and its file."""
        ptr, listed = self._run.state.input_ptr, self._run.state.input_file
        first, count = ptr[job], ptr[job + 1] - ptr[job]
        which = np.repeat(np.arange(len(job)), count)
        rank = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        return which, listed[first[which] + rank]

    def _remember(self, table: dict[str, NDArray[Any]], new: dict[str, NDArray[Any]]) -> None:
        keep = table["time"] >= self.now - self.memory
        for name in table:
            table[name] = np.concatenate([table[name][keep], new[name]])


def data_sets(demand: Demand, files: int) -> tuple[Whole, list[str]]:
    """Return the number of each file's data set, and the data sets' names.

    The data set of a file is that of the first job that reads it; without one, the file itself.
    """
    work = demand.work
    names = [f"file {k}" for k in range(files)]
    if work.files is not None and work.files.names is not None:
        names = list(work.files.names)
    if "dataset" in demand.frame.columns and work.input_ptr is not None:
        job = np.repeat(np.arange(len(work)), np.diff(work.input_ptr))
        read = pl.DataFrame(
            {"file": work.input_file, "dataset": demand.frame["dataset"].gather(job)}
        )
        first = read.drop_nulls().unique("file", keep="first", maintain_order=True)
        for file, dataset in first.iter_rows():
            names[file] = dataset
    known = pl.Series(names, dtype=pl.String)
    listed = known.unique(maintain_order=True)
    code = known.replace_strict(listed, pl.Series(range(len(listed))), return_dtype=pl.Int64)
    return code.to_numpy().astype(np.int64), listed.to_list()


def _among(keys: Whole, known: Whole) -> Mask:
    """Return which keys are among known ones, which rise."""
    if not len(known):
        return np.zeros(keys.shape, bool)
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.asarray(known[at] == keys)


def _may_hold(platform: Platform) -> Mask:
    """Return which sites may hold copies that stay."""
    stores = [any(s.kind != "cache" for s in site.storages) for site in platform.sites]
    return np.array(stores) if any(stores) else platform.cores > 0
