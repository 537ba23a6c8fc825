"""Spans of event time as people write them: `2018-07-25..2018-07-31`, or with clock times."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from models.errors import TrainingError

DAY_MS = 86_400_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Span:
    """Event times in epoch milliseconds, `from_ms` included, `to_ms` not."""

    from_ms: int
    to_ms: int

    def __str__(self) -> str:
        """Return the span as `from … to`, in UTC, its end not included."""
        return f"{show_time(self.from_ms)} … {show_time(self.to_ms)}"


def parse_span(text: str, name: str) -> Span:
    """Return the span that FROM..TO means; `name` is the option's, for the error.

    A date as FROM is the day's beginning, as TO its end: both days are included whole. A timestamp as TO is not
    included. Times without a zone are UTC.

    >>> str(parse_span("2018-07-25..2018-07-31", "train"))
    '2018-07-25 … 2018-08-01'
    """
    first, dots, last = text.partition("..")
    try:
        if not dots:
            raise ValueError  # noqa: TRY301 - same message
        span = Span(_moment_ms(first.strip(), end=False), _moment_ms(last.strip(), end=True))
    except (ValueError, OverflowError) as error:
        msg = f"{name}={text!r} is not FROM..TO; write two dates (2018-07-25..2018-07-31) or timestamps (ISO 8601, UTC)"
        raise TrainingError(msg) from error
    if span.from_ms >= span.to_ms:
        msg = f"{name}={text!r} ends before it begins; put the earlier one first"
        raise TrainingError(msg)
    return span


def show_time(moment_ms: int) -> str:
    """Return epoch milliseconds as a UTC date, with the time where it isn't midnight."""
    moment = datetime.fromtimestamp(moment_ms / 1000, tz=UTC)
    whole_day = moment_ms % DAY_MS == 0
    return moment.date().isoformat() if whole_day else moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _moment_ms(text: str, *, end: bool) -> int:
    if _DAY.fullmatch(text):
        day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    else:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
