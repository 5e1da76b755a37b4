"""What must hold between the columns of a job."""

import numpy as np

from gridtwin.models.encoding.relations import cpu_time, run_time


def test_run_time_follows_the_request():
    run = np.array([3630.0, 1800.0, 30.0, 100.0, 5000.0, 50.0, 20.0])
    asked = np.array([3600.0, 3600.0, 3600.0, np.nan, 6000.0, 60.0, 60.0])
    limit = np.array([7200.0, 7200.0, 1800.0, 900.0, 60.0, 3.15e7, 60.0])
    # over by 30 s; half of it; short; unknown request; far apart: cut; far apart: kept; the same
    expected = [7230.0, 3600.0, 30.0, 100.0, 60.0, 50.0, 20.0]
    np.testing.assert_allclose(run_time(run, asked, limit), expected)


def test_cpu_time_keeps_its_efficiency():
    out = cpu_time(np.array([50.0, 7.0]), np.array([100.0, 0.0]), np.array([300.0, 300.0]))
    np.testing.assert_allclose(out, [150.0, 7.0])
