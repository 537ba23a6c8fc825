"""Writes the golden bytes of the present version; a version that was released is never written again.

`python -m tests.golden.messages.make tests/golden/messages/version-1.json`, and `record-2.json` for remembered decisions.
"""

import json
import sys
from pathlib import Path

from tests.golden.messages.samples import record, state


def main(path: Path) -> None:
    """Write the bytes of every kind in hexadecimal."""
    found = record() if path.name.startswith("record") else state()
    path.write_text(json.dumps({name: data.hex() for name, data in found.items()}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
