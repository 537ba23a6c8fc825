"""The pipeline file's section `retrain`: on what a challenger is trained, when it is better, and what it becomes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from mitra.sections import Section

DAY_MS = 86_400_000
Becomes = Literal["shadow", "challenger", "champion"]


@dataclass(frozen=True, slots=True)
class Retraining:
    """How models are retrained.

    A challenger is judged on the newest `test_ms` whose labels have matured, fitted on the `train_ms` before. It ships, fitted on the
    newest `train_ms`, into a folder below `models` if its average precision lies more than `margin` above the champion's, and becomes what
    `becomes` says, a challenger with `percent`. Under watch that is done every `every_ms`, or on an alarm, and not again within `rest_ms`.
    """

    models: Path
    train_ms: int = 90 * DAY_MS
    test_ms: int = 7 * DAY_MS
    margin: float = 0.0
    becomes: Becomes = "challenger"
    percent: float | None = None
    every_ms: int = 7 * DAY_MS
    rest_ms: int = DAY_MS


def read_retraining(root: Section, directory: Path) -> Retraining | None:
    """Read the section `retrain` of the file's root; None if the file has none."""
    if "retrain" not in root:
        root.raw("retrain")
        return None
    section = root.section("retrain")
    standard = Retraining(directory / "models")
    name = section.text("models", "models", allowed="a folder that the job's workers reach, from the pipeline's folder")
    margin = section.number("margin", 0.0, 1.0)
    becomes = section.choice("becomes", ("challenger", "shadow", "champion"), standard.becomes)
    percent = section.number("percent", 0.0, 100.0)
    if percent is not None and becomes != "challenger":
        section.wrong("percent", percent, f"nothing: a {becomes} decides about no share")
    found = Retraining(
        models=directory / name,
        train_ms=section.duration_ms("train", standard.train_ms, DAY_MS, 366 * DAY_MS),
        test_ms=section.duration_ms("test", standard.test_ms, DAY_MS, 92 * DAY_MS),
        margin=standard.margin if margin is None else margin,
        becomes=cast(Becomes, becomes),
        percent=percent,
        every_ms=section.duration_ms("every", standard.every_ms, 60_000, 366 * DAY_MS),
        rest_ms=section.duration_ms("rest", standard.rest_ms, 60_000, 92 * DAY_MS),
    )
    section.close()
    return found
