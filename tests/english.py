"""English that stays the same: the log of a release, which no later change touches."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "log" / "0.1.0.md").read_text(encoding="utf-8")
SENTENCES = [sentence for sentence in re.split(r"\. |\n", TEXT) if sentence]
