"""Where jobs run and where data are, as one program, and the bound that its relaxation gives.

Job j at site s takes ``run`` seconds of the site, and ``fetch`` more unless its data set is there
too. A copy of data set d to s takes ``copy`` seconds of the way into s, which is busy with copies
for no longer than the makespan z, and space at s. With x_js the share of the job at the site and
y_ds whether the data set is there::

    ready_s + sum_j (run_js + fetch_js (1 - y_ds)) x_js <= z,    d the data set of j
    sum_d copy_ds y_ds <= z,   sum_d size_d y_ds <= room_s,   sum_s x_js = 1

The product x y is what makes it hard: see `gridtwin.policy.joint`. The bound replaces it by any w
with w <= x and w <= y (McCormick, Math. Programming 1976).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch_brokerage import Instance

__all__ = ["DataInstance", "Joint", "joint", "joint_bound", "joint_makespan", "rows", "solve"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DataInstance:
    """Jobs that read data sets, sites with room for copies, and what is where."""

    run: Floats
    """s, shape (jobs, sites); inf: the job cannot run there."""
    fetch: Floats
    """s more where the job's data set is not at the site, finite; same shape."""
    dataset: Whole
    """Data set of each job, -1: it reads nothing."""
    size: Floats
    """Bytes of each data set."""
    copy: Floats
    """s that a copy takes of the way into a site, shape (data sets, sites); inf: it cannot go."""
    room: Floats
    """Bytes for copies at each site."""
    there: Mask
    """What is where from the start, which takes no room; shape (data sets, sites)."""
    ready: Floats
    """s, one entry per site."""

    @classmethod
    def of(
        cls,
        run: ArrayLike,
        fetch: ArrayLike,
        dataset: ArrayLike,
        *,
        size: ArrayLike,
        copy: ArrayLike,
        room: ArrayLike,
        there: ArrayLike | None = None,
        ready: ArrayLike | None = None,
    ) -> "DataInstance":
        """Check and return an instance; by default nothing is anywhere, and sites are ready at 0.

        Raises
        ------
        InputError
            For tables of other shapes, negative values or NaN, and jobs that can run nowhere.
        """
        base = Instance.of(run, ready)
        n, sites = base.run.shape
        sizes = np.ascontiguousarray(size, np.float64)
        sets = np.array(dataset, np.int64).reshape(-1)
        held = np.zeros((len(sizes), sites), bool) if there is None else np.array(there, bool)
        made = cls(
            base.run,
            np.ascontiguousarray(fetch, np.float64),
            sets,
            sizes,
            np.ascontiguousarray(copy, np.float64),
            np.ascontiguousarray(room, np.float64),
            held,
            base.ready,
        )
        shapes = {
            "fetch": (n, sites),
            "dataset": (n,),
            "size": (len(sizes),),
            "copy": (len(sizes), sites),
            "room": (sites,),
            "there": (len(sizes), sites),
        }
        for name, shape in shapes.items():
            values = getattr(made, name)
            if values.shape != shape:
                raise InputError(f"{name} has shape {values.shape}; expected {shape}")
            if name not in ("dataset", "there") and not (values >= 0.0).all():
                raise InputError(f"{name}: expected 0 or more; NaN or a negative value came")
        if not np.isfinite(made.fetch).all():
            raise InputError("fetch: expected finite seconds; say with run where a job cannot run")
        if n and not -1 <= sets.min() <= sets.max() < len(sizes):
            raise InputError(f"dataset: expected numbers from -1 to {len(sizes) - 1}")
        return made

    def given(self, placed: Mask) -> Instance:
        """Return the instance of brokerage that remains where data sets are placed so."""
        return Instance.of(self.run + np.where(self.at(placed), 0.0, self.fetch), self.ready)

    def at(self, placed: Mask) -> Mask:
        """Return whether each job's data set is at each site."""
        if not len(self.size):
            return np.ones(self.run.shape, bool)
        return np.asarray(placed[self.dataset] | (self.dataset < 0)[:, None])


def joint_makespan(instance: DataInstance, site: Whole, placed: Mask) -> float:
    """Return when the last site is done, and the last copy there; inf where room is short."""
    made = placed & ~instance.there
    if (instance.size @ made > instance.room * (1.0 + 1e-9)).any():
        return np.inf
    jobs = np.arange(len(site))
    times = instance.run + np.where(instance.at(placed), 0.0, instance.fetch)
    load = instance.ready + np.bincount(site, times[jobs, site], len(instance.ready))
    copies = np.where(made, instance.copy, 0.0).sum(axis=0)
    return float(max(load.max(), copies.max(initial=0.0)))


def rows(row: Whole, column: Whole, value: Floats, last: Whole, count: int) -> Any:  # noqa: ANN401
    """Return a sparse matrix with -1 in a last column of each row."""
    from scipy import sparse

    values = np.concatenate([value, -np.ones(count)])
    rows = np.concatenate([row, np.arange(count)])
    shape = (count, int(last[0]) + 1)
    return sparse.csr_array((values, (rows, np.concatenate([column, last]))), shape=shape)


