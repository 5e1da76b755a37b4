"""What is expected of a job at each site, by hand, and what a view shows for it."""

import numpy as np
import polars as pl
import pytest

from gridtwin.policy.estimates import History, candidates, least, ready_seconds, slowness, times_of
from gridtwin.sim import Faults, Link, Outage, Platform, Pool, Site, Storage, simulate
from gridtwin.trace import JobTable, Provenance

PLATFORM = Platform(
    (
        Site("A", (Pool(4, 1, 1e9, memory=8e9),)),
        Site("B", (Pool(8, 1, 3e9, memory=2e9),), (Storage("disk", capacity=1e12),)),
        Site("store"),
    ),
    (
        Link("to A", 1e6, 0.0, ends=("store", "A")),
        Link("to B", 2e6, 0.1, ends=("store", "B")),
    ),
)


def watch(look, *rows, faults=None, **more):
    """Send jobs of (submit, cores, run) in turn to the sites that `look` answers; return them."""
    frame = pl.DataFrame(
        {
            "job_id": [f"j{k}" for k in range(len(rows))],
            "submit_time": [float(row[0]) for row in rows],
            "cores_req": [row[1] for row in rows],
            "run_time": [float(row[2]) for row in rows],
            **more,
        }
    )
    jobs = JobTable.from_frame(frame, Provenance(source="made up", rows_read=len(rows)))
    return simulate(
        jobs, platform=PLATFORM, policy="fcfs", broker=look, faults=faults, origin="store"
    )


def test_slowness_is_beside_the_mean_core():
    assert slowness(np.array([1e9, 3e9, np.nan])).tolist() == [2.0, 2 / 3, 1.0]
    assert slowness(np.array([np.nan, np.nan])).tolist() == [1.0, 1.0]


def test_least_is_the_first_of_some():
    values = np.array([1.0, 2.0, 2.0, np.inf])
    assert least(values, np.array([False, True, True, True])) == 1
    assert least(values, np.array([False, False, False, True])) == 3
    assert least(values, np.zeros(4, bool)) is None


def test_waits_are_expected_by_the_cores_that_must_come_back():
    told = []

    def look(view):
        told.append(ready_seconds(view, History())[:2].tolist())
        return "A"

    watch(look, *[(k, c, 50) for k, c in enumerate((3, 2, 4, 1))])
    # nobody; 1 free: 1 of 4 cores in 3600 s; 2 wait, 4 wanted: (5 + 4 - 4); (9 + 1 - 4); no speeds
    # matter to jobs of no known work
    assert told == [[0, 0], [900, 0], [4500, 0], [5400, 0]]


def test_jobs_of_known_work_take_less_on_faster_cores():
    told = []

    def look(view):
        history = History(prior=100.0)
        told.append((view.scales, times_of(view, history).run[:2].tolist()))
        return "A"

    watch(look, (0, 1, 50), (1, 1, 50), core_power=[10.0, None])
    assert told == [(True, [200.0, pytest.approx(200 / 3)]), (False, [100.0, 100.0])]


def test_inputs_take_what_their_way_takes():
    told = []

    def look(view):
        told.append(view.fetch_seconds()[:2])
        return "A"

    result = watch(look, (0, 1, 50), input_bytes=[1e9])
    # SimGrid's model: 97 % of the bandwidth, of which answers take a twentieth of what flows; 13.01
    # times the latency before
    assert told[0] == pytest.approx([1.05e9 / 0.97e6, 1.301 + 1.05e9 / 1.94e6])
    taken = result.transfers["end"][0] - result.transfers["start"][0]
    assert taken == pytest.approx(told[0][0], rel=1e-6)


def test_where_a_job_fits():
    told = []

    def look(view):
        told.append(view.fits().tolist())
        return int(np.argmax(view.fits()))

    watch(look, (0, 1, 1), (1, 6, 1), (2, 1, 1), mem_req=[100, 100, 4000])
    assert told == [[True, True, False], [False, True, False], [True, False, False]]


def test_storages_show_what_is_free():
    told = []

    def look(view):
        told.append([x.tolist() for x in view.storage()])
        return "B"

    watch(look, (0, 1, 1), (100, 1, 1), output_bytes=[3e11, 0.0])
    assert [free[1] for free, _ in told] == [1e12, 7e11]
    assert told[0][1][0] == np.inf
    assert told[0][1][1] == 1e12


def test_closed_sites_and_that_of_a_failure_are_left_out():
    told = []

    def look(view):
        told.append((view.attempt, view.last, candidates(view)[:2].tolist()))
        return "A" if view.submit < 500.0 else "B"

    wrong = Faults({"A": 1.0}, attempts=2, retry_delay=1.0, outages=(Outage("A", 900.0, 2000.0),))
    watch(look, (0, 1, 10), (1000, 1, 10), (3000, 6, 10), faults=wrong)
    assert told[0] == (0, -1, [True, True])
    assert told[1] == (1, 0, [False, True])
    assert told[2:] == [(0, -1, [False, True]), (0, -1, [False, True])]


def test_shares_of_requests_are_learnt_by_kind():
    told = []
    history = History()

    def look(view):
        history.learn(view)
        told.append(history.expected(view))
        history.sent(view)
        return "A"

    kinds = ["x", "y", "x", "y", "z"]
    asked = [1000.0, None, 400.0, None, None]
    rows = [(0, 1, 100), (0, 2, 60), (500, 1, 1), (500, 1, 1), (500, 1, 1)]
    watch(look, *rows, activity=kinds, walltime_req=asked)
    # a tenth of what x asked for, what y took, and of z the mean of cores: (100 + 2 60) / 3
    assert told[:2] == [1000.0, 3600.0]
    assert told[2:] == [pytest.approx(40.0), 60.0, pytest.approx(220 / 3)]
