"""Each view of encoded rows has an inverse, and keeps what it says."""

import numpy as np
import polars as pl
import pytest

from gridtwin.models.encoding import Encoder, with_instants
from gridtwin.models.encoding.views import (
    SUBTOKENS,
    from_mixed,
    from_scores,
    from_tokens,
    mixed,
    one_hot,
    scores,
    state_sizes,
    token_masks,
    token_sizes,
    tokens,
)


@pytest.fixture(scope="module")
def encoded(jobs):
    frame = jobs.collect().with_columns(
        priority=pl.Series([None if i % 3 else float(i) for i in range(len(jobs))]),
        dataset=pl.Series([f"d{i // 2}" for i in range(len(jobs))]),
    )
    ready = with_instants(frame)
    encoder = Encoder.fit(ready, frame.columns, np.random.default_rng(0))
    return encoder, encoder.encode(ready)


def test_tokens_are_within_their_sizes_and_come_back(encoded):
    encoder, cells = encoded
    values = tokens(encoder, cells)
    sizes = np.array(token_sizes(encoder))
    assert values.shape == (len(cells), len(sizes))
    assert (values >= 0).all()
    assert (values < sizes).all()
    again = from_tokens(encoder, values, np.random.default_rng(0))
    np.testing.assert_array_equal(again.cell, cells.cell)
    np.testing.assert_array_equal(tokens(encoder, again), values)
    off = np.abs(again.place - cells.place)
    loose = np.array([c.part[cells.cell[:, k]] >= 0 for k, c in enumerate(encoder.coders.values())])
    assert off[loose.T].max() <= 1 / SUBTOKENS + 1e-12


def test_a_piece_differs_from_0_only_where_its_mask_allows(encoded):
    encoder, cells = encoded
    values = tokens(encoder, cells)
    masks = token_masks(encoder)
    assert len(masks) == len(token_sizes(encoder))
    assert any(mask is not None for mask in masks)
    for k, mask in enumerate(masks):
        if mask is not None:
            assert (values[~mask[values[:, k - 1]], k] == 0).all()


def test_scores_and_states_come_back(encoded):
    encoder, cells = encoded
    values = mixed(encoder, cells)
    assert (values.state < state_sizes(encoder)).all()
    again = from_mixed(encoder, values, np.random.default_rng(0))
    for k, coder in enumerate(encoder.coders.values()):
        loose = coder.part[cells.cell[:, k]] >= 0
        np.testing.assert_array_equal(again.cell[~loose, k], cells.cell[~loose, k])
        one = again.cell[loose, k] + again.place[loose, k]
        np.testing.assert_allclose(one, cells.cell[loose, k] + cells.place[loose, k], atol=1e-3)


def test_continua_are_standard_normal(encoded):
    encoder, cells = encoded
    values = mixed(encoder, cells)
    k = encoder.names.index("submit_time")
    assert (values.state[:, k] == 0).all()
    assert values.score[:, k].mean() == pytest.approx(0, abs=0.05)
    assert values.score[:, k].std() == pytest.approx(1, abs=0.15)


def test_indicators_are_one_a_column(encoded):
    encoder, cells = encoded
    sizes = state_sizes(encoder)
    state = mixed(encoder, cells).state
    out = one_hot(state, sizes)
    assert out.shape == (len(cells), sum(sizes))
    ends = np.cumsum(sizes)
    for k, end in enumerate(ends):
        block = out[:, end - sizes[k] : end]
        np.testing.assert_array_equal(block.argmax(axis=1), state[:, k])
        np.testing.assert_array_equal(block.sum(axis=1), 1)


def test_ranks_come_back_and_are_uniform_over_cells(encoded):
    encoder, cells = encoded
    again = from_scores(encoder, scores(encoder, cells))
    np.testing.assert_array_equal(again.cell, cells.cell)
    drawn = from_scores(
        encoder, np.random.default_rng(0).standard_normal((20_000, len(sizes(encoder))))
    )
    for k, coder in enumerate(encoder.coders.values()):
        share = np.bincount(drawn.cell[:, k], minlength=coder.size) / 20_000
        np.testing.assert_allclose(share, coder.mass, atol=0.02)


def sizes(encoder):
    return [coder.size for coder in encoder.coders.values()]
