"""Place data while a simulation runs: look every so often, order copies, count what they cost."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.policy.data_view import DataView
from gridtwin.policy.placement import Placer, Step, placement
from gridtwin.sim.assemble import Rules
from gridtwin.sim.engine import simulate
from gridtwin.sim.kernel.codes import Moves, Order
from gridtwin.sim.kernel.orders import carry_out
from gridtwin.sim.result import Result
from gridtwin.sim.run import Simulation, Stop
from gridtwin.trace import JobTable

__all__ = ["DEFINITIONS", "Placed", "Placing", "figures_of", "order", "simulate_with_placement"]

MOST_COPIES = 1_000_000
"""Copies of a run that `simulate_with_placement` allows; memory is taken as they are made."""
DEFINITIONS = {
    "remote_bytes": "bytes that jobs read from other places",
    "placed_bytes": "bytes of placement's copies that arrived",
    "copies": "copies that arrived",
    "removed": "copies that placement removed",
    "refused": "orders that could not be carried out",
    "mean_queue": "start - when the broker had it, s, over attempts that started",
    "mean_stage_in": "last input there - start, s, over the same (0 without inputs)",
    "mean_queue_and_stage_in": "the sum of both, s",
    "decisions": "times that the policy was asked",
    "decision_cpu": "CPU seconds that looking, deciding and ordering took",
}
"""What each of `Placed.figures` means; an undefined one is None."""

COPIES = {
    "file": pl.String,
    "dataset": pl.String,
    "source": pl.String,
    "destination": pl.String,
    "bytes": pl.Float64,
    "start": pl.Float64,
    "end": pl.Float64,
}
_OUT = int(Moves.OUTPUT)


@dataclass(frozen=True)
class Placed:
    """The outcome of a simulation with placement."""

    result: Result
    """Its `transfers` are those of jobs; a note says what placement moved."""
    copies: pl.DataFrame
    """Copies that were ordered: file, dataset, source, destination, bytes, start, end (null: it had
    not arrived when the simulation ended)."""
    figures: dict[str, float | None]
    """See `DEFINITIONS`."""

    def save(self, folder: Path | str) -> None:
        """Write ``copies.parquet`` and ``placement.json``, beside what the result writes."""
        with writing(Path(folder) / "copies.parquet") as path:
            self.copies.write_parquet(path)
        document = {"figures": self.figures, "definitions": DEFINITIONS}
        with writing(Path(folder) / "placement.json") as path:
            path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")


def order(run: Simulation, steps: list[Step], now: float) -> list[Order]:
    """Carry steps out in a simulation that stands at a time; tell what became of each.

    The simulation needs `Rules.copies`. `Order.BUSY`: as many copies as the rules allow are under
    way, or were made; `Order.FULL`: there is no room; and so on.

    Raises
    ------
    InputError
        For files and sites that are not there.
    """
    if not steps:
        return []
    wanted = np.array(steps, np.int64).reshape(-1, 3)
    files, sites = len(run.state.file_bytes), len(run.state.sites)
    bad = (wanted[:, :2] < 0).any(axis=1) | (wanted[:, 0] >= files) | (wanted[:, 1] >= sites)
    if bad.any():
        raise InputError(
            f"{steps[int(bad.argmax())]}: expected a file from 0 to {files - 1} and a site from 0 "
            f"to {sites - 1}"
        )
    told = np.empty(len(wanted), np.int64)
    carry_out(run.state, wanted, told, float(now))
    return [_ORDERS[k] for k in told.tolist()]


_ORDERS = tuple(Order)


class Placing:
    """Lets a simulation go on, and a policy place data every `every` seconds of its time."""

    def __init__(self, policy: Placer, every: float) -> None:
        if not 0.0 < every < np.inf:
            raise InputError(f"every: expected a time above 0 s between decisions, got {every}")
        self.policy, self.every = policy, float(every)
        self.decisions = self.removed = self.refused = 0
        self.cpu = 0.0
        self.view: DataView | None = None

    def __call__(self, run: Simulation) -> Stop:
        """Go on until nothing more happens, or the limit of events."""
        begin = run.demand.work.submit[0] if len(run.demand.work) else 0.0
        count = 0
        self.view = DataView(run)
        while run.until(begin + count * self.every) == "reached":
            self.decide(run, begin + count * self.every)
            count += 1
        return run.stop

    def decide(self, run: Simulation, now: float) -> None:
        """Ask the policy, and order what it says."""
        assert self.view is not None
        spent = thread_time()
        self.view.look(now)
        steps = list(self.policy(self.view))
        for step, what in zip(steps, order(run, steps, now), strict=True):
            self.removed += not step.copy and what == Order.DONE
            self.refused += what != Order.DONE
        self.decisions += 1
        self.cpu += thread_time() - spent


def simulate_with_placement(
    jobs: JobTable,
    policy: str | Placer = "none",
    *,
    every: float = 6 * 3600.0,
    seed: int = 0,
    rules: Rules | None = None,
    **options: Any,  # noqa: ANN401 - those of simulate, which names wrong ones
) -> Placed:
    """Simulate jobs while a placement policy copies and removes files.

    Parameters
    ----------
    policy
        A name of `gridtwin.policy.placement.placement_names`, several joined by ``+``, or a
        callable that gets a `DataView` and returns `Step`s.
    every
        s of simulated time between decisions; the first is when the first job is submitted.
    rules
        Its ``copies`` and ``copying`` bound what placement may order; by default a million copies,
        1,000 at the same time.
    options
        Of `gridtwin.sim.engine.simulate`, whose queueing policy is called ``queueing`` here.

    Raises
    ------
    InputError
        For a platform without links, over which nothing can be copied.
    """
    chosen = placement(policy, seed) if isinstance(policy, str) else policy
    name = policy if isinstance(policy, str) else getattr(policy, "__name__", "called")
    rules = rules or Rules()
    if not rules.copies:
        rules = replace(rules, copies=MOST_COPIES)
    placing = Placing(chosen, every)
    ran: list[Simulation] = []

    def drive(run: Simulation) -> None:
        if not run.platform.links:
            raise InputError("the platform has no links, so that nothing can be copied; add some")
        ran.append(run)
        placing(run)

    queueing = options.pop("queueing", None)
    result = simulate(jobs, policy=queueing, seed=seed, rules=rules, drive=drive, **options)
    figures = figures_of(ran[0], placing)
    note = (
        f"placement {name}, every {every:g} s, made {figures['copies']:.0f} copies of "
        f"{figures['placed_bytes']:.4g} bytes, which are not among the jobs' transfers"
    )
    return Placed(
        replace(result, notes=(*result.notes, note)), copies_of(ran[0], placing.view), figures
    )


def copies_of(run: Simulation, view: DataView | None) -> pl.DataFrame:
    """Return the copies that were ordered, as in `Placed.copies`."""
    made = run.state.copies[: int(run.state.world[0]["copies"])]
    places = pl.Series([*run.platform.names, *run.platform.routers], dtype=pl.String)
    files = run.demand.work.files
    listed = files.names if files is not None and files.names is not None else []
    names = pl.Series(list(listed) or [f"file {k}" for k in range(len(run.state.file_bytes))])
    sets = pl.Series([] if view is None else view.dataset_names, dtype=pl.String)
    of = np.zeros(0, np.int64) if view is None else view.dataset
    return pl.DataFrame(
        {
            "file": names.cast(pl.String).gather(made["file"]),
            "dataset": sets.gather(of[made["file"]]),
            "source": places.gather(made["source"]),
            "destination": places.gather(made["node"]),
            "bytes": made["bytes"].copy(),
            "start": made["begin"].copy(),
            "end": pl.Series(made["end"].copy()).fill_nan(None),
        },
        schema_overrides=COPIES,
    )


def figures_of(run: Simulation, placing: Placing) -> dict[str, float | None]:
    """Return the figures of a run as it stands: see `DEFINITIONS`."""
    state = run.state
    moved = state.transfers[: int(state.world[0]["transfers"])]
    far = (moved["kind"] != _OUT) & (moved["source"] != moved["destination"])
    made = state.copies[: int(state.world[0]["copies"])]
    arrived = made[~np.isnan(made["end"])]
    rows = state.attempts[: int(state.world[0]["attempts"])]
    rows = rows[~np.isnan(rows["start"]) & ~run.demand.local[rows["job"]]]
    queue = rows["start"] - rows["ready"]
    last = np.where(np.isnan(rows["staged"]), rows["start"], rows["staged"])
    staging = last - rows["start"]
    some = len(rows) > 0
    return {
        "remote_bytes": float(moved["bytes"][far].sum()),
        "placed_bytes": float(arrived["bytes"].sum()),
        "copies": len(arrived),
        "removed": placing.removed,
        "refused": placing.refused,
        "mean_queue": float(queue.mean()) if some else None,
        "mean_stage_in": float(staging.mean()) if some else None,
        "mean_queue_and_stage_in": float((queue + staging).mean()) if some else None,
        "decisions": placing.decisions,
        "decision_cpu": placing.cpu,
    }
