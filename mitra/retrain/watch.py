"""When to retrain: a drift or quality alarm on the monitor topic, or a schedule, and not again too soon."""

from collections.abc import Iterable, Mapping
from typing import Any

from mitra.retrain.settings import Retraining

REASONS = frozenset({"drift", "missing", "score", "quality"})
"""What alarms are about that a model trained anew may mend; volume and checks are for whoever sends the data."""


class Watch:
    """Decides when it is time. Clocks are epoch milliseconds."""

    def __init__(self, settings: Retraining, started_ms: int) -> None:
        """Begin the schedule now; an alarm counts at once."""
        self._settings = settings
        self._last_ms: int | None = None
        self._scheduled_ms = started_ms + settings.every_ms
        self._alarm: str | None = None

    def hear(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take records of the monitor topic; the newest alarm that was raised waits until there is time for it."""
        for one in records:
            if one.get("metric") == "alarm" and one.get("about") in REASONS and one.get("raised"):
                model = f" of {one['model']}" if "model" in one else ""
                self._alarm = f"{one['about']}{model}: {', '.join(one['raised'])}"

    def due(self, now_ms: int) -> str | None:
        """Return why it is time to retrain, None while it isn't; what is returned counts as done."""
        if self._last_ms is not None and now_ms < self._last_ms + self._settings.rest_ms:
            return None
        why = f"an alarm, {self._alarm}" if self._alarm else "the schedule" if now_ms >= self._scheduled_ms else None
        if why is not None:
            self._last_ms, self._alarm = now_ms, None
            self._scheduled_ms = now_ms + self._settings.every_ms
        return why
