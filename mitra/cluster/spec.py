"""What one submission is, as it goes to the program that `flink run` starts."""

import msgspec


class SubmitSpec(msgspec.Struct):
    """The job to build: paths are absolute texts."""

    pipeline: str
    bootstrap: str | None = None
    model: str | None = None
    parallelism: int = 1
    fresh: bool = True
    """Whether the job starts without state."""
