"""A decision as it was found, with its payment and the earlier payments of one of its entities, wherever they lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mitra.decode import Event
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from mitra.route import key_reader
from mitra.schema import Entity
from rules.plan import Value
from rules.problems import closest


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier payment: its values in the schema's order, and its decision's features where that has any."""

    event: Event
    features: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class Others:
    """Earlier payments of one entity, the newest first. `looked`: in what they were looked for, and how far."""

    entity: str
    key: str
    payments: tuple[Earlier, ...]
    looked: str


@dataclass(frozen=True, slots=True)
class Found:
    """A decision as docs/messages.md has it; what its source doesn't keep is None, or empty.

    `place` says where it stands, `again` how often it stands there once more. `notes` tell what couldn't be found, and why.
    """

    decision: Mapping[str, Any]
    place: str
    again: int = 0
    event: Event | None = None
    others: Others | None = None
    notes: tuple[str, ...] = field(default=())


def keys_of(pipeline: Pipeline, event: Event) -> dict[str, str]:
    """Return the keys of the entities that a payment touches, by name."""
    of_type = pipeline.type_of(event.values)
    readers = {one.name: key_reader(one, of_type) for one in pipeline.entities}
    keys = {name: reader(event.values) for name, reader in readers.items() if reader is not None}
    return {name: key for name, key in keys.items() if key is not None}


def entity_named(pipeline: Pipeline, name: str | None) -> Entity | None:
    """Return the entity to compare with: the one of that name, or the first that payments have.

    Raises MitraError for a name that payments have no entity of.
    """
    usable = {
        one.name: one
        for one in pipeline.entities
        if any(event.own_names.issuperset(one.fields) for event in pipeline.decided_events)
    }
    if name is None:
        return next(iter(usable.values()), None)
    if name not in usable:
        decided = " and ".join(event.name for event in pipeline.decided_events)
        listed = f"the entities of {decided} events are {', '.join(usable)}"
        raise MitraError(f"--by={name} is no entity of theirs; {closest(name, usable) or listed}")
    return usable[name]
