"""The address micro model: what it reads, how likeness behaves, that threads may share it, and its report."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.addresses import address_complete, address_part, address_similarity
from models.addresses.cities import mark_cities
from models.addresses.corpus import PARTS, Tagged, fold, learnt, part_of, read_delhi, read_us, split
from models.addresses.evaluation import begun, entities
from models.addresses.features import MOST_CHARACTERS, MOST_TOKENS, features, tokens
from models.addresses.parser import Parser, parse, shipped_parser
from models.addresses.train import SEED, TEST_SHARE, main
from models.errors import ModelError, TrainingError

HOME = "221 N Walnut St, Apt 4, Dayton, OH 45402"
ADDRESSES = [
    HOME,
    "8 ELM STREET DAYTON OH 45402",
    "44 alderbrook lane, kelford 40213",
    "PO Box 12, Dayton OH",
    "H NO 851 , DEFENCE COLONY , NEW DELHI , 110024",
    "Lindenstr. 5, 10969 Berlin",
]
texts = st.sampled_from(ADDRESSES) | st.text(max_size=400) | st.lists(st.sampled_from(HOME.split())).map(" ".join)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (HOME, ("221", "north walnut street", "dayton", "oh", "45402", "apartment 4")),
        ("8 ELM STREET DAYTON OH 45402", ("8", "elm street", "dayton", "oh", "45402", "")),
        ("44 alderbrook lane, kelford 40213", ("44", "alderbrook lane", "kelford", "", "40213", "")),
        ("", ("", "", "", "", "", "")),
        (" ,,; ", ("", "", "", "", "", "")),
    ],
)
def test_parts_are_read(text: str, parts: tuple[str, ...]):
    assert parse(text) == parts


def test_letter_case_says_nothing():
    assert parse(HOME.upper()) == parse(HOME.lower()) == parse(HOME)


@pytest.mark.parametrize(
    ("other", "low", "high"),
    [
        ("221 North Walnut Street, Dayton OH", 1.0, 1.0),
        ("221 N Walnut St, Apt 5, Dayton, OH 45402", 0.9, 0.99),
        ("221 N Wallnut St, Apt 4, Dayton, OH 45402", 0.9, 0.999),
        ("223 N Walnut St, Apt 4, Dayton, OH 45402", 0.7, 0.85),
        ("14 Oak Avenue, Toledo, OH 43604", 0.0, 0.35),
        ("9 Rowan Court, Kelham, GB 40213", 0.0, 0.35),
    ],
)
def test_likeness_goes_with_the_place(other: str, low: float, high: float):
    found = address_similarity(HOME, other)
    assert found is not None
    assert low <= found <= high


@settings(max_examples=300, deadline=None)
@given(texts, texts)
@example("İ", "i")
@example("x" * 5_000, "x" * 4_000)
def test_likeness_is_a_symmetric_share(one: str, other: str):
    found = address_similarity(one, other)
    assert found == address_similarity(other, one)
    assert found is None or 0 <= found <= 1
    same = address_similarity(one, one)
    assert same == (1.0 if found is not None else same)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_any_text_has_parts_or_none(text: str):
    parts = [address_part(text, part) for part in PARTS]
    assert all(part is None or part for part in parts)
    complete = address_complete(text)
    assert complete in {None, bool(parts[0] and parts[1] and (parts[2] or parts[4]))}


def test_completeness_wants_street_number_and_place():
    assert address_complete(HOME) is True
    assert address_complete("221 N Walnut St, Dayton") is True
    assert address_complete("221 N Walnut St") is False
    assert address_complete("PO Box 12, Dayton, OH 45402") is False
    assert address_complete(" ") is None


def test_little_is_read_of_what_is_endless():
    assert len(tokens("a " * 100_000)) == MOST_TOKENS
    assert len("".join(tokens("a" * 100_000))) == MOST_CHARACTERS
    assert len(features(tokens("1, " * 100_000))) == MOST_TOKENS


def test_threads_share_a_parser():
    parser = Parser(shipped_parser()._model)
    expected = {text: parse(text) for text in ADDRESSES}
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(parser.parse, ADDRESSES * 100))
    finally:
        sys.setswitchinterval(before)
    assert found == [expected[text] for text in ADDRESSES * 100]


@pytest.mark.parametrize("bytes_", [b"", b"no model"])
def test_bytes_that_are_no_model_are_refused(bytes_: bytes):
    with pytest.raises(ModelError, match=f"{len(bytes_)} bytes are no model of addresses"):
        Parser(bytes_)


@pytest.mark.parametrize(
    ("tag", "kind", "part"),
    [
        ("AddressNumberSuffix", "AddressNumber", "number"),
        ("StreetNamePostType", "StreetNamePostType", "street"),
        ("I-GALI", "GALI", "street"),
        ("B-PINCODE", "PINCODE", "postcode"),
        ("OccupancyType", "OccupancyType", "other"),
        ("O", "O", "other"),
    ],
)
def test_tags_stand_for_parts(tag: str, kind: str, part: str):
    assert (learnt(tag), part_of(tag), part_of(kind)) == (kind, part, part)


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("8 elm st new york ny", "0 0 0 B E 0"),
        ("salt lake city ut", "B I E 0"),
        ("boston, boston", "1 1"),
        ("new, york", "0 1"),
        ("1 st louis st louis park mn", "0 B E B I E 0"),
        ("st", "0"),
    ],
)
def test_a_city_s_name_is_marked_where_it_is_whole(text: str, marks: str):
    words = text.split()
    assert mark_cities([word.strip(",") for word in words], ["," in word for word in words]) == marks.split()


def test_each_address_is_held_out_in_one_fold_with_its_group():
    addresses = [Tagged((str(number),), ("O",), str(number // 3)) for number in range(100)]
    held_out = []
    for number in range(5):
        others, held = fold(addresses, 1, 5, number)
        assert not {one.group for one in others} & {one.group for one in held}
        assert len(others) + len(held) == 100
        held_out += held
    assert sorted(held_out, key=addresses.index) == addresses


def test_a_group_is_on_one_side_of_the_split():
    addresses = [Tagged((str(number),), ("O",), str(number // 3)) for number in range(300)]
    train, test = split(addresses, 1, 0.2)
    assert not {one.group for one in train} & {one.group for one in test}
    assert len(test) == 60
    assert split(addresses, 1, 0.2) == (train, test)
    assert split(addresses, 2, 0.2)[1] != test


def test_entities_begin_at_commas_and_changes():
    tags = begun(["CITY", "CITY", "CITY", "O", "AREA"], ["NEW", "DELHI,", "DELHI,", "x", "y"])
    assert tags == ["B-CITY", "I-CITY", "B-CITY", "O", "B-AREA"]
    assert entities(tags) == {("CITY", 0, 2), ("CITY", 2, 3), ("AREA", 4, 5)}
    assert entities(["O", "I-AREA", "B-AREA"]) == {("AREA", 1, 2), ("AREA", 2, 3)}


@pytest.mark.data
def test_the_shipped_model_is_as_good_as_the_guide_says(shared_data: Path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", str(shared_data / "addresses"), "--measure", "--json"])
    assert main() == 0
    found = json.loads(capsys.readouterr().out)
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    assert found["us"]["addresses"] + found["delhi"]["addresses"] > 1_000
    for one in (found["us"]["accuracy"], found["delhi"]["accuracy"]):
        assert f"{one:.4f}" in page
    assert f"{found['delhi_entities_f1']['all']:.3f}" in page
    for value in found["us"]["f1"].values():
        assert f"{value:.3f}" in page


@pytest.mark.data
def test_the_collections_are_read(shared_data: Path):
    us, delhi = read_us(shared_data / "addresses"), read_delhi(shared_data / "addresses")
    assert (len(us), len({one.group for one in us})) == (1_513, 1_487)
    assert len(delhi) < 3_935
    assert all(len(one.tokens) == len(one.tags) > 0 for one in us + delhi)
    tested = {one.group for one in split(us, SEED, TEST_SHARE)[1]}
    assert len(tested) == round(TEST_SHARE * 1_487)


def test_data_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(TrainingError, match=r"usaddress_labeled\.xml can't be read"):
        read_us(tmp_path)
    (tmp_path / "indian_train.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(TrainingError, match=r"indian_train\.jsonl can't be read: .*tokens"):
        read_delhi(tmp_path)
