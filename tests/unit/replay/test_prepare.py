"""Files to prepared batches: order, labels, ids and what is no event, from every kind of file."""

import csv
import gzip
import hashlib
import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.decode import Event
from mitra.errors import MitraError
from mitra.pipeline import Pipeline, load_pipeline
from mitra.replay.prepare import prepare
from mitra.replay.prepared import PreparedInput

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000

PIPELINE = """
name: small
events:
  payment:
    decided: true
    id: id
    time: at
    fields: {id: ID_TYPE, at: time, amount: number, note: {type: string, required: false}}
  login:
    decided: false
    id: id
    time: at
    fields: {id: ID_TYPE, at: time, note: {type: string, required: false}}
labels: {id: id, absent_is: legit, after: 7d}
"""


def pipeline_in(folder: Path, id_type: str = "integer") -> Pipeline:
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.replace("ID_TYPE", id_type), encoding="utf-8")
    return load_pipeline(path)


def payment(id_value: Any, minute: int = 0, amount: Any = 1.0, **more: Any) -> dict[str, Any]:
    return {"id": id_value, "at": START_MS + minute * 60_000, "amount": amount, **more}


def json_lines(path: Path, rows: Sequence[Any]) -> Path:
    lines = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def csv_file(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet(path: Path, rows: Sequence[dict[str, Any]], **types: Any) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([row.get(name) for row in rows], types.get(name)) for name in names}
    pq.write_table(pa.table(columns), path)
    return path


def run(
    pipeline: Pipeline, folder: Path, files: Sequence[Path], **options: Any
) -> tuple[PreparedInput, list[dict[str, Any]]]:
    letters = folder / "dead_letters.jsonl"
    prepared = prepare(pipeline, files, folder / "work", dead_letters=letters, **options)
    return prepared, [json.loads(line) for line in letters.read_text(encoding="utf-8").splitlines()]


def events_of(prepared: PreparedInput) -> list[Event]:
    return [event for number in range(prepared.batches) for event in prepared.batch(number).events]


def ids_of(prepared: PreparedInput) -> list[str]:
    return [event.id for event in events_of(prepared)]


def test_every_kind_of_file_gives_the_same_events(tmp_path: Path) -> None:
    pipeline = pipeline_in(tmp_path)
    rows = [payment(number, number, number / 4, note=f"n{number}") for number in range(20)]
    files = [
        json_lines(tmp_path / "a.jsonl", rows),
        json_lines(tmp_path / "b.jsonl.gz", rows),
        csv_file(tmp_path / "c.csv", rows),
        parquet(tmp_path / "d.parquet", rows),
        parquet(tmp_path / "e.parquet", [{**row, "at": datetime.fromtimestamp(row["at"] / 1000, UTC)} for row in rows]),
    ]
    expected = events_of(run(pipeline, tmp_path, files[:1])[0])
    assert len(expected) == 20
    for path in files[1:]:
        assert events_of(run(pipeline, tmp_path, [path])[0]) == expected, path.name


def test_events_of_all_files_come_by_time_and_then_by_id_as_a_number(tmp_path: Path) -> None:
    late = json_lines(tmp_path / "late.jsonl", [payment(10, 1), payment(9, 1), payment(100, 0)])
    early = json_lines(tmp_path / "early.jsonl", [payment(11, 1), payment(2, 0), payment(-3, 1)])
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [late, early], batch_rows=4)
    assert ids_of(prepared) == ["2", "100", "-3", "9", "10", "11"]
    assert (prepared.batches, prepared.rows) == (2, 6)
    assert (prepared.summary.first_ms, prepared.summary.last_ms) == (START_MS, START_MS + 60_000)


def test_text_ids_come_in_the_order_of_texts(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", [payment("9"), payment("10"), payment("é"), payment("a"), payment("Z")])
    prepared, _ = run(pipeline_in(tmp_path, "string"), tmp_path, [file])
    assert ids_of(prepared) == ["10", "9", "Z", "a", "é"]


def test_of_one_id_with_several_contents_the_first_by_time_and_place_is_the_event(tmp_path: Path) -> None:
    rows = [
        payment(1, 1, 7.0),
        payment(2, 0, 5.0),
        payment(1, 0, amount=3.0),
        payment(1, 0, amount=4.0),
        payment(2, 0, 5.0),
    ]
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [json_lines(tmp_path / "a.jsonl", rows)])
    assert [(event.id, event.values[2]) for event in events_of(prepared)] == [("1", 3.0), ("2", 5.0), ("2", 5.0)]
    assert [letter["reason"] for letter in letters] == ["conflict", "conflict"]
    assert [json.loads(b64decode(letter["bytes"]))["amount"] for letter in letters] == [7.0, 4.0]
    assert (prepared.summary.transactions, prepared.summary.rejected) == (5, 2)


