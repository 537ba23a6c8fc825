"""One message of each kind, and what decide keeps in state, with a value in every field. Never changed for a released version."""

from array import array

from control_stream import Activate, Artefact, Delta, Load, Mark
from mitra.decision import Record
from mitra.gather import encode_pending
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.kept_dues import Due, KeptDues
from mitra.kept_live import KeptLive, LastTold
from mitra.kept_marks import KeptMarks
from mitra.kept_revisions import KeptRevisions
from mitra.messages import (
    Alerts,
    Asked,
    Control,
    End,
    EventBatch,
    LabelBatch,
    LaneTime,
    Letters,
    LiveValues,
    Marker,
    Message,
    PartBatch,
    Probe,
    ReportBatch,
    Revise,
    RollCall,
    Told,
    encode,
)
from mitra.monitoring.clocks import Clocks
from mitra.monitoring.kept import KeptMonitor
from mitra.monitoring.monitor import Monitor
from mitra.monitoring.observed import Labelled, Observation, Payments, Sheet
from mitra.monitoring.observed import encode as encode_observation
from mitra.monitoring.settings import Check, Monitoring
from mitra.monitoring.told import Telling
from mitra.names import Names
from mitra.remembered import encode_record
from mitra.waiting_labels import WaitingLabel, encode_labels
from models.manifest import Baseline, Distribution
from rules import Rule

NAN = float("nan")


def i8(*values: int) -> bytes:
    return array("q", values).tobytes()


def i4(*values: int) -> bytes:
    return array("i", values).tobytes()


def f8(*values: float) -> bytes:
    return array("d", values).tobytes()


