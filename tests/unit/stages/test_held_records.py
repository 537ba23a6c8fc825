"""Records that a lane holds come out whole, in order, once, also after a restart."""

from mitra.held_records import HeldRecords
from mitra.history import MemoryStore


def test_batches_come_out_in_order_and_once() -> None:
    store = MemoryStore()
    HeldRecords(store).hold(["a\x1fé", "b"])
    held = HeldRecords(store)
    held.hold(["c"])
    assert held.batches == 2
    assert list(HeldRecords(store).release()) == [["a\x1fé", "b"], ["c"]]
    assert store.data == {}
    assert list(HeldRecords(store).release()) == []
