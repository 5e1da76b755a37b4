"""A learnt priority on other jobs of the same machine."""

from dataclasses import replace

import numpy as np
import pytest

from gridtwin.policy.batch.stream import Stream, from_table
from gridtwin.policy.rl.features import FEATURES
from gridtwin.policy.rl.priority import Searched
from gridtwin.policy.rl.saved import Learnt
from gridtwin.study.transfer.carry import carried


@pytest.fixture
def stream(jobs) -> Stream:
    stream = from_table(jobs, cores=80)
    since = stream.submit - stream.submit[0]
    return replace(stream, submit=stream.submit[0] + 0.1 * since)  # so that many wait


def with_a_wider_job(stream: Stream) -> Stream:
    """Return the stream with one more job at its end, of far more processors."""
    last = {"submit": 1e7, "need": 0, "width": 0, "run": 1.0, "request": 1.0, "user": 0, "row": 0}
    last["submit"] += float(stream.submit[-1])
    last["need"], last["width"] = stream.cores, 10_000
    more = {name: np.append(getattr(stream, name), value) for name, value in last.items()}
    typed = {name: more[name].astype(getattr(stream, name).dtype) for name in more}
    return replace(stream, **typed)


@pytest.mark.parametrize("sizes", [(), (len(FEATURES), 4, 1)])
def test_the_same_jobs_start_at_the_same_time(stream, sizes):
    other = with_a_wider_job(stream)
    inside = Searched(stream, 200, sizes=sizes)
    weights = np.random.default_rng(1).normal(size=inside.weights)
    learnt = carried(Learnt("priority", {"weights": weights}, sizes), stream, other)
    wanted = inside.start_times(weights, [50])
    np.testing.assert_allclose(learnt.start_times(other, [50], 200), wanted)


def test_what_looks_at_the_whole_queue_stays(stream):
    learnt = Learnt("set", {"some": np.ones(3)})
    assert carried(learnt, stream, with_a_wider_job(stream)) is learnt
