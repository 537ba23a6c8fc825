"""A replay from files to files: prepare the input, run the job over it in a process of its own, check that nothing is lost."""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq

from control_stream import LiveSet
from mitra.blueprint import Blueprint, model_files
from mitra.errors import MitraError
from mitra.local.environment import environment
from mitra.local.job import ending, failure_causes
from mitra.local.process import ChildProcess
from mitra.pipeline import Pipeline
from mitra.replay.frames import FrameReader
from mitra.replay.intake import replay_pipeline
from mitra.replay.monitor import MONITOR_FILE, ReplayMonitor
from mitra.replay.prepare import prepare
from mitra.replay.prepared import PreparedInput
from mitra.replay.table import DecisionTable, check_features
from mitra.revision import Revision

_POLL_S = 0.2
_LIVE = "live.bin"
_HEAP_MB = 1024
_SETTINGS = {
    # A replay that breaks is started again: nothing is restored, so nothing is saved, and no restart hides a failure.
    "execution.checkpointing.interval": None,
    "restart-strategy.type": "none",
    # No one waits for a single decision.
    "execution.buffer-timeout.interval": "10 ms",
}
_STEPS = {"read": "reading", "labels": "reading labels", "sort": "sorting", "write": "laying out"}

Progress = Callable[[str, int, int], None]
"""(what is going on, how much of it is done, of how much); the whole is 0 while it isn't known."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: transactions = decisions + dead letters; duplicates are among the decisions.

    `other_events` are the rows of types that get no decision, `other_rejected` those among them that were no events.
    """

    transactions: int
    decisions: int
    dead_letters: int
    duplicates: int
    seconds: float
    other_events: int = 0
    other_rejected: int = 0


class ReplayError(MitraError):
    """A replay that broke off or lost something; its output is not to be used."""


def run_replay(
    pipeline_path: Path,
    transactions: Sequence[Path],
    output: Path,
    *,
    events: Mapping[str, Sequence[Path]] | None = None,
    labels: Sequence[Path] = (),
    label_delay_ms: int | None = None,
    model: Path | None = None,
    live: LiveSet | None = None,
    parallelism: int = 1,
    progress: Progress = lambda *_: None,
) -> Replayed:
    """Replay files through the job and write `decisions.parquet` and `dead_letters.jsonl` into `output`.

    `events` are the files of other types by the type's name. `live` is what is live from the start: rules, and features that stand behind the pipeline's in the table.
    Where the pipeline is monitored, `monitor.parquet` has what the monitor topic would have.
    Raises ReplayError, with the end of the job's log, if the job fails or a transaction is unaccounted for.
    """
    started = time.monotonic()
    pipeline = replay_pipeline(pipeline_path, parallelism)
    # Texts and paths that are wrong are told before the input is read and before an earlier output is removed.
    blueprint = Blueprint(pipeline, model_files(pipeline, model), live=live)
    types: dict[str, str] = dict(Revision(blueprint, 0, live).compiled.types)
    check_features(types)
    output.mkdir(parents=True, exist_ok=True)
    for name in ("decisions.parquet", MONITOR_FILE, "dead_letters.jsonl"):
        (output / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=output) as folder:
        work = Path(folder)
        prepared = prepare(
            pipeline,
            transactions,
            work / "input",
            dead_letters=work / "rejected.jsonl",
            events=events,
            labels=labels,
            label_delay_ms=label_delay_ms,
            progress=lambda step, rows: progress(_STEPS[step], rows, 0),
        )
        summary = prepared.summary
        if live is not None:
            (work / _LIVE).write_bytes(live.encode())
        counts = _run_job(pipeline_path, pipeline, model, parallelism, types, work, prepared, progress)
        result = replace(
            counts,
            transactions=summary.transactions,
            dead_letters=counts.dead_letters + summary.rejected,
            other_events=summary.other_events,
            other_rejected=summary.other_rejected,
        )
        if result.transactions != result.decisions + result.dead_letters:
            msg = (
                f"transactions={result.transactions} came in, but decisions={result.decisions} and "
                f"dead_letters={result.dead_letters} came out; this is a defect of Mitra, don't use the output"
            )
            raise ReplayError(msg)
        _finish(work, output, in_order=parallelism == 1)
    return replace(result, seconds=round(time.monotonic() - started, 3))


def _run_job(
    path: Path,
    pipeline: Pipeline,
    model: Path | None,
    parallelism: int,
    types: dict[str, str],
    work: Path,
    prepared: PreparedInput,
    progress: Progress,
) -> Replayed:
    """Run the job in a process of its own, writing down what it decides as it goes; return the counts."""
    local = {
        "pipeline": str(path.absolute()),
        "model": None if model is None else str(model.absolute()),
        "parallelism": parallelism,
        "settings": _SETTINGS,
    }
    spec = {"local": local, "prepared": str(work / "input"), "frames": str(work / "frames.bin")}
    if (work / _LIVE).exists():
        spec["live"] = str(work / _LIVE)
    watch = ReplayMonitor(pipeline, work / MONITOR_FILE) if pipeline.monitoring else None
    table = DecisionTable(work / "decisions.parquet", prepared.decided_id_type(pipeline), types)
    reader = FrameReader(work / "frames.bin")
    progress("starting the job", 0, 0)
    job = ChildProcess(
        [sys.executable, "-m", "mitra.job_replay", msgspec.json.encode(spec).decode()],
        log=work / "job.log",
        env=environment(heap_mb=_HEAP_MB, logs=work / "logs"),
    )
    dead_letters = ends = 0
    try:
        with (work / "conflicts.jsonl").open("wb") as letters:
            status = None
            while status is None:
                time.sleep(_POLL_S)
                status = job.status()
                for frame in reader.frames():
                    table.add(frame)
                    if watch is not None:
                        watch.take(frame.observed)
                    letters.writelines(letter + b"\n" for letter in frame.letters)
                    dead_letters += len(frame.letters)
                    ends += frame.ends
                    # Counted from the first answer on, so that the time left is that of deciding alone.
                    progress("deciding", table.rows + dead_letters, prepared.rows)
    finally:
        job.stop()
        reader.close()
        table.close()
    if status != 0 or ends != parallelism:
        causes = failure_causes(work / "logs")
        msg = f"the replay's job ended before its input did; status={status}; {causes[-1] if causes else ending(job)}"
        raise ReplayError(msg)
    if watch is not None:
        watch.close()
    return Replayed(0, table.rows, dead_letters, table.duplicates, 0.0)


def _finish(work: Path, output: Path, *, in_order: bool) -> None:
    """Move the finished files into place, in the order of the input whatever the parallelism was."""
    decisions = work / "decisions.parquet"
    if not in_order:
        table = pq.read_table(decisions)
        keys = [("event_time", "ascending"), ("transaction_id", "ascending")]
        pq.write_table(table.take(pc.sort_indices(table, sort_keys=keys)), work / "sorted.parquet", compression="zstd")
        decisions = work / "sorted.parquet"
    decisions.replace(output / "decisions.parquet")
    if (work / MONITOR_FILE).exists():
        (work / MONITOR_FILE).replace(output / MONITOR_FILE)
    letters = work / "dead_letters.jsonl"
    with letters.open("wb") as out:
        for path in (work / "rejected.jsonl", work / "label_dead_letters.jsonl", work / "conflicts.jsonl"):
            if path.exists():
                out.write(path.read_bytes())
    letters.replace(output / "dead_letters.jsonl")
