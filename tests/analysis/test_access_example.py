"""Remote data access on the synthetic example, whose truth is known."""

import polars as pl
import pytest

from gridtwin.analysis import access
from gridtwin.trace.examples import panda

Founds = dict[str, access.Found]


@pytest.fixture(scope="module")
def example() -> panda.Traces:
    return panda.load_traces(2, scale=0.3, seed=1)


@pytest.fixture(scope="module")
def found(example: panda.Traces) -> Founds:
    x = example
    methods = {
        "traces": access.from_traces(x.jobs, x.traces, rses=x.rses),
        "transfers": access.from_transfers(x.jobs, x.files, x.transfers, rses=x.rses),
        "replicas": access.from_replicas(x.jobs, x.files, x.replicas, rses=x.rses),
        "jobs": access.from_jobs(x.jobs),
    }
    return methods | {"best": access.best(*methods.values())}


def test_every_row_is_used_or_counted(example: panda.Traces, found: Founds) -> None:
    assert found["traces"].matched("traces")[1] == example.traces.height
    assert found["transfers"].matched("transfers")[1] == example.transfers.height
    assert found["transfers"].matched("files")[1] == example.files.height
    assert found["replicas"].matched("replicas")[1] == example.replicas.height
    for one in found.values():
        assert one.jobs.height == len(example.jobs)
        assert one.jobs["job_id"].is_unique().all()


def test_traces_find_what_left_a_trace_and_nothing_false(
    example: panda.Traces, found: Founds
) -> None:
    row = access.recovered(found["traces"], example.truth).row(0, named=True)
    assert row["read_truth"] > 0
    assert 0.85 < row["read_share"] < 1.0  # 2 % leave none, failed reads are not counted
    assert row["read_false"] == 0
    assert row["same_class"] > 0.95  # what was brought ahead looks local


def test_transfers_find_few_jobs_and_only_what_was_brought(
    example: panda.Traces, found: Founds
) -> None:
    row = access.recovered(found["transfers"], example.truth).row(0, named=True)
    assert 0 < row["jobs_share"] < 0.05
    assert row["read_found"] == 0  # a pilot's own reads are no requests of Rucio's
    assert 0 < row["moved_share"] < 0.6
    assert row["moved_false"] <= 0.2 * row["moved_found"]


def test_replicas_bound_the_truth_from_above(example: panda.Traces, found: Founds) -> None:
    row = access.recovered(found["replicas"], example.truth).row(0, named=True)
    assert row["read_share"] == 1.0
    assert row["read_false"] > 0


def test_the_job_table_finds_nothing_and_says_so(example: panda.Traces, found: Founds) -> None:
    jobs = found["jobs"].jobs
    assert jobs["remote_bytes"].null_count() == jobs.height
    assert access.recovered(found["jobs"], example.truth)["jobs_answered"].item() == 0


def test_the_best_answers_most_jobs(example: panda.Traces, found: Founds) -> None:
    rows = {k: access.recovered(f, example.truth).row(0, named=True) for k, f in found.items()}
    assert rows["best"]["jobs_answered"] >= max(r["jobs_answered"] for r in rows.values())
    assert rows["best"]["read_share"] >= rows["traces"]["read_share"]
    assert rows["best"]["same_class"] >= rows["traces"]["same_class"]


def test_bytes_of_jobs_are_those_of_their_files(found: Founds) -> None:
    for one in found.values():
        by_file = one.files.filter(pl.col("remote")).select(pl.col("bytes").sum()).collect().item()
        assert one.jobs["remote_bytes"].sum() == by_file


def test_never_more_than_the_truth_of_a_job(example: panda.Traces, found: Founds) -> None:
    truth = example.jobs.collect(["job_id", "remote_bytes"])
    both = found["traces"].jobs.join(truth, on="job_id", suffix="_true")
    assert (both["remote_bytes"] <= both["remote_bytes_true"]).all()


def test_outcomes_are_the_same_in_any_order_of_rows(example: panda.Traces, found: Founds) -> None:
    x = example
    mixed = [frame.sample(fraction=1, shuffle=True, seed=3) for frame in (x.files, x.transfers)]
    again = access.from_transfers(x.jobs, *mixed, rses=x.rses)
    assert again.jobs.equals(found["transfers"].jobs)
    traces = x.traces.sample(fraction=1, shuffle=True, seed=3)
    assert access.from_traces(x.jobs, traces, rses=x.rses).jobs.equals(found["traces"].jobs)


def test_transfer_shares_are_shares(example: panda.Traces) -> None:
    x = example
    share = access.transfer_share(access.match_transfers(x.jobs, x.files, x.transfers, rses=x.rses))
    assert share.height > 0
    assert share["share"].drop_nulls().is_between(0, 1).all()
