"""The parts of adversarial nets."""

import pytest
import torch

from gridtwin.models.neural.devices import seeded
from gridtwin.models.neural.gan import (
    Conditions,
    Critic,
    Generator,
    RowsByState,
    between,
    gradient_penalty,
    heads,
)
from gridtwin.models.neural.layout import Block, Layout

LAYOUT = Layout(
    (
        Block("run_time", 0, "score", 0, 1),
        Block("run_time", 0, "state", 1, 3),
        Block("user", 1, "state", 4, 2),
    ),
    sizes=(3, 2),
    continua=(2, 0),
)


@pytest.fixture(autouse=True)
def _seeded():
    with seeded(0):
        yield


def test_the_penalty_of_a_linear_critic_is_known():
    slope = torch.tensor([3.0, 4.0])
    rows = torch.randn(6, 2)
    # by row the norm is 5; of two rows together sqrt(50)
    assert float(gradient_penalty(lambda x: x @ slope, rows)) == pytest.approx(16.0)
    packed = gradient_penalty(lambda x: x @ slope, rows, 2)
    assert float(packed) == pytest.approx((50**0.5 - 1) ** 2)


def test_places_between_rows_are_one_a_pack():
    place = between(torch.zeros(12, 3), torch.ones(12, 3), 4)
    packs = place.reshape(3, -1)
    assert (packs == packs[:, :1]).all()
    assert len(packs[:, 0].unique()) == 3
    assert ((packs >= 0) & (packs <= 1)).all()


def test_a_critic_judges_packs():
    critic = Critic(5, (8, 8), pack=4).eval()
    rows = torch.randn(12, 5)
    scores = critic(rows)
    assert scores.shape == (3, 1)
    rows[0] += 1.0
    assert (critic(rows) != scores).flatten().tolist() == [True, False, False]


def test_heads_open_rows_as_the_layout_does():
    opened = heads(LAYOUT, torch.randn(200, 6), tau=0.02)
    for block in LAYOUT.states():
        torch.testing.assert_close(opened[:, block.place].sum(1), torch.ones(200))
    rows = LAYOUT.close(opened)
    atom = rows["state"][:, 0] == 2
    assert 20 < int(atom.sum()) < 180
    close = (LAYOUT.open(rows) - opened).abs().amax(1)
    assert float(close.median()) < 0.01
    assert float(opened[atom, 0].abs().median()) < 0.01  # an atom has no score
    assert float(opened[~atom, 0].abs().median()) > 0.1


def test_heads_draw_states_as_often_as_their_logits_say():
    share = torch.tensor([0.1, 0.3, 0.6])
    out = torch.zeros(20_000, 6)
    out[:, 1:4] = share.log()
    state = LAYOUT.close(heads(LAYOUT, out))["state"][:, 0]
    torch.testing.assert_close(torch.bincount(state) / 20_000, share, atol=0.015, rtol=0)


def test_a_generator_depends_on_noise_and_condition():
    generator = Generator(4 + 3, (16, 16), 6).eval()
    noise, asked = torch.randn(5, 4), torch.eye(3)[[0, 1, 2, 0, 1]]
    out = generator(noise, asked)
    assert out.shape == (5, 6)
    assert not torch.allclose(out, generator(noise, torch.zeros(5, 3)))
    assert not torch.allclose(out, generator(torch.zeros(5, 4), asked))
    assert generator.last.in_features == 7 + 16 + 16


def conditions():
    return Conditions(LAYOUT.states(), [torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.9, 0.1])])


def test_conditions_are_drawn_as_often_as_in_the_rows():
    drawn = conditions().draw(40_000)
    share = torch.bincount(drawn, minlength=5) / 40_000
    wanted = torch.tensor([0.25, 0.15, 0.1, 0.45, 0.05])
    torch.testing.assert_close(share, wanted, atol=0.01, rtol=0)
    assert (conditions().open(drawn).argmax(1) == drawn).all()


def test_a_condition_is_missed_where_its_column_says_something_else():
    asked = torch.tensor([1, 3])  # the second state of the first column, the first of the other
    out = torch.zeros(2, 6)
    out[0, 2] = out[1, 4] = 50.0
    met = conditions().losses(out, asked)
    assert sum(float(loss) for loss in met.values()) == pytest.approx(0.0, abs=1e-6)
    missed = conditions().losses(out, torch.tensor([0, 3]))
    assert float(missed["run_time"]) == pytest.approx(25.0)
    assert float(missed["user"]) == pytest.approx(0.0, abs=1e-6)


def test_rows_meet_their_conditions_and_rare_states_come_often():
    state = torch.zeros(1000, 2, dtype=torch.int64)
    state[:10, 0], state[10:20, 0], state[::2, 1] = 1, 2, 1
    asked, index = RowsByState(conditions(), state).draw(20_000)
    first, second = state[index].unbind(1)
    assert torch.where(asked < 3, first == asked, second == asked - 3).all()
    assert len(index.unique()) > 990
    logs = torch.log1p(torch.tensor([980.0, 10.0, 10.0]))
    share = torch.bincount(asked, minlength=5)[:3] / 20_000
    torch.testing.assert_close(share, logs / logs.sum() / 2, atol=0.015, rtol=0)


def test_without_columns_any_row_may_come():
    nothing = Conditions((), ())
    asked, index = RowsByState(nothing, torch.zeros(50, 2, dtype=torch.int64)).draw(2000)
    assert len(index.unique()) == 50
    assert nothing.open(asked).shape == (2000, 0)
    assert nothing.open(nothing.draw(4)).shape == (4, 0)
    assert nothing.losses(torch.zeros(4, 6), asked[:4]) == {}
