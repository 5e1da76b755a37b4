"""Of two drafts of a job, the one that keeps the work on its course."""

import numpy as np
import pytest

from gridtwin.models.tracing.balance import choose

DAY = 86_400.0


def test_the_chosen_work_follows_its_target_and_its_distribution():
    rng = np.random.default_rng(3)
    one, two, target = (rng.lognormal(3, 1.5, 20_000) for _ in range(3))
    times = np.sort(rng.uniform(0, 100 * DAY, 20_000))
    second = choose((one, two), target, times, 2 * DAY)
    chosen = np.where(second, two, one)
    day = (times // DAY).astype(int)

    def off(work):
        return np.std(np.bincount(day, work) - np.bincount(day, target))

    assert off(chosen) < 0.7 * off(one)
    for q in (0.1, 0.5, 0.9, 0.99):
        assert np.quantile(chosen, q) == pytest.approx(np.quantile(one, q), rel=0.1)


def test_small_jobs_keep_their_first_draft():
    small, target = np.array([1.0, 2.0, 1.0]), np.array([100.0, 100.0, 100.0])
    assert not choose((small, small + 1), target, np.arange(3.0), DAY).any()
