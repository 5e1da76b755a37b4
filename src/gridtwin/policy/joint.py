"""Settle together where jobs run and where data are: linear programs in turns.

The model is that of `gridtwin.policy.joint_program`. With placement given it is the program of
`gridtwin.policy.optimal`, with brokerage given it is linear in the placement; they are solved, and
rounded, in turns, as long as that gains.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridtwin.policy.joint_program import (
    DataInstance,
    joint,
    joint_bound,
    joint_makespan,
    rows,
    solve,
)
from gridtwin.policy.optimal import rounded

__all__ = ["JointPlan", "alternate", "joint_least"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

_WHOLE = 1.0 - 1e-6
_EVEN = 1e-4
"""Weight of all sites' mean beside the last site: where many placements end at once, that with
least work in all is better for the next turn."""


@dataclass(frozen=True)
class JointPlan:
    """A site for each job, the places of the data sets, and how far from the best it can be."""

    site: Whole
    placed: Mask
    """What is where, with what was there before; shape (data sets, sites)."""
    makespan: float
    bound: float
    """No plan is done before, s."""
    turns: int = 0
    """Pairs of programs that were solved."""
    first: float = np.inf
    """The makespan without any copy, by the same method."""

    @property
    def gap(self) -> float:
        """How far the plan is from the bound: makespan / bound - 1; 0 where both are 0."""
        return self.makespan / self.bound - 1.0 if self.bound > 0.0 else 0.0


def alternate(instance: DataInstance, *, most: int = 20, bound: bool = True) -> JointPlan:
    """Solve brokerage for the placement and placement for the brokerage, until that gains nothing.

    Parameters
    ----------
    most
        Turns after which it stops anyway.
    bound
        Whether to solve the program of `joint_bound`, which is the largest; else the bound is 0.
    """
    placed = instance.there.copy()
    start = rounded(instance.given(placed))
    site, best, turns = start.site, start.makespan, 0
    for _ in range(most):
        turns += 1
        trial = _place(instance, site)
        again = rounded(instance.given(trial)).site
        done = joint_makespan(instance, again, trial)
        kept = joint_makespan(instance, site, trial)
        if kept < done:
            again, done = site, kept
        if not done < best * (1.0 - 1e-6):
            break
        site, placed, best = again, trial, done
    low = joint_bound(instance) if bound else 0.0
    return JointPlan(site, placed, best, min(low, best), turns, start.makespan)


def _place(instance: DataInstance, site: Whole) -> Mask:
    """Solve placement for jobs whose sites are given, and round it.

    Whole copies of the program stay; of the others, those that save most for their size are made
    as far as there is room and the ways into the sites are free by then.
    """
    sets, sites = instance.copy.shape
    reads = np.flatnonzero(instance.dataset >= 0)
    saved = np.zeros((sets, sites))
    gain = instance.fetch
    np.add.at(saved, (instance.dataset[reads], site[reads]), gain[reads, site[reads]])
    load = instance.ready + np.bincount(
        site,
        (instance.run + gain * ~instance.at(instance.there))[np.arange(len(site)), site],
        sites,
    )
    can = (saved > 0.0) & ~instance.there & np.isfinite(instance.copy)
    can &= instance.size[:, None] <= instance.room
    d, s = np.nonzero(can)
    placed = instance.there.copy()
    if not len(d):
        return placed
    share, z = _placement_program(instance, d, s, saved[d, s], load)
    room, way = instance.room.copy(), np.zeros(sites)
    order = np.lexsort((-saved[d, s] / np.maximum(instance.size[d], 1e-9), share < _WHOLE))
    for k in order[share[order] > 1e-6].tolist():
        copy = instance.copy[d[k], s[k]]
        if instance.size[d[k]] <= room[s[k]] and way[s[k]] + copy <= z:
            placed[d[k], s[k]] = True
            room[s[k]] -= instance.size[d[k]]
            way[s[k]] += copy
    return placed


def _placement_program(
    instance: DataInstance, d: Whole, s: Whole, saved: Floats, load: Floats
) -> tuple[Floats, float]:
    """Return the share of each copy in the best fractional placement, and its makespan."""
    from scipy import sparse

    sites, k = len(load), np.arange(len(d))
    scale = max(float(load.max()), 1e-9)
    last = np.full(sites, len(d))
    work = rows(s, k, -saved / scale, last, sites)
    ways = rows(s, k, instance.copy[d, s] / scale, last, sites)
    most = np.maximum(instance.room, 1e-9)
    space = sparse.csr_array(
        (instance.size[d] / np.where(np.isfinite(most), most, np.inf)[s], (s, k)),
        shape=(sites, len(d) + 1),
    )
    cost = np.append(-_EVEN * saved / scale / sites, 1.0)
    limit = np.concatenate([-load / scale, np.zeros(sites), np.ones(sites)])
    x = solve(cost, sparse.vstack([work, ways, space]), limit, np.append(np.ones(len(d)), np.inf))
    return x[:-1], float(x[-1]) * scale * (1.0 + 1e-9)


def joint_least(
    instance: DataInstance, *, time_limit: float = 60.0, gap: float = 1e-4
) -> JointPlan:
    """Search for the best plan by mixed-integer programming: for small instances.

    Where the time is over before it has found a plan as good as `alternate`'s, that is returned,
    with the better bound. `time_limit` is in s of wall clock.
    """
    start = alternate(instance)
    if not len(instance.run):
        return start
    from scipy.optimize import Bounds, LinearConstraint, milp

    program = joint(instance)
    nx, ny = len(program.jobs), len(program.copies)
    whole = np.zeros(len(program.cost), np.int64)
    whole[: nx + ny] = 1
    found = milp(
        program.cost,
        integrality=whole,
        bounds=Bounds(0.0, program.top),
        constraints=[
            LinearConstraint(program.equal, 1.0, 1.0),
            LinearConstraint(program.upper, -np.inf, program.limit),
        ],
        options={"time_limit": float(time_limit), "mip_rel_gap": float(gap)},
    )
    low = start.bound
    if found.mip_dual_bound is not None and np.isfinite(found.mip_dual_bound):
        low = max(low, float(found.mip_dual_bound) * program.scale)
    site, placed, done = start.site, start.placed, start.makespan
    if found.x is not None:
        chosen, copied = found.x[:nx] > 0.5, found.x[nx : nx + ny] > 0.5
        trial = np.zeros(len(instance.run), np.int64)
        trial[program.jobs[chosen]] = program.sites[chosen]
        there = instance.there.copy()
        there[program.copies[copied], program.places[copied]] = True
        if (value := joint_makespan(instance, trial, there)) < done:
            site, placed, done = trial, there, value
    return JointPlan(site, placed, done, min(low, done), start.turns, start.first)
