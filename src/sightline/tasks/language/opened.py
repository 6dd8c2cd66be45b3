"""A text and the predictions of a language model after each of its tokens, opened for inspection."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.modes import evaluating
from sightline.data.spaced import spaced
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import SPECIALS, TextTokenizer
from sightline.tasks.language.language_model import LanguageModel
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_tokens

STRETCH_TOKENS = 64  # of a text that is looked at
MOST_BYTES = 1 << 20  # of a part that is read for it


def stretches(language_model: LanguageModel, part: TextPart, most: int) -> list[str]:
    """Evenly spaced stretches of the part's texts, each of at most half a context, and of 64 tokens."""
    tokenizer = language_model.tokenizer
    length = min(STRETCH_TOKENS, max(1, language_model.config.context // 2))
    cut = []
    for text in part.texts() if part.size <= MOST_BYTES else part.fragments(part.sample(MOST_BYTES), MOST_BYTES):
        ids = tokenizer.encode(text if isinstance(text, str) else text.text)
        cut += [tokenizer.decode(ids[first : first + length]) for first in range(0, len(ids), length)]
    filled = [text for text in cut if text.strip()]
    return [filled[number] for number in spaced(len(filled), most)] if filled else []


@torch.no_grad()
def open_text(language_model: LanguageModel, text: str) -> OpenedInput:
    """The text after a start token; the outputs are its tokens, and last the one that the model expects next."""
    model, tokenizer = language_model.model, language_model.tokenizer
    ids = [TextTokenizer.BOS, *tokenizer.encode(text).tolist()]
    read = torch.tensor([ids], device=next(model.parameters()).device)

    def answer(changed: Tensor) -> Tensor:
        return model(changed, model.initial_state(len(changed)))[0]

    def masked(changed: Tensor, kept: Tensor) -> Tensor:
        """The predictions after the last token that is kept, at each position and before it; at the first one none may
        be, and what the model then gives is of no token.
        """
        logits = model(changed, model.initial_state(len(changed)), kept)[0]
        places = torch.arange(kept.shape[1], device=kept.device).masked_fill(~kept, 0).cummax(1).values
        return logits.gather(1, places.unsqueeze(2).expand_as(logits))

    with evaluating(model):
        following = int(answer(read)[0, -1].argmax())
    labels = [*ids[1:], following]
    side = OpenedSide(
        [piece(tokenizer, index) for index in ids],
        read,
        answer,
        replaced_tokens(read, len(SPECIALS), tokenizer.size),
        model.embedding,
        masked=masked,
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
