"""Policies that were learnt, kept in a folder: ``weights.safetensors`` and ``policy.json``.

``learnt:FOLDER`` names one wherever queueing policies are compared, ``learnt:FOLDER+easy`` with
backfilling.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin import __version__
from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.batched import Batched
from gridtwin.policy.rl.checkpoint import keep, kept
from gridtwin.policy.rl.features import FEATURES
from gridtwin.policy.rl.foresight import WEIGHTS
from gridtwin.policy.rl.priority import Searched
from gridtwin.sim.policies import Backfill

__all__ = ["PREFIX", "Learnt", "load", "save", "splitting"]

PREFIX = "learnt:"
Form = Literal["priority", "set"]
_FORMAT = 1


@dataclass(frozen=True)
class Learnt:
    """A policy that was learnt."""

    form: Form
    """``priority``: a score of each job, which decides anew at every event, as heuristics do
    (`gridtwin.policy.rl.priority`). ``set``: a net over all rows of the environment, whose choice
    blocks until it starts."""
    arrays: dict[str, NDArray[Any]]
    sizes: tuple[int, ...] = ()
    """Of a priority's net."""
    told: dict[str, Any] | None = None
    """How it was learnt."""

    def start_times(
        self,
        stream: Stream,
        first: ArrayLike = (0,),
        length: int | None = None,
        *,
        backfill: Backfill = "none",
    ) -> NDArray[np.float64]:
        """Run sequences as `gridtwin.policy.batch.run.start_times` does, (S, L), s."""
        length = len(stream) if length is None else length
        begins = np.atleast_1d(np.asarray(first, np.int64))
        if self.form == "priority":
            machine = Searched(
                stream,
                length,
                backfill=backfill,
                sizes=self.sizes,
                foresight=self.arrays.get("foresight"),
            )
            return machine.start_times(self.arrays["weights"], begins)
        from gridtwin.policy.rl import ppo
        from gridtwin.policy.rl.nets import restored

        batched = Batched(stream, len(begins), length, backfill=backfill)
        with ppo.one_thread():
            ppo.play(batched, begins, ppo.greedy(restored(self.arrays)))
        return np.stack([batched.starts(s) for s in range(len(begins))])


def save(learnt: Learnt, folder: Path | str) -> None:
    """Write a policy into a folder, which is made."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "format": _FORMAT,
        "form": learnt.form,
        "features": list(FEATURES) if learnt.form == "priority" else "those of the environment",
        "sizes": list(learnt.sizes),
        "learnt": learnt.told or {},
        "versions": {"gridtwin": __version__, "numpy": np.__version__},
    }
    keep(folder / "weights.safetensors", learnt.arrays, {})
    with writing(folder / "policy.json") as path:
        path.write_text(json.dumps(document, indent=2) + "\n")


def load(folder: Path | str) -> Learnt:
    """Read a policy, or raise `FormatError` if that is none or of other features."""
    path = Path(folder) / "policy.json"
    try:
        document = json.loads(path.read_text())
        form, sizes = document["form"], tuple(int(size) for size in document["sizes"])
        known, told = document["features"], document["learnt"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path}: no learnt policy ({error}); give a folder of gridtwin train-policy"
        ) from error
    if document.get("format") != _FORMAT or form not in get_args(Form):
        raise FormatError(f"{path}: of another version of gridtwin; train it again")
    if form == "priority" and known != list(FEATURES):
        raise FormatError(f"{path}: scores are of other features than here; train it again")
    arrays, _ = kept(Path(folder) / "weights.safetensors")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise FormatError(f"{folder}: a weight is no number; train it again")
    if form == "priority":
        layers = np.array(sizes, np.int64)
        expected = len(FEATURES) + int((layers[1:] * (layers[:-1] + 1)).sum())
        if "weights" not in arrays or arrays["weights"].shape != (expected,):
            raise FormatError(f"{folder}: expected {expected} weights; train it again")
        if "foresight" in arrays and arrays["foresight"].shape != (WEIGHTS,):
            raise FormatError(f"{folder}: expected {WEIGHTS} of foresight; train it again")
    return Learnt(form, arrays, sizes, told)


def splitting(name: str) -> tuple[Learnt, Backfill]:
    """Return the policy and the backfilling of ``learnt:FOLDER`` or ``learnt:FOLDER+easy``."""
    if not name.startswith(PREFIX) or name == PREFIX:
        raise InputError(f"policy {name!r}; expected {PREFIX}FOLDER")
    folder = name[len(PREFIX) :]
    for backfill in get_args(Backfill):
        if folder.endswith(f"+{backfill}"):
            return load(folder[: -len(backfill) - 1]), backfill
    return load(folder), "none"
