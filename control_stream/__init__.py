"""The control topic: changes, what is live, revisions in two steps, acks. Pure: no Flink, no Kafka."""

from control_stream.acks import Ack, ack_schema, read_ack
from control_stream.changes import CHANGES, Change, read_change
from control_stream.govern import Activate, Govern, Output, Prepare
from control_stream.limits import ControlLimits
from control_stream.live_set import Context, Delta, LiveSet
from control_stream.marks import Mark
from control_stream.refusal import Refusal, Refused
from control_stream.signing import Policy, read_policy

__all__ = [
    "CHANGES",
    "Ack",
    "Activate",
    "Change",
    "Context",
    "ControlLimits",
    "Delta",
    "Govern",
    "LiveSet",
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
