"""Counts what rules did in a replay, by DuckDB over its `decisions.parquet`, beside the labels.

A rule fires where it stands under `rules` or under `shadow`. A payment counts once: that it came again makes no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mitra.backtest.figures import Caught, Figures, RuleFigures
from mitra.replay.labels import CREATE_LABELS, read_labels
from mitra.schema import Labels
from rules import OUTCOMES, ListDeclaration, Rule

_MEMORY_MB = 384
_RULES = pa.schema([("id", pa.string()), ("catches", pa.bool_()), ("spares", pa.bool_()), ("immutable", pa.bool_())])

_CREATE = f"""
create table payments (n bigint, id varchar, event_time bigint, money double, fired varchar[], undecided varchar[]);
{CREATE_LABELS};
create table rules (id varchar, catches boolean, spares boolean, immutable boolean);
create table marked (id varchar, mark varchar);
"""
# Ids are compared as labels have them: whole floats and decimals without their point.
_PAYMENTS = """
insert into payments
select row_number() over (), cast({id} as varchar), event_time, {money}, list_distinct(list_concat(rules, shadow)), not_evaluated
from read_parquet($file) where not duplicate
"""
# A list fires on the payments of who is on it; a rule doesn't on those of whom it is snoozed for.
_MARKED = """
update payments set
    fired = list_distinct(list_concat(list_filter(fired, lambda x: not list_contains(m.spared, x)), m.lists)),
    undecided = list_filter(undecided, lambda x: not list_contains(m.spared, x))
from (
    select id, coalesce(list(distinct mark) filter (mark in (select id from rules)), []) as lists,
    coalesce(list(distinct mark[8:]) filter (starts_with(mark, 'snooze:')), []) as spared
    from marked group by id
) m where m.id = payments.id
"""
# As in a replay: of labels with one id and version the first in the files counts, and of several versions the greatest.
_TRUTH = """
create table truth as
with known as (
    select p.n, l.value, l.place, coalesce(l.version, l.known_at_ms, p.event_time + $delay) as version
    from labels l join payments p on p.id = l.id
), single as (
    select n, version, arg_min(value, place) as value from known group by n, version
), last as (
    select n, arg_max(value, version) = 1 as fraud from single group by n
)
select p.n, coalesce(l.fraud, $absent::boolean) as fraud from payments p left join last l on l.n = p.n
"""
_FIRED = """
create table fired as
select f.n, f.rule, r.catches, r.spares, r.immutable, p.money, t.fraud
from (select n, unnest(fired) as rule from payments) f
join rules r on r.id = f.rule join payments p on p.n = f.n join truth t on t.n = f.n
"""
_SUMS = """
count(*), count(*) filter (fraud), count(*) filter (not fraud), coalesce(fsum(money), 0),
coalesce(fsum(money) filter (fraud), 0), coalesce(fsum(money) filter (not fraud), 0)
"""
_BY_RULE = f"select rule, {_SUMS} from fired group by rule"  # noqa: S608 - no value in it
_TOGETHER = f"""
select {_SUMS} from (
    select n, any_value(money) as money, any_value(fraud) as fraud from fired group by n
    having bool_or(catches) and (bool_or(immutable) or not bool_or(spares))
)
"""  # noqa: S608 - no value in it
_ALONE = """
select rule, count(*), count(*) filter (fraud) from (
    select any_value(rule) as rule, any_value(fraud) as fraud from fired where catches group by n having count(*) = 1
) group by rule
"""
_PAIRS = """
select a.rule, b.rule, count(*) as shared from fired a join fired b on a.n = b.n and a.rule <> b.rule
group by a.rule, b.rule order by shared desc, b.rule
"""
_UNDECIDED = "select rule, count(*) from (select unnest(undecided) as rule from payments) group by rule"

_NOTHING = (0, 0, 0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """Files of labels, and how long after its payment one is known that doesn't say when."""

    paths: tuple[Path, ...]
    labels: Labels
    delay_ms: int


