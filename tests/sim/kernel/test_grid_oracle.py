"""The grid kernel against its plain version, job by job, and that one against what must hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim.assemble import Rules
from gridtwin.sim.kernel import CHOOSE, plain, plain_grid, run_jobs
from gridtwin.sim.kernel.codes import Brokerage, Ordering, Outcome
from gridtwin.sim.kernel.plain_flows import EFFICIENCY, Flow, Way, fill
from gridtwin.sim.platform import Link, Platform, Route, Site

SEEDS = st.integers(0, 2**32 - 1)
FLOWS = st.lists(
    st.tuples(
        st.floats(1e-3, 10.0),  # penalty
        st.floats(0.1, 100.0),  # bound
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.05, 1.0, 1.05, 2.1])),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(FLOWS, st.lists(st.floats(1.0, 200.0), min_size=4, max_size=4))
def test_plain_rates_fill_links_and_nobody_could_have_more_without_taking_from_a_poorer(
    flows, bandwidths
):
    bandwidth = dict(zip("abcd", bandwidths, strict=True))
    flows = [Flow(Way(0.0, penalty, bound, use), 1.0) for penalty, bound, use in flows]
    fill(flows, bandwidth)
    taken = {
        name: sum(f.rate / EFFICIENCY * f.way.use.get(name, 0.0) for f in flows) for name in "abcd"
    }
    assert all(taken[name] <= bandwidth[name] * (1 + 1e-9) for name in taken)
    for f in flows:
        value = f.rate / EFFICIENCY
        if value >= f.way.bound * (1 - 1e-9):
            continue
        full = [n for n in f.way.use if taken[n] >= bandwidth[n] * (1 - 1e-9)]
        # on one of its full links, its value times penalty is the largest
        assert any(
            value * f.way.penalty
            >= max(g.rate / EFFICIENCY * g.way.penalty for g in flows if name in g.way.use)
            * (1 - 1e-6)
            for name in full
        )


def same(done, attempts):
    """Check that the kernel and its plain version agree on each job."""
    assert done.attempts["job"].tolist() == [a.job for a in attempts]
    assert done.site.tolist() == [a.site for a in attempts]
    assert [Outcome(k).name for k in done.outcome] == [a.outcome for a in attempts]
    first = done.state.sites["first_pool"][done.site]
    pool = np.where(done.pool < 0, -1, done.pool - first)
    assert pool.tolist() == [a.pool for a in attempts]
    for name in ("start", "staged", "computed", "end"):
        by_hand = np.array([getattr(a, name) for a in attempts])
        np.testing.assert_allclose(getattr(done, name), by_hand, rtol=1e-9, err_msg=name)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.booleans(), st.booleans())
def test_kernel_and_plain_version_agree_on_random_grids(grid, seed, fewest, priority):
    rng = np.random.default_rng(seed)
    platform = grid.platform(rng)
    jobs = grid.jobs(rng, platform)
    broker = Brokerage.FEWEST_JOBS if fewest else Brokerage.LEAST_LOADED
    order = Ordering.PRIORITY if priority else Ordering.FCFS
    done = grid.run(platform, jobs, Rules(broker=broker, order=order))
    same(done, plain_grid.run(platform, jobs, fewest=fewest, priority=priority))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_they_agree_where_many_flows_share_many_links(grid, seed):
    rng = np.random.default_rng(seed)
    platform = grid.platform(rng, storages=False)
    n = 60
    sizes = np.floor(10 ** rng.uniform(7, 9, n))
    jobs = grid.work(
        np.sort(rng.uniform(0, 10, n)),
        cores=1,
        flop=0.0,
        reads=[[k] for k in range(n)],
        sizes=sizes,
        at=[len(platform.sites)] * n,
    )
    done = grid.run(platform, jobs)
    same(done, plain_grid.run(platform, jobs))
    assert len(done.transfers) == n
    assert done.transfers["bytes"].sum() == sizes.sum()


@pytest.mark.parametrize(("uplink", "level"), [(4e8, 1), (2.5e8, 2)])
def test_a_link_that_its_feeders_cannot_fill_makes_no_flows_share(grid, uplink, level):
    rng, n, feeders = np.random.default_rng(2), 60, range(3)
    platform = Platform(
        tuple(Site.of(f"s{k}", 20) for k in feeders),
        (Link("up", uplink), *(Link(f"wan{k}", 1e8, 0.001) for k in feeders)),
        tuple(Route("o", f"s{k}", ("up", f"wan{k}")) for k in feeders),
        ("o",),
    )
    submit, sizes = np.sort(rng.uniform(0, 10, n)), np.floor(10 ** rng.uniform(7, 9, n))
    jobs = grid.work(submit, 0.0, reads=[[k] for k in range(n)], sizes=sizes, at=[3] * n)
    done = grid.run(platform, jobs)
    assert done.state.world[0]["level"] == level
    same(done, plain_grid.run(platform, jobs))


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_they_agree_on_a_mesh_where_all_routes_hang_together(grid, seed):
    rng, n, sites = np.random.default_rng(seed), 150, 12
    bandwidth = 10 ** rng.uniform(7, 8, sites)
    platform = Platform(
        tuple(Site.of(f"s{k}", 10) for k in range(sites)),
        tuple(Link(f"wan{k}", b, 0.01, ends=(f"s{k}", "core")) for k, b in enumerate(bandwidth)),
        routers=("core",),
    )
    submit, sizes = np.sort(rng.uniform(0, 5, n)), np.floor(10 ** rng.uniform(7, 9, n))
    at = rng.integers(0, sites, n)
    away = (at + rng.integers(1, sites, n)) % sites
    jobs = grid.work(submit, 0.0, reads=[[k] for k in range(n)], sizes=sizes, at=at, site=away)
    done = grid.run(platform, jobs)
    assert done.state.world[0]["level"] == 2
    same(done, plain_grid.run(platform, jobs))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.booleans())
def test_without_data_it_is_the_kernel_for_computing(grid, seed, fixed):
    rng = np.random.default_rng(seed)
    n, cores = int(rng.integers(1, 200)), rng.integers(4, 10, 3)
    width, run = rng.integers(1, 5, n), np.floor(rng.exponential(20, n))  # many equal instants
    submit = np.floor(np.cumsum(rng.exponential(rng.choice([1.0, 3.0, 20.0]), n)))
    site = rng.integers(0, 3, n) if fixed else np.full(n, CHOOSE)
    platform = Platform(tuple(Site.of(f"s{k}", int(size)) for k, size in enumerate(cores)))
    done = grid.run(platform, grid.work(submit, run, width, site=site))
    start, where = run_jobs(submit, width, run, run + 1, site, cores, False)
    assert np.array_equal(done.start, start)
    assert np.array_equal(done.site, where)
    assert np.array_equal(done.end, start + run)
    by_hand = plain.run_jobs(
        *(a.tolist() for a in (submit, width, run, run + 1, site)), cores.tolist(), False
    )
    assert (done.start.tolist(), done.site.tolist()) == by_hand


@pytest.mark.parametrize("jobs", [0, 1])
def test_no_job_and_one_job(grid, jobs):
    done = grid.run(Platform.single(2), grid.work([3.0] * jobs, 4.0))
    assert (done.start.tolist(), done.end.tolist()) == ([3.0] * jobs, [7.0] * jobs)
    assert done.jobs["outcome"].tolist() == [Outcome.FINISHED] * jobs
