"""Learn from recorded decisions: behaviour cloning, then advantage-weighted regression.

Decisions come from heuristics that play sequences (`record`) or from when a trace's jobs really
started (`recorded`). Cloning raises the probability of what was chosen; fine-tuning weighs each
decision by exp(advantage / `temperature`), where the advantage is what the sequence reached beyond
what a net expects of its rows (Peng et al., Advantage-Weighted Regression, 2019). No simulator is
needed for either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError, MissingExtraError
from gridtwin.policy.batch.call import address_of, score_all
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.queueing import find
from gridtwin.policy.rl.batched import Batched
from gridtwin.policy.rl.checkpoint import keep, kept
from gridtwin.policy.rl.kernel import FEATURES
from gridtwin.policy.rl.nets import Kernel, Kind, SetTransformer, build, log_softmax, packed
from gridtwin.policy.rl.ppo import Chooser, Decisions, highest, one_thread, play, take
from gridtwin.sim.policies import Backfill

try:
    import torch
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.clone", "torch", "rl") from error

__all__ = ["Plan", "clone", "joined", "record", "recorded"]

_HOUR, _MONTH, _WINDOW = 3600.0, float(np.log1p(30 * 86400.0)), 128


@dataclass(frozen=True)
class Plan:
    """How to learn from decisions."""

    net: Kind = "kernel"
    passes: int = 8
    """Over all decisions, to clone, …"""
    tuning: int = 0
    """… and then by advantage."""
    temperature: float = 0.3
    batch: int = 256
    rate: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.passes < 0 or self.tuning < 0 or self.batch < 1:
            raise InputError("passes are 0 or more, a batch is 1 decision or more")
        if not (self.temperature > 0 and self.rate > 0):
            raise InputError("temperature and rate must be above 0")


def by_score(name: str) -> Chooser:
    """Return who chooses as a queueing policy with a score does; of equal ones the first."""
    policy = find(name)
    if policy.score is None:
        raise InputError(f"{name} has no score of a job; record one that has")
    address = address_of(policy.score)

    def choose(
        rows: NDArray[np.float32], counts: NDArray[np.int64], batched: Batched
    ) -> NDArray[np.int64]:
        look, stream, env = batched.look, batched.stream, batched.machines.state.env
        shown = np.arange(batched.window) < np.where(look.over == 0, look.rows, 0)[:, None]
        job = (look.shown + env["first"][:, None])[shown]
        now = np.broadcast_to(env["now"][:, None], shown.shape)[shown]
        submit = stream.submit[job]
        columns = (stream.request[job], stream.width[job].astype(np.float64))
        value = np.empty(len(job))
        wait = np.maximum(now - submit, 0.0)
        score_all(address, *columns, submit - batched.machines.rule.origin, wait, value)
        return highest(-value, counts)

    return choose


def record(
    stream: Stream,
    policies: Sequence[str],
    first: NDArray[np.int64],
    *,
    length: int,
    backfill: Backfill = "none",
) -> Decisions:
    """Return the decisions of heuristics on the same sequences, one after another.

    `Decisions.score` is minus the log of the mean bounded slowdown relative to the mean of all
    policies on that sequence: higher is better.
    """
    batched = Batched(stream, len(first), length, window=_WINDOW, backfill=backfill)
    played = [play(batched, first, by_score(name)) for name in policies]
    logs = np.log(np.array([one.score for one in played]))
    gains = logs.mean(0) - logs
    return joined([one._replace(score=gain) for one, gain in zip(played, gains, strict=True)])


def joined(parts: Sequence[Decisions]) -> Decisions:
    """Return decisions one after another, sequences numbered on."""
    if not parts:
        raise InputError("no decisions to learn from; record some")
    before = np.cumsum([0] + [len(part.score) for part in parts])[:-1]
    return Decisions(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.chosen for part in parts]),
        np.concatenate([part.sequence + n for part, n in zip(parts, before, strict=True)]),
        np.concatenate([part.score for part in parts]),
    )


def recorded(stream: Stream, start: NDArray[np.float64], *, length: int = 256) -> Decisions:
    """Return the decisions that the real starts of a stream's jobs imply, as one sequence each.

    At each start the jobs that had been submitted and had not started were the choice, of which
    the 128 longest waiting are shown, and the one that started. Sequences are `length` decisions;
    their scores as those of `record`, beside all of them.
    """
    submit = stream.submit
    wrong = ~np.isfinite(start) | (start < submit)
    if start.shape != submit.shape or wrong.any():
        raise InputError(
            f"{int(wrong.sum()) if start.shape == submit.shape else 'other'} starts are no number "
            "or before their job's submission; leave such jobs out"
        )
    order = np.lexsort((np.arange(len(start)), start))
    ends = np.sort(start + stream.run)
    freed = np.concatenate([[0], np.cumsum(stream.need[np.argsort(start + stream.run)])])
    taken = np.concatenate([[0], np.cumsum(stream.need[order])])
    rows, counts, chosen = [], [], []
    waiting = np.zeros(0, np.int64)
    came = 0
    for p, j in enumerate(order.tolist()):
        now = start[j]
        until = int(np.searchsorted(submit, now, "right"))
        waiting = np.concatenate([waiting, np.arange(came, until)])
        came = max(came, until)
        shown = waiting[:_WINDOW]
        place = int(np.searchsorted(shown, j))
        if place == len(shown):
            shown = np.append(shown[: _WINDOW - 1], j)
            place = len(shown) - 1
        free = stream.cores - taken[p] + freed[int(np.searchsorted(ends, now, "right"))]
        rows.append(_rows(stream, shown, now, max(int(free), 0), len(waiting)))
        counts.append(len(shown))
        chosen.append(place)
        waiting = waiting[waiting != j]
    slow = np.maximum(1, (start - submit + stream.run) / np.maximum(stream.run, 10))[order]
    sequence = np.arange(len(order)) // length
    logs = np.log(np.bincount(sequence, slow) / np.bincount(sequence))
    return Decisions(
        np.concatenate(rows), np.array(counts), np.array(chosen), sequence, logs.mean() - logs
    )


def _rows(
    stream: Stream, shown: NDArray[np.int64], now: float, free: int, queued: int
) -> NDArray[np.float32]:
    """Return the features of `gridtwin.policy.rl.batched`."""
    wait, request = now - stream.submit[shown], np.maximum(stream.request[shown], 0.0)
    out = np.ones((len(shown), FEATURES), np.float32)
    out[:, 0] = wait / (wait + _HOUR)
    out[:, 1] = np.minimum(np.log1p(request) / _MONTH, 1.0)
    out[:, 2] = stream.need[shown] / stream.cores
    out[:, 3] = wait / (wait + np.maximum(request, 1.0))
    out[:, 4] = free / stream.cores
    out[:, 5] = stream.need[shown] <= free
    out[:, 6] = queued / (queued + _WINDOW)
    return out


def clone(
    of: Decisions,
    plan: Plan | None = None,
    *,
    folder: Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[Kernel | SetTransformer, list[float]]:
    """Return a net that chooses as recorded, and the loss of each pass.

    With a `folder`, the net is kept there after each pass, and goes on from there. Passes are a
    function of the seed and their number; the optimiser begins anew with each.
    """
    plan = Plan() if plan is None else plan
    several = np.flatnonzero(of.counts > 1)
    if not len(several):
        raise InputError("no decision was between two jobs or more; nothing can be learnt")
    net, losses = build(plan.net, plan.seed), list[float]()
    path = None if folder is None else Path(folder) / "state.safetensors"
    if path is not None and path.exists():
        arrays, document = kept(path)
        if document.get("plan") != repr(plan) or document.get("decisions") != len(of.counts):
            raise FormatError(f"{path}: of another plan or other decisions; choose another folder")
        net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        losses = document["losses"]
    with one_thread():
        while len(losses) < plan.passes + plan.tuning:
            number = len(losses)
            weights = _weights(net, of, plan) if number >= plan.passes else None
            losses.append(_pass(net, of, several, weights, plan, number))
            progress(f"pass {number + 1}: loss {losses[-1]:.4f}")
            if path is not None:
                arrays = {name: p.detach().numpy() for name, p in net.named_parameters()}
                document = {"plan": repr(plan), "decisions": len(of.counts), "losses": losses}
                keep(path, arrays, document)
    return net, losses


def _pass(
    net: Kernel | SetTransformer,
    of: Decisions,
    several: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    plan: Plan,
    number: int,
) -> float:
    """Go once over the decisions; return the mean loss of what was chosen."""
    rng = np.random.default_rng([plan.seed, number])
    optimiser = torch.optim.Adam(net.parameters(), plan.rate / (1 + 0.1 * number), foreach=False)
    order, total = rng.permutation(several), 0.0
    gains = torch.from_numpy(of.score[of.sequence].astype(np.float32))
    for at in range(0, len(order), plan.batch):
        which = order[at : at + plan.batch]
        rows, counts = take(of, which)
        inputs = packed(rows, counts)
        place = torch.from_numpy(np.cumsum(counts) - counts + of.chosen[which])
        lost = -log_softmax(net(inputs), inputs)[place]
        weight = torch.ones(len(which)) if weights is None else torch.from_numpy(weights[which])
        error = ((net.critic(inputs) - gains[torch.from_numpy(which)]) ** 2).mean()
        optimiser.zero_grad()
        ((weight * lost).mean() + 0.5 * error).backward()
        optimiser.step()
        total += float(lost.detach().sum())
    return total / len(order)


def _weights(net: Kernel | SetTransformer, of: Decisions, plan: Plan) -> NDArray[np.float32]:
    """Return exp(advantage / temperature) of each decision, at most 20, of mean 1."""
    value = []
    with torch.no_grad():
        for at in range(0, len(of.counts), 4096):
            which = np.arange(at, min(at + 4096, len(of.counts)))
            value.append(net.critic(packed(*take(of, which))).numpy())
    advantage = of.score[of.sequence] - np.concatenate(value)
    weights = np.minimum(np.exp(np.minimum(advantage / plan.temperature, 10.0)), 20.0)
    return np.asarray(weights / weights.mean(), np.float32)
