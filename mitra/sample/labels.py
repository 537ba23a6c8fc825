"""When a payment's label becomes known: a fraud when it is noticed and reported, an honest one by a week's silence.

The time follows from the transaction's number alone, so a label needs no stream and no memory.
"""

import numpy as np

from mitra.sample.columns import Ints, Mask, Payments, Words
from mitra.sample.streams import as_uniform, mix
from mitra.sample.tags import IS_FRAUD

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SILENCE_MS = 7 * DAY_MS
_SOONEST_MS = 2 * HOUR_MS
_MEAN_MS = 2.5 * DAY_MS  # half are reported within two days, one in twenty after more than a week
_LATEST_MS = 30 * DAY_MS
_SALT = np.uint64(0x6C6162656C)  # "label": apart from any other use of the number


def known_at_ms(payments: Payments) -> Ints:
    """Return the epoch ms at which each payment's label becomes known."""
    return reported_ms(payments.id, payments.time_ms, np.array(IS_FRAUD)[payments.tag])


def reported_ms(id: Words, time_ms: Ints, fraud: Mask) -> Ints:
    """Return the epoch ms at which it becomes known of each transaction whether it was a fraud."""
    uniform = as_uniform(mix(id ^ _SALT))
    reported = np.minimum(_SOONEST_MS - _MEAN_MS * np.log1p(-uniform), _LATEST_MS).astype(np.int64)
    known: Ints = time_ms + np.where(fraud, reported, SILENCE_MS)
    return known
