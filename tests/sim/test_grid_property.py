"""What holds for every result of the grid kernel."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim import Link, Platform, Pool, Site, Storage, simulate
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.kernel.codes import Outcome
from gridtwin.sim.outages import Outage
from gridtwin.trace import JobTable

COLUMNS = {"submit_time": pl.Float64, "run_time": pl.Float64, "input_bytes": pl.Float64}
JOBS = st.lists(
    st.tuples(
        st.integers(0, 50),  # submit
        st.integers(1, 9),  # cores
        st.integers(0, 20),  # run
        st.integers(0, 3),  # input, GB
        st.sampled_from("AB"),  # recorded site
        st.integers(0, 30),  # parent
    ),
    max_size=25,
)
CACHE = Storage("cache", capacity=2e9, kind="cache")
DISK = Storage("disk", capacity=4e9, read=1e9, write=1e8)
PLATFORMS = (
    Platform((Site.of("A", 4), Site.of("B", 8))),
    Platform((Site.of("A", 4, 1e9), Site("B", (Pool(3, speed=2e9), Pool(5, memory=1e9))))),
    Platform(
        (Site("A", (Pool(4),), (CACHE,)), Site("B", (Pool(8, speed=1e9),), (DISK,))),
        (Link("wan", 1e9, 0.01, ends=("A", "B")),),
    ),
    Platform((Site("A"), Site.of("B", 8)), (Link("dead", 0.0, ends=("A", "B")),)),
)


def table(rows):
    frame = pl.DataFrame(
        {
            "job_id": [f"j{k}" for k in range(len(rows))],
            "submit_time": [row[0] for row in rows],
            "cores_req": [row[1] for row in rows],
            "run_time": [row[2] for row in rows],
            "input_bytes": [row[3] * 1e9 for row in rows],
            "output_bytes": [row[3] * 1e8 for row in rows],
            "site": [row[4] for row in rows],
            "cpu_time": [float(row[2]) for row in rows],
            "walltime_req": [15.0 for _ in rows],
        },
        schema_overrides=COLUMNS | {"site": pl.String, "cores_req": pl.Int64, "job_id": pl.String},
    )
    return JobTable.from_frame(frame)


@settings(deadline=None, max_examples=150)
@given(
    JOBS,
    st.sampled_from(PLATFORMS),
    st.sampled_from(["least_loaded", "fewest_jobs", "round_robin", "random", "data_local"]),
    st.sampled_from(["fcfs", "priority", "fair_share"]),
    st.floats(0, 1),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 20, 100]),
)
def test_each_job_is_accounted_for(
    rows, platform, broker, policy, chance, attempts, stream, walltime, limit
):
    jobs = table(rows)
    pairs = [(f"j{k}", f"j{row[5]}") for k, row in enumerate(rows) if row[5] < len(rows)]
    faults = Faults(
        chance,
        (Failure("pilot:1305", 1.0), Failure("exe:65", 2.0)),
        outages=(Outage("B", 10.0, 20.0), Outage("A", 40.0)),
        attempts=attempts,
        retry_delay=1.0,
        elsewhere=0.5,
    )
    result = simulate(
        jobs,
        platform=platform,
        broker=broker,
        policy=policy,
        faults=faults,
        parents=pl.DataFrame(pairs[:5], schema=["job_id", "parent"], orient="row")
        if pairs
        else None,
        stream=stream,
        walltime=walltime,
        limit=limit,
        seed=len(rows),
    )
    frame = result.jobs.collect()
    # one outcome for each job, which is that of its last attempt
    assert sum(result.outcomes.values()) == len(jobs)
    last = frame.with_columns(base=result.base).group_by("base").agg(pl.col("raw_status").last())
    assert last.height == len(jobs)
    if result.complete:
        counts = dict(last.group_by("raw_status").len().iter_rows())
        assert counts == dict(result.outcomes)
    assert set(frame["raw_status"]) <= {k.name.lower() for k in Outcome}
    # attempts follow each other
    assert frame["job_id"].n_unique() == frame.height
    assert frame["attempt"].max() is None or frame["attempt"].max() < attempts
    # nothing starts early, nothing is overfull, time does not run backward
    begun = frame.drop_nulls("start_time")
    assert (begun["start_time"] >= begun["submit_time"]).all()
    assert (begun["wait_time"] >= 0).all()
    assert (begun.drop_nulls("run_time")["run_time"] >= 0).all()
    sizes = {site.name: site.cores for site in platform.sites}
    for site, busy, queued in result.timeline.select("site", "busy_cores", "queued").iter_rows():
        assert 0 <= busy <= sizes[site]
        assert queued >= 0
    moved = result.transfers
    assert (moved["end"] >= moved["start"]).all()
    assert set(moved["job_id"]) <= set(frame["job_id"])
    assert np.isfinite(result.links(3)["rate"].to_numpy()).all()
    total = moved.filter(pl.col("source") != pl.col("destination"), pl.col("end") > pl.col("start"))
    if "wan" in {link.name for link in platform.links} and total.height:
        edges = result.links(4)
        times = edges.filter(link="wan")["time"]
        carried = edges["rate"].sum() * (times[1] - times[0])
        assert np.isclose(carried, total["bytes"].sum())
    summary = result.summary()
    assert summary["utilisation"] is None or 0 <= summary["utilisation"] <= 1 + 1e-9
