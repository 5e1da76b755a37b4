"""The loop that trains a net: steps, batches, checkpoints, and a stop where a loss breaks."""

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gridtwin.core.errors import InputError, TrainingError
from gridtwin.core.files import writing
from gridtwin.models.neural.devices import mixed_seed, rank

__all__ = ["Checkpoints", "Course", "Step", "train"]

Rows = dict[str, Tensor]


Step = Callable[[Rows, int], Mapping[str, Tensor]]
"""One step of training: takes rows and the number of the step, returns losses by name."""


@dataclass
class Course:
    """What is trained, how long and on what; all that a checkpoint must hold is in here."""

    name: str
    """Of the model, for messages."""
    net: nn.Module
    optimizers: list[Optimizer]
    rows: Rows
    """The training rows: tensors of equal length."""
    steps: int
    batch: int
    seed: int
    memory: dict[str, Any] = field(default_factory=dict)
    """Numbers and tensors that a model notes while it is trained, for stopping early."""
    poisson: bool = False
    """Whether each row is in a batch by chance of its own, as differential privacy counts on."""
    secret: int | None = None
    """In place of the seed, where what is drawn must not be known."""
    report: Callable[[int, int, Mapping[str, float]], None] | None = None
    """Called now and then with the step, the number of steps, and the losses."""

    @property
    def entropy(self) -> int:
        """What all that is drawn while training depends on."""
        return self.seed if self.secret is None else self.secret

    @property
    def count(self) -> int:
        """How many training rows there are."""
        return len(next(iter(self.rows.values())))


@dataclass(frozen=True)
class Checkpoints:
    """Where a training is written to every so many steps, and taken up again."""

    folder: Path
    every: int
    fingerprint: str
    """Of what is trained: another training does not take up where this one was."""

    @property
    def path(self) -> Path:
        """The one file; each checkpoint replaces the one before."""
        return self.folder / "checkpoint.pt"

    def save(self, course: Course, step: int) -> None:
        """Write the weights, the optimizers and the number of steps done."""
        document = {
            "fingerprint": self.fingerprint,
            "step": step,
            "net": course.net.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in course.optimizers],
            "memory": course.memory,
            "secret": course.secret,
        }
        with writing(self.path) as path:
            torch.save(document, path)

    def restore(self, course: Course) -> int:
        """Take up where the folder's checkpoint was, if there is one; return the steps done."""
        if not self.path.is_file():
            return 0
        try:
            document = torch.load(self.path, weights_only=True, map_location="cpu")
            same = document["fingerprint"] == self.fingerprint
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as e:
            raise InputError(f"{self.path} is not a checkpoint ({e}); remove it") from e
        if not same:
            raise InputError(
                f"{self.path} belongs to a training with other parameters, rows or versions; "
                "give another folder, or remove it to begin anew"
            )
        course.net.load_state_dict(document["net"])
        for optimizer, state in zip(course.optimizers, document["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        course.secret = document["secret"]
        course.memory.clear()
        course.memory.update(document["memory"])
        return int(document["step"])


def fingerprint(parameters: Mapping[str, Any], rows: Rows) -> str:
    """Return a digest of what decides the outcome of a training."""
    digest = hashlib.sha256(json.dumps([dict(parameters), torch.__version__]).encode())
    for name, tensor in sorted(rows.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()


def train(
    course: Course,
    step: Step,
    *,
    done: Callable[[int], bool] | None = None,
    checkpoints: Checkpoints | None = None,
) -> int:
    """Train until the last step, or until `done(steps)` says so; return the steps done.

    What a step draws depends on the seed and its number alone, so a training that was killed and
    taken up again ends with the same weights. Raises `TrainingError` where a loss is no number.
    """
    at = checkpoints.restore(course) if checkpoints else 0
    batches = _Batches(course)
    while at < course.steps and not (done and done(at)):
        torch.manual_seed(mixed_seed(course.entropy, at, rank()[0]))
        losses = {k: v.detach() for k, v in step(batches.rows(at), at).items()}
        _check(losses, course.name, at)
        at += 1
        if course.report and (at % 100 == 0 or at == course.steps):
            course.report(at, course.steps, {k: float(v) for k, v in losses.items()})
        if checkpoints and rank()[0] == 0 and at % checkpoints.every == 0:
            checkpoints.save(course, at)
    if checkpoints and rank()[0] == 0:
        checkpoints.save(course, at)
    return at


class _Batches:
    """The rows of each step: an epoch is a random order of all rows, cut into batches."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._batch = min(course.batch, course.count)
        self._epoch, self._order = -1, np.zeros(0, dtype=np.int64)

    def rows(self, step: int) -> Rows:
        """Return the rows of a step that this process trains on."""
        course = self._course
        if course.poisson:
            rng = np.random.default_rng([course.entropy, step])
            index = np.flatnonzero(rng.random(course.count) < self._batch / course.count)
        else:
            epoch, k = divmod(step, course.count // self._batch)
            if epoch != self._epoch:
                rng = np.random.default_rng([course.entropy, epoch])
                self._epoch, self._order = epoch, rng.permutation(course.count)
            index = self._order[k * self._batch : (k + 1) * self._batch]
        own, together = rank()
        if together > 1:  # at least one row each
            index = np.resize(index, max(len(index), together))[own::together]
        chosen = torch.from_numpy(index).to(next(iter(course.rows.values())).device)
        return {name: tensor[chosen] for name, tensor in course.rows.items()}


def _check(losses: Mapping[str, Tensor], model: str, step: int) -> None:
    if bool(torch.isfinite(torch.stack(list(losses.values()))).all()):
        return
    broken = [name for name, loss in losses.items() if not bool(torch.isfinite(loss))]
    raise TrainingError(
        f"{model}: the loss of {', '.join(map(repr, broken))} is no number at step {step}; "
        "train with a smaller learning_rate or another seed, or leave that column out"
    )
