"""Loose values by the mode of a normal mixture that they are in: mode-specific normalisation."""

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from gridtwin.models.encoding.encoder import CHUNK, Cells, Coder, Encoder
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.number import Number
from gridtwin.models.encoding.views import Mixed, continua, from_mixed, mixed, state_sizes

__all__ = ["Modes"]

Floats = NDArray[np.float64]
MOST, LIGHTEST = 10, 0.005
"""Modes of a mixture, and the least weight that one keeps."""
WIDE = 4.0
"""A mode reaches so many standard deviations to both sides."""
FITTED_ON = 5_000
"""Values that a mixture is fitted on, drawn from all of them."""


@dataclass(frozen=True)
class Modes:
    """The modes of each column's loose values, on the scale of its places (signed log, or linear).

    A variational normal mixture finds them (Xu et al., NeurIPS 2019): a value is the number of a
    mode and how far it is from the mode's mean, in four standard deviations. As states the modes
    take the place of the continua of `gridtwin.models.encoding.views.mixed`: they come first, then
    the points.
    """

    table: Floats
    """Of each mode its column, which continuum of it, mean, standard deviation and weight in the
    continuum, and the continuum's lowest and highest position, (modes, 7)."""

    @classmethod
    def fit(cls, encoder: Encoder, cells: Cells, rng: np.random.Generator) -> Self:
        """Learn from encoded rows; at most ten modes a continuum, each of 0.5 % or more of it."""
        state = mixed(encoder, cells).state
        found: list[Floats] = []
        for k, coder in enumerate(encoder.coders.values()):
            for number, (first, part) in enumerate(_numbers(coder)):
                rows = state[:, k] == number
                position = part.position(cells.cell[rows, k] - first, cells.place[rows, k])
                if len(position):
                    own, ends = _mixture(position, rng), (position.min(), position.max())
                    each = [np.full((len(own), 2), value) for value in ((k, number), ends)]
                    found.append(np.column_stack([each[0], own, each[1]]))
        return cls(np.concatenate(found) if found else np.zeros((0, 7)))

    def counts(self, encoder: Encoder) -> list[int]:
        """Return how many modes each column has: its first states, those with a score."""
        return [len(self._of(k)) for k in range(len(encoder.coders))]

    def sizes(self, encoder: Encoder) -> list[int]:
        """Return how many states each column has."""
        triples = zip(state_sizes(encoder), continua(encoder), self.counts(encoder), strict=True)
        return [size - loose + own for size, loose, own in triples]

    def mixed(self, encoder: Encoder, cells: Cells, rng: np.random.Generator) -> Mixed:
        """Return encoded rows as modes or points, and scores from -1 to 1, 0 for a point.

        A value's mode is drawn by how likely it is of each.
        """
        out = mixed(encoder, cells)
        out.score[:] = 0.0
        for k, coder in enumerate(encoder.coders.values()):
            modes, before = self._of(k), out.state[:, k].copy()
            numbers = _numbers(coder)
            out.state[:, k] += len(modes) - len(numbers)
            for number, (first, part) in enumerate(numbers):
                own = np.flatnonzero(modes[:, 1] == number)
                every = np.flatnonzero(before == number)
                for begin in range(0, len(every), CHUNK):
                    rows = every[begin : begin + CHUNK]
                    position = part.position(cells.cell[rows, k] - first, cells.place[rows, k])
                    at, score = _assign(position, modes[own], rng)
                    out.state[rows, k], out.score[rows, k] = own[at], score
        return out

    def from_mixed(self, encoder: Encoder, values: Mixed, rng: np.random.Generator) -> Cells:
        """Return rows for modes and scores; a value beyond those of the training rows is cut."""
        state = np.empty_like(values.state)
        for k, coder in enumerate(encoder.coders.values()):
            modes, own = self._of(k), values.state[:, k]
            state[:, k] = own + len(_numbers(coder)) - len(modes)
            loose = own < len(modes)
            state[loose, k] = modes[own[loose], 1]
        cells = from_mixed(encoder, Mixed(np.zeros_like(values.score), state), rng)
        for k, coder in enumerate(encoder.coders.values()):
            for number, (first, part) in enumerate(_numbers(coder)):
                rows = np.flatnonzero(state[:, k] == number)
                mean, deviation, _, low, high = self._of(k)[values.state[rows, k], 2:].T
                position = mean + WIDE * deviation * values.score[rows, k]
                cell, place = part.at(np.clip(position, low, high))
                cells.cell[rows, k], cells.place[rows, k] = cell + first, place
        return cells

    def _of(self, column: int) -> Floats:
        return np.asarray(self.table[self.table[:, 0] == column])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that `from_arrays` takes."""
        return {"modes": self.table}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Undo `to_arrays`."""
        return cls(arrays["modes"])


def _numbers(coder: Coder) -> list[tuple[int, Number]]:
    """Return the numbers of a column that have loose values, with the first cell of each."""
    if isinstance(coder, Name):
        return []
    numbers = (coder,) if isinstance(coder, Number) else coder.numbers
    sizes = [number.size for number in numbers]
    first = [coder.size - sum(sizes[k:]) for k in range(len(sizes))]
    return [pair for pair in zip(first, numbers, strict=True) if (pair[1].part >= 0).any()]


def _mixture(position: Floats, rng: np.random.Generator) -> Floats:
    """Return mean, standard deviation and weight of the modes of some positions, (modes, 3)."""
    if len(position) > FITTED_ON:
        position = rng.choice(position, FITTED_ON, replace=False)
    centre, spread = position.mean(), position.std()
    if not spread > 0:
        return np.array([[centre, 1.0, 1.0]])
    z = ((position - centre) / spread)[:, None]
    mixture = BayesianGaussianMixture(
        n_components=min(MOST, len(np.unique(z))),
        weight_concentration_prior_type="dirichlet_process",
        init_params="k-means++",
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():  # modes that are nearly found do as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(z)
    weight, mean = mixture.weights_, mixture.means_[:, 0]
    kept = weight >= min(LIGHTEST, weight.max())
    deviation = np.sqrt(mixture.covariances_[:, 0, 0])
    weight = weight[kept] / weight[kept].sum()
    return np.column_stack([centre + spread * mean[kept], spread * deviation[kept], weight])


def _assign(
    position: Floats, modes: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """Return a mode for each position, drawn by how likely it is of each, and the place in it."""
    mean, deviation, weight = modes[:, 2:5].T
    off = (position[:, None] - mean) / deviation
    likely = np.log(weight / deviation) - 0.5 * off**2 + rng.gumbel(size=off.shape)
    at = likely.argmax(1)
    return at, np.clip(off[np.arange(len(at)), at] / WIDE, -1.0, 1.0)
