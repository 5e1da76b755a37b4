"""What is special to the transformer: strings, the causal mask, constrained drawing, the critic."""

import numpy as np
import polars as pl
import pytest
import torch

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.models.encoding import Cells, Encoder, with_instants
from gridtwin.models.encoding.name import Name
from gridtwin.models.neural.causal import Causal
from gridtwin.models.neural.critic import Critic
from gridtwin.models.neural.strings import Strings
from gridtwin.trace import JobTable

REaLTabFormer = gridtwin.models.get("realtabformer")
SMALL = {"layers": 1, "width": 16, "learning_rate": 2e-4}


class StopError(Exception):
    """Ends a training from outside."""


@pytest.fixture(scope="module")
def loose():
    """Jobs with atoms, loose numbers and rare names."""
    rng = np.random.default_rng(0)
    n = 1500
    run = np.where(rng.random(n) < 0.3, 3600.0, rng.lognormal(6, 2, n).round(1))
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": [f"u{i}" for i in np.minimum(rng.geometric(0.02, n), 150)],
            "cores_req": 2.0 ** rng.integers(0, 12, n),
            "run_time": run,
            "priority": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        }
    )
    return JobTable.from_frame(frame)


@pytest.fixture(scope="module")
def encoded(loose):
    frame = with_instants(loose.collect())
    encoder = Encoder.fit(frame, frame.columns, np.random.default_rng(0))
    return encoder, encoder.encode(frame)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Causal((3, 10, 4, 7), layers=2, width=32, dropout=0.1).eval()


def test_what_is_written_is_read_again(encoded):
    encoder, cells = encoded
    strings = Strings.of(encoder)
    again = strings.read(strings.write(cells), np.random.default_rng(0))
    np.testing.assert_array_equal(again.cell, cells.cell)
    np.testing.assert_array_equal(strings.write(again), strings.write(cells))
    for k, coder in enumerate(encoder.coders.values()):
        rows = coder.part[cells.cell[:, k]] >= 0
        np.testing.assert_allclose(again.place[rows, k], cells.place[rows, k], atol=0.0101)


def test_cells_and_their_digits_are_in_order(encoded):
    encoder, cells = encoded
    strings = Strings.of(encoder)
    assert len(strings.columns) == len(strings.sizes)
    k = encoder.names.index("run_time")
    own = np.array(strings.columns) == k
    written = strings.write(cells)[:, own]
    assert written.shape[1] == 2 + len(str(encoder.coders["run_time"].size - 1))
    value = written @ 10.0 ** np.arange(written.shape[1])[::-1]
    run = encoder.decode(cells, np.random.default_rng(0))["run_time"].to_numpy()
    assert (np.diff(run[np.argsort(value, kind="stable")]) >= -0.02 * run.max()).all()
    assert np.corrcoef(np.argsort(np.argsort(value)), np.argsort(np.argsort(run)))[0, 1] > 0.98


def test_any_string_of_allowed_symbols_is_a_row(encoded):
    encoder, _ = encoded
    strings = Strings.of(encoder)
    torch.manual_seed(0)
    drawn = torch.zeros(4000, len(strings.sizes), dtype=torch.int64)
    for at, size in enumerate(strings.sizes):
        allowed = strings.allowed(drawn, at)
        assert allowed.shape == (4000, size)
        assert allowed.any(1).all()
        drawn[:, at] = torch.multinomial(allowed.float(), 1)[:, 0]
    read = strings.read(drawn.numpy(), np.random.default_rng(0))
    assert (read.cell < [coder.size for coder in encoder.coders.values()]).all()
    np.testing.assert_array_equal(strings.write(read), drawn)  # none stands for another
    for k, coder in enumerate(encoder.coders.values()):  # and each cell can come
        if not isinstance(coder, Name):
            assert set(read.cell[:, k]) == set(range(coder.size))


def test_what_the_rows_have_is_allowed(encoded):
    encoder, cells = encoded
    strings = Strings.of(encoder)
    written = torch.from_numpy(strings.write(cells))
    for at in range(written.shape[1]):
        assert strings.allowed(written, at).gather(1, written[:, at : at + 1]).all()


def test_an_untrained_net_draws_only_rows_within_the_range_seen(loose):
    sample = REaLTabFormer(steps=1, **SMALL).fit(loose).sample(1000, seed=1).collect()
    real = loose.collect()
    assert set(sample["cores_req"]) <= set(real["cores_req"])
    assert sample["priority"].max() <= real["priority"].max() * 2  # the tail goes on
    assert sample["priority"].min() >= real["priority"].fill_nan(None).min()
    assert sample["run_time"].min() >= real["run_time"].min()


