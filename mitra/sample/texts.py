"""Payments as texts: identifiers, JSON messages and Arrow tables, the same values in each.

A customer is `c0000012`, their cards `k00000121` and `k00000122`, terminals `t0000003`, merchants `m0000001`;
transactions and devices are 16 hexadecimal digits.
"""

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mitra.sample import categories, tags
from mitra.sample.addresses import Writer
from mitra.sample.columns import NO_DEVICE, Payments, Words
from mitra.sample.geography import CITY_COUNTRY, COUNTRIES, CURRENCY_OF
from mitra.sample.labels import known_at_ms
from mitra.sample.world import World

_HEX_DIGITS = 16
_PAYMENT = (
    '{"transaction_id":"%s","event_time":%d,"customer_id":"c%07d","card_id":"k%07d%d","terminal_id":"t%07d",'
    '"merchant_id":"m%07d",'
    '"merchant_category":"%s",%s"amount":%r,"currency":"%s","country":"%s","lat":%r,"lon":%r,"channel":"%s"%s}'
)
_LABEL = '{"transaction_id":"%s","is_fraud":%s,"known_at":%d,"scenario":"%s"}'


def hexadecimal(words: Words) -> list[str]:
    """Return each number as 16 hexadecimal digits."""
    digits = words.astype(">u8").tobytes().hex()
    return [digits[place : place + _HEX_DIGITS] for place in range(0, len(digits), _HEX_DIGITS)]


class Texts:
    """Turns the payments of one world into messages and tables."""

    def __init__(self, world: World) -> None:
        """Name the world's customers, cards, terminals and merchants."""
        people, terminals = world.customers, world.terminals
        self._world = world
        self._categories = [categories.NAMES[number] for number in terminals.category.tolist()]
        self._channels = ["pos" if place < terminals.street else "online" for place in range(len(terminals))]
        self._currency = [CURRENCY_OF[country] for country in COUNTRIES]
        self._home_country = CITY_COUNTRY[people.city]
        self._addresses = Writer()

    def messages(self, payments: Payments) -> list[str]:
        """Return the payments as JSON objects, one text each."""
        customers = payments.customer.tolist()
        terminals = payments.terminal.tolist()
        devices = [
            f'"device_id":"{device}",' if present else ""
            for device, present in zip(
                hexadecimal(payments.device), (payments.device != NO_DEVICE).tolist(), strict=True
            )
        ]
        rows = zip(
            hexadecimal(payments.id),
            payments.time_ms.tolist(),
            customers,
            customers,
            (payments.card + 1).tolist(),
            terminals,
            self._world.terminals.merchant[payments.terminal].tolist(),
            map(self._categories.__getitem__, terminals),
            devices,
            (payments.cents / 100).tolist(),
            map(self._currency.__getitem__, self._home_country[payments.customer].tolist()),
            map(COUNTRIES.__getitem__, payments.country.tolist()),
            (payments.lat_e4 / 10_000).tolist(),
            (payments.lon_e4 / 10_000).tolist(),
            map(self._channels.__getitem__, terminals),
            [
                (f',"billing_address":"{billing}"' if billing else "")
                + (f',"shipping_address":"{shipping}"' if shipping else "")
                for billing, shipping in zip(*self._addresses.of(payments), strict=True)
            ],
            strict=True,
        )
        return [_PAYMENT % row for row in rows]

    def keys(self, payments: Payments) -> list[str]:
        """Return the customer of each payment: the key of its message."""
        return [f"c{customer:07d}" for customer in payments.customer.tolist()]

    def labels(self, payments: Payments) -> list[str]:
        """Return the payments' labels as JSON objects, one text each."""
        fraud = ["true" if is_fraud else "false" for is_fraud in tags.IS_FRAUD]
        rows = zip(
            hexadecimal(payments.id),
            map(fraud.__getitem__, payments.tag.tolist()),
            known_at_ms(payments).tolist(),
            map(tags.NAMES.__getitem__, payments.tag.tolist()),
            strict=True,
        )
        return [_LABEL % row for row in rows]

    def payment_table(self, payments: Payments) -> pa.Table:
        """Return the payments as an Arrow table of plain columns."""
        arrow = self._arrow
        terminal = pa.array(payments.terminal)
        billing, shipping = self._addresses.of(payments)
        columns = {
            "transaction_id": hex_column(payments.id),
            "event_time": pa.array(payments.time_ms),
            "customer_id": arrow["customers"].take(pa.array(payments.customer)),
            "card_id": arrow["cards"].take(pa.array(2 * payments.customer + payments.card)),
            "terminal_id": arrow["terminals"].take(terminal),
            "merchant_id": arrow["merchants"].take(terminal),
            "merchant_category": arrow["categories"].take(terminal),
            "device_id": hex_column(payments.device, missing=payments.device == NO_DEVICE),
            "amount": pa.array(payments.cents / 100),
            "currency": arrow["currency"].take(pa.array(self._home_country[payments.customer])),
            "country": arrow["countries"].take(pa.array(payments.country)),
            "lat": pa.array(payments.lat_e4 / 10_000),
            "lon": pa.array(payments.lon_e4 / 10_000),
            "channel": arrow["channels"].take(terminal),
            "billing_address": pa.array(billing, pa.string()),
            "shipping_address": pa.array(shipping, pa.string()),
        }
        return pa.table(columns)

    def label_table(self, payments: Payments) -> pa.Table:
        """Return the payments' labels as an Arrow table of plain columns."""
        names = pa.array(tags.NAMES)
        columns = {
            "transaction_id": hex_column(payments.id),
            "is_fraud": pa.array(np.array(tags.IS_FRAUD)[payments.tag]),
            "known_at": pa.array(known_at_ms(payments)),
            "scenario": names.take(pa.array(payments.tag)),
        }
        return pa.table(columns)

    @cached_property
    def _arrow(self) -> dict[str, pa.Array]:
        people, terminals = self._world.customers, self._world.terminals
        texts = {
            "customers": [f"c{number:07d}" for number in range(len(people))],
            "cards": [f"k{number:07d}{card}" for number in range(len(people)) for card in (1, 2)],
            "terminals": [f"t{number:07d}" for number in range(len(terminals))],
            "merchants": [f"m{number:07d}" for number in terminals.merchant.tolist()],
            "categories": self._categories,
            "channels": self._channels,
            "currency": self._currency,
            "countries": COUNTRIES,
        }  # fmt: skip
        return {name: pa.array(values) for name, values in texts.items()}


def hex_column(words: Words, missing: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None) -> pa.Array:
    """Return an Arrow column of texts of 16 hexadecimal digits, null where `missing`."""
    digits = words.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(words) + 1, dtype=np.int32) * _HEX_DIGITS
    column = pa.StringArray.from_buffers(len(words), pa.py_buffer(offsets), pa.py_buffer(digits))
    return column if missing is None else pa.compute.if_else(pa.array(missing), None, column)
