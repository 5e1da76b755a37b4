"""An environment of gymnasium in which each step sends a job to a site; importing registers it.

``gymnasium.make("gridtwin.policy.rl.brokerage_env:gridtwin/Brokerage-v0", scene=...)``. The grid
kernel stands still at each job that waits for a site; all else goes on as `gridtwin.simulate` has
it. Retries are decided, too. A job that fits no site is sent to none, without a step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.policy.estimates import History, candidates, times_of
from gridtwin.policy.rl.grid_envs import Beside, GridEnv, register
from gridtwin.policy.rl.scene import Scene, example
from gridtwin.policy.rl.settled import Costs, Objective
from gridtwin.sim.run import Simulation
from gridtwin.sim.view import Told, View

__all__ = ["FEATURES", "Brokerage", "many"]

FEATURES = (
    *("may be chosen", "open", "size", "speed", "load", "free", "queued", "coming"),
    *("input at hand", "seconds of transfer", "seconds of wait", "seconds of run", "failed lately"),
    *("cores", "request", "input", "attempt"),
)
"""What each site's row says: of the site, of the job there, and of the job (the last four).

Sizes are shares of the largest; load l is l / (1 + l); counts, bytes and seconds are logs as shares
of that of 10,000 jobs, 1 PB and 10,000,000 s; failed lately is a mean that halves in 14 attempts.
"""

_MEMORY = 0.95


def _log(values: Any, most: float) -> Any:  # noqa: ANN401 - numbers or arrays
    return np.log1p(np.minimum(values, most)) / np.log1p(most)


class Brokerage(GridEnv):
    """One sequence of jobs; each step sends one to a site, the end is when all have ended.

    Parameters
    ----------
    scene
        By default `gridtwin.policy.rl.scene.example`.
    length
        Jobs of a sequence.
    objective
        What the rewards add up to, negative: `gridtwin.policy.rl.settled.Objective`. They come when
        they are settled, most of them many steps after the decision they are due to, those of the
        last jobs in the last step.
    flat
        Whether the observation is one row of numbers instead of (sites, `FEATURES`).
    strict
        Whether an action that may not be chosen raises `InputError`.

    Notes
    -----
    `view` is what a broker sees, so that any broker of `gridtwin.policy.brokerage` can act:
    ``env.step(broker(env.view))``.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        *,
        length: int = 256,
        objective: Objective = "wait",
        flat: bool = False,
        strict: bool = False,
    ) -> None:
        scene = example() if scene is None else scene
        shape = (len(scene.platform.sites), len(FEATURES))
        super().__init__(scene, length, shape, flat=flat, strict=strict)
        self.objective = objective

    @property
    def view(self) -> View:
        """The grid and the job that waits for a site."""
        assert self._told.view is not None
        return self._told.view

    def _begin(self) -> None:
        scene = self.scene
        self._told, self._history = Told(), History()
        self.run = Simulation(
            scene.platform,
            scene.part(self.first, self.length),
            rules=scene.rules,
            faults=scene.faults,
            seed=self.first,  # faults are the sequence's own, so that it can be replayed
            broker=self._told,
        )
        # a view of its own: what ended is told once by each
        self._own = View(self.run.state, scene.platform.names, {})
        self._failed = np.zeros(len(scene.platform.sites))
        self._costs = Costs(self.run, self.objective)
        self._go()

    def _take(self, action: int) -> tuple[float, bool, bool]:
        if self.run.stop == "asked":
            self._history.sent(self._own)
            self._told.answer = action
            self._go()
        stop = self.run.stop
        return -self._costs.since(), stop == "done", stop == "limit"

    def _go(self) -> None:
        """Go on to the next job that fits somewhere."""
        while self.run.until() == "asked":
            self._own.job = self.view.job
            for row in self._history.learn(self._own):
                site = row["site"]
                self._failed[site] = _MEMORY * self._failed[site] + (1 - _MEMORY) * (
                    not row["finished"]
                )
            self._mask = candidates(self._own)
            if self._mask.any():
                return
            self._told.answer = None
        self._mask = np.zeros(len(self._failed), bool)

    def _rows(self) -> NDArray[np.float64]:
        rows = np.zeros(self._shape)
        if self.run.stop != "asked":
            return rows
        view, size = self._own, np.maximum(self._own.size, 1)
        speed = np.nan_to_num(view.speed, nan=1.0)
        load = np.minimum(view.load, 1e9)
        total, times = float(view.input_bytes.sum()), times_of(view, self._history)
        rows[:, 0] = self._mask
        rows[:, 1] = view.open
        rows[:, 2] = view.size / size.max()
        rows[:, 3] = speed / max(speed.max(), 1e-9)
        rows[:, 4] = load / (1.0 + load)
        rows[:, 5] = view.free / size
        rows[:, 6] = _log(view.queued, 1e4)
        rows[:, 7] = _log(view.coming, 1e4)
        rows[:, 8] = view.local_bytes() / total if total > 0.0 else 1.0
        rows[:, 9] = _log(times.fetch, 1e7)
        rows[:, 10] = _log(times.ready, 1e7)
        rows[:, 11] = _log(times.run, 1e7)
        rows[:, 12] = self._failed
        rows[:, 13] = view.cores / size.max()
        asked = view.estimate
        rows[:, 14] = 0.0 if np.isnan(asked) else _log(asked, 1e7)
        rows[:, 15] = _log(total, 1e15)
        rows[:, 16] = view.attempt / 10.0
        return rows


def many(
    num_envs: int = 1,
    scene: Scene | None = None,
    *,
    autoreset_mode: str = "SameStep",
    copy: bool = True,
    **options: Any,  # noqa: ANN401 - those of Brokerage, which names wrong ones
) -> Beside:
    """Return `num_envs` environments beside each other, which share the scene."""
    scene = example() if scene is None else scene
    envs = [Brokerage(scene, **options) for _ in range(num_envs)]
    return Beside(envs, autoreset_mode=autoreset_mode, copy=copy)


register("Brokerage", Brokerage, many)
