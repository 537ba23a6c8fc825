"""What is live as files, which push back to the same."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mitra.control.changes import Signature, plan
from mitra.control.export import export, yaml_text
from mitra.control.files import FilesError, read_entries, read_files
from mitra.control.replay import Replay
from mitra.control.topics import Record
from mitra.document import read_document
from mitra.errors import MitraError
from tests.factories.control import CONTEXT, NOW_MS, record, rule

LOG = [
    record("feature.put", name="double", text="amount * 2"),
    record("feature.put", name="no", text="double > 3"),
    record("list.put", name="mules", kind="block", by="customer", immutable=True, reason="a known mule: 'x'"),
    record("list.put", name="1e5", kind="watch", by="customer"),
    record("list.add", name="mules", entries=[{"key": ' a,"b" '}, {"key": "b\nc", "until": 1_800_000_000_123}]),
    record(
        "rule.put",
        rule=rule(id="one", when="double > 3\nand no", percent=12.5, by="customer", tags=["1e5", "yes", "é"]),
    ),
    record("rule.put", rule=rule(id="1e5", when="amount > 1", **{"from": 1_700_000_000_001})),
    record("rule.put", rule=rule(id="null", when="amount > 1", reason="{{x}}: # {amount}")),
    record("rule.put", rule=rule(id="gone")),
    record("snooze", rule="one", by="customer", key="1e5", until=1_900_000_000_000),
    record("snooze", rule="gone", by="customer", key="a", until=1_900_000_000_000),
    record("rule.retire", rule="gone"),
]


def replayed(*records: bytes) -> Replay:
    replay = Replay(CONTEXT)
    for offset, data in enumerate(records):
        entry = replay.take(Record(offset, NOW_MS, data))
        assert entry.became == "accepted", entry
    return replay


def back(replay: Replay, folder: Path):
    """Return the plan of pushing files to what is live."""
    return plan(replay, read_files([folder], CONTEXT, replay.live.features).wanted(), Signature("ann"))


def test_an_export_changes_nothing_where_it_came_from(tmp_path: Path):
    replay = replayed(*LOG)
    written = export(replay, tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == [
        "features.yaml",
        "lists.yaml",
        "lists/mules.csv",
        "rules/one.yaml",
        "rules/1e5.yaml",
        "rules/null.yaml",
        "snoozes.yaml",
    ]
    again = back(replay, tmp_path / "out")
    assert not again.send
    assert not again.refused


def test_an_export_makes_the_same_of_nothing(tmp_path: Path):
    replay, empty = replayed(*LOG), replayed()
    export(replay, tmp_path)
    made = back(empty, tmp_path)
    assert not made.refused
    for offset, one in enumerate(made.send):
        empty.take(Record(offset, NOW_MS, one.data))
    assert empty.live.rules == replay.live.rules
    assert empty.live.features == replay.live.features
    assert empty.live.lists == replay.live.lists
    ends = {place: mark.until_ms for place, mark in replay.marks.items() if place[0] != "snooze:gone"}
    assert {place: mark.until_ms for place, mark in empty.marks.items()} == ends


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text("x")
    with pytest.raises(MitraError, match="is not empty"):
        export(replayed(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_nothing_live_is_nothing_written(tmp_path: Path):
    assert export(replayed(), tmp_path / "out") == []


# What JSON can say, but for halves of surrogate pairs, which rules and changes refuse.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(st.one_of(texts, st.from_regex(r"[-+]?[0-9.]*([eE:_x-][0-9]+)?|yes|no|on|True|null|~|=|<<", fullmatch=True)))
def test_whatever_the_text_it_is_read_back_as_it_was(text: str):
    written = yaml_text({"id": text, "list": [text], **({text: 1} if text else {})})
    document = read_document(written)
    assert not document.problems
    assert isinstance(document.value, dict)
    assert document.value["id"] == text
    assert document.value["list"] == [text]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(texts.filter(str.strip), min_size=1, max_size=5, unique=True))
def test_whatever_the_keys_they_are_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, keys: list[str]):
    replay = replayed(
        record("list.put", name="mules", kind="block", by="customer"),
        record("list.add", name="mules", entries=[{"key": key} for key in keys]),
    )
    folder = tmp_path_factory.mktemp("out")
    export(replay, folder)
    assert [one["key"] for one in read_entries(folder / "lists" / "mules.csv", CONTEXT)] == keys


def test_all_that_is_wrong_with_all_files_is_told_at_once(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("id: a\nwhen: amuont > 1\noutcome: block\n")
    (tmp_path / "b.yaml").write_text("id: b\nwhen: amount > 1\noutcome: blok\n")
    (tmp_path / "c.yaml").write_text(
        "id: c\nwhen: amount > 1\noutcome: block\nexamples:\n- {event: {amount: 5}, fires: false}\n"
    )
    (tmp_path / "d.yaml").write_text(
        "lists:\n- {name: mules, kind: blok, by: customer}\n- {name: x, kind: block, by: customer, entries: x.csv}\nrule: 1\n"
    )
    (tmp_path / "e.yaml").write_text("features:\n  amount: 5\n")
    (tmp_path / "f.yaml").write_text("id: a\nwhen: amount > 1\noutcome: block\n")
    (tmp_path / "x.csv").write_text("a,soon\nb,1,2\n\nc\n")
    with pytest.raises(FilesError) as caught:
        read_files([tmp_path], CONTEXT, {})
    told = str(caught.value).replace(f"{tmp_path}/", "")
    assert told == (Path(__file__).parents[2] / "golden" / "control" / "files.txt").read_text(encoding="utf-8").rstrip(
        "\n"
    )


def test_a_file_that_is_not_there_is_told_with_the_others(tmp_path: Path):
    (tmp_path / "b.yaml").write_bytes(b"\xff")
    with pytest.raises(FilesError) as caught:
        read_files([tmp_path / "a.yaml", tmp_path / "b.yaml"], CONTEXT, {})
    assert "a.yaml: 1 problem\ncannot be read: No such file" in str(caught.value)
    assert "b.yaml: 1 problem\nis no UTF-8 text" in str(caught.value)


def test_keys_of_a_plain_list_lose_the_blanks_around_them(tmp_path: Path):
    (tmp_path / "keys.csv").write_text(" c1 \nc2, 2026-05-01T12:00:00Z\n\nc1,5\n")
    assert read_entries(tmp_path / "keys.csv", CONTEXT) == [
        {"key": "c1", "until": 5},
        {"key": "c2", "until": "2026-05-01T12:00:00Z"},
    ]
