"""What all nets that model rows share: how they are trained, stored and put on a device."""

from gridtwin.core.errors import MissingExtraError

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError("this model", "PyTorch", "torch") from error

from gridtwin.models.neural.base import NeuralModel
from gridtwin.models.neural.layout import Block, Layout

__all__ = ["Block", "Layout", "NeuralModel"]
