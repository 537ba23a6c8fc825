"""One revision, compiled: the features and rules that are live under it, and what histories answer for them."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from control_stream import Artefact, LiveSet
from mitra.blueprint import Blueprint
from mitra.decode import payload_fields
from mitra.errors import ProblemsError
from mitra.exactness import exact_from
from mitra.feature_plan import FeaturePlan
from mitra.hashing import text_hash
from mitra.history import Plan, Store
from mitra.kept_revisions import KeptRevisions
from mitra.messages import Marker, Revise
from rules import CompiledFeatures, RuleSet, check_rules, compile_features
from rules.plan import Aggregate


class Revision:
    """What is live under one revision, over a pipeline. Compiled when it is asked for; code is shared between revisions.

    What no longer fits the pipeline, because an upgrade has taken a field away, is left out and named in `unfit`.
    """

    def __init__(self, blueprint: Blueprint, number: int = 0, live: LiveSet | None = None) -> None:
        """Keep what to compile; revision 0 is the pipeline by itself, or with what a replay has from the start."""
        self.blueprint = blueprint
        self.number = number
        self.live = live or LiveSet()
        self.unfit: list[str] = []

    @cached_property
    def compiled(self) -> CompiledFeatures:
        """The pipeline's features and those put at run time."""
        live = self.live.features
        if not live:
            return self.blueprint.compiled
        pipeline, schema = self.blueprint.pipeline, self.blueprint.schema
        try:
            return self.blueprint.compile({**pipeline.features, **live})
        except ProblemsError:
            fitting: dict[str, str] = dict(pipeline.features)
            for name, text in live.items():
                try:
                    compile_features({**fitting, name: text}, schema)
                except ProblemsError:
                    self.unfit.append(f"feature {name}")
                else:
                    fitting[name] = text
            return self.blueprint.compile(fitting)

    @cached_property
    def rules(self) -> RuleSet | None:
        """The rules and lists; None where there are none, so that they cost nothing."""
        live = self.live
        if not live.rules and not live.lists:
            return None
        features, schema = self.compiled.texts, self.blueprint.schema
        rules = live.rules
        try:
            return RuleSet.compile(rules.values(), features, schema, live.lists.values())
        except ProblemsError:
            fitting = []
            for name, rule in rules.items():
                try:
                    check_rules({name: rule}, features, schema)
                except ProblemsError:
                    self.unfit.append(f"rule {name}")
                else:
                    fitting.append(rule)
            return RuleSet.compile(fitting, features, schema, live.lists.values())

    @property
    def artefacts(self) -> list[Artefact]:
        """The artefacts of its models."""
        return [one.artefact for one in self.live.models.values()]

    @cached_property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """All that histories are asked for: what features need, then what only rules do."""
        asked = {one.key: one for one in self.compiled.aggregates}
        if self.rules is not None:
            asked.update((one.key, one) for one in self.rules.aggregates if one.key not in asked)
        return tuple(asked.values())

    @cached_property
    def plan(self) -> Plan:
        """What histories compute under this revision alone."""
        return self.blueprint.plan_of(self.aggregates)

    @cached_property
    def fingerprint(self) -> int:
        """The name, in messages, of the fields of a decided event and the columns of what histories answer."""
        plan = self.plan
        columns = [
            (entity.name, [plan.aggregates[place].key for place in places])
            for entity, places in zip(plan.entities, plan.columns, strict=True)
        ]
        return text_hash(repr((payload_fields(self.blueprint.pipeline.decided), columns)))

    @cached_property
    def feature_plan(self) -> FeaturePlan:
        """How features are filled from what histories answer."""
        pipeline = self.blueprint.pipeline
        index = self.blueprint.schema.graph_index
        return FeaturePlan(self.compiled, self.plan, pipeline.decided.index, pipeline.graph, index)


class Selection:
    """Which of the answers of a plan for several revisions belong to one of them, entity by entity.

    `numeric[e]`, `texts[e]`: the columns of the wider plan, in the order of the revision's; None where all are the same.
    """

    def __init__(self, wide: Plan, plan: Plan) -> None:
        """Look the columns up. Every aggregate of `plan` is in `wide`."""
        self.width = plan.width
        self.same = [[wide.aggregates[place].key for place in columns] for columns in wide.columns] == [
            [plan.aggregates[place].key for place in columns] for columns in plan.columns
        ]
        self.numeric = [_places(wide, plan, entity, "numeric") for entity in range(len(plan.by_entity))]
        self.texts = [_places(wide, plan, entity, "texts") for entity in range(len(plan.by_entity))]

    def cells(self, values: NDArray[np.generic], entities: NDArray[np.uint8], fill: object) -> NDArray[np.generic]:
        """Return the revision's columns of a matrix with one row a touch."""
        if self.same:
            return values
        chosen = np.full((len(values), self.width), fill, values.dtype)
        for entity, places in enumerate(self.numeric):
            rows = np.flatnonzero(entities == entity)
            if len(places) and len(rows):
                chosen[rows[:, None], np.arange(len(places))] = values[rows[:, None], places]
        return chosen

    def row(self, texts: list[str | None], entity: int) -> list[str | None]:
        """Return the revision's texts of one touch."""
        return texts if self.same else [texts[place] for place in self.texts[entity].tolist()]


