"""Messages between stages and what decide remembers lie in savepoints: their bytes are kept in files, a version each.

A change of bytes needs a new version beside the old one, a reader for the old one, and a line in the changelog.
"""

import json
from pathlib import Path

import msgspec
import pytest

from mitra.gather import decode_pending
from mitra.held_records import HeldRecords
from mitra.history import MemoryStore
from mitra.kept_dues import KeptDues
from mitra.kept_marks import KeptMarks
from mitra.kept_revisions import KeptRevisions
from mitra.messages import Message, UnknownMessageError, decode, encode
from mitra.monitoring.clocks import Clocks
from mitra.monitoring.kept import KeptMonitor
from mitra.monitoring.monitor import Monitor
from mitra.monitoring.observed import decode as decode_observation
from mitra.monitoring.observed import encode as encode_observation
from mitra.monitoring.settings import Monitoring
from mitra.monitoring.told import Telling
from mitra.names import Names, UnknownNamesError
from mitra.remembered import UnknownRecordError, decode_record, with_label
from mitra.waiting_labels import UnknownWaitingError, decode_labels
from tests.golden.messages.samples import MESSAGES, OBSERVED, PENDING, RECORD, WAITING, record, state


def golden(name: str) -> dict[str, bytes]:
    written = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return {one: bytes.fromhex(data) for one, data in written.items()}


GOLDEN = golden("version-1.json")
OLD_RECORD = GOLDEN.pop("record")
GOLDEN_RECORD = golden("record-2.json")


def test_nothing_is_left_out() -> None:
    assert set(GOLDEN) == set(state())
    assert {type(message) for message in MESSAGES.values()} == set(Message.__args__)


@pytest.mark.parametrize("name", GOLDEN)
def test_todays_bytes_are_the_golden_ones(name: str) -> None:
    assert state()[name].hex() == GOLDEN[name].hex()


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_messages_are_read(name: str) -> None:
    found = decode(GOLDEN[name])
    assert type(found) is type(MESSAGES[name])
    # Compared as bytes: a NaN does not equal itself.
    assert encode(found) == encode(MESSAGES[name])


def test_golden_state_of_decide_is_read() -> None:
    assert decode_pending(GOLDEN["pending"]) == PENDING
    assert decode_labels(GOLDEN["waiting labels"]) == [WAITING]


def test_remembered_decisions_are_read_in_both_versions() -> None:
    assert {name: data.hex() for name, data in record().items()} == {
        name: data.hex() for name, data in GOLDEN_RECORD.items()
    }
    store = MemoryStore({name[7:]: data for name, data in GOLDEN_RECORD.items() if name.startswith("names: ")})
    names = Names(store)
    assert decode_record(GOLDEN_RECORD["record"], names) == RECORD
    assert decode_record(OLD_RECORD, Names()) == RECORD
    label = (False, 1_700_000_000_009, 4)
    for data in (OLD_RECORD, GOLDEN_RECORD["record"]):
        assert decode_record(with_label(data, label, names), names) == msgspec.structs.replace(RECORD, label=label)


def test_golden_observations_and_the_monitor_s_state_are_read() -> None:
    for name, one in OBSERVED.items():
        assert encode_observation(decode_observation(GOLDEN[name])) == encode_observation(one)
    store = MemoryStore({name[9:]: data for name, data in GOLDEN.items() if name.startswith("monitor: ")})
    telling = Telling(Monitoring(), {}, silent_is_legit=True)
    monitor = Monitor(Monitoring(), telling, Clocks(8), late_ms=0, labelled=True)
    KeptMonitor(monitor, store, 1_000)
    (window,) = monitor.windows.values()
    assert (window.payments, list(monitor.sheets)) == (1, ["m@1"])
    assert monitor.alarms.on == {("drift of m@1", "amount")}
    assert window.tally("m@1", "scored").figures(silent_is_legit=True, money=True)["frauds"] == 1


def test_golden_revisions_marks_and_held_records_are_read() -> None:
    stores: dict[str, MemoryStore] = {}
    for name, data in GOLDEN.items():
        store, found, key = name.partition(": ")
        if found:
            stores.setdefault(store, MemoryStore()).data[key] = data
    revisions = KeptRevisions(stores["revisions"], 2)
    assert list(revisions.numbers) == [0, 7, 9]
    assert [rule.when for rule in revisions.live_sets[9].rules.values()] == ["amount > 1000"]
    marks = KeptMarks(stores["marks"])
    assert marks.names("customer", "größe", 8, 0, stores["marks"]) == ["list:bad"]
    dues = KeptDues(stores["dues"])
    assert dues.take(1_700_000_012_345, stores["dues"]) == []
    (due,) = dues.take(1_700_000_012_346, stores["dues"])
    assert (due.sequence, due.key, due.time_ms, due.arrival) == ("silent", "größe", 1_700_000_000_000, 7)
    assert stores["dues"].data == {}
    assert list(HeldRecords(stores["held records"]).release()) == [["topic\x1f0\x1f1\x1f\x1fVé", "x"]]


def test_bytes_of_a_later_version_are_refused_with_what_to_do() -> None:
    later = {name: bytes((*data[:1], data[1] + 1, *data[2:])) for name, data in GOLDEN.items() if name in MESSAGES}
    for data in later.values():
        with pytest.raises(UnknownMessageError, match=r"version=2.*run the release that wrote the savepoint"):
            decode(data)
    with pytest.raises(UnknownMessageError, match="kind=200"):
        decode(b"\xc8\x01")
    with pytest.raises(UnknownMessageError, match="0 bytes"):
        decode(b"")
    with pytest.raises(UnknownMessageError, match="version=2, this release reads 1"):
        decode_pending(b"\x02" + GOLDEN["pending"][1:])
    with pytest.raises(UnknownRecordError, match="version=3, this release reads up to 2"):
        decode_record(b"\x03" + GOLDEN_RECORD["record"][1:], Names())
    ((page, data),) = [one for one in GOLDEN_RECORD.items() if one[0].startswith("names: ")]
    with pytest.raises(UnknownNamesError, match="version=2, this release reads 1"):
        Names(MemoryStore({page[7:]: b"\x02" + data[1:]}))
    with pytest.raises(UnknownWaitingError, match="version=2, this release reads 1"):
        decode_labels(b"\x02" + GOLDEN["waiting labels"][1:])
