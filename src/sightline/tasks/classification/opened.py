"""A text, a series, a sound or a picture with its label, opened for inspection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.tasks.classification.classifier import Classifier
from sightline.tasks.opened import OpenedInput, OpenedSide, patch_spans, replaced_stretches
from sightline.tasks.opened_positions import OpenedPositions, picture_positions, sound_positions, text_positions

LIKELY = 0.5  # probability from which a label of several is shown


@torch.no_grad()
def open_item(classifier: Classifier, item: Any) -> OpenedInput:
    """An input as `predict` takes it; the output is its label, or with any number of labels each likely one.

    Raises:
        InputError: "the text has no tokens"; what `LabelledInputs` raises.
    """
    inputs, model = classifier.inputs, classifier.model
    source = inputs.accept(item)
    (array,) = inputs.arrays([source], lambda _: "the input")
    if not len(array):
        raise InputError("the text has no tokens")
    read = torch.from_numpy(array).unsqueeze(0).to(next(model.parameters()).device)
    with evaluating(model):
        logits = model(read)[0]
    if classifier.many:
        likely = (logits.sigmoid() >= LIKELY).nonzero().squeeze(1)
        chosen = likely if len(likely) else logits.argmax().unsqueeze(0)
        labels = torch.zeros_like(chosen)
    else:
        chosen = labels = logits.argmax().unsqueeze(0)

    def answer(changed: Tensor) -> Tensor:
        return shaped(model(changed))

    def shaped(scores: Tensor) -> Tensor:
        if not classifier.many:
            return scores.unsqueeze(1)  # (R, 1, C)
        return torch.stack([scores[:, chosen], torch.zeros_like(scores[:, chosen])], 2)  # (R, T, 2): it, or not it

    pooling, front_end = getattr(model, "pooling", None), getattr(model, "front_end", None)
    nothing = torch.zeros(1, 0, getattr(pooling, "d_model", 0), device=read.device)
    added = 0 if pooling is None else pooling.prepare(nothing)[0].shape[1]

    def masked(changed: Tensor, kept: Tensor) -> Tensor:
        return shaped(model(changed, kept))

    positions = _POSITIONS[inputs.kind](classifier, source, read)
    pieces = ["<class>"] * added + positions.pieces
    one = getattr(pooling, "reads", None)
    whole = inputs.words is not None and len(positions.pieces) == read.shape[1]  # a mask of tokens is one of positions
    return OpenedInput(
        inputs.kind,
        str(item) if isinstance(item, str | Path) else "",
        OpenedSide(pieces, read, answer, positions.replaced, front_end, added, masked if whole else None),
        [classifier.classes[index] for index in chosen.tolist()],
        labels,
        reads=[] if one is None else [one % len(pieces)] * len(chosen),
        **positions.facts,
    )


def _text(classifier: Classifier, source: str, read: Tensor) -> OpenedPositions:
    return text_positions(classifier.source, classifier.inputs.pieces(source)[: read.shape[1]], read)


def _series(classifier: Classifier, source: np.ndarray, read: Tensor) -> OpenedPositions:
    config, length = classifier.source, read.shape[1]
    spans = patch_spans(length, getattr(config, "patch", 1), getattr(config, "stride", 1), config.length_out(length))
    pieces = [f"{first}–{end - 1}" if end - first > 1 else str(first) for first, end in spans]
    channels = [str(number) for number in range(1, classifier.inputs.channels + 1)]
    facts = {"spans": spans, "values": source, "channels": channels}
    return OpenedPositions(pieces, replaced_stretches(read, spans), facts)


def _audio(classifier: Classifier, _source: np.ndarray, read: Tensor) -> OpenedPositions:
    model: Any = classifier.model
    return sound_positions(classifier.source, model.front_end, read)


def _image(classifier: Classifier, source: np.ndarray, read: Tensor) -> OpenedPositions:
    return picture_positions(classifier.source, source, read)


_POSITIONS: dict[str, Callable[[Classifier, Any, Tensor], OpenedPositions]] = {
    "text": _text,
    "series": _series,
    "audio": _audio,
    "image": _image,
}
