"""The compiled kernel against its plain version, and both against what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim.kernel import CHOOSE, plain, run_jobs

# small whole numbers make ties of every kind frequent: equal submits, ends at arrivals, zero runs
JOB = st.tuples(
    st.integers(0, 25),  # submit
    st.integers(1, 5),  # width
    st.integers(0, 9),  # run
    st.integers(-4, 6),  # request - run
    st.integers(-1, 2),  # site
)
CASES = settings(max_examples=400, deadline=None)


def arrays(jobs):
    submit, width, run, slack, site = np.array(sorted(jobs, key=lambda j: j[0]), dtype=np.int64).T
    request = np.maximum(run + slack, 0).astype(float)
    return submit.astype(float), width.copy(), run.astype(float), request, site.copy()


def both(submit, width, run, request, site, cores, easy):
    compiled = run_jobs(submit, width, run, request, site, np.array(cores), easy)
    lists = (a.tolist() for a in (submit, width, run, request, site))
    by_hand = plain.run_jobs(*lists, list(cores), easy)
    return (compiled[0].tolist(), compiled[1].tolist()), by_hand


def used(start, run, width, at):
    return int(width[(start <= at) & (at < start + run)].sum())


@CASES
@given(
    st.lists(JOB, min_size=1, max_size=60),
    st.lists(st.integers(5, 12), min_size=3, max_size=3),
    st.booleans(),
)
def test_kernel_and_plain_version_agree_on_every_job(jobs, cores, easy):
    compiled, by_hand = both(*arrays(jobs), cores, easy)
    assert compiled == by_hand


@CASES
@given(st.lists(JOB, min_size=1, max_size=60), st.integers(5, 9))
def test_they_agree_on_one_crowded_machine(jobs, cores):
    submit, width, run, request, site = arrays(jobs)
    compiled, by_hand = both(submit // 5, width, run, request, site * 0, [cores], True)
    assert compiled == by_hand


def test_they_agree_on_long_queues_and_times_that_are_no_whole_numbers():
    rng = np.random.default_rng(5)
    n = 3000
    width = rng.integers(1, 17, n)
    run = rng.lognormal(2, 1.5, n)
    request = run * rng.uniform(0.3, 4, n)  # a third of the jobs outlive their request
    submit = np.cumsum(rng.exponential(np.dot(run, width) / n / 16 / 1.1, n)) + 1.7e9
    for cores, site in (([16], np.zeros(n, int)), ([16, 20, 24], np.full(n, CHOOSE))):
        compiled, by_hand = both(submit, width, run, request, site, cores, True)
        assert compiled == by_hand


@pytest.mark.parametrize("seed", range(12))
def test_they_agree_on_queues_of_many_packs(seed):
    """Jobs come three times as fast as they are done, many at once, in waves with quiet between."""
    rng = np.random.default_rng(seed)
    n, cores = 900, [[32], [32, 17, 40]][seed % 2]
    width = rng.choice([1, 2, 3, 5, 8, 16, 17], n, p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    run = rng.integers(0, 40, n).astype(float)
    request = np.maximum(run + rng.integers(-10, 200, n), 0) * (seed % 3 > 0) + rng.integers(
        0, 3, n
    )
    rate = 3 * sum(cores) / np.dot(run, width) * n
    submit = np.floor(np.cumsum(rng.exponential(1 / rate, n))) + 2000 * (np.arange(n) // 450)
    site = np.full(n, CHOOSE) if seed % 4 == 3 else rng.integers(0, len(cores), n)
    compiled, by_hand = both(submit, width, run, request, site, cores, True)
    assert compiled == by_hand
    assert (np.array(compiled[0]) > submit).mean() > 0.5


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.booleans())
def test_cores_are_never_oversubscribed_and_nobody_starts_before_submission(jobs, easy):
    submit, width, run, request, site = arrays(jobs)
    cores = np.array([5, 7, 9])
    start, where = run_jobs(submit, width, run, request, site, cores, easy)
    assert (start >= submit).all()
    assert ((where == site) | (site == CHOOSE)).all()
    for s, size in enumerate(cores):
        at = where == s
        assert all(used(start[at], run[at], width[at], t) <= size for t in start[at])


@CASES
@given(st.lists(JOB, min_size=1, max_size=40))
def test_fcfs_starts_each_job_at_the_first_instant_that_it_fits_after_the_one_before(jobs):
    submit, width, run, request, _ = arrays(jobs)
    start, _ = run_jobs(submit, width, run, request, np.zeros_like(width), np.array([6]), False)
    last = -np.inf
    for k in range(len(start)):
        first = max(submit[k], last)
        ends = (start + run)[:k]
        instants = [first, *sorted(ends[ends > first])]
        fits = (t for t in instants if used(start[:k], run[:k], width[:k], t) + width[k] <= 6)
        assert start[k] == next(fits)
        last = start[k]


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.integers(0, 6))
def test_easy_never_delays_the_first_in_the_queue_beyond_its_reservation(jobs, slack):
    submit, width, run, _, _ = arrays(jobs)
    run = np.maximum(run, 1)
    request = run + slack * (np.arange(len(run)) % 3)  # never less than the run time
    start, _ = run_jobs(submit, width, run, request, np.zeros_like(width), np.array([6]), True)
    for k in range(len(start)):
        first = max([submit[k], *start[:k]])  # when the job became first in the queue
        others = np.arange(len(start)) != k
        # what overtakes at that very instant does so because of the job's reservation
        seen = others & ((start < first) | ((start == first) & (np.arange(len(start)) < k)))
        ends = (start + request)[seen & (start + run > first)]
        promised = next(
            t
            for t in [first, *sorted(ends)]
            if width[seen & (start + run > first) & (start + request > t)].sum() + width[k] <= 6
        )
        assert start[k] <= promised


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.booleans())
def test_jobs_of_one_width_and_one_request_never_overtake(jobs, easy):
    submit, width, run, _, _ = arrays(jobs)
    same = np.full(len(run), 9.0)
    start, _ = run_jobs(submit, np.full_like(width, 2), run, same, width * 0, np.array([5]), easy)
    assert (np.diff(start) >= 0).all()


def test_no_jobs():
    nothing = np.zeros(0)
    whole = np.zeros(0, np.int64)
    start, site = run_jobs(nothing, whole, nothing, nothing, whole, np.array([4]), True)
    assert len(start) == len(site) == 0
    assert plain.run_jobs([], [], [], [], [], [4], True) == ([], [])
