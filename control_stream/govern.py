"""Govern: takes changes one by one, gives each its revision, and brings revisions to every part of the job in two steps.

Pure: what it knows lies in a store, what it wants done is in the `Output`. First a group of changes is *prepared*: every
bucket gets it and says `ready`. When all are, it is *activated*: lanes stamp its revision from then on. Changes that come
meanwhile wait, and are the next group; its revision is that of its last change.
"""

import msgspec

from control_stream.acks import Ack, Stage, Status
from control_stream.budget import require_budget
from control_stream.changes import Change, ListAdd, ListRemove, Rollback, Snooze, TakeEffect, TurnDown, read_change
from control_stream.live_models import new_artefacts
from control_stream.live_set import Context, LiveSet
from control_stream.marks import Mark, Place, Wanted, before, moves, wanted_by
from control_stream.pieces import Pieces, Store
from control_stream.refusal import Refusal, Refused
from control_stream.trials import Load, Trial, find
from mitra.hashing import bytes_hash

RESEND_MS = 5_000
"""An answer that takes longer was lost to a restore."""

_GROUP_MARKS = 50_000
"""Marks of one group, by which its message is some megabytes; a single change may have more."""

_NULL = b"\0null"  # is no JSON: a null value's hash is that of no other record that could be taken
_encode_record = msgspec.json.Encoder().encode


class Prepare(msgspec.Struct, array_like=True):
    """To every history and decide bucket: keep revision `revision`, built on `base`, beside the others, and ack ready.

    `changes` are encoded Deltas to patch the live set of `base` with, in order; `marks` are for the histories. A revision
    that a bucket has already is acked again. Acks carry `attempt`.
    """

    attempt: int
    revision: int
    base: int
    changes: list[bytes]
    marks: list[Mark]


class Activate(msgspec.Struct, array_like=True):
    """To every lane: stamp `revision` from now on, send a marker behind it, and ack active with `attempt`.

    The same revision again: the marker and the ack again. Of the control topic everything before `read_to` is settled:
    refused, or part of `revision`.
    """

    attempt: int
    revision: int
    read_to: int


class Output(msgspec.Struct):
    """What govern wants done: messages to the buckets and to the lanes, acks, and records for the control topic itself.

    `load` are models that the decide buckets shall try. `roll_call`: every part shall ack `running` with its revision.
    """

    prepare: list[Prepare] = []
    activate: list[Activate] = []
    acks: list[Ack] = []
    publish: list[bytes] = []
    load: list[Load] = []
    roll_call: bool = False


