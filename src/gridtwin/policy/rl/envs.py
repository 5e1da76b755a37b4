"""Environments of gymnasium on the batch machine; importing this registers them.

``gymnasium.make("gridtwin.policy.rl.envs:gridtwin/BatchScheduling-v0", jobs=...)`` decides which
waiting job is next, ``…:gridtwin/Backfilling-v0`` who overtakes the head of the queue while that
does not fit. ``gymnasium.make_vec(id, num_envs, vectorization_mode="vector_entry_point")`` makes
many that share one compiled kernel; sequence ``i`` of seed ``s`` is the scalar one of seed ``s+i``.

Action masks come as ``info["action_mask"]`` (int8, 1: may be chosen), from the method
``action_masks()`` (bool), and in the observation by `MaskInObservation`.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.policy.batch.stream import Stream, from_table
from gridtwin.policy.rl.batched import Batched
from gridtwin.policy.rl.kernel import FEATURES
from gridtwin.trace import JobTable, examples

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.envs", "gymnasium", "rl") from error

__all__ = ["BatchScheduling", "BatchSchedulingVector", "MaskInObservation"]

Rows: TypeAlias = NDArray[np.float32]


def _stream(jobs: Stream | JobTable | None) -> Stream:
    if isinstance(jobs, Stream):
        return jobs
    return from_table(examples.load("lublin") if jobs is None else jobs)


def _drawn(stream: Stream, length: int, rng: np.random.Generator) -> int:
    return int(rng.integers(0, len(stream) - length + 1))


def _box(shape: tuple[int, ...]) -> spaces.Space[Any]:
    return spaces.Box(0.0, 1.0, shape, np.float32)


class BatchScheduling(gymnasium.Env[Rows, np.int64]):
    """One sequence of jobs on one machine; each step is a decision, the end is when all started.

    Parameters
    ----------
    jobs
        By default the embedded Lublin example.
    length
        Jobs of a sequence; it begins at a random place with an empty machine, or where
        ``options={"start_index": i}`` says.
    flat
        Whether the observation is one row of 8 W numbers instead of (W, 8).
    strict
        Whether an action that may not be chosen raises `InputError`. Otherwise it counts as row 0,
        and in ``info["illegal"]``.
    options
        ``window``, ``objective``, ``backfill``, ``overtaking``, ``policy`` and ``compat`` as in
        `gridtwin.policy.rl.batched.Batched`.

    Notes
    -----
    ``info`` has ``action_mask``, ``illegal``, and at the end ``score``, the objective.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as its base class has it

    def __init__(
        self,
        jobs: Stream | JobTable | None = None,
        *,
        length: int = 256,
        flat: bool = False,
        strict: bool = False,
        **options: Any,  # noqa: ANN401 - those of Batched, which names wrong ones
    ) -> None:
        self.batched = Batched(_stream(jobs), 1, length, **options)
        self._flat, self._strict = flat, strict
        window = self.batched.window
        self.observation_space = _box((window * FEATURES,) if flat else (window, FEATURES))
        self.action_space = spaces.Discrete(window)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Rows, dict[str, Any]]:
        """Begin a sequence, at job ``options["start_index"]`` if given; its draw is taken then."""
        super().reset(seed=seed)
        batched = self.batched
        first = _drawn(batched.stream, batched.length, self.np_random)
        batched.look.illegal[0] = 0
        batched.reset(first if options is None else options.get("start_index", first))
        return self._shown(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Rows, float, bool, bool, dict[str, Any]]:
        """Take the row `action`; the reward comes at the end."""
        look = self.batched.look
        if not 0 <= action < self.batched.window or (self._strict and not look.mask[0, action]):
            raise InputError(
                f"action {action} of {look.rows[0]} rows; choose one whose action_mask is 1"
            )
        self.batched.step(action)
        info = self._info()
        if look.over[0]:
            info["score"] = float(look.score[0])
        return self._shown(), float(look.reward[0]), bool(look.over[0]), False, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (W,), which rows may be chosen; sb3-contrib asks for this."""
        return self.batched.look.mask[0].astype(np.bool_)

    def _shown(self) -> Rows:
        rows = self.batched.look.obs[0].copy()
        return rows.reshape(-1) if self._flat else rows

    def _info(self) -> dict[str, Any]:
        look = self.batched.look
        return {"action_mask": look.mask[0].copy(), "illegal": int(look.illegal[0])}


class BatchSchedulingVector(gymnasium.vector.VectorEnv[Rows, NDArray[np.int64], Any]):
    """B sequences stepped in one compiled call; parameters as `BatchScheduling`, and these.

    Parameters
    ----------
    autoreset_mode
        When a sequence that ended begins anew: in the same step (default; ``infos["final_obs"]``
        is all padding then), at the next one, whose action is ignored, or when told by
        ``reset(options={"reset_mask": ...})``. Stated in ``metadata``.
    copy
        Whether observations and masks are copies. Otherwise they are views, which the next step
        overwrites; they must not be changed.
    """

    def __init__(
        self,
        num_envs: int = 1,
        jobs: Stream | JobTable | None = None,
        *,
        length: int = 256,
        flat: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        copy: bool = True,
        **options: Any,  # noqa: ANN401 - those of Batched, which names wrong ones
    ) -> None:
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self._mode}
        same = self._mode == AutoresetMode.SAME_STEP
        self.batched = Batched(_stream(jobs), num_envs, length, same_step=same, **options)
        self.num_envs, self._flat, self._copy = num_envs, flat, copy
        window = self.batched.window
        shape = (window * FEATURES,) if flat else (window, FEATURES)
        self.single_observation_space = _box(shape)
        self.single_action_space = spaces.Discrete(window)
        self.observation_space = _box((num_envs, *shape))
        self.action_space = spaces.MultiDiscrete(np.full(num_envs, window))
        self._rngs = [np.random.default_rng() for _ in range(num_envs)]
        self._next = np.zeros(num_envs, np.int64)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Rows, dict[str, Any]]:
        """Begin sequences: all, or those of ``options["reset_mask"]``.

        ``options["start_index"]``: one job, or B of them, where they begin.
        """
        options = options or {}
        which = np.broadcast_to(options.get("reset_mask", True), self.num_envs)
        if seed is not None:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
            if len(seeds) != self.num_envs:
                raise InputError(f"{len(seeds)} seeds for {self.num_envs} sequences; give as many")
            for i, one in enumerate(seeds):
                if which[i] and one is not None:
                    self._rngs[i] = gymnasium.utils.seeding.np_random(one)[0]
        self._draw(which)
        first = np.broadcast_to(options.get("start_index", self._next), self.num_envs)
        self.batched.look.illegal[which] = 0
        self.batched.reset(np.where(which, first, 0), which)
        if self._mode == AutoresetMode.SAME_STEP:
            self._draw(which)
        return self._shown(), self._infos()

    def step(
        self, actions: ArrayLike
    ) -> tuple[Rows, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take a row in each sequence."""
        look, chosen = self.batched.look, np.asarray(actions)
        if (
            chosen.shape != (self.num_envs,)
            or chosen.min() < 0
            or (chosen.max() >= self.batched.window)
        ):
            raise InputError(
                f"actions {chosen.shape} from {chosen.min(initial=0)} to {chosen.max(initial=0)}; "
                f"expected {self.num_envs} whole numbers from 0 to {self.batched.window - 1}"
            )
        if self._mode == AutoresetMode.NEXT_STEP and look.over.any():
            again = look.over == 1
            self._draw(again)
            self.batched.step(chosen, self._next, what=again)  # ANEW is 1
        else:
            self.batched.step(chosen, self._next)
        infos = self._infos()
        done = look.done | (look.over == 1)
        if look.done.any():
            ended = look.done.copy()
            infos |= {"score": look.score.copy(), "_score": ended}
            if self._mode == AutoresetMode.SAME_STEP:
                self._draw(ended)
                self._add_final(infos, ended)
        return self._shown(), look.reward.copy(), done, np.zeros_like(done), infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Return (B, W), which rows may be chosen."""
        return self.batched.look.mask.astype(np.bool_)

    def _draw(self, which: NDArray[np.bool_]) -> None:
        """Draw where sequences begin next."""
        for i in np.flatnonzero(which):
            self._next[i] = _drawn(self.batched.stream, self.batched.length, self._rngs[i])

    def _add_final(self, infos: dict[str, Any], ended: NDArray[np.bool_]) -> None:
        """Tell what sequences showed at their end: nobody waits."""
        padding = np.broadcast_to(self.batched.look.padding, (self.batched.window, FEATURES))
        final = padding.reshape(self.single_observation_space.shape)
        observations = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(ended):
            observations[i] = final.copy()
        infos |= {"final_obs": observations, "_final_obs": ended}
        infos |= {"final_info": {"score": infos["score"], "_score": ended}, "_final_info": ended}

    def _shown(self) -> Rows:
        rows = self.batched.look.obs
        rows = rows.reshape(self.num_envs, -1) if self._flat else rows
        return rows.copy() if self._copy else rows

    def _infos(self) -> dict[str, Any]:
        mask = self.batched.look.mask
        everywhere = np.ones(self.num_envs, np.bool_)
        mask = mask.copy() if self._copy else mask
        return {"action_mask": mask, "_action_mask": everywhere}


class MaskInObservation(gymnasium.Wrapper[dict[str, Any], np.int64, Rows, np.int64]):
    """Observe ``{"observations": …, "action_mask": …}``, as RLlib's models expect."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        assert isinstance(env.action_space, spaces.Discrete)
        mask = spaces.Box(0, 1, (int(env.action_space.n),), np.int8)
        self.observation_space = spaces.Dict(
            {"observations": env.observation_space, "action_mask": mask}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a sequence."""
        rows, info = self.env.reset(seed=seed, options=options)
        return {"observations": rows, "action_mask": info["action_mask"]}, info

    def step(self, action: np.int64) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Take a row."""
        rows, reward, ended, cut, info = self.env.step(action)
        shown = {"observations": rows, "action_mask": info["action_mask"]}
        return shown, reward, ended, cut, info


for _name, _options in (("BatchScheduling", {}), ("Backfilling", {"overtaking": "fitting"})):
    gymnasium.register(
        f"gridtwin/{_name}-v0",
        entry_point="gridtwin.policy.rl.envs:BatchScheduling",
        vector_entry_point="gridtwin.policy.rl.envs:BatchSchedulingVector",
        kwargs=_options,
    )
