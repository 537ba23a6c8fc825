"""`python -m mitra.local.jars` fetches every set of jars; with `--lock` it resolves the lock files anew."""

import sys

from mitra.errors import MitraError
from mitra.local.jars import NAMES, ON_DEMAND, folder, jars


def main(arguments: list[str]) -> int:
    """Do what the arguments say and return the exit status."""
    try:
        lock = "--lock" in arguments
        for name in (*NAMES, *ON_DEMAND) if lock else NAMES:
            if lock:
                from mitra.local.jars.lock import resolve  # noqa: PLC0415 - for developers only

                changed = resolve(name)
                print(f"{name}.lock.toml: {'resolved anew' if changed else 'unchanged'}")
            found = jars(name)
            print(
                f"{len(found)} jar{'s' if len(found) != 1 else ''} in {folder(name)}, {sum(path.stat().st_size for path in found) / 1e6:.1f} MB"
            )
    except MitraError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
