"""Words and the tokens of a model: which tokens each word of a text covers, and attention from word to word."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from sightline.data.tokens.tokenizer import SPECIALS

UNKNOWN = SPECIALS[-1]
_BYTE = re.compile(r"<([0-9A-F]{2})>")
_RUN = re.compile(r"\w+|[^\w\s]+")  # a piece of a text that a vocabulary of words has one token for


def token_spans(text: str, pieces: Sequence[str]) -> list[tuple[int, int]] | None:
    """Of each piece of a text the bytes (first, end) that it covers, counted without white space; None = no match.

    Pieces are shown as tokenizers show them: parts of characters as `<E6>`, unknown words as `<unk>`; special tokens
    cover nothing. Pieces may be lower-cased.
    """
    for form in (text, text.lower()):
        if len(form.encode()) != len(text.encode()):  # of a letter whose small form has other bytes
            continue
        if (spans := _spans("".join(form.split()).encode(), _runs(form), pieces)) is not None:
            return spans
    return None


def _runs(text: str) -> dict[int, int]:
    """Where runs of letters and of other signs begin and end, in bytes without white space."""
    ends = {}
    for match in _RUN.finditer(text):
        first = len("".join(text[: match.start()].split()).encode())
        ends[first] = first + len(match[0].encode())
    return ends


def _spans(whole: bytes, runs: dict[int, int], pieces: Sequence[str]) -> list[tuple[int, int]] | None:
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        if piece in SPECIALS and not whole.startswith(piece.encode(), at):
            end = runs.get(at, -1) if piece == UNKNOWN else at
        else:
            part = "".join(piece.split()).encode()
            if not whole.startswith(part, at):
                part = _BYTE.sub(lambda match: chr(int(match[1], 16)), "".join(piece.split())).encode(
                    "latin-1", "replace"
                )
            end = at + len(part) if whole.startswith(part, at) else -1
        if end < 0:
            return None
        spans.append((at, end))
        at = end
    return spans if at == len(whole) else None


def tokens_of_words(text: str, words: Sequence[tuple[int, int]], pieces: Sequence[str]) -> Tensor | None:
    """Which tokens (N, T) cover a part of each word, given by its characters (first, end) in the text; None = no match.

    A token that covers parts of two words counts for both. A word without tokens makes no match.
    """
    spans = token_spans(text, pieces)
    if spans is None:
        return None
    bytes_before = [0]
    for letter in text:
        bytes_before.append(bytes_before[-1] + (0 if letter.isspace() else len(letter.encode())))
    covers = torch.tensor(
        [[max(bytes_before[first], low) < min(bytes_before[end], high) for low, high in spans] for first, end in words]
    )
    return covers if bool(covers.any(1).all()) else None


def word_weights(weights: Tensor, covers: Tensor) -> Tensor:
    """Attention from word to word, (H, N, N), from weights (H, T, T) and the tokens that words cover (N, T).

    Weight to a word is the sum over its tokens, weight from a word the mean over its tokens (Clark et al. 2019, § 4.1).
    """
    covers = covers.to(weights)
    return (covers / covers.sum(1, keepdim=True)) @ weights @ covers.T
