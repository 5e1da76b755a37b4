"""Quantities with units, as platform files write them: ``"3 Gf"``, ``"10 Gbps"``, ``"5 ms"``.

Inside the package a quantity is a float in flop/s, bytes/s, bytes or seconds; a bare number is
one already. Bits and bytes differ by one letter: ``Gbps`` are bits, ``GBps`` bytes per second.
"""

import math
import re
from typing import Literal

from gridtwin.core.errors import InputError

__all__ = ["FLOPS_PER_HS23", "Kind", "quantity", "text"]

Kind = Literal["speed", "bandwidth", "bytes", "time"]

FLOPS_PER_HS23 = 0.25e9
"""flop/s of one HS23 (HEPScore23) unit: an estimate. Only ratios of speeds matter for run times."""

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{p}i": 1024.0**k for k, p in enumerate("KMGTPE", start=1)}
_BYTES = {f"{p}B": scale for p, scale in (_DECIMAL | _BINARY).items()}
_BITS = {f"{p}b": scale / 8 for p, scale in (_DECIMAL | _BINARY).items()}
_SCALES: dict[Kind, dict[str, float]] = {
    "speed": {f"{p}f": scale for p, scale in _DECIMAL.items()} | {"HS23": FLOPS_PER_HS23},
    "bandwidth": {f"{unit}ps": scale for unit, scale in (_BYTES | _BITS).items()},
    "bytes": _BYTES,
    "time": {
        **{"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0},
        **{"min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0},
    },
}
_WRITTEN: dict[Kind, tuple[str, ...]] = {
    "speed": ("Pf", "Tf", "Gf", "Mf", "kf"),
    "bandwidth": ("TBps", "GBps", "MBps", "kBps"),
    "bytes": ("PB", "TB", "GB", "MB", "kB"),
    "time": ("d", "h", "s", "ms", "us", "ns"),
}
_EXPECTED: dict[Kind, str] = {
    "speed": "a speed in flop/s per core, a number or a text such as '3 Gf' or '12 HS23'",
    "bandwidth": "bytes per second, a number or a text such as '10 Gbps' (bits) or '1.25 GBps'",
    "bytes": "bytes, a number or a text such as '2 TB' or '64 GiB'",
    "time": "seconds, a number or a text such as '5 ms' or '2 h'",
}
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z0-9]*)")


def quantity(value: object, kind: Kind) -> float:
    """Return a quantity in flop/s, bytes/s, bytes or seconds; raise `InputError` if it is none.

    `value` is a number, which is in that unit already, or a text of a number and a unit; a text
    without a unit is read as the number.
    """
    if isinstance(value, str):
        return _parse(value, kind)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"expected {_EXPECTED[kind]}, got {value!r}")
    return float(value)


def text(value: float, kind: Kind) -> str | float:
    """Return a quantity as the shortest text that `quantity` reads back exactly, else itself."""
    for unit in _WRITTEN[kind]:
        scale = _SCALES[kind][unit]
        number = f"{value / scale:.12g}"
        if abs(value) >= scale and "e" not in number and float(number) * scale == value:
            return f"{number} {unit}"
    return value


def _parse(value: str, kind: Kind) -> float:
    found = _NUMBER.fullmatch(value.strip())
    scales = _SCALES[kind]
    if found is None:
        raise InputError(f"expected {_EXPECTED[kind]}, got {value!r}")
    number, unit = found.groups()
    if unit and unit not in scales:
        raise InputError(
            f"expected {_EXPECTED[kind]}, got {value!r}: {unit!r} is no unit of it; "
            f"known: {', '.join(scales)}"
        )
    result = float(number) * (scales[unit] if unit else 1.0)
    if not math.isfinite(result):
        raise InputError(f"expected {_EXPECTED[kind]}, got {value!r}, which is too large")
    return result
