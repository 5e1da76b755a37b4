"""What the diffusion models share: noise schedules, their two kinds of noise, the net.

A schedule says how much of a row is *kept* at each time: at time 0 all, at the last nothing. Both
kinds of noise step from any time t to any earlier time s, so that a sample can take fewer steps
than there are times. Gaussian noise: Ho et al., NeurIPS 2020, and Nichol and Dhariwal, ICML 2021,
for the cosine schedule; noise on categories: Hoogeboom et al., NeurIPS 2021.
"""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Categories", "Denoiser", "Schedule", "gaussian_step", "noised", "origin"]

FARTHEST = 5.2
"""Normal scores are within this; what a net takes for the origin of a noisy one is, too."""
_TINY = 1e-30


class Schedule(nn.Module):
    """How much is kept at each time, `kept` (times + 1,) float64, falling from 1.

    Of Gaussian noise it is the share of the variance, of categories the probability.
    """

    kept: Tensor

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept, persistent=False)

    @classmethod
    def cosine(cls, times: int) -> Self:
        """Return the schedule of a squared cosine; a step takes 0.999 of what is left at most."""
        t = torch.arange(times + 1, dtype=torch.float64) / times
        ideal = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
        steps = torch.clamp(ideal[1:] / ideal[:-1], min=0.001)
        return cls(torch.cat([torch.ones(1, dtype=torch.float64), steps.cumprod(0)]))

    @classmethod
    def linear(cls, times: int) -> Self:
        """Return the schedule whose steps take 1e-4 to 0.02, for 1000 times, in equal increments.

        For fewer times they take more, 0.999 at most.
        """
        taken = torch.linspace(1e-4, 0.02, times, dtype=torch.float64) * (1000 / times)
        steps = 1 - taken.clamp(max=0.999)
        return cls(torch.cat([torch.ones(1, dtype=torch.float64), steps.cumprod(0)]))

    @property
    def times(self) -> int:
        """The last time."""
        return len(self.kept) - 1

    def path(self, steps: int) -> list[int]:
        """Return the times of a sample from the last to 0, in so many steps or one a time."""
        steps = min(steps, self.times)
        return [round(self.times * (steps - k) / steps) for k in range(steps + 1)]

    def at(self, time: Tensor) -> Tensor:
        """Return what is kept at some times, (batch, 1) float64."""
        return self.kept[time][:, None]


def noised(x: Tensor, kept: Tensor, noise: Tensor) -> Tensor:
    """Return `x` with Gaussian noise; all (batch, width), `kept` (batch, 1) float64."""
    return kept.sqrt().float() * x + (1 - kept).sqrt().float() * noise


