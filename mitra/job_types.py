"""The types of what flows in the job."""

from typing import Any

from pyflink.common import Types


def message_type() -> Any:
    """Return the type of what flows between stages: the key of a bucket, and a message."""
    return Types.ROW_NAMED(["bucket", "message"], [Types.INT(), Types.PRIMITIVE_ARRAY(Types.BYTE())])
