"""Placement that also removes: rebalancing of storages, by space or by network, and eviction."""

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.data_view import DataView
from gridtwin.policy.placement import Placement, Room, Step, register_placement

__all__ = ["LRU", "NetworkRebalance", "Rebalance", "last_read"]

_DAY = 86400.0
_TB = 1e12


class _Moving:
    """Moves: copies whose source is removed when they are there."""

    def __init__(self) -> None:
        self.pending: dict[tuple[int, int], int] = {}

    def finish(self, view: DataView) -> list[Step]:
        """Return the removals of sources whose copies are there; forget what is not coming."""
        if not self.pending:
            return []
        file, site = np.array(list(self.pending)).T
        there, comes = view.arrived(file, site), view.has(file, site)
        source = np.array(list(self.pending.values()))
        at_source = view.arrived(file, source)
        ready = there & at_source
        pairs = zip(file[ready].tolist(), source[ready].tolist(), strict=True)
        steps = [Step(f, s, copy=False) for f, s in pairs]
        over = ~comes | (there & ~at_source)
        for key in zip(file[over].tolist(), site[over].tolist(), strict=True):
            del self.pending[key]
        return steps


class Rebalance(_Moving):
    """Move files from sites that are fuller than the mean to the least full ones.

    Full is the share of a site's space that is taken. Those read longest ago move first. A site
    gives until it is within `margin` of the mean, and takes until it is at the mean. Sites without
    a limit of their space take no part.
    """

    def __init__(self, margin: float = 0.02, *, budget: float = 50 * _TB) -> None:
        super().__init__()
        self.margin, self.budget = margin, budget

    def __call__(self, view: DataView) -> list[Step]:
        """Return the moves of this instant, and what ended moves leave to remove."""
        steps = self.finish(view)
        space = view.stored + view.coming + view.free
        part = view.may_hold & np.isfinite(space) & (space > 0.0)
        if not part.any():
            return steps
        mean = view.stored[part].sum() / space[part].sum()
        over = np.where(part, view.stored - (mean + self.margin) * space, 0.0)
        room = Room(view, self.budget)
        want = np.where(part, mean * space - view.stored - view.coming, 0.0)
        for source in np.flatnonzero(over > 0.0).tolist():
            steps += self._from(view, room, source, float(over[source]), want)
        return steps

    def _from(
        self, view: DataView, room: Room, source: int, excess: float, want: NDArray[np.float64]
    ) -> list[Step]:
        """Return copies of what a site gives away; `want` is what others still take."""
        steps = list[Step]()
        here = view.file[view.stays & (view.node == source)]
        leaving = {file for (file, _), at in self.pending.items() if at == source}
        excess -= float(view.bytes[list(leaving)].sum()) if leaving else 0.0
        for file in here[np.argsort(last_read(view)[here], kind="stable")].tolist():
            size = float(view.bytes[file])
            if excess <= 0.0 or room.over:
                break
            if file in leaving or size <= 0.0:
                continue
            site = int(want.argmax())
            if want[site] <= 0.0:
                break
            taken = room.take(np.array([file]), site)
            want[site] -= size
            if taken:
                excess -= size
                self.pending[file, site] = source
                steps += taken
        return steps


class NetworkRebalance(_Moving):
    """Move what was read over slow ways to where its readers have it soonest.

    A data set's cost is the seconds that its files' moves of the last `window` s would take, each
    alone; at another site that is the same sum from there. A data set, the dearest first, goes to
    the site that saves most, if that is `worth` times the seconds of the move. The source is
    removed where its site is fuller than the mean.
    """

    def __init__(
        self, worth: float = 1.0, *, window: float = 2 * _DAY, budget: float = 50 * _TB
    ) -> None:
        super().__init__()
        self.worth, self.window, self.budget = worth, window, budget

    def __call__(self, view: DataView) -> list[Step]:
        """Return the copies of this instant, and what ended moves leave to remove."""
        steps, moves = self.finish(view), view.moves
        late = moves["time"] > view.now - self.window
        file, source = moves["file"][late].astype(int), moves["source"][late].astype(int)
        site, size = moves["site"][late].astype(int), moves["bytes"][late]
        if not len(file):
            return steps
        now = view.cost(source, site, size)
        dataset = view.dataset[file]
        total = np.bincount(dataset, now, len(view.total))
        room = Room(view, self.budget)
        crowded = _crowded(view)
        sites = np.flatnonzero(view.may_hold)
        for d in np.argsort(-total, kind="stable").tolist():
            if total[d] <= 0.0 or room.over:
                break
            mine = dataset == d
            there = view.cost(sites[:, None], site[mine][None], size[mine][None]).sum(axis=1)
            best = int(there.argmin())
            to, files = int(sites[best]), view.files_of(d)
            price = float(view.seconds(files, np.full(len(files), to)).sum())
            if not total[d] - there[best] > self.worth * price:
                continue
            for step in room.take(files, to):
                at = view.node[(view.file == step.file) & view.stays]
                full = [n for n in at.tolist() if n < len(crowded) and crowded[n] and n != to]
                if full:
                    self.pending[step.file, to] = full[0]
                steps.append(step)
        return steps


class LRU:
    """Remove copies made in this run, those read longest ago first, where a site is full.

    A site whose free space is below the share `low` of what it has for such copies is freed until
    `high` of it is. What was there before the run, and the last copy of a file, stay.
    """

    def __init__(self, low: float = 0.25, high: float = 0.35) -> None:
        if not 0.0 <= low <= high <= 1.0:
            raise InputError(f"low {low}, high {high}; expected 0 <= low <= high <= 1")
        self.low, self.high = low, high

    def __call__(self, view: DataView) -> list[Step]:
        """Return the removals of this instant."""
        steps, last = list[Step](), last_read(view)
        made = view.removable & (view.node < len(view.names))
        taken = np.bincount(view.node[made], view.bytes[view.file[made]], len(view.names))
        space = view.free + taken
        copies = np.bincount(view.file[view.stays], minlength=len(view.bytes))
        for s in np.flatnonzero(np.isfinite(space) & (view.free < self.low * space)).tolist():
            lacking = float(self.high * space[s] - view.free[s])
            here = view.file[made & (view.node == s)]
            for file in here[np.argsort(last[here], kind="stable")].tolist():
                if lacking <= 0.0:
                    break
                if copies[file] > 1:
                    copies[file] -= 1
                    lacking -= float(view.bytes[file])
                    steps.append(Step(file, s, copy=False))
        return steps


def last_read(view: DataView) -> NDArray[np.float64]:
    """Return when each file was last read by a job, -inf if not within the view's memory."""
    out = np.full(len(view.bytes), -np.inf)
    np.maximum.at(out, view.reads["file"].astype(int), view.reads["time"])
    return out


def _crowded(view: DataView) -> NDArray[np.bool_]:
    """Return which sites are fuller than the mean of those with a limit."""
    space = view.stored + view.coming + view.free
    part = np.isfinite(space) & (space > 0.0)
    mean = view.stored[part].sum() / space[part].sum() if part.any() else np.inf
    return np.asarray(part & (view.stored > mean * space))


for _one in (
    Placement("rebalance", "old files, from full sites to empty ones", lambda _: Rebalance()),
    Placement(
        "network_rebalance", "data sets read over slow ways, nearer", lambda _: NetworkRebalance()
    ),
    Placement("lru", "removes copies read longest ago from full sites", lambda _: LRU()),
):
    register_placement(_one)
