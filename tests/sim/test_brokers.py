import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtwin.core.errors import UnknownNameError
from gridtwin.sim.brokers import assign, check_broker
from gridtwin.sim.kernel import run_jobs

CORES = np.array([2, 8, 4, 8])


def test_round_robin_takes_turns_and_skips_sites_that_are_too_small():
    width = np.array([1, 1, 1, 1, 1, 5, 5, 3, 1])
    assert assign("round_robin", width, CORES).tolist() == [0, 1, 2, 3, 0, 1, 3, 1, 2]
    assert assign("round_robin", np.ones(5, np.int64), CORES).tolist() == [0, 1, 2, 3, 0]


def test_random_reaches_every_site_that_is_wide_enough_equally_often():
    width = np.repeat([1, 3, 8], 20_000)
    site = assign("random", width, CORES, seed=1)
    for size, sites in ((1, [0, 1, 2, 3]), (3, [1, 2, 3]), (8, [1, 3])):
        chosen, count = np.unique(site[width == size], return_counts=True)
        assert chosen.tolist() == sites
        share = 1 / len(sites)
        spread = np.sqrt(20_000 * share * (1 - share))
        assert (np.abs(count - 20_000 * share) < 4 * spread).all()


def test_random_is_the_same_under_the_same_seed_and_another_under_another():
    width = np.ones(100, np.int64)
    first = assign("random", width, CORES, seed=1)
    assert (first == assign("random", width, CORES, seed=1)).all()
    assert (first != assign("random", width, CORES, seed=2)).any()


@pytest.mark.parametrize("broker", ["random", "round_robin"])
@given(width=st.lists(st.integers(1, 8), max_size=30))
def test_every_job_fits_its_site(broker, width):
    width = np.array(width, dtype=np.int64)
    assert (CORES[assign(broker, width, CORES)] >= width).all()


def test_least_loaded_by_hand():
    # cores per core in the system: ties go to the first site; a queued job counts
    width, cores = np.array([2, 2, 1, 4, 1, 1]), np.array([2, 4, 4])
    site = assign("least_loaded", width, cores)
    submit, run = np.arange(6.0), np.full(6, 100.0)
    _, where = run_jobs(submit, width, run, run, site, cores, False)
    # loads before each: 0 0 0; 1 0 0; 1 .5 0; 1 .5 .25 (4 wide: not site 0); 1 .5 1.25; 1 .75 1.25
    assert where.tolist() == [0, 1, 2, 2, 1, 1]


def test_recorded_needs_the_sites():
    recorded = np.array([1, 0])
    assert assign("recorded", np.ones(2, np.int64), CORES, recorded=recorded) is recorded
    with pytest.raises(ValueError, match="own sites"):
        assign("recorded", np.ones(2, np.int64), CORES)


def test_an_unknown_broker_is_answered_with_the_nearest():
    check_broker("random")
    with pytest.raises(UnknownNameError, match="did you mean 'least_loaded'"):
        check_broker("leastloaded")
