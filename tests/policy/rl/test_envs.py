"""The environments keep to gymnasium's and Stable-Baselines3's protocols."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import start_times

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402 - after it was found
from gymnasium.vector import AutoresetMode  # noqa: E402

from gridtwin.policy.rl.envs import (  # noqa: E402
    BatchScheduling,
    BatchSchedulingVector,
    MaskInObservation,
)

_spec = importlib.util.spec_from_file_location("made", Path(__file__).parent / "test_batched.py")
_beside = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_beside)
made = _beside.made

IDS = ["gridtwin/BatchScheduling-v0", "gridtwin/Backfilling-v0"]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("options", [{}, {"backfill": "easy", "flat": True}])
def test_gymnasium_has_nothing_to_say(name, options):
    env = gymnasium.make(
        f"gridtwin.policy.rl.envs:{name}", jobs=made(), length=40, window=16, **options
    )
    check_env(env.unwrapped)


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines_has_nothing_to_say(name):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gymnasium.make(name, jobs=made(), length=40, window=16, flat=True)
    checker.check_env(env.unwrapped, warn=True)


def test_masks_can_be_observed():
    env = MaskInObservation(BatchScheduling(made(), length=20, window=8))
    seen, info = env.reset(seed=0)
    for _ in range(5):
        assert env.observation_space.contains(seen)
        assert (seen["action_mask"] == info["action_mask"]).all()
        assert (seen["observations"] == env.unwrapped.batched.look.obs[0]).all()
        seen, *_, info = env.step(0)


def test_the_embedded_example_is_the_default():
    env = gymnasium.make("gridtwin/BatchScheduling-v0")
    shown, info = env.reset(seed=1)
    assert shown.shape == (128, 8)
    assert env.observation_space.contains(shown)
    assert info["action_mask"].sum() == 1
    assert info["action_mask"].dtype == np.int8
    masks = env.get_wrapper_attr("action_masks")()
    assert masks.dtype == np.bool_
    assert masks.tolist() == info["action_mask"].astype(bool).tolist()


def test_a_sequence_is_replayed_from_where_it_began():
    stream = made()
    env = BatchScheduling(stream, length=60, backfill="easy")
    _, info = env.reset(options={"start_index": 17})
    ended, rewards, rng = False, [], np.random.default_rng(0)
    actions = []
    while not ended:
        actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
        _, reward, ended, cut, info = env.step(actions[-1])
        rewards.append(reward)
        assert not cut
    assert rewards[-1] == -info["score"] < 0
    assert not any(rewards[:-1])
    once = env.batched.starts(0)
    env.reset(seed=5)
    env.reset(options={"start_index": 17})
    for action in actions:
        env.step(action)
    assert env.batched.starts(0).tolist() == once.tolist()
    env.reset(options={"start_index": 17})
    ended = False
    while not ended:
        ended = env.step(0)[2]
    fcfs = start_times(stream, "fcfs", first=[17], length=60, backfill="easy", commit=True)[0]
    assert env.batched.starts(0).tolist() == fcfs.tolist() != once.tolist()


def test_strict_ones_refuse_what_the_mask_forbids():
    env = BatchScheduling(made(), length=20, window=8, strict=True)
    _, info = env.reset(seed=0)
    with pytest.raises(InputError, match="action_mask is 1"):
        env.step(int(np.flatnonzero(info["action_mask"] == 0)[0]))
    with pytest.raises(InputError, match="action 8"):
        BatchScheduling(made(), length=20, window=8).step(8)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("copy", [True, False])
def test_many_are_each_what_one_is(name, copy):
    stream, options = made(), {"length": 30, "window": 16, "objective": "wait"}
    many = gymnasium.make_vec(
        name,
        num_envs=3,
        vectorization_mode="vector_entry_point",
        jobs=stream,
        copy=copy,
        **options,
    )
    assert many.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    ones = [gymnasium.make(name, jobs=stream, **options) for _ in range(3)]
    shown, infos = many.reset(seed=11)
    for i, one in enumerate(ones):
        assert (one.reset(seed=11 + i)[0] == shown[i]).all()
    rng, ends = np.random.default_rng(0), 0
    for _ in range(100):
        actions = [int(rng.choice(np.flatnonzero(mask))) for mask in infos["action_mask"]]
        shown, rewards, ended, cut, infos = many.step(actions)
        assert many.observation_space.contains(shown)
        assert not cut.any()
        for i, one in enumerate(ones):
            seen, reward, over, _, info = one.step(actions[i])
            assert (reward, over) == (rewards[i], ended[i])
            if over:
                ends += 1
                assert (infos["final_obs"][i] == seen).all()
                assert infos["_final_obs"][i]
                assert infos["score"][i] == info["score"]
                seen, info = one.reset()
            assert (seen == shown[i]).all()
            assert (info["action_mask"] == infos["action_mask"][i]).all()
        assert (many.unwrapped.action_masks() == infos["action_mask"].astype(bool)).all()
    assert ends > 5


def test_others_begin_anew_at_the_next_step_or_when_told():
    stream = made()
    later = BatchSchedulingVector(2, stream, length=3, window=4, autoreset_mode="NextStep")
    told = BatchSchedulingVector(2, stream, length=3, window=4, autoreset_mode="Disabled")
    later.reset(seed=1)
    told.reset(seed=1)
    for _ in range(3):
        _, reward, ended, _, _ = later.step([0, 0])
        told.step([0, 0])
    assert ended.all()
    assert (reward < 0).all()
    shown, reward, ended, _, _ = later.step([0, 0])
    assert not ended.any()
    assert not reward.any()
    assert shown.any()
    _, reward, ended, _, _ = told.step([0, 0])
    assert ended.all()
    assert not reward.any()
    shown, _ = told.reset(options={"reset_mask": np.array([True, False]), "start_index": 9})
    assert shown[0].any()
    assert not shown[1].any()
    assert told.batched.machines.state.env["first"][0] == 9
    assert not told.step([0, 0])[2][0]


def test_wrong_actions_of_many_are_told():
    many = BatchSchedulingVector(2, made(), length=20, window=8)
    many.reset(seed=0)
    for wrong in ([0], [0, 8], [0, -1]):
        with pytest.raises(InputError, match="expected 2 whole numbers from 0 to 7"):
            many.step(wrong)


def test_stable_baselines_steps_many():
    pytest.importorskip("stable_baselines3")
    from gridtwin.policy.rl.sb3 import Sb3Batch

    stream = made()
    env = Sb3Batch(BatchSchedulingVector(2, stream, length=10, window=8, flat=True))
    env.seed(3)
    shown = env.reset()
    assert shown.shape == (2, 64)
    first = env.env.batched.machines.state.env["first"].tolist()
    env.seed(3)
    env.reset()
    assert env.env.batched.machines.state.env["first"].tolist() == first
    for step in range(10):
        shown, rewards, done, infos = env.step(np.zeros(2, int))
        assert done.tolist() == [step == 9] * 2
    assert infos[0]["terminal_observation"].shape == (64,)
    assert infos[0]["episode"]["l"] == 10
    assert infos[1]["episode"]["r"] == pytest.approx(float(rewards[1])) == -infos[1]["score"]
    assert np.stack(env.env_method("action_masks")).shape == (2, 8)
    with pytest.raises(InputError, match="SameStep"):
        Sb3Batch(BatchSchedulingVector(2, stream, length=10, autoreset_mode="NextStep"))


@pytest.mark.slow
def test_maskable_ppo_learns_on_it():
    contrib = pytest.importorskip("sb3_contrib")
    from gridtwin.policy.rl.sb3 import Sb3Batch

    env = Sb3Batch(BatchSchedulingVector(4, made(), length=20, window=8, flat=True))
    model = contrib.MaskablePPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=1, seed=0)
    model.learn(256)
    assert model.num_timesteps == 256
    assert env.env.batched.look.illegal.sum() == 0  # the masks were heeded