def origin(z: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """Return what became `z` by this noise, no farther out than normal scores are.

    Without that limit a wrong guess at late times grows by the square root of 1 / `kept`, and
    what is drawn piles up at the ends.
    """
    x = (z - (1 - kept).sqrt().float() * noise) / kept.sqrt().float()
    return x.clamp(-FARTHEST, FARTHEST)


def gaussian_step(z: Tensor, noise: Tensor, kept: Tensor, earlier: Tensor) -> Tensor:
    """Draw the state at an earlier time from what is guessed of the noise in `z`."""
    ratio = kept / earlier
    of_x = earlier.sqrt() * (1 - ratio) / (1 - kept)
    of_z = ratio.sqrt() * (1 - earlier) / (1 - kept)
    spread = ((1 - ratio) * (1 - earlier) / (1 - kept)).sqrt()
    mean = of_x.float() * origin(z, noise, kept) + of_z.float() * z
    return mean + spread.float() * torch.randn_like(z)


class Categories(nn.Module):
    """Columns of states as indicators side by side, (batch, width), and noise on them.

    With noise a state is kept, or replaced by any of its column's. Probabilities are logarithms.
    """

    uniform: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        each = [torch.full((size,), 1 / size) for size in self.sizes]
        self.register_buffer("uniform", torch.cat(each or [torch.zeros(0)]), persistent=False)

    def open(self, states: Tensor) -> Tensor:
        """Return states (batch, columns) as indicators."""
        parts = [
            states[:, k, None] == torch.arange(size, device=states.device)
            for k, size in enumerate(self.sizes)
        ]
        return torch.cat(parts, 1).float() if parts else self.uniform.expand(len(states), 0)

    def close(self, indicators: Tensor) -> Tensor:
        """Undo `open`: the largest indicator's state."""
        parts = [part.argmax(1) for part in indicators.split(self.sizes, 1)] if self.sizes else []
        return torch.stack(parts, 1) if parts else torch.zeros((len(indicators), 0)).long()

    def normal(self, logits: Tensor) -> Tensor:
        """Return logits with each column's probabilities adding up to 1."""
        if not self.sizes:
            return logits
        return torch.cat([part.log_softmax(1) for part in logits.split(self.sizes, 1)], 1)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum of each column's values, (batch, columns)."""
        if not self.sizes:
            return values
        return torch.stack([part.sum(1) for part in values.split(self.sizes, 1)], 1)

    def draw(self, logits: Tensor) -> Tensor:
        """Draw a state of each column, as indicators."""
        gumbel = -torch.empty_like(logits).exponential_().log()
        return self.open(self.close(logits + gumbel))

    def noised(self, indicators: Tensor, kept: Tensor) -> Tensor:
        """Draw the states at some time."""
        mixed = kept.float() * indicators + (1 - kept).float() * self.uniform
        return self.draw(mixed.clamp(min=_TINY).log())

    def earlier(self, z: Tensor, log_x: Tensor, kept: Tensor, earlier: Tensor) -> Tensor:
        """Return the probabilities of the states at an earlier time.

        q(s | z, x) is proportional to q(z | s) q(s | x). Here `log_x` are the probabilities of
        the origin; as they are multiplied by q(z | s), a net learns in them what the *other*
        columns say of this one, which is the same however far the step goes.
        """
        ratio = kept / earlier
        onward = ratio.float() * z + (1 - ratio).float() * self.uniform
        back = torch.logaddexp(
            log_x + earlier.float().log(),
            ((1 - earlier).float() * self.uniform).clamp(min=_TINY).log(),
        )
        return self.normal(onward.clamp(min=_TINY).log() + back)

    def divergence(
        self, x: Tensor, z: Tensor, log_x: Tensor, kept: Tensor, earlier: Tensor
    ) -> Tensor:
        """Return the divergence of a guess of the step from the true one, (batch, columns) nats."""
        true = self.earlier(z, x.clamp(min=_TINY).log(), kept, earlier)
        guess = self.earlier(z, log_x, kept, earlier)
        return self.sums(true.exp() * (true - guess))


class Denoiser(nn.Module):
    """A net of linear layers that sees a noisy row and the time."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layers: Sequence[int],
        width: int,
        activation: nn.Module,
    ) -> None:
        super().__init__()
        self.width = width
        self.row = nn.Linear(inputs, width)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        parts: list[nn.Module] = []
        last = width
        for size in layers:
            parts += [nn.Linear(last, size), activation]
            last = size
        self.body = nn.Sequential(*parts, nn.Linear(last, outputs))

    def forward(self, row: Tensor, time: Tensor) -> Tensor:
        """Return (batch, outputs) for rows (batch, inputs) and times (batch,)."""
        out: Tensor = self.body(self.row(row) + self.time(_waves(time, self.width)))
        return out


def _waves(time: Tensor, width: int) -> Tensor:
    """Return cosines and sines of the time at `width` / 2 frequencies (Vaswani et al., 2017)."""
    half = width // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, device=time.device) / half)
    angle = time.float()[:, None] * frequency[None, :]
    return functional.pad(torch.cat([angle.cos(), angle.sin()], 1), (0, width - 2 * half))
