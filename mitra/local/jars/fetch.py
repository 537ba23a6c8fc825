"""Fetches locked jars: from the local Maven repository, else from the repositories that jgo is set up with.

Bytes go to `NAME.part`, resumed where an earlier try stopped. Only a file whose sha256 is right gets its name,
in one step, so a half or a false download is never used. One process fetches into a folder at a time.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mitra.errors import MitraError
from mitra.local.jars import Jar, is_whole

_AT_ONCE = 6
_TRIES = 4
_TIMEOUT_S = (10, 30)
"""To connect, and between two pieces of a file."""

Report = Callable[[int], None]
"""Takes the number of bytes that arrived."""


def fetch(name: str, wanted: list[Jar], target: Path) -> None:
    """Put the wanted jars into the target folder, showing progress on standard error."""
    target.mkdir(parents=True, exist_ok=True)
    with _alone_in(target):
        missing = [jar for jar in wanted if not is_whole(target / jar.filename, jar)]
        settings = GlobalSettings.load()
        local = Path(settings.repo_cache)
        remotes = [*settings.repositories.values(), *MavenContext().remote_repos.values()]
        with _progress(name, len(missing)) as (bytes_came, jar_came), ThreadPoolExecutor(_AT_ONCE) as pool:
            futures = [pool.submit(_fetch_one, jar, target, local, remotes, bytes_came) for jar in missing]
            try:
                for future in futures:
                    future.result()
                    jar_came()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _fetch_one(jar: Jar, target: Path, local: Path, remotes: list[str], report: Report) -> None:
    path = target / jar.filename
    part = target / f"{jar.filename}.part"
    in_local = local / jar.place
    if is_whole(in_local, jar):
        shutil.copyfile(in_local, part)
        report(part.stat().st_size)
    else:
        _download(jar, part, remotes, report)
    os.replace(part, path)  # noqa: PTH105 - says that it replaces


def _download(jar: Jar, part: Path, remotes: list[str], report: Report) -> None:
    """Fill `part` with the jar's verified bytes from the first repository that has them."""
    problem = ""
    for attempt in range(_TRIES):
        for remote in remotes:
            try:
                _resume(f"{remote.rstrip('/')}/{jar.place}", part, report)
            except (requests.RequestException, OSError) as error:
                problem = _short(error)
                continue
            if is_whole(part, jar):
                return
            part.unlink(missing_ok=True)
            problem = f"the bytes are not those of the lock (sha256={jar.sha256})"
        if attempt + 1 < _TRIES:
            time.sleep(0.5 * 2**attempt)
    raise MitraError(
        f"a jar could not be fetched; jar={jar.group}:{jar.artifact}:{jar.version}, {problem}; "
        f"check the network and try again, or put the file at {part.with_suffix('')}"
    )


def _resume(url: str, part: Path, report: Report) -> None:
    """Append to `part` what is still missing of the file at the address."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
        if have and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing: the checksum tells whether it is right
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        with part.open("ab" if resumed else "wb") as file:
            for piece in response.iter_content(1 << 16):
                file.write(piece)
                report(len(piece))


def _short(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the repository answered {error.response.status_code}"
    return f"{type(error).__name__}: {str(error)[:200]}"


@contextmanager
def _alone_in(target: Path) -> Iterator[None]:
    """Hold the folder's lock; another process that wants it waits."""
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(name: str, count: int) -> Iterator[tuple[Report, Callable[[], None]]]:
    """Yield what to call for bytes and for whole jars: a bar on a terminal, one line at the end elsewhere."""
    began = time.monotonic()
    came = 0
    console = Console(stderr=True)
    columns = (
        TextColumn("jars for {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[mb]} MB"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=count, mb="0")

        def bytes_came(size: int) -> None:
            nonlocal came
            came += size
            bar.update(task, mb=f"{came / 1e6:.1f}")

        yield bytes_came, partial(bar.advance, task)
    sys.stderr.write(
        f"{count} jar{'s' if count != 1 else ''} for {name}: {came / 1e6:.1f} MB in {time.monotonic() - began:.1f} s\n"
    )
