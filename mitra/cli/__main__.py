"""Lets `python -m mitra.cli` stand in for `mitra`."""

import sys

from mitra.cli import main

sys.exit(main())
