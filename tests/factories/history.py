"""Plans, batches and labels for tests of histories, made from the oracle's records."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mitra.hashing import text_hash
from mitra.history import Events, LabelNotes, Layout, Touches
from mitra.schema import Entity, EventType, Field
from rules.plan import Aggregate, Pair, Where, Window
from tests.oracles.history import Label, PastEvent, Question

PAYMENT = EventType(
    "payment",
    "payments",
    "id",
    "time",
    (
        Field("id", "string"),
        Field("time", "integer"),
        Field("amount", "number", required=False),
        Field("items", "integer", required=False),
        Field("online", "boolean", required=False),
        Field("country", "string", required=False),
        Field("device", "string", required=False),
    ),
)
LOGIN = EventType(
    "login",
    "logins",
    "login_id",
    "at",
    (Field("login_id", "string"), Field("at", "integer"), Field("device", "string")),
)
ENTITIES = (Entity("customer", ("customer_id",)), Entity("terminal", ("terminal_id",)))
LAYOUT = Layout.of([PAYMENT, LOGIN])


@dataclass(frozen=True)
class Condition:
    """A condition for both sides: `test` takes the values of `fields`."""

    text: str
    fields: tuple[str, ...]
    test: object

    def where(self) -> Where:
        return Where(self.text, self.fields, self.test)  # type: ignore[arg-type]

    def question(self):
        return lambda values: self.test(tuple(values.get(name) for name in self.fields))  # type: ignore[operator]


WHERES = (
    Condition("amount > 10", ("amount",), lambda v: None if v[0] is None else v[0] > 10),
    Condition('country == "DE"', ("country",), lambda v: None if v[0] is None else v[0] == "DE"),
    Condition("online", ("online",), lambda v: v[0]),
    Condition(
        "items > 1 and amount < 50", ("items", "amount"), lambda v: None if None in v else v[0] > 1 and v[1] < 50
    ),
)


def aggregate(
    function: str,
    entity: str,
    name: str | None = None,
    window: tuple[str, int] = ("ever", 0),
    delay_ms: int = 0,
    where: Condition | None = None,
    event: str | None = None,
    parameter: float | None = None,
    pair: Pair | None = None,
) -> Aggregate:
    """Return an aggregate, with a key that says all of it."""
    text = where.text if where else None
    key = f"{function}({name}, by={entity}, window={window}, delay={delay_ms}, where={text}, event={event}, {parameter}, {pair})"
    kind = "string" if function in {"previous", "first", "most_common"} and name in LAYOUT.text else "number"
    return Aggregate(
        key,
        function,
        entity,
        name,
        Window(*window),
        delay_ms,
        where.where() if where else None,
        event,
        kind,  # type: ignore[arg-type]
        parameter,
        pair,
    )


def question(
    function: str,
    name: str | None = None,
    window: tuple[str, int] = ("ever", 0),
    delay_ms: int = 0,
    where: Condition | None = None,
    event: str | None = None,
    parameter: float | None = None,
    pair: Pair | None = None,
) -> Question:
    """Return the oracle's form of an aggregate."""
    paired = None if pair is None else (pair.begin, pair.ends, pair.id)
    return Question(function, name, window, delay_ms, where.question() if where else None, event, parameter, paired)


def columns(events: Sequence[PastEvent], layout: Layout = LAYOUT) -> Events:
    """Return events as columns."""
    numbers = np.full((len(events), len(layout.numeric)), np.nan)
    hashes = np.zeros((len(events), len(layout.text)), np.int64)
    texts: list[list[str | None]] = []
    for row, event in enumerate(events):
        for column, name in enumerate(layout.numeric):
            value = event.values.get(name)
            if value is not None:
                numbers[row, column] = float(value)
        texts.append([event.values.get(name) for name in layout.text])  # type: ignore[misc]
        for column, text in enumerate(texts[-1]):
            hashes[row, column] = 0 if text is None else text_hash(text)
    return Events(
        kind=np.array([layout.events.index(event.kind) for event in events], np.uint8),
        time_ms=np.array([event.time_ms for event in events], np.int64),
        id_hash=np.array([text_hash(event.id) for event in events], np.int64),
        content_hash=np.array([text_hash(f"{event.id}/{event.content}") for event in events], np.int64),
        numbers=numbers,
        text_hashes=hashes,
        texts=texts,
    )


def touches(rows: Sequence[tuple[int, int, str]]) -> Touches:
    """Return touches from (event, entity, key)."""
    return Touches(
        entity=np.array([entity for _, entity, _ in rows], np.uint8),
        event=np.array([event for event, _, _ in rows], np.int32),
        key=[key for _, _, key in rows],
    )


def notes(rows: Sequence[tuple[int, str, Label]]) -> LabelNotes:
    """Return label notes from (entity, key, label)."""
    return LabelNotes(
        entity=np.array([entity for entity, _, _ in rows], np.uint8),
        key=[key for _, key, _ in rows],
        id_hash=np.array([text_hash(label.id) for _, _, label in rows], np.int64),
        event_time_ms=np.array([label.event_time_ms for _, _, label in rows], np.int64),
        value=np.array([label.value for _, _, label in rows], np.float64),
        known_at_ms=np.array([label.known_at_ms for _, _, label in rows], np.int64),
        version=np.array([label.version for _, _, label in rows], np.int64),
    )
