"""Learn how long jobs run, from what is known when they wait.

A net of one layer takes the request and how the user's earlier jobs ended, those that asked for the
same apart, and gives the mean log run time: what orders a queue better than the requests, which are
round and several times too long (Tsafrir et al., IEEE TPDS 2007; Gaussier et al., SC 2015). It
knows no user by name, so that it holds for new ones.
"""

import numpy as np
from numpy.typing import NDArray

from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.features import (
    GROUP,
    HIDDEN,
    INPUTS,
    groups,
    static_features,
    walk,
)

__all__ = ["WEIGHTS", "examples", "foresight"]

WEIGHTS = HIDDEN * (INPUTS + 2) + 1
_MONTH = float(np.log1p(30 * 86400.0))
Array = NDArray[np.float64]


def examples(stream: Stream) -> tuple[Array, Array]:
    """Return what was known of each job when it came, then when it started, and how long it ran.

    Starts are those under the smallest area first with EASY backfilling. Arrays (2 n, `INPUTS`) and
    (2 n,), the latter as the feature ``request``.
    """
    start = start_times(stream, "saf", backfill="easy")[0]
    n, request = len(stream), np.maximum(stream.request, 0.0)
    times = np.concatenate([start + stream.run, stream.submit, start])
    order = np.lexsort((np.arange(3 * n), times))  # ends come first
    group, _ = groups(stream.user, stream.request, stream.width)
    history, out = np.zeros((int(group.max()) + 1, GROUP)), np.zeros((2 * n, INPUTS))
    walk(order, stream.run, request, static_features(stream), group, history, out)
    return out, np.tile(np.log1p(stream.run) / _MONTH, 2)


def foresight(stream: Stream, seed: int = 0, *, passes: int = 12, batch: int = 256) -> Array:
    """Learn the weights, `WEIGHTS` numbers, by Adam (Kingma and Ba, 2015) on squared errors."""
    x, y = examples(stream)
    mean, scale = x.mean(0), x.std(0) + 0.05
    x = (x - mean) / scale
    rng = np.random.default_rng([seed, 5])
    inner = rng.normal(0.0, np.sqrt(2.0 / INPUTS), (HIDDEN, INPUTS))
    net = [inner, np.zeros(HIDDEN), np.zeros(HIDDEN), np.array([y.mean()])]
    first, second = [np.zeros_like(p) for p in net], [np.zeros_like(p) for p in net]
    steps = passes * (-(-len(x) // batch))
    step = 0
    for _ in range(passes):
        drawn = rng.permutation(len(x))
        for at in range(0, len(x), batch):
            which = drawn[at : at + batch]
            step += 1
            rate = 3e-3 * (1.0 - step / (steps + 1))
            slopes = _slopes(net, x[which], y[which])
            for p, m, v, slope in zip(net, first, second, slopes, strict=True):
                m += 0.1 * (slope - m)
                v += 0.001 * (slope**2 - v)
                p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    plain = net[0] / scale
    return np.concatenate([plain.ravel(), net[1] - plain @ mean, net[2], net[3]])


def _slopes(net: list[Array], x: Array, y: Array) -> list[Array]:
    """Return the slopes of the mean squared error."""
    inner, bias, outer, level = net
    hidden = np.maximum(x @ inner.T + bias, 0.0)
    error = 2.0 * (hidden @ outer + level[0] - y) / len(y)
    back = np.outer(error, outer) * (hidden > 0.0)
    return [back.T @ x, back.sum(0), hidden.T @ error, np.array([error.sum()])]
