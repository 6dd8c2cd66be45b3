"""A source and its translation, opened for inspection."""

from __future__ import annotations

from sightline.core.errors import InputError
from sightline.data.batches import on_device
from sightline.tasks.opened import OpenedInput
from sightline.tasks.opened_positions import text_positions
from sightline.tasks.texts_out.opened import open_written
from sightline.tasks.translation.translator import Translator


def open_source(translator: Translator, text: str) -> OpenedInput:
    """A text with the translator's own output.

    Raises:
        InputError: "the text has no tokens".
    """
    sources = translator.sources_of(translator.part_of([text]))
    if not sources.positions[0]:
        raise InputError("the text has no tokens")
    inputs, _ = on_device(*sources.batch([0]), next(translator.model.parameters()).device)
    positions = text_positions(translator.source, translator.source_pieces(text), inputs)
    whole = len(positions.pieces) == inputs.shape[1]  # a mask of tokens is one of positions
    return open_written(translator, sources, "text", text, inputs, positions, masked=whole)
