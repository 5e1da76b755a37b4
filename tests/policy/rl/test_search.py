"""Priorities learnt without gradients, and the sequences they are learnt from."""

from dataclasses import replace

import numpy as np
import pytest

from gridtwin.core.errors import FormatError, InputError
from gridtwin.policy.rl.features import FEATURES
from gridtwin.policy.rl.priority import Searched
from gridtwin.policy.rl.search import FAMILY, Plan, longer, search
from gridtwin.policy.rl.windows import WEEK, beginnings, mixed, reference, span

from .test_priority import made

SMALL = Plan(rounds=4, candidates=8, sequences=6, length=80, copies=2, restarts=1)


def test_mixing_keeps_jobs_and_times_of_the_week_and_moves_users_as_a_whole():
    stream = made(400)
    stream = replace(stream, submit=stream.submit * 100)
    copies = mixed(stream, 3, np.random.default_rng(0), load=(1.0, 1.0))
    n = len(stream)
    assert len(copies) == 3 * n
    assert (np.diff(copies.submit) >= 0).all()
    moves = set()
    for c in range(3):
        part = slice(c * n, (c + 1) * n)
        row = copies.row[part]
        assert sorted(row) == list(range(n))
        assert (copies.run[part] == stream.run[row]).all()
        since = copies.submit[part] - (stream.submit[row] - stream.submit[0])
        for user in range(4):
            apart = since[stream.user[row] == user]
            apart -= apart[0]
            assert np.allclose(apart % WEEK % WEEK, 0) or np.allclose(WEEK - apart % WEEK, 0)
            moves.add((c, np.unique(apart).tobytes()))
    assert copies.row[:n].tolist() == list(range(n))
    assert not np.array_equal(copies.row[n : 2 * n], copies.row[2 * n :])
    busy = mixed(stream, 2, np.random.default_rng(0), load=(2.0, 2.0))
    lone = mixed(stream, 2, np.random.default_rng(0), load=(1.0, 1.0))
    factor = np.where(np.arange(2 * n - 1) < n, 1.0, 2.0)
    within = np.arange(2 * n - 1) != n - 1
    np.testing.assert_allclose(
        (np.diff(busy.submit) * factor)[within], np.diff(lone.submit)[within]
    )


def test_sequences_stay_within_a_copy():
    first = beginnings(100, 3, 60, 90, np.random.default_rng(0))
    assert ((first % 100) <= 40).all()
    assert np.bincount(first // 100).tolist() == [30, 30, 30]
    with pytest.raises(InputError, match="choose fewer"):
        beginnings(50, 1, 60, 1, np.random.default_rng(0))
    with pytest.raises(InputError, match="0 <= from < to"):
        span(made(), 0.5, 0.5)


def test_a_search_beats_the_heuristics_on_other_jobs():
    found = search(made(1500), replace(SMALL, rounds=10, candidates=16, sequences=16))
    assert found.gain <= 0
    assert found.steps == 10 * 17 * 16 * 80
    other = made(1500, seed=9)
    first = np.arange(0, 1400, 50)
    mine = Searched(other, 80).figures(found.weights, first)[0, :, 0]
    assert np.log(mine / reference(other, first, 80)).mean() < -0.05
    assert found.weights[FEATURES.index("log_submit")] == 0


@pytest.mark.parametrize("plan", [SMALL, replace(SMALL, method="es", hidden=(4,), copies=1)])
def test_a_search_that_was_killed_ends_as_if_it_had_not_been(plan, tmp_path):
    stream = made(400)
    whole = search(stream, plan)

    class KilledError(Exception):
        pass

    def kill(text):
        if "round 3" in text:
            raise KilledError

    with pytest.raises(KilledError):
        search(stream, plan, folder=tmp_path, progress=kill)
    told = []
    again = search(stream, plan, folder=tmp_path, progress=told.append)
    assert told[0] == "goes on after round 2 of search 1"
    assert len(told) == 3
    assert again.weights.tobytes() == whole.weights.tobytes()
    assert again.rounds == whole.rounds
    assert (again.gain, again.steps) == (whole.gain, whole.steps)
    with pytest.raises(FormatError, match="another plan or other jobs"):
        search(stream, replace(plan, seed=1), folder=tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(FormatError, match="train again"):
        search(stream, plan, folder=tmp_path)


def test_a_net_begins_as_the_heuristic():
    plan = replace(SMALL, method="es", hidden=(4,), rounds=1, spread=1e-12)
    found = search(made(400), plan)
    assert abs(found.gain) < 1e-9
    alone = search(made(400), replace(plan, hidden=(), method="cem", candidates=4))
    assert found.begun == alone.begun
    assert found.begun in FAMILY


def test_waits_can_be_what_is_made_small():
    plan = replace(SMALL, rounds=8, candidates=16, objective="wait")
    assert search(made(1500), plan).gain < 0


def test_what_cannot_be_is_told():
    with pytest.raises(InputError, match="even number"):
        Plan(candidates=5)
    with pytest.raises(InputError, match="held out"):
        Plan(held_out=1.0)
    with pytest.raises(InputError, match="too few"):
        search(made(40), SMALL)
    assert longer(Plan(), 33 * 32 * 1024 * 2 * 7).rounds == 7
