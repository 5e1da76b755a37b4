"""The words for how jobs come by their files."""

__all__ = ["ACCESS"]

ACCESS = (
    "local copy",
    "local direct",
    "remote copy",
    "remote direct",
    "cache",
    "pre-placed",
    "tape",
)
"""The ways in which a job comes by a file. The last two: brought for the job before it started,
from another site's disk or from tape, and then read locally."""
