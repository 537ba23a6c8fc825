"""The `cep` section: files of sequences read with the pipeline, what SQL lacks, and `matched` in features.

After a change on purpose, run with MITRA_WRITE_GOLDEN=1 and read the difference in tests/golden/cep.
"""

import os
import re
from pathlib import Path

import pytest

from mitra.errors import ProblemsError
from mitra.job_cep_sql import match_sql, source_sql
from mitra.pipeline import Pipeline, load_pipeline
from mitra.pipeline_cep import queries
from mitra.pipeline_whole import check_whole
from mitra.topic_plan import needed_topics
from rules import check_expressions

PIPELINE = """
name: shop
events:
  payment: {decided: true, id: id, time: at, fields: {id: string, at: time, customer: string, amount: number}}
  login: {decided: false, id: id, time: at, time_format: iso8601, fields: {id: string, at: time, customer: string}}
entities: {customer: customer}
features:
  doubled: matched("doubled", by=customer, over="1d")
cep: {sequences: [doubled.yaml]}
"""
DOUBLED = """
id: doubled
by: customer
within: 10m
steps:
- {step: first, event: payment}
- {step: second, event: payment, when: amount >= 2 * first.amount and first.amount > 0}
skip: past_last
outcome: review
reason: "{amount} is twice as much"
"""
GOLDEN = Path(__file__).parents[2] / "golden" / "cep"


def load(folder: Path, pipeline: str = PIPELINE, sequences: str = DOUBLED) -> Pipeline:
    (folder / "pipeline.yaml").write_text(pipeline, encoding="utf-8")
    (folder / "doubled.yaml").write_text(sequences, encoding="utf-8")
    return load_pipeline(folder / "pipeline.yaml")


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("MITRA_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_matches_are_events_of_their_entity_that_features_can_ask(tmp_path: Path) -> None:
    pipeline = load(tmp_path)
    match = pipeline.event("sequence_match")
    assert match is not None
    assert (match.topic, match.decided, match.derived) == ("shop.matches", False, True)
    assert [field.name for field in match.fields] == ["match_id", "match_time", "pattern", "customer"]
    asked = pipeline.expression_schema()
    tree = check_expressions(pipeline.features, asked, "features")["doubled"].tree
    assert tree.text == "count(by=customer, over=1d, event=sequence_match, where=pattern == 'doubled') > 0"
    assert check_whole(tmp_path / "pipeline.yaml")[1] == []
    assert [(plan.name, plan.written_by) for plan in needed_topics(pipeline) if plan.name == match.topic] == [
        ("shop.matches", "Mitra")
    ]


def test_matches_count_only_where_they_are_named(tmp_path: Path) -> None:
    """A feature and a step that name no type mean what they meant before there were patterns."""
    texts = ('count(by=customer, over="1h")', "previous(amount, by=customer)", 'count(pattern, by=customer, over="1h")')
    pipeline = load(tmp_path)
    schema = pipeline.expression_schema()
    trees = check_expressions(dict(zip("ab", texts[:2], strict=True)), schema, "features")
    assert trees["a"].tree.text == "count(by=customer, over=1h, event=payment|login)"
    with pytest.raises(ProblemsError, match="pattern"):
        check_expressions({"c": texts[2]}, schema, "features")


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ('matched("dubled", by=customer, over="1d")', "unknown pattern dubled"),
        ('matched("doubled", over="1d")', "matched takes the name of a pattern"),
        ('matched("doubled", by=custmer, over="1d")', "unknown entity custmer"),
        ('matched("doubled", by=customer, over="1y")', "behind over= stands a length of time"),
    ],
)
def test_a_wrong_call_of_matched_is_told_with_its_place(tmp_path: Path, feature: str, said: str) -> None:
    load(tmp_path, re.sub(r"matched\(.*\)", feature, PIPELINE))
    (problem,) = check_whole(tmp_path / "pipeline.yaml")[1]
    assert said in problem.render()


def test_without_the_section_matched_says_where_patterns_stand(tmp_path: Path) -> None:
    load(tmp_path, PIPELINE.replace("cep: {sequences: [doubled.yaml]}\n", ""))
    (problem,) = check_whole(tmp_path / "pipeline.yaml")[1]
    assert "cep section" in problem.render()


