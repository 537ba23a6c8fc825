"""What compiled features consist of: aggregates, direct features, the function for the rest, and what each uses."""

import dataclasses

import pytest

from mitra.schema import Entity
from rules import CompiledFeatures, ExpressionSchema, ExpressionsError, Signal, check_expressions, compile_features
from rules.plan import Aggregate, Window
from tests.factories.expressions import PAYMENT, VALUES, schema

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def compiled(**features: str) -> CompiledFeatures:
    return compile_features(features, schema())


def aggregate(text: str) -> Aggregate:
    (found,) = compiled(f=text).aggregates
    return found


def computed(text: str, *needed: float | str | None, time_ms: int = 0, zone: str = "UTC") -> object:
    """Return what one expression is worth for the payment of the factory."""
    made = compile_features({"f": text}, schema(zone=zone))
    (found,) = made.function(VALUES, needed, time_ms)
    return found


def test_names_types_and_texts_come_in_the_order_given():
    made = compiled(zebra="amount * 2", ape='count(by=customer, over="1h")', cow="zebra > ape", bat="country")
    assert made.names == ("zebra", "ape", "cow", "bat")
    assert made.types == {"zebra": "number", "ape": "integer", "cow": "boolean", "bat": "string"}
    assert made.texts["cow"] == "zebra > ape"
    assert made.computed == ("zebra", "cow", "bat")


def test_a_feature_that_is_an_aggregate_is_direct():
    made = compiled(
        n='count(by=customer, over="1h")',
        risk='default(mean(fraud, by=terminal, over="7d", delay="7d"), 0)',
        below="default(min(amount, by=customer, last=3), -1.5)",
        flag="default(previous(online, by=customer), True)",
        text="previous(country, by=customer)",
        alias="risk",
        twice="default(alias, 5)",
    )
    assert made.direct == {
        "n": (0, None),
        "risk": (1, 0.0),
        "below": (2, -1.5),
        "flag": (3, 1.0),
        "alias": (1, 0.0),
        "twice": (1, 0.0),
    }
    assert made.computed == ("text",)
    assert made.needed == (4,)
    assert made.function(VALUES, ("FR",), 0) == ("FR",)


def test_a_default_that_is_no_constant_is_computed():
    made = compiled(f='default(mean(amount, by=customer, over="1h"), amount)')
    assert made.direct == {}
    assert made.function(VALUES, (None,), 0) == (120.0,)
    assert made.function(VALUES, (7.0,), 0) == (7.0,)


def test_features_may_refer_to_later_and_to_direct_ones():
    made = compiled(
        ratio="amount / usual", usual='default(mean(amount, by=customer, over="30d"), 1)', high="ratio > 3", n="high"
    )
    assert made.needed == (0,)
    assert made.uses == {"ratio": (0,), "usual": (0,), "high": (0,), "n": (0,)}
    assert made.function(VALUES, (30.0,), 0) == (4.0, True, True)
    assert made.function(VALUES, (None,), 0) == (120.0, True, True)


def test_no_features_compile_to_nothing():
    made = compile_features({}, schema())
    assert made.function(VALUES, (), 0) == ()
    assert made.aggregates == ()


def test_a_feature_may_carry_a_field_under_its_own_name():
    made = compiled(amount="amount", double="amount * 2")
    assert made.function(VALUES, (), 0) == (120.0, 240.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('count(by=customer, over="24h")', 'count( over = "1d",by=customer )'),
        ('count(by=customer, over="14d")', 'count(by=customer, over="2w")'),
        (
            'count(by=customer, over="90s", where=amount > 100)',
            'count(by=customer, over="90s", where=(100.0 < (amount)))',
        ),
        (
            'count(by=customer, over="1h", where=online and amount > 1 and country in ["DE", "FR"])',
            'count(by=customer, over="60m", where=country in ("FR", "DE", "FR") and (amount > 1 and online))',
        ),
        (
            'count(by=customer, over="1h", where=online or not online)',
            'count(by=customer, over="1h", where=not online or online)',
        ),
        (
            'sum(amount, by=customer, over="1h", where=1 < amount < 5)',
            'sum(amount, by=customer, over="1h", where=amount < 5 and amount > 1)',
        ),
        ('count(by=customer, over="1h", where=hour(at) < 6)', 'count(by=customer, over="1h", where=hour(time) < 6)'),
    ],
)
def test_equal_meaning_is_one_aggregate(one: str, other: str):
    assert len(compiled(one=one, other=other).aggregates) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('count(by=customer, over="1h")', 'count(by=terminal, over="1h")'),
        ('count(by=customer, over="1h")', 'count(amount, by=customer, over="1h")'),
        ('count(by=customer, over="1h")', 'count(by=customer, over="1h", event=login)'),
        (
            'count(by=customer, over="1h", where=amount > items + 1)',
            'count(by=customer, over="1h", where=amount > items - 1)',
        ),
        (
            'count(by=customer, over="1h", where=amount - (items - 1) > 0)',
            'count(by=customer, over="1h", where=amount - items - 1 > 0)',
        ),
        (
            """count(by=customer, over="1h", where=country == "a' or country == 'b")""",
            """count(by=customer, over="1h", where=country == "a" or country == "b")""",
        ),
        (
            'count(by=customer, over="1h", where=(online or amount > 1) and items > 1)',
            'count(by=customer, over="1h", where=online or amount > 1 and items > 1)',
        ),
    ],
)
def test_other_meaning_is_another_aggregate(one: str, other: str):
    assert len({made.key for made in compiled(one=one, other=other).aggregates}) == 2


