"""What an encoder has not seen is not taken for what it has."""

import numpy as np
import polars as pl
import pytest

from gridtwin.models.encoding import Encoder, with_instants
from gridtwin.models.encoding.novelty import broken, novelty

N = 2000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    request = rng.choice([600.0, 3600.0, 7200.0], N)
    user = rng.integers(0, 20, N)
    return with_instants(
        pl.DataFrame(
            {
                "job_id": [str(i) for i in range(N)],
                "user": [f"u{i}" for i in user],
                "group": [f"g{i % 4}" for i in user],
                "cores_req": rng.choice([1, 2, 64], N),
                "walltime_req": request,
                "run_time": request * rng.uniform(0.2, 0.9, N),
                "wait_time": rng.lognormal(4, 1, N),
                "status": ["finished"] * N,
            }
        )
    )


@pytest.fixture(scope="module")
def encoder(frame):
    return Encoder.fit(frame, frame.columns, np.random.default_rng(0))


def one(encoder, frame, **values):
    """Return what a row costs whose values are these and else those of the first row."""
    row = frame.head(1).with_columns(
        pl.lit(v, dtype=frame.schema[k]).alias(k) for k, v in values.items()
    )
    more, instead = novelty(encoder, row, N)
    names = list(encoder.names)
    return {c: (more[0, names.index(c)], instead[0, names.index(c)]) for c in values}


def test_nothing_in_the_training_rows_is_new(encoder, frame):
    more, instead = novelty(encoder, frame, N)
    assert np.isnan(instead).all()
    tail = list(encoder.names).index("wait_time")
    assert (np.delete(more, tail, axis=1) == 0).all()
    assert 0 < (more[:, tail] > 0).mean() < 0.02


def test_a_name_a_point_and_no_value_that_were_never_there(encoder, frame):
    found = one(encoder, frame, user="eve", cores_req=3, walltime_req=None, status="lost")
    assert {c: instead for c, (_, instead) in found.items()} == pytest.approx(
        dict.fromkeys(found, np.log(N + 1))
    )


def test_farther_out_costs_more(encoder, frame):
    waits = [one(encoder, frame, wait_time=w)["wait_time"] for w in (1e3, 1e4, 1e6, 0.0)]
    assert waits[0][0] < waits[1][0] < waits[2][0]
    assert waits[3][1] > np.log(N + 1)


def test_a_run_time_past_a_request_that_always_held(encoder, frame):
    request = frame["walltime_req"][0]
    found = one(encoder, frame, run_time=2 * request)
    assert found["run_time"][1] == pytest.approx(np.log(N + 1))
    assert np.isnan(one(encoder, frame, run_time=0.5 * request)["run_time"][1])


def test_names_seen_once_make_new_ones_likely(frame):
    many = frame.with_columns(dataset=pl.Series([f"d{i}" for i in range(N)]))
    own = Encoder.fit(many, many.columns, np.random.default_rng(0))
    assert one(own, many, dataset="other")["dataset"][1] == pytest.approx(0.0, abs=0.01)


def test_a_broken_dependency_costs(encoder, frame):
    assert [f.name for f in encoder.followers] == ["group"]
    assert not broken(encoder, frame, N)["group"].any()
    first = frame["group"][0]
    wrong = frame.head(1).with_columns(group=pl.lit("g0" if first != "g0" else "g1"))
    assert broken(encoder, wrong, N)["group"] == pytest.approx([np.log(N + 1)])
    unknown = frame.head(1).with_columns(user=pl.lit("eve"))
    assert broken(encoder, unknown, N)["group"] == pytest.approx([0.0])
