"""What a learnt priority knows of a waiting job: numbers, anew at every event; compiled.

It knows what a scheduler knows:

=====================  ==========================================================================
static                 at submission; r the requested time, n the processors, M the machine
``request``            log(1 + r) / log(1 + 30 d), as in the environments
``share``              n / M, as in the environments
``width``              log(1 + n) / log(1 + M)
``request2``           ``request`` squared; so ``width2``
``area``               ``request`` times ``width``
``f1`` ... ``f4``      log10(r) n, sqrt(r) n, r n, r sqrt(n), each over M: terms of F1 to F4
``log_submit``         log10(s), s counted from the trace's first job: the other term of these
---------------------  --------------------------------------------------------------------------
moving                 w the wait
``wait_1h``            w / (w + 1 h), as in the environments; so ``wait_1d``
``wait_request``       w / (w + r), as in the environments
``wait``               w in days
``free``               share of the machine that is free, as in the environments
``crowd``              jobs that wait / (those + 128), as in the environments
``fits``               1 if it fits now, as in the environments
``fits_request``       ``fits`` times ``request``; so ``fits_width``
``crowd_request``      ``crowd`` times ``request``; so ``crowd_width``
``expected``           as ``request``, of the geometric mean run time of the last two ended jobs of
                       the same user, request and processors, else of the user's, else of r; at
                       most r (after Tsafrir et al., IEEE TPDS 2007)
``accuracy``           mean of log(run / r) of the user's ended jobs, halved with each; else 0
``fits_expected``      ``fits`` times ``expected``
``likely``             as ``request``, of the run time that `gridtwin.policy.rl.foresight` expects,
                       where that was learnt; else ``expected``
``fits_likely``        ``fits`` times ``likely``
=====================  ==========================================================================

A sequence begins with an empty machine, so that the jobs of the stream before it count as ended: of
each group of jobs the last eight. F1 to F4 are those of Carastan-Santos and de Camargo, SC 2017.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.policy.batch.stream import Stream
from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare

__all__ = [
    "FEATURES",
    "GROUP",
    "HIDDEN",
    "INPUTS",
    "MOVING",
    "SOURCE",
    "STATIC",
    "Scores",
    "count_ended",
    "groups",
    "inputs_of",
    "score_of",
    "static_features",
    "static_row",
    "walk",
]

STATIC = (
    *("request", "share", "width", "request2", "width2", "area"),
    *("f1", "f2", "f3", "f4", "log_submit"),
)
MOVING = (
    *("wait_1h", "wait_1d", "wait_request", "wait", "free", "crowd"),
    *("fits", "fits_request", "fits_width", "crowd_request", "crowd_width"),
    *("expected", "accuracy", "fits_expected", "likely", "fits_likely"),
)
FEATURES = STATIC + MOVING
INPUTS = 13
"""What `gridtwin.policy.rl.foresight` looks at: `inputs_of`."""
HIDDEN = 16
SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""What changes with this file; kernels built on it refer to it."""
GROUP = 5
"""Columns of `Scores.history`."""
_S, _F = len(STATIC), len(FEATURES)
_HOUR, _DAY = 3600.0, 86400.0
_MONTH = float(np.log1p(30 * _DAY))
_ROOM = 128.0
_REMEMBERED = 8.0


class Scores(NamedTuple):
    """What the scores are made of; n jobs, L of a sequence, U users, G groups."""

    static: NDArray[np.float64]
    """(n, S)."""
    linear: NDArray[np.float64]
    """(F,), the weights of `FEATURES`."""
    sizes: NDArray[np.int64]
    """Inputs, hidden units ..., 1; empty without a net."""
    net: NDArray[np.float64]
    """Of each layer the matrix (outputs, inputs), then the biases."""
    foresight: NDArray[np.float64]
    """Of the net that expects run times; empty without it."""
    group: NDArray[np.int64]
    """(n, 2), rows of `history`: of the job's user, and of those who ask for the same as well."""
    history: NDArray[np.float64]
    """(U + G, 5): `expected`, the last log run time, `accuracy`, ended jobs, and a mean of log run
    times to which each new one adds a quarter."""
    likely: NDArray[np.float64]
    """(L or n,), what was expected of a job last, ..."""
    known: NDArray[np.float64]
    """(L or n,), ... when so many jobs of its user had ended; -1: never."""
    x: NDArray[np.float64]
    """(F,), the features of one job."""
    hidden: NDArray[np.float64]
    """(2, widest layer), `HIDDEN` or more."""


