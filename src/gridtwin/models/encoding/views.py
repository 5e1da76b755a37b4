"""Three views of encoded rows: tokens, states with normal scores, and ranks.

Each comes with its inverse. None needs more than the sizes and masses of the encoder's cells.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from gridtwin.models.encoding.encoder import Cells, Coder, Encoder
from gridtwin.models.encoding.name import Name

__all__ = [
    "SUBTOKENS",
    "Mixed",
    "continua",
    "from_mixed",
    "from_scores",
    "from_tokens",
    "mixed",
    "one_hot",
    "scores",
    "state_sizes",
    "token_masks",
    "token_sizes",
    "tokens",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
SUBTOKENS = 32
"""Into so many equal pieces a place is divided."""
_EDGE = 1e-7
"""Ranks stay this far from 0 and 1, normal scores within about 5.2."""


def _split(coder: Coder) -> NDArray[np.bool_]:
    """Return the cells in which the place says something that the marginals need."""
    if isinstance(coder, Name):
        return np.bincount(coder.cell, coder.width > 0, minlength=coder.size)[: coder.size] > 1
    return np.asarray(coder.part >= 0)


def token_sizes(encoder: Encoder) -> list[int]:
    """Return how many values each token has: two tokens a column, its cell and the piece of it.

    A column whose places say nothing has one token.
    """
    sizes = []
    for coder in encoder.coders.values():
        sizes += [coder.size] + [SUBTOKENS] * bool(_split(coder).any())
    return sizes


def token_masks(encoder: Encoder) -> list[NDArray[np.bool_] | None]:
    """Return for each token that is a piece the cells in which it may differ from 0.

    The cell is the token before. None for a token that is a cell: all its values are allowed.
    """
    masks: list[NDArray[np.bool_] | None] = []
    for coder in encoder.coders.values():
        split = _split(coder)
        masks += [None, split] if split.any() else [None]
    return masks


def tokens(encoder: Encoder, cells: Cells) -> Ints:
    """Return the tokens of encoded rows, (n, tokens)."""
    out: list[Ints] = []
    for k, coder in enumerate(encoder.coders.values()):
        split = _split(coder)
        cell = cells.cell[:, k]
        out.append(cell)
        if split.any():
            piece = np.minimum((cells.place[:, k] * SUBTOKENS).astype(np.int32), SUBTOKENS - 1)
            out.append(np.where(split[cell], piece, 0).astype(np.int32))
    return np.column_stack(out) if out else np.zeros((len(cells), 0), dtype=np.int32)


def from_tokens(encoder: Encoder, values: Ints, rng: np.random.Generator) -> Cells:
    """Return rows for tokens; inside a piece the place is uniform."""
    cells = _empty(len(values), encoder)
    at = 0
    for k, coder in enumerate(encoder.coders.values()):
        split = _split(coder)
        cell = values[:, at]
        cells.cell[:, k] = cell
        at += 1
        if split.any():
            place = (values[:, at] + rng.random(len(values))) / SUBTOKENS
            cells.place[:, k] = np.where(split[cell], place, 0.5)
            at += 1
    return cells


@dataclass(frozen=True)
class Mixed:
    """Rows as a block of floats and one of states.

    `score` (n, columns) is the normal score of a value among those of its continuum, 0 where the
    state is a point; `state` (n, columns) numbers the continua of a column first, then its points:
    atoms, names and no value.
    """

    score: NDArray[np.float32]
    state: Ints


def state_sizes(encoder: Encoder) -> list[int]:
    """Return how many states each column has."""
    return [int(_states(coder)[0].max()) + 1 for coder in encoder.coders.values()]


def continua(encoder: Encoder) -> list[int]:
    """Return how many states of each column, its first ones, have a score."""
    return [len(np.unique(c.part[c.part >= 0])) for c in encoder.coders.values()]


def _states(coder: Coder) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return of each cell: its state, and where in its continuum it begins and how long it is."""
    part, mass = coder.part, np.maximum(coder.mass, 1e-12)
    continua = np.unique(part[part >= 0])
    state = np.empty(coder.size, dtype=np.int64)
    points = part < 0
    state[points] = len(continua) + np.arange(points.sum())
    begin, length = np.zeros(coder.size), np.ones(coder.size)
    for number, which in enumerate(continua):
        rows = np.flatnonzero(part == which)
        share = mass[rows] / mass[rows].sum()
        state[rows], begin[rows], length[rows] = number, np.cumsum(share) - share, share
    return state, begin, length


