"""The environments on the grid kernel: gymnasium's protocol, and the simulation that they are."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError
from gridtwin.policy.brokerage import Expecting
from gridtwin.policy.placement import Prefetch
from gridtwin.policy.rl.scene import Scene, example
from gridtwin.sim import Failure, Faults, Link, Platform, Pool, Site, Storage
from gridtwin.sim.run import Simulation
from gridtwin.trace import JobTable, Provenance

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402 - after it was found
from gymnasium.vector import AutoresetMode  # noqa: E402

from gridtwin.policy.rl.brokerage_env import FEATURES, Brokerage  # noqa: E402
from gridtwin.policy.rl.brokerage_env import many as many_brokers  # noqa: E402
from gridtwin.policy.rl.envs import MaskInObservation  # noqa: E402
from gridtwin.policy.rl.placement_env import PlaceData, candidates  # noqa: E402
from gridtwin.policy.rl.placement_env import many as many_placers  # noqa: E402

BOTH = [Brokerage, PlaceData]
IDS = {
    Brokerage: "gridtwin.policy.rl.brokerage_env:gridtwin/Brokerage-v0",
    PlaceData: "gridtwin.policy.rl.placement_env:gridtwin/Placement-v0",
}


@pytest.fixture(scope="module")
def scene():
    rng, n = np.random.default_rng(0), 200
    sites = tuple(
        Site(name, (Pool(cores, speed=1e9),), (Storage("disk", 1e12),))
        for name, cores in (("A", 6), ("B", 3), ("C", 2))
    )
    links = tuple(Link(f"to {s.name}", 1e8, 0.01, "split", ends=(s.name, "hub")) for s in sites)
    sets = [f"d{k // 12}" for k in range(n)]
    frame = pl.DataFrame(
        {
            "job_id": [f"j{k:03}" for k in range(n)],
            "task_id": [f"t{k // 12}" for k in range(n)],
            "submit_time": np.cumsum(rng.exponential(20.0, n)),
            "cores_req": rng.integers(1, 5, n),
            "run_time": rng.exponential(150.0, n),
            "input_bytes": rng.exponential(1e9, n),
            "dataset": sets,
            "core_power": np.full(n, 10.0),
        }
    )
    where = pl.DataFrame({"dataset": sorted(set(sets))})
    where = where.with_columns(site=pl.Series(list("ABC")).gather(rng.integers(0, 3, len(where))))
    jobs = JobTable.from_frame(frame, Provenance(source="made up", rows_read=n))
    faults = Faults(0.1, (Failure("a:1"),), attempts=3, retry_delay=20.0)
    return Scene.of(jobs, Platform(sites, links, routers=("hub",)), replicas=where, faults=faults)


def play(env, choose, **options):
    """Return the rewards of a sequence, and its last info."""
    _, info = env.reset(options=options)
    rewards, over = [], False
    while not over:
        _, reward, ended, cut, info = env.step(choose(env, info))
        rewards.append(reward)
        over = ended or cut
    return rewards, info


def drawn(seed):
    rng = np.random.default_rng(seed)
    return lambda env, info: int(rng.choice(np.flatnonzero(info["action_mask"])))


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("flat", [False, True])
def test_the_checkers_have_nothing_to_say(scene, kind, flat):
    env = gymnasium.make(IDS[kind], scene=scene, length=40, flat=flat)
    check_env(env.unwrapped)
    if flat:
        checker = pytest.importorskip("stable_baselines3.common.env_checker")
        checker.check_env(env.unwrapped, warn=True)


@pytest.mark.parametrize("objective", ["wait", "turnaround", "makespan", "remote"])
@pytest.mark.parametrize("kind", BOTH)
def test_rewards_add_up_to_the_score_and_sequences_can_be_replayed(scene, kind, objective):
    env = kind(scene, length=60, objective=objective)
    rewards, info = play(env, drawn(1), start_index=17)
    assert info["score"] == pytest.approx(-sum(rewards))
    assert info["score"] >= 0.0
    assert not info["action_mask"].any()
    env.reset(seed=3)
    again, info = play(env, drawn(1), start_index=17)
    assert again == rewards
    assert info["start_index"] == 17


def test_brokers_by_environment_are_brokers_by_simulation(scene):
    env = Brokerage(scene, length=80, objective="wait")
    broker = Expecting("mct")
    rewards, info = play(env, lambda env, _: broker(env.view), start_index=30)
    run = Simulation(
        scene.platform, scene.part(30, 80), faults=scene.faults, seed=30, broker=Expecting("mct")
    )
    assert run.until() == env.run.stop == "done"
    made = run.state.attempts[: run.state.world[0]["attempts"]]
    mine = env.run.state.attempts[: env.run.state.world[0]["attempts"]]
    for name in ("job", "site", "ready", "start", "staged", "end"):
        np.testing.assert_array_equal(made[name], mine[name])
    assert len(rewards) == len(made) > 80  # some are retries
    reads = np.diff(run.state.input_ptr)[made["job"]] > 0
    got = np.where(reads, made["staged"], made["start"])
    assert not np.isnan(got).any()
    assert info["score"] == pytest.approx((got - made["ready"]).sum() / 3600 / 80)
    assert sum(r < 0 for r in rewards) > 20  # they come when they are known


def test_a_makespan_is_told_at_the_end(scene):
    env = Brokerage(scene, length=30, objective="makespan")
    rewards, info = play(env, drawn(0), start_index=0)
    assert not any(rewards[:-1])
    ends = env.run.state.attempts["end"][: env.run.state.world[0]["attempts"]]
    assert info["score"] == pytest.approx((ends.max() - scene.demand.work.submit[0]) / 3600)


def test_what_is_seen_of_sites_is_what_a_broker_sees(scene):
    env = Brokerage(scene, length=50)
    shown, info = env.reset(options={"start_index": 5})
    column = {name: k for k, name in enumerate(FEATURES)}
    choose = drawn(2)
    for _ in range(30):
        view = env.view
        assert shown.shape == (3, len(FEATURES))
        np.testing.assert_array_equal(shown[:, 0], info["action_mask"])
        np.testing.assert_array_equal(info["action_mask"] > 0, env.action_masks())
        np.testing.assert_allclose(shown[:, column["free"]], view.free / view.size, rtol=1e-6)
        np.testing.assert_allclose(shown[:, column["cores"]], view.cores / 6, rtol=1e-6)
        assert not (info["action_mask"].astype(bool) & ~view.fits()).any()
        shown, _, ended, _, info = env.step(choose(env, info))
        assert not ended


def test_wide_jobs_have_fewer_sites_and_forbidden_ones_are_counted_or_refused(scene):
    env = Brokerage(scene, length=50)
    _, info = env.reset(options={"start_index": 0})
    while info["action_mask"].all():
        _, *_, info = env.step(0)
    wrong = int(info["action_mask"].argmin())
    job = env.view.job
    _, *_, info = env.step(wrong)
    assert info["illegal"] == 1
    made = env.run.state.attempts[: env.run.state.world[0]["attempts"]]
    assert made["site"][made["job"] == job][0] != wrong
    strict = Brokerage(scene, length=50, strict=True)
    _, info = strict.reset(options={"start_index": 0})
    while info["action_mask"].all():
        _, *_, info = strict.step(0)
    with pytest.raises(InputError, match="action_mask is 1"):
        strict.step(int(info["action_mask"].argmin()))
    with pytest.raises(InputError, match="action 3 of 3"):
        strict.step(3)


def test_jobs_that_fit_nowhere_take_no_step(scene):
    work = scene.demand.work
    cores = work.cores.copy()
    cores[::5] = 99
    wide = replace(scene.demand, work=replace(work, cores=cores))
    env = Brokerage(replace(scene, demand=wide, faults=Faults()), length=50)
    rewards, _ = play(env, drawn(0), start_index=0)
    assert len(rewards) == 40


def test_doing_nothing_places_nothing_and_copies_cost_their_price(scene):
    env = PlaceData(scene, length=100, every=100.0, price=0.5)
    _, idle = play(env, lambda *_: 0, start_index=20)
    assert env.run.state.world[0]["copies"] == 0
    plain = Simulation(scene.platform, scene.part(20, 100), faults=scene.faults, seed=20)
    plain.until()
    moved = plain.state.transfers[: plain.state.world[0]["transfers"]]
    far = moved["kind"] < 2
    far &= moved["source"] != moved["destination"]
    inputs = plain.state.file_bytes[plain.state.input_file].sum()
    assert idle["score"] == pytest.approx(moved["bytes"][far].sum() / inputs)
    _, busy = play(env, lambda env, info: min(1, info["action_mask"].sum() - 1), start_index=20)
    made = env.run.state.copies[: env.run.state.world[0]["copies"]]
    assert len(made)
    assert busy["score"] == pytest.approx(env._costs.total + 0.5 * made["bytes"].sum() / inputs)
    assert env._costs.total < idle["score"]


def test_candidates_are_what_jobs_lack_or_moved(scene):
    env = PlaceData(scene, length=100, every=60.0)
    env.reset(options={"start_index": 0})
    seen = 0
    for _ in range(30):
        view = env.view
        pairs, figures = candidates(view, 5)
        assert len(pairs) == len(figures) <= 5
        total = figures[:, 1] + figures[:, 3]
        assert (np.diff(total) <= 0).all()
        for (dataset, site), row in zip(pairs, figures, strict=True):
            files = view.files_of(dataset)
            missing = files[~view.has(files, np.full(len(files), site))]
            assert row[0] == pytest.approx(view.bytes[missing].sum())
            assert row[0] > 0
            seen += 1
        assert {s.site for s in Prefetch()(view)} <= {s for _, s in candidates(view, 999)[0]}
        if env.step(0)[2]:
            break
    assert seen


@pytest.mark.parametrize("kind", BOTH)
def test_many_are_each_what_one_is(scene, kind):
    many = gymnasium.make_vec(
        IDS[kind], num_envs=3, vectorization_mode="vector_entry_point", scene=scene, length=20
    )
    assert many.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    ones = [kind(scene, length=20) for _ in range(3)]
    shown, infos = many.reset(seed=11)
    for i, one in enumerate(ones):
        assert (one.reset(seed=11 + i)[0] == shown[i]).all()
    rng, ends = np.random.default_rng(0), 0
    for _ in range(50):
        actions = [int(rng.choice(np.flatnonzero(mask))) for mask in infos["action_mask"]]
        shown, rewards, ended, _, infos = many.step(np.array(actions))
        for i, one in enumerate(ones):
            seen, reward, over, _, info = one.step(actions[i])
            assert (reward, over) == (rewards[i], ended[i])
            if over:
                ends += 1
                assert infos["final_info"]["score"][i] == info["score"]
                seen, info = one.reset()
            assert (seen == shown[i]).all()
            assert (info["action_mask"] == infos["action_mask"][i]).all()
        assert (many.unwrapped.action_masks() == infos["action_mask"].astype(bool)).all()
    assert ends
    maker = many_brokers if kind is Brokerage else many_placers
    told = maker(2, scene, length=20, autoreset_mode="Disabled")
    assert told.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    told.reset(options={"start_index": 7})
    assert [env.first for env in told.envs] == [7, 7]
    told.reset(options={"start_index": [7, 9]})
    assert [env.first for env in told.envs] == [7, 9]
    told.reset(seed=1)
    assert [env.first for env in told.envs] != [7, 9]


@pytest.mark.parametrize("kind", BOTH)
def test_masks_can_be_observed(scene, kind):
    env = MaskInObservation(kind(scene, length=20))
    seen, info = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    assert (seen["action_mask"] == info["action_mask"]).all()


def test_what_cannot_be_is_told(scene):
    with pytest.raises(InputError, match="length 999"):
        Brokerage(scene, length=999)
    with pytest.raises(InputError, match="objective 'speed'"):
        Brokerage(scene, length=9, objective="speed").reset()
    with pytest.raises(InputError, match="start_index 195"):
        Brokerage(scene, length=9).reset(options={"start_index": 195})
    with pytest.raises(InputError, match="window 1"):
        PlaceData(scene, length=9, window=1)
    bare = Scene(Platform.single(9), scene.demand)
    with pytest.raises(InputError, match="no links"):
        PlaceData(bare, length=9)


@pytest.mark.slow
def test_the_example_is_the_default_and_queues():
    made = example()
    assert len(made) > 3000
    env = Brokerage(made)
    _, info = play(env, drawn(0), start_index=1000)
    waits = env.run.state.attempts[: env.run.state.world[0]["attempts"]]
    assert (waits["start"] > waits["ready"]).any()
    assert info["score"] > 0.0
