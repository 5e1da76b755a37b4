"""How many jobs a share is."""

import numpy as np

from gridtwin.models.whatif.conditions import quota


def test_quota_gives_largest_remainders():
    assert quota(np.array([0.3, 0.7]), 5).tolist() == [2, 3]
    assert quota(np.array([0.5, 0.26, 0.24]), 10).tolist() == [5, 3, 2]
    assert quota(np.array([3, 5]), 8).tolist() == [3, 5]
    assert quota(np.array([0, 0]), 0).tolist() == [0, 0]
