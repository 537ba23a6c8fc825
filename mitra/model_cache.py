"""The folder in which verified models lie, by the sha256 of their manifest: what is there was fetched whole, and tried.

CACHE/SHA256/          the artefact
CACHE/SHA256.json      what the trial found (`Tried`); written last, so that it vouches for the rest
CACHE/SHA256.npz       the forest's arrays, where the model has one

Two processes may fill it at once: files come under their names whole, and either's are as good.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mitra.local.files import home


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
        """Return what a trial with these libraries found, None if there was none."""
        try:
            found = _decode((self.folder / f"{sha256}.json").read_bytes())
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

    def temporary(self) -> Path:
        """Return a new folder beside those of artefacts, to be filled and moved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))

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
            (scratch / "tried.json").replace(self.folder / f"{sha256}.json")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
