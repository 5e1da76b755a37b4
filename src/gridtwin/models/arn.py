"""ARN: an any-order autoregressive net of tokens (after TabularARGN; Tiwald et al., 2025)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from gridtwin.models.encoding import Cells
from gridtwin.models.encoding.views import from_tokens, token_masks, token_sizes, tokens
from gridtwin.models.neural import NeuralModel
from gridtwin.models.neural.devices import device
from gridtwin.models.neural.training import Course, Rows

__all__ = ["ARN"]

WAVES = 8
"""The fastest wave of the first weights goes so often up and down along a token's values."""
HELD, HELD_MOST = 0.1, 20_000
"""Share of the rows that is held out to know when to stop, and how many at most."""
PATIENCE, SLOWER = 4, 2
"""After so many epochs without a better held-out loss training stops, or goes half as fast."""
BLOCK = 4000
"""Held-out rows judged at a time."""


class ARN(NeuralModel):
    """Tokens one after the other, in any order of the columns, each given those before it.

    A column is a token for its cell and one for the piece of it. A token has an embedding of
    3 x size^(1/4) numbers and a head of one hidden layer, which sees the embeddings of the tokens
    before it, zeros for the others, and which those are. Cells are in order of value, so neighbours
    begin with nearly the same embeddings and outputs: with few rows that is most of what is won
    over a plain start. Half of the rows of a step are in the
    encoder's order, in which samples are drawn, each of the others in a random one: so the net
    also answers what any columns are given any others. The loss is the sum of the cross entropies.
    Once an epoch the loss is taken on rows held out, a tenth; training stops when it has not fallen
    for four epochs, and the weights at its lowest are kept.

    Parameters
    ----------
    width
        Of the hidden layer of each head.
    dropout
        Share of the hidden values left out in training.
    natural
        Share of the rows of a step in the encoder's order.

    The others are those of `NeuralModel`.
    """

    epochs = 100
    fast_steps = 4000
    ranges = NeuralModel.ranges | {
        "width": (1, math.inf),
        "dropout": (0.0, 1.0),
        "natural": (0.0, 1.0),
    }
    net_: "_Net"

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: str = "paper",
        steps: int = 0,
        batch: int = 128,
        learning_rate: float = 5e-3,
        epsilon: float = 0.0,
        delta: float = 0.0,
        width: int = 256,
        dropout: float = 0.5,
        natural: float = 0.5,
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
        self.width = width
        self.dropout = dropout
        self.natural = natural
        self._held: Rows = {}
        self._factor = 1.0

    def _build(self) -> nn.Module:
        masks = token_masks(self.encoder_)
        return _Net(token_sizes(self.encoder_), masks, self.width, self.dropout)

    def _optimizers(self) -> list[Optimizer]:
        return [AdamW(self.net_.parameters(), lr=self.learning_rate)]

    def _rows(self, cells: Cells) -> Rows:
        """Return the training rows; those that are held out are kept aside."""
        view = torch.from_numpy(tokens(self.encoder_, cells).astype(np.int64))
        count = 0 if self.epsilon else min(int(HELD * len(view)), HELD_MOST)
        order = torch.randperm(len(view))
        held = {"token": view[order[:count]], "rank": self._ranks(count)}
        self._held = {name: t.to(device()) for name, t in held.items()} if count else {}
        return {"token": view[order[count:]]}

    def _train(self, course: Course) -> int:
        steps = super()._train(course)
        if self._held:
            self._judge(course, steps)
            course.net.load_state_dict(course.memory["best"])
            self._held = {}
        return steps

    def _losses(self, rows: Rows) -> Mapping[str, Tensor]:
        token = rows["token"]
        rank = self._ranks(len(token)).to(token.device)
        losses = self.net_.losses(token, self.net_.seen(rank))
        out: dict[str, Tensor] = {}
        for column, loss in zip(self.net_.columns.tolist(), losses, strict=True):
            name = self.encoder_.names[column]
            out[name] = out.get(name, 0.0) + loss
        return out

    def _ranks(self, n: int) -> Tensor:
        """Return orders of the columns for `n` rows: the rank of each column, (n, columns)."""
        rank = torch.rand(n, len(self.encoder_.names))
        natural = torch.rand(n, 1) < self.natural
        return torch.where(natural, torch.arange(rank.shape[1]), rank)

    def _rate(self, at: int, steps: int) -> float:
        return self._factor

    def _done(self, course: Course, at: int) -> bool:
        epoch = max(1, course.count // min(course.batch, course.count))
        if self._held and at % epoch == 0 and at:
            self._judge(course, at)
        bad = course.memory.get("bad", 0)
        self._factor = 0.5 ** course.memory.get("halved", 0)
        return bool(bad >= PATIENCE)

    def _judge(self, course: Course, at: int) -> None:
        """Note the held-out loss, and the weights where it is the lowest so far."""
        memory = course.memory
        if memory.get("judged") == at:  # taken up again here
            return
        loss = self._held_loss()
        if loss < memory.get("lowest", math.inf) or not memory:
            best = {key: value.detach().clone() for key, value in self.net_.state_dict().items()}
            memory.update(lowest=loss, bad=0, best=best)
        else:
            memory["bad"] += 1
            memory["halved"] = memory.get("halved", 0) + (memory["bad"] % SLOWER == 0)
        memory["judged"] = at

    def _held_loss(self) -> float:
        net, total = self.net_, 0.0
        net.eval()
        with torch.no_grad():
            pairs = zip(*(self._held[key].split(BLOCK) for key in ("token", "rank")), strict=True)
            for token, rank in pairs:
                losses = net.losses(token, net.seen(rank))
                total += float(torch.stack(losses).sum()) * len(token)
        net.train()
        return total

    def _generate(self, n: int) -> Rows:
        net = self.net_
        token = torch.zeros(n, len(net.sizes), dtype=torch.int64, device=self.device)
        return {"token": net.draw(token, torch.zeros_like(token[0], dtype=torch.bool))}

    def _cells(self, rows: Rows, rng: np.random.Generator) -> Cells:
        return from_tokens(self.encoder_, rows["token"].cpu().numpy().astype(np.int32), rng)


class _Net(nn.Module):
    """Embeddings and heads of T tokens; the heads' hidden layers are one tensor."""

    columns: Tensor
    owner: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        masks: Sequence[NDArray[np.bool_] | None],
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        lengths = [math.ceil(3 * size**0.25) for size in sizes]
        self.tables = nn.ModuleList(
            nn.Embedding(size, length) for size, length in zip(sizes, lengths, strict=True)
        )
        inputs = sum(lengths) + len(sizes)
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(len(sizes), inputs, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(sizes), 1, width))
        self.outputs = nn.ModuleList(nn.Linear(width, size) for size in sizes)
        for table, output, size, length in zip(
            self.tables, self.outputs, sizes, lengths, strict=True
        ):
            table.weight.data = _waves(size, length)
            output.weight.data = _waves(size, width) / math.sqrt(width)
        self.dropout = nn.Dropout(dropout)
        self.split = [None if mask is None else torch.from_numpy(mask) for mask in masks]
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(lengths))
        columns = torch.tensor([mask is None for mask in masks]).cumsum(0) - 1
        self.register_buffer("columns", columns, persistent=False)
        self.register_buffer("owner", owner, persistent=False)

    def seen(self, rank: Tensor) -> Tensor:
        """Return which tokens each token sees, (n, T, T), where columns have ranks (n, columns).

        A piece, which comes after its cell, sees that too.
        """
        of_token = rank[:, self.columns]
        before = of_token[:, None, :] < of_token[:, :, None]
        same = self.columns[None, :] == self.columns[:, None]
        return before | same.tril(-1)

    def embed(self, token: Tensor) -> Tensor:
        """Return the embeddings of all tokens of each row, (n, sum of their lengths)."""
        return torch.cat([table(token[:, t]) for t, table in enumerate(self.tables)], 1)

    def hidden(self, embedded: Tensor, seen: Tensor, which: slice) -> Tensor:
        """Return the hidden layers (K, n, H) of K tokens that see what `seen` (n, K, T) says."""
        shown = seen.transpose(0, 1).to(embedded.dtype)
        x = torch.cat([embedded * shown[:, :, self.owner], shown], 2)
        inner = torch.baddbmm(self.bias[which], x, self.weight[which])
        out: Tensor = self.dropout(functional.relu(inner))
        return out

    def losses(self, token: Tensor, seen: Tensor) -> list[Tensor]:
        """Return the mean cross entropy of each token."""
        hidden = self.hidden(self.embed(token), seen, slice(None))
        out = []
        for t, output in enumerate(self.outputs):
            each = functional.cross_entropy(output(hidden[t]), token[:, t], reduction="none")
            out.append(torch.where(self.free(token, t), each, 0.0).mean())
        return out

    def free(self, token: Tensor, t: int) -> Tensor:
        """Return in which rows a token may differ from 0: a piece where its cell has several."""
        split = self.split[t]
        if split is None:
            return torch.ones(len(token), dtype=torch.bool, device=token.device)
        return split.to(token.device)[token[:, t - 1]]

    def draw(self, token: Tensor, known: Tensor) -> Tensor:
        """Return rows (n, T) in which all tokens but the `known` (T,) ones are new."""
        token, known = token.clone(), known.clone()
        embedded = self.embed(token)
        ends = np.cumsum([0, *(table.embedding_dim for table in self.tables)]).tolist()
        for t, table in enumerate(self.tables):
            if known[t]:
                continue
            p = functional.softmax(self.logits(embedded, known, t), 1)
            drawn = torch.multinomial(p, 1)[:, 0]
            token[:, t] = torch.where(self.free(token, t), drawn, 0)
            embedded[:, ends[t] : ends[t + 1]] = table(token[:, t])
            known[t] = True
        return token

    def logits(self, embedded: Tensor, known: Tensor, t: int) -> Tensor:
        """Return the log odds of a token's values where the rows' `known` (T,) tokens are seen."""
        seen = known[None, None].expand(len(embedded), 1, -1)
        out: Tensor = self.outputs[t](self.hidden(embedded, seen, slice(t, t + 1))[0])
        return out


def _waves(size: int, length: int) -> Tensor:
    """Return `length` random slow waves along `size` tokens: neighbours begin alike."""
    at = torch.arange(size)[:, None] / size
    phase, pace = torch.rand(2, 1, length)
    return math.sqrt(2) * torch.sin(2 * math.pi * (phase + WAVES * pace * at))
