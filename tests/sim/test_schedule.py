"""One machine: schedules worked out by hand, closed forms, input that is refused."""

import math

import numpy as np
import pytest
from scipy import stats

from gridtwin.core.errors import InputError
from gridtwin.sim import schedule


def starts(*jobs, cores, backfill):
    """Schedule jobs given as (submit, width, run[, request])."""
    rows = [(*job, job[2]) if len(job) == 3 else job for job in jobs]
    submit, width, run, request = zip(*rows, strict=True)
    return schedule(submit, width, run, request, cores=cores, backfill=backfill).tolist()


# width against time, 4 cores: A 3 cores 0-10; B 4 cores; C 1 core 5 s; D 1 core 20 s
CLASSIC = [(0, 3, 10), (1, 4, 10), (2, 1, 5), (3, 1, 20)]


def test_fcfs_by_hand():
    assert starts(*CLASSIC, cores=4, backfill="none") == [0, 10, 20, 20]


def test_easy_by_hand_fills_the_hole_with_what_ends_in_time():
    # B is promised 10; C (2 to 7) fits before, D (7 to 27) would delay B
    assert starts(*CLASSIC, cores=4, backfill="easy") == [0, 10, 2, 20]


def test_what_ends_at_the_very_reservation_is_in_time():
    assert starts((0, 3, 10), (1, 4, 10), (2, 1, 8), cores=4, backfill="easy") == [0, 10, 2]
    assert starts((0, 3, 10), (1, 4, 10), (2, 1, 9), cores=4, backfill="easy") == [0, 10, 20]


def test_easy_lets_long_jobs_use_the_cores_that_the_first_does_not_need():
    # 5 cores: B needs 4 of them at 10, one is extra: C takes it for ever, D may not
    jobs = [(0, 3, 10), (1, 4, 10), (2, 1, 100), (3, 1, 100)]
    assert starts(*jobs, cores=5, backfill="easy") == [0, 10, 2, 20]


def test_easy_counts_all_jobs_expected_to_end_at_the_reservation_as_extra():
    # B (2 of 4 cores) is promised 10, when both others end: 2 cores are extra for C
    jobs = [(0, 2, 10), (0, 1, 10), (1, 2, 5), (2, 1, 50)]
    assert starts(*jobs, cores=4, backfill="easy") == [0, 0, 10, 2]


def test_easy_goes_by_requests_not_by_run_times():
    # C runs 5 s but asks for 20: it might delay B
    jobs = [(0, 3, 10), (1, 4, 10), (2, 1, 5, 20)]
    assert starts(*jobs, cores=4, backfill="easy") == [0, 10, 20]


def test_an_early_end_starts_the_first_in_the_queue_early():
    jobs = [(0, 3, 4, 10), (1, 4, 10), (2, 1, 2)]
    assert starts(*jobs, cores=4, backfill="easy") == [0, 4, 2]


def test_a_job_past_its_request_is_expected_to_end_now():
    # A asked for 5 and runs 20. At 6 the reservation of B is "now": nothing is in time then,
    # but one core is extra (5 - 4), so that C starts and D does not
    jobs = [(0, 3, 20, 5), (1, 4, 10), (6, 1, 1), (6, 1, 1)]
    assert starts(*jobs, cores=5, backfill="easy") == [0, 20, 6, 7]


def test_more_overdue_jobs_leave_more_cores_extra_for_who_waited_before():
    # A (asked 5) and E (asked 8) run to 30. B wants 2, F came at 2 and asks for ever.
    # At 6, A is overdue: B's promise is now, nothing extra. At 9 E is overdue too: 2 are extra
    jobs = [(0, 2, 30, 5), (0, 1, 30, 8), (1, 3, 1), (2, 1, 50, 50), (6, 4, 1), (9, 4, 1)]
    assert starts(*jobs, cores=4, backfill="easy")[:4] == [0, 0, 30, 9]


def test_completions_come_before_arrivals_of_the_same_instant():
    assert starts((0, 4, 10), (10, 4, 1), cores=4, backfill="none") == [0, 10]


def test_jobs_of_no_run_time_hold_their_cores_for_an_instant_only():
    jobs = [(0, 4, 0), (0, 4, 0), (0, 4, 3), (0, 4, 0)]
    assert starts(*jobs, cores=4, backfill="easy") == [0, 0, 0, 3]


def test_equal_submits_start_in_the_order_given():
    jobs = [(5, 2, 7), (5, 2, 1), (5, 2, 1)]
    assert starts(*jobs, cores=2, backfill="none") == [5, 12, 13]


def erlang_c(servers, offered):
    """Probability that a job waits in M/M/c (Erlang 1917)."""
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize("servers", [1, 4, 20])
@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_mean_wait_of_a_markov_queue(servers, backfill):
    """M/M/c at load 0.8: the closed form lies in the 99 % interval of 40 batch means."""
    n, load = 1_000_000, 0.8
    rng = np.random.default_rng(3)
    submit = np.cumsum(rng.exponential(1 / (load * servers), n))
    run = rng.exponential(1, n)
    ones = np.ones(n, dtype=np.int64)
    wait = schedule(submit, ones, run, run, cores=servers, backfill=backfill) - submit
    batches = wait[n // 10 :].reshape(40, -1).mean(axis=1)
    expected = erlang_c(servers, load * servers) / (servers * (1 - load))
    half = stats.t.ppf(0.995, len(batches) - 1) * batches.std(ddof=1) / math.sqrt(len(batches))
    assert abs(batches.mean() - expected) < half
    assert half < 0.1 * expected


def test_nothing_to_schedule():
    assert schedule([], [], [], [], cores=4, backfill="easy").tolist() == []


GOOD = {"submit": [0.0, 1.0], "width": [1, 2], "run": [1.0, 1.0], "request": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"submit": [0.0, math.nan]}, "submit holds NaN"),
        ({"run": [math.inf, 1.0]}, "run holds NaN or infinity"),
        ({"request": [math.nan, 1.0]}, "request holds NaN"),
        ({"run": [-1.0, 1.0]}, "negative time"),
        ({"request": [1.0, -5.0]}, "negative time"),
        ({"submit": [1.0, 0.0]}, "sort the jobs"),
        ({"width": [1, 0]}, "whole numbers from 1"),
        ({"width": [1, -2]}, "whole numbers from 1"),
        ({"width": [1.5, 1.0]}, "whole numbers from 1"),
        ({"width": [math.nan, 1.0]}, "no numbers"),
        ({"width": ["a", "b"]}, "no numbers"),
        ({"width": [1, 5]}, "job 1 is 5 wide, the machine has 4"),
        ({"run": [1.0]}, "differ in length"),
        ({"run": [[1.0], [1.0]]}, "2 dimensions"),
        ({"run": [1e16, 1.0]}, "in seconds"),
        ({"cores": 0}, "cores: expected"),
        ({"cores": 2.5}, "cores: expected a whole number"),
        ({"backfill": "conservative"}, "expected 'none' or 'easy'"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(change, message):
    arguments = {**GOOD, "cores": 4, "backfill": "easy", **change}
    values = [arguments.pop(name) for name in GOOD]
    with pytest.raises(InputError, match=message):
        schedule(*values, **arguments)
