"""The grid kernel, one step at a time: hand it the jobs, let it run, see where it stands."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.demand import Demand
from gridtwin.sim.faults import NO_FAULTS, Faults
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.kernel.grid import ASKED, LIMIT, REACHED, STOPPED, advance
from gridtwin.sim.kernel.state import State
from gridtwin.sim.platform import Platform
from gridtwin.sim.view import View, caller
from gridtwin.sim.workload import Workload
from gridtwin.trace import TraceSchema

__all__ = ["EVENTS_PER_JOB", "Simulation", "Stop"]

Stop = Literal["done", "reached", "limit", "asked"]

EVENTS_PER_JOB = 100
"""The bound on events, for each attempt that could be made and each of its inputs or blocks."""
_LATEST = 1e15
_STOPS: dict[int, Stop] = {REACHED: "reached", LIMIT: "limit", ASKED: "asked"}


class Simulation:
    """A simulation that can be stopped at any time, looked at, and continued.

    `broker` is a callable as in `gridtwin.sim.view.caller`; otherwise the rules say which. A
    `gridtwin.sim.demand.demand` comes from a table; `gridtwin.sim.collect.collected` makes a result
    of what there is.
    """

    def __init__(
        self,
        platform: Platform,
        demand: Demand,
        *,
        rules: Rules | None = None,
        faults: Faults = NO_FAULTS,
        seed: int = 0,
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
        self.faults = faults
        self.seed = seed
        self.stop: Stop = "reached"
        """Why it stands still: all is ``done``, the time is ``reached``, or the ``limit``; or the
        broker was ``asked`` and has no answer yet (`gridtwin.sim.view.Told`)."""
        work = demand.work
        if len(work) and not work.submit[-1] + work.run.sum() < _LATEST:
            raise InputError(
                f"the jobs' times reach beyond {_LATEST:.0e} s; check that they are in seconds"
            )
        if limit is not None and limit < 1:
            raise InputError(f"limit: expected 1 event or more, got {limit}")
        self.limit = _bound(work, self.rules, faults) if limit is None else limit
        """Events after which it stops whatever is left."""
        self.state: State = assemble(platform, work, self.rules, faults, seed)
        self._ask = caller(broker, self.state, platform.names, self._submitted(broker))

    @property
    def now(self) -> float:
        """The time of the last event, s."""
        return float(self.state.world[0]["now"])

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
            raise InputError("this run was stopped by an error of its broker; start it again")
        why = advance(self.state, float(time), self.limit, self._ask.pointer)
        if why == STOPPED:
            self._stopped()
        self.stop = _STOPS.get(why, "done")
        return self.stop

    def look(self) -> pl.DataFrame:
        """Return the sites as they stand: site, queued, running, busy_cores, open."""
        sites = self.state.sites
        pools = self.state.pools
        busy = np.bincount(pools["site"], pools["cores"] - pools["free"], len(sites))
        return pl.DataFrame(
            {
                "site": self.platform.names,
                "queued": sites["queued"].copy(),
                "running": sites["running"].copy(),
                "busy_cores": busy.astype(np.int64),
                "open": sites["open"].copy(),
            }
        )

    def _submitted(self, broker: Callable[..., Any] | None) -> dict[str, Any]:
        """Return the records' columns that a broker may see."""
        if broker is None:
            return {}
        schema = TraceSchema.canonical()
        known = [f.name for f in schema if f.known == "submit"]
        return {name: self.demand.frame[name] for name in known if name in self.demand.frame}

    def _stopped(self) -> None:
        """Raise what went wrong at a broker of the user's own."""
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

    def _name(self, view: View) -> str:
        return str(self.demand.frame["job_id"][view.job])


def _bound(work: Workload, rules: Rules, faults: Faults) -> int:
    """Return a number of events that no simulation should need."""
    parts = float(len(work))
    if work.input_file is not None and work.files is not None:
        parts += len(work.input_file) + work.files.bytes[work.input_file].sum() / rules.block
    return 1_000_000 + int(parts * faults.attempts * EVENTS_PER_JOB)
