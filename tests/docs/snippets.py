"""The code blocks of Markdown pages, in order, with their line numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the Python file that the block is, by its first line: `# ema.py`."""
        named = re.match(r"# (\w+\.py)\n", self.text)
        return named and named[1]

    @property
    def commands(self) -> list[str]:
        """The commands of a console block: the text after `$ `, with continued lines joined."""
        joined = self.text.replace("\\\n", " ")
        return [line[2:].strip() for line in joined.split("\n") if line.startswith("$ ")]


def snippets(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(page.name, text.count("\n", 0, match.start()) + 2, match[1], match[2]) for match in FENCE.finditer(text)
    ]
