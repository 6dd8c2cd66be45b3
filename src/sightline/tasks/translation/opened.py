"""A source and its translation, opened for inspection."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd
from sightline.data.batches import on_device
from sightline.data.tokens.tokenizer import SPECIALS, Tokenizer
from sightline.tasks.opened import OpenedInput, OpenedSide, replaced_stretches, replaced_tokens
from sightline.tasks.text_inputs import in_tokens
from sightline.tasks.translation.translator import Translator


def open_source(translator: Translator, text: str) -> OpenedInput:
    """A text with the translator's own output, which it then reads as in training (teacher forcing).

    Raises:
        InputError: "the text has no tokens".
    """
    sources = translator.sources_of(translator.part_of([text]))
    if not sources.positions[0]:
        raise InputError("the text has no tokens")
    model, target = translator.model, translator.tokenizers.target
    device = next(model.parameters()).device
    inputs, _ = on_device(*sources.batch([0]), device)
    ids = [*target.encode(translator.write(sources)[0].text), Tokenizer.EOS]
    read = torch.tensor([[Tokenizer.BOS, *ids[:-1]]], device=device)

    def of_source(changed: Tensor) -> Tensor:
        return model(changed, None, read.expand(len(changed), -1))

    def without(changed: Tensor, kept: Tensor) -> Tensor:
        return model(changed, kept, read.expand(len(changed), -1))

    def of_read(changed: Tensor) -> Tensor:
        return model(inputs.expand(len(changed), *inputs.shape[1:]), None, changed)

    pieces = translator.source_pieces(text)
    vocabulary = in_tokens(translator.source)
    if isinstance(vocabulary, int):
        replaced = replaced_tokens(inputs, len(SPECIALS), vocabulary)
    else:  # words by their letters
        replaced = replaced_stretches(inputs, [(place, place + 1) for place in range(len(pieces))])
    front_end = next(part for part in model.encoder.modules() if isinstance(part, FrontEnd))
    start = target.pieces([Tokenizer.BOS])
    return OpenedInput(
        "text",
        text,
        OpenedSide(
            pieces, inputs, of_source, replaced, front_end, masked=without if len(pieces) == inputs.shape[1] else None
        ),
        target.pieces(ids),
        torch.tensor(ids, device=device),
        OpenedSide(
            [*start, *target.pieces(ids[:-1])],
            read,
            of_read,
            replaced_tokens(read, len(SPECIALS), target.size),
            model.decoder.embedding,
        ),
        model.decoder,
    )
