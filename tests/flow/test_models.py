"""Models put, tried, promoted and taken back through a real Kafka while the job runs, and what is no model refused."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mitra.local.job import LocalJob, failure_causes
from mitra.local.kafka import LocalKafka
from mitra.records import SCHEMAS
from rules.rollout import applies
from tests.factories.live import HOUR_MS, Payment, Reader, on_kafka, send, write_pipeline
from tests.factories.models import put_of, tiny_model
from tests.flow.test_rules import SETTINGS, START_MS, Live

pytestmark = pytest.mark.flow

FEATURES = ("count_1h", "mean_1d")
RUN = uuid.uuid4().hex[:8]
"""In each version: what a run has loaded lies in the cache of the next."""
ONE, TWO = f"tiny@1-{RUN}", f"tiny@2-{RUN}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for seed, version in enumerate((f"1-{RUN}", f"2-{RUN}")):
        tiny_model(folder, FEATURES, version=version, seed=seed, trees=20)
    return folder


@pytest.fixture(scope="module")
def live(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("models")
    path = write_pipeline(folder, "modelled", more="monitor: {window: 1h, matured: 1h, amount: mean_1d}\n")
    pipeline = on_kafka(path, kafka)
    topics = pipeline.topics
    asked = (topics.decisions, topics.dead_letters, topics.control_acks, topics.monitor, topics.outcomes)
    with Reader(kafka, *asked) as reader:
        live = Live(kafka, path, pipeline, folder, LocalJob(path, pipeline, folder, settings=SETTINGS), reader)
        try:
            live.start(1, None)
            yield live
        finally:
            live.job.stop()


def answer(live: Live, number: int, *statuses: str) -> dict[str, Any]:
    """Return the job's answer to a change, one of these statuses."""

    def found() -> list[dict[str, Any]]:
        return [ack for ack in live.acks if ack["id"] == f"change-{number}" and ack["status"] in statuses]

    assert live.reader.wait(lambda: bool(found()), 120), [ack for ack in live.acks if ack["id"]][-5:]
    return found()[-1]


def put(live: Live, artefact: Path, **more: Any) -> dict[str, Any]:
    """Put a model, and return what became of that."""
    number = live.push({"change": "model.put", **put_of(artefact), **more})
    ack = answer(live, number, "prepared", "refused")
    live.pushed = max(live.pushed, ack["revision"])
    return ack


def mode(live: Live, model: str, mode: str, **more: Any) -> int:
    number = live.push({"change": "model.mode", "model": model, "mode": mode, **more})
    ack = answer(live, number, "prepared")
    live.active(ack["revision"])
    return int(ack["revision"])


def test_a_model_goes_from_put_to_champion_and_back_without_a_restart(live: Live, store: Path) -> None:
    assert live.pay()["model"] is None
    ack = put(live, store / f"tiny-1-{RUN}")
    assert ack["status"] == "prepared", ack
    live.active(ack["revision"])
    decision = live.pay()
    assert (decision["model"], decision["score"], list(decision["models"])) == (None, None, [ONE])
    assert decision["models"][ONE]["mode"] == "shadow"
    first = mode(live, ONE, "champion")
    decision = live.pay()
    assert (decision["model"], decision["models"], decision["revision"]) == (ONE, {}, first)
    assert decision["score"] is not None

    live.active(put(live, store / f"tiny-2-{RUN}")["revision"])
    decision = live.pay()
    assert decision["model"] == ONE
    assert {name: one["mode"] for name, one in decision["models"].items()} == {ONE: "champion", TWO: "shadow"}
    assert decision["models"][ONE]["score"] == decision["score"]

    mode(live, TWO, "challenger", percent=10, by="customer")
    keys = [f"k{n}" for n in range(1_000)]
    shared = [key for key in keys if applies(TWO, key, 10)][:3]
    others = [key for key in keys if not applies(TWO, key, 10)][:9]
    decided = {key: live.pay(key)["model"] for key in (*shared, *others)}
    assert decided == {**dict.fromkeys(shared, TWO), **dict.fromkeys(others, ONE)}
    assert len(shared) == 3

    mode(live, TWO, "champion")
    decision = live.pay("k1")
    assert decision["model"] == TWO
    assert decision["models"][ONE]["mode"] == "challenger"

    number = live.push({"change": "rollback", "to": first})
    live.active(answer(live, number, "prepared")["revision"])
    decision = live.pay("k1")
    assert (decision["model"], decision["models"]) == (ONE, {})


