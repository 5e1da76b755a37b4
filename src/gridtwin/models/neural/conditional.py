"""The base of the adversarial nets that are asked for a state of one column."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gridtwin.models.neural.base import NeuralModel
from gridtwin.models.neural.gan import (
    Conditions,
    Critic,
    Generator,
    RowsByState,
    between,
    gradient_penalty,
    heads,
)
from gridtwin.models.neural.private import is_private
from gridtwin.models.neural.training import Course, Rows

__all__ = ["ConditionalGAN"]

PENALTY = 10.0
"""Weight of the gradient penalty."""
TAU = 0.2
"""Temperature of the states that a generator makes."""


class ConditionalGAN(NeuralModel):
    """A generator that is asked for a state of one column, and a critic of packs of rows.

    While training, a column is chosen, a state of it by the logarithm of its frequency, and a real
    row that has it (Xu et al., NeurIPS 2019); a sample asks for states as often as they are.
    Columns with loose values are not asked for. With an epsilon the critic sees each row by
    itself, with a state of its own as what was asked for, and is private; the generator learns
    from the critic alone.

    Parameters
    ----------
    noise
        Dimensions of the noise.
    layers
        Widths of the generator's residual blocks, and of the critic's hidden layers.
    pack
        Rows that the critic sees together.

    The others are those of `NeuralModel`.
    """

    epochs = 300
    fast_steps = 4000
    ranges = NeuralModel.ranges | {
        "noise": (1, math.inf),
        "pack": (1, math.inf),
    }
    reach: ClassVar[float] = 1.0
    """Largest score."""
    net_: "_Nets"
    _by_state: RowsByState

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 500,
        learning_rate: float = 2e-4,
        epsilon: float = 0.0,
        delta: float = 0.0,
        noise: int = 128,
        layers: Sequence[int] = (256, 256),
        pack: int = 10,
    ) -> None:
        super().__init__(
            seed=seed,
            budget=budget,
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            epsilon=epsilon,
            delta=delta,
        )
        self.noise = noise
        self.layers = tuple(layers)
        self.pack = pack

    @abstractmethod
    def _open(self, rows: Rows) -> Tensor:
        """Return rows as the critic sees them, (n, width of `layout_`)."""

    def _build(self) -> nn.Module:
        layout, coders = self.layout_, list(self.encoder_.coders.values())
        blocks = [block for block in layout.states() if not layout.continua[block.index]]
        shares = [torch.from_numpy(coders[block.index].mass) for block in blocks]
        pack = 1 if self.epsilon else self.pack
        return _Nets(layout.width, Conditions(blocks, shares), self.noise, self.layers, pack)

    def _optimizers(self) -> list[Optimizer]:
        critic, generator = self.net_.critic.parameters(), self.net_.generator.parameters()
        rate, betas = self.learning_rate, (0.5, 0.9)
        return [
            Adam(critic, lr=rate, betas=betas, fused=True),
            Adam(generator, lr=rate, betas=betas, weight_decay=1e-6, fused=True),
        ]

    def _train(self, course: Course) -> int:
        self._by_state = RowsByState(self.net_.conditions, course.rows["state"])
        steps = super()._train(course)
        del self._by_state
        return steps

    def _step(self, course: Course, rows: Rows, at: int) -> Mapping[str, Tensor]:
        net = self.net_
        critic, generator = course.optimizers
        if is_private(critic):  # what is made must not depend on the rows
            count = len(rows["state"])
            asked = net.conditions.of(rows["state"])
            of_fake, then = net.conditions.draw(self.batch + 1), net.conditions.draw(self.batch + 1)
        else:
            count = max(len(rows["state"]) // self.pack * self.pack, self.pack, 2)
            asked, index = self._by_state.draw(count)
            rows = {name: tensor[index] for name, tensor in course.rows.items()}
            of_fake, (then, _) = asked, self._by_state.draw(count)
        with torch.no_grad():
            fake = net.seen(self._made(net(of_fake)), of_fake)
        fake = fake[torch.arange(count, device=fake.device) % len(fake)]
        pairs = {"real": net.seen(self._open(rows), asked), "fake": fake}
        return {
            **self._descend(critic, self._criticism, pairs),
            **self._descend(generator, self._creation, {"asked": then}),
        }

    def _made(self, out: Tensor) -> Tensor:
        return heads(self.layout_, out, TAU, self.reach)

    def _criticism(self, pairs: Rows) -> Mapping[str, Tensor]:
        critic, real, fake = self.net_.critic, pairs["real"], pairs["fake"]
        penalty = gradient_penalty(critic, between(real, fake, critic.pack), critic.pack)
        return {
            "the critic": critic(fake).mean() - critic(real).mean(),
            "the gradient": PENALTY * penalty,
        }

    def _creation(self, rows: Rows) -> Mapping[str, Tensor]:
        net, asked = self.net_, rows["asked"]
        out = net(asked)
        scores = net.critic(net.seen(self._made(out), asked))
        return {"the generator": -scores.mean(), **net.conditions.losses(out, asked)}

    def _generate(self, n: int) -> Rows:
        out = self.net_(self.net_.conditions.draw(n))
        return self.layout_.close(self._made(out))


class _Nets(nn.Module):
    """The generator, the critic, and the conditions that both are told."""

    def __init__(
        self, width: int, conditions: Conditions, noise: int, layers: Sequence[int], pack: int
    ) -> None:
        super().__init__()
        self.noise = noise
        self.conditions = conditions
        self.generator = Generator(noise + conditions.width, layers, width)
        self.critic = Critic(width + conditions.width, layers, pack=pack)

    def forward(self, asked: Tensor) -> Tensor:
        """Return the generator's output for some conditions."""
        noise = torch.randn(len(asked), self.noise, device=asked.device)
        return torch.as_tensor(self.generator(noise, self.conditions.open(asked)))

    def seen(self, opened: Tensor, asked: Tensor) -> Tensor:
        """Return rows and conditions as the critic gets them."""
        return torch.cat([opened, self.conditions.open(asked)], 1)
