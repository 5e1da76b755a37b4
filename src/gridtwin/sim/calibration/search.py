"""Find the setting of least loss, and how well the loss tells each parameter."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from gridtwin.core.errors import MissingExtraError
from gridtwin.sim.calibration.losses import draws
from gridtwin.sim.calibration.settings import Parameter, Value

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["Known", "Objective", "forward", "optuna", "profile", "search", "simplest", "total"]

Floats = NDArray[np.float64]

_POINTS = 6
_SURE = 1.96
_SIMPLER = 1.0
_GIVEN = 0.1
_TINY = 1e-9
_MANY = 50
_STEP = 0.1
_SEARCHES = 3
_FEWEST_BLOCKS, _FEWEST_TRIALS = 4, 40
_RESAMPLES = 200


class Objective(Protocol):
    """The loss of some values of parameters."""

    weights: Floats
    """The share of each block of time; they sum to 1."""

    def __call__(self, values: dict[str, Value]) -> Floats:
        """Return the loss, a row for each quantity and a column for each block."""
        ...


def total(objective: Objective, values: dict[str, Value]) -> float:
    """Return the loss as one number: the mean over quantities and, by weight, blocks."""
    return float((objective(values) @ objective.weights).mean())


@dataclass(frozen=True)
class Known:
    """What a profile says of a parameter."""

    name: str
    value: Value
    """The fitted one."""
    points: tuple[tuple[Value, float], ...]
    """Values of the parameter, and the least loss found with each, the others fitted again."""
    compatible: tuple[Value, ...]
    """Those whose loss is in no quantity above the fitted one's by more than chance explains: 1.96
    standard errors of the difference over block bootstraps."""

    @property
    def flat(self) -> bool:
        """Whether the records do not tell this parameter: all values are compatible."""
        return len(self.compatible) == len(self.points)


def optuna() -> ModuleType:
    """Return the library, or raise `MissingExtraError`."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("calibration", "Optuna", "tune") from error
    return optuna


