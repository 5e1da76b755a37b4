"""Places for more sessions than were learnt."""

import numpy as np
import pytest

from gridtwin.models.tracing.sessions import Sessions
from gridtwin.models.whatif import DAY, WhatIf
from gridtwin.models.whatif.places import draw_places, resize


def test_added_sessions_keep_their_gaps():
    rng = np.random.default_rng(0)
    submit = np.concatenate([d * DAY + 36_000 + np.arange(10) * 30.0 for d in range(60)])
    sessions = Sessions.learn(submit, np.zeros(600, dtype=np.int32), 3600.0)
    plan = draw_places(submit, (submit[0], submit[-1]), WhatIf.of(), None, rng)
    plan, added, keep = resize(plan, sessions, None, 900, rng)
    out = sessions.times(
        plan.rows, plan.moves, rng, shift=600.0, width=0.05, layer=plan.layer, added=added
    )
    assert keep.sum() == 900
    ours = out[added >= 0]
    assert np.median(np.diff(np.sort(ours))) == pytest.approx(30.0, abs=1.0)
    assert np.abs(ours % DAY - 36_000).max() < 4 * 600 + 300
