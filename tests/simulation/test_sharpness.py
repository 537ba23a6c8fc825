"""The simulator finds defects: each of these, planted, breaks a promise within a few dozen seeds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from control_stream import Ack, Govern
from control_stream import Output as ControlOutput
from mitra.decide import Decider, State
from mitra.graph_gather import GraphGather
from mitra.hashing import text_hash
from mitra.held_records import HeldRecords
from mitra.history import History, MemoryStore
from mitra.history.journal import Journal
from mitra.kept_marks import KeptMarks
from mitra.kept_revisions import KeptRevisions
from mitra.messages import Marker, decode
from mitra.route import Router
from mitra.stages.decide import DecideStage
from mitra.stages.intake import Intake
from mitra.waiting_labels import WaitingLabels
from tests.simulation.cluster import Cluster
from tests.simulation.durable import Durable
from tests.simulation.setting import Setting, SharedRevisions
from tests.simulation.simulation import Simulation

SEEDS = 400
FIRST_SEED = {"take_answers_to_earlier_runs": 2_200}
"""Where to begin for a defect that few seeds meet."""
Patch = pytest.MonkeyPatch


def forget_decisions(patch: Patch) -> None:
    commit = Decider.commit

    def forgetful(decider: Decider, state: State, decided: Any) -> None:
        commit(decider, replace(state, decisions=MemoryStore()), decided)

    patch.setattr(Decider, "commit", forgetful)


def forget_parts(patch: Patch) -> None:
    commit = Decider.commit

    def forgetful(decider: Decider, state: State, decided: Any) -> None:
        commit(decider, replace(state, pending=MemoryStore()), decided)

    patch.setattr(Decider, "commit", forgetful)


def mix_duplicates_parts(patch: Patch) -> None:
    from mitra.gather import View  # noqa: PLC0415 - a planted defect

    patch.setattr(View, "identities", lambda self: ((id, 0, 0, 0) for id in self.batch.ids))


def lose_early_labels(patch: Patch) -> None:
    patch.setattr(WaitingLabels, "take", lambda *_: [])


def lose_the_lanes_clock(patch: Patch) -> None:
    start = Cluster.start

    def forgetful(self: Cluster, parallelism: int) -> None:
        for lane in self.durable.lanes.values():
            lane.clock_ms = 0
        start(self, parallelism)

    patch.setattr(Cluster, "start", forgetful)


def lose_what_is_in_flight(patch: Patch) -> None:
    copy = Durable.copy

    def leaky(self: Durable) -> Durable:
        durable = copy(self)
        durable.decide_windows.clear()
        return durable

    patch.setattr(Durable, "copy", leaky)


def keep_histories_in_memory(patch: Patch) -> None:
    """Write every third batch only: the cache knows better until a crash."""
    process = History.process
    calls = [0]

    def lazy(self: History, bucket: int, store: Any, *rest: Any) -> Any:
        calls[0] += 1
        return process(self, bucket, store if calls[0] % 3 else MemoryStore(store.data.copy()), *rest)

    patch.setattr(History, "process", lazy)


def show_labels_too_early(patch: Patch) -> None:
    process = History.process

    def early(self: History, bucket: int, store: Any, events: Any, touches: Any, labels: Any, clock_ms: int) -> Any:
        if labels is not None:
            labels.known_at_ms = labels.known_at_ms - 3_600_000
        return process(self, bucket, store, events, touches, labels, clock_ms)

    patch.setattr(History, "process", early)


def reorder_within_a_batch(patch: Patch) -> None:
    sort = Intake._sort

    def reversed_sort(self: Intake, records: Sequence[str], now_ms: int) -> Any:
        return sort(self, records[::-1], now_ms)

    patch.setattr(Intake, "_sort", reversed_sort)


def take_logins_for_payments(patch: Patch) -> None:
    init = Router.__init__

    def unprefixed(self: Router, *rest: Any) -> None:
        init(self, *rest)
        for kind in self._kinds:
            kind.id_prefix = ""

    patch.setattr(Router, "__init__", unprefixed)
    fresh_settings(patch)


def send_labels_elsewhere(patch: Patch) -> None:
    """Send labels to other buckets than decisions."""
    patch.setattr("mitra.reports.text_hash", lambda text: text_hash(text + "x"))


def fresh_settings(patch: Patch) -> None:
    from tests.simulation import setting, simulation  # noqa: PLC0415 - a planted defect

    patch.setattr(simulation, "setting", setting.setting.__wrapped__)


def stamp_before_all_are_ready(patch: Patch) -> None:
    """Activate a group when the first bucket has it."""
    lowest = Govern._lowest

    def highest(self: Govern, status: str) -> int:
        parts = self._pieces.parts.ready
        return max(map(max, parts.values())) if status == "ready" else lowest(self, status)

    patch.setattr(Govern, "_lowest", highest)


def take_answers_to_earlier_runs(patch: Patch) -> None:
    ack = Govern.ack

    def credulous(self: Govern, said: Ack, now_ms: int) -> Any:
        return ack(self, msgspec.structs.replace(said, attempt=self._attempt), now_ms)

    patch.setattr(Govern, "ack", credulous)


def pass_the_first_marker_on(patch: Patch) -> None:
    """Say that all senders have come further when one has: its marker overtakes what the others have sent."""
    mark = KeptRevisions.mark

    def hasty(self: KeptRevisions, marker: Marker, store: Any, oldest: int | None = None) -> Any:
        markers = [Marker(marker.attempt, marker.revision, part) for part in range(self._senders)]
        return [mark(self, one, store, oldest) for one in markers][-1]

    patch.setattr(KeptRevisions, "mark", hasty)


def mark_before_the_parts(patch: Patch) -> None:
    """Let the markers of a batch go before its parts."""
    process = DecideStage.process

    def hasty(self: DecideStage, bucket: int, state: State, blobs: Any) -> Any:
        blobs = list(blobs)
        markers = [blob for blob in blobs if isinstance(decode(blob), Marker)]
        told = process(self, bucket, state, markers)
        out = process(self, bucket, state, [blob for blob in blobs if blob not in markers])
        out.acks += told.acks
        return out

    patch.setattr(DecideStage, "process", hasty)


def retire_what_waits_for_the_graph(patch: Patch) -> None:
    """Let a revision go while payments wait under it for the graph."""
    patch.setattr(GraphGather, "oldest", lambda self: None)


def decide_without_the_graph_at_a_marker(patch: Patch) -> None:
    """Let nothing wait for the graph over a change of rules."""
    told = DecideStage._told

    def hasty(self: DecideStage, bucket: int, message: Any, state: State, out: Any) -> None:
        if self._graph is not None and isinstance(message, Marker):
            gather = self._gather_of(bucket, state)
            gather.waits = {one: wait._replace(due_ms=0.0) for one, wait in gather.waits.items()}
            self._gather(bucket, state, (), (), out)
        told(self, bucket, message, state, out)

    patch.setattr(DecideStage, "_told", hasty)


def retire_at_once(patch: Patch) -> None:
    """Keep but the newest revision."""
    prepare = KeptRevisions.prepare

    def forgetful(self: KeptRevisions, revise: Any, store: Any) -> None:
        prepare(self, revise, store)
        self.live_sets = {max(self.live_sets): self.live_sets[max(self.live_sets)]}

    patch.setattr(KeptRevisions, "prepare", forgetful)
    keep = SharedRevisions.prepare

    def keep_only(self: SharedRevisions, bucket: int, revise: Any, store: Any) -> bool:
        fresh = keep(self, bucket, revise, store)
        for number in self._known.keys() - self._kept[bucket].live_sets.keys():
            del self._known[number]
        return fresh

    patch.setattr(SharedRevisions, "prepare", keep_only)


def mark_whatever_the_revision(patch: Patch) -> None:
    names = KeptMarks.names

    def timeless(self: KeptMarks, entity: str, key: str, revision: int, time_ms: int, store: Any) -> Any:
        return names(self, entity, key, 1 << 40, time_ms, store)

    patch.setattr(KeptMarks, "names", timeless)


def forget_snoozes_and_lists_after_a_crash(patch: Patch) -> None:
    patch.setattr(KeptMarks, "_page", lambda self, number, store: self._pages.setdefault(number, {}))


def judge_by_the_newest_rules(patch: Patch) -> None:
    decider = DecideStage._decider
    patch.setattr(DecideStage, "_decider", lambda self, number: decider(self, max(self._revisions._known)))


def hold_nothing(patch: Patch) -> None:
    intake = Setting.intake
    patch.setattr(Setting, "intake", lambda self, control_end: intake(self, 0))


def forget_what_is_held(patch: Patch) -> None:
    patch.setattr(HeldRecords, "hold", lambda self, records: None)


def tell_once_only(patch: Patch) -> None:
    """Never ask again for what a crash has lost."""
    patch.setattr(Govern, "tick", lambda self, now_ms: ControlOutput())


def ignore_the_journal(patch: Patch) -> None:
    patch.setattr(History, "_apply", lambda *_: None)


def trim_the_journal_too_early(patch: Patch) -> None:
    trim = Journal.trim
    patch.setattr("mitra.history.journal.TRIM", 1)
    patch.setattr(Journal, "trim", lambda self, needed, *rest: trim(self, self.next, *rest))


def read_before_an_older_plans_rest_is_written(patch: Patch) -> None:
    patch.setattr("mitra.history.loading.settle", lambda *_: None)


CONTROL_DEFECTS: tuple[Callable[[Patch], None], ...] = (
    stamp_before_all_are_ready,
    take_answers_to_earlier_runs,
    pass_the_first_marker_on,
    mark_before_the_parts,
    retire_what_waits_for_the_graph,
    decide_without_the_graph_at_a_marker,
    retire_at_once,
    mark_whatever_the_revision,
    forget_snoozes_and_lists_after_a_crash,
    judge_by_the_newest_rules,
    hold_nothing,
    forget_what_is_held,
    tell_once_only,
)

DEFECTS: tuple[Callable[[Patch], None], ...] = (
    ignore_the_journal,
    trim_the_journal_too_early,
    read_before_an_older_plans_rest_is_written,
    forget_decisions,
    forget_parts,
    mix_duplicates_parts,
    lose_early_labels,
    lose_the_lanes_clock,
    lose_what_is_in_flight,
    keep_histories_in_memory,
    show_labels_too_early,
    reorder_within_a_batch,
    take_logins_for_payments,
    send_labels_elsewhere,
)


@pytest.mark.parametrize("plant", DEFECTS + CONTROL_DEFECTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    first = FIRST_SEED.get(plant.__name__, 0)
    for seed in range(first, first + SEEDS):
        try:
            Simulation(seed).run()
        except Exception:  # noqa: BLE001 - a broken promise or a stage that trips over it
            return
    pytest.fail(f"{SEEDS} seeds pass with the defect {plant.__name__}")
