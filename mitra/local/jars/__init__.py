"""The jars Mitra runs: locked with their sha256 in this folder, fetched once, verified at every use.

`NAME.toml` says what is wanted, `NAME.lock.toml` (both in jgo's format) what it resolved to.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mitra.errors import MitraError
from mitra.local.files import home

NAMES = ("flink", "kafka", "parquet")
ON_DEMAND = ("neo4j",)
"""Sets that `make setup` leaves out: they are fetched where they are first used."""
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar: its Maven coordinates and the sha256 of its bytes, in hex."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def filename(self) -> str:
        """The file's name, as Maven names it."""
        return f"{self.artifact}-{self.version}{'-' if self.classifier else ''}{self.classifier}.jar"

    @property
    def place(self) -> str:
        """The file's path below the root of a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.filename}"


def lock_path(name: str) -> Path:
    """Return the lock file of a set of jars."""
    return _HERE / f"{name}.lock.toml"


def locked(name: str) -> list[Jar]:
    """Return the jars of the set `flink` or `kafka`, as its lock file names them."""
    if name not in (*NAMES, *ON_DEMAND):
        raise MitraError(f"no such set of jars; name={name}; there are {', '.join(NAMES)}")
    path = lock_path(name)
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["dependencies"]
        return [Jar(e["groupId"], e["artifactId"], e["version"], e.get("classifier", ""), e["sha256"]) for e in entries]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise MitraError(f"the jars' lock file can't be read; path={path}, error={error!r}; run `make lock`") from error


def folder(name: str) -> Path:
    """Return the folder that a set's jars are kept in."""
    return home() / "jars" / name


def is_whole(path: Path, jar: Jar) -> bool:
    """Tell whether the file holds exactly the bytes that the lock names."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def jars(name: str) -> list[Path]:
    """Return the paths of a set's jars, fetching first what is missing or damaged.

    Offline it works as soon as everything has been fetched once; verifying the 36 MB of Kafka takes 0.1 s.
    Raises MitraError, naming the jar, where one can't be had.
    """
    wanted = locked(name)
    target = folder(name)
    missing = [jar for jar in wanted if not is_whole(target / jar.filename, jar)]
    if missing:
        from mitra.local.jars.fetch import fetch  # noqa: PLC0415 - needs the network's libraries, seldom used

        fetch(name, missing, target)
    return [target / jar.filename for jar in wanted]