def broken(store: Path, name: str, **files: bytes) -> Path:
    """Copy the second model under a new version, with some files' bytes replaced and the manifest's hashes of old."""
    folder = store / name
    shutil.copytree(store / f"tiny-2-{RUN}", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["version"] = f"{name}-{RUN}"
    for file, data in files.items():
        (folder / file.replace("_", ".")).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def described(folder: Path) -> Path:
    """Let the manifest say what the model's file is now."""
    data = (folder / "model.ubj").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = [{"name": "model.ubj", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_what_is_no_model_is_refused_by_name_and_the_champion_goes_on(live: Live, store: Path) -> None:
    whole = (store / f"tiny-2-{RUN}" / "model.ubj").read_bytes()
    big = broken(store, "big")
    with (big / "model.ubj").open("wb") as file:
        file.truncate(500_000_000)
    manifest = json.loads((big / "manifest.json").read_text())
    manifest["files"][0]["bytes"] = 500_000_000
    (big / "manifest.json").write_text(json.dumps(manifest))
    cases = [
        (broken(store, "short", model_ubj=whole[: len(whole) // 2]), {}, "is cut off"),
        (broken(store, "other", model_ubj=whole[:-1] + b"x"), {}, "the manifest says"),
        (described(broken(store, "half", model_ubj=whole[: len(whole) // 2])), {}, "is not a model"),
        (described(broken(store, "text", model_ubj=b"import os; os.abort()")), {}, "is not a model"),
        (big, {}, "allowed: at most 100000000"),
        (broken(store, "hash"), {"sha256": "0" * 64}, "the change says"),
        (broken(store, "less"), {"features": ["count_1h"]}, "features"),
        (broken(store, "more"), {"features": ["count_1h", "mean_7d"]}, "mean_7d: not defined"),
        (broken(store, "gone"), {"uri": str(store / "nowhere")}, "can't be read"),
        (broken(store, "name"), {"name": "other"}, "the change says other@"),
    ]
    for folder, more, said in cases:
        ack = put(live, folder, **more)
        assert ack["status"] == "refused", folder
        assert said in ack["reason"], ack
    decision = live.pay()
    assert (decision["model"], decision["degraded"]) == (ONE, [])


def test_after_a_restore_with_the_store_gone_payments_are_scored_from_the_cache(live: Live, store: Path) -> None:
    known = live.job.last_checkpoint()
    assert live.reader.wait(lambda: live.job.last_checkpoint() not in (None, known))
    live.job.stop()
    shutil.rmtree(store)
    live.start(2, live.job.last_checkpoint())
    for number in range(10):
        decision = live.pay(f"r{number}")
        assert (decision["model"], decision["degraded"]) == (ONE, [])
        assert decision["score"] is not None


def test_the_monitor_tells_the_quality_of_matured_labels_as_scikit_learn_does(live: Live) -> None:
    """All of an hour's payments are judged; a later hour lets the clock of every bucket pass."""
    begin = (START_MS // HOUR_MS + 10) * HOUR_MS
    topics, labels = live.pipeline.topics, live.pipeline.labels
    assert labels is not None
    decisions, outcomes = live.reader.values[topics.decisions], live.reader.values[topics.outcomes]

    def pay(name: str, at: int) -> None:
        payments = [Payment(f"{name}{n}", at + n * 10_000, f"{name}k{n % 50}", "t", 5.0 + n) for n in range(200)]
        send(live.kafka, [(live.pipeline.decided.topic, one.partition, one.value) for one in payments])
        ids = {one.id for one in payments}
        assert live.reader.wait(lambda: ids <= {one["transaction_id"] for one in decisions}, 120)

    pay("judged", begin)
    said = [{"id": f"judged{n}", "fraud": int(n % 3 == 0), "known_at": begin + HOUR_MS} for n in range(200)]
    said.append({"id": "judged0", "fraud": 0, "known_at": begin + HOUR_MS + 1})
    send(live.kafka, [(labels.topic, 0, json.dumps(one).encode()) for one in said])
    assert live.reader.wait(lambda: len([one for one in outcomes if one["event_time"] >= begin]) == 201, 120)
    pay("later", begin + 3 * HOUR_MS)
    told = live.reader.values[topics.monitor]

    def found(metric: str, **more: Any) -> list[dict[str, Any]]:
        return [one for one in told if one["metric"] == metric and one["from"] == begin and more.items() <= one.items()]

    assert live.reader.wait(lambda: bool(found("quality", arm="scored")), 120), told[-3:]
    newest = {one["transaction_id"]: one for one in outcomes if one["event_time"] >= begin}
    truth, scores = [one["label"] for one in newest.values()], [one["raw_score"] for one in newest.values()]
    (quality,) = found("quality", arm="scored", model=ONE)
    assert quality["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    assert quality["average_precision"] == pytest.approx(average_precision_score(truth, scores), abs=1e-6)
    assert (quality["payments"], quality["frauds"]) == (200, 66)
    assert [one["payments"] for one in found("volume")] == [200]
    schema = SCHEMAS["monitor"](live.pipeline)
    for one in told:
        jsonschema.validate(one, schema)


def test_nothing_failed(live: Live) -> None:
    assert failure_causes(live.folder / "logs") == []
    assert live.reader.values[live.pipeline.topics.dead_letters] == []
