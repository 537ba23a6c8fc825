"""Distances on Earth."""

from math import asin, cos, radians, sin, sqrt

EARTH_DIAMETER_KM = 2 * 6_371.008_8
"""Twice the mean radius of the IUGG, (2a + b) / 3."""


def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float | None:
    """Return the great-circle distance of two positions in degrees by the haversine formula.

    None where a position is none on Earth: latitude beyond ±90 or longitude beyond ±180.
    """
    if not (-90 <= lat1 <= 90 and -90 <= lat2 <= 90 and -180 <= lon1 <= 180 and -180 <= lon2 <= 180):
        return None
    south, north = radians(lat1), radians(lat2)
    across = sin((north - south) / 2)
    along = sin(radians(lon2 - lon1) / 2)
    return EARTH_DIAMETER_KM * asin(min(1.0, sqrt(across * across + cos(south) * cos(north) * along * along)))
