"""Choose between two drafts of each job so that the work submitted follows a course."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose"]


def choose(
    drafts: tuple[NDArray[np.float64], NDArray[np.float64]],
    target: NDArray[np.float64],
    times: NDArray[np.float64],
    memory: float,
) -> NDArray[np.bool_]:
    """Return for each job, in order of submission, whether to take the second draft.

    `drafts` and `target` are the work of each job (width x run time, in core-seconds), `times`
    its submission in seconds. A running difference between the work chosen and the target, which
    forgets with the time constant `memory` in seconds, decides: the smaller draft where it is
    positive, the larger one where it is negative. Jobs whose drafts are both below the mean of
    the target keep the first one: they hardly matter for the difference.

    Users send less while they wait. Draws that are independent of each other lose that, and the
    load of a week varies more than in reality, which lengthens queues. The choice restores it and
    leaves the distribution of the jobs as it is: of two equal draws, the smaller one half of the
    time and the larger one the other half has the distribution of either.
    """
    mean = float(target.mean()) if len(target) else 0.0
    kept = np.exp(-np.diff(times, prepend=times[:1]) / memory)
    second = np.zeros(len(times), dtype=bool)
    ahead = 0.0
    rows = zip(drafts[0].tolist(), drafts[1].tolist(), target.tolist(), kept.tolist(), strict=True)
    for job, (one, two, aim, factor) in enumerate(rows):
        ahead *= factor
        chosen = one
        if max(one, two) > mean:
            chosen = min(one, two) if ahead > 0 else max(one, two)
            second[job] = chosen != one
        ahead += chosen - aim
    return second
