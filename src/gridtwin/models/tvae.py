"""TVAE: a variational autoencoder of rows (Xu et al., NeurIPS 2019)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from gridtwin.models.neural import NeuralModel
from gridtwin.models.neural.nets import mlp
from gridtwin.models.neural.training import Rows

__all__ = ["TVAE"]

NARROWEST, WIDEST = 0.01, 1.0
"""Limits of the standard deviation of a score, as a fraction of its range."""
RECONSTRUCTION = 2.0
"""Weight of the reconstruction against the divergence from the prior."""


class TVAE(NeuralModel):
    """A variational autoencoder: rows from normal noise, trained to give each row back.

    The paper describes a number by a mixture of normal distributions, the mode and the place in
    it. Here the encoder's states take the part of the modes: loose values, each atom, no value;
    and the normal score is the place. Both are drawn from what the decoder says of them.

    Parameters
    ----------
    latent
        Dimensions of the noise.
    layers
        Widths of the encoder's hidden layers; the decoder has them in reverse.

    The others are those of `NeuralModel`.
    """

    epochs = 300
    fast_steps = 12_000
    ranges = NeuralModel.ranges | {"latent": (1, math.inf)}
    net_: "_Autoencoder"

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
        latent: int = 128,
        layers: Sequence[int] = (128, 128),
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
        self.latent = latent
        self.layers = tuple(layers)

    def _build(self) -> nn.Module:
        width = self.layout_.width
        scores = len(self.layout_.scores())
        return _Autoencoder(width, scores, self.latent, self.layers)

    def _optimizers(self) -> list[Optimizer]:
        return [Adam(self.net_.parameters(), lr=self.learning_rate, weight_decay=1e-5)]

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        net = self.net_
        mean, log_variance = net.encoder(self.layout_.open(rows)).chunk(2, 1)
        noise = torch.randn_like(mean)
        out = net.decoder(mean + noise * torch.exp(0.5 * log_variance))
        losses: dict[str, Tensor] = {}
        for k, block in enumerate(self.layout_.scores()):
            off = rows["score"][:, block.index] - torch.tanh(out[:, block.begin])
            spread = net.spread()[k]
            each = 0.5 * (off / spread) ** 2 + torch.log(spread)
            each = torch.where(self.layout_.has_score(rows, block), each, 0.0)
            losses[block.column] = RECONSTRUCTION * each.mean()
        for block in self.layout_.states():
            each = functional.cross_entropy(out[:, block.place], rows["state"][:, block.index])
            losses[block.column] = losses.get(block.column, 0.0) + RECONSTRUCTION * each
        divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1)
        return {**losses, "the prior": divergence.mean()}

    def _generate(self, n: int) -> Rows:
        net = self.net_
        out = net.decoder(torch.randn(n, self.latent, device=self.device))
        for k, block in enumerate(self.layout_.scores()):
            noise = torch.randn(n, device=out.device) * net.spread()[k]
            out[:, block.begin] = torch.tanh(out[:, block.begin]) + noise
        for block in self.layout_.states():
            gumbel = -torch.empty_like(out[:, block.place]).exponential_().log()
            out[:, block.place] += gumbel
        return self.layout_.close(out)


class _Autoencoder(nn.Module):
    def __init__(self, width: int, scores: int, latent: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.encoder = mlp([width, *layers], 2 * latent)
        self.decoder = mlp([latent, *reversed(layers)], width)
        self.sigma = nn.Parameter(torch.full((scores,), 0.1))

    def spread(self) -> Tensor:
        """Return the standard deviation of each score."""
        return self.sigma.clamp(NARROWEST, WIDEST)