class Govern:
    """The state machine of revisions over `lanes` lanes of intake, and `buckets` buckets of history and of decide."""

    def __init__(
        self,
        store: Store,
        context: Context,
        *,
        lanes: int,
        buckets: int,
        attempt: int,
        first: int = 0,
        begins_at: int = 0,
    ) -> None:
        """Go on where `store` left off. `attempt`: a number that no earlier run has had, like the wall clock at its start.

        `first` is the control topic's first offset at the start; what lies before `begins_at` is passed over.
        """
        self._pieces = Pieces(store)
        self._context = context
        self._attempt = attempt
        self._first = first
        self._begins_at = begins_at
        self._pieces.header.read = max(self._pieces.header.read, begins_at)
        self._sizes: dict[str, int] = {"intake": lanes, "history": buckets, "decide": buckets}
        self._prepared_ms = self._activated_ms = -RESEND_MS
        self._published: dict[str, int] = {}
        """When this run last wrote that the time of a scheduled change has come, by the change's id."""
        parts = self._pieces.parts
        parts.ready = {stage: _sized(parts.ready.get(stage), buckets) for stage in ("history", "decide")}
        parts.active = {stage: _sized(parts.active.get(stage), size) for stage, size in self._sizes.items()}
        for trial in self._pieces.trials:  # what a bucket had loaded went with its process
            trial.loaded, trial.asked_ms, trial.published_ms = [0] * buckets, 0, 0

    @property
    def live(self) -> LiveSet:
        """What is live when all that was accepted is active."""
        return self._pieces.live

    @property
    def head(self) -> int:
        """The last accepted revision."""
        return self._pieces.header.head

    @property
    def activated(self) -> int:
        """The revision that lanes have been told to stamp."""
        return self._pieces.header.activated

    @property
    def read(self) -> int:
        """The next offset of the control topic."""
        return self._pieces.header.read

    @property
    def settled(self) -> bool:
        """Tell whether every part runs all that was accepted."""
        return self.head == self.activated and self._lowest("active") >= self.activated

    def control(self, offset: int, data: bytes | None, now_ms: int) -> Output:
        """Take one record of the control topic. One that was read before is ignored; another in its place is refused."""
        output = Output()
        if offset < self._begins_at:
            return output
        content = bytes_hash(_NULL if data is None else data)
        if offset < self.read:
            if self._pieces.hash_at(offset) != content:
                output.acks.append(self._other_log(offset, now_ms))
            return output
        if self.read < min(self._first, offset):
            output.acks.append(self._gap(now_ms))
        self._pieces.note_hash(offset, content)
        self._pieces.header.read = offset + 1
        output.acks.append(self._take(offset + 1, data, now_ms))
        self._publish_due(now_ms, output)
        self._go_on_trying(now_ms, output)
        return self._advance(now_ms, output)

    def ack(self, ack: Ack, now_ms: int) -> Output:
        """Take one record of control-acks. Those of govern itself, and answers to an earlier run, say nothing new."""
        output = Output()
        if ack.status in {"loaded", "failed"}:
            trial = find(self._pieces.trials, ack.id)
            if trial is not None and ack.attempt == self._attempt and ack.stage == "decide":
                trial.take(ack)
                self._go_on_trying(now_ms, output)
                self._pieces.save()
            return output
        reached = {"ready": self._pieces.parts.ready, "active": self._pieces.parts.active}.get(ack.status, {})
        parts = reached.get(ack.stage, [])
        asked = max(self.activated, *self._pieces.header.preparing, 0)
        if (
            ack.attempt != self._attempt
            or not 0 <= ack.part < len(parts)
            or not parts[ack.part] < ack.revision <= asked
        ):
            return output
        parts[ack.part] = ack.revision
        return self._advance(now_ms, output)

    def tick(self, now_ms: int) -> Output:
        """Ask again for what was not answered in time; at the start of a run at once. To be called every second or so."""
        output = Output()
        if self._pieces.header.preparing and now_ms - self._prepared_ms >= RESEND_MS:
            self._prepare(now_ms, output)
        started = self._activated_ms >= 0
        if now_ms - self._activated_ms >= RESEND_MS and not (started and self._lowest("active") >= self.activated):
            self._activate(now_ms, output)
        self._publish_due(now_ms, output)
        self._go_on_trying(now_ms, output)
        self._pieces.save()
        return output

    @staticmethod
    def roll_call() -> Output:
        """Ask every part for the revision that it runs."""
        return Output(roll_call=True)

    def _take(self, revision: int, data: bytes | None, now_ms: int) -> Ack:
        change = read_change(data, self._context.limits)
        if isinstance(change, Refusal):
            ack = self._ack(change.id, revision, "refused", now_ms, change.reason, change.place, change.hint)
            # Where changes are signed, an id is only its author's after the signature has been checked.
            if not change.id or self._context.authorize is not None:
                return ack
            known = self._pieces.answer(change.id)
            return self._answered(ack) if known is None else self._again(known, now_ms)
        if isinstance(change.body, TakeEffect | TurnDown):
            return self._take_waiting(change, change.body, revision, now_ms)
        try:
            self._authorize(change, revision)
        except Refused as refused:
            return self._refused(change, revision, refused, now_ms)
        known = self._pieces.answer(change.id)
        if known is not None:
            return self._again(known, now_ms)
        if change.effective_at_ms is None:
            return self._answered(self._try_or_apply(change, revision, data or b"", now_ms))
        return self._answered(self._schedule(change, revision, data or b"", now_ms))

    def _again(self, known: Ack, now_ms: int) -> Ack:
        return msgspec.structs.replace(known, attempt=self._attempt, at=now_ms)

    def _answered(self, ack: Ack) -> Ack:
        self._pieces.remember(ack)
        return ack

    def _schedule(self, change: Change, revision: int, data: bytes, now_ms: int) -> Ack:
        at_ms = change.effective_at_ms or 0
        try:
            if not isinstance(change.body, Rollback):
                self.live.apply(change, self._context)
        except Refused as refused:
            return self._refused(change, revision, refused, now_ms)
        self._pieces.schedule(at_ms, change.id, data)
        return self._ack(change.id, revision, "scheduled", now_ms)

    def _try_or_apply(self, change: Change, revision: int, data: bytes, now_ms: int) -> Ack:
        """Make a change; one that brings models waits until every decide bucket has them."""
        try:
            if isinstance(change.body, Rollback):
                after, _ = self._as_of(change.body.to)
            else:
                after = self.live.apply(change, self._context)
        except Refused as refused:
            return self._refused(change, revision, refused, now_ms)
        artefacts = new_artefacts(self.live.models, after.models)
        if not artefacts:
            return self._apply(change, revision, now_ms)
        self._pieces.try_out(Trial(change.id, artefacts, [0] * self._sizes["decide"]), data)
        return self._ack(change.id, revision, "loading", now_ms)

    def _go_on_trying(self, now_ms: int, output: Output) -> None:
        """Ask for models to be loaded, and write down what came of it; both again where nothing came of that in time."""
        for trial in self._pieces.trials:
            if trial.decided and now_ms - trial.published_ms >= RESEND_MS:
                output.publish.append(trial.record())
                trial.published_ms = now_ms
            elif not trial.decided and now_ms - trial.asked_ms >= RESEND_MS:
                output.load.append(Load(self._attempt, trial.id, trial.artefacts))
                trial.asked_ms = now_ms

    def _take_waiting(self, record: Change, body: TakeEffect | TurnDown, revision: int, now_ms: int) -> Ack:
        # Its time is not looked at, nor who has its models: read again after a crash, under a clock that is behind, or with
        # the models' store gone, the log must say the same.
        waiting = {change_id for _, change_id in self._pieces.header.scheduled}
        waiting |= {trial.id for trial in self._pieces.trials}
        if body.of not in waiting:
            hint = "it never waited, or waits no more"
            return self._ack("", revision, "refused", now_ms, f'no change "{body.of}" is due', "of", hint)
        self._published.pop(body.of, None)
        change = read_change(self._pieces.take_waiting(body.of), self._context.limits)
        assert isinstance(change, Change), "it was read before it waited"
        if isinstance(body, TurnDown):
            hint = "what was live goes on"
            return self._answered(self._refused(change, revision, Refused("uri", record.reason, hint), now_ms))
        try:
            # What is live has gone on: what was a rule for review when the change was sent may block by now.
            self._authorize(change, revision)
        except Refused as refused:
            return self._answered(self._refused(change, revision, refused, now_ms))
        return self._answered(self._apply(change, revision, now_ms))

    def _authorize(self, change: Change, revision: int) -> None:
        if self._context.authorize is not None:
            self._context.authorize(change, self.live, revision)

    def _apply(self, change: Change, revision: int, now_ms: int) -> Ack:
        note = ""
        try:
            match change.body:
                case Rollback(to):
                    after, wanted = self._as_of(to)
                case ListAdd() | ListRemove() | Snooze() as body:
                    after, wanted = self.live.apply(change, self._context), wanted_by(body, self.live.lists)
                    note = self._unknown_keys(body)
                case _:
                    after, wanted = self.live.apply(change, self._context), []
        except Refused as refused:
            return self._refused(change, revision, refused, now_ms)
        self._pieces.accept(revision, after, moves(wanted, revision, self._pieces.open_mark))
        self._trim()
        return self._ack(change.id, revision, "prepared", now_ms, note)

    def _unknown_keys(self, body: ListAdd | ListRemove | Snooze) -> str:
        if not isinstance(body, ListRemove):
            return ""
        wanted = wanted_by(body, self.live.lists)
        unknown = [place[2] for place, _, _ in wanted if self._pieces.open_mark(place) is None]
        listed = f"{', '.join(unknown[:10])}{', …' if len(unknown) > 10 else ''}"
        return f'{len(unknown)} of {len(wanted)} keys were not on "{body.name}": {listed}' if unknown else ""

    def _as_of(self, to: int) -> tuple[LiveSet, list[Wanted]]:
        """Return the live set as of a revision, and what was marked then that is not now or the other way round."""
        header = self._pieces.header
        undone = [revision for revision in header.kept if revision > to]
        if to > header.head:
            raise Refused("to", f"there is no revision {to} yet", f"the last one is {header.head}")
        if to < header.trimmed:
            raise Refused("to", f"revision {to} is too far back", f"the oldest to return to is {header.trimmed}")
        if not undone:
            raise Refused("to", f"nothing has changed since revision {to}", "it is what is live")
        live, wanted = self.live, dict[Place, Wanted]()
        for revision in reversed(undone):
            live = live.patched(self._pieces.accepted(revision).backward)
            wanted |= before(self._pieces.marks(revision))
        live.check(self._context)
        require_budget("to", self.live, live, self._context)
        return live, list(wanted.values())

    def _trim(self) -> None:
        header = self._pieces.header
        old = header.kept[: max(0, len(header.kept) - self._context.limits.revisions)]
        pending = {*header.preparing, *header.waiting}
        self._pieces.trim(revision for revision in old if revision not in pending)

    def _advance(self, now_ms: int, output: Output) -> Output:
        """Go on to the next step where the last one is done, and save."""
        header = self._pieces.header
        if header.preparing and self._lowest("ready") >= header.preparing[-1]:
            header.activated, header.preparing = header.preparing[-1], []
        if not header.preparing and header.waiting:
            header.preparing, header.waiting = self._next_group(header.waiting)
            self._prepare(now_ms, output)
        if header.told != (header.activated, self._read_to()):
            self._activate(now_ms, output)
        self._pieces.save()
        return output

    def _next_group(self, waiting: list[int]) -> tuple[list[int], list[int]]:
        marks = 0
        for place, revision in enumerate(waiting):
            marks += self._pieces.accepted(revision).marks
            if place and marks > _GROUP_MARKS:
                return waiting[:place], waiting[place:]
        return waiting, []

    def _prepare(self, now_ms: int, output: Output) -> None:
        group = self._pieces.header.preparing
        changes = [self._pieces.accepted(revision).forward.encode() for revision in group]
        marks = [mark for revision in group for mark in self._pieces.marks(revision)]
        output.prepare.append(Prepare(self._attempt, group[-1], self.activated, changes, marks))
        self._prepared_ms = now_ms

    def _activate(self, now_ms: int, output: Output) -> None:
        header = self._pieces.header
        header.told = (header.activated, self._read_to())
        output.activate.append(Activate(self._attempt, *header.told))
        self._activated_ms = now_ms

    def _read_to(self) -> int:
        """Return up to where the log is settled: the first change that is accepted and not active, or all that was read."""
        header = self._pieces.header
        pending = [*header.preparing, *header.waiting]
        return pending[0] - 1 if pending else header.read

    def _lowest(self, status: str) -> int:
        parts = self._pieces.parts
        return min(min(numbers) for numbers in (parts.ready if status == "ready" else parts.active).values())

    def _publish_due(self, now_ms: int, output: Output) -> None:
        # Once, and again only if it doesn't come: behind a restore a whole log may stand before the record that was written.
        for at_ms, change_id in self._pieces.header.scheduled:
            if at_ms <= now_ms and now_ms - self._published.get(change_id, -RESEND_MS) >= RESEND_MS:
                output.publish.append(_take_effect(change_id))
                self._published[change_id] = now_ms

    def _refused(self, change: Change, revision: int, refused: Refused, now_ms: int) -> Ack:
        return self._ack(change.id, revision, "refused", now_ms, refused.reason, refused.place, refused.hint)

    def _other_log(self, offset: int, now_ms: int) -> Ack:
        reason = f"offset={offset} was read before, up to {self.read}, and held something else: this is another control topic"
        hint = "nothing of it is taken: bring the old topic back, or start a job without state on the new one"
        return self._ack("", self.activated, "refused", now_ms, reason, f"offset {offset}", hint)

    def _gap(self, now_ms: int) -> Ack:
        last = self._first - 1
        reason = f"changes at offsets {self.read} to {last} were deleted before this job had read them"
        hint = "what is live lacks them: send them again, and keep the topic for ever (retention.ms=-1)"
        return self._ack("", self.activated, "refused", now_ms, reason, f"offsets {self.read} to {last}", hint)

    def _ack(
        self,
        change_id: str,
        revision: int,
        status: Status,
        now_ms: int,
        reason: str = "",
        place: str = "",
        hint: str = "",
    ) -> Ack:
        stage: Stage = "govern"
        return Ack(
            id=change_id, revision=revision, status=status, stage=stage, part=0, parts=1, subtask=0,
            attempt=self._attempt, at=now_ms, reason=reason, place=place, hint=hint,
        )  # fmt: skip


def _sized(numbers: list[int] | None, size: int) -> list[int]:
    """Return the revisions of so many parts; after a change of their number all have to say theirs again."""
    return numbers if numbers is not None and len(numbers) == size else [0] * size


def _take_effect(change_id: str) -> bytes:
    record = {
        "change": "take_effect",
        "of": change_id,
        "id": f"take-effect:{change_id}"[:128],
        "author": "govern",
        "reason": "effective_at has come",
    }
    return _encode_record(record)
