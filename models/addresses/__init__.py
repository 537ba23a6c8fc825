"""The address micro model: what stands in a postal address, and what expressions ask of it."""

from collections.abc import Callable

from models.addresses.compare import address_complete, address_part, address_similarity
from models.addresses.parser import shipped_parser

FUNCTIONS: dict[str, Callable[..., float | bool | str | None]] = {
    "address_similarity": address_similarity,
    "address_complete": address_complete,
    "address_part": address_part,
}
"""The functions of the expression language that read addresses, by name."""

__all__ = ["FUNCTIONS", "address_complete", "address_part", "address_similarity", "shipped_parser"]