@pytest.mark.parametrize(
    ("pipeline", "sequences", "said"),
    [
        (PIPELINE.replace("doubled.yaml", "gone.yaml"), DOUBLED, "gone.yaml: there is no such file"),
        (PIPELINE, DOUBLED.replace("within: 10m", "within: soon"), "doubled.yaml, line 4: within: found"),
        (PIPELINE, "id: a\nwhen: amount > 1\noutcome: block\n", "a is a rule; allowed: sequences"),
        (PIPELINE, DOUBLED.replace("by: customer", "by: custmer"), 'found "custmer", which is no entity'),
        (PIPELINE, DOUBLED.replace("step: first, event: payment", "step: first"), "whose times are iso8601"),
        (PIPELINE.replace("[doubled.yaml]", "[doubled.yaml, doubled.yaml]"), DOUBLED, "found doubled more than once"),
        (PIPELINE.replace("customer: customer", "customer: custmer"), DOUBLED, 'found "custmer"; allowed: a field'),
    ],
)
def test_what_is_wrong_with_the_files_is_told_with_the_pipeline(
    tmp_path: Path, pipeline: str, sequences: str, said: str
) -> None:
    with pytest.raises(ProblemsError, match=re.escape(said)):
        load(tmp_path, pipeline, sequences)


UNFIT = """
sequences:
- id: forms
  by: customer
  within: 1000d
  steps:
  - {step: a, event: payment}
  - {step: b, event: payment, times: 2 or more, when: round(amount) > a.amount % 2}
  - {step: c, event: payment, optional: true, when: hour(time) > 3}
  - {step: d, event: payment}
  - {absent: e, event: payment}
  when: amount > 3
  percent: 10
  outcome: review
- id: spoken-of
  by: customer
  within: 10m
  skip: to_next
  steps: [{step: a, event: payment}, {step: b, event: payment}, {step: c, event: payment, when: amount > b.amount}]
  outcome: review
- id: absent-behind
  by: customer
  within: 10m
  skip: to_next
  steps: [{step: a, event: payment}, {step: b, event: payment}, {absent: c, event: payment}, {step: d, event: payment}]
  outcome: review
- id: strictly-behind
  by: customer
  within: 10m
  skip: to_next
  steps:
  - {step: a, event: payment}
  - {step: b, event: payment}
  - {step: c, event: payment, contiguity: strict}
  - {step: d, event: payment}
  outcome: review
- id: how-many
  by: customer
  within: 10m
  skip: past_last
  mode: paused
  steps: [{step: a, event: payment, times: 2 or more, contiguity: strict}, {step: b, event: payment}]
  outcome: review
"""


def test_what_match_recognize_lacks_is_named_all_at_once(tmp_path: Path) -> None:
    text = PIPELINE.replace('matched("doubled", by=customer, over="1d")', "amount * 2")
    pipeline = load(tmp_path, f"{text}history: {{max_window: 1500d}}\n", UNFIT)
    made, problems = queries(pipeline)
    assert made == []
    golden("unfit.txt", "".join(f"{one.render()}\n" for one in problems))


def test_a_pattern_reads_as_the_query_that_is_kept(tmp_path: Path) -> None:
    pipeline = load(tmp_path)
    ((rule, query),), _ = queries(pipeline)
    assert pipeline.cep is not None
    assert rule.reason == ""
    texts = [
        source_sql(pipeline, pipeline.cep),
        match_sql(query, rule, pipeline.entities[0], pipeline, pipeline.cep),
    ]
    golden("doubled.sql", "\n\n".join(texts) + "\n")


def test_queries_that_differ_in_within_alone_differ_in_their_variables(tmp_path: Path) -> None:
    """The planner takes them for one otherwise, and runs both within the time of either."""
    short = DOUBLED.strip().replace("\n", "\n  ")
    long = short.replace("id: doubled", "id: longer").replace("10m", "20m")
    sequences = f"sequences:\n- {short}\n- {long}\n"
    made, problems = queries(load(tmp_path, sequences=sequences))
    assert problems == []
    first, second = ([variable.name for variable in query.variables] for _, query in made)
    assert first[0] != second[0]
    assert first[1:] == second[1:]
