"""Change a simulation while it stands still: sites, policies, brokers, the load to come.

Each function acts at `Simulation.clock`, after all that happened up to then, so that a run that is
stopped, steered and continued is one run, the same each time. What was decided before stays.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.sim.assemble import check_queues, fair_share
from gridtwin.sim.brokers import brokerage, check_broker, chooser_of
from gridtwin.sim.kernel.codes import Brokerage, Ordering
from gridtwin.sim.kernel.events import FIRST, OUTAGE, QUEUE, add_event, id_of, kind_of
from gridtwin.sim.kernel.life import CLOSED
from gridtwin.sim.kernel.state import State, Table
from gridtwin.sim.policies import Chooser, Policy, at_sites, priorities
from gridtwin.sim.run import LATEST, Simulation, codes_of

__all__ = ["close", "reopen", "scale_load", "switch", "switch_broker"]

_FAIR, _PRIORITY = int(Ordering.FAIR_SHARE), int(Ordering.PRIORITY)
_kind, _id = kind_of.py_func, id_of.py_func


def close(run: Simulation, site: str, *, leaving: float = 0.0) -> None:
    """Shut a site, as an outage that begins now does (`gridtwin.sim.outages`).

    Parameters
    ----------
    leaving
        Share of its cores that stay open, 0 to below 1.

    Notes
    -----
    With nothing left open, what runs there is ended with the outcome ``outage`` and tried again
    where attempts are left, unless `Faults.outages_kill` is false; queued jobs wait, and brokers
    send nothing there while another site is open. What was said last holds: a change in the
    calendar of outages that comes later holds from then on.
    """
    if not 0.0 <= leaving < 1.0:
        raise InputError(f"leaving: expected 0 to below 1, got {leaving}")
    _open(run, _place(run, site), leaving)


def reopen(run: Simulation, site: str) -> None:
    """Let all of a site's cores be used from now on."""
    _open(run, _place(run, site), 1.0)


def switch(run: Simulation, policy: str | Policy | Chooser, site: str | None = None) -> None:
    """Serve the queue of a site, or of all sites, by another policy from now on.

    Who waits keeps waiting, in the new order, and starts now where the new policy lets it. Fair
    shares count what was started at the site before, too.
    """
    sites, which = run.state.sites, range(len(run.policies))
    if site is not None:
        which = range(_place(run, site), _place(run, site) + 1)
    _ready(run)
    chosen = at_sites(policy, run.platform.names)
    policies = tuple(chosen[s] if s in which else one for s, one in enumerate(run.policies))
    codes = codes_of(policies, run.platform)
    asked, before = sites.copy(), sites.copy()
    for name in ("order", "backfill"):
        asked[name] = [codes[name][place] for place in run.platform.names]
    check_queues(run.platform, asked)
    priority = priorities(policies, run.demand.work)
    room = _room(run.state, asked)
    waiting = {s: _waiting(run.state, s) for s in which}
    for name in ("order", "backfill"):
        sites[name] = asked[name]
    run.state.jobs["priority"] = 0.0 if priority is None else priority
    run.policies, run.rules = policies, replace(run.rules, **codes)
    run.state = replace(run.state, **room)
    kept = run.state.called.copy()
    run.name(policies)
    run.state.called[["chosen", "ranked"]] = kept[["chosen", "ranked"]]
    _note_ends(run.state)
    for s in which:
        if sites[s]["order"] == _FAIR and before[s]["order"] != _FAIR:
            _note_use(run.state, s, run.clock)
        _line_up(run.state, s, waiting[s])
        if len(waiting[s]):
            _open(run, s, float(sites[s]["open"]))  # as it is: that serves the queue


def switch_broker(run: Simulation, broker: str | Chooser) -> None:
    """Let another broker choose the site of each job and each retry from now on.

    Names and callables are those of `gridtwin.sim.simulate`, but ``recorded``: where a job has to
    run is settled when the simulation is made.
    """
    check_broker(broker)
    _ready(run)
    if broker == "recorded":
        raise InputError("broker 'recorded' is for a whole run; choose one that looks at the grid")
    code = brokerage(broker)
    run.ask(chooser_of(broker, run.seed))
    run.rules = replace(run.rules, broker=code)
    state, sites = run.state, run.state.sites
    state.world["broker"] = code
    some = sites["cores"] > 0
    state.load[~some] = np.inf
    state.load[some] = sites["held"][some] / sites["cores"][some]
    if code == Brokerage.FEWEST_JOBS:
        state.load[:] = sites["coming"] + sites["queued"] + sites["running"]
    state.load[sites["open"] <= 0.0] += CLOSED


def scale_load(run: Simulation, factor: float) -> None:
    """Let the jobs still to come come `factor` times as fast: the gaps from now on are divided.

    That is all jobs not yet submitted, local ones too; retries and outages keep their times. Before
    anything has happened, the first job keeps its own.
    """
    if not (np.isfinite(factor) and factor > 0.0):
        raise InputError(f"factor: expected a number above 0, got {factor}")
    _ready(run)
    first, work = run.arrived, run.demand.work
    if factor == 1.0 or first == len(work):
        return
    submit = work.submit.copy()
    begin = run.clock if run.events else submit[0]
    submit[first:] = begin + (submit[first:] - begin) / factor
    if not submit[-1] + work.run.sum() < LATEST:
        raise InputError(f"factor {factor} puts jobs beyond {LATEST:.0e} s; choose a larger one")
    run.state.jobs["submit"] = submit
    run.demand = replace(run.demand, work=replace(work, submit=submit))
    run.see(submit)


def _ready(run: Simulation) -> None:
    """Raise `InputError` where a run stands in the midst of an instant."""
    if run.stop == "asked":
        raise InputError("the broker was asked and has not answered; let it, and go on, first")


