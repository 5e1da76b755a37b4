"""The grid kernel, one step at a time: hand it the jobs, let it run, see where it stands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.demand import Demand
from gridtwin.sim.faults import NO_FAULTS, Faults
from gridtwin.sim.kernel.codes import Backfilling, Brokerage, Ordering
from gridtwin.sim.kernel.events import FIRST
from gridtwin.sim.kernel.grid import ASKED, LIMIT, REACHED, STOPPED, advance
from gridtwin.sim.kernel.state import State
from gridtwin.sim.platform import Platform
from gridtwin.sim.policies import ORDERING, Chooser, Policy, at_sites, priorities
from gridtwin.sim.use import crossed
from gridtwin.sim.view import View, caller
from gridtwin.sim.waiting import Namer, namer
from gridtwin.sim.workload import Workload
from gridtwin.trace import TraceSchema

__all__ = ["EVENTS_PER_JOB", "LATEST", "Simulation", "Stop", "codes_of"]

Stop = Literal["done", "reached", "limit", "asked"]

EVENTS_PER_JOB = 100
"""The bound on events, for each attempt that could be made and each of its inputs or blocks."""
LATEST = 1e15
"""s that no time may reach."""
_STOPS: dict[int, Stop] = {REACHED: "reached", LIMIT: "limit", ASKED: "asked"}


class Simulation:
    """A simulation that can be stopped at any time, looked at, and continued.

    `broker` is a callable as in `gridtwin.sim.view.caller`, `policy` as in `simulate`; without
    them the rules say which. A `gridtwin.sim.demand.demand` comes from a table;
    `gridtwin.sim.collect.collected` makes a result of what there is, and `gridtwin.sim.steer`
    changes what is to come.
    """

    def __init__(
        self,
        platform: Platform,
        demand: Demand,
        *,
        rules: Rules | None = None,
        faults: Faults = NO_FAULTS,
        seed: int = 0,
        policy: str | Policy | Chooser | Mapping[str, str | Policy | Chooser] | None = None,
        broker: Callable[..., Any] | None = None,
        limit: int | None = None,
    ) -> None:
        self.platform = platform
        self.demand = demand
        self.rules = rules or Rules()
        if broker is not None:
            self.rules = replace(self.rules, broker=Brokerage.CALLED)
        elif self.rules.broker == Brokerage.CALLED:
            raise InputError("the rules say that a broker is called, but none is given; give one")
        if policy is None:
            if Ordering.CALLED in _values(self.rules.order):
                raise InputError("the rules say that policies are called; give them as `policy`")
            self.policies = _policies(self.rules, platform)
        else:
            self.policies = at_sites(policy, platform.names)
            self.rules = replace(self.rules, **codes_of(self.policies, platform))
        self.faults = faults
        self.seed = seed
        self.stop: Stop = "reached"
        """Why it stands still: all is ``done``, the time is ``reached``, or the ``limit``; or the
        broker was ``asked`` and has no answer yet (`gridtwin.sim.view.Told`)."""
        work = demand.work
        if len(work) and not work.submit[-1] + work.run.sum() < LATEST:
            raise InputError(
                f"the jobs' times reach beyond {LATEST:.0e} s; check that they are in seconds"
            )
        if limit is not None and limit < 1:
            raise InputError(f"limit: expected 1 event or more, got {limit}")
        self.limit = _bound(work, self.rules, faults) if limit is None else limit
        """Events after which it stops whatever is left."""
        self.state: State = assemble(platform, work, self.rules, faults, seed)
        if any(one.order == "scored" for one in self.policies):
            self.state.jobs["priority"] = priorities(self.policies, work)
        self._namers: list[Namer] = []
        self.name(self.policies)
        self._clock = _before(self.state)
        self._links: dict[tuple[int, int], list[str]] = {}
        self.ask(broker)

    @property
    def now(self) -> float:
        """The time of the last event, s."""
        return float(self.state.world[0]["now"])

    @property
    def clock(self) -> float:
        """How far it has come, s: to a time that was reached, else to the last event.

        Just before the first event to begin with.
        """
        return self._clock

    @property
    def arrived(self) -> int:
        """Jobs that were submitted so far."""
        return int(self.state.world[0]["arrived"])

    @property
    def events(self) -> int:
        """Events so far."""
        return int(self.state.world[0]["events"])

    def until(self, time: float = np.inf) -> Stop:
        """Go on with all that happens up to a time; return why it stands still.

        Raises what the broker raised, and `InputError` where it sent a job to a site that it does
        not fit; the run cannot go on then.
        """
        if self._ask.error is not None:
            raise InputError(
                "this run was stopped by an error of its broker or policy; start it again"
            )
        why = advance(self.state, float(time), self.limit, self._ask.pointer)
        if why == STOPPED:
            self._stopped()
        self.stop = _STOPS.get(why, "done")
        if self.stop in ("reached", "done") and np.isfinite(time):
            self._clock = max(self._clock, float(time))
        elif self.events:
            self._clock = max(self._clock, self.now)
        return self.stop

    def ask(self, broker: Callable[..., Any] | None) -> None:
        """Have a broker of the user's own called from now on, if the rules say that one is."""
        fields = self._submitted(broker is not None)
        self._ask = caller(broker, self.state, self.platform.names, fields)

    def name(self, policies: Sequence[Policy]) -> None:
        """Have the sites' policies of order ``called`` name who is next from now on."""
        called, self._namers = self.state.called, []
        self._memories: list[Any] = []
        fields = self._submitted(any(one.order == "called" for one in policies))
        made: dict[object, Namer] = {}
        for s, one in enumerate(policies):
            called[s] = (0, one.window, one.commits, -1, 0, 0)
            if one.memory is not None:
                self._memories.append(one.memory(self.state, s))
                called[s]["memory"] = self._memories[-1].ctypes.data
            if one.choose is not None:
                if one.choose not in made:
                    made[one.choose] = namer(one.choose, self.state, self.platform.names, fields)
                called[s]["address"] = made[one.choose].address
        self._namers = list(made.values())

    def see(self, submit: NDArray[np.float64]) -> None:
        """Let a compiled broker, which has a copy of the jobs, see their times of submission."""
        if self._ask.kept is not None:
            self._ask.kept[1]["submit"] = submit

    def look(self) -> pl.DataFrame:
        """Return the sites as they stand, at the price of what runs, not of all jobs.

        Columns: site; queued, running, busy_cores; open, the share of the cores that may be used;
        coming, jobs on their way there; finished and failed, attempts so far; transfers, those
        that flow for jobs there, and bytes_per_s, their rates together.
        """
        sites = self.state.sites
        site, _, rate = self._flowing()
        pools = self.state.pools
        busy = np.bincount(pools["site"], pools["cores"] - pools["free"], len(sites))
        return pl.DataFrame(
            {
                "site": self.platform.names,
                "queued": sites["queued"].copy(),
                "running": sites["running"].copy(),
                "busy_cores": busy.astype(np.int64),
                "open": sites["open"].copy(),
                "coming": sites["coming"].copy(),
                "finished": sites["finished"].copy(),
                "failed": sites["failed"].copy(),
                "transfers": np.bincount(site, minlength=len(sites)),
                "bytes_per_s": np.bincount(site, rate, len(sites)),
            }
        )

    def links(self) -> pl.DataFrame:
        """Return what flows on each link now: link, transfers, bytes_per_s, use.

        `use` is the share of the bandwidth. A link that is split has a row for each way, and those
        without a transfer have none.
        """
        site, source, rate = self._flowing()
        places = [*self.platform.names, *self.platform.routers]
        width: dict[str, float] = {}
        for link in self.platform.links:
            width |= {link.name + way: link.bandwidth for way in ("", ":up", ":down")}
        pair, of = np.unique(source * len(places) + site, return_inverse=True)
        found: dict[str, list[float]] = {}
        totals = zip(np.bincount(of).tolist(), np.bincount(of, rate).tolist(), strict=True)
        for (count, total), number in zip(totals, pair.tolist(), strict=True):
            ends = divmod(number, len(places))
            if ends not in self._links:
                self._links[ends] = crossed(self.platform, places[ends[0]], places[ends[1]])
            for name in self._links[ends]:
                row = found.setdefault(name, [0, 0.0])
                row[0] += count
                row[1] += total
        rows = [
            (name, int(count), total, total / width[name])
            for name, (count, total) in sorted(found.items())
        ]
        schema = {"link": pl.String, "transfers": pl.Int64}
        schema |= {"bytes_per_s": pl.Float64, "use": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def _flowing(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return of each transfer that flows its job's site, its source and its rate, bytes/s."""
        state = self.state
        slots = state.slots[: int(state.world[0]["slots"])]
        slots = slots[(slots["class_"] >= 0) & (slots["attempt"] >= 0)]
        site = state.attempts["site"][slots["attempt"]].astype(np.int64)
        rate = state.classes["rate"][slots["class_"]]
        return site, slots["source"].astype(np.int64), rate

    def _submitted(self, called: bool) -> dict[str, Any]:
        """Return the records' columns that brokers and policies may see, if any is called."""
        if not called:
            return {}
        schema = TraceSchema.canonical()
        known = [f.name for f in schema if f.known == "submit"]
        return {name: self.demand.frame[name] for name in known if name in self.demand.frame}

    def _stopped(self) -> None:
        """Raise what went wrong at a broker or a policy of the user's own."""
        misled = int(self.state.world[0]["misled"])
        if misled:
            self._misled(misled - 1)
        error, view, answer = self._ask.error, self._ask.view, self._ask.answer
        names = self.platform.names
        if error is None:
            turn = int(self.state.world[0]["turn"])
            told = repr(names[turn] if 0 <= turn < len(names) else turn if view is None else answer)
            job = "a job" if view is None else f"job {self._name(view)!r}"
            error = InputError(
                f"the broker answered {told} for {job}; expected a site where that fits, by name "
                f"or as 0 to {len(names) - 1}, or None"
            )
        self._ask.error = error
        raise error

    def _misled(self, s: int) -> None:
        """Raise what went wrong at a site's policy."""
        error = next((one.error for one in self._namers if one.error is not None), None)
        if error is None:
            error = InputError(
                f"policy {self.policies[s].name!r} answered {int(self.state.world[0]['turn'])} at "
                f"{self.platform.names[s]!r}; expected a row of those that wait, or -1 for scores"
            )
        self._ask.error = error
        raise error

    def _name(self, view: View) -> str:
        return str(self.demand.frame["job_id"][view.job])


def codes_of(policies: Sequence[Policy], platform: Platform) -> dict[str, Any]:
    """Return `Rules.order` and `Rules.backfill` for the policies of a platform's sites."""
    at = dict(zip(platform.names, policies, strict=True))
    return {
        "order": {site: ORDERING[one.order] for site, one in at.items()},
        "backfill": {site: Backfilling[one.backfill.upper()] for site, one in at.items()},
    }


def _values(order: Ordering | Mapping[str, Ordering]) -> Sequence[Ordering]:
    return list(order.values()) if isinstance(order, Mapping) else [order]


def _policies(rules: Rules, platform: Platform) -> tuple[Policy, ...]:
    """Return what the rules say as policies."""

    def of(value: Any, site: str) -> Any:  # noqa: ANN401 - a code, or codes by site
        return value.get(site, 0) if isinstance(value, Mapping) else value

    made = []
    for site in platform.names:
        order = Ordering(of(rules.order, site)).name.lower()
        backfill = Backfilling(of(rules.backfill, site)).name.lower()
        made.append(Policy(f"{order}+{backfill}", order=order, backfill=backfill))  # type: ignore[arg-type]
    return tuple(made)


def _before(state: State) -> float:
    """Return a time just before the first event."""
    first = min([*state.jobs["submit"][:1], state.heap[FIRST]["time"]])
    return float(np.nextafter(first, -np.inf)) if np.isfinite(first) else 0.0


def _bound(work: Workload, rules: Rules, faults: Faults) -> int:
    """Return a number of events that no simulation should need."""
    parts = float(len(work))
    if work.input_file is not None and work.files is not None:
        parts += len(work.input_file) + work.files.bytes[work.input_file].sum() / rules.block
    return 1_000_000 + int(parts * faults.attempts * EVENTS_PER_JOB)
