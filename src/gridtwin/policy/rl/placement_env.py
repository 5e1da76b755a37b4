"""An environment of gymnasium that places a data set every so often; importing registers it.

``gymnasium.make("gridtwin.policy.rl.placement_env:gridtwin/Placement-v0", scene=...)``. Jobs are
sent to sites by a broker; every `every` s of simulated time the kernel stands still, and an action
copies one data set to one site, or nothing.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.data_view import DataView
from gridtwin.policy.placement import Room
from gridtwin.policy.placing import MOST_COPIES, order
from gridtwin.policy.rl.grid_envs import Beside, GridEnv, register
from gridtwin.policy.rl.scene import Scene, example
from gridtwin.policy.rl.settled import Costs, Objective
from gridtwin.sim.brokers import Broker, Chooser, brokerage, chooser_of
from gridtwin.sim.kernel.codes import Order
from gridtwin.sim.run import Simulation

__all__ = ["FEATURES", "PlaceData", "candidates", "many"]

FEATURES = (
    *("may be chosen", "missing", "seconds", "waiting bytes", "waiting inputs", "moved bytes"),
    *("sites with all of it", "size of the site", "load", "room left", "stored"),
)
"""What each row says of a data set at a site; row 0 is to do nothing. Bytes, seconds and counts are
logs as shares of that of 1 PB, 10,000,000 s and 10,000."""

_RECENT = 86400.0


class PlaceData(GridEnv):
    """One sequence of jobs; each step may copy a data set; the end is when all jobs have ended.

    Parameters
    ----------
    scene
        By default `gridtwin.policy.rl.scene.example`; its platform needs links.
    length
        Jobs of a sequence.
    every
        s of simulated time from one step to the next; the first is at the first submission.
    window
        Rows: nothing, and ``window - 1`` pairs of a data set and a site, those first whose jobs
        wait for most bytes or have moved most in the last day (`candidates`).
    objective
        What the rewards add up to, negative: `gridtwin.policy.rl.settled.Objective`, and `price`.
    price
        What a copied byte costs beside one that a job reads from elsewhere: the reward of a step
        has ``price`` times the bytes ordered, as a share of all inputs' bytes, less.
    broker
        Who sends jobs to sites, as in `gridtwin.simulate`.
    flat, strict
        As in `gridtwin.policy.rl.brokerage_env.Brokerage`.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        *,
        length: int = 1000,
        every: float = 1800.0,
        window: int = 32,
        objective: Objective = "remote",
        price: float = 0.1,
        broker: Broker | str | Chooser = "least_loaded",
        flat: bool = False,
        strict: bool = False,
    ) -> None:
        scene = example() if scene is None else scene
        if not scene.platform.links:
            raise InputError("the platform has no links, so that nothing can be copied; add some")
        if window < 2 or not 0.0 < every < np.inf or not price >= 0.0:
            raise InputError(
                f"window {window}, every {every} s, price {price}; expected 2 or more, more than "
                "0 s, 0 or more"
            )
        super().__init__(scene, length, (window, len(FEATURES)), flat=flat, strict=strict)
        self.every, self.objective, self.price, self.broker = every, objective, price, broker

    def _begin(self) -> None:
        scene = self.scene
        part = scene.part(self.first, self.length)
        rules = replace(scene.rules, copies=scene.rules.copies or MOST_COPIES)
        chooser = chooser_of(self.broker, self.first)
        self.run = Simulation(
            scene.platform,
            part,
            rules=replace(rules, broker=brokerage(self.broker)),
            faults=scene.faults,
            seed=self.first,
            broker=chooser,
        )
        self.view = DataView(self.run)
        """What placement may know."""
        self._costs = Costs(self.run, self.objective)
        state = self.run.state
        self._all = max(float(state.file_bytes[state.input_file].sum()), 1.0)
        self._start, self._count = float(part.work.submit[0]), 0
        self._go()

    def _take(self, action: int) -> tuple[float, bool, bool]:
        spent = 0.0
        if action > 0 and self.run.stop == "reached":
            dataset, site = self.pairs[action - 1]
            steps = Room(self.view, np.inf).take(self.view.files_of(dataset), site)
            told = order(self.run, steps, self.view.now)
            pairs = zip(steps, told, strict=True)
            spent = sum(float(self.view.bytes[s.file]) for s, what in pairs if what == Order.DONE)
        if self.run.stop == "reached":
            self._go()
        stop = self.run.stop
        reward = -self._costs.since() - self.price * spent / self._all
        return reward, stop == "done", stop == "limit"

    def _go(self) -> None:
        """Go on to the next decision, and see what may be copied."""
        now = self._start + self._count * self.every
        self._count += 1
        self.run.until(now)
        self.pairs: list[tuple[int, int]] = []
        self._seen = np.zeros((0, 4))
        self._mask = np.zeros(self._shape[0], bool)
        if self.run.stop == "reached":
            self.view.look(now)
            self.pairs, self._seen = candidates(self.view, self._shape[0] - 1)
            self._mask[: len(self.pairs) + 1] = True

    def _rows(self) -> NDArray[np.float64]:
        rows = np.zeros(self._shape)
        rows[:, 0] = self._mask
        if not self.pairs:
            return rows
        view, n = self.view, len(self.pairs)
        site = np.array(self.pairs)[:, 1]
        seconds, whole = np.zeros(n), np.zeros(n)
        sites = np.arange(len(view.names))
        for k, (d, s) in enumerate(self.pairs):
            files = view.files_of(d)
            seconds[k] = view.seconds(files, np.full(len(files), s)).sum()
            whole[k] = view.has(files[:, None], sites[None]).all(axis=0).sum()
        missing, waiting, inputs, moved = self._seen.T
        load, free = np.minimum(view.load, 1e9), np.minimum(view.free, 1e15)
        rows[1 : n + 1, 1] = _log(missing, 1e15)
        rows[1 : n + 1, 2] = _log(seconds, 1e7)
        rows[1 : n + 1, 3] = _log(waiting, 1e15)
        rows[1 : n + 1, 4] = _log(inputs, 1e4)
        rows[1 : n + 1, 5] = _log(moved, 1e15)
        rows[1 : n + 1, 6] = whole / len(view.names)
        rows[1 : n + 1, 7] = view.cores[site] / max(view.cores.max(), 1)
        rows[1 : n + 1, 8] = load[site] / (1.0 + load[site])
        rows[1 : n + 1, 9] = _log(np.maximum(free[site], 0.0), 1e15)
        rows[1 : n + 1, 10] = _log(view.stored[site], 1e15)
        return rows


