"""`mitra topics PIPELINE [--create]`: the topics a pipeline needs, what they are, and what they should be."""

import argparse
from collections.abc import Mapping
from typing import Any

from mitra.cli.console import print_json, print_table
from mitra.duration import duration_text
from mitra.pipeline import load_pipeline
from mitra.topic_plan import TopicPlan, TopicState, differences, needed_topics
from mitra.topics import topics_client


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline file")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="another Kafka than the pipeline's")
    parser.add_argument(
        "--create", action="store_true", help="create the missing topics; those there are left as they are"
    )
    parser.add_argument("--json", action="store_true", help="print the topics as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, create if asked to, and tell; 1 if a topic is missing or not as it must be."""
    pipeline = load_pipeline(args.pipeline, args.bootstrap)
    plans = needed_topics(pipeline)
    created: list[str] = []
    with topics_client(pipeline) as client:
        states = client.states(plan.name for plan in plans)
        if args.create:
            missing = [plan for plan in plans if plan.name not in states]
            client.create(missing)
            created = [plan.name for plan in missing]
            states = client.states(plan.name for plan in plans)
    rows = [_row(plan, states, created) for plan in plans]
    right = all(row["exists"] and not row["differences"] for row in rows)
    if args.json:
        print_json({"bootstrap": pipeline.bootstrap, "ok": right, "created": created, "topics": rows})
        return 0 if right else 1
    print_table(
        ("topic", "for", "written by", "partitions", "retention", "state"),
        [_cells(plan, row) for plan, row in zip(plans, rows, strict=True)],
        title=f"{pipeline.name} on {pipeline.bootstrap}",
    )
    if not right and any(not row["exists"] for row in rows):
        print("--create creates the missing ones")
    return 0 if right else 1


def _row(plan: TopicPlan, states: Mapping[str, TopicState], created: list[str]) -> dict[str, Any]:
    state = states.get(plan.name)
    return {
        "topic": plan.name,
        "role": plan.role,
        "written_by": plan.written_by,
        "exists": state is not None,
        "created": plan.name in created,
        "partitions": state.partitions if state else None,
        "replication": state.replication if state else None,
        "config": state.config if state else None,
        "planned": {"partitions": plan.partitions, "replication": plan.replication, "config": plan.config},
        "differences": differences(plan, state) if state else [],
    }


def _cells(plan: TopicPlan, row: dict[str, Any]) -> tuple[str, ...]:
    if not row["exists"]:
        state = "missing"
    elif row["differences"]:
        state = "; ".join(row["differences"])
    else:
        state = "created" if row["created"] else "ok"
    partitions = row["partitions"] if row["exists"] else plan.partitions
    retention_ms = int((row["config"] or {}).get("retention.ms", plan.retention_ms))
    retention = "for ever" if retention_ms < 0 else duration_text(retention_ms)
    return (plan.name, plan.role, plan.written_by, str(partitions), retention, state)
