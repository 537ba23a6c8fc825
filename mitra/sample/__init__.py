"""Sample payments, seeded: a small world of customers, shops and devices, with named frauds and honest look-alikes.

`write_sample` fills files, `live_payments` never ends. The same seed gives the same bytes on any machine with the
locked versions of numpy and pyarrow.
"""

from mitra.sample.files import Summary, write_sample
from mitra.sample.live import Payment, live_payments

__all__ = ["Payment", "Summary", "live_payments", "write_sample"]
