"""Add a queueing policy: a score of each waiting job, the lowest first."""

# --8<-- [start:policy]
from typing import Any

from numpy.typing import NDArray

from gridtwin.sim.policies import Policy, register


def area(request: NDArray[Any], cores: NDArray[Any], submit: NDArray[Any]) -> NDArray[Any]:
    """Score a job by the core-seconds that it asks for: small ones first."""
    return request * cores


SMALLEST_AREA = register(Policy("smallest_area", order="scored", score=area))
# --8<-- [end:policy]

# --8<-- [start:use]
import gridtwin  # noqa: E402

jobs = gridtwin.examples.load("lublin", n=2000, seed=1)
for policy in ("fcfs", "smallest_area", "smallest_area+easy"):
    summary = gridtwin.simulate(jobs, cores=256, policy=policy).summary()
    print(f"{policy:20} mean wait {summary['mean_wait']:.0f} s")
# --8<-- [end:use]
