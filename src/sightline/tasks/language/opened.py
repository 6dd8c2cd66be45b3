"""A text and what a language model expects after each of its tokens, opened for inspection."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.modes import evaluating
from sightline.data.tokens.text import SPECIALS, TextTokenizer
from sightline.tasks.language.language_model import LanguageModel
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_tokens


@torch.no_grad()
def open_text(language_model: LanguageModel, text: str) -> OpenedInput:
    """The text after a start token; the outputs are its tokens, and last the one that the model expects next."""
    model, tokenizer = language_model.model, language_model.tokenizer
    ids = [TextTokenizer.BOS, *tokenizer.encode(text).tolist()]
    read = torch.tensor([ids], device=next(model.parameters()).device)

    def answer(changed: Tensor) -> Tensor:
        return model(changed, model.initial_state(len(changed)))[0]

    with evaluating(model):
        following = int(answer(read)[0, -1].argmax())
    labels = [*ids[1:], following]
    side = OpenedSide(
        [piece(tokenizer, index) for index in ids],
        read,
        answer,
        replaced_tokens(read, len(SPECIALS), tokenizer.size),
        model.embedding,
    )
    outputs = [piece(tokenizer, index) for index in labels]
    return OpenedInput("text", text, side, outputs, torch.tensor(labels, device=read.device), reads=range(len(labels)))


def piece(tokenizer: TextTokenizer, index: int) -> str:
    """A token as it is shown: its text, or its bytes where these are no text."""
    if index < len(SPECIALS):
        return SPECIALS[index]
    raw = tokenizer.raw[index]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(f"<{byte:02X}>" for byte in raw)
