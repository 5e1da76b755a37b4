"""Placement policies by name: which files are copied where, and which copies are removed.

A policy is called every so often with a `gridtwin.policy.data_view.DataView`, what is known then,
and returns `Step`s, the most wanted first. ``a+b`` is one after the other in the same instant:
``hot_set+lru``. What is ordered is carried out by `gridtwin.policy.placing`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry
from gridtwin.policy.data_view import DataView

__all__ = [
    "RESERVE",
    "HotSet",
    "Placement",
    "Placer",
    "Popularity",
    "Prefetch",
    "Room",
    "Step",
    "none",
    "placement",
    "placement_names",
    "register_placement",
]

_DAY = 86400.0
_TB = 1e12
RESERVE = 0.2
"""Share of a site's space that copies leave free: jobs whose output finds no room fail."""


class Step(NamedTuple):
    """Copy a file to a site, or remove it there."""

    file: int
    site: int
    copy: bool = True


Placer = Callable[[DataView], Iterable[Step]]


@dataclass(frozen=True)
class Placement:
    """A named placement policy."""

    name: str
    rule: str
    """What it copies or removes, in a line."""
    make: Callable[[int], Placer]
    """``make(seed)``: a policy that knows nothing yet, for one run."""
    source: str = ""


_placements = Registry("placement policy", "gridtwin.policy", "gridtwin.placements")


def register_placement(one: Placement) -> Placement:
    """Make a placement policy known by its name and return it; a name can be taken once."""
    _placements.add(one.name, one)
    return one


def placement_names() -> list[str]:
    """All names, sorted."""
    return _placements.names()


def placement(name: str, seed: int = 0) -> Placer:
    """Return the policy of a name, or of several joined by ``+``, for one run."""
    found = [_placements.get(part) for part in name.split("+")]
    for part, one in zip(name.split("+"), found, strict=True):
        if not isinstance(one, Placement):
            raise InputError(
                f"placement policy {part!r} is a {type(one).__name__}; expected a "
                "gridtwin.policy.placement.Placement, check the entry point that provides it"
            )
    made = [one.make(seed) for one in found]

    def all_of(view: DataView) -> list[Step]:
        return [step for one in made for step in one(view)]

    return made[0] if len(made) == 1 else all_of


class Room:
    """The space left at sites, and what one call may still order: bytes, and copies.

    A share `RESERVE` of each site's space is left to what jobs write.
    """

    def __init__(self, view: DataView, budget: float) -> None:
        self.view, self.budget = view, budget
        space = view.stored + view.coming + view.free
        kept = np.where(np.isfinite(space), RESERVE * space, 0.0)
        self.free = np.where(view.may_hold, view.free - kept, -1.0)
        self.left = view.may_start

    def take(self, files: NDArray[np.int64], site: int | NDArray[np.int64]) -> list[Step]:
        """Return copies of those files that are not at their sites nor coming, if there is room.

        In the order given; one that does not fit is left out.
        """
        sites = np.broadcast_to(site, files.shape)
        lacks, steps = ~self.view.has(files, sites), list[Step]()
        for file, to in zip(files[lacks].tolist(), sites[lacks].tolist(), strict=True):
            size = float(self.view.bytes[file])
            if self.left > 0 and size <= self.free[to] and size <= self.budget:
                self.free[to] -= size
                self.budget -= size
                self.left -= 1
                steps.append(Step(file, to))
        return steps

    @property
    def over(self) -> bool:
        """Whether nothing more can be ordered."""
        return self.left <= 0 or self.budget <= 0.0


def none(view: DataView) -> list[Step]:
    """Leave all as it is."""
    return []