def _places(wide: Plan, plan: Plan, entity: int, kind: str) -> NDArray[np.int64]:
    where = {wide.aggregates[place].key: column for column, place in enumerate(getattr(wide.by_entity[entity], kind))}
    wanted = getattr(plan.by_entity[entity], kind)
    return np.array([where[plan.aggregates[place].key] for place in wanted], dtype=np.int64)


class Revisions:
    """The revisions that the buckets of a subtask keep, compiled once for all of them."""

    def __init__(self, blueprint: Blueprint, senders: int) -> None:
        """Know revision 0; a bucket's markers come from so many `senders`."""
        self._blueprint = blueprint
        self._senders = senders
        self._known: dict[int, Revision] = {0: self._revision(0, blueprint.live or LiveSet())}
        self._kept: dict[int, KeptRevisions] = {}

    def open(self, bucket: int, store: Store) -> bool:
        """Read what a bucket keeps, once; return True if it has not been read before."""
        if bucket in self._kept:
            return False
        self._kept[bucket] = KeptRevisions(store, self._senders)
        self._learn(bucket)
        return True

    def running(self, bucket: int) -> int:
        """Return the revision below which nothing comes to a bucket any more."""
        return self._kept[bucket].running

    def prepare(self, bucket: int, revise: Revise, store: Store) -> bool:
        """Keep another revision in a bucket; return True if no other bucket had it yet."""
        self._kept[bucket].prepare(revise, store)
        return self._learn(bucket)

    def mark(self, bucket: int, marker: Marker, store: Store, oldest: int | None = None) -> tuple[int, int] | None:
        """Take a marker; return what `reach` does."""
        return self._dropped(self._kept[bucket].mark(marker, store, oldest))

    def reach(self, bucket: int, store: Store, oldest: int | None) -> tuple[int, int] | None:
        """Return (revision, attempt) where a bucket has come further; what no bucket keeps then goes.

        It has come as far as all senders, but no further than to the `oldest` revision of a record that waits in it.
        """
        return self._dropped(self._kept[bucket].reach(store, oldest))

    def _dropped(self, reached: tuple[int, int] | None) -> tuple[int, int] | None:
        if reached is not None:
            kept = {number for one in self._kept.values() for number in one.live_sets}
            for number in [number for number in self._known if number not in kept]:
                del self._known[number]
        return reached

    def exact_from(self, bucket: int, number: int, newest_ms: int) -> dict[str, int]:
        """Return the aggregates that a revision is the first of a bucket's to ask for, and from when they are exact.

        Those that are exact at once aren't named. No event in the bucket is newer than `newest_ms`.
        """
        if number not in self._known:  # prepared long ago, and asked for again
            return {}
        earlier = [self._known[one] for one in self._kept[bucket].live_sets if one < number]
        before = {one.key for revision in earlier for one in revision.aggregates}
        asked = [one for one in self._known[number].aggregates if one.key not in before]
        return exact_from(asked, self._blueprint.compiled.aggregates, self._blueprint.layout.text, newest_ms)

    def _learn(self, bucket: int) -> bool:
        live_sets = self._kept[bucket].live_sets
        fresh = [number for number in live_sets if number not in self._known]
        for number in fresh:
            self._known[number] = self._revision(number, live_sets[number])
        return bool(fresh)

    def _revision(self, number: int, live: LiveSet) -> Revision:
        return Revision(self._blueprint, number, live)

    def get(self, number: int) -> Revision | None:
        """Return a revision, None if no bucket keeps it."""
        return self._known.get(number)

    def nearest(self, number: int) -> Revision:
        """Return a revision, or the oldest that is kept behind it, for a message that was under way for too long."""
        found = self._known.get(number)
        if found is not None:
            return found
        later = [other for other in self._known if other > number]
        return self._known[min(later) if later else max(self._known)]

    @property
    def has_rules(self) -> bool:
        """Whether any revision has rules or lists."""
        return any(revision.live.rules or revision.live.lists for revision in self._known.values())

    def all(self) -> list[Revision]:
        """Return what is known, the oldest first."""
        return [self._known[number] for number in sorted(self._known)]
