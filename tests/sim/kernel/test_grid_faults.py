"""Failures, outages and retries of the grid kernel, by hand and within intervals of chance."""

import numpy as np
import pytest
from scipy import stats

from gridtwin.sim.assemble import Rules
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.kernel.codes import Backfilling, Brokerage, Ordering, Outcome
from gridtwin.sim.outages import Outage
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage

MANY = 20_000
TWO = Platform((Site.of("a", 1000), Site.of("b", 1000)))


def likely(hits, tries, chance):
    """Check a count against its chance: two-sided, one in 10,000 runs of another seed fails."""
    assert stats.binomtest(int(hits), int(tries), chance).pvalue > 1e-4


def test_as_many_fail_as_the_chance_of_site_and_kind_says(grid):
    chance = np.array([[0.1, 0.5], [0.0, 1.0]])
    jobs = grid.work(np.arange(MANY) * 1.0, 1.0, kind=np.arange(MANY) % 2)
    done = grid.run(TWO, jobs, Rules(broker=Brokerage.RANDOM), Faults(chance), seed=4)
    kind, failed = done.attempts["job"] % 2, done.outcome == Outcome.FAILED
    likely((done.site == 0).sum(), MANY, 0.5)
    for s in (0, 1):
        for k in (0, 1):
            mine = (done.site == s) & (kind == k)
            likely(failed[mine].sum(), mine.sum(), chance[s, k])