EVENTS = EventBatch(
    lane=1,
    clock_ms=1_700_000_000_000,
    revision=7,
    ids=["tx-1", "größe"],
    topics=bytes((0, 0)),
    partitions=i4(3, 4),
    offsets=i8(10, 1 << 40),
    flags=bytes((0, 1)),
    expected=bytes((2, 1)),
    decoded_ms=f8(1_700_000_000_001.5, 1_700_000_000_001.5),
    payloads=[b"\x93\x01\x02\x03", b""],
    kinds=bytes((0, 0)),
    times_ms=i8(1_700_000_000_000, -1),
    id_hashes=i8(-5, 6),
    content_hashes=i8(7, -8),
    numbers=f8(1.25, NAN, 0.0, -3.5),
    text_hashes=i8(11, 0, 12, 13),
    texts=[["DE", None], ["FR", "Łódź"]],
    touch_entities=bytes((0, 2, 0)),
    touch_events=i4(0, 0, 1),
    keys=["c1", "c1\x1ft1", "c2"],
)
LABELS = LabelBatch(
    lane=0,
    clock_ms=1_700_000_000_000,
    names=["customer", "terminal"],
    entities=bytes((0, 1)),
    keys=["c1", "t1"],
    id_hashes=i8(-5, -5),
    times_ms=i8(1_690_000_000_000, 1_690_000_000_000),
    values=f8(1.0, 1.0),
    known_at_ms=i8(1_700_000_000_000, 1_700_000_000_000),
    versions=i8(1, 2),
)
PARTS = PartBatch(
    lane=1,
    clock_ms=1_700_000_000_000,
    revision=7,
    plan=-1234567890123456789,
    fields=["id:string", "amount:number", "größe:integer"],
    entities=["customer", "terminal", "pair"],
    ids=["tx-1"],
    topics=bytes((0,)),
    partitions=i4(3),
    offsets=i8(10),
    flags=bytes((1,)),
    expected=bytes((2,)),
    decoded_ms=f8(1_700_000_000_001.5),
    history_ms=f8(1_700_000_000_002.5),
    times_ms=i8(1_700_000_000_000),
    payloads=[b"\x93\x01\x02\x03"],
    touch_events=i4(0, 0),
    touch_entities=bytes((0, 2)),
    statuses=bytes((0, 1)),
    arrivals=i8(1, 900),
    width=2,
    values=f8(1.0, NAN, 2.5, 3.0),
    texts=[["DE"], []],
    approximate=bytes((0, 1, 0, 0)),
    keys=["c1", "c1\x1ft1"],
    marks={1: ["list:bad", "snooze:busy"]},
)
REPORTS = ReportBatch(
    ids=["tx-1"],
    values=f8(1.0),
    known_at_ms=i8(1_700_000_000_000),
    versions=i8(1_700_000_000_000),
    sources=["chargeback"],
    topics=bytes((2,)),
    partitions=i4(0),
    offsets=i8(5),
    raw=[b'{"id":"tx-1","fraud":1}'],
)
CHANGE = Delta(
    {"large": Rule(id="large", version=2, when="amount > 1000", outcome="block")}, {}, {}, {"large": 2}
).encode()
MESSAGES: dict[str, Message] = {
    "events": EVENTS,
    "labels": LABELS,
    "parts": PARTS,
    "probe": Probe("p", 3, 1_700_000_000_000.5, ["intake of lane 0"]),
    "end": End(3, 12),
    "reports": REPORTS,
    "letters": Letters([b'{"reason":"empty"}']),
    "asked": Asked(-5, ["a"], b"\2", i4(3), i8(10), i8(1_700_000_000_000), [["c1", None, "größe"]]),
    "told": Told(
        -5, ["a"], b"\2", i4(3), i8(10), 2, array("d", [1.5, NAN]).tobytes(), b"\0\1", b"\1", [b'{"metric":"graph"}']
    ),
    "alerts": Alerts([("a81b", b'{"kind":"sequence"}')]),
    "lane time": LaneTime(1, 1_700_000_000_123, True),
    "live": LiveValues([("store:größe:open_30m", b'{"value":3}')]),
    "revise": Revise(
        1_700_000_000_000, 9, 7, [CHANGE], [Mark("list:bad", "customer", "größe", 8, 9, 1_800_000_000_000)]
    ),
    "marker": Marker(1_700_000_000_000, 9, 3),
    "control": Control([b'{"status":"ready"}'], [b'{"change":"take_effect"}']),
    "roll call": RollCall(1_700_000_000_000),
    "activate": Activate(1_700_000_000_000, 9, 12),
    "load": Load(1_700_000_000_000, "7f3a", [Artefact("fraud", "2", "s3://models/fraud-2", "ab" * 32, ("amount",))]),
}
RECORD = Record(
    content_hash=-7,
    event_time=1_700_000_000_000,
    decided_at=1_700_000_000_005,
    outcome=2,
    score=0.875,
    raw_score=0.5,
    model="m@1",
    revision=7,
    late=True,
    approximate=["sum_90d"],
    reasons=[{"feature": "sum_90d", "value": 1.5, "contribution": 0.25, "text": "sum_90d=1.5"}],
    degraded=["card"],
    entities=["customer", "card"],
    keys=["c1", "k1"],
    rules=[{"id": "large", "version": 2, "outcome": "block", "reason": "5000 is too much"}],
    not_evaluated={"busy": ["terminal"]},
    shadow=[{"id": "tiny", "version": 1, "outcome": "review", "reason": ""}],
    models=[("m@1", "champion", 0.5, 0.875, 2)],
    amount=12.5,
    label=(True, 1_700_000_000_006, 3),
)
_BASE = Distribution((1.0,) * 11, (0.25, 0.75), 0.125, 0.5)
OBSERVED: dict[str, Observation] = {
    "observed payments": Payments(
        bucket=3,
        clocks_ms={0: 1_700_000_000_000},
        times_ms=i8(1_700_000_000_000),
        features=["amount"],
        numbers=array("f", [1.5]).tobytes(),
        checked_names=["amount"],
        checked=f8(1.5),
        text_names=["country"],
        texts=b"\1",
        models=["m@1"],
        modes=["champion"],
        raw=f8(0.5),
        scores=f8(0.875),
        deciding=b"\0",
        outcomes=b"\2",
        amounts=f8(NAN),
    ),
    "observed labels": Labelled(
        times_ms=i8(1_700_000_000_000),
        classes=b"\2",
        known_at_ms=i8(1_700_000_000_006),
        before=b"\1",
        before_known_at_ms=i8(1_700_000_000_005),
        models=["m@1"],
        raw=f8(0.5),
        scores=f8(0.875),
        deciding=b"\0",
        outcomes=b"\2",
        amounts=f8(12.5),
    ),
    "observed sheet": Sheet("m@1", 0.5, None, 0.625, Baseline({"amount": _BASE}, _BASE, _BASE)),
}
WAITING = WaitingLabel(1.0, 1_700_000_000_000, 2, "analyst", 472_222, 2, 0, 5, b"{}")
PENDING = [(0, 3, 10, [encode(PARTS)])]