@pytest.mark.parametrize(
    ("text", "key", "window", "delay_ms", "kind"),
    [
        (
            'mean(amount, by=customer, over="30d")',
            "mean(amount, by=customer, over=30d)",
            Window("over", 30 * DAY_MS),
            0,
            "number",
        ),
        ("count(by=customer, last=10)", "count(by=customer, last=10)", Window("last", 10), 0, "integer"),
        ('sum(items, by=terminal, over="ever")', "sum(items, by=terminal, over=ever)", Window("ever"), 0, "integer"),
        (
            'sum(online, by=customer, over="90s")',
            "sum(online, by=customer, over=90s)",
            Window("over", 90_000),
            0,
            "integer",
        ),
        (
            'std(items, by=customer, over="36h")',
            "std(items, by=customer, over=36h)",
            Window("over", 36 * HOUR_MS),
            0,
            "number",
        ),
        ("previous(country, by=customer)", "previous(country, by=customer)", Window("ever"), 0, "string"),
        ("seconds_since(by=device_country)", "seconds_since(by=device_country)", Window("ever"), 0, "number"),
        ("first(items, by=customer, last=5)", "first(items, by=customer, last=5)", Window("last", 5), 0, "integer"),
        (
            'distinct(country, by=customer, over="1d")',
            "distinct(country, by=customer, over=1d)",
            Window("over", DAY_MS),
            0,
            "integer",
        ),
        (
            'mean(fraud, by=terminal, over="1w", delay="7d")',
            "mean(fraud, by=terminal, over=7d, delay=7d)",
            Window("over", 7 * DAY_MS),
            7 * DAY_MS,
            "number",
        ),
    ],
)
def test_aggregates_are_planned_as_written(text: str, key: str, window: Window, delay_ms: int, kind: str):
    found = aggregate(text)
    assert (found.key, found.window, found.delay_ms, found.value_type) == (key, window, delay_ms, kind)


def test_an_aggregate_may_look_at_another_event_type():
    found = aggregate('sum(attempts, by=customer, over="1h", event=login, where=not succeeded and country != "DE")')
    assert (found.event, found.field) == ("login", "attempts")
    assert found.where is not None
    assert found.where.text == "country != 'DE' and not succeeded"
    assert found.where.fields == ("succeeded", "country")
    assert found.where.predicate((False, "FR")) is True
    assert found.where.predicate((0.0, None)) is None
    assert found.where.predicate((1.0, None)) is False


def test_naming_the_only_event_type_changes_nothing():
    alone = ExpressionSchema((PAYMENT,), (Entity("customer", ("customer_id",)),), None, DAY_MS)
    texts = {"one": 'count(by=customer, over="1h")', "other": 'count(by=customer, over="1h", event=payment)'}
    (found,) = compile_features(texts, alone).aggregates
    assert found.event is None


def test_a_where_asks_the_stored_events_time_by_its_field():
    found = aggregate('count(by=customer, over="30d", where=hour(time) < 6)')
    assert found.where is not None
    assert found.where.fields == ("at",)
    assert found.where.predicate((5 * HOUR_MS,)) is True
    assert found.where.predicate((6 * HOUR_MS,)) is False
    logins = aggregate('count(by=customer, over="30d", event=login, where=weekday(time) == 3)')
    assert logins.where is not None
    assert logins.where.fields == ("logged_in_at",)
    assert logins.where.predicate((0,)) is True


