"""Texts as the input of a model: token ids, or words by their letters, as the front end reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.data.tokens.spelling import Spelling
from sightline.parts.front_end_choice import FrontEndChoice

TEXT_KINDS: tuple[InputKind, ...] = ("tokens", "words")
USUAL = "tokens"  # the front end of texts where none is chosen

_READERS: dict[InputKind, Callable[[Any], Any]] = {
    "tokens": lambda tokenizer: tokenizer,
    "words": lambda tokenizer: Spelling(tokenizer.lower_first),
}

_PIECES: dict[InputKind, Callable[[Any, str], list[str]]] = {
    "tokens": lambda tokenizer, text: tokenizer.pieces(tokenizer.encode(text)),
    "words": lambda tokenizer, text: Spelling(tokenizer.lower_first).pieces(text),
}


def text_front_end(choice: FrontEndChoice, vocabulary: int) -> FrontEndConfig:
    """The front end of texts whose tokenizer has this many tokens."""
    return choice.fit(USUAL, {"tokens": {"vocabulary": vocabulary}, "words": {"letters": Spelling.size}})


def in_tokens(front_end: FrontEndConfig) -> Any:
    """The size of the vocabulary that a front end reads, or the front end itself where it has none; for errors."""
    return getattr(front_end, "vocabulary", front_end)


def text_reader(choice: FrontEndChoice, tokenizer: Any) -> Any:
    """The encoder of texts, by `encode_batch`: the tokenizer, or the spelling of words, lower-cased as it is."""
    return _READERS[choice.kind(USUAL)](tokenizer)


def text_pieces(front_end: FrontEndConfig, tokenizer: Any, text: str) -> list[str]:
    """The label of each position of a text: its token or word, or a number where positions are fewer than these."""
    pieces = _PIECES[front_end.accepts](tokenizer, text)
    count = front_end.length_out(len(pieces))
    return pieces if count == len(pieces) else [str(number) for number in range(1, count + 1)]