class Popularity:
    """Copy popular data sets before they are read, whole, until each is at `copies` sites.

    Popular is what had most reads, each counting half after `half_life` s. A copy goes to the site
    with the least load per core that has room for all of it.
    """

    def __init__(
        self, copies: int = 2, *, half_life: float = 3 * _DAY, budget: float = 50 * _TB
    ) -> None:
        if copies < 1 or not half_life > 0.0:
            raise InputError(f"copies {copies}, half_life {half_life}; expected 1, more than 0 s")
        self.copies, self.half_life, self.budget = copies, half_life, budget

    def __call__(self, view: DataView) -> list[Step]:
        """Return the copies of this instant."""
        reads = view.reads
        weight = 0.5 ** ((view.now - reads["time"]) / self.half_life)
        score = np.bincount(view.dataset[reads["file"]], weight, len(view.total))
        room, steps = Room(view, self.budget), list[Step]()
        for dataset in np.argsort(-score, kind="stable").tolist():
            if score[dataset] <= 0.0 or room.over:
                break
            steps += self._spread(view, room, dataset)
        return steps

    def _spread(self, view: DataView, room: Room, dataset: int) -> list[Step]:
        """Return the copies that one data set lacks."""
        files, sites = view.files_of(dataset), len(view.names)
        at = np.tile(np.arange(sites), len(files))
        there = view.has(np.repeat(files, sites), at)
        held = np.bincount(at[there], minlength=sites)
        lacking = self.copies - int((held == len(files)).sum())
        steps = list[Step]()
        for _ in range(lacking):
            size = float(view.total[dataset])
            good = (held < len(files)) & (room.free >= size)
            if size > room.budget or not good.any():
                break
            site = int(np.where(good, view.load, np.inf).argmin())
            steps += room.take(files, site)
            held[site] = len(files)
        return steps


class HotSet:
    """Copy a data set to a site whose jobs keep reading it from elsewhere.

    That is: `reads` or more of its files were moved there by jobs in the last `window` s. All of
    its files that the site lacks are copied, those that moved most bytes first.
    """

    def __init__(self, reads: int = 3, *, window: float = _DAY, budget: float = 50 * _TB) -> None:
        self.reads, self.window, self.budget = reads, window, budget

    def __call__(self, view: DataView) -> list[Step]:
        """Return the copies of this instant."""
        late = view.moves["time"] > view.now - self.window
        sites = len(view.names)
        pair = view.dataset[view.moves["file"][late]] * sites + view.moves["site"][late]
        pairs, place, count = np.unique(pair, return_inverse=True, return_counts=True)
        moved = np.bincount(place, view.moves["bytes"][late], len(pairs))
        room, steps = Room(view, self.budget), list[Step]()
        for k in np.argsort(-moved, kind="stable").tolist():
            if count[k] >= self.reads:
                steps += room.take(view.files_of(int(pairs[k] // sites)), int(pairs[k] % sites))
        return steps


class Prefetch:
    """Copy what the jobs in a site's queue will read to the site, the first in the queues first.

    The first `inputs` of each queue. A job that starts while its input is still coming fetches it
    again.
    """

    def __init__(self, inputs: int = 500, *, budget: float = 200 * _TB) -> None:
        self.inputs, self.budget = inputs, budget

    def __call__(self, view: DataView) -> list[Step]:
        """Return the copies of this instant."""
        file, site = view.waiting["file"], view.waiting["site"]
        _, first = np.unique(file * len(view.names) + site, return_index=True)
        first.sort()  # each once, in order of submission
        file, site = file[first], site[first]
        by_site = np.argsort(site, kind="stable")
        count = np.bincount(site, minlength=len(view.names))
        rank = np.empty(len(site), np.int64)
        rank[by_site] = np.arange(len(site)) - np.repeat(np.cumsum(count) - count, count)
        turn = np.argsort(rank, kind="stable")
        turn = turn[rank[turn] < self.inputs]
        return Room(view, self.budget).take(file[turn], site[turn])


for _one in (
    Placement("none", "nothing", lambda _: none),
    Placement("popularity", "popular data sets, whole, to idle sites", lambda _: Popularity()),
    Placement("hot_set", "data sets that a site reads from elsewhere, to it", lambda _: HotSet()),
    Placement("prefetch", "inputs of queued jobs, to their sites", lambda _: Prefetch()),
):
    register_placement(_one)