def test_codes_and_moments_are_drawn_as_given(grid):
    ways = (
        Failure("x:1", 3.0, (0.0, 0.0, 1.0)),
        Failure("y:2", 1.0, (0.5, 0.5)),
        Failure("z", 0.0),
    )
    faults = Faults(1.0, ways)
    done = grid.run(TWO, grid.work(np.arange(MANY) * 9.0, 8.0), faults=faults, seed=1)
    share = (done.end - done.start) / 8.0
    likely((done.code == 0).sum(), MANY, 0.75)
    assert not (done.code == 2).any()
    np.testing.assert_allclose(share[done.code == 1], 0.5, atol=1e-9)
    first = share[done.code == 0]
    likely((first < 1e-9).sum(), len(first), 0.5)
    assert stats.kstest(first[first >= 1e-9], "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("chance", "again", "most"), [(0.3, 0.0, 4), (0.3, 0.5, 4), (1.0, 0.0, 3)])
def test_retries_are_as_many_as_their_chance_says_and_bounded(grid, chance, again, most):
    faults = Faults(chance, again=again, attempts=most, retry_delay=2.5)
    done = grid.run(TWO, grid.work(np.arange(MANY) * 1.0, 1.0), faults=faults, seed=2)
    later = chance + again * (1 - chance)
    reached = MANY
    for number in range(most):
        mine = done.number == number
        assert mine.sum() == reached
        failed = (done.outcome[mine] == Outcome.FAILED).sum()
        likely(failed, reached, later if number else chance)
        reached = int(failed)
    assert done.number.max() == most - 1
    assert (done.jobs["attempts"] <= most).all()
    assert (done.jobs["outcome"] == Outcome.FAILED).sum() == reached


@pytest.mark.parametrize("elsewhere", [0.0, 0.4, 1.0])
def test_retries_go_elsewhere_as_often_as_said(grid, elsewhere):
    chance = {"a": 1.0}
    jobs = grid.work(np.arange(MANY) * 5.0, 1.0)  # the first of the empty sites is always a
    done = grid.run(TWO, jobs, faults=Faults(chance, attempts=2, elsewhere=elsewhere))
    assert (done.site[done.number == 0] == 0).all()
    likely((done.site[done.number == 1] == 1).sum(), MANY, elsewhere)


def test_a_retry_with_nowhere_else_to_go_stays(grid):
    faults = Faults(1.0, attempts=3, elsewhere=1.0)
    done = grid.run(Platform.single(2), grid.work([0.0], 4.0), faults=faults, seed=3)
    assert done.site.tolist() == [0, 0, 0]


def test_other_seeds_draw_others_and_no_job_depends_on_the_others(grid):
    runs = [
        grid.run(TWO, grid.work(np.arange(n) * 1.0, 1.0), faults=Faults(0.3), seed=seed)
        for n, seed in ((2000, 0), (2000, 1), (1000, 0))
    ]
    first, other, fewer = (run.jobs["outcome"] == Outcome.FAILED for run in runs)
    likely((first & other).sum(), 2000, 0.09)
    assert np.array_equal(first[:1000], fewer)


def test_a_full_outage_ends_what_runs_and_starts_nothing(grid):
    faults = Faults(outages=(Outage("machine", 10.0, 30.0),), attempts=2)
    jobs = grid.work([0.0, 0.0, 5.0, 12.0], [10.0, 15.0, 50.0, 1.0])
    done = grid.run(Platform.single(2), jobs, faults=faults)
    rows = sorted(done.attempts[["job", "start", "end", "outcome"]].tolist())
    fine, out = Outcome.FINISHED, Outcome.OUTAGE
    assert rows == [
        (0, 0.0, 10.0, fine),
        (1, 0.0, 10.0, out),
        (1, 30.0, 45.0, fine),
        (2, 30.0, 80.0, fine),
        (3, 45.0, 46.0, fine),
    ]


def test_an_outage_that_does_not_kill_lets_what_runs_end(grid):
    faults = Faults(outages=(Outage("machine", 10.0, 30.0),), outages_kill=False)
    done = grid.run(Platform.single(1), grid.work([0.0, 0.0], 15.0), faults=faults)
    assert done.start.tolist() == [0.0, 30.0]
    assert done.end.tolist() == [15.0, 45.0]


def test_half_an_outage_leaves_half_the_cores(grid):
    faults = Faults(outages=(Outage("machine", 0.0, 100.0, 0.5),))
    done = grid.run(Platform.single(4), grid.work([1.0] * 4, 10.0), faults=faults)
    assert done.start.tolist() == [1.0, 1.0, 11.0, 11.0]


def test_an_outage_that_never_ends_leaves_jobs_waiting(grid):
    faults = Faults(outages=(Outage("machine", 5.0),))
    done = grid.run(Platform.single(1), grid.work([0.0, 6.0], 1.0), faults=faults)
    assert done.jobs["outcome"][0] == Outcome.FINISHED
    assert done.jobs["outcome"][1] < 0
    assert np.isnan(done.start[1])


def test_brokers_keep_off_a_site_in_an_outage(grid):
    faults = Faults(outages=(Outage("a", 0.0, 100.0),))
    for broker in (Brokerage.LEAST_LOADED, Brokerage.FEWEST_JOBS, Brokerage.ROUND_ROBIN):
        done = grid.run(TWO, grid.work([1.0] * 6, 1.0), Rules(broker=broker), faults)
        assert done.site.tolist() == [1] * 6


def test_a_flow_that_is_broken_off_leaves_its_share_to_the_others(grid):
    """Two sites read 1 GB each over one link; one is shut after 4 s, the other then has it all."""
    link = Link("up", 1e8 / 0.97, 0.0, "split")
    sites = tuple(Site(name, (Pool(1),)) for name in "ab")
    platform = Platform(sites, (link,), tuple(Route("o", n, ("up",)) for n in "ab"), ("o",))
    jobs = grid.work([0.0, 0.0], reads=[[0], [0]], sizes=[1e9], at=[[2]], site=[0, 1])
    done = grid.run(platform, jobs, faults=Faults(outages=(Outage("a", 4.0, 5.0),)))
    assert done.end.tolist() == pytest.approx([4.0, 12.0])
    assert done.outcome.tolist() == [Outcome.OUTAGE, Outcome.FINISHED]


def test_nothing_comes_over_a_link_without_bandwidth_and_the_clock_goes_on(grid):
    link = Link("up", 0.0, 0.01)
    site = Site("a", (Pool(2),))
    platform = Platform((site,), (link,), (Route("o", "a", ("up",)),), ("o",))
    jobs = grid.work(
        [0.0, 0.0, 1.0],
        1.0,
        reads=[[0], [0], []],
        sizes=[1.0],
        at=[[1]],
        request=[9.0, np.inf, np.inf],
    )
    done = grid.run(platform, jobs)
    assert done.outcome.tolist() == [Outcome.WALLTIME, 0, Outcome.FINISHED]
    assert done.end[[0, 2]].tolist() == [9.0, 10.0]


def test_many_void_events_have_room(grid):
    """Streams that are broken off leave events behind that come long after."""
    outages = tuple(Outage("a", 10.0 * k + 5.0, 10.0 * k + 6.0) for k in range(40))
    site = Site("a", (Pool(1),), (Storage("d", write=1.0),))
    platform = Platform((site,), (Link("up", 1e8, 0.001),), (Route("o", "a", ("up",)),), ("o",))
    jobs = grid.work(
        [0.0], 1e6, reads=[[0]], sizes=[1e10], at=[[1]], stream=True, request=1e7, output=5.0
    )
    faults = Faults(outages=outages, attempts=41)
    done = grid.run(platform, jobs, Rules(block=1e6), faults, few=1)
    assert len(done.attempts) == 41
    assert done.outcome.tolist() == [Outcome.OUTAGE] * 40 + [Outcome.FINISHED]


def test_priorities_go_first_and_equals_in_order(grid):
    jobs = grid.work([0.0] * 6, 1.0, priority=[0, 1, 5, 1, 5, 0])
    for backfill in Backfilling:
        rules = Rules(order=Ordering.PRIORITY, backfill=backfill)
        done = grid.run(Platform.single(1), jobs, rules)
        order = done.attempts["job"][np.argsort(done.start)]
        assert order.tolist() == [0, 2, 4, 1, 3, 5]  # the first finds the machine empty


def test_fair_share_serves_who_used_least(grid):
    """User 0 sends ten jobs before user 1 sends two: they take turns from then on."""
    user = [0] * 10 + [1] * 2
    jobs = grid.work([0.0] * 10 + [0.5] * 2, 1.0, user=user)
    done = grid.run(Platform.single(1), jobs, Rules(order=Ordering.FAIR_SHARE))
    assert done.start[10:].tolist() == [1.0, 3.0]
    assert sorted(done.start) == list(range(12))
