"""Rows for nets: the scores and states of the encoder, opened into indicators a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gridtwin.models.encoding import Cells, Encoder
from gridtwin.models.encoding.views import Mixed, continua, from_mixed, mixed, state_sizes

__all__ = ["SCALE", "Block", "Layout"]

SCALE = 4.0
"""Normal scores are divided by this, so that nearly all are within -1 and 1."""


@dataclass(frozen=True)
class Block:
    """A column's part of an opened row: its score, or the indicators of its states."""

    column: str
    index: int
    """Of the column among the encoded ones."""
    kind: Literal["score", "state"]
    begin: int
    width: int

    @property
    def place(self) -> slice:
        """Where the block is in an opened row."""
        return slice(self.begin, self.begin + self.width)


@dataclass(frozen=True)
class Layout:
    """How a row is opened: per column its score, if it has loose values, and its states.

    Kept rows are small, two tensors: `score` (n, columns) float32 and `state` (n, columns) int64;
    opened ones, (batch, width), can be a hundred times as large.
    """

    blocks: tuple[Block, ...]
    sizes: tuple[int, ...]
    """States of each column."""
    continua: tuple[int, ...]
    """How many of them, the first ones, have a score."""

    @classmethod
    def of(cls, encoder: Encoder) -> "Layout":
        """Return the layout of an encoder's rows."""
        return cls.made(encoder.names, state_sizes(encoder), continua(encoder))

    @classmethod
    def made(cls, names: Sequence[str], sizes: Sequence[int], continua: Sequence[int]) -> "Layout":
        """Return the layout of columns with so many states, the first `continua` with a score."""
        blocks: list[Block] = []
        begin = 0
        for k, name in enumerate(names):
            if continua[k]:
                blocks.append(Block(name, k, "score", begin, 1))
                begin += 1
            if sizes[k] > 1:
                blocks.append(Block(name, k, "state", begin, sizes[k]))
                begin += sizes[k]
        return cls(tuple(blocks), tuple(sizes), tuple(continua))

    @property
    def width(self) -> int:
        """Length of an opened row."""
        return self.blocks[-1].begin + self.blocks[-1].width if self.blocks else 0

    def scores(self) -> list[Block]:
        """Return the blocks of scores."""
        return [block for block in self.blocks if block.kind == "score"]

    def states(self) -> list[Block]:
        """Return the blocks of states."""
        return [block for block in self.blocks if block.kind == "state"]

    def tensors(self, encoder: Encoder, cells: Cells) -> dict[str, Tensor]:
        """Return encoded rows as `score`, divided by `SCALE`, and `state`."""
        view = mixed(encoder, cells)
        return {
            "score": torch.from_numpy(view.score / SCALE),
            "state": torch.from_numpy(view.state.astype(np.int64)),
        }

    def open(self, batch: dict[str, Tensor]) -> Tensor:
        """Return rows as (batch, width)."""
        parts = []
        for block in self.blocks:
            if block.kind == "score":
                parts.append(batch["score"][:, block.index : block.index + 1])
            else:
                every = torch.arange(block.width, device=batch["state"].device)
                one_hot = batch["state"][:, block.index, None] == every
                parts.append(one_hot.to(batch["score"].dtype))
        return torch.cat(parts, 1) if parts else batch["score"][:, :0]

    def has_score(self, batch: dict[str, Tensor], block: Block) -> Tensor:
        """Return which rows have a value there that is loose, (batch,)."""
        return batch["state"][:, block.index] < self.continua[block.index]

    def close(self, opened: Tensor) -> dict[str, Tensor]:
        """Return `score` and `state` of opened rows; a column has its largest indicator's state."""
        score = opened.new_zeros((len(opened), len(self.sizes)))
        state = torch.zeros_like(score, dtype=torch.int64)
        for block in self.blocks:
            if block.kind == "score":
                score[:, block.index] = opened[:, block.begin]
            else:
                state[:, block.index] = opened[:, block.place].argmax(1)
        return {"score": score, "state": state}

    def cells(self, encoder: Encoder, rows: dict[str, Tensor], rng: np.random.Generator) -> Cells:
        """Undo `tensors`."""
        score = rows["score"].cpu().numpy().astype(np.float32) * np.float32(SCALE)
        state = rows["state"].cpu().numpy().astype(np.int32)
        return from_mixed(encoder, Mixed(score, state), rng)
