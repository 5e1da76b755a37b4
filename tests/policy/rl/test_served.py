"""Learnt policies in `simulate`, by name."""

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import FormatError, InputError, UnknownNameError
from gridtwin.policy.batch.stream import from_table
from gridtwin.policy.rl.features import FEATURES, STATIC
from gridtwin.policy.rl.foresight import foresight
from gridtwin.policy.rl.saved import Learnt, save
from gridtwin.sim import Platform, Site, simulate
from gridtwin.trace import examples


@pytest.fixture(scope="module")
def crowded():
    """Return jobs of a few users that queue, and ask for longer than they run."""
    jobs = examples.load("lublin", n=400, seed=3, load=1.1)
    frame = jobs.collect()
    rng = np.random.default_rng(0)
    request = np.ceil(frame["run_time"].to_numpy() * rng.uniform(1, 5, len(frame)) / 600) * 600
    user = pl.Series(rng.integers(0, 5, len(frame)).astype(str))
    submit = (pl.col("submit_time") / 900).floor() * 900
    return jobs.with_frame(
        frame.with_columns(
            submit_time=submit,
            run_time=pl.col("run_time").ceil(),
            walltime_req=pl.Series(request),
            user=user,
        )
    )


def drawn(stream, *, net=False, known=False, seed=0):
    """Return a policy with weights drawn so that all features matter."""
    rng = np.random.default_rng(seed)
    sizes = (len(FEATURES), 40, 1) if net else ()
    weights = rng.normal(size=len(FEATURES) + (40 * (len(FEATURES) + 2) + 1 if net else 0))
    weights[: len(STATIC)] /= 1e4
    arrays = {"weights": weights}
    if known:
        arrays["foresight"] = foresight(stream, passes=1)
    return Learnt("priority", arrays, sizes)


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize(("net", "known"), [(False, False), (False, True), (True, True)])
def test_scores_are_those_of_the_batch_machine(crowded, tmp_path, net, known, backfill):
    stream = from_table(crowded, cores=256)
    learnt = drawn(stream, net=net, known=known)
    save(learnt, tmp_path / "it")
    expected = learnt.start_times(stream, backfill=backfill)[0]
    assert (expected > stream.submit).mean() > 0.2
    result = simulate(crowded, cores=256, policy=f"learnt:{tmp_path / 'it'}+{backfill}")
    found = result.jobs.collect()["start_time"].to_numpy()
    np.testing.assert_array_equal(found, expected)


def test_names_of_nothing_are_refused(crowded, tmp_path):
    with pytest.raises(FormatError, match="no learnt policy"):
        simulate(crowded, cores=256, policy=f"learnt:{tmp_path}")
    with pytest.raises(InputError, match="expected learnt:FOLDER"):
        simulate(crowded, cores=256, policy="learnt:")
    with pytest.raises(UnknownNameError, match="'learned:it'"):
        simulate(crowded, cores=256, policy="learned:it")


def test_a_site_knows_only_what_ended_there(crowded, tmp_path):
    """The history of another site's jobs leaves the order as it is without that site."""
    learnt = drawn(from_table(crowded, cores=256), known=True)
    save(learnt, tmp_path)
    frame = crowded.collect()
    lone = crowded.with_frame(frame.with_columns(site=pl.lit("A")))
    other = frame.with_columns(
        site=pl.lit("B"), job_id=pl.lit("b") + pl.col("job_id").cast(pl.String)
    )
    both = crowded.with_frame(
        pl.concat(
            [frame.with_columns(pl.col("job_id").cast(pl.String), site=pl.lit("A")), other]
        ).sort("submit_time", maintain_order=True)
    )
    rules = {"A": f"learnt:{tmp_path}", "B": "easy"}
    platform = Platform((Site.of("A", 256), Site.of("B", 512)))
    found, alone = (
        simulate(jobs, platform=platform, policy=rules, broker="recorded").jobs.collect()
        for jobs in (both, lone)
    )
    mine = found.filter(pl.col("site") == "A").sort("submit_time", maintain_order=True)
    assert mine["start_time"].to_list() == alone["start_time"].to_list()


def test_a_net_over_all_rows_is_served_as_in_its_environment(crowded, tmp_path):
    pytest.importorskip("torch")
    from gridtwin.policy.rl.nets import build

    net = build("set", seed=2)
    learnt = Learnt("set", {name: p.detach().numpy() for name, p in net.named_parameters()})
    save(learnt, tmp_path)
    few = crowded.with_frame(crowded.collect().head(120))
    stream = from_table(few, cores=256)
    expected = learnt.start_times(stream, backfill="easy")[0]
    result = simulate(few, cores=256, policy=f"learnt:{tmp_path}+easy")
    np.testing.assert_array_equal(result.jobs.collect()["start_time"].to_numpy(), expected)
    assert (expected > stream.submit).mean() > 0.2
