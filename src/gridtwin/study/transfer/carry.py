"""A learnt priority from the jobs that it learnt from to others of the same machine."""

from dataclasses import replace

import numpy as np

from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.features import FEATURES
from gridtwin.policy.rl.saved import Learnt

__all__ = ["carried"]

_LINEAR = ("f1", "f2", "f3", "f4")
_LOGARITHMIC = ("width", "area", "fits_width", "crowd_width")


def carried(learnt: Learnt, source: Stream, target: Stream) -> Learnt:
    """Return the priority that gives jobs of `target` the scores they would have in `source`.

    Features of processors are relative to the machine of a stream: without this, a weight would
    mean something else on a machine of another size. Exact, for the score and the first layer of a
    net are linear in the features.
    """
    if learnt.form != "priority":
        return learnt
    old, new = (float(max(stream.cores, 1)) for stream in (source, target))
    ratio = np.log1p(new) / np.log1p(old)
    factors = dict.fromkeys(_LINEAR, new / old) | dict.fromkeys(_LOGARITHMIC, ratio)
    factors["width2"] = ratio**2
    scale = np.array([factors.get(name, 1.0) for name in FEATURES])
    weights = learnt.arrays["weights"].copy()
    weights[: len(scale)] *= scale
    if learnt.sizes:
        end = len(scale) * (1 + learnt.sizes[1])
        inner = weights[len(scale) : end].reshape(-1, len(scale))
        weights[len(scale) : end] = (inner * scale).ravel()
    return replace(learnt, arrays={**learnt.arrays, "weights": weights})
