"""Where a job begins on the control topic, and what is said where the log is not whole any more."""

from dataclasses import replace

from mitra.blueprint import Blueprint
from mitra.errors import MitraError
from mitra.kafka_clients import LogSpan, log_span
from mitra.pipeline import Pipeline


class ShortenedLogError(MitraError):
    """Changes that a job would need were deleted from the control topic."""


def begin(blueprint: Blueprint, *, fresh: bool) -> Blueprint:
    """Return the blueprint of a job that is submitted now; `fresh` is one without state.

    Raises ShortenedLogError where a fresh job couldn't know what is live.
    """
    pipeline = blueprint.pipeline
    span = log_span(pipeline, pipeline.topics.control)
    if fresh:
        require_whole(pipeline, span)
    begins_at = pipeline.control_begins_at
    return replace(blueprint, control_first=span.first, control_end=span.end if span.end > begins_at else 0)


def require_whole(pipeline: Pipeline, span: LogSpan) -> None:
    """Return if the log is there from where the pipeline says that it begins."""
    topic, begins_at = pipeline.topics.control, pipeline.control_begins_at
    if begins_at > span.end:
        raise ShortenedLogError(
            f"control.begins_at={begins_at} lies behind the end of the control topic {topic}, which is at {span.end}: it is "
            "not the topic that this was written for; bring that back, or take begins_at out"
        )
    if span.first <= begins_at:
        return
    held = f"only offsets {span.first} to {span.end - 1}" if span.end > span.first else "nothing"
    wanted = f"control.begins_at={begins_at}" if begins_at else "it begins at offset 0"
    raise ShortenedLogError(
        f"the control topic {topic} holds {held}, but {wanted}: changes at offsets {begins_at} to {span.first - 1} are gone, "
        "and a job without state would judge by rules that nobody chose. Start it from a savepoint (--restore), or bring "
        f"the topic back; or, if what is left is all that shall be live, write control: {{begins_at: {span.first}}} in the "
        "pipeline file and push the rest again (docs/operations.md)"
    )