def search(
    parameters: Sequence[Parameter],
    objective: Objective,
    starts: Sequence[dict[str, Value]],
    *,
    trials: int,
    seed: int,
) -> tuple[dict[str, Value], float]:
    """Return the best values of a number of trials and their loss.

    Tree-structured Parzen estimators (Bergstra et al., NIPS 2011), which try the `starts` first;
    of 50 trials and more the last third goes downhill from the best (Nelder and Mead, Computer
    Journal 1965), as parameters that make up for each other leave narrow valleys.
    """
    library = optuna()

    def loss(trial: "Trial") -> float:
        return total(objective, {p.name: _suggest(trial, p) for p in parameters})

    last = trials // 3 if trials >= _MANY else 0
    with _quiet(library):
        sampler = library.samplers.TPESampler(seed=seed, n_startup_trials=max(10, trials // 5))
        study = library.create_study(sampler=sampler)
        for start in starts:
            study.enqueue_trial({p.name: p.inside(start[p.name]) for p in parameters})
        study.optimize(loss, n_trials=trials - last)
    best, least = dict(study.best_params), float(study.best_value)
    return _downhill(parameters, objective, best, least, last)


def _downhill(
    parameters: Sequence[Parameter],
    objective: Objective,
    best: dict[str, Value],
    least: float,
    trials: int,
) -> tuple[dict[str, Value], float]:
    """Return the best of some trials more, the choices left as they are."""
    numbers = [p for p in parameters if not p.choices]
    if not numbers or not trials:
        return best, least

    def at(place: Floats) -> dict[str, Value]:
        return best | {p.name: p.at(float(x)) for p, x in zip(numbers, place, strict=True)}

    begin = np.array([p.place(best[p.name]) for p in numbers])
    corners = np.vstack([begin, begin + np.diag(np.where(begin < 0.5, _STEP, -_STEP))])

    def loss(place: Floats) -> float:
        return total(objective, at(place))

    options = {"maxfev": trials, "initial_simplex": corners, "xatol": 1e-4, "fatol": 1e-6}
    bounds = [(0.0, 1.0)] * len(numbers)
    found = minimize(loss, begin, method="Nelder-Mead", bounds=bounds, options=options)  # type: ignore[call-overload]
    return (at(found.x), float(found.fun)) if found.fun < least else (best, least)


def forward(
    parameters: Sequence[Parameter],
    objective: Objective,
    starts: Sequence[dict[str, Value]],
    *,
    trials: int,
    seed: int,
) -> dict[str, Value]:
    """Return values that were found on the earlier blocks and did best on the later ones.

    Very different settings can make much the same queues for a while. So three searches, with a
    quarter of the trials each, see the first 70 % of the blocks; of their results and the first of
    the `starts`, the one of least loss on the other blocks is taken, and refined on all of them
    downhill. Where there are fewer than four blocks or 40 trials, one search sees all.
    """
    early = int(0.7 * len(objective.weights))
    if len(objective.weights) < _FEWEST_BLOCKS or trials < _FEWEST_TRIALS:
        return search(parameters, objective, starts, trials=trials, seed=seed)[0]
    part = _share(objective.weights, slice(None, early))
    later = _Fixed(objective, {}, _share(objective.weights, slice(early, None)))
    found = [{p.name: starts[0][p.name] for p in parameters}]
    for k in range(_SEARCHES):
        first = _Fixed(objective, {}, part)
        there, _ = search(
            parameters,
            first,
            starts,
            trials=trials // (_SEARCHES + 1),
            seed=_SEARCHES * seed + k,
        )
        found.append(there)
    best = min(found, key=lambda values: total(later, values))
    last = trials - _SEARCHES * (trials // (_SEARCHES + 1))
    return _downhill(parameters, objective, best, total(objective, best), last)[0]


def _share(weights: Floats, blocks: slice) -> Floats:
    """Return weights that are 0 outside of some blocks, and sum to 1."""
    out = np.zeros(len(weights))
    out[blocks] = weights[blocks]
    return out / float(out.sum())


def simplest(
    objective: Objective,
    best: dict[str, Value],
    neutral: dict[str, Value],
    *,
    seed: int,
) -> dict[str, Value]:
    """Return `best` with as many values as can be `neutral` at no loss that chance would not make.

    One after the other, what costs least first, as long as the loss in each quantity stays within
    one standard error of the best one's (as Breiman et al., Classification and Regression Trees,
    1984, choose the size of a tree), and nine tenths of what was gained over `neutral` are kept:
    what the records do not ask for is left as it was.
    """
    chosen, least = dict(best), objective(best)
    low = total(objective, best)
    most = low + _GIVEN * max(total(objective, neutral) - low, 0.0) + _TINY
    while True:
        tried = []
        for name in chosen:
            if chosen[name] != neutral[name]:
                some = chosen | {name: neutral[name]}
                loss = total(objective, some)
                if loss <= most and not _worse(objective, some, least, seed, _SIMPLER):
                    tried.append((loss, name))
        if not tried:
            return chosen
        name = min(tried)[1]
        chosen[name] = neutral[name]


def profile(
    parameters: Sequence[Parameter],
    objective: Objective,
    best: dict[str, Value],
    *,
    trials: int,
    seed: int,
) -> list[Known]:
    """Return how the least loss changes with each parameter, the others fitted again.

    Each of the values of a parameter's `Parameter.grid`, and the fitted one, has `trials` trials
    for the others, beginning with the best; the losses are upper bounds of the profile.
    """
    least = objective(best)
    mean = float((least @ objective.weights).mean())
    out = []
    for parameter in parameters:
        name = parameter.name
        points, compatible = [(best[name], mean)], [best[name]]
        for value in parameter.grid(_POINTS):
            if value == best[name]:
                continue
            found = _with_fixed(parameters, objective, best, name, value, trials, seed)
            points.append((value, total(objective, found)))
            if not _worse(objective, found, least, seed, _SURE):
                compatible.append(value)
        out.append(_known(parameter, best[name], points, compatible))
    return out


def _with_fixed(
    parameters: Sequence[Parameter],
    objective: Objective,
    best: dict[str, Value],
    name: str,
    value: Value,
    trials: int,
    seed: int,
) -> dict[str, Value]:
    """Return the best values found with one of them fixed."""
    fixed = {name: value}
    simple = best | fixed
    others = [p for p in parameters if p.name != name]
    if not others or trials < 2:
        return simple
    rest, loss = search(others, _Fixed(objective, fixed), [best], trials=trials, seed=seed)
    return rest | fixed if loss < total(objective, simple) else simple


class _Fixed:
    """An objective with some values fixed, or other weights."""

    def __init__(
        self, objective: Objective, fixed: dict[str, Value], weights: Floats | None = None
    ) -> None:
        self.weights = objective.weights if weights is None else weights
        self._all, self._fixed = objective, fixed

    def __call__(self, values: dict[str, Value]) -> Floats:
        return self._all(values | self._fixed)


def _worse(
    objective: Objective, values: dict[str, Value], least: Floats, seed: int, errors: float
) -> bool:
    """Return whether any quantity's loss is above another one by more than some standard errors.

    The errors are those of the paired difference, over block bootstraps.
    """
    size = objective.weights
    excess = (objective(values) - least) * size
    drawn = draws(len(size), _RESAMPLES, seed)
    error = np.std(excess[:, drawn].sum(axis=2) / size[drawn].sum(axis=1), axis=1)
    return bool((excess.sum(axis=1) > errors * error + _TINY).any())


def _known(
    parameter: Parameter,
    value: Value,
    points: list[tuple[Value, float]],
    compatible: list[Value],
) -> Known:
    if not parameter.choices:
        points.sort()
        compatible.sort()
    return Known(parameter.name, value, tuple(points), tuple(compatible))


def _suggest(trial: "Trial", p: Parameter) -> Value:
    if p.choices:
        return str(trial.suggest_categorical(p.name, p.choices))
    return float(trial.suggest_float(p.name, p.low, p.high, log=p.log))


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Keep the library from saying anything about trials."""
    before = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.ERROR)
    try:
        yield
    finally:
        library.logging.set_verbosity(before)
