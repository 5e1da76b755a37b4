"""What a transfer experiment trains on what, and how it tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.models import get as model_class
from gridtwin.policy.queueing import splitting
from gridtwin.policy.rl.learn import METHODS, Method
from gridtwin.sim.policies import Backfill
from gridtwin.study.benchmark import Contender, file_name
from gridtwin.study.transfer.sources import LOADED, REAL, WEEKS

__all__ = ["MODELS", "STEPS", "Plan", "Task"]

Task = tuple[Backfill, str, int]
"""Backfilling, source and seed of a training."""
MODELS = (
    Contender("trace"),
    Contender("smote"),
    Contender("gaussian_copula"),
    Contender("tvae", {"budget": "fast"}, "tvae"),
)
STEPS: dict[Method, int] = {"cem": 3_700_000, "es": 3_700_000, "ppo": 500_000, "clone": 50_000}
"""Decisions of a training."""


@dataclass(frozen=True)
class Plan:
    """What is trained on what, and how it is tested."""

    models: tuple[Contender, ...] = MODELS
    """Each is fitted once; row models (all but ``trace``) are trained on with ``+load``, too."""
    method: Method = "cem"
    backfills: tuple[Backfill, ...] = ("none", "easy")
    seeds: int = 8
    """Of the training, and of the model's sample; the same for each source."""
    share: float = 0.6
    """Of the jobs, the first, to train on."""
    sequences: int = 128
    """Of later jobs, each on an empty machine."""
    length: int = 512
    """Jobs of a sequence."""
    steps: int | None = None
    """Decisions of a training; by default those of `STEPS`."""
    cores: int | None = None
    baseline: str = "sjf"
    """Heuristic that scores are relative to."""
    matched: bool = True
    """Whether row models are trained on with ``+load``."""
    seed: int = 0
    """The first of the seeds, and that of the fits and of the test."""

    def __post_init__(self) -> None:
        if min(self.seeds, self.sequences, self.length, self.steps or 1) < 1 or self.seed < 0:
            raise InputError(
                "a transfer needs a seed, a sequence, a job and a step; give 1 or more"
            )
        if self.method not in METHODS:
            raise UnknownNameError("method", self.method, METHODS)
        for backfill in self.backfills:
            if backfill not in get_args(Backfill):
                raise UnknownNameError("backfilling", backfill, get_args(Backfill))
        if not self.backfills or len(set(self.backfills)) < len(self.backfills):
            raise InputError("name one or more kinds of backfilling, each once")
        if splitting(self.baseline)[1] != "none":
            raise InputError(f"baseline {self.baseline!r}: name it without backfilling")
        names = [*map(file_name, self.sources)]
        if len(set(names)) < len(names):
            raise InputError(f"two sources are one file, among {', '.join(names)}; label a model")
        for model in self.models:
            model_class(model.model)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all sources, real jobs first."""
        found = [REAL, WEEKS]
        for model in self.models:
            found.append(model.name)
            if self.matched and model.model != "trace":
                found.append(f"{model.name}{LOADED}")
        return tuple(found)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def tasks(self) -> Iterator[Task]:
        """The trainings."""
        for backfill in self.backfills:
            for source in self.sources:
                for seed in self.all_seeds:
                    yield backfill, source, seed

    def first(self, jobs: int) -> NDArray[np.int64]:
        """Return where the sequences of the test begin, in order."""
        if jobs < self.length:
            raise InputError(
                f"the later part has {jobs} jobs, a sequence {self.length}; choose a smaller length"
            )
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.integers(0, jobs - self.length + 1, self.sequences))
