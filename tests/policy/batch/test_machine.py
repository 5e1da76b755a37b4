"""The batch machine against its plain form, the other kernels, and RLScheduler's own results."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gridtwin.core.errors import FormatError, InputError
from gridtwin.policy.batch.plain import run_clean, run_rlscheduler
from gridtwin.policy.batch.run import Machines, start_times
from gridtwin.policy.batch.stream import Stream, read_rlscheduler, rlscheduler_starts
from gridtwin.policy.queueing import QUEUEING, Queueing
from gridtwin.sim import schedule

SCORED = [policy for policy in QUEUEING.values() if policy.score is not None]


def made(n=120, *, seed=0, cores=16, gaps=60.0, ties=True, late=True, users=3):
    """Return a stream that queues, with equal times and jobs that outrun their request."""
    rng = np.random.default_rng(seed)
    submit = 1000.0 + np.cumsum(rng.integers(0, 3, n) * gaps if ties else rng.exponential(gaps, n))
    run = rng.choice([0.0, 30.0, 60.0, 120.0, 600.0], n)
    request = run * rng.choice([0.5, 1.0, 1.0, 2.0] if late else [1.0, 1.0, 2.0, 5.0], n) + 1.0
    need = rng.choice([1, 2, 3, 8, cores], n, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    return Stream(
        submit=submit,
        need=need,
        width=need,
        run=run,
        request=request,
        user=rng.integers(0, users, n),
        cores=cores,
        row=np.arange(n),
        dropped={},
    )


def lists(stream):
    return [getattr(stream, name).tolist() for name in ("submit", "need", "run", "request")]


def compat_key(policy, stream):
    def key(j, now):
        submit = float(stream.submit[j])
        score = policy.score(
            float(stream.request[j]), float(stream.width[j]), submit, max(now - submit, 0.0)
        )
        return (score, submit) if policy.by_submit else score

    return key


def clean_key(policy, stream):
    origin = stream.submit.min()

    def key(j, now):
        submit = float(stream.submit[j])
        score = policy.score(
            float(stream.request[j]), float(stream.width[j]), submit - origin, now - submit
        )
        return score, submit, j

    return key


@pytest.mark.parametrize("backfill", ["none", "easy"])
@pytest.mark.parametrize("policy", SCORED, ids=lambda policy: policy.name)
def test_compat_is_what_plain_python_does(policy, backfill):
    for seed in range(6):
        stream = made(seed=seed)
        if seed == 5:  # numbered otherwise than submitted
            rng = np.random.default_rng(9)
            shuffled = stream.submit + rng.integers(0, 3, len(stream)) * 60.0
            stream = Stream(**vars(stream) | {"submit": shuffled})
        found = start_times(stream, policy, backfill=backfill, compat="rlscheduler")[0]
        expected = run_rlscheduler(
            *lists(stream), cores=16, backfill=backfill == "easy", key=compat_key(policy, stream)
        )
        assert found.tolist() == expected, seed


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("policy", SCORED, ids=lambda policy: policy.name)
def test_clean_is_what_plain_python_does(policy, backfill):
    for seed in range(4):
        stream = made(90, seed=seed, ties=seed % 2 == 0, late=seed < 2)
        found = start_times(stream, policy, backfill=backfill)[0]
        expected = run_clean(
            *lists(stream), cores=16, backfill=backfill, key=clean_key(policy, stream)
        )
        assert found.tolist() == expected, seed


@pytest.mark.parametrize("backfill", ["none", "easy"])
@given(seed=some.integers(0, 10_000), late=some.booleans())
@settings(max_examples=20, deadline=None)
def test_first_come_first_served_is_that_of_the_level_0_kernel(backfill, seed, late):
    stream = made(80, seed=seed, late=late)
    found = start_times(stream, "fcfs", backfill=backfill)[0]
    known = schedule(
        *(stream.submit, stream.need, stream.run, stream.request), cores=16, backfill=backfill
    )
    assert found.tolist() == known.tolist()


@pytest.mark.parametrize("compat", [None, "rlscheduler"])
@pytest.mark.parametrize("name", QUEUEING)
def test_the_machine_is_never_overfull_and_nobody_starts_early(name, compat):
    stream = made(200, seed=3)
    for backfill in ("none", "easy") if compat else ("none", "easy", "conservative"):
        start = start_times(stream, name, backfill=backfill, compat=compat)[0]
        assert (start >= stream.submit).all()
        busy = start + stream.run > start
        time = np.concatenate([(start + stream.run)[busy], start[busy]])
        change = np.concatenate([-stream.need[busy], stream.need[busy]])
        assert np.cumsum(change[np.argsort(time, kind="stable")]).max() <= 16


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
def test_sequences_are_windows_on_an_empty_machine(backfill):
    stream = made(150, seed=1)
    many = start_times(stream, "f1", first=[0, 40, 40], length=60, backfill=backfill)
    assert many.shape == (3, 60)
    assert many[1].tolist() == many[2].tolist()
    assert many[1, 0] == stream.submit[40]


def test_fair_share_serves_whoever_used_least():
    """Three jobs of one user hold all; a later user's job goes before the first one's next."""
    stream = Stream(
        submit=np.array([0.0, 1.0, 2.0]),
        need=np.array([4, 4, 4]),
        width=np.array([4, 4, 4]),
        run=np.full(3, 10.0),
        request=np.full(3, 10.0),
        user=np.array([0, 0, 1]),
        cores=4,
        row=np.arange(3),
        dropped={},
    )
    assert start_times(stream, "fair_share")[0].tolist() == [0.0, 20.0, 10.0]
    assert start_times(stream, "fcfs")[0].tolist() == [0.0, 10.0, 20.0]


@pytest.mark.parametrize("compat", [None, "rlscheduler"])
@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_choices_of_the_first_are_first_come_first_served(compat, backfill):
    stream = made(150, seed=2, ties=compat is None)
    machines = Machines(stream, 3, 50, backfill=backfill, compat=compat)
    first = np.array([0, 30, 100])
    machines.reset(first)
    steps = 0
    while machines.queued.any():
        machines.step(np.zeros(3, np.int64))
        steps += 1
    known = start_times(stream, "fcfs", first=first, length=50, backfill=backfill, compat=compat)
    assert machines.state.start.tolist() == known.tolist()
    assert steps == machines.state.env["decisions"].max() <= 50


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("name", ["sjf", "wfp3"])
def test_a_score_that_commits_is_what_choosing_by_it_does(name, backfill):
    stream, policy = made(150, seed=7), QUEUEING[name]
    machines = Machines(stream, 1, 150, backfill=backfill)
    machines.reset(0)
    key = clean_key(policy, stream)
    while machines.queued[0]:
        waiting, now = machines.waiting(0), float(machines.state.env["now"][0])
        machines.step([int(np.argmin([key(j, now)[0] for j in waiting]))])
    known = start_times(stream, policy, backfill=backfill, commit=True)
    assert machines.state.start.tolist() == known.tolist()
    free = start_times(stream, policy, backfill=backfill)
    assert (free != known).any()


def test_sequences_start_again_one_by_one():
    stream = made(100, seed=4)
    machines = Machines(stream, 2, 40, backfill="conservative")
    machines.reset([0, 50])
    for _ in range(10):
        machines.step(machines.queued - 1)
    kept = machines.state.start[0].copy()
    machines.reset([7, 50], which=[False, True])
    assert np.array_equal(machines.state.start[0], kept, equal_nan=True)
    assert np.isnan(machines.state.start[1]).all()
    assert machines.waiting(1).tolist() == [0]
    while machines.queued.any():
        machines.step(np.maximum(machines.queued - 1, 0))
    assert not np.isnan(machines.state.start).any()


def test_wrong_choices_and_sequences_are_refused():
    stream = made(30)
    machines = Machines(stream, 2, 10)
    machines.reset(0)
    with pytest.raises(InputError, match="not below the number of waiting"):
        machines.step([0, 5])
    with pytest.raises(InputError, match="do not lie within 30 jobs"):
        machines.reset([0, 25])
    with pytest.raises(InputError, match="none or easy"):
        start_times(stream, "sjf", backfill="conservative", compat="rlscheduler")
    with pytest.raises(InputError, match="do not fit"):
        Stream(**vars(stream) | {"cores": 4})


def test_a_policy_of_ones_own():
    def widest(request, width, submit, wait):
        return -width - 0.001 * wait

    stream = made(60)
    mine = Queueing("widest", "-n - 0.001 w", "made up", widest, moving=True)
    found = start_times(stream, mine, backfill="easy")[0]
    expected = run_clean(*lists(stream), cores=16, backfill="easy", key=clean_key(mine, stream))
    assert found.tolist() == expected


SWF = """; MaxNodes: 8
; MaxProcs: 32
; Note: made up
5 40 -1 30 4 -1 -1 -1 -1 -1 1 2 -1 -1 0 -1 -1 -1
2 10 -1 -1 1 -1 -1 9 600 -1 1 7 -1 -1 0 -1 -1 -1
3 20 -1 0 4 -1 -1 -1 60 -1 1 2 -1 -1 0 -1 -1 -1
4 25 -1 50 40 -1 -1 -1 60 -1 1 2 -1 -1 0 -1 -1 -1
6 5 -1 -1 3 -1 -1 2 -1 -1 1 2 -1 -1 0 -1 -1 -1
"""


def test_swf_is_read_as_that_simulator_reads_it(tmp_path):
    path = tmp_path / "a.swf"
    path.write_text(SWF)
    stream = read_rlscheduler(path)
    assert stream.cores == 8
    assert stream.row.tolist() == [2, 4, 5, 6]
    assert stream.width.tolist() == [9, 40, 4, 3]
    assert stream.need.tolist() == [3, 8, 1, 1]
    assert stream.run.tolist() == [10, 50, 30, 10]
    assert stream.request.tolist() == [600, 60, 30, -1]
    assert stream.submit.tolist() == [10, 25, 40, 5]
    assert stream.dropped == {"ran 0 s": 1}
    assert stream.changed == {"wider than the machine": 1}
    assert stream.head(2).row.tolist() == [2, 4]
    for text, told in (("; x\n1 2\n", "expected 18 numbers"), ("1 2 " * 9, "no MaxProcs")):
        path.write_text(text)
        with pytest.raises(FormatError, match=told):
            read_rlscheduler(path)


def test_jobs_without_processors_keep_their_places(tmp_path):
    """A hundred of them run at a time on a machine of two."""
    path = tmp_path / "a.swf"
    line = "{} {} -1 1000 {} -1 -1 -1 -1 -1 1 1 -1 -1 0 -1 -1 -1"
    lines = [line.format(k, 10 + k, -1 if k % 50 else 2) for k in range(1, 101)]
    path.write_text("; MaxNodes: 2\n" + "\n".join(lines))
    stream = read_rlscheduler(path)
    assert stream.changed == {"no processors": 98}
    for backfill in ("none", "easy"):
        start = start_times(stream, "fcfs", backfill=backfill, compat="rlscheduler")[0]
        assert start[:50].tolist() == stream.submit[:50].tolist()
        assert start[99] == start[49] + 1000


def test_sequences_begin_where_the_published_ones_do():
    """From the seeds of that simulator's scripts, on 10,000 jobs."""
    known = [1981, 2756, 4299, 8850, 3316, 2714, 5228, 7762, 4022, 7085]
    assert rlscheduler_starts(10_000, 1024, seed=1).tolist() == known
    assert rlscheduler_starts(10_000, 256, seed=0, count=2).tolist() == [2928, 6734]


