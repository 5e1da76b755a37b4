"""CTGAN: a conditional adversarial net of rows (Xu et al., NeurIPS 2019)."""

from torch import Tensor

from gridtwin.models.neural.conditional import ConditionalGAN
from gridtwin.models.neural.modal import ModalModel
from gridtwin.models.neural.training import Rows

__all__ = ["CTGAN"]


class CTGAN(ModalModel, ConditionalGAN):
    """An adversarial net of rows whose numbers are modes of a normal mixture and places in them.

    Values that repeat are states beside the modes, which the paper does not have. The parameters
    are those of `ConditionalGAN`.
    """

    def _open(self, rows: Rows) -> Tensor:
        return self.layout_.open(rows)
