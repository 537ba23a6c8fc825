"""`mitra.features` gives what was served, to the last bit, for tables of any library in any order."""

import pyarrow as pa
import pytest

import mitra
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from tests.unit.log.conftest import Sample


def test_it_gives_what_was_served(pipeline: Pipeline, sample: Sample) -> None:
    found = mitra.features(pipeline, sample.payments, labels=sample.labels)
    names = list(pipeline.features)
    assert found.column_names == ["transaction_id", "event_time", *names]
    by_id = {row["transaction_id"]: row for row in found.to_pylist()}
    served = {row["transaction_id"]: row for row in sample.job.logged}
    assert len(served) == len(by_id) == sample.payments.num_rows
    wrong = [(id, name) for id, row in served.items() for name in names if row[name] != by_id[id][name]]
    assert wrong == []
    assert sum(row["known_frauds"] > 0 for row in served.values()) > 0
    assert set(sample.job.blueprint.compiled.types.values()) == {"number", "integer", "boolean", "string"}


def test_rows_come_back_in_the_order_of_the_table(pipeline: Pipeline, sample: Sample) -> None:
    payments = sample.payments.slice(0, 300)
    backwards = payments.take(pa.array(range(299, -1, -1)))
    straight, reverse = mitra.features(pipeline, payments), mitra.features(pipeline, backwards)
    assert straight.column("transaction_id").to_pylist() == payments.column("transaction_id").to_pylist()
    assert reverse.take(pa.array(range(299, -1, -1))).equals(straight)


def test_a_pandas_frame_and_a_table_of_another_library_give_the_same(pipeline: Pipeline, sample: Sample) -> None:
    payments = sample.payments.slice(0, 100)

    class Foreign:
        """What Polars is to Arrow: a table that knows the way."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return payments.__arrow_c_stream__(requested_schema)

    expected = mitra.features(pipeline, payments)
    assert mitra.features(pipeline, payments.to_pandas()).equals(expected)
    assert mitra.features(pipeline, Foreign()).equals(expected)


def test_rows_that_are_no_events_are_named(pipeline: Pipeline, sample: Sample) -> None:
    rows = sample.payments.slice(0, 10).to_pylist()
    rows[3]["amount"] = None
    rows[7]["customer_id"] = None
    broken = pa.Table.from_pylist(rows, schema=sample.payments.schema)
    with pytest.raises(MitraError, match=r"^2 rows can't be used: payment, row 3: .*amount.*; payment, row 7: "):
        mitra.features(pipeline, broken)
    with pytest.raises(MitraError, match="payment is a list; give a table of pandas, Polars or Arrow"):
        mitra.features(pipeline, [1])
    with pytest.raises(MitraError, match="label_delay='soon' is no length of time"):
        mitra.features(pipeline, sample.payments, label_delay="soon")
