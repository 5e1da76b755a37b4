"""What of a site can be fitted, and between which bounds."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np
from scipy.stats import theilslopes

from gridtwin.core.errors import InputError
from gridtwin.sim.calibration.records import Records

__all__ = ["PARAMETERS", "Parameter", "Setting", "Value", "guessed", "parameters_of"]

Value = float | str


@dataclass(frozen=True)
class Setting:
    """How a site works, beside what its platform says; the defaults change nothing."""

    policy: str = "easy"
    """Queue discipline: fcfs, easy, conservative, priority or fair_share."""
    cores: float = 1.0
    """Share of the platform's cores that these jobs can use."""
    dispatch: float = 0.0
    """Median time from submission to the queue, s."""
    spread: float = 0.0
    """Standard deviation of the logarithm of that time, which is log-normal."""
    limit: float = 1.0
    """Share of the site's cores that one user can hold; 1: no limit."""
    caps: str = "none"
    """Whether single users are held to what they seemed to be held to: none or seen."""
    estimate: float = 1.0
    """What backfilling expects a job to take, over the time it asked for (else over its run)."""
    background: float = 0.0
    """Jobs that the records do not show, over those that they do."""
    pilot: float = 0.0
    """Time that a job holds its cores before its payload, s."""
    stretch: float = 1.0
    """Wall time of a payload over its CPU time per core."""
    bandwidth: float = 1.0
    """Bandwidth of the site's routes over that of the platform."""

    def with_values(self, values: dict[str, Value]) -> Self:
        """Return the setting with some values replaced."""
        return replace(self, **values)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Value]:
        """Return all values by name."""
        return asdict(self)


PARAMETERS: tuple[str, ...] = tuple(Setting().to_dict())
"""What can be fitted."""


@dataclass(frozen=True)
class Parameter:
    """One dimension of the search: a range, or a choice."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    """Whether it is searched by its logarithm."""
    choices: tuple[str, ...] = ()

    def inside(self, value: Value) -> Value:
        """Return the nearest value of the range, or a choice."""
        if self.choices:
            return value if value in self.choices else self.choices[0]
        return float(min(max(float(value), self.low), self.high))

    def at(self, unit: float) -> float:
        """Return the value of the range at a place from 0 to 1."""
        unit = min(max(unit, 0.0), 1.0)
        if self.log:
            return float(self.low * (self.high / self.low) ** unit)
        return self.low + unit * (self.high - self.low)

    def place(self, value: Value) -> float:
        """Return where in the range a value is, 0 to 1."""
        number = float(self.inside(value))
        if self.log:
            return float(np.log(number / self.low) / np.log(self.high / self.low))
        return (number - self.low) / (self.high - self.low)

    def grid(self, points: int) -> list[Value]:
        """Return values that cover the range, both ends included, or all choices."""
        if self.choices:
            return list(self.choices)
        return [self.at(float(unit)) for unit in np.linspace(0, 1, points)]


def parameters_of(records: Records, free: Collection[str] | None) -> tuple[Parameter, ...]:
    """Return what of the `free` parameters (None: all) the records of a site can tell anything of.

    Left out: a share of cores where a job needs them all, choices with one possibility, limits
    without users, time and bandwidth of payloads where wall times are taken from the records.
    """
    wanted = set(PARAMETERS if free is None else free)
    if unknown := sorted(wanted - set(PARAMETERS)):
        raise InputError(
            f"free: {unknown[0]!r} cannot be fitted; choose from {', '.join(PARAMETERS)}"
        )
    return tuple(p for p in _possible(records) if p.name in wanted)


def guessed(records: Records, start: Setting) -> dict[str, Value]:
    """Return where a search may begin: what the records tell without a simulation.

    The delay is the shortest tenth of the waits; wall times are a line over CPU times, by the
    median of the slopes between pairs of at most 1,000 jobs (Sen, JASA 1968).
    """
    out = start.to_dict()
    waits = records.wait[np.isfinite(records.wait)]
    if len(waits):
        out["dispatch"] = float(np.quantile(waits, 0.1))
    known = np.flatnonzero(np.isfinite(records.cpu) & np.isfinite(records.wall))
    known = known[:: len(known) // 1000 + 1]
    if records.from_cpu and len(np.unique(records.cpu[known])) > 1:
        line = theilslopes(records.wall[known], records.cpu[known])
        out |= {"pilot": float(line.intercept), "stretch": float(line.slope)}
    return out


def _possible(records: Records) -> list[Parameter]:
    size, widest = records.cores, int(records.work.cores.max())
    users = 0 if records.work.user is None else len(np.unique(records.work.user))
    policies = ["easy", "fcfs", "conservative"]
    if records.work.priority is not None and len(np.unique(records.work.priority)) > 1:
        policies.append("priority")
    if users > 1:
        policies.append("fair_share")
    out = [Parameter("policy", choices=tuple(policies))]
    low, high = max(widest / size, 0.5), 1.0 if records.stated else 2.0
    if low < high:
        out.append(Parameter("cores", low, high, log=True))
    out += [Parameter("dispatch", 1.0, 10_800.0, log=True), Parameter("spread", 0.0, 2.5)]
    if users > 1 and size > 1:
        out.append(Parameter("limit", max(0.005, 1 / size), 1.0, log=True))
    if records.caps:
        out.append(Parameter("caps", choices=("none", "seen")))
    out += [Parameter("estimate", 0.1, 10.0, log=True), Parameter("background", 0.0, 0.5)]
    if records.from_cpu:
        out += [
            Parameter("pilot", 0.0, 7200.0),
            Parameter("stretch", 0.5, 10.0, log=True),
        ]
    if records.work.input_ptr is not None and records.work.input_ptr[-1]:
        out.append(Parameter("bandwidth", 0.02, 50.0, log=True))
    return out
