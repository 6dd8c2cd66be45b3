"""`python -m sightline.cli` is `sightline`."""

from __future__ import annotations

import sys

from sightline.cli.app import main

sys.exit(main())
