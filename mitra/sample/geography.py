"""The places of the sample world: countries with their currency, cities with position, weight and clock.

Cities are numbered in the order of `CITIES`, countries in the order of `COUNTRIES`. Positions are city centres in
degrees; clocks are whole hours from UTC, without daylight saving time. A city of weight 0 is only travelled to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mitra.sample.columns import Floats, Ints

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


@dataclass(frozen=True, slots=True)
class City:
    """A city: its country, centre, share of the population (relative) and clock."""

    name: str
    country: str
    lat: float
    lon: float
    weight: float
    utc_offset_h: int


# Amounts are in the account's currency. Only currencies within a factor of two of each other take part, so that an
# amount says the same to a reader everywhere.
CURRENCY_OF = {
    "DE": "EUR", "FR": "EUR", "ES": "EUR", "IT": "EUR", "NL": "EUR", "BE": "EUR", "PT": "EUR", "AT": "EUR", "IE": "EUR",
    "GB": "GBP", "CH": "CHF", "US": "USD", "CA": "CAD", "AU": "AUD", "SG": "SGD",
    "GR": "EUR", "TR": "EUR", "AE": "USD", "TH": "USD", "MX": "USD", "ZA": "USD",
}  # fmt: skip

CITIES = (
    City("Berlin", "DE", 52.52, 13.40, 7, 1),
    City("Hamburg", "DE", 53.55, 9.99, 4, 1),
    City("Munich", "DE", 48.14, 11.58, 4, 1),
    City("Cologne", "DE", 50.94, 6.96, 3, 1),
    City("Paris", "FR", 48.86, 2.35, 9, 1),
    City("Lyon", "FR", 45.76, 4.84, 3, 1),
    City("Marseille", "FR", 43.30, 5.37, 3, 1),
    City("Madrid", "ES", 40.42, -3.70, 6, 1),
    City("Barcelona", "ES", 41.39, 2.17, 4, 1),
    City("Rome", "IT", 41.90, 12.50, 5, 1),
    City("Milan", "IT", 45.46, 9.19, 4, 1),
    City("Naples", "IT", 40.85, 14.27, 3, 1),
    City("Amsterdam", "NL", 52.37, 4.90, 3, 1),
    City("Brussels", "BE", 50.85, 4.35, 2, 1),
    City("Lisbon", "PT", 38.72, -9.14, 2, 0),
    City("Vienna", "AT", 48.21, 16.37, 3, 1),
    City("Dublin", "IE", 53.35, -6.26, 2, 0),
    City("London", "GB", 51.51, -0.13, 8, 0),
    City("Manchester", "GB", 53.48, -2.24, 3, 0),
    City("Edinburgh", "GB", 55.95, -3.19, 2, 0),
    City("Zurich", "CH", 47.38, 8.54, 2, 1),
    City("New York", "US", 40.71, -74.01, 5, -5),
    City("Chicago", "US", 41.88, -87.63, 3, -6),
    City("Los Angeles", "US", 34.05, -118.24, 4, -8),
    City("Miami", "US", 25.76, -80.19, 2, -5),
    City("Toronto", "CA", 43.65, -79.38, 2, -5),
    City("Vancouver", "CA", 49.28, -123.12, 1, -8),
    City("Sydney", "AU", -33.87, 151.21, 2, 10),
    City("Singapore", "SG", 1.35, 103.82, 2, 8),
    City("Athens", "GR", 37.98, 23.73, 0, 2),
    City("Istanbul", "TR", 41.01, 28.98, 0, 3),
    City("Dubai", "AE", 25.20, 55.27, 0, 4),
    City("Bangkok", "TH", 13.76, 100.50, 0, 7),
    City("Mexico City", "MX", 19.43, -99.13, 0, -6),
    City("Cape Town", "ZA", -33.92, 18.42, 0, 2),
)

COUNTRIES = tuple(dict.fromkeys(city.country for city in CITIES))
CITY_LAT: Floats = np.array([city.lat for city in CITIES])
CITY_LON: Floats = np.array([city.lon for city in CITIES])
CITY_WEIGHT: Floats = np.array([city.weight for city in CITIES], dtype=np.float64)
CITY_COUNTRY: Ints = np.array([COUNTRIES.index(city.country) for city in CITIES], dtype=np.int64)
CITY_OFFSET_MS: Ints = np.array([city.utc_offset_h * 3_600_000 for city in CITIES], dtype=np.int64)


def distance_km(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> Floats:
    """Return the great-circle distance in km between positions in degrees (haversine formula)."""
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    half_lat = np.sin((phi2 - phi1) / 2) ** 2
    half_lon = np.sin(np.radians(np.asarray(lon2) - lon1) / 2) ** 2
    chord = half_lat + np.cos(phi1) * np.cos(phi2) * half_lon
    distance: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))
    return distance


CITY_DISTANCE_KM: Floats = distance_km(CITY_LAT[:, None], CITY_LON[:, None], CITY_LAT[None, :], CITY_LON[None, :])
