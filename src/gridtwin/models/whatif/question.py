"""What-if questions to a model: checked, in one form whatever they were given as."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Real
from typing import Any

from gridtwin.core.errors import InputError

__all__ = ["DAY", "MOST_DAYS", "Mix", "Start", "Value", "WhatIf", "Where"]

DAY = 86_400.0
MOST_DAYS = 36_525.0
"""A century."""
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Value = str | float | bool | None
"""A value of a column; None is a missing one."""
Start = str | float | datetime
"""A weekday, an instant as text (ISO 8601) or date, or seconds since 1970, all in UTC."""
Where = Mapping[str, Value | Iterable[Value]]
"""Column -> the value or values that it may have."""
Mix = Mapping[str, Mapping[Any, float]]
"""Column -> value -> share of the jobs."""


@dataclass(frozen=True)
class WhatIf:
    """How the trace asked for differs from the one that was learnt."""

    days: float | None = None
    start: float | None = None
    """Seconds since 1970."""
    weekday: int | None = None
    """0 is Monday; the first one since the training trace began."""
    rate: float = 1.0
    where: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    mix: tuple[tuple[str, tuple[tuple[Value, float], ...]], ...] = ()
    without_users: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        days: float | None = None,
        start: Start | None = None,
        rate: float = 1.0,
        where: Where | None = None,
        mix: Mix | None = None,
        without_users: str | Iterable[str] = (),
    ) -> "WhatIf":
        """Check the arguments of `Surrogate.sample`; raises `InputError` naming the wrong one."""
        if days is not None and not 0 < _number("days", days) <= MOST_DAYS:
            raise InputError(f"days is {days}; give a number above 0, at most {MOST_DAYS:.0f}")
        if not 0 < _number("rate", rate) <= 1e6:
            raise InputError(f"rate is {rate}; give a number above 0, 1.5 for half as many again")
        for name, given in (("where", where), ("mix", mix)):
            if not isinstance(given, Mapping | None):
                raise InputError(f"{name} is {given!r}; give a mapping of columns")
        instant, weekday = (None, None) if start is None else _start(start)
        return cls(
            None if days is None else float(days),
            instant,
            weekday,
            float(rate),
            tuple((name, _values(name, found)) for name, found in (where or {}).items()),
            tuple((name, _shares(name, found)) for name, found in (mix or {}).items()),
            tuple(map(str, _values("user", without_users))) if without_users else (),
        )

    @property
    def asked(self) -> dict[str, str]:
        """What was asked, by the name of the argument, in words."""
        words = {}
        if self.days is not None:
            words["days"] = f"{self.days:g}"
        if self.start is not None:
            words["start"] = f"{datetime.fromtimestamp(self.start, UTC):%Y-%m-%dT%H:%M:%SZ}"
        if self.weekday is not None:
            words["start"] = _WEEKDAYS[self.weekday]
        if self.rate != 1.0:
            words["rate"] = f"{self.rate:g}"
        if self.where:
            words["where"] = " and ".join(
                f"{name} is {' or '.join(map(str, values))}" for name, values in self.where
            )
        if self.mix:
            words["mix"] = ", ".join(
                f"{name} {value} {share:g}" for name, shares in self.mix for value, share in shares
            )
        if self.without_users:
            words["without_users"] = ", ".join(self.without_users)
        return words

    def note(self) -> str:
        """Return the sentence that goes with the sample."""
        return "what if: " + "; ".join(f"{name} = {words}" for name, words in self.asked.items())

    def begin(self, first: float) -> float:
        """Return when the trace begins (s), where the training trace began at `first`."""
        if self.weekday is None:
            return first if self.start is None else self.start
        today = math.ceil(first / DAY)
        return (today + (self.weekday - today - 3) % 7) * DAY  # 1970 began on a Thursday


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}; give a number")
    return float(value)


def _start(start: Start) -> tuple[float | None, int | None]:
    """Return the instant (s) or the weekday that is meant."""
    if isinstance(start, str):
        word = start.strip().lower()
        found = [i for i, day in enumerate(_WEEKDAYS) if len(word) > 2 and day.startswith(word)]
        if found:
            return None, found[0]
        try:
            start = datetime.fromisoformat(start.strip())
        except ValueError:
            raise InputError(
                f"start is {start!r}; give a weekday ('monday') or an instant ('2024-03-04T06:00')"
            ) from None
    if isinstance(start, datetime):
        start = (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()
    if not -6e10 < _number("start", start) < 2e11:
        raise InputError(f"start is {start:g} s since 1970; give one of the years 100 to 8000")
    return float(start), None


def _values(name: str, found: Value | Iterable[Value]) -> tuple[Value, ...]:
    several = isinstance(found, Iterable) and not isinstance(found, str)
    values = tuple(found) if several else (found,)  # type: ignore[arg-type]
    if not values:
        raise InputError(f"where: {name} may have no value; give one at least")
    if odd := [value for value in values if not isinstance(value, str | Real | None)]:
        raise InputError(f"{odd[0]!r} is no value of {name}; give a text or a number")
    return values  # type: ignore[return-value]


def _shares(name: str, found: Mapping[Any, float]) -> tuple[tuple[Value, float], ...]:
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"mix: give the shares of {name} as {{value: share}}, not {found!r}")
    for value, share in found.items():
        if not 0 <= _number(f"mix: the share of {name} {value}", share) <= 1:
            raise InputError(f"mix: the share of {name} {value} is {share}; give 0 to 1")
    if (total := math.fsum(found.values())) > 1 + 1e-9:
        raise InputError(f"mix: the shares of {name} sum to {total:g}; give 1 at most")
    return tuple((value, float(share)) for value, share in found.items())
