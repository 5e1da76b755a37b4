"""Latencies from positions on the globe."""

import math

__all__ = ["one_way"]

_RADIUS_KM = 6371.0
_KM_PER_S = 200_000.0
_DETOUR = 1.5
_EQUIPMENT = 2e-3


def one_way(
    a: tuple[float, float], b: tuple[float, float], *, equipment: float = _EQUIPMENT
) -> float:
    """Return the seconds that a packet takes between two positions (latitude, longitude; degrees).

    An estimate: 1.5 times the great circle at 200,000 km/s, plus `equipment` (s).
    """
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (*a, *b))
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    distance = 2 * _RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))
    return round(_DETOUR * distance / _KM_PER_S + equipment, 6)
