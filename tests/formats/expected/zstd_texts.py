"""A text as the program zstd compresses it."""

from tests.formats.cases import Case

CASES = [Case("lines.txt.zst", "text, compressed", "language", ["one line\nanother\n"])]