@pytest.mark.parametrize("said", ["integer", "string"])
@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.int32(), pa.uint8(), pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_ids_of_any_type_come_back_as_they_went_in(tmp_path: Path, said: str, kind: Any) -> None:
    is_number = pa.types.is_integer(kind)
    ids = [7, 10, 9] if is_number else ["tx-7", "tx-10", "tx-9"]
    file = parquet(tmp_path / "a.parquet", [payment(value) for value in ids], id=kind)
    prepared, letters = run(pipeline_in(tmp_path, said), tmp_path, [file])
    assert not letters
    assert ids_of(prepared) == [str(value) for value in sorted(ids)]
    restored = prepared.restore_ids(ids_of(prepared), "payment")
    assert restored.type == (pa.string() if pa.types.is_dictionary(kind) else kind)
    assert restored.to_pylist() == sorted(ids)


def test_what_is_no_event_is_a_dead_letter_with_file_and_line(tmp_path: Path) -> None:
    good = payment(1)
    file = json_lines(
        tmp_path / "a.jsonl",
        [
            good,
            b"{",
            b"",
            b"[1]",
            payment(2, amount="x"),
            b"null",
            payment(3, note="x" * 70_000),
            b"\xff",
            payment(4, at=-1),
            good,
        ],
    )
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [file])
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (2, "not_json"), (3, "empty"), (4, "not_an_object"), (5, "wrong_type"), (6, "not_an_object"), (7, "too_large"),
        (8, "bad_encoding"), (9, "time_out_of_range"),
    ]  # fmt: skip
    assert {letter["topic"] for letter in letters} == {"a.jsonl"}
    assert (prepared.summary.transactions, prepared.summary.rejected, prepared.rows) == (10, 8, 2)


def test_a_line_far_beyond_the_limit_is_refused_without_being_kept(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", [payment(1), payment(2, note="x" * 1_000_000), payment(3)])
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [file])
    assert ids_of(prepared) == ["1", "3"]
    line = file.read_bytes().splitlines()[1]
    assert (letters[0]["offset"], letters[0]["size"]) == (2, len(line))
    assert letters[0]["sha256"] == hashlib.sha256(line).hexdigest()


def test_bad_rows_of_a_csv_are_dead_letters_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(
        b"\xef\xbb\xbfid,at,amount,note,more\r\n"
        b'1,1700000000000,2.5,"two\r\nlines",x\r\n'
        b"2,1700000000000\r\n"
        b"3,1700000000000,nan,,\r\n"
        b"4,1700000000000,1,\xff,\r\n"
        b"\r\n"
        b"5,1700000000000,1,,\r\n"
    )
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [file])
    assert [event.values for event in events_of(prepared)] == [
        (1, START_MS, 2.5, "two\r\nlines"),
        (5, START_MS, 1.0, None),
    ]
    assert [(letter["offset"], letter["reason"], letter["field"]) for letter in letters] == [
        (4, "wrong_columns", None), (5, "not_finite", "amount"), (6, "bad_encoding", "note"), (7, "empty", None),
    ]  # fmt: skip


def test_bad_rows_of_a_parquet_file_are_dead_letters_with_their_row(tmp_path: Path) -> None:
    rows = [payment(number, number) for number in range(10)]
    rows[2]["amount"] = None
    rows[4]["amount"] = float("nan")
    rows[5]["at"] = 253_370_764_800_000
    rows[7]["note"] = "x" * 70_000
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [parquet(tmp_path / "a.parquet", rows)])
    assert ids_of(prepared) == ["0", "1", "3", "6", "8", "9"]
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (3, "null_field"), (5, "not_finite"), (6, "time_out_of_range"), (8, "too_large"),
    ]  # fmt: skip


