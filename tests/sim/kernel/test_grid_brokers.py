"""Which site a job goes to, and who is next there: rules of the grid kernel against plain ones."""

import ctypes
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS
from gridtwin.sim.kernel.codes import Brokerage, Ordering, Outcome
from gridtwin.sim.kernel.grid import DONE, STOPPED, advance
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site

ASK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
NARROW = Platform((Site.of("a", 2), Site.of("b", 8), Site("c"), Site.of("d", 4)))


def test_round_robin_takes_turns_among_those_that_fit(grid):
    jobs = grid.work(np.arange(7.0), 1.0, [1, 4, 4, 1, 8, 3, 9])
    done = grid.run(NARROW, jobs, Rules(broker=Brokerage.ROUND_ROBIN))
    assert done.site.tolist() == [0, 1, 3, 0, 1, 3, -1]
    assert done.outcome[-1] == Outcome.NO_SITE


def test_random_is_even_among_those_that_fit_next(grid):
    n = 9000
    platform = Platform(tuple(Site.of(name, 1) for name in "abc"))
    jobs = grid.work(np.arange(n) * 2.0, 1.0)
    done = grid.run(platform, jobs, Rules(broker=Brokerage.RANDOM), seed=11)
    assert stats.chisquare(np.bincount(done.site)).pvalue > 1e-4
    follows = np.bincount(3 * done.site[:-1] + done.site[1:])
    assert stats.chisquare(follows).pvalue > 1e-4


@pytest.mark.parametrize(("where", "site"), [([0], 0), ([1], 1), ([0, 1], 0), ([3], 0), ([2], 0)])
def test_data_local_goes_where_the_bytes_are_else_where_least_is_done(grid, where, site):
    """Nodes: sites a and b, site c without cores, an origin."""
    sites = (Site.of("a", 2), Site.of("b", 2), Site("c"))
    link = Link("up", 1e9)
    routes = tuple(Route(o, d, ("up",)) for o in ("o", "c") for d in "ab")
    routes += (Route("a", "b", ("up",)),)
    platform = Platform(sites, (link,), routes, ("o",))
    jobs = grid.work([0.0], 1.0, reads=[[0]], sizes=[1e9], at=[where])
    done = grid.run(platform, jobs, Rules(broker=Brokerage.DATA_LOCAL))
    assert done.site.tolist() == [site]


def test_data_local_counts_bytes_not_files(grid):
    platform = Platform(
        (Site.of("a", 1), Site.of("b", 1)), (Link("up", 1e9),), (Route("a", "b", ("up",)),)
    )
    jobs = grid.work([0.0], 1.0, reads=[[0, 1, 2]], sizes=[1e9, 1e9, 3e9], at=[[0], [0], [1]])
    assert grid.run(platform, jobs, Rules(broker=Brokerage.DATA_LOCAL)).site.tolist() == [1]


@given(st.lists(st.integers(-1, 1), max_size=20))
@settings(max_examples=30, deadline=None)
def test_a_called_broker_is_asked_once_for_each_job_in_order(grid, answers):
    asked = []

    @ASK
    def ask(job):
        asked.append(job)
        return answers[job]

    platform = Platform((Site.of("a", 1), Site.of("b", 1)))
    jobs = grid.work(np.arange(len(answers)) * 0.5, 1.0)
    state = assemble(platform, jobs, Rules(broker=Brokerage.CALLED), NO_FAULTS, 0)
    assert advance(state, np.inf, sys.maxsize, ask) == DONE
    assert asked == list(range(len(answers)))
    attempts = state.attempts[: state.world[0]["attempts"]]
    assert attempts["site"].tolist() == answers
    nowhere = attempts["site"] < 0
    assert (attempts["outcome"][nowhere] == Outcome.NO_SITE).all()
    assert (attempts["outcome"][~nowhere] == Outcome.FINISHED).all()


@pytest.mark.parametrize("answer", [-2, 2, 10**9, 1])
def test_an_answer_that_is_no_site_for_the_job_stops_the_clock(grid, answer):
    platform = Platform((Site.of("a", 4), Site.of("b", 1)))
    jobs = grid.work([0.0, 3.0, 9.0], 1.0, 2)
    ask = ASK(lambda job: answer if job == 1 else 0)
    state = assemble(platform, jobs, Rules(broker=Brokerage.CALLED), NO_FAULTS, 0)
    assert advance(state, np.inf, sys.maxsize, ask) == STOPPED
    assert state.world[0]["now"] == 3.0
    assert state.world[0]["attempts"] == 1


