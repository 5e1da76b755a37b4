"""Jobs that wait for others, in the grid kernel."""

import numpy as np
import pytest

from gridtwin.sim.kernel.codes import Outcome
from gridtwin.sim.platform import Platform

ONE = Platform.single(4)


@pytest.mark.parametrize("submit", [[0.0, 0.5], [0.0, 1.0], [0.0, 10.0]])
def test_a_child_runs_once_when_it_is_submitted_and_its_parent_is_done(grid, submit):
    done = grid.run(ONE, grid.work(submit, 1.0, parent_ptr=[0, 0, 1], parent=[0]))
    assert done.attempts["job"].tolist() == [0, 1]
    assert done.start.tolist() == [0.0, max(1.0, submit[1])]


def test_a_child_that_comes_before_its_parent_in_the_list_runs(grid):
    jobs = grid.work([0.0, 0.0], 0.0, parent_ptr=[0, 1, 1], parent=[1])
    done = grid.run(ONE, jobs)
    assert done.jobs["outcome"].tolist() == [Outcome.FINISHED] * 2


def test_a_child_of_two_parents_waits_for_the_later_one(grid):
    jobs = grid.work([0.0, 0.0, 0.0], [3.0, 5.0, 1.0], parent_ptr=[0, 0, 0, 2], parent=[0, 1])
    assert grid.run(ONE, jobs).start.tolist() == [0.0, 0.0, 5.0]


def test_jobs_that_wait_in_a_circle_never_run(grid):
    jobs = grid.work([0.0, 0.0, 0.0], 1.0, parent_ptr=[0, 1, 2, 2], parent=[1, 0])
    done = grid.run(ONE, jobs)
    assert done.attempts["job"].tolist() == [2]
    assert done.jobs["outcome"].tolist() == [0, 0, Outcome.FINISHED]


@pytest.mark.parametrize("submit", [0.0, 1.0, 9.0])
def test_descendants_of_a_job_that_failed_are_given_up(grid, submit):
    jobs = grid.work(
        [0.0, 0.0, submit, submit],
        2.0,
        request=[1.0, 9, 9, 9],
        parent_ptr=[0, 0, 0, 2, 3],
        parent=[0, 1, 2],
    )
    done = grid.run(ONE, jobs)
    expected = [Outcome.WALLTIME, Outcome.FINISHED, Outcome.PARENT_FAILED, Outcome.PARENT_FAILED]
    assert done.jobs["outcome"].tolist() == expected
    assert np.array_equal(done.attempts["job"], [0, 1])
