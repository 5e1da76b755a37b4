"""Differentially private training: gradients of single rows, clipped, and noise (DP-SGD).

Abadi et al., Deep Learning with Differential Privacy, CCS 2016. What noise a budget needs, the
clipping and the noise are Opacus'; the gradients of single rows come from `torch.func`, so that
any loss will do, a gradient penalty among them.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.optim import Optimizer

from gridtwin.core.errors import InputError, MissingExtraError
from gridtwin.models.neural.training import Rows

if TYPE_CHECKING:
    from opacus.optimizers import DPOptimizer

__all__ = ["Budget", "descend", "is_private", "make_private"]

Losses = Callable[[Rows], Mapping[str, Tensor]]
GRADIENT_BYTES = 1 << 28
"""Gradients of single rows held at a time, unless those of one row are more."""


@dataclass(frozen=True)
class Budget:
    """What a training may tell of one row: (epsilon, delta), by so many looks at batches."""

    epsilon: float
    delta: float
    """0 stands for a tenth of one in so many rows."""
    clip: float
    """Longest gradient of a row; longer ones are shortened to it."""

    def check(self) -> None:
        """Raise `InputError` for numbers that no budget has."""
        if not (self.epsilon > 0 and 0 <= self.delta < 1 and self.clip > 0):
            raise InputError(
                f"epsilon={self.epsilon}, delta={self.delta}, clip={self.clip}: expected numbers "
                "above 0, delta below 1 (0 for a tenth of one in so many rows)"
            )

    def for_rows(self, rows: int) -> float:
        """Return delta for so many rows."""
        return self.delta or 0.1 / rows


def make_private(
    optimizer: Optimizer, budget: Budget, *, rows: int, batch: int, looks: int
) -> tuple["DPOptimizer", dict[str, Any]]:
    """Return an optimizer that clips and adds noise, and what is to be said of the privacy.

    `batch` rows are expected in a batch, into which each of the `rows` comes by chance of its own,
    and `looks` batches are taken.
    """
    try:
        from opacus.accountants import RDPAccountant
        from opacus.accountants.utils import get_noise_multiplier
        from opacus.optimizers import DPOptimizer
    except ModuleNotFoundError as error:
        raise MissingExtraError("training with an epsilon", "Opacus", "dp") from error
    delta, rate = budget.for_rows(rows), min(1.0, batch / rows)
    accountant = RDPAccountant()
    with warnings.catch_warnings():  # that a bound could be tighter with more orders
        warnings.simplefilter("ignore", UserWarning)
        noise = get_noise_multiplier(
            target_epsilon=budget.epsilon, target_delta=delta, sample_rate=rate, steps=looks
        )
        accountant.history = [(noise, rate, looks)]
        epsilon = float(accountant.get_epsilon(delta))
    said = {
        "epsilon": epsilon,
        "delta": delta,
        "noise": noise,
        "clip": budget.clip,
        "sampling": rate,
        "looks": looks,
        "covers": "the weights; the encoder's cells, names and shares are learnt without noise",
    }
    private = DPOptimizer(
        optimizer,
        noise_multiplier=noise,
        max_grad_norm=budget.clip,
        expected_batch_size=min(batch, rows),
    )
    return private, said


def is_private(optimizer: Optimizer) -> bool:
    """Return whether an optimizer clips and adds noise."""
    return hasattr(optimizer, "noise_multiplier")


def descend(net: nn.Module, optimizer: "DPOptimizer", losses: Losses, rows: Rows) -> Rows:
    """Take one step against the clipped gradients of all rows, with noise; return mean losses.

    Memory: `GRADIENT_BYTES` of gradients, or those of one row.
    """
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    parameters = {k: p for k, p in net.named_parameters() if id(p) in own}
    size = sum(p.numel() * p.element_size() for p in parameters.values())
    count = len(next(iter(rows.values())))
    chunk = max(1, GRADIENT_BYTES // max(size, 1))
    whole = _Loss(net, losses)
    totals: dict[str, Tensor] = {}
    starts = range(0, max(count, 1), chunk)
    optimizer.zero_grad(set_to_none=True)
    for begin in starts:
        part = {name: t[begin : begin + chunk] for name, t in rows.items()}
        gradients, found = _single(whole, parameters, part)
        for name, parameter in parameters.items():
            parameter.grad_sample = gradients[name]  # type: ignore[attr-defined]
        for name, loss in found.items():
            totals[name] = totals.get(name, torch.zeros((), device=loss.device)) + loss.sum()
        optimizer.signal_skip_step(do_skip=begin != starts[-1])
        optimizer.step()
        for parameter in parameters.values():
            parameter.grad_sample = None  # type: ignore[attr-defined]
    optimizer.zero_grad(set_to_none=True)
    return {name: total / max(count, 1) for name, total in totals.items()}


class _Loss(nn.Module):
    """The losses of one row, as a function of the weights."""

    def __init__(self, net: nn.Module, losses: Losses) -> None:
        super().__init__()
        self.net, self.losses = net, losses

    def forward(self, row: Rows) -> Mapping[str, Tensor]:
        return self.losses({name: t.unsqueeze(0) for name, t in row.items()})


def _single(loss: _Loss, parameters: Mapping[str, Tensor], rows: Rows) -> tuple[Rows, Rows]:
    """Return the gradient and the losses of each row; (rows, *shape) and (rows,)."""
    if not len(next(iter(rows.values()))):
        return {k: torch.zeros((0, *p.shape), device=p.device) for k, p in parameters.items()}, {}

    def total(weights: Rows, row: Rows) -> tuple[Tensor, Rows]:
        found = functional_call(loss, {f"net.{k}": w for k, w in weights.items()}, (row,))
        return torch.stack(list(found.values())).sum(), dict(found)

    detached = {name: p.detach() for name, p in parameters.items()}
    of_rows = vmap(grad(total, has_aux=True), in_dims=(None, 0), randomness="different")
    gradients, found = of_rows(detached, rows)
    return gradients, found
