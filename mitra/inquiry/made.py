"""What was live under a revision, and who made it, from the control log up to there."""

from dataclasses import dataclass, field

from control_stream import Context, LiveSet, Mark
from mitra.control.replay import Entry, Replay
from mitra.control.topics import ControlTopics


@dataclass(frozen=True, slots=True)
class Made:
    """A revision: what is live under it, who is marked, and all changes up to it. `note`: what doesn't fit, if something doesn't."""

    revision: int
    live: LiveSet
    entries: tuple[Entry, ...] = ()
    marks: tuple[Mark, ...] = field(default=(), repr=False)
    note: str = ""

    @property
    def maker(self) -> Entry | None:
        """The change that made it; None for revision 0, which nobody made."""
        return next((self._asked(one) for one in reversed(self.entries) if one.revision == self.revision), None)

    def maker_of(self, rule_id: str) -> Entry | None:
        """Return the last change of a rule up to here."""
        for one in reversed(self.entries):
            asked = self._asked(one)
            if one.changed and asked.about == rule_id and asked.kind.startswith("rule."):
                return asked
        return None

    def _asked(self, entry: Entry) -> Entry:
        """Return the change itself where an entry only says that a scheduled one has taken effect."""
        if entry.kind != "take_effect":
            return entry
        return next((one for one in self.entries if one.id == entry.about and one.became == "scheduled"), entry)


def made(topics: ControlTopics, context: Context, revision: int) -> Made:
    """Read the control log up to a revision. What no job of this pipeline would have made of it is noted."""
    replay = Replay(context)
    entries = []
    if revision:
        for record in topics.log(0):
            entries.append(replay.take(record))
            if record.offset + 1 >= revision:
                break
    note = ""
    if replay.read < revision:
        note = f"the control topic ends at revision {replay.read}, before {revision}: it isn't the one of that job"
    elif replay.head != revision:
        note = f"by the control log the last revision up to {revision} is {replay.head}: that job ran with another pipeline file"
    return Made(revision, replay.live, tuple(entries), tuple(replay.marks.values()), note)