def test_texts_in_a_parquet_file_are_read_as_what_the_schema_says(tmp_path: Path) -> None:
    rows = [payment(1, amount="2.5"), payment(2, amount="x"), payment(3, amount="7")]
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [parquet(tmp_path / "a.parquet", rows)])
    assert [event.values[2] for event in events_of(prepared)] == [2.5, 7.0]
    assert [(letter["offset"], letter["reason"], letter["field"]) for letter in letters] == [
        (2, "wrong_type", "amount")
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_labels_are_joined_by_id_and_known_after_the_delay(tmp_path: Path, suffix: str) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1, 0), payment(2, 1), payment(3, 2)])
    rows = [{"id": 3, "label": 1}, {"id": 1, "label": 0}, {"id": 99, "label": 1}]
    path = tmp_path / f"labels.{suffix}"
    if suffix == "jsonl":
        json_lines(path, rows)
    elif suffix == "csv":
        path.write_text("id,label\n" + "".join(f"{row['id']},{row['label']}\n" for row in rows), encoding="utf-8")
    else:
        parquet(path, rows)
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [transactions], labels=[path], label_delay_ms=DAY_MS)
    batch = prepared.batch(0)
    assert batch.labels == [0.0, None, 1.0]
    assert batch.known_at_ms[0] == START_MS + DAY_MS
    assert batch.known_at_ms[2] == START_MS + 2 * 60_000 + DAY_MS
    assert not batch.corrections
    assert (prepared.summary.labels, prepared.summary.labels_unmatched) == (3, 1)


def test_a_labels_own_time_counts_and_corrections_follow_by_time(tmp_path: Path) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1, 0), payment(2, 1)])
    labels = json_lines(
        tmp_path / "labels.jsonl",
        [
            {"id": "1", "label": 0, "known_at": START_MS + 3 * DAY_MS},
            {"id": 1, "label": True, "known_at": START_MS + DAY_MS},
            {"id": 1, "label": 0, "known_at": START_MS + 2 * DAY_MS},
            {"id": 1, "label": 1, "known_at": START_MS + 2 * DAY_MS},
            {"id": 2, "label": 1},
        ],
    )
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [transactions], labels=[labels])
    batch = prepared.batch(0)
    assert batch.labels == [1.0, 1.0]
    assert batch.known_at_ms == [START_MS + DAY_MS, START_MS + 60_000 + 7 * DAY_MS]
    versions = [START_MS + days * DAY_MS for days in (1, 2, 3)]
    assert batch.versions == [versions[0], START_MS + 60_000 + 7 * DAY_MS]
    assert batch.corrections == [(0, 0.0, version, version) for version in versions[1:]]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_version_supersedes_whenever_it_became_known(tmp_path: Path, suffix: str) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1, 0), payment(2, 1), payment(3, 2)])
    rows = [
        {"id": 1, "label": 1, "known_at": START_MS + 3 * DAY_MS, "version": 1},
        {"id": 1, "label": 0, "known_at": START_MS + DAY_MS, "version": 2},
        {"id": 1, "label": 1, "known_at": START_MS + 2 * DAY_MS, "version": 2},
        {"id": 2, "label": 1, "known_at": START_MS + DAY_MS, "version": -5},
        {"id": 3, "label": 1, "known_at": START_MS + DAY_MS, "version": None},
    ]
    path = tmp_path / f"labels.{suffix}"
    {"jsonl": json_lines, "csv": csv_file, "parquet": parquet}[suffix](path, rows)
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [transactions], labels=[path])
    batch = prepared.batch(0)
    assert batch.labels == [0.0, 1.0, 1.0]
    assert batch.versions == [2, -5, START_MS + DAY_MS]
    # Of two with one version the first counts; what became known later under a lesser one is handed on, and changes nothing.
    assert batch.corrections == [(0, 1.0, START_MS + 3 * DAY_MS, 1)]


@pytest.mark.parametrize("version", ["two", 1.5, 1 << 63, True, [1]])
def test_a_version_that_is_none_is_a_dead_letter(tmp_path: Path, version: Any) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1)])
    labels = json_lines(tmp_path / "labels.jsonl", [{"id": 1, "label": 1, "version": version}])
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [transactions], labels=[labels])
    assert prepared.batch(0).labels == [None]
    (letter,) = map(json.loads, (tmp_path / "label_dead_letters.jsonl").read_text().splitlines())
    assert (letter["reason"], letter["field"]) == ("wrong_type", "version")


