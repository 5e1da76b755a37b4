"""The environments as a `VecEnv` of Stable-Baselines3, one compiled call for all of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.policy.rl.envs import BatchSchedulingVector

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.sb3", "stable_baselines3", "rl") from error

__all__ = ["Sb3Batch"]


class Sb3Batch(VecEnv):
    """B sequences as Stable-Baselines3 and sb3-contrib's MaskablePPO step them.

    Sequences that end begin anew in the same step; ``infos[i]`` has ``terminal_observation``,
    ``episode`` (return ``r`` and steps ``l``) and ``score`` then.
    """

    def __init__(self, env: BatchSchedulingVector) -> None:
        if env.metadata["autoreset_mode"].name != "SAME_STEP":
            raise InputError("Stable-Baselines3 expects autoreset_mode='SameStep'; make it so")
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._steps = np.zeros(env.num_envs, np.int64)
        self._actions = self._steps
        self.render_mode = None

    def reset(self) -> Any:  # noqa: ANN401 - as its base class
        """Begin all sequences; seeds and options are those set before."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        options: dict[str, Any] = {}
        if any("start_index" in one for one in self._options):
            options = {"start_index": [one["start_index"] for one in self._options]}
        shown, _ = self.env.reset(seed=seeds, options=options)
        self._reset_seeds()
        self._reset_options()
        self._steps[:] = 0
        return shown

    def step_async(self, actions: Any) -> None:  # noqa: ANN401 - as its base class
        """Keep the actions."""
        self._actions = actions

    def step_wait(self) -> Any:  # noqa: ANN401 - as its base class
        """Take them."""
        shown, reward, done, _, told = self.env.step(self._actions)
        self._steps += 1
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            episode = {"r": float(reward[i]), "l": int(self._steps[i]), "t": 0.0}
            infos[i] |= {
                "terminal_observation": told["final_obs"][i],
                "episode": episode,
                "score": float(told["score"][i]),
            }
        self._steps[done] = 0
        return shown, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ANN401 - as base
        """Return an attribute of the environments, which all share."""
        return [getattr(self.env, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ANN401
        """Refuse: what they are is settled when they are made."""
        raise InputError(f"{attr_name} cannot be set on the environments; make others")

    def env_method(
        self,
        method_name: str,
        *method_args: Any,  # noqa: ANN401 - as its base class
        indices: Any = None,  # noqa: ANN401
        **method_kwargs: Any,  # noqa: ANN401
    ) -> list[Any]:
        """Call a method; ``action_masks`` is the only one that tells of single sequences."""
        if method_name != "action_masks":
            raise InputError(f"method {method_name!r}; only action_masks can be called here")
        masks = self.env.action_masks()
        return [masks[i] for i in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:  # noqa: ANN401
        """Return that none is wrapped."""
        return [False] * len(self._chosen(indices))

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the environments have it."""
        return hasattr(self.env, attr_name)

    def _chosen(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))
