"""What is live in the demo from its first payment on."""

from pathlib import Path

from mitra.control.changes import Signature, plan
from mitra.control.files import read_files
from mitra.control.kafka import open_topics
from mitra.control.push import push
from mitra.control.replay import Replay, context_of
from mitra.pipeline import Pipeline


def put_live(pipeline: Pipeline, files: Path) -> None:
    """Push the rules and sequences of a folder, before the job is there: it starts when they are active."""
    context = context_of(pipeline)
    replay = Replay(context)
    wanted = read_files([files], context, replay.live.features).wanted()
    with open_topics(pipeline) as topics:
        push(pipeline, topics, replay, plan(replay, wanted, Signature("demo", "what the demo shows")), None)
