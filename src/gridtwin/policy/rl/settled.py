"""What an episode on the grid kernel costs, told as soon as it is settled."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.kernel.codes import Moves
from gridtwin.sim.run import Simulation

__all__ = ["Costs", "Objective"]

Objective = Literal["wait", "turnaround", "makespan", "remote"]
"""``wait``: mean hours from the broker to the last input, over the attempts that got so far or
ended before; ``turnaround``: mean hours from the broker to the end; both sums over attempts, per
job of the sequence. ``makespan``: hours from the first submission to the last end. ``remote``:
bytes that jobs read from other places, as a share of all their inputs' bytes."""

_OUT = int(Moves.OUTPUT)


class Costs:
    """Counts an objective of a run, part by part: each attempt when what it costs is settled."""

    def __init__(self, run: Simulation, objective: Objective) -> None:
        if objective not in get_args(Objective):
            known = ", ".join(get_args(Objective))
            raise InputError(f"objective {objective!r}; expected one of {known}")
        self.run, self.objective = run, objective
        self.total = 0.0
        self._open: NDArray[np.int64] = np.zeros(0, np.int64)
        self._seen = self._moved = 0
        work = run.demand.work
        self._jobs = max(len(work), 1)
        state = run.state
        self._bytes = max(float(state.file_bytes[state.input_file].sum()), 1.0)
        self._reads = np.diff(state.input_ptr) > 0

    def since(self) -> float:
        """Return what was settled since the last call, 0 or more; `total` is the sum."""
        if self.objective == "remote":
            cost = self._remote()
        elif self.objective == "makespan":
            cost = self._makespan()
        else:
            cost = self._times()
        self.total += cost
        return cost

    def _remote(self) -> float:
        state = self.run.state
        last, self._moved = self._moved, int(state.world[0]["transfers"])
        rows = state.transfers[last : self._moved]
        far = (rows["kind"] != _OUT) & (rows["source"] != rows["destination"])
        return float(rows["bytes"][far].sum()) / self._bytes

    def _makespan(self) -> float:
        """Return the hours at once, when nothing more happens."""
        if self.run.stop != "done" or self.total:
            return 0.0
        ends = self.run.state.attempts["end"][: int(self.run.state.world[0]["attempts"])]
        ends = ends[~np.isnan(ends)]
        begin = float(self.run.demand.work.submit[0])
        return (float(ends.max()) - begin) / 3600.0 if len(ends) else 0.0

    def _times(self) -> float:
        state, last = self.run.state, self._seen
        self._seen = int(state.world[0]["attempts"])
        among = np.concatenate([self._open, np.arange(last, self._seen)])
        rows = state.attempts[among]
        until = rows["end"]
        if self.objective == "wait":
            staged = np.where(self._reads[rows["job"]], rows["staged"], rows["start"])
            until = np.where(np.isnan(staged), until, staged)
        over = ~np.isnan(until)
        self._open = among[~over & (rows["site"] >= 0)]
        return float((until[over] - rows["ready"][over]).sum()) / 3600.0 / self._jobs
