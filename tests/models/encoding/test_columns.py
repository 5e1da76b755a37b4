"""Columns of a trace as arrays, and what one of them says of another."""

import numpy as np
import polars as pl
import pytest

from gridtwin.models.encoding.columns import granularity, leaders, read_columns


def test_leaders_are_found_and_users_never_follow():
    frame = pl.DataFrame(
        {
            "user": ["a", "a", "b", "b", "c", "c"] * 4,
            "group": ["x", "x", "x", "x", "y", "y"] * 4,
            "nodes_req": [1, 2, 1, 2, 1, 2] * 4,
            "cores_req": [64, 128, 64, 128, 64, 128] * 4,
        }
    )
    found = leaders(read_columns(frame, frame.columns), fixed="user")
    assert found == {"group": "user", "cores_req": "nodes_req"}


@pytest.mark.parametrize(
    ("values", "unit"), [([1.0, 7.0], 1.0), ([0.5, 2.1], 0.1), ([np.pi, 2.0], 0.0)]
)
def test_granularity(values, unit):
    assert granularity(np.array(values)) == unit
