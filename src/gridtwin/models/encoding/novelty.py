"""What an encoder has not seen: values that it would quietly take for the nearest ones it knows."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.encoding.columns import read_columns
from gridtwin.models.encoding.encoder import Encoder, Follower
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.number import Number
from gridtwin.models.encoding.relative import Relative

__all__ = ["broken", "novelty"]

Floats = NDArray[np.float64]


def novelty(encoder: Encoder, frame: pl.DataFrame, rows: int) -> tuple[Floats, Floats]:
    """Return what a model of cells cannot say of each value, two arrays (n, columns) in nats.

    The first is to be *added* to what the model says: which name of a bucket it is, how far out in
    a tail. The second is to be taken *instead*, NaN where the value is known: for a value that no
    training row has, the chance of such a value (Good, Biometrika 40, 1953: the share of those
    seen once), and for a number outside the range seen the distance on a log scale besides.

    Parameters
    ----------
    frame
        As `with_instants` returns it.
    rows
        How many rows the encoder was fitted on.
    """
    bases = [name for base in encoder.bases.values() for name in base]
    columns = {
        c.name: c for c in read_columns(frame, list(dict.fromkeys([*encoder.coders, *bases])))
    }
    values = {name: column.values for name, column in columns.items()}
    more = np.zeros((frame.height, len(encoder.coders)))
    instead = np.full_like(more, np.nan)
    for k, (name, coder) in enumerate(encoder.coders.items()):
        if isinstance(coder, Name):
            found = _of_name(coder, columns[name].vocabulary or (), values[name], rows)
        elif isinstance(coder, Relative):
            base = np.prod([values[other] for other in encoder.bases[name]], axis=0)
            found = _of_relative(coder, values[name], base, rows)
        else:
            found = _of_number(coder, values[name], rows)
        more[:, k], instead[:, k] = found
    return more, instead


def broken(encoder: Encoder, frame: pl.DataFrame, rows: int) -> dict[str, Floats]:
    """Return for each column that follows another one what a break of that costs, in nats.

    A dependency that held in all `rows` rows is broken with a chance of one in so many. Values of
    the leader that were not seen say nothing of the follower.
    """
    names = dict.fromkeys(c for f in encoder.followers for c in (f.leader, f.name))
    columns = {c.name: c for c in read_columns(frame, list(names))}
    coders = {**encoder.coders, **{f.name: f.coder for f in encoder.followers if f.coder}}

    def known(name: str) -> tuple[Floats, NDArray[np.bool_]]:
        coder, column = coders.get(name), columns[name]
        if not isinstance(coder, Name):
            return column.values, np.ones(frame.height, dtype=bool)
        own = coder.index(column.vocabulary or (), column.values)
        return own, _seen(coder, column.vocabulary or (), column.values)

    out: dict[str, Floats] = {}
    for f in encoder.followers:
        leader, there = known(f.leader)
        own, seen = known(f.name)
        there = there & _among(leader, f)
        same = seen & np.isclose(own, f.decode(leader), equal_nan=True)
        out[f.name] = np.where(there & ~same, np.log(rows + 1), 0.0)
    return out


def _among(leader: Floats, follower: Follower) -> NDArray[np.bool_]:
    keys = follower.keys
    return np.asarray(np.isin(leader, keys) | (np.isnan(leader) & np.isnan(keys).any()))


def _seen(coder: Name, vocabulary: tuple[str, ...], codes: Floats) -> NDArray[np.bool_]:
    own = {w for w, width in zip(coder.vocabulary, coder.width, strict=False) if width > 0}
    words = np.array([word in own for word in vocabulary] + [coder.width[-1] > 0])
    return np.asarray(words[np.where(np.isnan(codes), len(vocabulary), codes).astype(np.int64)])


def _of_name(
    coder: Name, vocabulary: tuple[str, ...], codes: Floats, rows: int
) -> tuple[Floats, Floats]:
    seen = _seen(coder, vocabulary, codes)
    own = coder.index(vocabulary, codes)
    own = np.where(np.isnan(own), len(coder.vocabulary), own).astype(np.int64)
    count = coder.width * coder.mass[np.minimum(coder.cell, coder.size - 1)] * rows
    once = int(np.sum(np.round(count[:-1]) == 1))
    more = -np.log(np.where(seen, np.maximum(coder.width[own], 1e-12), 1.0))
    return more, np.where(seen, np.nan, _rate(once, rows))


def _of_number(number: Number, values: Floats, rows: float) -> tuple[Floats, Floats]:
    known = np.isfinite(values)
    cell, place = number.encode(values)
    at = number.tail[0]
    tail = known & (cell == at) & (at >= 0)
    more = np.where(tail, -np.log(np.maximum(1 - place, 1e-12)), 0.0)
    points = (number.part < 0) & ~np.isnan(number.low)
    ends = number.low[~np.isnan(number.low)], number.high[~np.isnan(number.high)]
    if not len(ends[0]):  # there never was a value
        return more, np.where(known, _rate(0, rows), np.nan)
    low, high = float(ends[0].min()), float(ends[1].max())
    beyond = np.maximum(_log(low) - _log(values), _log(values) - _log(high))
    beyond = np.where(known & ~tail, np.maximum(beyond, 0.0), 0.0)
    if len(number.seen):
        strange = known & ~np.isin(values, number.seen)
        chance = _rate(max(0, len(number.seen) - int(points.sum())), rows)
    else:
        strange = known & ((beyond > 0) | (points.all() & ~np.isin(values, number.low)))
        chance = _rate(0, rows)
    instead = np.where(strange & ~tail, chance + beyond, np.nan)
    missing = ~known & (number.options[0] == 0)
    return more, np.where(missing, _rate(0, rows), instead)


def _of_relative(coder: Relative, values: Floats, base: Floats, rows: int) -> tuple[Floats, Floats]:
    more, instead = np.zeros(len(values)), np.full(len(values), _rate(0, rows))
    for part, weight in zip(coder.split(values, base), coder.weights, strict=True):
        more[part.rows], instead[part.rows] = _of_number(part.number, part.inner, weight * rows)
    known = np.isfinite(values)
    missing_seen = coder.weights.sum() < 1 - 1e-12
    instead[~known] = np.nan if missing_seen else _rate(0, rows)
    return more, instead


def _log(values: Floats | float) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _rate(once: int, rows: float) -> float:
    """Return the cost in nats of a value never seen, where `once` values were seen once."""
    return float(-np.log((once + 1) / (rows + 1)))