def kept() -> dict[str, bytes]:
    """Return what a bucket keeps of two revisions and their marks, and a lane of records it holds, by key."""
    revisions, marks, held, dues = MemoryStore(), MemoryStore(), MemoryStore(), MemoryStore()
    bucket = KeptRevisions(revisions, 2)
    for number, base in ((7, 0), (9, 7)):
        bucket.prepare(Revise(1, number, base, [CHANGE], []), revisions)
    bucket.mark(Marker(1, 7, 0), revisions)
    KeptMarks(marks).take([Mark("list:bad", "customer", "größe", 8, None, 1_800_000_000_000)], 7, marks)
    HeldRecords(held).hold(["topic\x1f0\x1f1\x1f\x1fVé", "x"])
    KeptDues(dues).add([Due(1_700_000_012_345, "silent", "customer", "größe", 1_700_000_000_000, 7)], dues)
    live = MemoryStore()
    KeptLive(live).tell(
        {("store", "größe"): LastTold(1_700_000_000_000, 1_700_000_012_345, [3, None, "DE", 0.5])}, live
    )
    stores = {"live": live, "revisions": revisions, "marks": marks, "held records": held, "dues": dues}
    return {f"{name}: {key}": data for name, store in stores.items() for key, data in sorted(store.data.items())}


def state() -> dict[str, bytes]:
    """Return the bytes of everything, by name."""
    return {
        **kept(),
        **{name: encode(message) for name, message in MESSAGES.items()},
        "pending": encode_pending(PENDING),
        "waiting labels": encode_labels([WAITING]),
        **{name: encode_observation(one) for name, one in OBSERVED.items()},
        **watched(),
    }


def watched() -> dict[str, bytes]:
    """Return what the monitor keeps behind one batch that is written and one in its journal, by key."""
    monitor = Monitor(
        Monitoring(amount="amount", checks={"amount": Check(most=1.0)}),
        Telling(Monitoring(), {}, silent_is_legit=True),
        Clocks(8),
        late_ms=0,
        labelled=True,
    )
    store = MemoryStore()
    kept = KeptMonitor(monitor, store, 1_000)
    observations = [encode_observation(OBSERVED[name]) for name in ("observed sheet", "observed payments")]
    kept.take(observations, 1_700_000_000_100.0)
    monitor.alarms.on.add(("drift of m@1", "amount"))
    kept.write()
    kept.take([encode_observation(OBSERVED["observed labels"])], 1_700_000_000_200.0)
    return {f"monitor: {key}": data for key, data in store.data.items()}


TEMPLATES = {("large", 2): ("", " is too much"), ("tiny", 1): ("",)}


def record() -> dict[str, bytes]:
    """Return a remembered decision and the names it uses, in the bytes of version 2."""
    names, store = Names(), MemoryStore()
    data = encode_record(RECORD, names, TEMPLATES)
    names.keep(store)
    return {"record": data, **{f"names: {key}": page for key, page in store.data.items()}}
