"""When jobs arrive: sessions and their pace."""

import numpy as np

from gridtwin.models.tracing.sessions import Sessions


def test_sessions_are_cut_at_long_gaps_of_the_same_user():
    submit = np.array([0.0, 10.0, 20.0, 5000.0, 5010.0])
    user = np.array([0, 1, 0, 0, 1], dtype=np.int32)
    gap = Sessions.learn(submit, user, 3600.0).gap
    np.testing.assert_array_equal(gap, [np.nan, np.nan, 20.0, np.nan, np.nan])


def test_long_sessions_keep_their_pace():
    rng = np.random.default_rng(0)
    submit = np.cumsum(rng.lognormal(3, 1, 2400))
    sessions = Sessions.learn(submit, np.zeros(2400, dtype=np.int32), 1e6)
    rows, moves = sessions.plan(2400, rng)
    times = sessions.times(rows, moves, rng, shift=0.0, width=0.05)
    assert np.abs(times - submit)[::24].max() < 500
    assert len(np.intersect1d(times.round(3), submit.round(3))) < 600  # the anchors only
