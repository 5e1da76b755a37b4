"""Rows folded into square images, and the convolutional nets that see and make them."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FoldedCritic", "FoldedGenerator", "fold", "image_sides", "spherical"]

KERNEL, STRIDE, PADDING = 4, 2, 1
"""Of the convolutions: each halves or doubles the side of an image."""


def image_sides(width: int) -> list[int]:
    """Return the sides of the images from the folded row down to the smallest, 4 to 7.

    The first is the least number that holds `width` cells in its square and can be halved down to
    the smallest; at least one halving.
    """
    side = max(8, math.isqrt(max(width - 1, 0)) + 1)
    halvings = int(math.log2(side / 4))
    side = -(-side // 2**halvings) * 2**halvings
    return [side // 2**k for k in range(halvings + 1)]


def fold(rows: Tensor, side: int) -> Tensor:
    """Return rows (n, width) as images (n, 1, side, side), what is left over 0."""
    padded = functional.pad(rows, (0, side * side - rows.shape[1]))
    return padded.view(-1, 1, side, side)


def spherical(a: Tensor, b: Tensor, at: Tensor) -> Tensor:
    """Return points on the arcs from rows of `a` to those of `b`, (n, width); `at` (n, 1) in 0..1.

    Directions turn evenly and lengths change with them (Shoemake 1985); straight where the two
    hardly differ in direction.
    """
    cosine = functional.cosine_similarity(a, b, dim=1).clamp(-1, 1)[:, None]
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    flat = sine < 1e-4
    safe = torch.where(flat, 1.0, sine)
    left = torch.where(flat, 1 - at, torch.sin((1 - at) * angle) / safe)
    right = torch.where(flat, at, torch.sin(at * angle) / safe)
    return torch.as_tensor(left * a + right * b)


class FoldedCritic(nn.Module):
    """Rows and conditions as images, convolved down to a number each."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        sides = image_sides(width)
        self.side = sides[0]
        widths = [1, *(channels * 2**k for k in range(len(sides) - 1))]
        layers: list[nn.Module] = []
        for begin, end in pairwise(widths):
            layers += [nn.Conv2d(begin, end, KERNEL, STRIDE, PADDING), nn.GroupNorm(1, end)]
            layers.append(nn.LeakyReLU(0.2))
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Linear(widths[-1] * sides[-1] ** 2, 1)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (n,), high for real, and the features they are of, (n, features)."""
        features = self.features(fold(rows, self.side))
        return self.last(features)[:, 0], features


class FoldedGenerator(nn.Module):
    """Noise and conditions, convolved up to images that are rows."""

    def __init__(self, inputs: int, width: int, channels: int) -> None:
        super().__init__()
        sides = image_sides(width)
        self.width = width
        widths = [channels * 2**k for k in range(len(sides) - 1)][::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, widths[0], sides[-1])]
        for begin, end in pairwise([*widths, 1]):
            layers += [nn.BatchNorm2d(begin), nn.ReLU()]
            layers.append(nn.ConvTranspose2d(begin, end, KERNEL, STRIDE, PADDING))
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        """Return raw rows (n, width)."""
        out: Tensor = self.layers(noise[:, :, None, None])
        return out.flatten(1)[:, : self.width]
