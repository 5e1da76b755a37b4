"""Send many jobs to sites at once: heuristics on a table of what each job takes at each site.

The model is that of Braun et al. (J. Parallel Distrib. Comput. 2001): a site works on one job after
another, `run` seconds for job j at site s (inf: it cannot run there), from `ready` seconds on. Time
to fetch data belongs to `run`; a site of many cores has its jobs' core seconds over its cores. The
makespan is the time at which the last site is done, with what was there before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.kernel.jit import compiled

__all__ = [
    "HEURISTICS",
    "Heuristic",
    "Instance",
    "Planned",
    "heft",
    "makespan",
    "max_min",
    "mct",
    "met",
    "min_min",
    "olb",
    "sufferage",
]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_MIN_MIN, _MAX_MIN, _SUFFERAGE = range(3)
_OLB, _MET, _MCT = range(3)


@dataclass(frozen=True)
class Instance:
    """Jobs and sites: what each job takes where, and when sites are ready."""

    run: Floats
    """s, shape (jobs, sites); inf: the job cannot run there."""
    ready: Floats
    """s, one entry per site."""

    @classmethod
    def of(cls, run: ArrayLike, ready: ArrayLike | None = None) -> "Instance":
        """Check and return an instance; sites are ready at 0 unless given.

        Raises
        ------
        InputError
            For tables of other shapes, times that are negative or NaN, a site that is never ready,
            and jobs that can run nowhere.
        """
        table = np.ascontiguousarray(run, np.float64)
        if table.ndim != 2 or not table.shape[1]:
            raise InputError(
                f"run has shape {table.shape}; expected (jobs, sites), one site or more"
            )
        begin = np.zeros(table.shape[1]) if ready is None else np.array(ready, np.float64)
        if begin.shape != table.shape[1:]:
            raise InputError(
                f"ready has shape {begin.shape}; expected one entry for each of "
                f"{table.shape[1]} sites"
            )
        if not (table >= 0.0).all() or not ((begin >= 0.0) & (begin < np.inf)).all():
            raise InputError("run and ready: expected 0 or more; NaN or a negative time came")
        if len(table) and not np.isfinite(table).any(axis=1).all():
            job = int(np.argmin(np.isfinite(table).any(axis=1)))
            raise InputError(f"job {job} can run at no site; leave it out")
        return cls(table, begin)


def makespan(instance: Instance, site: Whole) -> float:
    """Return when the last site is done if each job goes to its entry of `site`."""
    jobs = np.arange(len(site))
    load = np.bincount(site, instance.run[jobs, site], len(instance.ready))
    return float((instance.ready + load).max())


def olb(instance: Instance) -> Whole:
    """Send each job, in the order given, to the site that is ready first."""
    return _in_turn(instance, _OLB)


def met(instance: Instance) -> Whole:
    """Send each job to the site where it takes least."""
    return _in_turn(instance, _MET)


def mct(instance: Instance) -> Whole:
    """Send each job, in the order given, to the site where it ends first."""
    return _in_turn(instance, _MCT)


def min_min(instance: Instance) -> Whole:
    """Place the job that can end first there, again and again."""
    return _one_by_one(instance, _MIN_MIN)


def max_min(instance: Instance) -> Whole:
    """Place the job whose earliest end is latest, where it ends first, again and again."""
    return _one_by_one(instance, _MAX_MIN)


def sufferage(instance: Instance) -> Whole:
    """Place the job that would lose most at the second best of its sites, again and again."""
    return _one_by_one(instance, _SUFFERAGE)


Heuristic = Callable[[Instance], Whole]
HEURISTICS: dict[str, Heuristic] = {
    "olb": olb,
    "met": met,
    "mct": mct,
    "min_min": min_min,
    "max_min": max_min,
    "sufferage": sufferage,
}
"""The heuristics for independent jobs, by name."""


def _in_turn(instance: Instance, rule: int) -> Whole:
    site = np.empty(len(instance.run), np.int64)
    _turns(instance.run, instance.ready.copy(), rule, site)
    return site


def _one_by_one(instance: Instance, rule: int) -> Whole:
    n = len(instance.run)
    site = np.full(n, -1, np.int64)
    _places(
        instance.run, instance.ready.copy(), rule, site, np.empty((n, 2)), np.empty((n, 2), int)
    )
    return site


def _turns_(run, ready, rule, site):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for j in range(len(run)):
        best, least = -1, np.inf
        for s in range(len(ready)):
            if run[j, s] == np.inf:
                continue
            end = ready[s]
            if rule == _MET:
                end = run[j, s]
            elif rule == _MCT:
                end = ready[s] + run[j, s]
            if best < 0 or end < least:
                best, least = s, end
        site[j] = best
        ready[best] += run[j, best]


def _look(run, ready, j, best, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Find the two sites where a job ends first; the second is inf where there is none."""
    best[j, 0] = best[j, 1] = np.inf
    at[j, 0] = at[j, 1] = -1
    for s in range(len(ready)):
        end = ready[s] + run[j, s]
        if end < best[j, 0]:
            best[j, 1], at[j, 1] = best[j, 0], at[j, 0]
            best[j, 0], at[j, 0] = end, s
        elif end < best[j, 1]:
            best[j, 1], at[j, 1] = end, s


