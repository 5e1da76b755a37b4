"""Random streams: one seed in, independent generators out (NumPy's ``SeedSequence``)."""

import numpy as np

__all__ = ["generator", "spawn"]


def generator(seed: int | np.random.Generator | np.random.SeedSequence) -> np.random.Generator:
    """Return the generator of a seed; a generator is returned as it is."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(seed)


def spawn(seed: int | np.random.SeedSequence, n: int) -> list[np.random.Generator]:
    """Return `n` independent generators; the i-th one does not depend on `n`."""
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return [np.random.default_rng(child) for child in root.spawn(n)]
