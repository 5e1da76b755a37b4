"""What goes wrong: jobs that fail by themselves, sites that are down, and who tries again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.outages import Outage

__all__ = ["NO_FAULTS", "Failure", "Faults"]

_POINTS = 33


@dataclass(frozen=True)
class Failure:
    """A way to fail: an error code, its share, and when in the payload it comes."""

    code: str
    """``component:code`` as in records, such as ``pilot:1305``."""
    share: float = 1.0
    """Of the failures; the shares are scaled to 1."""
    moment: Sequence[float] = (0.0, 1.0)
    """Quantiles, equally spaced, of the share of the payload that is done when it fails."""


@dataclass(frozen=True)
class Faults:
    """Failures, outages and retries."""

    chance: float | Mapping[str, float] | NDArray[np.float64] = 0.0
    """That an attempt fails: of all, by site (others never), or as an array (sites, kinds)."""
    failures: tuple[Failure, ...] = (Failure("pilot:1305"),)
    again: float = 0.0
    """How much of the rest to certainty a retry's chance rises: failed jobs fail again."""
    outages: tuple[Outage, ...] = ()
    outages_kill: bool = True
    """Whether an outage that leaves nothing open ends what runs; else it only starts nothing."""
    attempts: int = 1
    """The most attempts of a job."""
    retry_delay: float = 0.0
    """s until a failed job is submitted again."""
    elsewhere: float = 0.0
    """Chance that a retry avoids the site of the attempt before."""

    def __post_init__(self) -> None:
        if not self.failures:
            raise InputError("failures: expected one way to fail or more, got none")
        for name in ("again", "elsewhere"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        if not 1 <= self.attempts <= 255:
            raise InputError(f"attempts: expected 1 to 255, got {self.attempts}")
        if not 0.0 <= self.retry_delay < np.inf:
            raise InputError(f"retry_delay: expected seconds from 0, got {self.retry_delay}")

    def chances(self, sites: Sequence[str], kinds: int) -> NDArray[np.float64]:
        """Return the chance of a failure, shape (sites, kinds); no rows if nothing fails."""
        if isinstance(self.chance, Mapping):
            unknown = sorted(set(self.chance) - set(sites))
            if unknown:
                raise InputError(f"chance: there is no site {unknown[0]!r}")
            by_site = np.array([self.chance.get(name, 0.0) for name in sites])
            out = np.repeat(by_site[:, None], kinds, axis=1)
        else:
            out = np.broadcast_to(np.asarray(self.chance, float), (len(sites), kinds)).copy()
        if not ((out >= 0) & (out <= 1)).all():
            raise InputError(f"chance: expected 0 to 1, got {out.min()} to {out.max()}")
        return out if out.any() else np.zeros((0, kinds))

    def shares(self, kinds: int) -> NDArray[np.float64]:
        """Return the running sums of the failures' shares, one row per kind."""
        share = np.array([failure.share for failure in self.failures], float)
        if (share < 0).any() or not share.sum() > 0:
            raise InputError("failures: expected shares of 0 or more, not all 0")
        return np.tile(np.cumsum(share / share.sum()), (kinds, 1))

    def moments(self) -> NDArray[np.float64]:
        """Return when failures come, on a grid of quantiles."""
        grid = np.linspace(0, 1, _POINTS)
        rows = []
        for failure in self.failures:
            given = np.asarray(failure.moment, float)
            if len(given) < 2 or (np.diff(given) < 0).any() or given[0] < 0 or given[-1] > 1:
                raise InputError(f"moment of {failure.code}: expected rising numbers from 0 to 1")
            rows.append(np.interp(grid, np.linspace(0, 1, len(given)), given))
        return np.array(rows)

    def calendar(self, sites: Sequence[str]) -> NDArray[np.float64]:
        """Return rows of (time, site, share of cores open from then on), in order of time."""
        index = {name: k for k, name in enumerate(sites)}
        rows = []
        for k, name in enumerate(sites):
            mine = [o for o in self.outages if o.site == name]
            edges = sorted({o.start for o in mine} | {o.end for o in mine if o.end < np.inf})
            for time in edges:
                factors = [o.factor for o in mine if o.start <= time < o.end]
                rows.append((time, float(k), min(factors, default=1.0)))
        unknown = sorted({o.site for o in self.outages} - set(index))
        if unknown:
            raise InputError(f"outages: there is no site {unknown[0]!r} in the platform")
        return np.array(sorted(rows), float).reshape(-1, 3)


NO_FAULTS = Faults()
"""Nothing goes wrong."""
