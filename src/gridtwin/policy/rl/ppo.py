"""Proximal policy optimisation (Schulman et al., 2017) on the batch machine, in one file.

A round plays whole sequences side by side, sampling who is next, and then goes over their decisions
a few times. Only rows that hold a job go through the net, and only decisions between two jobs or
more are learnt from. The reward comes at the end of a sequence: minus the log of its objective
relative to shortest-first. Sequences on which that hardly queues tell nothing and are left out.

Each round is a function of the weights, the seed and its number: a training that was killed goes on
as if it had not been. One thread of torch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError, MissingExtraError, TrainingError
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.compare import figures
from gridtwin.policy.rl.batched import Batched, Objective
from gridtwin.policy.rl.checkpoint import keep, kept
from gridtwin.policy.rl.nets import Kernel, Kind, SetTransformer, build, log_softmax, packed
from gridtwin.policy.rl.windows import CALM
from gridtwin.sim.policies import Backfill

try:
    import torch
except ImportError as error:
    raise MissingExtraError("gridtwin.policy.rl.ppo", "torch", "rl") from error

__all__ = [
    "Decisions",
    "Learner",
    "Plan",
    "evaluate",
    "greedy",
    "one_thread",
    "play",
    "sampling",
    "take",
    "train",
]

Net = Kernel | SetTransformer
_MORE_IS_BETTER = ("utilization", "fairness")
_DRAWN = 512


@dataclass(frozen=True)
class Plan:
    """How to learn."""

    net: Kind = "kernel"
    backfill: Backfill = "none"
    objective: Objective = "bsld"
    steps: int = 500_000
    """Decisions in all; the round in which they are reached is played to its end."""
    sequences: int = 64
    """Side by side in a round."""
    length: int = 256
    window: int = 128
    passes: int = 3
    batch: int = 1024
    """Decisions of a gradient step."""
    rate: float = 1e-3
    clip: float = 0.2
    trace: float = 0.97
    """Decay of `Schulman et al.`'s advantage estimator; nothing is discounted."""
    entropy: float = 0.003
    stop: float = 0.03
    """Estimated KL divergence at which the passes of a round end."""
    calm: float = CALM
    """Sequences whose mean bounded slowdown under shortest-first is not above this are left out."""
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.steps, self.sequences, self.length, self.window, self.passes, self.batch)
        if min(counts) < 1 or not self.rate > 0:
            raise InputError("steps, sequences, lengths, passes and the rate must be above 0")


class Decisions(NamedTuple):
    """n decisions of S sequences, N rows in all, in order of time."""

    rows: NDArray[np.float32]
    """(N, 8)."""
    counts: NDArray[np.int64]
    """(n,), rows of each."""
    chosen: NDArray[np.int64]
    """(n,), the place of the chosen row among those of its decision."""
    sequence: NDArray[np.int64]
    """(n,)."""
    score: NDArray[np.float64]
    """(S,), the objective of each sequence."""


Chooser = Callable[[NDArray[np.float32], NDArray[np.int64], Batched], NDArray[np.int64]]
"""``choose(rows, counts, batched)``: a place for each sequence that goes on."""


def play(batched: Batched, first: NDArray[np.int64], choose: Chooser) -> Decisions:
    """Play sequences to their ends and return all that was shown and chosen."""
    batched.reset(first)
    look, parts = batched.look, list[tuple[NDArray[np.float32], ...]]()
    counts, chosen, sequence = [], [], []
    action = np.zeros(len(first), np.int64)
    while not look.over.all():
        alive = np.flatnonzero(look.over == 0)
        number = look.rows[alive]
        shown = np.arange(batched.window) < np.where(look.over == 0, look.rows, 0)[:, None]
        rows = look.obs[shown]
        place = choose(rows, number, batched)
        parts.append((rows,))
        counts.append(number)
        chosen.append(place)
        sequence.append(alive)
        action[alive] = place
        batched.step(action)
    return Decisions(
        np.concatenate([part[0] for part in parts]),
        np.concatenate(counts),
        np.concatenate(chosen),
        np.concatenate(sequence),
        look.score.copy(),
    )


