"""The catalogue: what a pipeline has, what is live upon it, and the page made of both."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

import mitra.control.kafka
from mitra.catalog import Asked, asked, make_catalog
from mitra.catalog_page import page
from mitra.cli import main
from mitra.control.replay import context_of
from mitra.pipeline import load_pipeline
from rules import check_expressions
from tests.factories.control import record
from tests.factories.control_topics import MemoryTopics
from tests.factories.expressions import schema
from tests.factories.models import tiny_model

PIPELINE = """
name: shop
events:
  payment:
    topic: shop.payments
    decided: true
    id: id
    time: at
    fields:
      id: string
      at: time
      customer_id: string
      device_id: {type: string, required: false}
      amount: number
  login:
    topic: shop.logins
    decided: false
    id: id
    time: at
    fields: {id: string, at: time, customer_id: string}
entities: {customer: customer_id, own_device: [customer_id, device_id]}
labels: {name: fraud, id: id, label: fraud}
features:
  usual: mean(amount, by=customer, over="30d")
  times_usual: amount / usual
  logins: count(by=customer, last=10, event=login)
"""
PAGE = """# shop

## payment

From the topic `shop.payments`, which is decided. Its times are those of UTC.

| field | type |  |
| --- | --- | --- |
| `id` | string | its id |
| `at` | time | its time |
| `customer_id` | string | names customer, own_device |
| `device_id` | string | names own_device; may be missing |
| `amount` | number |  |

## login

From the topic `shop.logins`. Its times are those of UTC.

| field | type |  |
| --- | --- | --- |
| `id` | string | its id |
| `at` | time | its time |
| `customer_id` | string | names customer, own_device |

## Entities

| entity | by |
| --- | --- |
| customer | `customer_id` |
| own_device | `customer_id`, `device_id` |

What became known of a payment later is `fraud`.

## Features

| feature | type | is | histories asked | rules |
| --- | --- | --- | --- | --- |
| `usual` | number | `mean(amount, by=customer, over="30d")` | customer: 30d | big |
| `times_usual` | number | `amount / usual` | customer: 30d | big |
| `logins` | integer | `count(by=customer, last=10, event=login)` | customer: last 10 |  |
| `big_one` (put at run time) | boolean | `times_usual > 5` | customer: 30d | big |

## Live at revision 5

| list | kind | of | entries | reason |
| --- | --- | --- | --- | --- |
| `mules` | immutable block | customer | 2 | known \\| sure |

| rule | mode | outcome | when |
| --- | --- | --- | --- |
| `big@1` | live | review | `big_one` |
| `odd@1` | shadow | block | `device_id in ("x\\|y", "`")` |
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def topics(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    made = MemoryTopics(context_of(load_pipeline(pipeline)), lanes=1, buckets=2)
    mules = {"name": "mules", "kind": "block", "by": "customer", "immutable": True, "reason": "known | sure"}
    odd = {"id": "odd", "when": 'device_id in ("x|y", "`")', "outcome": "block", "mode": "shadow"}
    made.append(
        [
            record("feature.put", name="big_one", text="times_usual > 5"),
            record("rule.put", rule={"id": "big", "when": "big_one", "outcome": "review"}),
            record("rule.put", rule=odd),
            record("list.put", **mules),
            record("list.add", name="mules", entries=[{"key": "c1"}, {"key": "c2"}]),
        ]
    )
    monkeypatch.setattr(mitra.control.kafka, "open_topics", lambda _: nullcontext(made))
    return made


def test_the_page_tells_fields_entities_features_and_what_is_live(
    pipeline: Path, topics: MemoryTopics, capsys: pytest.CaptureFixture[str]
):
    assert main(["catalog", str(pipeline), "--live"]) == 0
    printed = capsys.readouterr().out
    assert printed == PAGE.replace('`device_id in ("x\\|y", "`")`', '``device_id in ("x\\|y", "`")``')


def test_without_live_no_kafka_is_asked_and_nothing_is_said_of_it(pipeline: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["catalog", str(pipeline)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(PAGE.split("## Features", maxsplit=1)[0])
    assert "Live" not in printed


def test_json_has_the_same_and_a_file_the_page(
    pipeline: Path, topics: MemoryTopics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["catalog", str(pipeline), "--live", "--json", "--output", str(tmp_path / "page.md")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (tmp_path / "page.md").read_text().startswith("# shop\n")
    features = {one["name"]: one for one in found["features"]}
    assert features["times_usual"] == {
        "name": "times_usual", "text": "amount / usual", "type": "number", "put_live": False, "fields": ["amount"],
        "asks": [{"aggregate": "mean(amount, by=customer, over=30d)", "entity": "customer", "window": "30d"}],
        "importance": None, "rules": ["big"],
    }  # fmt: skip
    assert found["live"]["revision"] == 5
    assert [one["entries"] for one in found["live"]["lists"]] == [2]
    assert [event["fields"][1]["type"] for event in found["events"]] == ["time", "time"]


def test_a_models_features_come_with_their_share_of_what_its_trees_gain(pipeline: Path, tmp_path: Path):
    tiny_model(tmp_path, ["times_usual", "logins"])
    catalog = make_catalog(load_pipeline(pipeline), model=tmp_path / "tiny-1")
    shares = {one.name: one.importance for one in catalog.features}
    assert shares["usual"] is None
    assert shares["times_usual"] is not None
    assert shares["logins"] is not None
    assert shares["times_usual"] > 0.9 > shares["logins"]
    assert shares["times_usual"] + shares["logins"] == pytest.approx(1.0)
    assert "## The model tiny@1" in page(catalog)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ('count(by=customer, over="60m")', "1h"),
        ("count(by=customer, last=3)", "last 3"),
        ('count(by=customer, over="ever")', "ever"),
        ("previous(amount, by=customer)", "the event before"),
        ('sum(fraud, by=customer, over="7d", delay="7d")', "7d, 7d ago"),
    ],
)
def test_windows_read_as_people_say_them(text: str, window: str):
    (aggregate,) = check_expressions({"f": text}, schema(), "features")["f"].aggregates
    assert asked(aggregate) == Asked(aggregate.key, "customer", window)
