"""The base of the models of rows that are nets."""

import math
import secrets
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gridtwin.core.errors import FormatError, InputError
from gridtwin.models.base import State
from gridtwin.models.encoding import Cells, RowModel
from gridtwin.models.neural.devices import average_gradients, device, rank, seeded
from gridtwin.models.neural.layout import Layout
from gridtwin.models.neural.private import Budget, Losses, descend, is_private, make_private
from gridtwin.models.neural.training import Checkpoints, Course, Rows, fingerprint, train
from gridtwin.trace import JobTable

if TYPE_CHECKING:
    from opacus.optimizers import DPOptimizer

__all__ = ["NeuralModel"]

Report = Callable[[int, int, Mapping[str, float]], None]
CLIP = 1.0
"""Longest gradient of a row in private training."""
DRAWN_AT_A_TIME = 10_000
"""Rows that a net makes at a time."""


class NeuralModel(RowModel):
    """A net that models encoded rows.

    Children give `epochs` of their paper, and `fast_steps`; they implement `_build`,
    `_optimizers` and `_generate`, and `_losses` or, where there are several losses to take turns,
    `_step`. The seconds of a training depend on the machine, its outcome does not: budgets are
    counted in steps.

    Parameters
    ----------
    budget
        ``"paper"`` trains as long as the model's paper does, ``"fast"`` less than five CPU
        minutes for 20,000 rows.
    steps
        Steps of training; 0 leaves that to the budget.
    batch
        Rows a step.
    learning_rate
        Of the optimizer.
    epsilon, delta
        With an epsilon above 0 the training is differentially private (`neural.private`): it is
        not stopped early, and its random numbers are secret, not those of the seed. A delta of 0
        is a tenth of one in so many rows. ``model.json`` says what is covered.
    """

    epochs: ClassVar[int] = 300
    """Of the paper."""
    fast_steps: ClassVar[int] = 2000
    """Steps of the budget ``"fast"``, or those of the paper if they are fewer."""
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "steps": (0, math.inf),
        "batch": (1, math.inf),
        "learning_rate": (1e-12, math.inf),
    }
    net_: nn.Module
    layout_: Layout
    trained_: dict[str, Any]
    """What is said of the training in the saved model: the steps done."""

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 500,
        learning_rate: float = 1e-3,
        epsilon: float = 0.0,
        delta: float = 0.0,
    ) -> None:
        super().__init__(seed=seed)
        self.budget = budget
        self.steps = steps
        self.batch = batch
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.delta = delta
        self._checkpoints: tuple[Path, int] | None = None
        self._report: Report | None = None

    def fit(
        self,
        jobs: JobTable,
        *,
        checkpoint: Path | str | None = None,
        every: int = 1000,
        report: Report | None = None,
    ) -> Self:
        """Learn from the jobs; return the model itself.

        With a folder `checkpoint` the training is written there `every` so many steps. A training
        that was killed goes on from there and ends with the same weights. `report` is called each
        100 steps with the step, the number of steps and the losses.
        """
        self._checkpoints = (Path(checkpoint), every) if checkpoint is not None else None
        self._report = report
        return super().fit(jobs)

    def save(self, folder: Path | str) -> None:
        """Write the model as `Surrogate.save` does; of processes that train together, the first."""
        if rank()[0] == 0:
            super().save(folder)

    @property
    def device(self) -> torch.device:
        """Where the net is."""
        return next(self.net_.parameters()).device

    def _steps(self, n: int) -> int:
        """Return how many steps to train on `n` rows."""
        if self.budget not in ("paper", "fast"):
            raise InputError(f"budget={self.budget!r}: expected 'paper' or 'fast'")
        paper = math.ceil(self.epochs * max(1.0, n / self.batch))
        return self.steps or (paper if self.budget == "paper" else min(paper, self.fast_steps))

    def _batch(self) -> int:
        """Return how many rows a step takes."""
        return self.batch

    def _learn(self, cells: Cells, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**62))
        self.layout_ = self._layout()
        steps = self._steps(len(cells))
        if not self.layout_.blocks:  # all columns are constant
            self.net_, self.trained_ = nn.Identity(), {"steps": 0}
            return
        with seeded(seed):
            rows = {name: t.to(device()) for name, t in self._rows(cells).items()}
            self.net_ = self._build().to(device())
            course = Course(
                name=self.name,
                net=self.net_,
                optimizers=self._optimizers(),
                rows=rows,
                steps=steps,
                batch=self._batch(),
                seed=seed,
                report=self._report,
            )
            self.trained_ = self._privacy(course)
            self.trained_["steps"] = self._train(course)
        self.net_.requires_grad_(requires_grad=False)
        self.net_.cpu()

    def _privacy(self, course: Course) -> dict[str, Any]:
        """Make the optimizers that see rows private, if that is wanted; return what to say."""
        if self.epsilon == 0:
            return {}
        budget = Budget(self.epsilon, self.delta, CLIP)
        budget.check()
        if rank()[1] > 1:
            raise InputError("epsilon: expected one process; private training is not shared out")
        # whoever knows the seed knows the noise, so the seed of the model will not do
        course.poisson, course.secret = True, secrets.randbits(62)
        said: dict[str, Any] = {}
        for which, times in self._looks().items():
            course.optimizers[which], said = make_private(
                course.optimizers[which],
                budget,
                rows=course.count,
                batch=course.batch,
                looks=times * course.steps,
            )
        return {"privacy": said}

    def _looks(self) -> dict[int, int]:
        """Return the optimizer that sees rows, and how often a step."""
        return {0: 1}

    def _train(self, course: Course) -> int:
        checkpoints = None
        if self._checkpoints is not None:
            folder, every = self._checkpoints
            own = fingerprint({"model": self.name, **self.parameters()}, course.rows)
            checkpoints = Checkpoints(folder, every, own)
        rates = [[group["lr"] for group in o.param_groups] for o in course.optimizers]

        def step(rows: Rows, at: int) -> Mapping[str, Tensor]:
            factor = self._rate(at, course.steps)
            for optimizer, own in zip(course.optimizers, rates, strict=True):
                for group, rate in zip(optimizer.param_groups, own, strict=True):
                    group["lr"] = rate * factor
            return self._step(course, rows, at)

        self.net_.train()
        done = None if self.epsilon else partial(self._done, course)
        return train(course, step, done=done, checkpoints=checkpoints)

    def _step(self, course: Course, rows: Rows, at: int) -> Mapping[str, Tensor]:
        """Train on some rows; return the losses."""
        return self._descend(course.optimizers[0], self._losses, rows)

    def _descend(self, optimizer: Optimizer, losses: Losses, rows: Rows) -> Mapping[str, Tensor]:
        """Take one step against the sum of the mean losses; return them.

        Where the optimizer is private, `losses` is called with one row at a time.
        """
        if is_private(optimizer):
            return descend(self.net_, cast("DPOptimizer", optimizer), losses, rows)
        found = losses(rows)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(found.values())).sum().backward()
        average_gradients(self.net_)
        optimizer.step()
        return found

    def _rate(self, at: int, steps: int) -> float:
        """Return by what the learning rate is multiplied at a step."""
        return 1.0

    def _done(self, course: Course, at: int) -> bool:
        """Return whether to stop before a step."""
        return False

    def _layout(self) -> Layout:
        """Return how the rows of `_rows` are opened."""
        return Layout.of(self.encoder_)

    def _rows(self, cells: Cells) -> Rows:
        """Return the training rows as tensors of equal length."""
        return self.layout_.tensors(self.encoder_, cells)

    def _draw(self, n: int, rng: np.random.Generator) -> Cells:
        seed = int(rng.integers(2**62))
        shape = (n, len(self.encoder_.coders))
        cells = Cells(np.zeros(shape, dtype=np.int32), rng.random(shape))
        if not self.layout_.blocks:
            return cells
        self.net_.to(device()).eval()
        with seeded(seed), torch.no_grad():
            for begin in range(0, n, DRAWN_AT_A_TIME):
                part = slice(begin, min(begin + DRAWN_AT_A_TIME, n))
                drawn = self._cells(self._generate(part.stop - begin), rng)
                cells.cell[part], cells.place[part] = drawn.cell, drawn.place
        self.net_.cpu()
        return cells

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        """Return rows that `_generate` made as cells."""
        return self.layout_.cells(self.encoder_, rows, rng)

    def _weights(self) -> State:
        arrays = {f"net.{key}": t.numpy() for key, t in self.net_.state_dict().items()}
        return {"trained": self.trained_}, arrays

    def _restore_weights(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.trained_ = meta["trained"]
        self.layout_ = self._layout()
        with seeded(0):
            self.net_ = self._build() if self.layout_.blocks else nn.Identity()
        own = {k.removeprefix("net."): v for k, v in arrays.items() if k.startswith("net.")}
        try:
            self.net_.load_state_dict({key: torch.from_numpy(v) for key, v in own.items()})
        except RuntimeError as error:
            raise FormatError(
                f"the weights do not fit the model: {error}; train it again"
            ) from error
        self.net_.requires_grad_(requires_grad=False)

    @abstractmethod
    def _build(self) -> nn.Module:
        """Return the net, with random weights, for `layout_` and the parameters.

        Numbers learnt from the rows other than by gradients are buffers of it.
        """

    @abstractmethod
    def _optimizers(self) -> list[Optimizer]:
        """Return the optimizers of `net_`'s parts."""

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        """Return the mean loss of some rows for each column, to be minimised together."""
        raise NotImplementedError

    @abstractmethod
    def _generate(self, n: int) -> Rows:
        """Return `n` rows as `_rows` has them."""
