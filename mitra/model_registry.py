"""The models of this process: each fetched, tried and loaded once for all its subtasks, by threads behind their backs.

A model is known by the sha256 of its manifest. First the cache is asked; what isn't there is tried in a process of its own.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from control_stream import Artefact
from mitra.errors import MitraError
from mitra.model_cache import ModelCache
from mitra.model_trial import Order, libraries

if TYPE_CHECKING:
    from models.model import Model

TRIAL_S = 300.0
"""How long a trial may take, fetching included."""
_AT_ONCE = 2
TIDY_S = 3600.0
"""How often a process says what it uses, and deletes what nobody has used for long: far more often than that is."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can score, and the microseconds that it takes for a row."""

    model: "Model"
    row_us: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a model can't be had, and when that was found, by the monotonic clock."""

    reason: str
    at_s: float


Found = Loaded | Failed


class Registry:
    """Models by the sha256 of their manifest; what is wanted is loaded in the background."""

    def __init__(self, cache: ModelCache, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep models in `cache`; refuse those of more than `max_bytes`."""
        self._cache = cache
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = threading.Semaphore(_AT_ONCE)
        self._found: dict[str, Found | None] = {}
        self._wanted: dict[int, set[str]] = {}

    def want(self, artefact: Artefact, again_after_s: float) -> None:
        """Load a model, if that isn't done or under way; after a failure again, if that is so long ago."""
        with self._lock:
            known = artefact.sha256 in self._found
            found = self._found.get(artefact.sha256)
            stale = isinstance(found, Failed) and self._clock() - found.at_s >= again_after_s
            if known and not stale:
                return
            self._found[artefact.sha256] = None
        threading.Thread(target=self._load, args=(artefact,), name="mitra-model", daemon=True).start()

    def found(self, artefact: Artefact) -> Found | None:
        """Return what came of it; None while it is under way."""
        return self._found.get(artefact.sha256)

    def keep(self, owner: int, wanted: Iterable[str]) -> None:
        """Say which models `owner` needs from now on; what nobody needs is let go, and a failure forgotten with it."""
        with self._lock:
            self._wanted[owner] = set(wanted)
            needed = set().union(*self._wanted.values())
            for sha256 in [one for one, found in self._found.items() if found is not None and one not in needed]:
                del self._found[sha256]

    def tidy(self) -> list[str]:
        """Say that what is wanted here is in use, and delete what nobody uses; return the sha256 of what is gone."""
        with self._lock:
            used = set().union(self._found, *self._wanted.values())
        self._cache.use(used)
        return self._cache.prune()

    def wait(self, artefacts: Iterable[Artefact], longest_s: float) -> None:
        """Wait until something came of all these, for so long at most."""
        ends = self._clock() + longest_s
        while any(self.found(one) is None for one in artefacts) and self._clock() < ends:
            time.sleep(0.005)

    def _load(self, artefact: Artefact) -> None:
        found: Found
        try:
            with self._turn:
                found = self._tried(artefact)
        except MitraError as error:
            found = Failed(str(error), self._clock())
        except Exception as error:  # noqa: BLE001 - whatever a model does, the job goes on
            found = Failed(f"{type(error).__name__}: {error}", self._clock())
        with self._lock:
            self._found[artefact.sha256] = found

    def _tried(self, artefact: Artefact) -> Loaded:
        from models.artefact import load_tried  # noqa: PLC0415 - xgboost is loaded where it scores

        tried = self._cache.tried(artefact.sha256, libraries())
        if tried is None:
            self._try(artefact)
            tried = self._cache.tried(artefact.sha256, libraries())
            assert tried is not None, "a trial without fault leaves its findings"
        model = load_tried(self._cache.artefact(artefact.sha256), self._cache.forest(artefact.sha256))
        if (model.reference, model.features) != (artefact.reference, artefact.features):
            raise MitraError(
                f"the artefact is {model.reference} with {len(model.features)} features, not as the change says"
            )
        model.warm_up()
        return Loaded(model, tried.row_us)

    def _try(self, artefact: Artefact) -> None:
        """Fetch a model into the cache and try it, in a process of its own."""
        order = Order(
            artefact.uri,
            artefact.sha256,
            artefact.reference,
            artefact.features,
            str(self._cache.folder),
            self._max_bytes,
        )
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        command = [_python(), "-m", "mitra.model_trial", msgspec.json.encode(order).decode()]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=TRIAL_S, env=environment,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MitraError(f"{artefact.uri} was not fetched and tried within {TRIAL_S:g} s") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise MitraError(done.stdout.strip() or f"its trial ended with status {done.returncode}: {last[:300]}")


def _python() -> str:
    """Return the interpreter of this environment; inside a JVM `sys.executable` may name none."""
    places = [Path(sys.executable or "-"), Path(sys.prefix) / "bin" / "python"]
    places += [Path(os.environ["VIRTUAL_ENV"]) / "bin" / "python"] if os.environ.get("VIRTUAL_ENV") else []
    for place in places:
        if place.name.startswith("python") and place.is_file():
            return str(place)
    found = shutil.which("python")
    if found is None:
        raise MitraError(
            f"no python is found to try models with; sys.prefix={sys.prefix}; put it on the PATH of the workers"
        )
    return found


_registries: dict[tuple[Path, int], Registry] = {}
_registries_lock = threading.Lock()


def shared_registry(max_bytes: int) -> Registry:
    """Return this process's registry over the usual cache: subtasks are threads of one process, and share what is loaded."""
    cache = ModelCache()
    key = (cache.folder, max_bytes)
    with _registries_lock:
        if key not in _registries:
            registry = _registries[key] = Registry(cache, max_bytes)
            threading.Thread(target=_tidy, args=(registry,), name="mitra-model-cache", daemon=True).start()
        return _registries[key]


def _tidy(registry: Registry) -> None:
    pause = threading.Event()
    while True:
        pause.wait(TIDY_S)
        with contextlib.suppress(OSError):  # a file that another user owns stays
            registry.tidy()
