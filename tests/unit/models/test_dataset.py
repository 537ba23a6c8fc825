"""Training rows from files: features, labels and when they became known."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.dataset import CardSource, read_dataset
from models.errors import TrainingError
from models.labels import LabelSource
from models.windows import Span
from tests.factories.replays import DAY_MS, FEATURES, START_MS, replayed

ALL = Span(START_MS, START_MS + 20 * DAY_MS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return replayed(tmp_path_factory.mktemp("replayed"))


def labels(path, **more):
    return LabelSource(path, "id", "verdict", **more)


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_are_joined_in_time_order_with_missing_as_nan(files):
    data = read_dataset(files.features, labels(files.labels), None, ALL)
    table = pq.read_table(files.features / "decisions.parquet")
    assert [(feature.name, feature.type) for feature in data.features] == [
        ("amount", "number"),
        ("count_1h", "integer"),
        ("is_night", "boolean"),
    ]
    assert data.x.shape == (2000, 3)
    assert np.all(np.diff(data.event_time_ms) >= 0)
    assert np.array_equal(data.x[:, 0], table["amount"].to_numpy().astype(np.float32))
    assert int(np.isnan(data.x[:, 1]).sum()) == table["count_1h"].null_count
    assert data.x[:, 2].sum() == sum(table["is_night"].to_pylist())
    assert np.array_equal(data.labels, pq.read_table(files.labels)["verdict"].to_numpy() == 1)
    assert data.cards is None


def test_only_the_span_is_read(files):
    data = read_dataset(
        files.features, labels(files.labels), ["amount"], Span(START_MS + DAY_MS, START_MS + 2 * DAY_MS)
    )
    assert 0 < len(data.labels) < 200
    assert data.event_time_ms.min() >= START_MS + DAY_MS
    assert data.event_time_ms.max() < START_MS + 2 * DAY_MS


def test_progress_ends_at_the_whole(files):
    seen = []
    read_dataset(files.features, labels(files.labels), None, ALL, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (2000, 2000)


def test_ids_of_any_type_join(tmp_path):
    files = replayed(tmp_path, text_ids=True)
    data = read_dataset(files.features, labels(files.labels), None, ALL)
    assert data.labels.sum() > 100


def test_number_ids_join_with_the_same_ids_as_text(files, tmp_path):
    table = pq.read_table(files.labels)
    texts = write(tmp_path / "l.parquet", id=[str(id) for id in table["id"].to_pylist()], verdict=table["verdict"])
    data = read_dataset(files.features, labels(texts), None, ALL)
    assert data.labels.sum() == read_dataset(files.features, labels(files.labels), None, ALL).labels.sum()


def test_labels_come_as_csv_and_json_lines_too(files, tmp_path):
    (tmp_path / "l.csv").write_text("id,verdict\n0,true\n1,false\n")
    (tmp_path / "l.jsonl").write_text('{"id": 0, "verdict": true}\n{"id": 1, "verdict": false}\n')
    for name in ("l.csv", "l.jsonl"):
        data = read_dataset(files.features, labels(tmp_path / name), None, ALL)
        assert data.labels.tolist() == [True, False]
        assert data.unlabelled == 1998


def test_silence_is_legit_only_where_the_pipeline_says_so(files, tmp_path):
    only_frauds = write(tmp_path / "l.parquet", id=[3, 4], verdict=[1, 1])
    data = read_dataset(files.features, labels(only_frauds, absent_is_legit=True, after_ms=DAY_MS), None, ALL)
    assert (len(data.labels), int(data.labels.sum()), data.unlabelled) == (2000, 2, 0)
    assert np.array_equal(data.known_ms, data.event_time_ms + DAY_MS)


@pytest.mark.parametrize(
    ("values", "time_format"),
    [
        ([START_MS, START_MS + 5], "epoch_ms"),
        ([START_MS / 1000, (START_MS + 5) / 1000], "epoch_s"),
        (["2024-01-01T00:00:00Z", "2024-01-01T01:00:00.005+01:00"], "iso8601"),
        (["01.01.2024 00:00:00.000", "01.01.2024 00:00:00.005"], "%d.%m.%Y %H:%M:%S.%f"),
    ],
)
def test_the_newest_label_counts_and_when_it_became_known(files, tmp_path, values, time_format):
    corrected = write(tmp_path / "l.parquet", id=[7, 7], verdict=[0, 1], known_at=values)
    source = labels(corrected, known_at="known_at", known_at_format=time_format)
    data = read_dataset(files.features, source, None, ALL)
    assert data.labels.tolist() == [True]
    assert data.known_ms.tolist() == [START_MS + 5]


@pytest.mark.parametrize("verdicts", [[0, 1], [1, 0]])
def test_of_labels_with_one_time_the_first_counts_as_it_does_live(files, tmp_path, verdicts):
    both = write(tmp_path / "l.parquet", id=[7, 7], verdict=verdicts, known_at=[START_MS, START_MS])
    data = read_dataset(files.features, labels(both, known_at="known_at"), None, ALL)
    assert data.labels.tolist() == [bool(verdicts[0])]


@pytest.mark.parametrize("known_at", [None, "known_at"])
def test_the_greatest_version_counts_with_the_time_it_became_known(files, tmp_path, known_at):
    times = [START_MS, START_MS + 5, START_MS + 9]
    both = write(tmp_path / "l.parquet", id=[7, 7, 7], verdict=[0, 1, 0], known_at=times, version=[1, 3, 2])
    data = read_dataset(files.features, labels(both, known_at=known_at), None, ALL)
    assert data.labels.tolist() == [True]
    assert known_at is None or data.known_ms.tolist() == [START_MS + 5]


def test_a_version_that_is_no_whole_number_is_told(files, tmp_path):
    strange = write(tmp_path / "l.parquet", id=[7, 8, 9], verdict=[1, 1, 1], version=["1", "two", "3.5"])
    with pytest.raises(TrainingError, match=r"version holds '3\.5', 'two'; a version is a whole number of 64 bits"):
        read_dataset(files.features, labels(strange), None, ALL)


def test_contradictions_without_an_order_are_refused(files, tmp_path):
    both = write(tmp_path / "l.parquet", id=[7, 7], verdict=[0, 1])
    with pytest.raises(TrainingError, match=r"1 transactions \(one is 7\) are labelled both ways"):
        read_dataset(files.features, labels(both), None, ALL)


def test_a_label_that_is_neither_true_nor_false_is_told(files, tmp_path):
    strange = write(tmp_path / "l.parquet", id=[7, 8], verdict=["fraud", "maybe"])
    with pytest.raises(TrainingError, match="verdict holds 'fraud', 'maybe'; a label is 1, 0, true or false"):
        read_dataset(files.features, labels(strange), None, ALL)


def test_cards_are_numbered(files):
    source = CardSource((files.transactions,), "id", ("card",))
    data = read_dataset(files.features, labels(files.labels), None, ALL, cards=source)
    cards = pq.read_table(files.transactions)["card"].to_numpy()
    pairs = set(zip(data.cards.tolist(), cards.tolist(), strict=True))
    assert len(pairs) == len(set(cards.tolist()))


def test_duplicates_count_once(files, tmp_path):
    table = pq.read_table(files.features / "decisions.parquet")
    again = table.slice(0, 5).set_column(table.schema.get_field_index("duplicate"), "duplicate", pa.array([True] * 5))
    pq.write_table(pa.concat_tables([table, again]), tmp_path / "decisions.parquet")
    assert len(read_dataset(tmp_path, labels(files.labels), None, ALL).labels) == 2000


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["amount", "nope", "nada"], "lacks the columns nope, nada; it has transaction_id"),
        (["amount", "country"], "country can't be a model's input: text"),
    ],
)
def test_features_that_are_not_there_or_texts_are_named(files, features, message):
    with pytest.raises(TrainingError, match=message):
        read_dataset(files.features, labels(files.labels), features, ALL)


def test_a_span_outside_the_data_is_told_with_the_datas_range(files):
    with pytest.raises(
        TrainingError, match=r"holds nothing in 2018-07-25 … 2018-08-01; its data runs from 2024-01-01T"
    ):
        read_dataset(files.features, labels(files.labels), None, Span(1_532_476_800_000, 1_533_081_600_000))


@pytest.mark.parametrize(
    ("path", "message"), [("nothing.parquet", "is not a file"), ("labels.txt", "can't tell the format")]
)
def test_a_labels_file_that_is_none_is_told(files, tmp_path, path, message):
    (tmp_path / "labels.txt").write_text("")
    with pytest.raises(TrainingError, match=message):
        read_dataset(files.features, labels(tmp_path / path), None, ALL)


def test_bytes_that_are_no_parquet_are_told(files, tmp_path):
    (tmp_path / "l.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(TrainingError, match="can't be read"):
        read_dataset(files.features, labels(tmp_path / "l.parquet"), None, ALL)


def test_label_columns_that_are_not_there_are_named(files):
    with pytest.raises(TrainingError, match="no column number and no mark; it has id, verdict"):
        read_dataset(files.features, LabelSource(files.labels, "number", "mark"), None, ALL)


def test_the_features_of_a_pipeline_are_all_its_numeric_ones(files):
    data = read_dataset(files.features, labels(files.labels), None, ALL, among=("is_night", "country", "amount"))
    assert [feature.name for feature in data.features] == ["is_night", "amount"]
    assert set(FEATURES) > {"is_night", "amount"}
