"""`mitra profiles push`: every row is checked before the first is sent, and what is sent is what the job reads."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mitra.cli import main
from mitra.decode import Decoder, Event
from mitra.pipeline import Pipeline
from mitra.profiles import ProfileRowsError, profile_of, read_updates
from mitra.rows import convert_row
from tests.unit.profiles.test_profiles import START_MS, pipeline

ROWS: list[dict[str, Any]] = [
    {"customer_id": "c1", "account_age_days": 3, "segment": "new", "kyc": True},
    {"customer_id": "größe", "account_age_days": None, "segment": None, "kyc": False},
]


def quiet(_step: str, _done: int, _of: int) -> None:
    """Show nothing."""


@pytest.fixture
def profiled(tmp_path: Path) -> Pipeline:
    return pipeline(tmp_path)


def written(folder: Path, kind: str) -> Path:
    path = folder / f"accounts.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind == "csv":
        path.write_text("customer_id,account_age_days,segment,kyc\nc1,3,new,true\ngröße,,,false\n")
    else:
        data = "\n".join(json.dumps(row) for row in ROWS).encode()
        path.write_bytes(gzip.compress(data) if kind.endswith("gz") else data)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "jsonl.gz", "parquet"])
def test_all_kinds_of_files_give_the_same_messages(profiled: Pipeline, tmp_path: Path, kind: str) -> None:
    profile = profile_of(profiled, "account")
    updates = read_updates(written(tmp_path, kind), profile, profiled.limits, START_MS, quiet)
    assert [one.key for one in updates] == [b"c1", "größe".encode()]
    decode = Decoder(profile, profiled.limits).decode
    for row, update in zip(ROWS, updates, strict=True):
        assert json.loads(update.value).items() >= {name: one for name, one in row.items() if one is not None}.items()
        found, expected = (
            decode(update.value, START_MS),
            convert_row(profile, profiled.limits, {**row, "as_of": START_MS}),
        )
        assert isinstance(found, Event)
        assert isinstance(expected, Event)
        assert (found.id, found.values) == (expected.id, expected.values)


def test_times_of_their_own_stay(profiled: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "rush.csv"
    path.write_text(f"store_id,slot,usual_orders,as_of\ns1,12,3.5,{START_MS}\ns1,13,4,\n")
    updates = read_updates(path, profile_of(profiled, "rush"), profiled.limits, START_MS + 5, quiet)
    assert [(one.key, json.loads(one.value)["as_of"]) for one in updates] == [
        (b"s1\x1f12", START_MS), (b"s1\x1f13", START_MS + 5),
    ]  # fmt: skip


def test_wrong_rows_are_told_by_line_and_none_is_sent(profiled: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    lines = [
        json.dumps(ROWS[0]),
        '{"customer_id": "c2", "segment": 3.5}',
        "{",
        '{"segment": "new"}',
        '{"customer_id": "c", "sgment": "x"}',
        "[1]",
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(ProfileRowsError) as raised:
        read_updates(path, profile_of(profiled, "account"), profiled.limits, START_MS, quiet)
    said = str(raised.value).splitlines()
    assert said[0].endswith("5 of 6 rows can't be used, so none was sent")
    assert [line.strip().split(":")[0] for line in said[1:]] == [f"line {number}" for number in (2, 3, 4, 5, 6)]
    assert 'account has no sgment; did you mean "segment"?' in said[4]


def test_the_command_tells_what_is_wrong(
    profiled: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file = str(profiled.directory / "pipeline.yaml"), str(written(tmp_path, "csv"))
    push = ["profiles", "push", path]
    assert main([*push, "account", file, "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "profile": "account", "topic": "profiled.account", "rows": 2, "sent": 0,
    }  # fmt: skip
    for words, said in (
        (["acount", file], 'did you mean "account"?'),
        (["account", str(tmp_path / "no.csv")], "is not there"),
        (["account", file, "--as-of", "soon"], "--as-of=soon is no time"),
        (["account", file, "--bootstrap", "localhost:1"], "no Kafka at bootstrap=localhost:1"),
    ):
        assert main([*push, *words]) == 1
        assert said in capsys.readouterr().err
    assert main(["profiles"]) == 2