def _places_(run, ready, rule, site, best, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place one job after another; only those whose two best sites are concerned look again."""
    n = len(run)
    for j in range(n):
        _look_at(run, ready, j, best, at)
    for _ in range(n):
        chosen, most = -1, -np.inf
        for j in range(n):
            if site[j] >= 0:
                continue
            worth = best[j, 0]
            if rule == _MIN_MIN:
                worth = -best[j, 0]
            elif rule == _SUFFERAGE:
                worth = best[j, 1] - best[j, 0]
            if chosen < 0 or worth > most:
                chosen, most = j, worth
        s = at[chosen, 0]
        site[chosen] = s
        ready[s] += run[chosen, s]
        for j in range(n):
            if site[j] < 0 and (at[j, 0] == s or at[j, 1] == s):
                _look_at(run, ready, j, best, at)


_turns: Any = compiled(_turns_)
_look_at: Any = compiled(_look)
_places: Any = compiled(_places_)


@dataclass(frozen=True)
class Planned:
    """Where each job runs, and when."""

    site: Whole
    start: Floats
    end: Floats

    @property
    def makespan(self) -> float:
        """When the last job ends, s."""
        return float(self.end.max(initial=0.0))


def heft(
    instance: Instance,
    parents: Sequence[Sequence[int]] | None = None,
    transfer: Sequence[Sequence[float]] | None = None,
) -> Planned:
    """Plan jobs with parents: heterogeneous earliest finish time.

    Topcuoglu et al., IEEE Trans. Parallel Distrib. Syst. 2002: jobs in order of falling upward rank
    (mean run time plus the largest sum of transfer and rank of those that wait for it), each
    where it ends earliest, between others where there is room.

    Parameters
    ----------
    instance
        Run times; means are over the sites where a job can run.
    parents
        For each job, the jobs that have to end before; None: none.
    transfer
        For each job, the seconds that each parent's data take to another site; 0 at the same one.

    Raises
    ------
    InputError
        For parents that are no jobs or wait for each other, and lists that do not match.
    """
    n = len(instance.run)
    parents = [[] for _ in range(n)] if parents is None else parents
    transfer = [[0.0] * len(own) for own in parents] if transfer is None else transfer
    children = _children(n, parents, transfer)
    rank = _ranks(instance, parents, children)
    site, start, end = np.full(n, -1, np.int64), np.zeros(n), np.zeros(n)
    busy: list[list[tuple[float, float]]] = [[] for _ in instance.ready]
    for j in _topological(rank, parents):
        best: tuple[float, float, int] | None = None
        for s in np.flatnonzero(np.isfinite(instance.run[j])).tolist():
            there = instance.ready[s]
            for parent, seconds in zip(parents[j], transfer[j], strict=True):
                there = max(there, end[parent] + (seconds if site[parent] != s else 0.0))
            begin = _gap(busy[s], float(there), float(instance.run[j, s]))
            if best is None or begin + instance.run[j, s] < best[0]:
                best = (begin + float(instance.run[j, s]), begin, s)
        assert best is not None  # an instance's jobs fit somewhere
        end[j], start[j], site[j] = best
        busy[best[2]].append((best[1], best[0]))
        busy[best[2]].sort()
    return Planned(site, start, end)


def _gap(busy: list[tuple[float, float]], there: float, long: float) -> float:
    """Return the first time from `there` on at which nothing is done for so long."""
    for begin, end in busy:
        if there + long <= begin:
            break
        there = max(there, end)
    return there


def _children(
    n: int, parents: Sequence[Sequence[int]], transfer: Sequence[Sequence[float]]
) -> list[list[tuple[int, float]]]:
    """Turn the lists of parents into lists of children and seconds."""
    if len(parents) != n or [len(own) for own in parents] != [len(own) for own in transfer]:
        raise InputError(f"parents and transfer: expected lists of the same lengths for {n} jobs")
    children: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for j, (own, seconds) in enumerate(zip(parents, transfer, strict=True)):
        for parent, long in zip(own, seconds, strict=True):
            if not 0 <= parent < n or not long >= 0.0:
                raise InputError(
                    f"job {j}: parent {parent}, transfer {long} s; expected a job from 0 to "
                    f"{n - 1} and 0 s or more"
                )
            children[parent].append((j, float(long)))
    return children


def _ranks(
    instance: Instance,
    parents: Sequence[Sequence[int]],
    children: list[list[tuple[int, float]]],
) -> Floats:
    """Return the upward ranks, last jobs first."""
    run, n = instance.run, len(instance.run)
    can = np.isfinite(run)
    mean = np.where(can, run, 0.0).sum(axis=1) / np.maximum(can.sum(axis=1), 1)
    waiting = [len(own) for own in children]
    todo = [j for j in range(n) if not waiting[j]]
    rank, done = np.zeros(n), 0
    while todo:
        j, done = todo.pop(), done + 1
        rank[j] = mean[j] + max((t + rank[k] for k, t in children[j]), default=0.0)
        for parent in parents[j]:
            waiting[parent] -= 1
            if not waiting[parent]:
                todo.append(parent)
    if done < n:
        raise InputError(f"{n - done} jobs wait for each other in a circle; correct the parents")
    return rank


def _topological(rank: Floats, parents: Sequence[Sequence[int]]) -> list[int]:
    """Return jobs by falling rank; among equals (jobs of no time), parents first."""
    depth = np.zeros(len(rank), np.int64)
    for _ in range(len(rank)):
        deeper = depth.copy()
        for j, own in enumerate(parents):
            deeper[j] = max((depth[p] + 1 for p in own), default=0)
        if (deeper == depth).all():
            break
        depth = deeper
    return [int(j) for j in np.lexsort((depth, -rank))]
