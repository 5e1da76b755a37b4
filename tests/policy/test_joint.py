"""Brokerage and placement together, against all plans there are."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import InputError
from gridtwin.policy.joint import alternate, joint_least
from gridtwin.policy.joint_program import DataInstance, joint_bound, joint_makespan
from gridtwin.policy.optimal import lp_bound, rounded


def made(seed, *, jobs=4, sites=2, sets=2, room=None):
    rng = np.random.default_rng(seed)
    run = rng.exponential(10.0, (jobs, sites))
    run[rng.random((jobs, sites)) < 0.15] = np.inf
    run[:, 0] = np.where(np.isfinite(run).any(axis=1), run[:, 0], 5.0)
    size = rng.integers(1, 5, sets).astype(float)
    return DataInstance.of(
        run,
        rng.exponential(10.0, (jobs, sites)),
        rng.integers(-1, sets, jobs),
        size=size,
        copy=rng.exponential(5.0, (sets, sites)),
        room=rng.integers(0, 6, sites) if room is None else np.full(sites, room),
        there=rng.random((sets, sites)) < 0.3,
        ready=rng.exponential(3.0, sites),
    )


def best_of_all(instance):
    """Return the least makespan of all plans."""
    n, sites = instance.run.shape
    sets, least = len(instance.size), np.inf
    for bits in product([False, True], repeat=sets * sites):
        placed = np.array(bits).reshape(sets, sites) | instance.there
        for site in product(range(sites), repeat=n):
            least = min(least, joint_makespan(instance, np.array(site), placed))
    return least


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_search_finds_the_best_and_the_bound_is_below(seed):
    instance = made(seed)
    best = best_of_all(instance)
    plan, quick = joint_least(instance), alternate(instance)
    assert plan.makespan == pytest.approx(best, rel=2e-4)
    assert joint_bound(instance) <= best * (1 + 1e-9)
    assert quick.bound <= plan.bound * (1 + 1e-9)
    assert plan.bound <= plan.makespan <= quick.makespan * (1 + 1e-9)
    for one in (plan, quick):
        assert one.makespan == pytest.approx(joint_makespan(instance, one.site, one.placed))
        assert (one.placed | ~instance.there).all()
    assert quick.makespan <= quick.first == rounded(instance.given(instance.there)).makespan


def test_copies_are_worth_their_way_and_room():
    """Two jobs read one set, which is at b; a takes 1 s a job and 10 s more to fetch."""
    told = {"run": [[1.0, 20.0]] * 2, "fetch": [[10.0, 10.0]] * 2, "dataset": [0, 0]}
    there = [[False, True]]

    def plan(copy, room):
        return alternate(
            DataInstance.of(**told, size=[4.0], copy=[[copy, 0.0]], room=[room, 0.0], there=there)
        )

    good = plan(5.0, 4.0)
    assert good.placed.tolist() == [[True, True]]
    assert (good.makespan, good.first) == (5.0, 20.0)  # the copy takes 5 s, jobs 2 s
    assert plan(5.0, 3.0).makespan == 20.0
    assert plan(50.0, 4.0).makespan == 20.0


def test_without_data_it_is_the_program_of_brokerage():
    rng = np.random.default_rng(0)
    run = rng.lognormal(3.0, 1.0, (30, 4))
    bare = DataInstance.of(
        run, np.zeros_like(run), [-1] * 30, size=[], copy=np.zeros((0, 4)), room=np.zeros(4)
    )
    plan = alternate(bare)
    assert plan.makespan == rounded(bare.given(bare.there)).makespan
    assert plan.bound == pytest.approx(lp_bound(bare.given(bare.there)))


def test_alternating_gains_on_larger_instances():
    gains = []
    for seed in range(3):
        instance = made(seed, jobs=120, sites=6, sets=12, room=20.0)
        plan = alternate(instance)
        assert plan.gap < 0.25
        assert plan.turns >= 1
        gains.append(plan.first / plan.makespan)
        made_copies = plan.placed & ~instance.there
        assert (instance.size @ made_copies <= instance.room * (1 + 1e-9)).all()
    assert max(gains) > 1.02


def test_no_jobs_end_when_sites_are_ready():
    empty = DataInstance.of(
        np.zeros((0, 2)),
        np.zeros((0, 2)),
        [],
        size=[1.0],
        copy=[[1.0, 1.0]],
        room=[1.0, 1.0],
        ready=[0, 3],
    )
    assert alternate(empty).makespan == joint_least(empty).makespan == 3.0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fetch": [[1.0]]}, "fetch has shape"),
        ({"fetch": [[np.inf, 1.0]]}, "finite"),
        ({"dataset": [7]}, "from -1 to 0"),
        ({"size": [-1.0]}, "size: expected 0 or more"),
        ({"run": [[np.inf, np.inf]]}, "can run at no site"),
    ],
)
def test_what_is_wrong_is_told(change, told):
    given_ = {"run": [[1.0, 1.0]], "fetch": [[1.0, 1.0]], "dataset": [0], "size": [1.0]}
    given_ |= {"copy": [[1.0, 1.0]], "room": [1.0, 1.0]}
    with pytest.raises(InputError, match=told):
        DataInstance.of(**given_ | change)
