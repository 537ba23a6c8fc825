"""An artefact is written whole, and loads only if every byte is what its manifest says."""

import json

import msgspec
import numpy as np
import pytest
import xgboost

from mitra.errors import MitraError
from models.artefact import MODEL_FILE, load_model, write_artefact
from models.calibration import Isotonic
from models.errors import ModelError
from models.manifest import FILE_NAME, Manifest, ModelFeature, Thresholds
from models.trees import _check
from models.ubj import read_ubj
from tests.factories.models import tiny_model


@pytest.fixture
def folder(tmp_path):
    tiny_model(tmp_path, ["a", "b"])
    return tmp_path / "tiny-1"


def edit(folder, change):
    path = folder / FILE_NAME
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def bytes_and_manifest(folder):
    return (folder / MODEL_FILE).read_bytes(), load_model(folder).manifest


def test_what_is_written_loads(folder):
    model = load_model(folder)
    assert model.reference == "tiny@1"
    assert model.features == ("a", "b")
    assert model.thresholds == Thresholds(review=0.5, block=0.9)
    assert sorted(path.name for path in folder.iterdir()) == [FILE_NAME, MODEL_FILE]
    assert list(folder.parent.iterdir()) == [folder]


def test_one_changed_byte_is_refused_with_both_hashes(folder):
    content = bytearray((folder / MODEL_FILE).read_bytes())
    expected = load_model(folder).manifest.files[0].sha256
    content[100] ^= 1
    (folder / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=MODEL_FILE) as caught:
        load_model(folder)
    assert f"expected sha256={expected} bytes={len(content)}" in str(caught.value)
    assert "found sha256=" in str(caught.value)


def test_a_cut_file_is_refused_with_both_sizes(folder):
    content = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(content[:-10])
    with pytest.raises(ModelError, match=rf"bytes={len(content)}.*bytes={len(content) - 10}"):
        load_model(folder)


def test_a_missing_file_is_named(folder):
    (folder / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match=r"model\.ubj can't be read .*No such file"):
        load_model(folder)


def test_a_folder_without_manifest_is_no_artefact(tmp_path):
    with pytest.raises(ModelError, match=r"manifest\.json can't be read"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}', b'{"format": "1"}'])
def test_a_manifest_that_is_none_is_refused(folder, content):
    (folder / FILE_NAME).write_bytes(content)
    with pytest.raises(ModelError, match="not a model's manifest"):
        load_model(folder)


def test_a_later_format_is_refused_by_its_number(folder):
    edit(folder, lambda manifest: manifest.update(format=2, unheard_of=True))
    with pytest.raises(ModelError, match="format=2 is not one this Mitra reads"):
        load_model(folder)


def test_an_unknown_key_is_refused(folder):
    edit(folder, lambda manifest: manifest.update(threshold=0.5))
    with pytest.raises(ModelError, match="threshold"):
        load_model(folder)


def test_all_mistakes_of_a_manifest_are_told_at_once(folder):
    def spoil(manifest):
        manifest["name"] = "a b"
        manifest["thresholds"] = {"review": 0.9, "block": 0.5}
        manifest["features"][1]["name"] = "a"
        manifest["features"][0]["type"] = "string"
        manifest["calibration"] = {"method": "isotonic", "x": [0.0, 1.0], "y": [0.9, 0.1]}
        manifest["files"][0]["sha256"] = "?"

    edit(folder, spoil)
    with pytest.raises(MitraError) as caught:
        load_model(folder)
    message = str(caught.value)
    for part in (
        "6 problems",
        "'a b'",
        "review=0.9 lies above block=0.5",
        "'a' is there twice",
        "must not fall",
        "sha256",
    ):
        assert part in message


@pytest.mark.parametrize("name", ["../model.ubj", "/etc/passwd", "a/b", "..", FILE_NAME, ""])
def test_a_file_outside_the_folder_is_refused_unread(folder, name):
    edit(folder, lambda manifest: manifest["files"][0].update(name=name))
    with pytest.raises(MitraError, match="not a plain file name"):
        load_model(folder)


def test_features_in_another_order_than_the_trees_are_refused(folder):
    edit(folder, lambda manifest: manifest["features"].reverse())
    with pytest.raises(ModelError, match=r"manifest \[b, a\], model.ubj \[a, b\]"):
        load_model(folder)


