"""The best that many jobs at sites could do: a bound by linear programming, and exact plans.

Least makespan z of an `Instance`: each job at one site (sum over s of x_js = 1), each site done by
z (ready_s + sum over j of run_js x_js <= z). With x between 0 and 1 that is a bound; rounded, a
plan that is good where jobs are many to a site; with whole x, the optimum, for some 10,000 pairs of
a job and a site. Solved by HiGHS through SciPy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch_brokerage import Instance, makespan

__all__ = ["Plan", "least", "lp_bound", "rounded"]

Whole = NDArray[np.int64]
Floats = NDArray[np.float64]

_WHOLE = 1.0 - 1e-6


@dataclass(frozen=True)
class Plan:
    """A site for each job, and how far from the best it can be."""

    site: Whole
    makespan: float
    bound: float
    """No plan is done before, s."""
    optimal: bool = False
    """Whether the search ended by itself, within the gap that was asked for."""

    @property
    def gap(self) -> float:
        """How far the plan is from the bound: makespan / bound - 1; 0 where both are 0."""
        return self.makespan / self.bound - 1.0 if self.bound > 0.0 else 0.0


def lp_bound(instance: Instance) -> float:
    """Return a time before which no plan is done, s.

    The linear program's, or when the longest job could end alone, or the last site is ready.
    """
    return _relaxed(instance)[0]


def rounded(instance: Instance) -> Plan:
    """Solve the linear program and round it.

    At most as many jobs as there are sites are split in a basic solution (Lenstra et al.,
    Mathematical Programming 1990). The others stay where they are; those go, the longest first,
    where they end first. Then single jobs leave the last site as long as that helps.
    """
    bound, x = _relaxed(instance)
    site = np.where(x.max(axis=1, initial=0.0) >= _WHOLE, x.argmax(axis=1), -1)
    load = instance.ready.copy()
    kept = np.flatnonzero(site >= 0)
    np.add.at(load, site[kept], instance.run[kept, site[kept]])
    split = np.flatnonzero(site < 0)
    for j in split[np.argsort(-instance.run[split].min(axis=1, initial=np.inf), kind="stable")]:
        site[j] = int((load + instance.run[j]).argmin())
        load[site[j]] += instance.run[j, site[j]]
    _improve(instance, site, load)
    return Plan(site, makespan(instance, site), bound)


def least(instance: Instance, *, time_limit: float = 60.0, gap: float = 1e-4) -> Plan:
    """Search for the plan of least makespan by mixed-integer programming.

    Starts from nothing but HiGHS's own heuristics. Where the time is over before it has found a
    plan as good as `rounded`'s, that is returned, with the better bound.

    Parameters
    ----------
    time_limit
        s of wall clock, for the search.
    gap
        Of the makespan to the bound, at which the search may end.
    """
    if not time_limit > 0.0 or not gap >= 0.0:
        raise InputError(
            f"time_limit {time_limit} s, gap {gap}; expected more than 0, and 0 or more"
        )
    start = rounded(instance)
    if not len(instance.run):
        return Plan(start.site, start.makespan, start.bound, optimal=True)
    from scipy.optimize import Bounds, LinearConstraint, milp  # half a second, for few

    cost, equal, upper, limit, top = _program(instance)
    n = len(instance.run)
    found = milp(
        cost,
        integrality=np.append(np.ones(len(cost) - 1), 0),
        bounds=Bounds(0.0, np.append(top, np.inf)),
        constraints=[LinearConstraint(equal, 1.0, 1.0), LinearConstraint(upper, -np.inf, limit)],
        options={"time_limit": float(time_limit), "mip_rel_gap": float(gap)},
    )
    scale = _scale(instance)
    bound = start.bound
    if found.mip_dual_bound is not None and np.isfinite(found.mip_dual_bound):
        bound = max(bound, float(found.mip_dual_bound) * scale)
    plan = start
    if found.x is not None:
        site = found.x[:-1].reshape(n, -1).argmax(axis=1).astype(np.int64)
        done = makespan(instance, site)
        if done < start.makespan:
            plan = Plan(site, done, bound)
    bound = min(bound, plan.makespan)  # HiGHS's own tolerance
    return Plan(plan.site, plan.makespan, bound, optimal=found.status == 0)


def _scale(instance: Instance) -> float:
    """Return a time of the instance's own size, so that the solver sees numbers near 1."""
    finite = instance.run[np.isfinite(instance.run)]
    return float(max(finite.mean() if len(finite) else 0.0, instance.ready.max(), 1e-9))


def _program(instance: Instance) -> tuple[Floats, Any, Any, Floats, Floats]:
    """Return cost, rows of equality, rows below a limit, the limit, and the most of each x."""
    from scipy import sparse

    n, sites = instance.run.shape
    scale = _scale(instance)
    can = np.isfinite(instance.run)
    pairs = np.arange(n * sites)
    equal = sparse.csr_array(
        (np.ones(n * sites), (pairs // sites, pairs)), shape=(n, n * sites + 1)
    )
    values = np.concatenate([np.where(can, instance.run, 0.0).ravel() / scale, -np.ones(sites)])
    rows = np.concatenate([pairs % sites, np.arange(sites)])
    columns = np.concatenate([pairs, np.full(sites, n * sites)])
    upper = sparse.csr_array((values, (rows, columns)), shape=(sites, n * sites + 1))
    cost = np.zeros(n * sites + 1)
    cost[-1] = 1.0
    return cost, equal, upper, -instance.ready / scale, can.ravel().astype(float)


def _relaxed(instance: Instance) -> tuple[float, Floats]:
    """Return the bound and the shares of each job at each site."""
    n, sites = instance.run.shape
    alone = (instance.ready + instance.run).min(axis=1)
    simple = max(float(instance.ready.max()), float(alone.max(initial=0.0)))
    if not n:
        return simple, np.zeros((0, sites))
    from scipy.optimize import linprog

    cost, equal, upper, limit, top = _program(instance)
    solve: Any = linprog  # its stubs know no sparse matrices
    found = solve(
        cost,
        A_eq=equal,
        b_eq=np.ones(n),
        A_ub=upper,
        b_ub=limit,
        bounds=np.stack([np.zeros(len(top) + 1), np.append(top, np.inf)], axis=1),
        method="highs-ds",  # a vertex, which splits few jobs
    )
    if found.x is None:
        raise InputError(f"the linear program was not solved: {found.message}")
    shares = np.asarray(found.x[:-1]).reshape(n, sites)
    return max(simple, float(found.fun) * _scale(instance) * (1.0 - 1e-9)), shares


def _improve(instance: Instance, site: Whole, load: Floats) -> None:
    """Move single jobs from the last site to where both end sooner, while there are any."""
    for _ in range(10 * len(site)):
        last = int(load.argmax())
        mine = np.flatnonzero(site == last)
        if not len(mine):
            return
        ends = load + instance.run[mine]
        ends[:, last] = np.inf
        k, s = np.unravel_index(int(ends.argmin()), ends.shape)
        if not ends[k, s] < load[last] * (1.0 - 1e-12):
            return
        j = mine[k]
        load[last] -= instance.run[j, last]
        load[s] += instance.run[j, s]
        site[j] = s
