"""References on real traces: independent halves of a trace score as real rows should."""

from pathlib import Path

import numpy as np
import pytest

from gridtwin import metrics
from gridtwin.trace import JobTable
from gridtwin.trace.readers import read


@pytest.fixture(scope="module")
def parts(data_dir: Path) -> list[JobTable]:
    """Return train, held-out and fresh rows of ALCF Theta, a third each."""
    jobs = read(data_dir / "alcf" / "theta.csv.gz")
    frame = jobs.collect()
    rows = np.random.default_rng(0).permutation(frame.height)
    return [jobs.with_frame(frame[np.sort(rows[k::3])]) for k in range(3)]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("c2st", 0.47, 0.53),
        ("dcr_share", 0.46, 0.54),
        ("ks", 0.0, 0.03),
        ("wd", 0.0, 0.006),
        ("jsd", 0.0, 0.006),
        ("diff_corr", 0.0, 0.06),
        ("interarrival", 0.0, 0.04),
        ("exact_copies", 0.0, 0.002),
    ],
)
def test_fresh_real_rows_score_as_real(parts, name, low, high):
    train, holdout, fresh = parts
    metric = metrics.get(name)
    score = metric(holdout if metric.on == "unseen" else train, fresh, holdout=holdout)
    assert low <= score.value <= high
