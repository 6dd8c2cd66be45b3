"""A source with the text that an encoder-decoder writes for it, opened for inspection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sightline.core.front_end import FrontEnd
from sightline.data.tokens.tokenizer import SPECIALS, Tokenizer
from sightline.tasks.opened import OpenedInput, OpenedKind, OpenedSide, replaced_tokens
from sightline.tasks.opened_positions import OpenedPositions
from sightline.tasks.texts_out.writer import Sources, TextWriter


def open_written(
    writer: TextWriter[Any],
    sources: Sources,
    kind: OpenedKind,
    text: str,
    inputs: Tensor,
    positions: OpenedPositions,
    source_of: Callable[[Tensor], Any] = lambda inputs: inputs,
    *,
    masked: bool = False,
) -> OpenedInput:
    """One source with the writer's own output, which it then reads as in training (teacher forcing).

    sources: the source alone; inputs: (1, …) the source, every position of it real; source_of: rows (R, …) as what the
    model reads; masked: whether a mask of the source is one of its positions
    """
    model, target = writer.model, writer.tokenizers.target
    device = inputs.device
    ids = [*target.encode(writer.write(sources)[0].text), Tokenizer.EOS]
    read = torch.tensor([[Tokenizer.BOS, *ids[:-1]]], device=device)

    def of_source(changed: Tensor) -> Tensor:
        return model(source_of(changed), None, read.expand(len(changed), -1))

    def without(changed: Tensor, kept: Tensor) -> Tensor:
        return model(source_of(changed), kept, read.expand(len(changed), -1))

    def of_read(changed: Tensor) -> Tensor:
        return model(source_of(inputs.expand(len(changed), *inputs.shape[1:])), None, changed)

    front_end = next(part for part in model.encoder.modules() if isinstance(part, FrontEnd))
    start = target.pieces([Tokenizer.BOS])
    return OpenedInput(
        kind,
        text,
        OpenedSide(
            positions.pieces,
            inputs,
            of_source,
            positions.replaced,
            front_end,
            masked=without if masked else None,
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
        **positions.facts,
    )
