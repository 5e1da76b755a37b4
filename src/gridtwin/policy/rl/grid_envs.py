"""What environments on the grid kernel share: sequences, masks, and many beside each other."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.policy.rl.scene import Scene, example

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, SyncVectorEnv
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.grid_envs", "gymnasium", "rl") from error

__all__ = ["Beside", "GridEnv", "Rows", "register"]

Rows: TypeAlias = NDArray[np.float32]


class GridEnv(gymnasium.Env[Rows, np.int64]):
    """Sequences of jobs on a grid, rows to choose from, masks; children say what is decided.

    Each sequence begins with an empty grid, at a job drawn from the seed or at
    ``options["start_index"]``. ``info`` has ``action_mask`` (int8, 1: may be chosen), ``illegal``
    (actions that might not, so far), ``start_index``, and at the end ``score``, minus the return.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as its base class has it

    def __init__(
        self, scene: Scene | None, length: int, shape: tuple[int, int], *, flat: bool, strict: bool
    ) -> None:
        self.scene = example() if scene is None else scene
        if not 1 <= length <= len(self.scene):
            raise InputError(f"length {length}; expected 1 to {len(self.scene)}, the scene's jobs")
        self.length, self._shape, self._flat, self._strict = length, shape, flat, strict
        size = (shape[0] * shape[1],) if flat else shape
        self.observation_space = spaces.Box(0.0, 1.0, size, np.float32)
        self.action_space = spaces.Discrete(shape[0])
        self.first = 0
        """Job of the scene at which the sequence began."""
        self.begin_at: int | None = None
        """Job at which the next sequence begins, unless it is drawn."""
        self.illegal = 0
        self.score = 0.0
        self._mask = np.zeros(shape[0], bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Rows, dict[str, Any]]:
        """Begin a sequence, at job ``options["start_index"]`` if given; its draw is taken then."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(0, len(self.scene) - self.length + 1))
        if self.begin_at is not None:
            drawn, self.begin_at = self.begin_at, None
        self.first = int((options or {}).get("start_index", drawn))
        self.illegal, self.score = 0, 0.0
        self._begin()
        return self._shown(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Rows, float, bool, bool, dict[str, Any]]:
        """Take the row `action`; one that may not be chosen counts as the first that may."""
        rows = self._shape[0]
        if not 0 <= action < rows or (self._strict and not self._mask[action]):
            raise InputError(f"action {action} of {rows}; choose one whose action_mask is 1")
        if not self._mask[action]:
            self.illegal += 1
            action = int(self._mask.argmax())
        reward, ended, cut = self._take(int(action))
        self.score -= reward
        info = self._info()
        if ended or cut:
            info["score"] = self.score
        return self._shown(), reward, ended, cut, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions may be taken; sb3-contrib asks for this."""
        return self._mask.copy()

    def _begin(self) -> None:
        """Set a sequence up, from job `first` on, to its first decision."""
        raise NotImplementedError

    def _take(self, action: int) -> tuple[float, bool, bool]:
        """Take an action, go on to the next decision; return reward, and whether it ended."""
        raise NotImplementedError

    def _rows(self) -> NDArray[np.float64]:
        """Return what is seen, numbers from 0 to 1."""
        raise NotImplementedError

    def _shown(self) -> Rows:
        rows = np.clip(self._rows(), 0.0, 1.0).astype(np.float32)
        return rows.reshape(-1) if self._flat else rows

    def _info(self) -> dict[str, Any]:
        mask = self._mask.astype(np.int8)
        return {"action_mask": mask, "illegal": self.illegal, "start_index": self.first}


def register(name: str, one: type[GridEnv], many: Callable[..., "Beside"]) -> None:
    """Make an environment known as ``gridtwin/<name>-v0``, one and many."""
    gymnasium.register(
        f"gridtwin/{name}-v0",
        entry_point=f"{one.__module__}:{one.__name__}",
        vector_entry_point=f"{many.__module__}:{many.__name__}",
    )


class Beside(SyncVectorEnv):
    """Several sequences beside each other, stepped one after the other in this process.

    Parameters
    ----------
    envs
        The environments; they may share a `Scene`.
    autoreset_mode
        When a sequence that ended begins anew: in the same step (default), at the next one, or when
        told by ``reset(options={"reset_mask": ...})``. Stated in ``metadata``.
    """

    def __init__(
        self,
        envs: Sequence[GridEnv],
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        copy: bool = True,
    ) -> None:
        makers = [lambda env=env: env for env in envs]
        super().__init__(makers, copy=copy, autoreset_mode=AutoresetMode(autoreset_mode))

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin sequences; ``options["start_index"]``: one job, or one for each, to begin at."""
        options = dict(options or {})
        if np.ndim(first := options.pop("start_index", None)) == 1 and first is not None:
            for env, start in zip(self.envs, first, strict=True):
                env.unwrapped.begin_at = int(start)  # type: ignore[attr-defined]
        elif first is not None:
            options["start_index"] = first
        return super().reset(seed=seed, options=options)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (B, rows), which actions may be taken."""
        return np.stack([env.unwrapped.action_masks() for env in self.envs])  # type: ignore[attr-defined]