def mixed(encoder: Encoder, cells: Cells) -> Mixed:
    """Return encoded rows as normal scores and states."""
    out = Mixed(np.zeros(cells.cell.shape, dtype=np.float32), np.zeros_like(cells.cell))
    for k, coder in enumerate(encoder.coders.values()):
        state, begin, length = _states(coder)
        cell = cells.cell[:, k]
        out.state[:, k] = state[cell]
        rank = np.clip(begin[cell] + length[cell] * cells.place[:, k], _EDGE, 1 - _EDGE)
        out.score[:, k] = np.where(coder.part[cell] >= 0, ndtri(rank), 0.0)
    return out


def from_mixed(encoder: Encoder, values: Mixed, rng: np.random.Generator) -> Cells:
    """Return rows for normal scores and states; which name of a bucket is drawn."""
    cells = _empty(len(values.state), encoder)
    for k, coder in enumerate(encoder.coders.values()):
        state, begin, length = _states(coder)
        rank = ndtr(values.score[:, k].astype(np.float64))
        of_state = np.lexsort((begin, state))
        keys = state[of_state] + begin[of_state]
        wanted = values.state[:, k] + np.clip(rank, 0.0, 1 - 1e-9)
        cell = of_state[np.maximum(np.searchsorted(keys, wanted, "right") - 1, 0)]
        place = np.clip((rank - begin[cell]) / length[cell], 0.0, 1.0)
        inside = coder.part[cell] >= 0
        cells.cell[:, k] = cell
        cells.place[:, k] = np.where(inside, place, rng.random(len(cell)))
    return cells


def one_hot(state: Ints, sizes: list[int]) -> NDArray[np.float32]:
    """Return states (n, columns) as indicators (n, sum of sizes)."""
    out = np.zeros((len(state), sum(sizes)), dtype=np.float32)
    first = np.cumsum(sizes) - sizes
    np.put_along_axis(out, state + first[None, :].astype(np.int64), 1.0, axis=1)
    return out


def scores(encoder: Encoder, cells: Cells, *, middle: bool = True) -> Floats:
    """Return each value's rank as a normal score, (n, columns).

    Cells are taken in their order. With `middle` all rows of an atom or a name have the score of
    the middle of its ranks; without, of where the place is in it.
    """
    out = np.empty(cells.cell.shape)
    for k, coder in enumerate(encoder.coders.values()):
        mass = coder.mass
        begin = np.cumsum(mass) - mass
        cell = cells.cell[:, k]
        still = (coder.part[cell] < 0) & middle
        place = np.where(still, 0.5, np.clip(cells.place[:, k], 1e-9, 1 - 1e-9))
        rank = begin[cell] + mass[cell] * place
        out[:, k] = ndtri(np.clip(rank, _EDGE, 1 - _EDGE))
    return out


def from_scores(encoder: Encoder, values: Floats) -> Cells:
    """Return rows for normal scores: the cell is where the rank falls, the place is the rest."""
    cells = _empty(len(values), encoder)
    for k, coder in enumerate(encoder.coders.values()):
        mass = coder.mass
        begin = np.cumsum(mass) - mass
        there = np.flatnonzero(mass > 0)
        rank = ndtr(values[:, k])
        cell = there[np.maximum(np.searchsorted(begin[there], rank, "right") - 1, 0)]
        cells.cell[:, k] = cell
        cells.place[:, k] = np.clip((rank - begin[cell]) / mass[cell], 0.0, 1.0)
    return cells


def _empty(n: int, encoder: Encoder) -> Cells:
    shape = (n, len(encoder.coders))
    return Cells(np.zeros(shape, dtype=np.int32), np.full(shape, 0.5))