@part
def static_row(
    out: NDArray[np.float64], request: float, width: float, share: float, age: float, size: float
) -> None:
    """Write the static features of a job."""
    r = max(request, 0.0)
    some = r if r > 0.0 else 0.1
    long, wide = np.log1p(r) / _MONTH, np.log1p(width) / np.log1p(size)
    out[0], out[1], out[2] = long, share, wide
    out[3], out[4], out[5] = long * long, wide * wide, long * wide
    out[6] = np.log10(some) * width / size
    out[7] = np.sqrt(some) * width / size
    out[8] = some * width / size
    out[9] = some * np.sqrt(width) / size
    out[10] = np.log10(age if age > 0.0 else 0.1)


@part
def count_ended(history: NDArray[np.float64], row: int, run: float, request: float) -> None:
    """Count a job that ended into a row of the history."""
    long, ratio = np.log1p(run) / _MONTH, np.log((run + 1.0) / (request + 1.0))
    some = history[row, 3] > 0.0
    history[row, 0] = 0.5 * (history[row, 1] + long) if some else long
    history[row, 1] = long
    history[row, 2] = 0.5 * (history[row, 2] + ratio) if some else ratio
    history[row, 3] += 1.0
    history[row, 4] = 0.75 * history[row, 4] + 0.25 * long if some else long


@part
def inputs_of(
    out: NDArray[np.float64],
    static: NDArray[np.float64],
    history: NDArray[np.float64],
    user: int,
    alike: int,
) -> None:
    """Write what is known of a job's run time: the request, and how the groups' jobs ended."""
    out[0], out[1] = static[0], static[2]
    for side in range(2):
        row, at = (alike, 8) if side else (user, 2)
        n = min(history[row, 3], _REMEMBERED)
        out[at] = n / (n + 2.0)
        for c in range(3):
            column = 4 if c == 2 else c
            # where nothing is known of those alike, the user's stands for it, then the request
            known = history[row, column] if n > 0.0 else out[at - 5 + c] if side else static[0]
            out[at + 1 + c] = known
    out[6] = history[user, 2] if history[user, 3] > 0.0 else 0.0
    out[7] = min(out[9], static[0])
    out[12] = 1.0 if history[alike, 3] > 0.0 else 0.0


@rare
def _foresee(sc: Scores, static: NDArray[np.float64], user: int, alike: int) -> float:
    """Return the run time to be expected, as the feature ``request``."""
    x, net, total = sc.hidden[0], sc.foresight, 0.0
    inputs_of(x, static, sc.history, user, alike)
    last = HIDDEN * (INPUTS + 1)
    for o in range(HIDDEN):
        value = net[HIDDEN * INPUTS + o]
        for c in range(INPUTS):
            value += net[o * INPUTS + c] * x[c]
        total += net[last + o] * max(value, 0.0)
    return min(max(total + net[last + HIDDEN], 0.0), 1.2)


@rare
def _through(sc: Scores, j: int) -> float:
    """Return what the net makes of the features."""
    for c in range(_S):
        sc.x[c] = sc.static[j, c]
    at, side, value = 0, 0, 0.0
    for layer in range(len(sc.sizes) - 1):
        inputs, outputs = sc.sizes[layer], sc.sizes[layer + 1]
        for o in range(outputs):
            value = sc.net[at + outputs * inputs + o]
            for c in range(inputs):
                value += sc.net[at + o * inputs + c] * (
                    sc.x[c] if layer == 0 else sc.hidden[side, c]
                )
            sc.hidden[1 - side, o] = max(value, 0.0)
        at += outputs * (inputs + 1)
        side = 1 - side
    return value