def candidates(view: DataView, most: int) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    """Return pairs of a data set and a site to which it may be copied, and figures of each.

    Those whose queued jobs lack most bytes or whose jobs moved most there in the last day (the sum
    of both), the first first. The figures, one row each: bytes missing there, bytes and inputs that
    queued jobs lack, bytes moved.
    """
    sites = len(view.names)
    file, site = view.waiting["file"], view.waiting["site"]
    lacks = ~view.has(file, site)
    late = view.moves["time"] > view.now - _RECENT
    queued = view.dataset[file[lacks]] * sites + site[lacks]
    moved = view.dataset[view.moves["file"][late]] * sites + view.moves["site"][late]
    keys = np.unique(np.concatenate([queued, moved]))
    figures = np.zeros((len(keys), 4))
    at = np.searchsorted(keys, queued)
    np.add.at(figures[:, 1], at, view.bytes[file[lacks]])
    np.add.at(figures[:, 2], at, 1.0)
    np.add.at(figures[:, 3], np.searchsorted(keys, moved), view.moves["bytes"][late])
    pairs, rows = list[tuple[int, int]](), []
    for k in np.argsort(-(figures[:, 1] + figures[:, 3]), kind="stable").tolist():
        dataset, to = divmod(int(keys[k]), sites)
        files = view.files_of(dataset)
        missing = float(view.bytes[files[~view.has(files, np.full(len(files), to))]].sum())
        if missing > 0.0 and view.may_hold[to] and view.free[to] > 0.0:
            pairs.append((dataset, to))
            rows.append([missing, *figures[k, 1:]])
        if len(pairs) == most:
            break
    return pairs, np.array(rows).reshape(-1, 4)


def _log(values: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    return np.asarray(np.log1p(np.minimum(values, most)) / np.log1p(most))


def many(
    num_envs: int = 1,
    scene: Scene | None = None,
    *,
    autoreset_mode: str = "SameStep",
    copy: bool = True,
    **options: Any,  # noqa: ANN401 - those of PlaceData, which names wrong ones
) -> Beside:
    """Return `num_envs` environments beside each other, which share the scene."""
    scene = example() if scene is None else scene
    envs = [PlaceData(scene, **options) for _ in range(num_envs)]
    return Beside(envs, autoreset_mode=autoreset_mode, copy=copy)


register("Placement", PlaceData, many)
