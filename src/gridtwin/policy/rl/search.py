"""Learn a priority without gradients: weights drawn around a mean, tried on whole sequences.

``cem``, the cross-entropy method (Rubinstein, 1999; diagonal): mean and spread of the best quarter
become those of the next round. ``es``, evolution strategies (Salimans et al., 2017): the mean moves
along the draws, weighted by rank, in pairs of both signs; for nets, which have many weights.

Both begin at the best of `FAMILY`, scores known to be good. What they reach, or what is half way,
is kept only if it is better on sequences held out, beyond doubt (two standard errors): sequences
are few, and what they teach by chance is not wanted. F1 to F4 look at how old the trace is, which
later sequences are not like: no search begins there, and ``log_submit`` stays 0. Each round is a
function of the seed and of its number, so that a training that was killed goes on as if it had not
been.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.checkpoint import keep, kept
from gridtwin.policy.rl.features import FEATURES, MOVING, static_features
from gridtwin.policy.rl.foresight import foresight as learn_foresight
from gridtwin.policy.rl.priority import Searched
from gridtwin.policy.rl.windows import CALM, beginnings, mixed, reference, span
from gridtwin.sim.policies import Backfill

__all__ = ["FAMILY", "Found", "Method", "Objective", "Plan", "longer", "search"]

Method = Literal["cem", "es"]
Objective = Literal["bsld", "wait"]
Weights = NDArray[np.float64]


class Start(NamedTuple):
    """Where a search may begin: (1 - share) log r + share log r' + power log n - bonus if it fits.

    r is the requested time, r' the likely one, n the processors. Without share and bonus: shortest
    first (power 0), Smith's rule for weights 1 / r (0.5), smallest area (1), and F2 without its age
    (2).
    """

    share: float
    power: float
    bonus: float


FAMILY = [
    Start(share, power, bonus)
    for share in (0.0, 0.5, 1.0)
    for power in (0.0, 0.5, 1.0, 2.0)
    for bonus in (0.0, 1.0, 2.0)
]

_SCALE = 0.3  # of moving features, roughly
_AVERAGED = 8
_MONTH = float(np.log1p(30 * 86400.0))
_FITTING = [c for c, name in enumerate(FEATURES) if name.startswith("fits")]
_REQUEST, _WIDTH, _LIKELY, _FITS, _AGE = (
    FEATURES.index(name) for name in ("request", "width", "likely", "fits", "log_submit")
)


@dataclass(frozen=True)
class Plan:
    """How to search."""

    method: Method = "cem"
    hidden: tuple[int, ...] = ()
    """Units of the net's inner layers; empty: the score is linear."""
    backfill: Backfill = "none"
    objective: Objective = "bsld"
    rounds: int = 24
    candidates: int = 32
    sequences: int = 32
    """Each candidate of a round is tried on these."""
    length: int = 1024
    copies: int = 8
    """Of the trace: as it is, and mixed anew (`gridtwin.policy.rl.windows.mixed`)."""
    restarts: int = 2
    """Searches, each from another of `FAMILY`, the best first."""
    spread: float = 0.06
    """Standard deviation of the first draws; the mean has length 1."""
    foresight: bool = False
    """Whether run times are learnt first (`gridtwin.policy.rl.foresight`), for ``likely``."""
    blind: bool = False
    """Whether what fits now is not looked at."""
    held_out: float = 0.2
    """Share of the trace, its end, that decides what is kept."""
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.rounds, self.sequences, self.length, self.restarts)
        if min(counts) < 1 or self.candidates < 4 or self.candidates % 2 or self.copies < 1:
            raise InputError(
                "a search needs a round, a sequence, a job, a restart, and an even number of "
                "candidates, 4 or more"
            )
        if not 0 < self.held_out < 1 or not self.spread > 0:
            raise InputError("the share held out lies between 0 and 1, the spread above 0")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the layers, as `Searched` takes them."""
        return (len(FEATURES), *self.hidden, 1) if self.hidden else ()


@dataclass(frozen=True)
class Found:
    """What a search found."""

    weights: Weights
    plan: Plan
    foresight: Weights | None
    """Weights of `gridtwin.policy.rl.foresight`."""
    begun: Start
    """Of `FAMILY`, where the kept weights began."""
    gain: float
    """Mean log ratio of the objective to where it began, on what was held out; below 0 is better.
    0: nothing better was found, and that is what was kept."""
    steps: int
    """Jobs that were started in all."""
    rounds: list[tuple[float, float]]
    """Of each round, mean log objective of the mean, and the mean spread."""

    @property
    def arrays(self) -> dict[str, Weights]:
        """Return what `gridtwin.policy.rl.saved.Learnt` keeps of it."""
        some = {} if self.foresight is None else {"foresight": self.foresight}
        return {"weights": self.weights, **some}


class _Ground:
    """Sequences to try weights on; weights here are those of features of deviation 1."""

    def __init__(
        self, stream: Stream, plan: Plan, seed: int, count: int, foresight: Weights | None
    ) -> None:
        rng = np.random.default_rng([plan.seed, seed])
        self.length = min(plan.length, len(stream))
        first = beginnings(len(stream), plan.copies, self.length, count, rng)
        whole = mixed(stream, plan.copies, rng)
        busy = first[reference(whole, first, self.length, plan.backfill) > CALM]
        self.first = busy if len(busy) >= 8 else first
        self.searched = Searched(
            whole, self.length, backfill=plan.backfill, sizes=plan.sizes, foresight=foresight
        )
        self.column = 0 if plan.objective == "bsld" else 1

    def try_all(self, weights: Weights, first: NDArray[np.int64]) -> Weights:
        """Return log objective of each row of weights on each sequence, (C, S)."""
        figures = self.searched.figures(weights, first)[:, :, self.column]
        return np.asarray(np.log(figures + self.column))


class _Scaling:
    """Between weights as searched and those of the features as they are."""

    def __init__(self, stream: Stream, plan: Plan) -> None:
        static = static_features(stream)
        self.scale = np.concatenate([static.std(0) + 1e-9, np.full(len(MOVING), _SCALE)])
        self.mean = np.concatenate([static.mean(0), np.zeros(len(MOVING))])
        self.units = plan.hidden[0] if plan.hidden else 0
        self.size = float(max(stream.cores, 1))

    def family(self, size: int) -> Weights:
        """Return weights of `FAMILY`, (H, size), the linear part of length 1."""
        rows = np.zeros((len(FAMILY), size))
        for row, start in zip(rows, FAMILY, strict=True):
            row[_REQUEST] = (1 - start.share) * _MONTH
            row[_LIKELY] = start.share * _MONTH
            row[_WIDTH] = start.power * np.log1p(self.size)
            row[_FITS] = -start.bonus
        rows[:, : len(FEATURES)] *= self.scale
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def plain(self, weights: Weights) -> Weights:
        """Return weights (C, W) of the features as they are."""
        out, f = np.array(weights, np.float64, ndmin=2), len(FEATURES)
        out[:, :f] /= self.scale
        if self.units:
            end = f + self.units * f
            first = out[:, f:end].reshape(len(out), self.units, f) / self.scale
            out[:, f:end] = first.reshape(len(out), -1)
            out[:, end : end + self.units] -= first @ self.mean
        return out


def search(
    stream: Stream,
    plan: Plan | None = None,
    *,
    folder: Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Found:
    """Search for weights that make an objective small on a trace's sequences.

    With a `folder`, the state is kept there after each round, and a search that finds one of the
    same plan and jobs goes on from it.

    Notes
    -----
    Memory: about 250 bytes a job of the trace and copy.
    """
    plan = Plan() if plan is None else plan
    if len(stream) < 50:
        raise InputError(f"{len(stream)} jobs are too few to learn from; give 50 or more")
    scaling = _Scaling(stream, plan)
    cut = 1 - plan.held_out
    past = span(stream, 0.0, cut)
    foresight = learn_foresight(past, plan.seed) if plan.foresight else None
    ground = _Ground(past, plan, 1, max(6 * plan.sequences, 64), foresight)
    judge = _Ground(span(stream, cut, 1.0), plan, 2, max(4 * plan.sequences, 64), foresight)
    rows = scaling.family(judge.searched.weights)
    order = _best(rows, ground, judge, scaling, plan)
    climb = _Climb(plan, ground, scaling, _fingerprint(stream), folder, progress)
    tops = np.array([climb.run(number, rows[k]) for number, k in enumerate(order)])
    some = np.vstack([rows[order], tops, (rows[order] + tops) / 2])
    final = judge.try_all(scaling.plain(some), judge.first)
    begun = int(final[: len(order)].mean(1).argmin())
    gains = final - final[begun]
    doubt = 2.0 * gains.std(1) / np.sqrt(gains.shape[1])
    best = int(np.where(gains.mean(1) < -doubt, gains.mean(1), 0.0).argmin())
    best = best if gains[best].mean() < -doubt[best] else begun
    return Found(
        scaling.plain(some[best])[0],
        plan,
        foresight,
        FAMILY[order[begun]],
        float(gains[best].mean()),
        climb.steps,
        climb.told,
    )


def _best(
    rows: Weights, ground: _Ground, judge: _Ground, scaling: _Scaling, plan: Plan
) -> NDArray[np.int64]:
    """Return the best of `FAMILY`, as many as there are restarts; half the word is the end's.

    All are tried on a quarter of the sequences, the best eight of these on all.
    """
    some = np.array([k for k, start in enumerate(FAMILY) if not (plan.blind and start.bonus)])
    for share in (4, 1):
        tried = scaling.plain(rows[some])
        value = sum(one.try_all(tried, one.first[::share]).mean(1) for one in (ground, judge))
        some = some[np.argsort(value, kind="stable")][: max(8, plan.restarts)]
    return some[: plan.restarts]


def _fingerprint(stream: Stream) -> list[float]:
    sums = (stream.submit.sum(), stream.run.sum(), stream.request.sum(), stream.need.sum())
    return [float(len(stream)), float(stream.cores), *map(float, sums)]


class _Climb:
    """The rounds, and where they stand."""

    def __init__(
        self,
        plan: Plan,
        ground: _Ground,
        scaling: _Scaling,
        jobs: list[float],
        folder: Path | str | None,
        progress: Callable[[str], None],
    ) -> None:
        self.plan, self.ground, self.scaling, self.progress = plan, ground, scaling, progress
        self.path = None if folder is None else Path(folder) / "state.safetensors"
        self.of = json.loads(json.dumps({"plan": asdict(plan), "jobs": jobs}))
        self.steps, self.told = 0, list[tuple[float, float]]()
        self.arrays: dict[str, Weights] = {}
        self.restart = self.round = 0
        if self.path is not None and self.path.exists():
            self._resume(self.path)

    def run(self, restart: int, begin: Weights) -> Weights:
        """Search from weights; return the mean of the last means."""
        if restart < self.restart:
            return self.arrays[f"reached{restart}"]
        if restart > self.restart or "mean" not in self.arrays:
            self.restart, self.round = restart, 0
            self._begin(begin)
        while self.round < self.plan.rounds:
            self._round()
            self.round += 1
            self._keep()
        reached = self.arrays["recent"].mean(0)
        self.arrays[f"reached{restart}"] = reached
        return reached

    def _begin(self, begin: Weights) -> None:
        mean, plan = begin.copy(), self.plan
        if plan.hidden:  # inner weights at random, outer ones 0: the score is the heuristic's
            rng = np.random.default_rng([plan.seed, 3, self.restart])
            inner = len(mean) - len(FEATURES) - plan.hidden[-1] - 1
            mean[len(FEATURES) : len(FEATURES) + inner] = rng.normal(
                0.0, 1.0 / np.sqrt(len(FEATURES)), inner
            )
        spread = np.full(len(mean), plan.spread)
        spread[_AGE] = 0.0
        spread[_FITTING] *= not plan.blind
        self.arrays |= {"mean": mean, "sd": spread}
        self.arrays["recent"] = mean[None]

    def _round(self) -> None:
        plan, arrays, ground = self.plan, self.arrays, self.ground
        rng = np.random.default_rng([plan.seed, 4, self.restart, self.round])
        count = min(plan.sequences, len(ground.first))
        first = np.sort(rng.choice(ground.first, count, replace=False))
        half = rng.standard_normal((plan.candidates // 2, len(arrays["mean"])))
        draws = np.concatenate([half, -half])
        tried = arrays["mean"] + arrays["sd"] * draws
        rows = self.scaling.plain(np.vstack([arrays["mean"][None], tried]))
        value = ground.try_all(rows, first).mean(1)
        if plan.method == "cem":
            best = np.argsort(value[1:], kind="stable")[: plan.candidates // 4]
            mean = tried[best].mean(0)
            arrays["sd"] = 0.5 * arrays["sd"] + 0.5 * tried[best].std(0)
        else:
            rank = np.argsort(np.argsort(value[1:], kind="stable")) / (plan.candidates - 1) - 0.5
            mean = arrays["mean"] - arrays["sd"] * (rank @ draws) * 4 / plan.candidates
        linear = np.linalg.norm(mean[: len(FEATURES)])
        if not plan.hidden:  # only the direction matters
            mean, arrays["sd"] = mean / linear, arrays["sd"] / linear
        arrays["mean"] = mean
        arrays["recent"] = np.concatenate([arrays["recent"], mean[None]])[-_AVERAGED:]
        self.steps += len(rows) * count * ground.length
        self.told.append((float(value[0]), float(arrays["sd"].mean())))
        self.progress(
            f"search {self.restart + 1}, round {self.round + 1}: mean log {plan.objective} "
            f"{value[0]:.3f}, spread {self.told[-1][1]:.3f}"
        )

    def _keep(self) -> None:
        if self.path is not None:
            where = {"restart": self.restart, "round": self.round, "steps": self.steps}
            keep(self.path, self.arrays, self.of | where | {"told": self.told})

    def _resume(self, path: Path) -> None:
        self.arrays, document = kept(path)
        if any(document.get(key) != value for key, value in self.of.items()):
            raise FormatError(
                f"{path}: a search of another plan or other jobs; choose another folder"
            )
        self.restart, self.round = document["restart"], document["round"]
        self.steps = document["steps"]
        self.told = [(a, b) for a, b in document["told"]]
        self.progress(f"goes on after round {self.round} of search {self.restart + 1}")


def longer(plan: Plan, steps: int) -> Plan:
    """Return the plan with as many rounds as that many steps pay for."""
    each = (plan.candidates + 1) * plan.sequences * plan.length * plan.restarts
    return replace(plan, rounds=max(1, steps // each))
