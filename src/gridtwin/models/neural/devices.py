"""Where nets run: one CPU thread by default, a GPU where there is one, several by accelerate."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from accelerate import PartialState
from torch import nn

__all__ = ["average_gradients", "device", "rank", "seeded", "world"]


def world() -> PartialState | None:
    """Return the processes that train together, None where this one trains alone.

    ``accelerate launch -m gridtwin train …`` starts several, one a GPU.
    """
    return PartialState() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None


def rank() -> tuple[int, int]:
    """Return the number of this process among those that train together, and how many they are."""
    together = world()
    return (0, 1) if together is None else (together.process_index, together.num_processes)


def device() -> torch.device:
    """Return the GPU of this process if it has one, else the CPU."""
    together = world()
    if together is not None:
        return torch.device(together.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def average_gradients(net: nn.Module) -> None:
    """Set each gradient to its mean over the processes that train together, if there are several.

    Every process holds the same weights and an equal share of each batch.
    """
    if world() is None:
        return
    for parameter in net.parameters():
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= rank()[1]


@contextmanager
def seeded(*entropy: int) -> Iterator[None]:
    """Make torch draw what these numbers say, in one thread, and leave its state as it was.

    Small nets are slower with two threads than with one: the threads wait for each other.
    """
    threads = torch.get_num_threads()
    exact = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.set_num_threads(1)
        if torch.cuda.is_available():  # sums in a fixed order; some operations warn that they can't
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(mixed_seed(*entropy))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(exact)


def mixed_seed(*entropy: int) -> int:
    """Return one seed for some numbers; near ones give unrelated seeds."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
