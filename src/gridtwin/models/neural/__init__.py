"""What all nets that model rows share: how they are trained, stored and put on a device.

Needs the extra ``torch``; `gridtwin.models.get` says so where it is missing.
"""

from gridtwin.models.neural.base import NeuralModel
from gridtwin.models.neural.layout import Block, Layout

__all__ = ["Block", "Layout", "NeuralModel"]
