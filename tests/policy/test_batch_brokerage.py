"""Heuristics, bound and optimum against enumeration, and a published plan."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import InputError
from gridtwin.policy.batch_brokerage import (
    HEURISTICS,
    Instance,
    heft,
    makespan,
    max_min,
    mct,
    met,
    min_min,
    olb,
    sufferage,
)
from gridtwin.policy.optimal import least, lp_bound, rounded


def best_of_all(instance):
    jobs, sites = instance.run.shape
    ends = [makespan(instance, np.array(at, int)) for at in product(range(sites), repeat=jobs)]
    return min(ends)


def made(seed, jobs=6, sites=3, holes=False):
    rng = np.random.default_rng(seed)
    run = rng.lognormal(3.0, 1.0, (jobs, sites))
    if holes:
        run[rng.random(run.shape) < 0.3] = np.inf
        run[np.arange(jobs), rng.integers(0, sites, jobs)] = 7.0
    return Instance.of(run, rng.uniform(0.0, 30.0, sites))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_bound_optimum_and_heuristics_are_in_order(seed, holes):
    instance = made(seed, holes=holes)
    best = best_of_all(instance)
    assert lp_bound(instance) <= best * (1 + 1e-9)
    for heuristic in HEURISTICS.values():
        assert makespan(instance, heuristic(instance)) >= best * (1 - 1e-9)
    near = rounded(instance)
    assert near.bound <= best * (1 + 1e-9) <= near.makespan * (1 + 2e-9)
    assert near.makespan == makespan(instance, near.site)
    plan = least(instance, gap=0.0)
    assert plan.optimal
    assert plan.makespan == pytest.approx(best, rel=1e-6)
    assert plan.gap < 1e-5


@settings(max_examples=30, deadline=None)
@given(
    run=st.lists(st.lists(st.floats(0, 100), min_size=2, max_size=2), min_size=1, max_size=6),
    ready=st.lists(st.floats(0, 50), min_size=2, max_size=2),
)
def test_the_bound_holds_for_any_instance(run, ready):
    instance = Instance.of(run, ready)
    best = best_of_all(instance)
    assert lp_bound(instance) <= best + 1e-6
    assert least(instance).makespan == pytest.approx(best, rel=2e-4, abs=1e-6)


def test_by_hand():
    #        ready at 0 and 1
    run = [[4.0, 6.0], [2.0, 9.0], [3.0, 3.5], [1.0, 1.5]]
    instance = Instance.of(run, [0.0, 1.0])
    # ready 0 1 -> 0; 4 1 -> 1; 4 10 -> 0; 7 10 -> 0
    assert olb(instance).tolist() == [0, 1, 0, 0]
    assert met(instance).tolist() == [0, 0, 0, 0]
    # 4|7 -> 0; 6|10 -> 0; 9|4.5 -> 1; 7|6 -> 1
    assert mct(instance).tolist() == [0, 0, 1, 1]
    # ends 4 2 3 1: job 3 at 0; 5 3 4: job 1 at 0; 7|7, 6|4.5: job 2 at 1; job 0: 7|10.5
    assert min_min(instance).tolist() == [0, 0, 1, 0]
    # ends 4 2 3 1: job 0 at 0; 6 4.5 2.5: job 1 at 0; job 2 at 1 (4.5), 2.5; job 3: 7|6
    assert max_min(instance).tolist() == [0, 0, 1, 1]
    # losses 3 8 1.5 1.5: job 1 at 0; 6|7, 5|4.5, 3|2.5: 1 .5 .5: job 0 at 0; 9|4.5, 7|2.5: 4.5 4.5
    assert sufferage(instance).tolist() == [0, 0, 1, 1]
    assert makespan(instance, np.array([0, 0, 1, 1])) == 6.0


def test_the_min_min_of_a_plain_copy_is_the_same():
    instance = made(3, jobs=40, sites=5)
    ready, left, site = instance.ready.copy(), set(range(40)), np.zeros(40, int)
    while left:
        job = min(left, key=lambda j: (ready + instance.run[j]).min())
        site[job] = (ready + instance.run[job]).argmin()
        ready[site[job]] += instance.run[job, site[job]]
        left.remove(job)
    assert (min_min(instance) == site).all()


def test_heft_makes_the_published_plan():
    """The example of Topcuoglu et al. (2002): ten tasks, three processors, 80 units."""
    run = [
        *([14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10]),
        *([13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16]),
    ]
    parents = [[], [0], [0], [0], [0], [0], [2], [1, 3, 5], [1, 3, 4], [6, 7, 8]]
    transfer = [[], [18], [12], [9], [11], [14], [23], [19, 27, 15], [16, 23, 13], [17, 11, 13]]
    plan = heft(Instance.of(run), parents, transfer)
    assert plan.makespan == 80.0
    assert plan.site.tolist() == [2, 0, 2, 1, 2, 1, 2, 0, 1, 1]
    for job, own in enumerate(parents):
        for parent, seconds in zip(own, transfer[job], strict=True):
            away = seconds if plan.site[parent] != plan.site[job] else 0
            assert plan.start[job] >= plan.end[parent] + away


def test_heft_of_independent_jobs_places_the_longest_first():
    plan = heft(Instance.of([[2.0, 2.0], [9.0, 9.0], [7.0, 7.0]]))
    assert (plan.site[1], plan.site[2], plan.site[0]) == (0, 1, 1)
    assert plan.makespan == 9.0


def test_few_jobs_are_no_trouble():
    none = Instance.of(np.zeros((0, 2)), [3.0, 5.0])
    assert lp_bound(none) == least(none).makespan == rounded(none).makespan == 5.0
    assert all(len(heuristic(none)) == 0 for heuristic in HEURISTICS.values())
    assert heft(none).makespan == 0.0


def test_a_search_that_is_cut_off_still_has_a_plan_and_a_gap():
    plan = least(made(1, jobs=300, sites=12), time_limit=1e-3)
    assert plan.makespan >= plan.bound > 0.0
    assert plan.gap == pytest.approx(plan.makespan / plan.bound - 1.0)
    assert not plan.optimal


@pytest.mark.parametrize(
    ("run", "ready", "told"),
    [
        ([1.0, 2.0], None, "expected \\(jobs, sites\\)"),
        ([[1.0, 2.0]], [0.0], "one entry for each of 2 sites"),
        ([[1.0, -2.0]], None, "negative"),
        ([[np.nan, 2.0]], None, "NaN"),
        ([[1.0, 1.0]], [0.0, np.inf], "expected 0 or more"),
        ([[1.0, 1.0], [np.inf, np.inf]], None, "job 1 can run at no site"),
    ],
)
def test_bad_instances_are_refused(run, ready, told):
    with pytest.raises(InputError, match=told):
        Instance.of(run, ready)


def test_bad_parents_are_refused():
    two = Instance.of([[1.0], [1.0]])
    with pytest.raises(InputError, match="in a circle"):
        heft(two, [[1], [0]])
    with pytest.raises(InputError, match="parent 2"):
        heft(two, [[], [2]])
    with pytest.raises(InputError, match="same lengths"):
        heft(two, [[], [0]], [[], []])
    with pytest.raises(InputError, match="time_limit"):
        least(two, time_limit=0.0)
