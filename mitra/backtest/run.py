"""A backtest from files to figures: replay the payments with the rules live, count what they did, keep nothing."""

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mitra.backtest.count import LabelFiles, count
from mitra.backtest.figures import Figures
from mitra.backtest.marked import marked_payments
from mitra.backtest.table import judge_table
from mitra.backtest.trial import Trial
from mitra.errors import MitraError
from mitra.pipeline import Pipeline
from mitra.replay.run import Progress, Replayed, run_replay

DECISIONS = "decisions.parquet"
_ENDINGS = (".parquet", ".pq", ".csv", ".jsonl", ".ndjson", ".json", ".csv.gz", ".jsonl.gz", ".ndjson.gz", ".json.gz")


@dataclass(frozen=True, slots=True)
class Payments:
    """Files of payments and of their labels, and how long after its payment a label is known that doesn't say when.

    `events` are files of the pipeline's other types, by the type's name.
    """

    transactions: Sequence[Path]
    labels: Sequence[Path] = ()
    label_delay_ms: int | None = None
    events: Mapping[str, Sequence[Path]] = field(default_factory=dict)


def replayed_folder(names: Sequence[Path]) -> Path | None:
    """Return the folder that a replay has written, if it is the one that is named."""
    return names[0] if len(names) == 1 and (names[0] / DECISIONS).is_file() else None


def find_payments(names: Sequence[Path], others: Iterable[Path]) -> list[Path]:
    """Return the files called, and of folders all files in them that can be read, but for the `others`, of labels and events.

    Raises MitraError for what isn't there, a folder without such files, and one that a replay has written.
    """
    apart = {path.resolve() for path in others}
    found: list[Path] = []
    for name in names:
        if name.is_dir():
            inside = sorted(path for path in name.iterdir() if path.is_file() and path.name.endswith(_ENDINGS))
            if any(path.name == DECISIONS for path in inside):
                raise MitraError(
                    f"the folder {name} has a replay's decisions; name it alone, or the payments that were replayed"
                )
            inside = [path for path in inside if path.resolve() not in apart]
            if not inside:
                raise MitraError(
                    f"the folder {name} has no payments; allowed: files ending in {', '.join(_ENDINGS[:6])}"
                )
            found += inside
        elif name.is_file():
            found.append(name)
        else:
            raise MitraError(f"there is no file {name}")
    return list(dict.fromkeys(found))


def run_backtest(
    path: Path,
    pipeline: Pipeline,
    payments: Payments,
    trial: Trial,
    *,
    parallelism: int = 1,
    progress: Progress = lambda *_: None,
) -> tuple[Figures, Replayed]:
    """Replay payments under the rules of a trial and count. Raises ReplayError where the replay breaks off."""

    def replay(folder: Path) -> Replayed:
        return run_replay(
            path,
            payments.transactions,
            folder,
            events=payments.events,
            labels=payments.labels,
            label_delay_ms=payments.label_delay_ms,
            live=trial.live,
            parallelism=parallelism,
            progress=progress,
        )

    return _counted(pipeline, payments, trial, replay, progress)


def run_on_table(
    pipeline: Pipeline, folder: Path, payments: Payments, trial: Trial, progress: Progress = lambda *_: None
) -> tuple[Figures, Replayed]:
    """Judge what a replay has written into a folder under the rules of a trial, and count.

    Raises MitraError for rules that read what the table doesn't have.
    """

    def judge(into: Path) -> Replayed:
        started = time.monotonic()
        count = judge_table(pipeline, folder / DECISIONS, trial, into / DECISIONS, progress)
        return Replayed(count, count, 0, 0, round(time.monotonic() - started, 3))

    return _counted(pipeline, payments, trial, judge, progress)


def _counted(
    pipeline: Pipeline, payments: Payments, trial: Trial, decide: Callable[[Path], Replayed], progress: Progress
) -> tuple[Figures, Replayed]:
    """Count what was decided into a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="mitra-backtest-") as name:
        folder = Path(name)
        replayed = decide(folder)
        labels = None
        if payments.labels and pipeline.labels is not None:
            delay_ms = pipeline.labels.after_ms if payments.label_delay_ms is None else payments.label_delay_ms
            labels = LabelFiles(tuple(payments.labels), pipeline.labels, delay_ms)
        progress("counting", 0, 0)
        files = {**payments.events, pipeline.decided.name: payments.transactions}
        figures = count(
            folder / DECISIONS, tuple(trial.live.rules.values()), trial.tested, folder,
            money=trial.money, labels=labels, lists=trial.lists,
            marked=marked_payments(pipeline, files, trial.marks, progress) if trial.marks else None,
        )  # fmt: skip
        return figures, replayed