@part
def score_of(
    sc: Scores,
    j: int,
    k: int,
    base: float,
    wait: float,
    seconds: float,
    fits: float,
    free: float,
    waiting: int,
) -> float:
    """Return the score of job j, k in its sequence, that asked for so many seconds.

    `base` is the linear part of the static features, `free` a share of the machine.
    """
    x, request, width = sc.x, sc.static[j, 0], sc.static[j, 2]
    crowd = waiting / (waiting + _ROOM)
    user, alike, expected = sc.group[j, 0], sc.group[j, 1], request
    if sc.history[alike, 3] > 0.0:
        expected = min(request, sc.history[alike, 0])
    elif sc.history[user, 3] > 0.0:
        expected = min(request, sc.history[user, 0])
    likely = expected
    if len(sc.foresight) > 0:
        if sc.known[k] != sc.history[user, 3]:
            sc.likely[k] = _foresee(sc, sc.static[j], user, alike)
            sc.known[k] = sc.history[user, 3]
        likely = sc.likely[k]
    x[_S] = wait / (wait + _HOUR)
    x[_S + 1] = wait / (wait + _DAY)
    x[_S + 2] = wait / (wait + max(seconds, 1.0))
    x[_S + 3] = wait / _DAY
    x[_S + 4] = free
    x[_S + 5] = crowd
    x[_S + 6] = fits
    x[_S + 7] = fits * request
    x[_S + 8] = fits * width
    x[_S + 9] = crowd * request
    x[_S + 10] = crowd * width
    x[_S + 11] = expected
    x[_S + 12] = sc.history[user, 2] if sc.history[user, 3] > 0.0 else 0.0
    x[_S + 13] = fits * expected
    x[_S + 14] = likely
    x[_S + 15] = fits * likely
    score = base
    for c in range(_S, _F):
        score += sc.linear[c] * x[c]
    if len(sc.sizes) > 0:
        score += _through(sc, j)
    return score


def _rows(request, width, need, submit, cores, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for j in range(len(out)):
        static_row(out[j], request[j], width[j], need[j] / cores, submit[j], cores)


_static_rows: Compiled = compiled(_rows)


def _walk(order, run, request, static, group, history, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = len(run)
    for p in range(len(order)):
        j = order[p] % n
        if order[p] < n:
            for side in range(2):
                count_ended(history, group[j, side], run[j], request[j])
        else:
            inputs_of(out[order[p] - n], static[j], history, group[j, 0], group[j, 1])


walk: Compiled = compiled(_walk)
"""``walk(order, run, request, static, group, history, out)``: go through events of n jobs: of those
below n the job ends, of the others e the inputs are written to row e - n of `out`."""


def static_features(stream: Stream) -> NDArray[np.float64]:
    """Return the static features of a stream's jobs, (n, S)."""
    out = np.empty((len(stream), _S))
    submit = stream.submit - (stream.submit.min() if len(stream) else 0.0)
    width, need = stream.width.astype(np.float64), stream.need.astype(np.float64)
    _static_rows(stream.request, width, need, submit, float(max(stream.cores, 1)), out)
    return out


def groups(
    user: NDArray[np.int64], request: NDArray[np.float64], width: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the two groups of each job, and the job before it in each, (n, 2) both."""
    who = np.unique(user, return_inverse=True)[1]
    alike = np.stack([user, request, width], axis=1)
    same = np.unique(alike, axis=0, return_inverse=True)[1].ravel()
    group = np.stack([who, same + who.max(initial=-1) + 1], axis=1).astype(np.int64)
    before = np.full(group.shape, -1, np.int64)
    for side in range(2):
        order = np.argsort(group[:, side], kind="stable")
        again = np.flatnonzero(np.diff(group[order, side]) == 0)
        before[order[again + 1], side] = order[again]
    return group, before
