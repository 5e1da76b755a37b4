"""Run times that are learnt from how earlier jobs ended."""

import numpy as np
from numpy.testing import assert_allclose

from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.features import FEATURES, HIDDEN, INPUTS
from gridtwin.policy.rl.foresight import WEIGHTS, examples, foresight
from gridtwin.policy.rl.priority import Searched

MONTH = np.log1p(30 * 86400.0)


def habits(n=1200, seed=0):
    """Return jobs of users who all ask for a day, and each run for long or for short."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, 12, n)
    run = np.ceil(np.where(user < 6, 60.0, 20_000.0) * rng.lognormal(0.0, 0.3, n))
    need = rng.integers(1, 5, n)
    return Stream(
        submit=np.cumsum(np.round(rng.exponential(2500.0, n))),
        need=need,
        width=need,
        run=run,
        request=np.full(n, 86400.0),
        user=user,
        cores=8,
        row=np.arange(n),
    )


def test_what_is_known_of_a_job_by_hand():
    stream = Stream(
        submit=np.array([0.0, 10.0, 60.0]),
        need=np.array([1, 1, 2]),
        width=np.array([1, 1, 2]),
        run=np.array([49.0, 1000.0, 5.0]),
        request=np.array([99.0, 2000.0, 50.0]),
        user=np.array([7, 7, 7]),
        cores=4,
        row=np.arange(3),
    )
    x, y = examples(stream)
    assert x.shape == (6, INPUTS)
    assert_allclose(y, np.tile(np.log1p([49, 1000, 5]) / MONTH, 2))
    asked = np.log1p(50) / MONTH
    ended = np.log1p(49) / MONTH  # the first has ended when the last comes; nobody waits
    mine = [1 / 3, ended, ended, ended, np.log(50 / 100), min(ended, asked)]
    expected = [asked, np.log1p(2) / np.log1p(4), *mine, 0, ended, ended, ended, 0]
    assert_allclose(x[2], expected)
    assert_allclose(x[5], expected)
    asked = np.log1p(2000) / MONTH
    nothing = [asked, asked, asked]
    assert_allclose(x[1], [asked, np.log(2) / np.log(5), 0, *nothing, 0, asked, 0, *nothing, 0])


def test_habits_are_learnt_and_hold_for_new_users():
    weights = foresight(habits())
    assert weights.shape == (WEIGHTS,)
    assert weights.tobytes() == foresight(habits()).tobytes()
    x, y = examples(habits(seed=1))
    inner = weights[: HIDDEN * INPUTS].reshape(HIDDEN, INPUTS)
    at = HIDDEN * INPUTS
    hidden = np.maximum(x @ inner.T + weights[at : at + HIDDEN], 0)
    found = hidden @ weights[at + HIDDEN : -1] + weights[-1]
    seen = x[:, 2] > 0.6
    assert np.corrcoef(found[seen], y[seen])[0, 1] > 0.95
    assert abs(np.mean(found[seen] - y[seen])) < 0.02


def test_shortest_by_foresight_beats_shortest_by_request():
    stream = habits(seed=2)
    first = np.arange(0, 900, 100)
    row = np.zeros(len(FEATURES))
    row[FEATURES.index("likely")] = 1.0
    knowing = Searched(stream, 300, foresight=foresight(habits())).figures(row, first)[0, :, 0]
    row[:] = 0.0
    row[FEATURES.index("request")] = 1.0
    asking = Searched(stream, 300).figures(row, first)[0, :, 0]
    assert np.log(knowing / asking).mean() < -0.3