def test_every_run_of_the_golden_file_is_matched(data_dir):
    golden = data_dir.parent / "golden" / "rlscheduler_lublin256.json"
    trace = data_dir / "swf" / "lublin_256.swf.gz"
    if not golden.exists() or not trace.exists():
        pytest.skip("no golden file beside the traces")
    script = Path(__file__).parents[3] / "benchmarks" / "rlscheduler_golden.py"
    spec = importlib.util.spec_from_file_location("rlscheduler_golden", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sets = module.belonging(json.loads(golden.read_text()), trace)
    found = module.compare(sets, read_rlscheduler(trace))
    assert found == {"matched": 660, "mismatched": []}


def test_one_run_checked_by_hand(data_dir):
    """First start times and figures of RLScheduler on one sequence, as its own code has them."""
    stream = read_rlscheduler(data_dir / "swf" / "lublin_256.swf.gz")
    start = start_times(stream, "sjf", first=[1981], length=1024, compat="rlscheduler")[0]
    assert start[:6].tolist() == [1779158, 1779199, 1779367, 1779509, 1779547, 1779619]
    jobs = slice(1981, 1981 + 1024)
    assert (start - stream.submit[jobs]).mean() == pytest.approx(29297.2949, abs=1e-4)
    wrong = start.copy()
    wrong[5] += 1
    assert hashlib.sha256(wrong.tobytes()).digest() != hashlib.sha256(start.tobytes()).digest()