def test_a_job_with_a_site_goes_there_or_nowhere(grid):
    jobs = grid.work([0.0] * 4, 1.0, [1, 3, 1, 8], site=[3, 0, 2, 1])
    for broker in (b for b in Brokerage if b != Brokerage.CALLED):
        done = grid.run(NARROW, jobs, Rules(broker=broker))
        assert done.site.tolist() == [3, -1, -1, 1]


@pytest.mark.parametrize("broker", [Brokerage.LEAST_LOADED, Brokerage.FEWEST_JOBS])
def test_brokers_know_what_they_sent_before_it_is_there(grid, broker):
    platform = Platform(tuple(Site.of(name, 9) for name in "abc"))
    done = grid.run(platform, grid.work(np.arange(6.0), 500.0), Rules(broker=broker, dispatch=60.0))
    assert done.site.tolist() == [0, 1, 2, 0, 1, 2]
    assert done.start.tolist() == (np.arange(6.0) + 60.0).tolist()


def test_a_pilot_holds_cores_before_the_first_input(grid):
    link = Link("up", 1e8 / 0.97, 0.0, "split")
    platform = Platform((Site.of("a", 1),), (link,), (Route("o", "a", ("up",)),), ("o",))
    jobs = grid.work([0.0, 0.0], 7.0, reads=[[0], []], sizes=[2e8], at=[[1]])
    done = grid.run(platform, jobs, Rules(pilot=3.0, dispatch=1.0))
    np.testing.assert_allclose(done.start, [1.0, 13.0])
    np.testing.assert_allclose(done.staged, [6.0, np.nan])
    np.testing.assert_allclose(done.end, [13.0, 23.0])


def test_memory_decides_where_a_job_fits_and_which_pool_takes_it(grid):
    pools = (Pool(2, speed=2e9, memory=4.0), Pool(2, speed=1e9, memory=16.0))
    platform = Platform((Site("a", pools), Site("b", (Pool(8, speed=1e9, memory=1.0),))))
    jobs = grid.work([0.0] * 5, memory=[3.0, 3.0, 9.0, 0.5, 99.0], flop=2e9)
    done = grid.run(platform, jobs)
    place = [(int(s), int(p)) for s, p in zip(done.site, done.pool, strict=True)]
    assert place == [(0, 0), (0, 1), (0, 1), (1, 2), (-1, -1)]
    assert done.end[:4].tolist() == [1.0, 2.0, 2.0, 2.0]


def fair(submit, run, cores, user, size, half_life):
    """Return starts where the user with the least decayed use is next, and its head blocks."""
    n = len(submit)
    start, ends, queue = [0.0] * n, [], []
    used, since = {}, {}

    def use(u, now):
        return used.get(u, 0.0) * 0.5 ** ((now - since.get(u, 0.0)) / half_life)

    arrived = 0
    while arrived < n or queue:
        now = min([e for e, _ in ends] + list(submit[arrived : arrived + 1]))
        ends = [(e, j) for e, j in ends if e > now]
        new = [j for j in range(arrived, n) if submit[j] <= now]
        arrived += len(new)
        free = size - sum(cores[j] for _, j in ends)
        for job in new:
            queue.append(job)
            if len(queue) == 1:  # where nobody waits it starts before the next one is looked at
                free = _serve(queue, free, now, start, ends, run, cores, user, used, since, use)
        free = _serve(queue, free, now, start, ends, run, cores, user, used, since, use)
    return start


def _serve(queue, free, now, start, ends, run, cores, user, used, since, use):
    while queue:
        heads = {}
        for j in queue:
            heads.setdefault(user[j], j)
        job = min(heads.values(), key=lambda j: (use(user[j], now), queue.index(j)))
        if cores[job] > free:
            break
        queue.remove(job)
        free -= cores[job]
        used[user[job]] = use(user[job], now) + run[job] * cores[job]
        since[user[job]] = now
        start[job] = now
        ends.append((now + run[job], job))
    return free


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("half_life", [20.0, 1e5])
def test_fair_share_is_that_of_a_plain_list(grid, seed, half_life):
    rng = np.random.default_rng(seed)
    n = 200
    run, cores, user = rng.exponential(10.0, n), rng.integers(1, 4, n), rng.integers(0, 6, n)
    submit = np.cumsum(rng.exponential(run.mean() * 2 / 6 / 1.1, n) * (rng.random(n) < 0.7))
    jobs = grid.work(submit, run, cores, user=user)
    rules = Rules(order=Ordering.FAIR_SHARE, half_life=half_life)
    done = grid.run(Platform.single(6), jobs, rules)
    by_hand = fair(submit, run, cores, user, 6, half_life)
    start = np.empty(n)
    start[done.attempts["job"]] = done.start
    np.testing.assert_allclose(start, by_hand, rtol=1e-12)
    assert (start > submit).mean() > 0.3
