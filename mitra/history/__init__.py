"""What one entity's past looks like, and what the live features ask of it.

Events of an entity are kept in order of (event time, arrival). An event is answered as of its own time from what has
arrived: a history never looks ahead, and late events are inserted where they belong.
"""

from mitra.history.batch import CONFLICT, DUPLICATE, NEW, Events, Found, LabelNotes, Result, Touches, no_events
from mitra.history.history import JOURNAL_EVENTS, History
from mitra.history.layout import Layout
from mitra.history.plan import Plan
from mitra.history.store import MemoryStore, Store
from mitra.history.warm import warm_up

__all__ = [
    "CONFLICT",
    "DUPLICATE",
    "JOURNAL_EVENTS",
    "NEW",
    "Events",
    "Found",
    "History",
    "LabelNotes",
    "Layout",
    "MemoryStore",
    "Plan",
    "Result",
    "Store",
    "Touches",
    "no_events",
    "warm_up",
]