def solve(
    cost: Floats,
    upper: Any,  # noqa: ANN401 - SciPy's sparse matrices have no types
    limit: Floats,
    top: Floats,
    equal: Any = None,  # noqa: ANN401
) -> Floats:
    """Minimise cost x with upper x <= limit, equal x = 1 and 0 <= x <= top."""
    from scipy.optimize import linprog  # half a second, for few

    run: Any = linprog  # its stubs know no sparse matrices
    found = run(
        cost,
        A_ub=upper,
        b_ub=limit,
        A_eq=equal,
        b_eq=None if equal is None else np.ones(equal.shape[0]),
        bounds=np.stack([np.zeros(len(top)), top], axis=1),
        method="highs-ds",
    )
    if found.x is None:
        raise InputError(f"the linear program was not solved: {found.message}")
    return np.asarray(found.x, np.float64)


@dataclass(frozen=True)
class Joint:
    """The program in x (jobs at sites), y (copies), w (jobs whose copy is there) and z."""

    cost: Floats
    upper: Any
    limit: Floats
    equal: Any
    top: Floats
    scale: float
    jobs: Whole
    sites: Whole
    """Pairs of a job and a site that the x are of."""
    copies: Whole
    places: Whole
    """Pairs of a data set and a site that the y are of."""


def joint(instance: DataInstance) -> Joint:
    """Lay out the program; x only where a job can run, y only where a copy can save anything."""
    from scipy import sparse

    n, sites = instance.run.shape
    at = instance.at(instance.there)
    time = instance.run + np.where(at, 0.0, instance.fetch)
    can_copy = np.isfinite(instance.copy) & (instance.size[:, None] <= instance.room)
    can_copy &= ~instance.there
    if len(instance.size):
        could = can_copy[instance.dataset] & (instance.dataset >= 0)[:, None] & ~at
    else:
        could = np.zeros((n, sites), bool)
    could &= np.isfinite(instance.run) & (instance.fetch > 0.0)
    jobs, at_site = np.nonzero(np.isfinite(time))
    copies, places = np.nonzero(can_copy)
    y_of = np.full(can_copy.shape, -1)
    y_of[copies, places] = np.arange(len(copies))
    pair = np.flatnonzero(could[jobs, at_site])
    w_jobs, w_sites = jobs[pair], at_site[pair]
    nx, ny, nw = len(jobs), len(copies), len(pair)
    total = nx + ny + nw + 1
    finite = time[np.isfinite(time)]
    scale = max(float(finite.mean()) if len(finite) else 0.0, float(instance.ready.max()), 1e-9)
    saves = instance.fetch[w_jobs, w_sites]

    def block(rows: Whole, columns: Whole, values: Floats, count: int) -> Any:  # noqa: ANN401
        return sparse.csr_array((values, (rows, columns)), shape=(count, total))

    k, s = np.arange(nw), np.arange(sites)
    x, y, w, z = np.arange(nx), nx + np.arange(ny), nx + ny + k, np.full(sites, total - 1)
    w_y = nx + y_of[instance.dataset[w_jobs], w_sites] if nw else np.zeros(0, np.int64)
    one = np.ones(nw)
    most = np.where(np.isfinite(instance.room), np.maximum(instance.room, 1e-9), np.inf)
    work = [time[jobs, at_site] / scale, -saves / scale, -np.ones(sites)]
    upper = [
        block(
            np.concatenate([at_site, w_sites, s]),
            np.concatenate([x, w, z]),
            np.concatenate(work),
            sites,
        ),
        block(
            np.concatenate([places, s]),
            np.concatenate([y, z]),
            np.concatenate([instance.copy[copies, places] / scale, -np.ones(sites)]),
            sites,
        ),
        block(places, y, instance.size[copies] / most[places], sites),
        block(np.tile(k, 2), np.concatenate([w, x[pair]]), np.concatenate([one, -one]), nw),
        block(np.tile(k, 2), np.concatenate([w, w_y]), np.concatenate([one, -one]), nw),
    ]
    zeros = np.zeros(2 * nw)
    limit = np.concatenate([-instance.ready / scale, np.zeros(sites), np.ones(sites), zeros])
    cost = np.zeros(total)
    cost[-1] = 1.0
    return Joint(
        cost,
        sparse.vstack(upper),
        limit,
        block(jobs, x, np.ones(nx), n),
        np.append(np.ones(total - 1), np.inf),
        scale,
        jobs,
        at_site,
        copies,
        places,
    )


def joint_bound(instance: DataInstance) -> float:
    """Return a time before which no plan is done, s: the linear program's, or a job's own."""
    if not len(instance.run):
        return float(instance.ready.max())
    program = joint(instance)
    x = solve(program.cost, program.upper, program.limit, program.top, program.equal)
    alone = (instance.ready + instance.run).min(axis=1).max()
    return float(max(alone, instance.ready.max(), x[-1] * program.scale * (1.0 - 1e-9)))
