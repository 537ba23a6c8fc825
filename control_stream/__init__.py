"""The control topic: changes, what is live, revisions in two steps, acks. Pure: no Flink, no Kafka."""

from control_stream.acks import Ack, ack_schema, read_ack
from control_stream.changes import CHANGES, Change, read_change
from control_stream.govern import Activate, Govern, Output, Prepare
from control_stream.limits import ControlLimits
from control_stream.live_models import LiveModel
from control_stream.live_set import Context, Delta, LiveSet
from control_stream.marks import Mark
from control_stream.model_changes import Artefact
from control_stream.refusal import Refusal, Refused
from control_stream.signing import Policy, read_policy
from control_stream.trials import Load

__all__ = [
    "CHANGES",
    "Ack",
    "Activate",
    "Artefact",
    "Change",
    "Context",
    "ControlLimits",
    "Delta",
    "Govern",
    "LiveModel",
    "LiveSet",
    "Load",
    "Mark",
    "Output",
    "Policy",
    "Prepare",
    "Refusal",
    "Refused",
    "ack_schema",
    "read_ack",
    "read_change",
    "read_policy",
]
