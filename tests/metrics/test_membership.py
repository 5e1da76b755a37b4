"""Membership inference on models that copy, and on models that know nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gridtwin import metrics
from gridtwin.metrics.membership import auc_of


def test_copies_betray_all_and_independent_rows_none(cloud, blurred):
    train, holdout = cloud(600, 1), cloud(600, 2)
    attack = metrics.get("membership")
    assert attack(train, train, holdout=holdout).value == 1
    fresh = attack(train, cloud(600, 3), holdout=holdout)
    low, high = fresh.detail["interval"]
    assert low < 0.5 < high
    assert 0.04 < high - low < 0.12  # twice 1.96 sqrt((m + n + 1) / 12 m n), 600 and 300 jobs: 0.08
    assert attack(train, blurred(train, 0), holdout=holdout).detail["interval"][0] > 0.6
    assert "holdout" in attack(train, train).detail["reason"]


def test_the_interval_is_that_of_the_bootstrap(cloud, blurred):
    train, holdout = cloud(400, 1), cloud(400, 2)
    score = metrics.get("membership")(train, blurred(train, 0), holdout=holdout)
    inside, outside = np.arange(400) % 7 + 2.0, np.arange(200) % 5 + 1.0
    auc, (low, high) = auc_of(inside, outside)
    known = np.repeat([1, 0], [400, 200])
    assert auc == pytest.approx(roc_auc_score(known, np.concatenate([inside, outside])))
    rng, drawn = np.random.default_rng(0), []
    for _ in range(400):
        sides = rng.choice(inside, 400), rng.choice(outside, 200)
        drawn.append(roc_auc_score(known, np.concatenate(sides)))
    assert high - low == pytest.approx(np.diff(np.quantile(drawn, [0.025, 0.975]))[0], rel=0.15)
    assert score.detail["interval"][0] < score.value < score.detail["interval"][1]
