"""Help on data files, made from the table of their formats."""

from __future__ import annotations

from sightline.data.rows.formats import COMPRESSED, suffixes

PAIRS_HELP = (
    f"a file of pairs ({suffixes()}, also with {COMPRESSED}), two parallel files a,b, or built-in data such as "
    "builtin:dates"
)
OUTPUT_HELP = f"Output file; its name ends in {suffixes()}."
