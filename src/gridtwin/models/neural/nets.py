"""Parts of which the nets are built."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

__all__ = ["mlp"]


def mlp(sizes: Sequence[int], last: int) -> nn.Sequential:
    """Return linear layers of these sizes with ReLU after each, and a linear one to `last`."""
    layers: list[nn.Module] = []
    for begin, end in pairwise(sizes):
        layers += [nn.Linear(begin, end), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], last))