def test_nothing_is_seen_of_what_comes_later(net):
    strings = torch.tensor([[0, 1, 2, 3], [2, 9, 3, 6]])
    before = net(strings)
    for at in range(4):
        changed = strings.clone()
        changed[:, at] = (changed[:, at] + 1) % net.own[at].sum().sub(1)
        after = net(changed)
        differs = (after != before).any(2).any(0).tolist()
        assert differs == [k > at for k in range(4)]


def test_a_position_has_symbols_of_its_own_only(net):
    odds = net(torch.zeros(5, 4, dtype=torch.int64))
    possible = torch.isfinite(odds).all(0)
    assert possible.sum(1).tolist() == [4, 11, 5, 8]  # and the mask
    assert possible[:, 1].all()
    assert not possible[:, 0].any()


def test_drawing_step_by_step_says_what_the_whole_string_does(net):
    torch.manual_seed(1)
    strings = torch.stack([torch.randint(size, (20,)) for size in (3, 10, 4, 7)], 1)
    whole, cache = net(strings), net.cache(20)
    for at, size in enumerate((3, 10, 4, 7)):
        begin = int(net.first[at])
        step = net.next(strings, at, cache)
        torch.testing.assert_close(step, whole[:, at, begin : begin + size], atol=1e-5, rtol=1e-4)


def test_the_critic_knows_copies_from_new_rows():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"run_time": rng.lognormal(size=4000), "wait_time": rng.random(4000)})
    encoder = Encoder.fit(frame, frame.columns, rng)
    cells = encoder.encode(frame)
    train, held, new = cells[:2000], cells[2000:3000], cells[3000:]
    critic = Critic.of(encoder, held, train, np.random.default_rng(0))
    assert 0 < critic.limit < 0.05
    assert abs(critic.excess(new)) <= critic.limit
    few = rng.permutation(1000) < 100
    mixed = Cells(
        np.where(few[:, None], train.cell[:1000], new.cell),
        np.where(few[:, None], train.place[:1000], new.place),
    )
    assert critic.excess(mixed) > critic.limit
    assert critic.excess(train[:1000]) > 0.9


def memorising(**parameters):
    return REaLTabFormer(
        **{"layers": 1, "width": 64, "learning_rate": 5e-4, "mask": 0.0, "dropout": 0.0, "batch": 9}
        | parameters
    )


@pytest.fixture(scope="module")
def distinct():
    """Rows few and far from each other, which a net soon knows by heart."""
    rng = np.random.default_rng(0)
    columns = ("run_time", "wait_time", "mem_req", "priority")
    frame = pl.DataFrame({name: rng.random(200) for name in columns})
    return JobTable.from_frame(frame.with_columns(job_id=pl.int_range(200).cast(pl.String)))


def test_training_stops_when_rows_are_learnt_by_heart(distinct):
    looks = []

    class Watched(REaLTabFormer):
        def _look(self, course, at):
            super()._look(course, at)
            looks.append((at, course.memory["faults"]))
            self.last = course.memory["best"]

    model = Watched(**memorising().parameters()).fit(distinct)
    assert model.trained_["steps"] < model._steps(200)
    assert [faults for _, faults in looks][-2:] == [2, 2]
    for key, value in model.net_.state_dict().items():
        np.testing.assert_array_equal(value, model.last[key])
    assert model._critic is None


@pytest.mark.parametrize("at", [30, 70])
def test_a_training_that_was_broken_off_ends_with_the_same_weights(jobs, tmp_path, at):
    small = SMALL | {"batch": 27, "steps": 80}  # the critic looks after 50
    whole = REaLTabFormer(**small).fit(jobs)

    class Killed(REaLTabFormer):
        def _done(self, course, step):
            if step == at:
                raise StopError
            return super()._done(course, step)

    Killed.name = "realtabformer"
    with pytest.raises(StopError):
        Killed(**small).fit(jobs, checkpoint=tmp_path, every=20)
    again = REaLTabFormer(**small).fit(jobs, checkpoint=tmp_path, every=20)
    finished = REaLTabFormer(**small).fit(jobs, checkpoint=tmp_path, every=20)
    for key, value in whole.net_.state_dict().items():
        np.testing.assert_array_equal(again.net_.state_dict()[key], value)
        np.testing.assert_array_equal(finished.net_.state_dict()[key], value)


def test_a_budget_has_a_size(jobs):
    model = REaLTabFormer(budget="fast", steps=1).fit(jobs)
    for budget, layers, width in (("fast", 2, 128), ("paper", 6, 768)):
        model.budget = budget
        net = model._build()
        assert (len(net.blocks), net.places.weight.shape[1]) == (layers, width)


@pytest.mark.parametrize("wrong", [{"width": -1}, {"width": 100}, {"mask": 1.0}, {"dropout": -0.1}])
def test_odd_parameters_are_refused(jobs, wrong):
    with pytest.raises(InputError, match=rf"{next(iter(wrong))}(=| is )"):
        REaLTabFormer(**wrong).fit(jobs)
