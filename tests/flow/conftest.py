"""What the tests that start a JVM share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def quick_jvms() -> Iterator[None]:
    """JVMs that live for seconds compile less: a job's start takes 20 s of CPU instead of 28."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield
