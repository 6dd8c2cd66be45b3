"""Sounds, pictures and texts with the text that is written for them, opened for inspection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, FrontEndConfig
from sightline.data.media.columns import Column
from sightline.parts.several import Masked, Several, SeveralFrontEnd
from sightline.tasks.media.sources import column_reader
from sightline.tasks.media.writer import MediaWriter
from sightline.tasks.opened import OpenedInput
from sightline.tasks.opened_positions import OpenedPositions, picture_positions, sound_positions, text_positions
from sightline.tasks.text_inputs import text_pieces
from sightline.tasks.texts_out.opened import open_written


class OpenedColumn(NamedTuple):
    """One column of an item.

    read: (1, …) the inputs of its front end; array: of a sound or a picture what was read
    """

    column: Column
    config: FrontEndConfig
    front_end: Any
    read: Tensor
    array: Any = None


@torch.no_grad()
def open_item(writer: MediaWriter, item: Any) -> OpenedInput:
    """An item as `predict` takes it, or a line of several sources, with the writer's own output.

    The positions of several sources follow one another; the first sound or picture is the one that is shown.

    Raises:
        InputError: "the item has no positions"; what `SourceColumns.part_of` and `check` raise.
    """
    part = writer.part_of([writer.read_line(item) if isinstance(item, str) else item])
    sources = writer.sources_of(part)
    if not sources.positions[0]:
        raise InputError("the item has no positions")
    columns = [_opened(writer, column, *own) for column, own in zip(part.columns, _front_ends(writer), strict=True)]
    each = [_POSITIONS[one.column.kind](writer, one) for one in columns]
    shown = next(number for number, one in enumerate(columns) if one.column.kind != "text")
    kind: Any = columns[shown].column.kind
    text = " · ".join(column.shown(0) for column in part.columns)
    if len(columns) == 1:
        return open_written(writer, sources, kind, text, columns[0].read, each[0])
    joined = JoinedSources([one.read for one in columns])
    names = [one.column.name for one in columns]
    return open_written(writer, sources, kind, text, joined.row, joined.positions(each, names, shown), joined.apart)


@final
class JoinedSources:
    """Several sources (1, …) as one row of numbers, `row`, so that what changes one of them is an input like others.

    Ids of tokens and bytes of pictures are float32 exactly.
    """

    def __init__(self, sources: Sequence[Tensor]) -> None:
        self.sources = list(sources)
        self.row = _in_rows(self.sources)

    def apart(self, rows: Tensor) -> tuple[Masked, ...]:
        """The sources (R, …) of rows (R, N), all of them real."""
        stretches = rows.split([source.numel() for source in self.sources], 1)
        pairs = zip(stretches, self.sources, strict=True)
        return tuple(
            Masked(stretch.reshape(len(rows), *source.shape[1:]).to(source.dtype)) for stretch, source in pairs
        )

    def positions(self, each: Sequence[OpenedPositions], names: Sequence[str], shown: int) -> OpenedPositions:
        """The positions of all sources, of which `shown` gives the facts; those of other files have its name."""
        owners = [(number, place) for number, own in enumerate(each) for place in range(len(own.pieces))]

        def replaced(position: int, number: int) -> Tensor:
            owner, place = owners[position]
            sources = [source.expand(number, *source.shape[1:]) for source in self.sources]
            sources[owner] = each[owner].replaced(place, number)
            return _in_rows(sources)

        spans = [
            span for number, own in enumerate(each) for span in _spans(own, len(own.pieces), covered=number == shown)
        ]
        pieces = [
            piece if number == shown or "spans" not in own.facts else f"{name} {piece}"
            for number, (own, name) in enumerate(zip(each, names, strict=True))
            for piece in own.pieces
        ]
        return OpenedPositions(pieces, replaced, {**each[shown].facts, "spans": spans})


def _spans(own: OpenedPositions, count: int, *, covered: bool) -> Sequence[tuple[int, int]]:
    return own.facts["spans"] if covered else [(0, 0)] * count


def _in_rows(sources: Sequence[Tensor]) -> Tensor:
    return torch.cat([source.flatten(1).float() for source in sources], 1)


def _front_ends(writer: MediaWriter) -> list[tuple[FrontEndConfig, Any]]:
    """Of each column the front end, as its config and as a module."""
    config = writer.source
    front_end = next(module for module in writer.model.encoder.modules() if isinstance(module, FrontEnd))
    if isinstance(config, Several) and isinstance(front_end, SeveralFrontEnd):
        return list(zip(config.parts, front_end.front_ends, strict=True))
    return [(config, front_end)]


def _opened(writer: MediaWriter, column: Column, config: FrontEndConfig, front_end: Any) -> OpenedColumn:
    device = next(writer.model.parameters()).device
    if column.kind != "text":
        array = column.array(0)
        return OpenedColumn(column, config, front_end, torch.from_numpy(np.stack([array])).to(device), array)
    ids = column_reader(writer.config, writer.tokenizers.source).encode_batch(column.texts)[0]
    return OpenedColumn(column, config, front_end, torch.from_numpy(np.asarray([ids], np.int64)).to(device))


def _of_text(writer: MediaWriter, one: OpenedColumn) -> OpenedPositions:
    return text_positions(one.config, text_pieces(one.config, writer.tokenizers.source, one.column.texts[0]), one.read)


_POSITIONS: dict[str, Callable[[MediaWriter, OpenedColumn], OpenedPositions]] = {
    "text": _of_text,
    "audio": lambda _, one: sound_positions(one.config, one.front_end, one.read),
    "image": lambda _, one: picture_positions(one.config, one.array, one.read),
}
