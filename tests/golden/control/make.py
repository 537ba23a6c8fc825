"""Writes the golden bytes of the present version; a version that was released is never written again.

`python -m tests.golden.control.make tests/golden/control/version-N.json`
"""

import json
import sys
from pathlib import Path

from tests.golden.control.samples import state


def main(path: Path) -> None:
    """Write every value in hexadecimal, by its key."""
    path.write_text(json.dumps({name: data.hex() for name, data in state().items()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
