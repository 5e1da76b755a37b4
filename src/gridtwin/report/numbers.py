"""Numbers in words that people read: 1,234, 3.2 h, 12 %."""

import math
from datetime import UTC, datetime

__all__ = [
    "NONE",
    "count",
    "data_size",
    "date",
    "duration",
    "number",
    "percent",
    "quantity",
    "signed",
]


NONE = "–"  # noqa: RUF001 - an en dash is what tables show for no value
_MINUS = "\N{MINUS SIGN}"


def number(value: float | None) -> str:
    """Return a value with three significant digits; thousands are set apart, none is a dash."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else _MINUS + "∞"
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-4:
        text = f"{value:.2e}"
    elif size >= 100 or (value == int(value) and size < 1e7):
        text = f"{value:,.0f}"
    else:
        text = f"{value:#.3g}" if size >= 0.001 else f"{value:.1g}"
    return text.replace("-", _MINUS)


def count(value: int) -> str:
    """Return a whole number with its thousands set apart."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """Return a share (0 to 1) in per cent; what is above 0 is never written as 0."""
    if share is None or math.isnan(share):
        return NONE
    if share == 0:
        return "0 %"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def duration(seconds: float | None) -> str:
    """Return seconds in the unit that suits them."""
    if seconds is None or math.isnan(seconds):
        return NONE
    for size, name in ((365.25 * 86400, "years"), (86400, "days"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s" if abs(seconds) >= 10 else f"{seconds:.2g} s"


def data_size(size: float) -> str:
    """Return bytes in the (decimal) unit that suits them."""
    for power, name in ((15, "PB"), (12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 0.9995 * 10**power:  # what would be written as 1000 of the next smaller one
            return f"{size / 10**power:.3g} {name}"
    return f"{size:.0f} B"


def quantity(value: float | None, unit: str) -> str:
    """Return a value of a unit such as "s", "share", "bytes" or "jobs" as people write it."""
    if value is None or not math.isfinite(value):
        return number(value)
    if unit == "s":
        text = duration(value)
    elif unit == "share":
        text = percent(value) if value >= 0 else f"-{percent(-value)}"
    elif unit == "bytes":
        text = data_size(abs(value)) if value >= 0 else f"-{data_size(-value)}"
    else:
        text = number(value) if unit in ("", "ratio") else f"{number(value)} {unit}"
    return text.replace("-", _MINUS)


def signed(value: float | None, unit: str) -> str:
    """Return a difference with its sign; "points" are those of a share in per cent."""
    text = quantity(value, unit)
    if value is not None and unit == "points":
        text = f"{number(100 * value)} points"
    return f"+{text}" if value is not None and value > 0 else text


def date(seconds: float) -> str:
    """Return the UTC day of a Unix time, or the time as it is where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"
