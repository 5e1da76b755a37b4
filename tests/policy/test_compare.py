"""The comparison of queueing policies."""

import json

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream, from_table, read_rlscheduler
from gridtwin.policy.compare import compare, figures, named
from gridtwin.policy.queueing import QUEUEING, splitting
from gridtwin.sim import Platform, Site, simulate


def stream(n=600, *, seed=0, gap=100.0, cores=16):
    rng = np.random.default_rng(seed)
    need = rng.choice([1, 2, 4, 16], n, p=[0.5, 0.25, 0.2, 0.05])
    run = np.ceil(rng.lognormal(5.0, 1.5, n))
    return Stream(
        submit=np.cumsum(np.round(rng.exponential(gap, n))),
        need=need,
        width=need,
        run=run,
        request=run,
        user=rng.integers(0, 4, n),
        cores=cores,
        row=np.arange(n),
        dropped={},
    )


def test_rows_are_paired_and_told_apart():
    found = compare(stream(), ("fcfs", "sjf", "lpf"), sequences=120, length=60)
    rows = {row.policy: row for row in found.rows}
    assert found.rows[0].policy == "sjf"
    base = rows["fcfs"]
    assert (base.log_ratio, base.low, base.high) == (0.0, 0.0, 0.0)
    assert rows["sjf"].high < 0 < rows["lpf"].low
    assert sum(row.wins for row in found.rows) == pytest.approx(1)
    for row in found.rows:
        assert row.low <= row.log_ratio <= row.high
        assert 1 <= row.geo_mean <= row.mean <= row.p95
        assert row.mean == row.bsld
        assert 0.25 <= row.fairness <= 1
        assert row.mean_user <= row.worst_user
    assert found.queueing > 0.5
    assert compare(stream(), ("fcfs", "sjf", "lpf"), sequences=120, length=60) == found


def test_figures_of_one_sequence_by_hand():
    jobs = stream(40)
    start = start_times(jobs, "f1", backfill="easy")[0]
    found = figures(jobs, "f1+easy", np.array([0]), length=40)
    wait = start - jobs.submit
    bsld = np.maximum(1, (wait + jobs.run) / np.maximum(jobs.run, 10))
    assert found["wait"][0] == pytest.approx(wait.mean())
    assert found["bsld"][0] == pytest.approx(bsld.mean())
    assert found["turnaround"][0] == pytest.approx((wait + jobs.run).mean())
    span = (start + jobs.run).max() - jobs.submit[0]
    assert found["utilization"][0] == pytest.approx((jobs.run * jobs.need).sum() / span / 16)
    users = [bsld[jobs.user == user].mean() for user in range(4)]
    assert found["worst_user"][0] == pytest.approx(max(users))
    assert found["fairness"][0] == pytest.approx(sum(users) ** 2 / 4 / np.square(users).sum())
    inner = figures(jobs, "f1+easy", np.array([0]), length=40, trim=0.25)
    assert inner["wait"][0] == pytest.approx(wait[10:30].mean())
    assert inner["utilization"] == found["utilization"]


@pytest.mark.parametrize("objective", ["wait", "turnaround", "utilization", "worst_user"])
def test_other_objectives(objective):
    found = compare(stream(), ("fcfs+easy", "sjf+easy"), objective=objective, length=60)
    ratios = [row.log_ratio for row in found.rows]
    assert ratios == sorted(ratios)
    assert np.isfinite([row.geo_mean for row in found.rows]).all()
    if objective == "utilization":
        assert found.rows[0].mean >= found.rows[1].mean


def test_a_trace_that_does_not_queue_is_told():
    quiet = compare(stream(gap=20_000.0), ("fcfs", "sjf"), length=60)
    assert any("hardly queues" in text for text in quiet.warnings)
    busy = compare(stream(1000), ("fcfs", "sjf"), length=60)
    assert busy.warnings == []
    few = compare(stream(1000), ("fcfs", "sjf"), length=60, sequences=10)
    assert any("tell policies apart badly" in text for text in few.warnings)