def test_speed_is_made_of_the_event_before():
    made = compiled(f="speed_kmh(lat, lon, by=customer)")
    assert [one.key for one in made.aggregates] == [
        "previous(lat, by=customer)",
        "previous(lon, by=customer)",
        "seconds_since(by=customer)",
    ]
    (an_hour,) = made.function(VALUES, (52.52, 13.405, 3600.0), 0)
    assert an_hour == 0.0
    (from_paris,) = made.function(VALUES, (48.8566, 2.3522, 3600.0), 0)
    assert from_paris == pytest.approx(877.46, abs=0.01)
    at_once = made.function(VALUES, (48.8566, 2.3522, 0.0), 0)
    assert at_once == made.function(VALUES, (48.8566, 2.3522, 1.0), 0)
    assert made.function(VALUES, (None, None, None), 0) == (None,)


def test_clocks_follow_the_zone():
    evening = VALUES[1]
    assert isinstance(evening, int)
    for zone, expected in (("UTC", (23, 4, 30)), ("Europe/Berlin", (1, 5, 31)), ("Asia/Kolkata", (5, 5, 31))):
        found = tuple(computed(f"{name}(time)", time_ms=evening, zone=zone) for name in ("hour", "weekday", "day"))
        assert found == expected, zone


def test_clocks_hold_for_any_time():
    for time_ms in (0, -1, -(10**15), 10**15, 253_402_300_799_999, 10**20):
        for zone in ("UTC", "Europe/Berlin"):
            assert computed("hour(time) + weekday(at) + day(time)", time_ms=time_ms, zone=zone) is not None


def test_an_expression_tells_what_it_reads():
    found = check_expressions(
        {"r": 'amount > usual and hour(time) < 6 and count(by=customer, over="1h") > 3'},
        schema(),
        "rules",
        {"usual": "number"},
    )["r"]
    assert found.fields == ("amount",)
    assert found.features == ("usual",)
    assert [one.key for one in found.aggregates] == ["count(by=customer, over=1h)"]
    assert found.signals == (
        Signal("field", "amount"),
        Signal("feature", "usual"),
        Signal("aggregate", "count(by=customer, over=1h)"),
    )
    assert found.type == "boolean"
    assert found.function((10.0, 5.0, 4.0), 0) is True


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("amount > 3", ("amount",)),
        ("amount > usual", ("amount", "usual")),
        ("default(amount, 1) > 0", ()),
        ("default(amount, usual) > 0", ("amount", "usual")),
        ("online and amount > 3", ("amount",)),
        ("not online and amount > 3", ()),
        ("amount > 3 if online else items > 3", ("amount",)),
        ("amount > 3 if not online else items > 3", ()),
        ("1 / (items - 3) > 0", ("1 / (items - 3)",)),
        ("log(0 - items) > 0 and amount > 0", ("amount", "log(0 - items)")),
        ('mean(amount, by=customer, over="1h") > 0', ("mean(amount, by=customer, over=1h)",)),
        ("is_missing(amount)", ()),
    ],
)
def test_a_missing_result_names_what_it_lacks(text: str, lacking: tuple[str, ...]):
    found = check_expressions({"r": text}, schema(), "rules", {"usual": "number"})["r"]
    known = {Signal("field", "online"): True, Signal("field", "items"): 3}
    assert sorted(found.missing(known, 0)) == sorted(lacking)


def test_rules_must_be_conditions():
    assert check_expressions({"r": "amount > 3"}, schema(), "rules", wanted="boolean")["r"].type == "boolean"
    with pytest.raises(ExpressionsError, match="rule wants a boolean, not a number"):
        check_expressions({"r": "amount"}, schema(), "rules", wanted="boolean")


def test_what_is_computed_twice_is_written_once():
    texts = {f"f{hour}": f"hour(time) * amount / 7 > {hour}" for hour in range(20)}
    made = compile_features(texts, schema())
    assert made.function(VALUES, (), 12 * HOUR_MS) == (True,) * 20
    assert sum(name.startswith("s") for name in made.function.__code__.co_varnames) == 1


def test_compiled_features_do_not_change():
    made = compiled(f="amount")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.names = ()  # type: ignore[misc]
