"""Foreign text made fit to be shown."""

from __future__ import annotations

import re

# Control characters, and what would turn the direction of the text around it: shown by their code, not obeyed.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with control characters, overrides of direction and lone surrogates spelled as `⟨U+0007⟩`."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def piece(text: str) -> str:
    """A token for an axis label: a space as ␣, the end of the sentence as ⏎, everything unseen spelled out."""
    return "⏎" if text == "</s>" else visible(re.sub(r"\s", "␣", text))