def take(of: Decisions, which: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return rows and counts of some decisions."""
    ends = np.cumsum(of.counts)
    counts = of.counts[which]
    begins = (ends - of.counts)[which] - (np.cumsum(counts) - counts)
    return of.rows[np.repeat(begins, counts) + np.arange(counts.sum())], counts


def highest(values: NDArray[np.floating[Any]], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each decision's highest value; of equal ones the first."""
    begins = np.cumsum(counts) - counts
    most = np.repeat(np.maximum.reduceat(values, begins), counts)
    at = np.flatnonzero(values == most)
    owner = np.searchsorted(begins, at, "right") - 1
    return np.asarray(at[np.searchsorted(owner, np.arange(len(counts)))] - begins)


def _logits(net: Net, rows: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.asarray(net(packed(rows, counts)).numpy())


def greedy(net: Net) -> Chooser:
    """Return who takes the row of the highest logit."""
    return lambda rows, counts, batched: highest(_logits(net, rows, counts), counts)


def sampling(net: Net, rng: np.random.Generator) -> Chooser:
    """Return who draws a row by its probability (the highest logit with Gumbel noise)."""

    def choose(
        rows: NDArray[np.float32], counts: NDArray[np.int64], batched: Batched
    ) -> NDArray[np.int64]:
        noise = rng.gumbel(size=len(rows)).astype(np.float32)
        return highest(_logits(net, rows, counts) + noise, counts)

    return choose


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: its nets are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def evaluate(
    net: Net,
    stream: Stream,
    first: NDArray[np.int64],
    *,
    length: int,
    backfill: Backfill = "none",
    objective: Objective = "bsld",
    window: int = 128,
) -> NDArray[np.float64]:
    """Return the objective of sequences, (S,), choosing the best row; who is chosen blocks."""
    with one_thread():
        batched = Batched(
            stream, len(first), length, window=window, objective=objective, backfill=backfill
        )
        return play(batched, first, greedy(net)).score


def advantages(
    value: NDArray[np.float64],
    sequence: NDArray[np.int64],
    reward: NDArray[np.float64],
    decay: float,
) -> NDArray[np.float64]:
    """Return the advantage of each decision, (n,); a sequence's reward comes at its end."""
    ahead, after = reward.copy(), np.zeros(len(reward))
    out = np.empty(len(value))
    for k in range(len(value) - 1, -1, -1):
        s = sequence[k]
        after[s] = ahead[s] - value[k] + decay * after[s]
        ahead[s] = value[k]
        out[k] = after[s]
    return out


class Learner:
    """A net, its optimiser and what it learns on."""

    def __init__(self, stream: Stream, plan: Plan) -> None:
        self.plan, self.steps, self.round = plan, 0, 0
        self.told: list[tuple[int, float]] = []
        self.stream = stream
        length = min(plan.length, len(stream))
        if length < 2:
            raise InputError(f"{len(stream)} jobs are too few to learn from; give 2 or more")
        self.batched = Batched(
            stream,
            plan.sequences,
            length,
            window=plan.window,
            objective=plan.objective,
            backfill=plan.backfill,
        )
        self.first, self.known = _grounds(stream, plan, length)
        self.net = build(plan.net, plan.seed)
        self.optimiser = torch.optim.Adam(self.net.parameters(), plan.rate, foreach=False)

    def learn(self) -> None:
        """Play a round and learn from it."""
        plan = self.plan
        rng = np.random.default_rng([plan.seed, self.round])
        drawn = rng.integers(0, len(self.first), plan.sequences)
        played = play(self.batched, self.first[drawn], sampling(self.net, rng))
        sign = 1.0 if plan.objective in _MORE_IS_BETTER else -1.0
        reward = sign * np.log((played.score + 1e-3) / (self.known[drawn] + 1e-3))
        self._improve(played, reward, rng)
        self.steps += len(played.counts)
        self.round += 1
        self.told.append((self.steps, float(reward.mean())))
        if not np.isfinite(reward).all() or not all(
            bool(torch.isfinite(p).all()) for p in self.net.parameters()
        ):
            raise TrainingError("a weight or reward is no number; choose a smaller rate")

    def _improve(
        self, played: Decisions, reward: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        """Go over the decisions a few times."""
        plan = self.plan
        old, value = self._before(played)
        gain = advantages(value, played.sequence, reward, plan.trace)
        target = torch.from_numpy((gain + value).astype(np.float32))
        several = np.flatnonzero(played.counts > 1)
        if not len(several):
            return
        spread = gain[several].std() + 1e-8
        gains = torch.from_numpy(((gain - gain[several].mean()) / spread).astype(np.float32))
        for _ in range(plan.passes):
            order, far = rng.permutation(several), []
            for at in range(0, len(order), plan.batch):
                which = order[at : at + plan.batch]
                far.append(self._descend(played, which, old, gains, target))
            if np.mean(far) > plan.stop:
                break

    def _descend(
        self,
        played: Decisions,
        which: NDArray[np.int64],
        old: torch.Tensor,
        gains: torch.Tensor,
        target: torch.Tensor,
    ) -> float:
        """Take one gradient step; return the estimated KL divergence from before the round."""
        plan, chosen = self.plan, torch.from_numpy(which)
        rows, counts = take(played, which)
        of = packed(rows, counts)
        log_p = log_softmax(self.net(of), of)
        at = torch.from_numpy(np.cumsum(counts) - counts + played.chosen[which])
        change = log_p[at] - old[chosen]
        ratio, gain = change.exp(), gains[chosen]
        clipped = ratio.clamp(1 - plan.clip, 1 + plan.clip)
        loss = -torch.minimum(ratio * gain, clipped * gain).mean()
        entropy = -(log_p.exp() * log_p).sum() / len(which)
        error = ((self.net.critic(of) - target[chosen]) ** 2).mean()
        self.optimiser.zero_grad()
        (loss - plan.entropy * entropy + 0.5 * error).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            return float((ratio - 1 - change).mean())

    def _before(self, played: Decisions) -> tuple[torch.Tensor, NDArray[np.float64]]:
        """Return each decision's log-probability and value as the net has them now."""
        old, value = [], []
        with torch.no_grad():
            for at in range(0, len(played.counts), self.plan.batch):
                which = np.arange(at, min(at + self.plan.batch, len(played.counts)))
                rows, counts = take(played, which)
                of = packed(rows, counts)
                place = torch.from_numpy(np.cumsum(counts) - counts + played.chosen[which])
                old.append(log_softmax(self.net(of), of)[place])
                value.append(self.net.critic(of))
        return torch.cat(old), torch.cat(value).numpy().astype(np.float64)

    def keep(self, path: Path) -> None:
        """Write where the training stands."""
        arrays = {f"net.{name}": p.detach().numpy() for name, p in self.net.named_parameters()}
        for k, state in self.optimiser.state_dict()["state"].items():
            arrays |= {f"adam.{k}.{name}": values.numpy() for name, values in state.items()}
        where = {"round": self.round, "steps": self.steps, "told": self.told}
        keep(path, arrays, where | {"plan": asdict(self.plan), "jobs": _fingerprint(self.stream)})

    def resume(self, path: Path) -> None:
        """Go on from where a training stood."""
        arrays, document = kept(path)
        same = asdict(self.plan) | {"steps": document.get("plan", {}).get("steps")}
        if document.get("plan") != same or document.get("jobs") != _fingerprint(self.stream):
            raise FormatError(f"{path}: of another plan or other jobs; choose another folder")
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        self.net.load_state_dict(
            {name[4:]: values for name, values in tensors.items() if name.startswith("net.")}
        )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, values in tensors.items():
            if name.startswith("adam."):
                _, k, what = name.split(".")
                state.setdefault(int(k), {})[what] = values
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": state})
        self.round, self.steps = document["round"], document["steps"]
        self.told = [(steps, reward) for steps, reward in document["told"]]


def _grounds(
    stream: Stream, plan: Plan, length: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return where sequences that queue begin, and their objective under shortest-first."""
    rng = np.random.default_rng([plan.seed, 2**31])
    first = np.sort(rng.integers(0, len(stream) - length + 1, _DRAWN))
    name = "sjf" if plan.backfill == "none" else f"sjf+{plan.backfill}"
    known = figures(stream, name, first, length=length, commit=True)
    busy = known["bsld"] > plan.calm
    if not busy.any():
        raise InputError(
            f"none of {_DRAWN} sequences of {length} jobs queues under shortest-first (mean bounded"
            f" slowdown above {plan.calm}); there is nothing to learn from this trace"
        )
    return first[busy], known[plan.objective][busy]


def _fingerprint(stream: Stream) -> list[float]:
    sums = (stream.submit.sum(), stream.run.sum(), stream.request.sum(), stream.need.sum())
    return [float(len(stream)), float(stream.cores), *map(float, sums)]


def train(
    stream: Stream,
    plan: Plan | None = None,
    *,
    folder: Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Learner:
    """Learn until the steps of the plan are done.

    With a `folder`, the state is kept there after each round, and a training that finds one of the
    same plan and jobs goes on from it; more steps than before are allowed.

    Notes
    -----
    Memory: 32 bytes for each row shown in a round, at most 32 W bytes a decision.
    """
    path = None if folder is None else Path(folder) / "state.safetensors"
    with one_thread():
        learner = Learner(stream, Plan() if plan is None else plan)
        if path is not None and path.exists():
            learner.resume(path)
            progress(f"goes on after round {learner.round}")
        while learner.steps < learner.plan.steps:
            learner.learn()
            if path is not None:
                learner.keep(path)
            progress(
                f"round {learner.round}, {learner.steps} steps: mean log ratio to shortest-first "
                f"{-learner.told[-1][1]:.3f}"
            )
    return learner
