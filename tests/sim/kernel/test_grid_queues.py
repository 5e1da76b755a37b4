"""Queues whose mean times are known: M/M/1, M/M/c, M/G/1 with processor sharing on a link.

Formulas: Kleinrock, Queueing Systems I (1975), 3.2 and 3.5, and II (1976), 4.4. Confidence
intervals come from the means of batches (Law, Simulation Modeling and Analysis, 5th ed., 9.5.3).
"""

from math import factorial

import numpy as np
import pytest
from scipy import stats

from gridtwin.sim.assemble import Rules
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.kernel.network import EFFICIENCY
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site

JOBS, BATCHES = 400_000, 30
QUIET = Rules(transfers=False)


def interval(values, level=0.999):
    """Return mean and half width by batches, the first tenth left out."""
    means = np.array([b.mean() for b in np.array_split(values[len(values) // 10 :], BATCHES)])
    width = stats.t.ppf((1 + level) / 2, BATCHES - 1) * means.std(ddof=1) / np.sqrt(BATCHES)
    return means.mean(), width


def near(values, expected, most=0.1):
    mean, width = interval(values)
    assert width < most * expected, "too wide to tell anything"
    assert abs(mean - expected) < width


def erlang_c(servers, offered):
    """Return the chance to wait in M/M/c."""
    top = offered**servers / factorial(servers) * servers / (servers - offered)
    return top / (sum(offered**k / factorial(k) for k in range(servers)) + top)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.7), (4, 0.8), (20, 0.85)])
def test_waits_of_m_m_c(grid, servers, load, seed):
    rng = np.random.default_rng(seed)
    submit = np.cumsum(rng.exponential(1 / (load * servers), JOBS))
    jobs = grid.work(submit, rng.exponential(1.0, JOBS))
    done = grid.run(Platform.single(servers), jobs, QUIET)
    wait = done.start - submit
    chance = erlang_c(servers, load * servers)
    near(wait, chance / (servers * (1 - load)), 0.2)
    near(wait > 0, chance)


def sharing(sites, sharing="split", bandwidth=1e8):
    """Return sites with many cores that read from an origin behind one link without latency."""
    links = (Link("up", bandwidth, 0.0, sharing),)
    names = [f"s{k}" for k in range(sites)]
    return Platform(
        tuple(Site(name, (Pool(100_000),)) for name in names),
        links,
        tuple(Route("o", name, ("up",)) for name in names),
        ("o",),
    )


SIZES = {
    "fixed": lambda rng, n: np.ones(n),
    "exponential": lambda rng, n: rng.exponential(1.0, n),
    "two kinds": lambda rng, n: np.where(rng.random(n) < 0.1, 5.5, 0.5),
}


@pytest.mark.parametrize("sites", [1, 3])
@pytest.mark.parametrize("sizes", SIZES)
def test_transfer_times_of_a_shared_link_are_those_of_m_g_1_ps(grid, sizes, sites):
    """The mean is that of M/M/1 whatever the sizes, and a transfer's is linear in its size."""
    rng = np.random.default_rng(7)
    load, n = 0.6, JOBS // 2
    speed = EFFICIENCY * 1e8
    size = SIZES[sizes](rng, n)
    jobs = grid.work(
        np.cumsum(rng.exponential(1 / load, n)),
        reads=np.arange(n)[:, None],
        sizes=size * speed,
        at=np.full((n, 1), sites),
    )
    done = grid.run(sharing(sites), jobs, Rules(broker=Brokerage.FEWEST_JOBS, transfers=False))
    took = done.staged - done.start
    assert (done.start == done.ready).all()
    assert (took >= size - 1e-6).all()
    assert len(np.unique(done.site)) == sites
    near(took, 1 / (1 - load))
    if sizes == "two kinds":
        near(took[size < 1], 0.5 / (1 - load))
        near(took[size > 1], 5.5 / (1 - load), 0.15)


def test_a_link_with_more_than_its_load_only_grows_its_queue(grid):
    n = 2000
    jobs = grid.work(
        np.arange(n) * 0.5, reads=np.arange(n)[:, None], sizes=[EFFICIENCY * 1e8] * n, at=[[1]] * n
    )
    done = grid.run(sharing(1), jobs, QUIET)
    assert done.end.max() == pytest.approx(n, rel=1e-9)  # the link never rests