def test_what_is_no_label_is_told_beside_the_dead_letters(tmp_path: Path) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1)])
    labels = json_lines(
        tmp_path / "labels.jsonl", [{"id": 1, "label": 2}, {"label": 1}, b"{", {"id": 1, "label": 1, "known_at": "x"}]
    )
    prepared, letters = run(pipeline_in(tmp_path), tmp_path, [transactions], labels=[labels])
    assert not letters
    told = (tmp_path / "label_dead_letters.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["reason"] for line in told] == ["wrong_type", "missing_field", "not_json", "not_a_time"]
    assert prepared.summary.labels_rejected == 4


def test_other_event_types_come_in_between_and_have_no_labels(tmp_path: Path) -> None:
    transactions = json_lines(tmp_path / "a.jsonl", [payment(1, 0), payment(2, 2), {"id": 3}])
    logins = json_lines(tmp_path / "b.jsonl", [{"id": 1, "at": START_MS + 60_000}, {"id": 4}])
    labels = json_lines(tmp_path / "l.jsonl", [{"id": 1, "label": 1}])
    prepared, letters = run(
        pipeline_in(tmp_path), tmp_path, [transactions], events={"login": [logins]}, labels=[labels]
    )
    batch = prepared.batch(0)
    assert [(kind, event.id) for kind, event in zip(batch.kinds, batch.events, strict=True)] == [
        (0, "1"),
        (1, "1"),
        (0, "2"),
    ]
    assert batch.labels == [1.0, None, None]
    summary = prepared.summary
    assert (summary.transactions, summary.rejected, summary.other_events, summary.other_rejected) == (3, 1, 2, 1)
    assert len(letters) == 2


def test_a_prepared_folder_is_read_without_the_pipeline(tmp_path: Path) -> None:
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [json_lines(tmp_path / "a.jsonl", [payment(1), payment(2)])])
    again = PreparedInput.open(tmp_path / "work")
    assert again.batch(0) == prepared.batch(0)
    assert again.summary == prepared.summary
    # Nothing of the sorting stays behind.
    assert all(path.is_file() for path in (tmp_path / "work").iterdir())


def test_no_rows_at_all_make_no_batches(tmp_path: Path) -> None:
    prepared, _ = run(pipeline_in(tmp_path), tmp_path, [json_lines(tmp_path / "a.jsonl", [])])
    assert (prepared.batches, prepared.rows, prepared.summary.transactions, prepared.summary.first_ms) == (
        0,
        0,
        0,
        None,
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 and no more", "can't be read as parquet"),
        ("a.jsonl.gz", b"no gzip", "can't be read as jsonl"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 100, mtime=0)[:-9], "can't be read as jsonl"),
        ("a.csv", b"id,at,amout\n", 'no column for amount: did you mean "amout"'),
        ("a.csv", b"id,at,amount,at\n", "the column at twice"),
        ("a.txt", b"", "no known ending"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_says_so(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MitraError, match=message):
        run(pipeline_in(tmp_path), tmp_path, [tmp_path / name])


def test_a_missing_file_folder_or_column_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(MitraError, match="is not there"):
        run(pipeline_in(tmp_path), tmp_path, [tmp_path / "none.csv"])
    with pytest.raises(MitraError, match="no prepared input"):
        PreparedInput.open(tmp_path / "none")
    with pytest.raises(MitraError, match="no column for amount"):
        run(pipeline_in(tmp_path), tmp_path, [parquet(tmp_path / "a.parquet", [{"id": 1, "at": START_MS}])])
    good = json_lines(tmp_path / "a.jsonl", [payment(1)])
    with pytest.raises(MitraError, match="no column label"):
        run(pipeline_in(tmp_path), tmp_path, [good], labels=[parquet(tmp_path / "l.parquet", [{"id": 1, "fraud": 1}])])
    with pytest.raises(MitraError, match="no event type logout"):
        run(pipeline_in(tmp_path), tmp_path, [good], events={"logout": [good]})


def test_the_handbook_is_read_in_the_books_order(handbook: Path, tmp_path: Path) -> None:
    """A tenth of the rows, the labels of all: ids and times rise together, and one in a hundred is fraud or fewer."""
    table = pq.read_table(handbook / "transactions.parquet").slice(0, 130_000)
    pq.write_table(table.take(list(range(129_999, -1, -1))), tmp_path / "tenth.parquet")
    pipeline = load_pipeline(Path(__file__).resolve().parents[3] / "examples" / "handbook" / "pipeline.yaml")
    prepared, letters = run(pipeline, tmp_path, [tmp_path / "tenth.parquet"], labels=[handbook / "labels.parquet"])
    assert not letters
    assert ids_of(prepared) == [str(number) for number in range(130_000)]
    assert prepared.summary.labels_unmatched == prepared.summary.labels - 130_000
    labels = [label for number in range(prepared.batches) for label in prepared.batch(number).labels]
    assert None not in labels
    assert 0 < sum(label or 0 for label in labels) < 1_300
