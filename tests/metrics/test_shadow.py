"""Shadow models against models that memorise, that forget, and that refuse."""

import pytest

from gridtwin.core.errors import InputError
from gridtwin.metrics import evaluate
from gridtwin.metrics.shadow import shadow_membership


def test_shadow_models_find_what_a_memorising_model_has_seen(cloud, blurred):
    jobs = cloud(200, 4)
    memorises = shadow_membership(blurred, jobs, shadows=4)
    assert memorises.value > 0.8
    forgets = shadow_membership(lambda half, seed: cloud(len(half), seed), jobs, shadows=4)
    low, high = forgets.detail["interval"]
    assert low < 0.53
    assert high > 0.47
    assert shadow_membership(blurred, jobs, shadows=4) == memorises
    with pytest.raises(InputError, match="4 and 8"):
        shadow_membership(blurred, jobs, shadows=1)


def test_the_attack_stands_beside_held_out_rows_and_a_copy(cloud, blurred):
    train, holdout, synthetic = cloud(120, 1), cloud(120, 2), cloud(120, 3)
    for held in (holdout, None):
        judged = evaluate(train, synthetic, held, groups=("privacy",), shadow=blurred)
        row = judged["shadow_membership"]
        assert row.synthetic > 0.7
        assert row.heldout == pytest.approx(0.5, abs=0.1)
        assert row.train_copy > 0.99
        assert row.definition
        low, high = row.detail["interval"]
        assert low < row.synthetic < high
        assert any("Shadow models tell much better" in text for text in judged.verdict)
    plain = evaluate(train, synthetic, holdout, groups=("privacy",))
    assert "shadow_membership" not in [row.metric for row in plain.rows]


def test_a_model_that_refuses_has_a_reason(cloud, blurred):
    def refuses(half, seed):
        raise InputError("not these jobs")

    train = cloud(60, 1)
    row = evaluate(train, train, groups=("privacy",), shadow=refuses)["shadow_membership"]
    assert row.synthetic is None
    assert "not these jobs" in row.detail["reason"]
    few = evaluate(cloud(9, 1), train, groups=("privacy",), shadow=blurred)["shadow_membership"]
    assert "8 or more" in few.detail["reason"]
