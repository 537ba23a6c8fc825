"""The folder in which verified models lie, by the sha256 of their manifest: what is there was fetched whole, and tried.

CACHE/SHA256/          the artefact
CACHE/SHA256.json      what the trial found (`Tried`); written last, so that it vouches for the rest
CACHE/SHA256.npz       the forest's arrays, where the model has one

Two processes may fill it at once: files come under their names whole, and either's are as good. Any number of them use it, of any
jobs: when `SHA256.json` was last changed is when somebody last used the model, and what nobody has used for KEPT_S any
of them deletes. The folder is locked for that, so nobody is told of a model that is about to go.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mitra.local.files import home

KEPT_S = 30 * 86_400.0
"""For so long a model can be brought back, and a job stand still, without its store."""
_SCRATCH_S = 86_400.0
"""What a trial that was killed leaves; none takes longer than minutes."""
_SCRATCH = ".new-"
_OWN = re.compile(r"[0-9a-f]{64}(\.json|\.npz)?|\.new-\w+")


class Tried(msgspec.Struct, frozen=True):
    """What a trial found: how long one row takes to score, and the libraries it was tried with."""

    row_us: float
    libraries: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Tried).decode


class ModelCache:
    """One such folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or `models` of Mitra's home."""
        self.folder = folder or home() / "models"

    def artefact(self, sha256: str) -> Path:
        """Return the folder of an artefact."""
        return self.folder / sha256

    def tried(self, sha256: str, libraries: str) -> Tried | None:
        """Return what a trial with these libraries found, None if there was none. To ask is to use the model."""
        self.use((sha256,))
        try:
            found = _decode(self._voucher(sha256).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.libraries == libraries else None

    def forest(self, sha256: str) -> Mapping[str, Any] | None:
        """Return the arrays of a model's forest, None where it has none."""
        try:
            with np.load(self.folder / f"{sha256}.npz", allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return None

    def use(self, sha256s: Iterable[str]) -> None:
        """Say of models that they are in use now; one that isn't there is passed over."""
        with self._locked(fcntl.LOCK_SH):
            for sha256 in sha256s:
                with suppress(OSError):
                    os.utime(self._voucher(sha256))

    def prune(self) -> list[str]:
        """Delete what nobody has used for KEPT_S, and what trials left that were killed; return the sha256 of the models."""
        gone = []
        now_s = time.time()
        with self._locked(fcntl.LOCK_EX) as locked:
            # Nothing is touched that only happens to lie here.
            own = [path for path in self.folder.iterdir() if _OWN.fullmatch(path.name)] if locked else []
            for voucher in [path for path in own if path.suffix == ".json" and now_s - path.stat().st_mtime > KEPT_S]:
                voucher.unlink()
                gone.append(voucher.stem)
            for path in own:
                if path.suffix == ".json" or self._voucher(path.stem).exists():
                    continue
                kept_s = _SCRATCH_S if path.name.startswith(_SCRATCH) else KEPT_S
                if path.stem in gone or now_s - path.stat().st_mtime > kept_s:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        return gone

    @contextmanager
    def _locked(self, how: int) -> Iterator[bool]:
        """Hold a lock on the folder, if that can be had: some network file systems have none."""
        try:
            folder = os.open(self.folder, os.O_RDONLY)
        except FileNotFoundError:
            yield False
            return
        try:
            locked = True
            try:
                fcntl.flock(folder, how)
            except OSError:
                locked = False
            yield locked
        finally:
            os.close(folder)

    def _voucher(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"

    def temporary(self) -> Path:
        """Return a new folder beside those of artefacts, to be filled and moved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.folder))

    def keep(self, sha256: str, artefact: Path, tried: Tried, forest: Mapping[str, Any] | None) -> None:
        """Move a filled folder to its place, with what its trial found."""
        target = self.artefact(sha256)
        if artefact != target:
            shutil.rmtree(target, ignore_errors=True)
            try:
                artefact.rename(target)
            except OSError:  # another process was quicker
                if not target.is_dir():
                    raise
        scratch = self.temporary()
        try:
            if forest is not None:
                np.savez(scratch / "forest.npz", **forest)
                (scratch / "forest.npz").replace(self.folder / f"{sha256}.npz")
            (scratch / "tried.json").write_bytes(_encode(tried))
            (scratch / "tried.json").replace(self._voucher(sha256))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