def test_jobs_of_several_sites_are_told(jobs):
    frame = jobs.collect().with_columns(site=pl.Series(["A", "B"] * 150))
    both = from_table(jobs.with_frame(frame), cores=64)
    assert both.changed == {"2 sites are one machine": 300}
    found = compare(both, ("fcfs",), length=50)
    assert "300 jobs are taken otherwise: 2 sites are one machine" in found.warnings


def test_names_carry_their_backfilling():
    assert named(["sjf", "f1+none", "easy"], "easy") == ["sjf+easy", "f1+none", "easy"]
    assert splitting("conservative") == (QUEUEING["fcfs"], "conservative")
    with pytest.raises(UnknownNameError, match="did you mean 'sjf'"):
        named(["sfj"])
    with pytest.raises(InputError, match="easy or conservative, not 'eazy'"):
        named(["sjf+eazy"])
    with pytest.raises(InputError, match="named twice"):
        named(["sjf", "sjf"])
    with pytest.raises(InputError, match="the baseline 'f1' is none of"):
        compare(stream(), ("fcfs",), baseline="f1")
    with pytest.raises(InputError, match="choose a smaller length"):
        compare(stream(), length=1000)


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("name", ["sjf", "f1", "saf", "lcfs", "wfp3_legacy", "fcfs"])
def test_simulate_serves_by_the_same_scores(name, backfill, jobs):
    """The grid kernel and the batch machine start every job at the same time.

    No two jobs are submitted at one instant here: where nobody waits, the grid kernel starts such
    jobs in order of the table, the batch machine by score.
    """
    frame = jobs.collect().sort("submit_time").with_row_index("k")
    apart = frame.with_columns(pl.col("submit_time") + pl.col("k")).drop("k")
    jobs = jobs.with_frame(apart)
    whole = name if backfill == "none" else f"{name}+{backfill}"
    result = simulate(jobs, cores=64, policy=whole)
    assert result.policy == whole
    known = start_times(from_table(jobs, cores=64), name, backfill=backfill)[0]
    assert result.jobs.collect()["start_time"].to_list() == known.tolist()


def test_simulate_refuses_what_it_cannot_score(jobs):
    with pytest.raises(InputError, match="behind the \\+, not 'eazy'"):
        simulate(jobs, cores=64, policy="sjf+eazy")
    with pytest.raises(InputError, match="has easy backfilling already"):
        simulate(jobs, cores=64, policy="easy+conservative")
    with pytest.raises(UnknownNameError, match="did you mean 'sjf'"):
        simulate(jobs, cores=64, policy="sjff+easy")
    two = Platform((Site.of("A", 64), Site.of("B", 64)))
    with pytest.raises(InputError, match="different scores"):
        simulate(jobs, platform=two, policy={"A": "sjf", "B": "f1"})
    mixed = simulate(jobs, platform=two, policy={"A": "sjf", "B": "fcfs"})
    assert mixed.summary()["jobs"] == len(jobs)


PUBLISHED = {
    "fcfs": (297.18, 0.638, 127.38, 0.639),
    "wfp3_legacy": (426.99, 0.636, 97.39, 0.637),
    "unicep_legacy": (609.77, 0.636, 175.12, 0.638),
    "sjf": (157.71, 0.640, 122.04, 0.641),
    "f1": (118.01, 0.637, 71.95, 0.638),
}
"""HPC2N in Zhang et al., RLScheduler, SC 2020: bounded slowdown and utilization, without and with
backfilling."""


@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_the_published_rows_of_hpc2n(backfill, data_dir):
    trace = read_rlscheduler(data_dir / "swf" / "HPC2N-2002-2.2-cln.swf.gz").head(10_000)
    found = compare(trace, named(tuple(PUBLISHED), backfill), protocol="published")
    at = 0 if backfill == "none" else 2
    for row in found.rows:
        bsld, utilization = PUBLISHED[row.policy.partition("+")[0]][at : at + 2]
        assert row.mean == pytest.approx(bsld, abs=0.005)
        assert row.utilization == pytest.approx(utilization, abs=0.0005)


def test_the_published_protocol_says_what_it_is_for():
    found = compare(stream(), ("fcfs",), protocol="published", length=60)
    assert (found.sequences, found.seed) == (10, 1)
    assert any("for reproduction" in text for text in found.warnings)
    assert json.dumps(found.to_json())