def count(
    decisions: Path,
    rules: Sequence[Rule],
    tested: Sequence[str],
    folder: Path,
    *,
    money: str | None = None,
    labels: LabelFiles | None = None,
    lists: Sequence[ListDeclaration] = (),
    marked: Any = None,
) -> Figures:
    """Count what rules did. `money` is the column of what a payment is worth; `folder` takes what doesn't fit in memory.

    `lists` are counted as rules are, by their marks; `marked` is the table of which payments are marked as what, if any is.
    """
    with duckdb.connect(str(folder / "backtest.duckdb")) as database:
        database.execute(f"set memory_limit = '{_MEMORY_MB}MB'")
        database.execute(_CREATE)
        _load(database, decisions, money, labels)
        kinds = [(one.id, one.outcome != "allow", False, False) for one in rules]
        kinds += [(one.mark, one.kind != "allow", one.kind == "allow", one.immutable) for one in lists]
        columns = zip(*kinds, strict=True) if kinds else [()] * len(_RULES)
        database.register("piece", pa.Table.from_arrays([pa.array(one) for one in columns], schema=_RULES))
        database.execute("insert into rules select * from piece")
        if marked is not None:
            database.register("marks", marked)
            database.execute("insert into marked select * from marks")
            database.execute(_MARKED)
        database.execute(_FIRED)
        rules = [*rules, *(Rule(id=one.mark, when="", outcome=OUTCOMES[one.outcome]) for one in lists)]
        return _Figures(database, has_money=money is not None, has_labels=labels is not None).of(rules, tested)


def _load(database: Any, decisions: Path, money: str | None, labels: LabelFiles | None) -> None:
    [(id_type,)] = database.execute(
        "select column_type from (describe select transaction_id from read_parquet($file))", {"file": str(decisions)}
    ).fetchall()
    whole = id_type.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
    columns = {
        "id": "cast(transaction_id as bigint)" if whole else "transaction_id",
        "money": "null" if money is None else '"' + money.replace('"', '""') + '"',
    }
    database.execute(_PAYMENTS.format(**columns), {"file": str(decisions)})
    absent = None
    if labels is not None:
        absent = False if labels.labels.absent_is == "legit" else None
        place = 0
        for path in labels.paths:
            for piece in read_labels(path, labels.labels):
                piece.insert(database, place)
                place += len(piece.ids)
    database.execute(_TRUTH, {"delay": 0 if labels is None else labels.delay_ms, "absent": absent})


class _Figures:
    """Makes figures of what has been counted."""

    def __init__(self, database: Any, *, has_money: bool, has_labels: bool) -> None:
        self._database = database
        self._has_money = has_money
        self._has_labels = has_labels
        [self._span] = self._rows("select count(*), min(event_time), max(event_time) from payments")
        [self._known] = self._rows("select count(*) filter (fraud), count(*) filter (not fraud) from truth")

    def of(self, rules: Sequence[Rule], tested: Sequence[str]) -> Figures:
        [together] = self._rows(_TOGETHER)
        frauds, honest = self._known if self._has_labels else (None, None)
        found = self._by_rule(rules, frozenset(tested))
        payments, first_ms, last_ms = self._span
        caught = self._caught(together, catches=True)
        return Figures(payments, first_ms, last_ms, frauds, honest, found, caught)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._database.execute(query).fetchall()
        return rows

    def _by_rule(self, rules: Sequence[Rule], tested: frozenset[str]) -> tuple[RuleFigures, ...]:
        sums = {rule: found for rule, *found in self._rows(_BY_RULE)}
        alone = {rule: found for rule, *found in self._rows(_ALONE)}
        undecided = dict(self._rows(_UNDECIDED))
        overlap: dict[str, dict[str, int]] = {}
        for rule, other, both in self._rows(_PAIRS):
            overlap.setdefault(rule, {})[other] = both
        made = []
        for rule in rules:
            catches = rule.outcome != "allow"
            caught = self._caught(sums.get(rule.id, _NOTHING), catches=catches)
            payments, frauds = alone.get(rule.id, (0, 0))
            shared = overlap.get(rule.id, {})
            made.append(
                RuleFigures(
                    rule=rule,
                    tested=rule.id in tested,
                    caught=caught,
                    not_evaluated=undecided.get(rule.id, 0),
                    alone=payments if catches else None,
                    alone_frauds=frauds if catches and self._has_labels else None,
                    overlap=shared,
                    always_with=tuple(other for other, both in shared.items() if both == caught.payments),
                )
            )
        return tuple(made)

    def _caught(self, sums: Sequence[Any], *, catches: bool) -> Caught:
        payments, frauds, honest, money, stopped, wrongly = sums
        all_payments, all_frauds = self._span[0], self._known[0]
        judged = catches and self._has_labels
        return Caught(
            payments=payments,
            share=payments / all_payments if all_payments else 0.0,
            money=money if self._has_money else None,
            frauds=frauds if self._has_labels else None,
            honest=honest if self._has_labels else None,
            precision=frauds / (frauds + honest) if judged and frauds + honest else None,
            recall=frauds / all_frauds if judged and all_frauds else None,
            stopped=stopped if judged and self._has_money else None,
            wrongly_stopped=wrongly if judged and self._has_money else None,
        )
