"""Fixtures that all tests share: the data folder, and one real Kafka for the whole run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mitra.local.kafka import LocalKafka

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes says nothing about what is right: the first one may have imported a library.
settings.register_profile("mitra", deadline=None)
settings.load_profile("mitra")


def shared_folder() -> Path:
    """Return the shared folder: MITRA_SHARED, else `shared` beside the project."""
    return Path(os.environ.get("MITRA_SHARED") or ROOT.parent / "shared").absolute()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data. Missing, it skips the test; with CI set, it fails it."""
    data = shared_folder() / "data"
    if data.is_dir():
        return data
    reason = f"no shared data; looked in {data}; set MITRA_SHARED to the folder that has data/ in it"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def handbook(shared_data: Path) -> Path:
    """The folder of the published card transactions."""
    return shared_data / "handbook"


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalKafka]:
    """One broker for all tests that need one; each test uses topics of its own."""
    with LocalKafka() as broker:
        yield broker
