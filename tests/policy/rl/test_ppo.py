"""Nets, their training by policy gradients and from recorded decisions, and what is saved."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gridtwin.core.errors import FormatError, InputError  # noqa: E402
from gridtwin.policy.batch.run import start_times  # noqa: E402
from gridtwin.policy.batch.stream import Stream  # noqa: E402
from gridtwin.policy.compare import compare, figures  # noqa: E402
from gridtwin.policy.rl import clone as cloning  # noqa: E402
from gridtwin.policy.rl import ppo  # noqa: E402
from gridtwin.policy.rl.batched import Batched  # noqa: E402
from gridtwin.policy.rl.features import FEATURES  # noqa: E402
from gridtwin.policy.rl.nets import as_priority, build, log_softmax, packed  # noqa: E402
from gridtwin.policy.rl.priority import Searched  # noqa: E402
from gridtwin.policy.rl.saved import Learnt, load, save, splitting  # noqa: E402

from .test_priority import made  # noqa: E402

SMALL = ppo.Plan(steps=1, sequences=8, length=40, batch=64, passes=2)


def rows_of(counts, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((sum(counts), 8)).astype(np.float32), np.array(counts)


@pytest.mark.parametrize("kind", ["kernel", "set"])
def test_a_decision_is_scored_alone_whatever_stands_beside_it(kind):
    rows, counts = rows_of([3, 1, 7, 2])
    net = build(kind, seed=1)
    of = packed(rows, counts)
    logits, value = net(of).detach(), net.critic(of).detach()
    begin = 0
    for k, count in enumerate(counts):
        alone = packed(rows[begin : begin + count], counts[k : k + 1])
        torch.testing.assert_close(net(alone), logits[begin : begin + count])
        torch.testing.assert_close(net.critic(alone)[0], value[k])
        expected = torch.log_softmax(logits[begin : begin + count], 0)
        torch.testing.assert_close(log_softmax(logits, of)[begin : begin + count], expected)
        begin += count
    turned = packed(rows[:3][::-1].copy(), counts[:1])
    torch.testing.assert_close(net(turned).flip(0), logits[:3])


def test_ragged_parts_by_hand():
    rows, counts = rows_of([2, 3, 1])
    played = ppo.Decisions(rows, counts, np.zeros(3, int), np.zeros(3, int), np.zeros(1))
    taken, number = ppo.take(played, np.array([2, 0]))
    assert number.tolist() == [1, 2]
    assert taken.tolist() == [rows[5].tolist(), rows[0].tolist(), rows[1].tolist()]
    assert ppo.highest(np.float32([1, 1, 0, 2, 5, 3]), counts).tolist() == [0, 2, 0]


def test_advantages_by_hand():
    value = np.array([1.0, 10.0, 2.0, 4.0])  # sequences 0, 1, 0, 0
    found = ppo.advantages(value, np.array([0, 1, 0, 0]), np.array([7.0, 11.0]), 0.5)
    last, middle = 7 - 4, 4 - 2
    assert found.tolist() == [
        (2 - 1) + 0.5 * (middle + 0.5 * last),
        1.0,
        middle + 0.5 * last,
        last,
    ]


@pytest.mark.parametrize("net", ["kernel", "set"])
def test_a_training_that_was_killed_ends_as_if_it_had_not_been(net, tmp_path):
    stream, plan = made(400), replace(SMALL, net=net, steps=900)
    whole = ppo.train(stream, plan)
    assert whole.round == 3
    ppo.train(stream, replace(plan, steps=1), folder=tmp_path)
    told = []
    again = ppo.train(stream, plan, folder=tmp_path, progress=told.append)
    assert told[0] == "goes on after round 1"
    for mine, other in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        assert mine.detach().numpy().tobytes() == other.detach().numpy().tobytes()
    assert again.told == whole.told
    with pytest.raises(FormatError, match="another plan"):
        ppo.train(stream, replace(plan, rate=1e-4), folder=tmp_path)


def bursts(n=240):
    """Return bursts of twelve jobs at once, short ones and long ones, for one processor."""
    rng = np.random.default_rng(0)
    run = np.where(rng.random(n) < 0.5, 10.0, 1000.0)
    return Stream(
        submit=np.repeat(np.arange(n // 12) * 20_000.0, 12),
        need=np.ones(n, np.int64),
        width=np.ones(n, np.int64),
        run=run,
        request=run,
        user=np.zeros(n, np.int64),
        cores=1,
        row=np.arange(n),
    )


def test_ppo_learns_that_short_jobs_go_first():
    stream, first = bursts(), np.arange(0, 228, 12)
    best, fcfs = (
        figures(stream, name, first, length=12, commit=True)["bsld"] for name in ("sjf", "fcfs")
    )
    plan = ppo.Plan(steps=16 * 384, sequences=32, length=12, batch=128, rate=3e-3)
    before = ppo.evaluate(build("kernel"), stream, first, length=12)
    learner = ppo.train(stream, plan)
    after = ppo.evaluate(learner.net, stream, first, length=12)
    assert np.log(fcfs / best).mean() > 3
    assert np.log(before / best).mean() > 3
    assert np.log(after / best).mean() < 0.1


def test_a_trace_that_does_not_queue_teaches_nothing():
    stream = made(400)
    calm = replace(stream, submit=stream.submit * 1e4)
    with pytest.raises(InputError, match="nothing to learn"):
        ppo.train(calm, SMALL)


@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_recorded_decisions_are_those_of_the_heuristic(backfill):
    stream, first = made(300), np.array([0, 50, 100])
    batched = Batched(stream, 3, 100, backfill=backfill)
    for name in ("sjf", "wfp3"):
        ppo.play(batched, first, cloning.by_score(name))
        known = start_times(stream, name, first=first, length=100, backfill=backfill, commit=True)
        assert np.stack([batched.starts(s) for s in range(3)]).tolist() == known.tolist()


def test_a_clone_does_as_recorded_and_tuning_takes_the_better():
    stream, first = made(600), np.arange(0, 480, 40)
    of = cloning.record(stream, ["sjf"], first, length=100)
    net, losses = cloning.clone(of, cloning.Plan(passes=10, batch=64))
    assert losses[-1] < 0.6 * losses[0]
    mine = ppo.evaluate(net, stream, first, length=100)
    known = figures(stream, "sjf", first, length=100, commit=True)["bsld"]
    assert abs(np.log(mine / known).mean()) < 0.15
    both = cloning.record(stream, ["sjf", "lpf"], first, length=100)
    assert (both.score[:12] > both.score[12:]).all()
    plan = cloning.Plan(passes=4, batch=64)
    plain, _ = cloning.clone(both, plan)
    tuned, _ = cloning.clone(both, replace(plan, tuning=8))
    plain, tuned = (ppo.evaluate(net, stream, first, length=100) for net in (plain, tuned))
    assert np.log(tuned / plain).mean() < -0.1


def test_cloning_goes_on_after_a_kill(tmp_path):
    of = cloning.record(made(200), ["sjf"], np.array([0, 50]), length=60)
    plan = cloning.Plan(passes=3, tuning=2, batch=32)
    whole, losses = cloning.clone(of, plan)

    class KilledError(Exception):
        pass

    def kill(text):
        if text.startswith("pass 4"):
            raise KilledError

    with pytest.raises(KilledError):
        cloning.clone(of, plan, folder=tmp_path, progress=kill)
    again, also = cloning.clone(of, plan, folder=tmp_path)
    assert also == losses
    for mine, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert mine.detach().numpy().tobytes() == other.detach().numpy().tobytes()


def test_real_starts_are_decisions():
    stream = made(120)
    start = start_times(stream, "sjf", commit=True)[0]
    of = cloning.recorded(stream, start, length=60)
    assert len(of.counts) == 120
    assert len(of.score) == 2
    ends = np.cumsum(of.counts)
    order = np.lexsort((np.arange(120), start))
    for p in (0, 40, 119):
        row = of.rows[ends[p] - of.counts[p] + of.chosen[p]]
        j, now = order[p], start[order[p]]
        before = order[:p]
        free = 16 - stream.need[before][start[before] + stream.run[before] > now].sum()
        wait = now - stream.submit[j]
        waiting = ((stream.submit <= now) & (start >= now)).sum() - (start[before] == now).sum()
        expected = [
            *(wait / (wait + 3600), np.log1p(stream.request[j]) / np.log1p(30 * 86400)),
            *(stream.need[j] / 16, wait / (wait + stream.request[j]), free / 16),
            *(1.0, waiting / (waiting + 128), 1.0),
        ]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    with pytest.raises(InputError, match="leave such jobs out"):
        cloning.recorded(stream, start - 1e6)


def test_a_kernel_net_is_a_priority(tmp_path):
    stream, first = made(300), np.array([0, 100])
    net = build("kernel", seed=3)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3.0)
    sizes, weights = as_priority(net)
    machine = Searched(stream, 150, sizes=sizes)
    machine.start_times(weights, first)
    rows, counts = rows_of([50])
    rows[:, 7] = 1.0
    x = np.zeros((50, len(FEATURES)))
    names = ("wait_1h", "request", "share", "wait_request", "free", "fits", "crowd")
    x[:, [FEATURES.index(name) for name in names]] = rows[:, :7]
    at, flat = 0, weights[len(FEATURES) :]
    for inputs, outputs in itertools.pairwise(sizes):
        matrix = flat[at : at + inputs * outputs].reshape(outputs, inputs)
        bias = flat[at + inputs * outputs : at + (inputs + 1) * outputs]
        x = np.maximum(x @ matrix.T + bias, 0 if outputs > 1 else -np.inf)
        at += outputs * (inputs + 1)
    np.testing.assert_allclose(-x[:, 0], net(packed(rows, counts)).detach(), atol=1e-4)


@pytest.mark.parametrize("form", ["priority", "set"])
def test_saved_policies_are_compared_by_name(form, tmp_path):
    stream = made(300)
    if form == "priority":
        arrays = {"weights": np.zeros(len(FEATURES))}
        arrays["weights"][FEATURES.index("request")] = 1.0
    else:
        net = build("set", seed=2)
        arrays = {name: p.detach().numpy() for name, p in net.named_parameters()}
    save(Learnt(form, arrays, told={"method": "by hand"}), tmp_path / "it")
    name = f"learnt:{tmp_path / 'it'}"
    assert splitting(f"{name}+easy")[1] == "easy"
    assert load(tmp_path / "it").told == {"method": "by hand"}
    found = compare(stream, ("sjf+easy", f"{name}+easy"), sequences=20, length=80)
    rows = {row.policy: row for row in found.rows}
    if form == "priority":
        assert rows[f"{name}+easy"].log_ratio == 0.0
        with pytest.raises(InputError, match="decides anew"):
            compare(stream, (name,), commit=True, length=80)
    else:
        first = np.array([0, 150])
        value = ppo.evaluate(net, stream, first, length=100)
        np.testing.assert_allclose(figures(stream, name, first, length=100)["bsld"], value)


def test_what_is_no_saved_policy_is_told(tmp_path):
    with pytest.raises(FormatError, match="no learnt policy"):
        load(tmp_path)
    with pytest.raises(InputError, match="expected learnt:FOLDER"):
        splitting("learnt:")
    save(Learnt("priority", {"weights": np.zeros(3)}), tmp_path)
    with pytest.raises(FormatError, match="expected 27 weights"):
        load(tmp_path)
    save(Learnt("priority", {"weights": np.full(27, np.nan)}), tmp_path)
    with pytest.raises(FormatError, match="no number"):
        load(tmp_path)
    document = json.loads((tmp_path / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps(document | {"features": ["request"]}))
    with pytest.raises(FormatError, match="other features"):
        load(tmp_path)
    with pytest.raises(InputError, match="above 0"):
        ppo.Plan(steps=0)
    one = ppo.Decisions(*rows_of([1]), np.zeros(1, int), np.zeros(1, int), np.zeros(1))
    with pytest.raises(InputError, match="no decision"):
        cloning.clone(one)
