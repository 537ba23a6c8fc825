"""Where Mitra's own files lie: in a checkout beside the package, in a wheel inside it."""

import os
from pathlib import Path

from mitra.errors import MitraError

_PACKAGE = Path(__file__).resolve().parent.parent


def checkout() -> Path | None:
    """Return the root of the checkout that this package runs from, or None when it is installed from a wheel."""
    root = _PACKAGE.parent
    return root if (root / "setup.py").exists() and (root / "flink-conf.yaml").exists() else None


def shipped(name: str) -> Path:
    """Return the path of a file or folder that ships with Mitra, such as `flink-conf.yaml` or `examples/payments`.

    Raises MitraError when it isn't there: the installation is then incomplete.
    """
    path = (checkout() or _PACKAGE / "shipped") / name
    if not path.exists():
        raise MitraError(f"a file of Mitra's own is missing; path={path}; install Mitra again")
    return path


def home() -> Path:
    """Return the folder for what Mitra fetches and keeps: MITRA_HOME, else .mitra of the checkout, else the user's cache."""
    if named := os.environ.get("MITRA_HOME"):
        return Path(named).expanduser().absolute()
    if root := checkout():
        return root / ".mitra"
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "mitra"
