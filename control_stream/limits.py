"""How big a change may be, and how much may be live."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """Bounds on one change, and on the live set.

    `change_bytes` bounds a record of the control topic, `entries` the keys of one change of a list. A key longer than
    `key_characters` is no entity's. `revisions` is how many accepted changes a rollback can reach back over.
    """

    change_bytes: int = 1_000_000
    entries: int = 20_000
    key_characters: int = 1_024
    rules: int = 5_000
    features: int = 1_000
    lists: int = 1_000
    models: int = 100
    revisions: int = 1_000
