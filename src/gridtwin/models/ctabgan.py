"""CTAB-GAN+: a convolutional GAN of rows with three more losses (Zhao et al. 2023)."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from gridtwin.core.errors import InputError
from gridtwin.models.encoding.name import Name
from gridtwin.models.neural import Block
from gridtwin.models.neural.gan import Conditions, RowsByState, gradient_penalty, heads
from gridtwin.models.neural.images import (
    FoldedCritic,
    FoldedGenerator,
    image_sides,
    spherical,
)
from gridtwin.models.neural.modal import ModalModel
from gridtwin.models.neural.training import Course, Rows

__all__ = ["CTABGAN"]

PENALTY = 10.0
"""Weight of the critic's gradient penalty."""
FAST_SIDE = 20
"""The largest image for which the budget ``"fast"`` has all its steps."""


class CTABGAN(ModalModel):
    """CTAB-GAN+: rows as images from noise and a condition, by convolutions, against a critic.

    Zhao et al., CTAB-GAN+: enhancing tabular data synthesis, Frontiers in Big Data 6, 2023. A
    loose value is a mode of a mixture of normal distributions and its place in it, for long tails
    of its logarithm; modes, atoms, names and no value are the states of a column. A condition asks
    for one state of one column, modes among them. A row and its condition are folded into a square
    image. A step trains the critic several times (Wasserstein, with a gradient penalty between
    real and made rows on the arcs that join them), then the generator, by the sum of

    - what the critic says,
    - the distance between means and standard deviations of the critic's features of real and made
      rows (information loss),
    - the cross entropy of the state that was asked for (generator loss),
    - what a classifier, trained beside on the real rows to tell the target column from the others,
      says of made rows (downstream loss).

    The budget ``"fast"`` has another net and another course than the paper's: 16 channels, one
    critic step, a fifth of the rows a step, five times the learning rate; and of an image that is
    larger than 20 x 20 the fewer steps, the larger it is.

    Parameters
    ----------
    target
        The column that the classifier tells; "" takes ``status``, or what determines it, else the
        names column with the fewest states. Without one there is no downstream loss.
    channels
        Of the first convolution; each further one has twice as many. 0 leaves that to the budget,
        64 for ``"paper"``.
    critic_steps
        Of each step; 0 leaves that to the budget, 5 for ``"paper"``.
    noise
        Dimensions of the noise.
    layers
        Widths of the classifier's hidden layers.

    The others are those of `NeuralModel`.
    """

    epochs = 150
    fast_steps = 3000
    ranges = ModalModel.ranges | {
        "channels": (0, math.inf),
        "critic_steps": (0, math.inf),
        "noise": (1, math.inf),
    }
    net_: "_Networks"
    _by_state: RowsByState

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 500,
        learning_rate: float = 2e-4,
        target: str = "",
        channels: int = 0,
        critic_steps: int = 0,
        noise: int = 100,
        layers: Sequence[int] = (256, 256, 256, 256),
    ) -> None:
        super().__init__(
            seed=seed, budget=budget, steps=steps, batch=batch, learning_rate=learning_rate
        )
        self.target = target
        self.channels = channels
        self.critic_steps = critic_steps
        self.noise = noise
        self.layers = tuple(layers)

    def _steps(self, n: int) -> int:
        steps = super()._steps(n)
        if self.steps or self.budget == "paper":
            return steps
        width = self.layout_.width + sum(block.width for block in self.layout_.states())
        return max(1, int(steps * min(1.0, (FAST_SIDE / image_sides(width)[0]) ** 2)))

    def _batch(self) -> int:
        return self.batch if self.budget == "paper" else max(1, self.batch // 5)

    def _rate(self, at: int, steps: int) -> float:
        return 1.0 if self.budget == "paper" else 5.0

    def _build(self) -> nn.Module:
        channels = self.channels or (64 if self.budget == "paper" else 16)
        blocks = self.layout_.states()
        conditions = Conditions(blocks, [torch.zeros(block.width) for block in blocks])
        width, target = self.layout_.width, self._target()
        if target is not None and target.width == width:  # nothing to tell it from
            target = None
        classifier = None if target is None else _Classifier(width, target, self.layers)
        return _Networks(
            conditions,
            generator=FoldedGenerator(self.noise + conditions.width, width, channels),
            critic=FoldedCritic(width + conditions.width, channels),
            classifier=classifier,
            noise=self.noise,
        )

    def _target(self) -> Block | None:
        """Return the column that the classifier tells, None where there is none."""
        names = {b.column: b for b in self.layout_.states() if not self.layout_.continua[b.index]}
        leaders = {f.name: f.leader for f in self.encoder_.followers}
        if self.target:
            wanted = leaders.get(self.target, self.target)
            if wanted not in names:
                raise InputError(
                    f"target={self.target!r}: expected a column with several values, all of them "
                    f"states ({', '.join(names) or 'there is none'}), or '' to have one chosen"
                )
            return names[wanted]
        status = names.get(leaders.get("status", "status"))
        coders = self.encoder_.coders
        texts = [block for name, block in names.items() if isinstance(coders[name], Name)]
        return status or min(texts, key=lambda block: block.width, default=None)

    def _optimizers(self) -> list[Optimizer]:
        net = self.net_
        parts = [net.critic, net.generator, *([net.classifier] if net.classifier else [])]
        rate, betas = self.learning_rate, (0.5, 0.9)
        return [
            Adam(part.parameters(), lr=rate, betas=betas, eps=1e-3, weight_decay=1e-5)
            for part in parts
        ]

    def _train(self, course: Course) -> int:
        state, conditions = course.rows["state"], self.net_.conditions
        counts = [torch.bincount(state[:, b.index], minlength=b.width) for b in conditions.blocks]
        if counts:
            conditions.frequency.copy_(torch.cat(counts) / len(state))
        self._by_state = RowsByState(conditions, state)
        steps = super()._train(course)
        del self._by_state
        return steps

    def _step(self, course: Course, rows: Rows, at: int) -> Mapping[str, Tensor]:
        net = self.net_
        losses: dict[str, Tensor] = {}
        critic, generator, *classifier = course.optimizers
        for _ in range(self.critic_steps or (5 if self.budget == "paper" else 1)):
            pair = self._asked(course, len(rows["state"]))
            with torch.no_grad():
                pair["fake"] = heads(self.layout_, net(pair["asked"]))
            losses |= self._descend(critic, self._criticism, pair)
        if classifier:
            losses |= self._descend(classifier[0], self._telling, rows)
        pair = self._asked(course, len(rows["state"]))
        losses |= self._descend(generator, self._creation, pair)
        return losses

    def _asked(self, course: Course, n: int) -> Rows:
        """Return `n` conditions, and opened real rows that meet them."""
        asked, index = self._by_state.draw(n)
        real = {name: tensor[index] for name, tensor in course.rows.items()}
        return {"asked": asked, "real": self.layout_.open(real)}

    def _criticism(self, pair: Rows) -> Mapping[str, Tensor]:
        """Return the loss of the critic on real and made rows of the same conditions."""
        net = self.net_
        real, fake = (net.with_condition(pair[k], pair["asked"]) for k in ("real", "fake"))
        scores = net.critic(torch.cat([real, fake]))[0]
        at = torch.rand(len(real), 1, device=real.device)
        penalty = gradient_penalty(lambda rows: net.critic(rows)[0], spherical(real, fake, at))
        distance = scores[: len(real)].mean() - scores[len(real) :].mean()
        return {"the critic": PENALTY * penalty - distance}

    def _telling(self, rows: Rows) -> Mapping[str, Tensor]:
        """Return the loss of the classifier on real rows."""
        classifier = cast("_Classifier", self.net_.classifier)
        return {"the classifier": classifier(self.layout_.open(rows))}

    def _creation(self, pair: Rows) -> Mapping[str, Tensor]:
        """Return the losses of the generator; real rows are those that meet its conditions."""
        net, asked = self.net_, pair["asked"]
        out = net(asked)
        fake = heads(self.layout_, out)
        scores, features = net.critic(net.with_condition(fake, asked))
        with torch.no_grad():
            of_real = net.critic(net.with_condition(pair["real"], asked))[1]
        losses = {
            "the generator": -scores.mean(),
            "the information": information(of_real, features),
            **net.conditions.losses(out, asked),
        }
        if net.classifier is not None:
            losses["the target"] = net.classifier(fake)
        return losses

    def _generate(self, n: int) -> Rows:
        out = self.net_(self.net_.conditions.draw(n))
        rows = self.layout_.close(heads(self.layout_, out))
        for block in self.layout_.scores():  # the state is settled, so the place counts in full
            rows["score"][:, block.index] = torch.tanh(out[:, block.begin])
        return rows


def information(real: Tensor, fake: Tensor) -> Tensor:
    """Return how far apart means and standard deviations of features (n, features) are."""
    means = torch.linalg.vector_norm(real.mean(0) - fake.mean(0))
    # a small number keeps the slope finite where all rows are alike
    spread = [torch.sqrt(x.var(0, correction=0) + 1e-12) for x in (real, fake)]
    return torch.as_tensor(means + torch.linalg.vector_norm(spread[0] - spread[1]))


class _Classifier(nn.Module):
    """The states of one column from the rest of a row."""

    def __init__(self, width: int, target: Block, layers: Sequence[int]) -> None:
        super().__init__()
        self.place = target.place
        parts: list[nn.Module] = []
        inputs = width - target.width
        for size in layers:
            parts += [nn.Linear(inputs, size), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
            inputs = size
        self.layers = nn.Sequential(*parts, nn.Linear(inputs, target.width))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the mean cross entropy of the column of opened rows, (n, width)."""
        rest = torch.cat([rows[:, : self.place.start], rows[:, self.place.stop :]], 1)
        state = rows[:, self.place].argmax(1)
        loss: Tensor = functional.cross_entropy(self.layers(rest), state)
        return loss


class _Networks(nn.Module):
    """What is trained, and the conditions."""

    def __init__(
        self,
        conditions: Conditions,
        *,
        generator: FoldedGenerator,
        critic: FoldedCritic,
        classifier: _Classifier | None,
        noise: int,
    ) -> None:
        super().__init__()
        self.conditions = conditions
        self.generator = generator
        self.critic = critic
        self.classifier = classifier
        self.noise = noise

    def forward(self, asked: Tensor) -> Tensor:
        """Return raw rows (n, width) for conditions (n,)."""
        noise = torch.randn(len(asked), self.noise, device=asked.device)
        return torch.as_tensor(self.generator(self.with_condition(noise, asked)))

    def with_condition(self, rows: Tensor, asked: Tensor) -> Tensor:
        """Return rows joined by the indicators of their conditions."""
        return torch.cat([rows, self.conditions.open(asked)], 1)