def test_another_number_of_features_than_the_trees_is_refused(folder, tmp_path):
    rows = xgboost.DMatrix(np.zeros((2, 3), dtype=np.float32), [0, 1])
    booster = xgboost.train({"objective": "binary:logistic"}, rows, 1)
    manifest = load_model(folder).manifest
    write_artefact(tmp_path / "other", manifest, bytes(booster.save_raw("ubj")))
    with pytest.raises(ModelError, match="reads features=3, the manifest lists 2"):
        load_model(tmp_path / "other")


def test_a_model_that_gives_no_probability_is_refused(folder, tmp_path):
    rows = xgboost.DMatrix(np.zeros((2, 2), dtype=np.float32), [0, 1], feature_names=["a", "b"])
    booster = xgboost.train({"objective": "reg:squarederror"}, rows, 1)
    write_artefact(tmp_path / "other", load_model(folder).manifest, bytes(booster.save_raw("ubj")))
    with pytest.raises(ModelError, match="objective=reg:squarederror"):
        load_model(tmp_path / "other")


@pytest.mark.parametrize("content", [b"", b"not a model", b"{}", b"{", b"[$", b"[" * 1000])
def test_bytes_that_are_no_model_are_refused_though_their_hash_is_right(folder, tmp_path, content):
    write_artefact(tmp_path / "other", load_model(folder).manifest, content)
    with pytest.raises(ModelError, match="is not a model that can score"):
        load_model(tmp_path / "other")


def test_a_model_over_the_limit_is_refused(folder):
    size = load_model(folder).manifest.files[0].bytes
    load_model(folder, max_bytes=size)
    with pytest.raises(ModelError, match=f"bytes={size}; the limit is {size - 1}"):
        load_model(folder, max_bytes=size - 1)


def test_an_artefact_is_replaced_only_when_told(folder):
    model, manifest = bytes_and_manifest(folder)
    newer = msgspec.structs.replace(manifest, version="2")
    with pytest.raises(ModelError, match=r"exists; .*--overwrite"):
        write_artefact(folder, newer, model)
    assert load_model(folder).reference == "tiny@1"
    write_artefact(folder, newer, model, overwrite=True)
    assert load_model(folder).reference == "tiny@2"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_with_anything_else_in_it_is_never_replaced(folder):
    model, manifest = bytes_and_manifest(folder)
    (folder / "notes.txt").write_text("dear")
    with pytest.raises(ModelError, match="not a model artefact"):
        write_artefact(folder, manifest, model, overwrite=True)
    assert (folder / "notes.txt").read_text() == "dear"


def test_a_manifest_with_mistakes_is_not_written(tmp_path):
    manifest = Manifest(
        name="m",
        version="1",
        files=(),
        features=(ModelFeature("a", "number"),),
        calibration=Isotonic(x=(0.0,), y=(2.0,)),
        thresholds=Thresholds(),
    )
    with pytest.raises(MitraError, match="y must lie within"):
        write_artefact(tmp_path / "m", manifest, b"")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_artefact_and_nothing_else(folder, monkeypatch):
    model, manifest = bytes_and_manifest(folder)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("models.artefact.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_artefact(folder, msgspec.structs.replace(manifest, version="2"), model, overwrite=True)
    assert load_model(folder).reference == "tiny@1"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_cut_or_changed_model_never_ends_the_process(folder, tmp_path):
    content, manifest = bytes_and_manifest(folder)
    rng = np.random.default_rng(0)
    cases = [content[:size] for size in range(0, len(content), 997)]
    for _ in range(100):
        changed = bytearray(content)
        changed[int(rng.integers(len(content)))] = int(rng.integers(256))
        cases.append(bytes(changed))
    loaded = 0
    for case in cases:
        write_artefact(tmp_path / "other", manifest, case, overwrite=True)
        try:
            model = load_model(tmp_path / "other")
        except ModelError:
            continue
        model.warm_up()
        loaded += 1
    assert 0 < loaded < len(cases)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("left_children", 10_000, "a child is outside the tree"),
        ("left_children", 0, "a child is outside the tree"),
        ("left_children", -1, "a node has one child"),
        ("split_indices", 2, "a split reads an unknown feature"),
        ("split_indices", -3, "a split reads an unknown feature"),
    ],
)
def test_a_tree_that_points_outside_itself_is_refused(folder, column, value, fault):
    document = read_ubj((folder / MODEL_FILE).read_bytes())
    tree = document["learner"]["gradient_booster"]["model"]["trees"][3]
    tree[column] = tree[column].copy()
    tree[column][0] = value
    with pytest.raises(ModelError, match=f"tree 3: {fault}"):
        _check(document)
