"""Loose values by modes, and back."""

import numpy as np
import polars as pl
import pytest

from gridtwin.models.encoding import Encoder, with_instants
from gridtwin.models.encoding.modes import LIGHTEST, MOST, Modes
from gridtwin.trace import JobTable


def encoded(jobs):
    frame = with_instants(jobs.collect())
    encoder = Encoder.fit(frame, frame.columns, np.random.default_rng(0))
    return encoder, encoder.encode(frame)


def two_modes(n=4000):
    rng = np.random.default_rng(0)
    values = np.exp(np.where(rng.random(n) < 0.3, rng.normal(2, 0.1, n), rng.normal(9, 0.4, n)))
    values[:400] = 60.0  # an atom
    frame = pl.DataFrame({"job_id": [str(i) for i in range(n)], "run_time": values})
    return JobTable.from_frame(frame)


def test_values_come_back(jobs):
    encoder, cells = encoded(jobs)
    modes = Modes.fit(encoder, cells, np.random.default_rng(1))
    back = modes.from_mixed(
        encoder, modes.mixed(encoder, cells, np.random.default_rng(2)), np.random.default_rng(3)
    )
    before = encoder.decode(cells, np.random.default_rng(0))
    after = encoder.decode(back, np.random.default_rng(0))
    for name in before.columns:
        if before[name].dtype.is_numeric():
            np.testing.assert_allclose(after[name], before[name], rtol=2e-3, atol=1.0)
        else:
            assert (after[name] == before[name]).mean() > 0.95  # of a bucket any name may come


def test_modes_are_found_and_the_atom_is_a_point():
    encoder, cells = encoded(two_modes())
    modes = Modes.fit(encoder, cells, np.random.default_rng(1))
    mean, weight = modes.table[:, 2], modes.table[:, 4]
    assert len(mean) <= MOST
    assert weight.min() >= LIGHTEST
    assert weight.sum() == pytest.approx(1.0)
    low = mean < 5
    assert weight[low].sum() == pytest.approx(0.3, abs=0.03)
    assert np.average(mean[low], weights=weight[low]) == pytest.approx(2.13, abs=0.05)
    assert modes.sizes(encoder) == [len(mean) + 1]
    view = modes.mixed(encoder, cells, np.random.default_rng(2))
    atom = view.state[:, 0] == len(mean)
    assert atom.sum() == 400
    assert not view.score[atom].any()
    assert 0.15 < view.score[~atom].std() < 0.35  # a standard deviation is a quarter
    assert np.abs(view.score).max() <= 1.0


def test_what_is_beyond_is_cut():
    jobs = two_modes()
    encoder, cells = encoded(jobs)
    modes = Modes.fit(encoder, cells, np.random.default_rng(1))
    view = modes.mixed(encoder, cells, np.random.default_rng(2))
    view.score[:] = np.sign(view.score)
    back = modes.from_mixed(encoder, view, np.random.default_rng(3))
    out = encoder.decode(back, np.random.default_rng(0))["run_time"]
    real = jobs.collect()["run_time"]
    assert out.max() <= real.max() * 1.01
    assert out.min() >= real.min() * 0.99


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_values_are_enough(jobs, n):
    encoder, cells = encoded(jobs.with_frame(jobs.frame.head(n)))
    modes = Modes.fit(encoder, cells, np.random.default_rng(1))
    view = modes.mixed(encoder, cells, np.random.default_rng(2))
    assert (view.state < np.array(modes.sizes(encoder))).all()
    assert len(modes.from_mixed(encoder, view, np.random.default_rng(3))) == n
