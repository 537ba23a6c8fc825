"""What is on the pipeline's Kafka: reads the state of topics and creates those that are missing."""

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mitra.errors import MitraError
from mitra.kafka_settings import client_settings
from mitra.pipeline import Pipeline
from mitra.topic_plan import FOR_EVER, TopicPlan, TopicState, differences, needed_topics

CONNECT_S = 3.0
"""A broker that is there accepts a connection in milliseconds; three seconds are a far network on a bad day."""
REQUEST_MS = 10_000


class KafkaUnreachableError(MitraError):
    """No broker answers at the pipeline's address."""


class TopicsError(MitraError):
    """The pipeline's Kafka lacks topics that its job needs, or has them in a shape that won't do."""


def require_topics(pipeline: Pipeline) -> None:
    """Return if the job's topics are all there. Raises TopicsError naming each one that isn't, or isn't as it must be."""
    plans = needed_topics(pipeline)
    with topics_client(pipeline) as client:
        states = client.states(plan.name for plan in plans)
    missing = [plan.name for plan in plans if plan.name not in states]
    if missing:
        count = "1 topic is" if len(missing) == 1 else f"{len(missing)} topics are"
        raise TopicsError(
            f"{count} missing on {pipeline.bootstrap}: {', '.join(missing)}; "
            "`mitra topics PIPELINE --create` creates what is missing"
        )
    wrong = [
        f"{plan.name}: {difference}"
        for plan in plans
        # Retention is told by `mitra topics`, but holds no job up; but what is live is the whole log, which is never cut.
        for difference in differences(plan, states[plan.name])
        if plan.least_retention_ms == FOR_EVER or difference.startswith(("partitions", "cleanup"))
    ]
    if wrong:
        raise TopicsError(f"topics on {pipeline.bootstrap} can't be used as they are: {'; '.join(wrong)}")


@contextmanager
def topics_client(pipeline: Pipeline) -> Iterator["TopicsClient"]:
    """Open a connection to the pipeline's Kafka. Raises KafkaUnreachableError within seconds if nothing answers."""
    settings = client_settings(pipeline)
    _knock(settings["bootstrap_servers"])
    from kafka import KafkaAdminClient  # noqa: PLC0415 - a dead broker is told without loading the client
    from kafka.errors import KafkaError  # noqa: PLC0415

    # The client logs each failed attempt; what matters comes out as one error.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    admin = None
    try:
        admin = KafkaAdminClient(**settings, request_timeout_ms=REQUEST_MS, bootstrap_timeout_ms=int(CONNECT_S * 1000))
        yield TopicsClient(admin)
    except KafkaError as error:
        reason = str(error) or type(error).__name__
        raise KafkaUnreachableError(f"Kafka at bootstrap={pipeline.bootstrap} does not serve: {reason}") from error
    finally:
        if admin is not None:
            admin.close()


def _knock(servers: Iterable[str]) -> None:
    """Return once any server accepts a connection; raise KafkaUnreachableError if none does."""
    failures = []
    servers = list(servers)
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S / len(servers)):
                return
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            failures.append(f"{server}: {reason}")
    raise KafkaUnreachableError(
        f"no Kafka at bootstrap={','.join(servers)} ({'; '.join(failures)}); is it running? "
        "`mitra kafka --port 9092` starts one on this machine, and --bootstrap names another"
    )


class TopicsClient:
    """Reads and creates topics over an admin client of kafka-python."""

    def __init__(self, admin: Any) -> None:
        """Take an open `KafkaAdminClient`."""
        self._admin = admin

    def states(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        """Return the state of those of the named topics that exist."""
        from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415

        existing = set(self._admin.list_topics()) & set(names)
        if not existing:
            return {}
        described = {topic["name"]: topic for topic in self._admin.describe_topics(sorted(existing))}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(existing)]
        configs = self._admin.describe_configs(resources, config_filter="all")
        return {name: _state(topic, configs, name) for name, topic in described.items()}

    def create(self, plans: Iterable[TopicPlan]) -> None:
        """Create topics as planned, and return when brokers know them. Raises MitraError with what the broker says."""
        from kafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError  # noqa: PLC0415

        for plan in plans:
            options = {
                "num_partitions": plan.partitions,
                "replication_factor": plan.replication,
                "configs": plan.config,
            }
            try:
                self._admin.create_topics({plan.name: options}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue
            except InvalidReplicationFactorError as error:
                hint = f"replication={plan.replication} is more than there are brokers; set kafka.replication"
                raise MitraError(f"the topic {plan.name} could not be created: {hint}") from error
            except KafkaError as error:
                raise MitraError(f"the topic {plan.name} could not be created: {error}") from error


def _state(topic: Mapping[str, Any], configs: Mapping[str, Any], name: str) -> TopicState:
    partitions = topic["partitions"]
    replication = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    entries: Mapping[str, Any] = next((by_name[name] for by_name in configs.values() if name in by_name), {})
    values = {
        key: str(entry["value"])
        for key, entry in entries.items()
        if key in ("cleanup.policy", "retention.ms", "retention.bytes")
    }
    return TopicState(len(partitions), replication, values)
