"""A made-up judgement with a value of every kind."""

import pytest

from gridtwin.metrics import Evaluation, Row


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """A judgement with a value of every kind, one that does not apply, and a name from others."""
    rows = (
        Row("ks", "marginal", "min", "Largest ``gap``\nof two.\n\nMean.", 0.08, 0.01, 0.0, None,
            None, {"run_time": 0.1, "cores_req": None}),
        Row("c2st", "detection", "half", "AUC.", 0.57, 0.5, None, None, None),
        Row("dcr_share", "privacy", "half", "Share.", None, None, None, None, None, {},
            {"reason": "needs a <holdout>"}),
        Row("wait_easy", "scheduling", "one", "Mean wait.", 1.2, None, 1.0, 1.05, (0.7, 1.9), {},
            {"values": [0.7, 1.2, 1.9], "weeks_spread": [0.55, 1.85]}),
        Row("colour", "taste", "min", "Of another package.", 0.5, None, None, None, None),
    )  # fmt: skip
    return Evaluation(rows, ("Good for <em>queues</em>.",), ("How made.",), {"cores": 256}, {})
