"""Every operator gets a uid from the stage that built it; what would be numbered is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest

from mitra.uids import UidError, Uids

_numbers = count(1)


@dataclass
class Step:
    """A transformation as Flink shows it through the gateway."""

    name: str
    inputs: list[Step] = field(default_factory=list)
    kind: str = "OneInputTransformation"
    uid: str | None = None
    number: int = field(default_factory=lambda: next(_numbers))

    def getId(self) -> int:  # noqa: N802 - Java's names
        return self.number

    def getName(self) -> str:  # noqa: N802
        return self.name

    def getUid(self) -> str | None:  # noqa: N802
        return self.uid

    def setUid(self, uid: str) -> None:  # noqa: N802
        self.uid = uid

    def getInputs(self) -> list[Step]:  # noqa: N802
        return self.inputs

    def getClass(self) -> Step:  # noqa: N802
        return self

    def getSimpleName(self) -> str:  # noqa: N802
        return self.kind


def test_names_are_stage_and_kind_without_flinks_numbers() -> None:
    source = Step("KafkaSource-source_topics[1]")
    batch = Step("WindowAggregate[4]", [Step("Calc[2]", [source])])
    uids = Uids()
    uids.name_stage("source", batch)
    assert uids.given == ["source-records", "source-calc", "source-batch"]
    assert source.uid == "source-records"


def test_a_stage_names_only_what_it_added() -> None:
    first = Step("Calc[1]")
    second = Step("Calc[7]", [Step("partition", [first], kind="PartitionTransformation")])
    uids = Uids()
    uids.name_stage("one", first)
    uids.name_stage("two", second)
    assert uids.given == ["one-calc", "two-calc"]
    assert first.uid == "one-calc"


def test_a_stage_in_front_changes_no_name_behind_it() -> None:
    def named(*, with_more: bool) -> list[str]:
        start = Step("KafkaSource")
        uids = Uids()
        uids.name_stage("source", start)
        if with_more:
            start = Step("Calc[9]", [start])
            uids.name_stage("more", start)
        uids.name_stage("decide", Step("Calc[10]", [start]))
        return uids.given

    assert set(named(with_more=False)) < set(named(with_more=True))


def test_two_of_a_kind_are_told_apart_by_names() -> None:
    end = Step("Calc[2]", [Step("Calc[1]")])
    uids = Uids()
    uids.name_stage("source", end, {"calc": "records", "calc#2": "batches"})
    assert uids.given == ["source-records", "source-batches"]


def test_two_of_a_kind_without_names_are_an_error() -> None:
    with pytest.raises(UidError, match=r"name them apart in job\.py"):
        Uids().name_stage("source", Step("Calc[2]", [Step("Calc[1]")]))


def test_one_uid_twice_is_an_error() -> None:
    uids = Uids()
    uids.name_stage("source", Step("Calc[1]"))
    with pytest.raises(UidError, match="uid 'source-calc' is given twice"):
        uids.name_stage("source", Step("Calc[2]"))


def test_a_uid_that_is_set_already_is_kept_and_counted() -> None:
    step = Step("Calc[1]", uid="mine")
    uids = Uids()
    uids.name_stage("source", step)
    assert (uids.given, step.uid) == (["mine"], "mine")
    with pytest.raises(UidError, match="given twice"):
        uids.name_stage("other", Step("Calc[2]", uid="mine"))


def test_the_operator_of_a_stage_has_the_stages_name() -> None:
    uids = Uids()
    uids.name_stage("history", Step("KEYED PROCESS"))
    assert uids.given == ["history"]
