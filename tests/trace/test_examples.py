import gzip
import math

import numpy as np
import pytest
from scipy import stats

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.trace import examples
from gridtwin.trace.examples import lublin


@pytest.fixture(scope="module")
def paper():
    """10,000 jobs with the gaps of the paper."""
    return examples.load("lublin", n=10_000, seed=0, load=None).collect()


def test_names():
    assert examples.names() == ["lublin", "panda"]
    with pytest.raises(UnknownNameError, match="did you mean 'lublin'"):
        examples.load("lubin")


def test_same_seed_same_trace():
    one, same, other = (examples.load("lublin", n=200, seed=s).collect() for s in (5, 5, 6))
    assert one.equals(same)
    assert not one.equals(other)


def test_it_says_that_it_is_synthetic():
    origin = examples.load("lublin", n=10).provenance
    assert origin.format == "synthetic"
    assert origin.machine_cores == 256
    assert any("no real job" in note for note in origin.notes)


@pytest.mark.parametrize("classes", ["all", "split"])
def test_rows_are_possible_jobs(classes):
    frame = examples.load("lublin", n=3000, seed=1, classes=classes).collect()
    assert frame.height == 3000
    assert sum(frame.null_count().row(0)) == 0
    assert frame["submit_time"].is_sorted()
    assert frame["job_id"].n_unique() == 3000
    assert frame["cores_req"].is_between(1, 256).all()
    assert frame["run_time"].is_between(1, math.exp(12)).all()
    assert (frame["walltime_req"] >= frame["run_time"]).all()
    assert set(frame["walltime_req"].unique()) <= set(lublin.REQUESTS)
    assert not {"wait_time", "start_time", "end_time"} & set(frame.columns)


@pytest.mark.parametrize(("n", "load"), [(10_000, 0.7), (3000, 0.4)])
def test_the_load_is_what_was_asked_for(n, load):
    frame = examples.load("lublin", n=n, load=load).collect()
    span = frame["submit_time"].max() - lublin.FIRST_DAY
    offered = (frame["cores_req"] * frame["run_time"]).sum() / (256 * span)
    assert offered == pytest.approx(load, rel=0.03)


def test_sizes_follow_the_two_stage_uniform_law(paper):
    # P(1) = serial + what rounds to 2^0: none, for the least log2 (0.8) rounds to 1
    size = paper["cores_req"].to_numpy()
    assert np.mean(size == 1) == pytest.approx(0.244, abs=0.013)
    # of the parallel jobs with a power of two (0.576), log2 rounds to 8 when it is above 7.5:
    # the last fifth of the upper part (5.5 to 8), which has 0.14; the others rarely reach 256
    assert np.mean(size == 256) == pytest.approx(0.576 * 0.14 * 0.2, abs=0.006)
    odd = ~np.isin(size, 2 ** np.arange(9))
    assert 0.11 < odd.mean() < 0.18


def test_run_times_follow_the_hyper_gamma_law(paper):
    one = paper.filter(paper["cores_req"] == 1)["run_time"].log().to_numpy()
    share = -0.0054 + 0.78
    p = stats.gamma

    def cdf(x):
        return share * p.cdf(x, 4.2, scale=0.94) + (1 - share) * p.cdf(x, 312, scale=0.03)

    # whole seconds only matter for the very short
    assert stats.kstest(one[one > 2], lambda x: (cdf(x) - cdf(2)) / (1 - cdf(2))).pvalue > 0.001


def test_larger_jobs_run_longer(paper):
    rank = stats.spearmanr(paper["cores_req"], paper["run_time"]).statistic
    assert 0.15 < rank < 0.3


def test_arrivals_follow_the_daily_cycle(paper):
    slot = (paper["submit_time"].to_numpy() % 86400 // 1800).astype(int)
    share = np.bincount(slot, minlength=48) / len(slot)
    expected = lublin.slot_weights(lublin.ALL)
    assert expected.mean() == pytest.approx(1.0225)
    assert np.abs(share - expected / expected.sum()).sum() < 0.2
    assert share[:12].sum() < 0.5 * share[24:36].sum()


def test_users_come_in_sessions_and_differ_in_activity(paper):
    user, gap = paper["user"], paper["submit_time"].diff()
    assert user.n_unique() == 60
    same = user == user.shift(1)
    assert same.filter(gap < 60).mean() > 0.75
    assert same.filter(gap > 4 * 3600).mean() < 0.25
    counts = user.value_counts()["count"]
    assert counts.max() > 10 * counts.min()


@pytest.mark.parametrize("options", [{"n": 0}, {"cores": 2}, {"load": 0.0}, {"load": 3.0}])
def test_senseless_options_are_refused(options):
    with pytest.raises(InputError, match="expected"):
        examples.load("lublin", **{"n": 10, **options})


@pytest.mark.parametrize("n", [1, 2])
def test_the_smallest_traces(n):
    assert len(examples.load("lublin", n=n)) == n


def test_a_sample_of_the_published_model_looks_alike(data_dir, paper):
    with gzip.open(data_dir / "swf" / "lublin_256.swf.gz", "rt") as file:
        rows = np.array([line.split()[:5] for line in file if not line.startswith(";")], float)
    # two samples of 10,000 of one law differ by 0.02 in one of 30 cases
    assert stats.ks_2samp(rows[:, 4], paper["cores_req"]).statistic < 0.03
    assert stats.ks_2samp(rows[:, 3], paper["run_time"]).statistic < 0.03
    # gaps follow each other through the same hours of the day: they are fewer than they seem
    gaps = paper["submit_time"].diff().drop_nulls()
    assert stats.ks_2samp(np.diff(rows[:, 1]), gaps).statistic < 0.08