def _place(run: Simulation, site: str) -> int:
    names = run.platform.names
    if site not in names:
        raise UnknownNameError("site", site, names)
    return names.index(site)


def _open(run: Simulation, s: int, share: float) -> None:
    """Let the kernel open or shut a site, and go through that instant."""
    _ready(run)
    run.state.outage[-1] = (run.clock, s, share)
    add_event(run.state, run.clock, OUTAGE, len(run.state.outage) - 1)
    bound = run.limit
    run.limit = max(bound, run.events + 1)
    run.until(run.clock)
    run.limit = bound


def _waiting(state: State, s: int) -> NDArray[np.int64]:
    """Return the attempts in a site's queue, by time of arrival."""
    made = state.attempts[: int(state.world[0]["attempts"])]
    here = (made["site"] == s) & np.isnan(made["start"]) & (made["outcome"] == 0)
    found = np.flatnonzero(here)
    if state.sites[s]["coming"]:
        what = state.heap["what"][FIRST : FIRST + int(state.heap[0]["what"])]
        found = np.setdiff1d(found, _id(what[_kind(what) == QUEUE]))
    return found


def _line_up(state: State, s: int, waiting: NDArray[np.int64]) -> None:
    """Lay out a queue as its order wants it: see `gridtwin.sim.kernel.queues`."""
    site, attempts, jobs = state.sites[s], state.attempts, state.jobs
    site["head"] = site["tail"] = -1
    state.called[s]["chosen"], state.called[s]["ranked"] = -1, 0
    if site["order"] == _FAIR:
        _line_up_users(state, s, waiting)
        return
    if site["order"] == _PRIORITY:
        priority = jobs["priority"][attempts["job"][waiting]]
        waiting = waiting[np.lexsort((waiting, -priority))]
    if not len(waiting):
        return
    behind, ahead = np.append(waiting[1:], -1), np.append(-1, waiting[:-1])
    if site["order"] == _PRIORITY and not site["backfill"]:  # a heap, each with one below it
        attempts["next"][waiting], attempts["previous"][waiting] = -1, behind
    else:
        attempts["next"][waiting], attempts["previous"][waiting] = behind, ahead
        site["tail"] = waiting[-1]
    site["head"] = waiting[0]


def _line_up_users(state: State, s: int, waiting: NDArray[np.int64]) -> None:
    attempts, users = state.attempts, state.users[s]
    users[:] = -1
    user = state.jobs["user"][attempts["job"][waiting]]
    waiting = waiting[np.argsort(user, kind="stable")]
    of, first, count = np.unique(np.sort(user), return_index=True, return_counts=True)
    attempts["next"][waiting] = np.append(waiting[1:], -1)
    last = waiting[first + count - 1]
    attempts["next"][last] = -1
    users[of, 0], users[of, 1], users[of, 2] = waiting[first], last, np.arange(len(of))
    users[: len(of), 3] = of
    state.sites[s]["waiting"] = len(of)


def _expected(
    state: State, found: NDArray[np.int64], pool: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how long attempts are expected to hold their cores, as the kernel's `expected`."""
    jobs: Table = state.jobs[state.attempts["job"][found]]
    long = jobs["flop"] / state.pools["speed"][pool]
    long = np.where(np.isnan(long), jobs["run"], long)
    known: NDArray[np.float64] = np.where(np.isnan(jobs["estimate"]), long, jobs["estimate"])
    return known


def _room(state: State, sites: Table) -> dict[str, NDArray[Any]]:
    """Return the tables that sites of such orders and backfilling need, those there are if kept."""
    places = np.minimum(sites["cores"], len(state.slots) - 1) * (sites["backfill"] > 0)
    depth = int(state.world[0]["depth"])
    room: dict[str, NDArray[Any]] = {
        "ends": np.empty((int(places.sum()), 3)),
        "profile": np.empty((2 * depth + int(places.max(initial=0)) + 8, 3)),
    }
    if not len(state.users):
        users = int(state.jobs["user"].max(initial=0)) + 1
        room["usage"], room["users"] = fair_share(sites, users)
    return room


def _note_ends(state: State) -> None:
    """Lay out when what runs is expected to end, for backfilling."""
    sites = state.sites
    places = np.minimum(sites["cores"], len(state.slots) - 1) * (sites["backfill"] > 0)
    sites["ends"] = np.cumsum(places) - places
    found = state.slots["attempt"][: int(state.world[0]["slots"])]
    found = found[found >= 0].astype(np.int64)
    rows = state.attempts[found]
    end = rows["start"] + _expected(state, found, rows["pool"])
    for s in np.flatnonzero(sites["backfill"]):
        mine = np.flatnonzero(rows["site"] == s)
        mine = mine[np.argsort(end[mine], kind="stable")]
        jobs = state.jobs[rows["job"][mine]]
        first = int(sites[s]["ends"])
        state.ends[first : first + len(mine)] = np.stack(
            [end[mine], jobs["cores"], jobs["memory"]], axis=1
        )


def _note_use(state: State, s: int, now: float) -> None:
    """Count what was started at a site for its users, for fair shares."""
    made = state.attempts[: int(state.world[0]["attempts"])]
    found = np.flatnonzero((made["site"] == s) & ~np.isnan(made["start"]))
    first = np.full(len(found), state.sites[s]["first_pool"])
    jobs = state.jobs[made["job"][found]]
    old = 0.5 ** ((now - made["start"][found]) / state.world[0]["half_life"])
    used = _expected(state, found, first) * jobs["cores"] * old
    state.usage[s, :, 0] = np.bincount(jobs["user"], used, state.usage.shape[1])
    state.usage[s, :, 1] = now
