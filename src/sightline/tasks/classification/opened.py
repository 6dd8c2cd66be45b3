"""A text or a series with its label, opened for inspection."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.data.tokens.tokenizer import SPECIALS
from sightline.tasks.classification.classifier import Classifier
from sightline.tasks.opened import (
    OpenedInput,
    OpenedSide,
    Replaced,
    patch_spans,
    replaced_stretches,
    replaced_tokens,
)

LIKELY = 0.5  # probability from which a label of several is shown


@torch.no_grad()
def open_item(classifier: Classifier, given: Any) -> OpenedInput:
    """An input as `predict` takes it; the output is its label, or with any number of labels each likely one.

    Raises:
        InputError: "inspection reads texts and series, not audio yet"; what `LabelledInputs` raises.
    """
    inputs, model = classifier.inputs, classifier.model
    if inputs.kind not in ("text", "series"):
        raise InputError(f"inspection reads texts and series, not {inputs.kind} yet")
    source = inputs.accept(given)
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
        scores = model(changed)
        if not classifier.many:
            return scores.unsqueeze(1)  # (R, 1, C)
        return torch.stack([scores[:, chosen], torch.zeros_like(scores[:, chosen])], 2)  # (R, T, 2): it, or not it

    pooling = getattr(model, "pooling", None)
    added = 0 if pooling is None else pooling.prepare(read.new_zeros(1, 0, pooling.d_model).float())[0].shape[1]
    names = ["<class>"] * added
    pieces, spans, replaced = _positions(classifier, source, read)
    return OpenedInput(
        inputs.kind,
        source if isinstance(source, str) else "",
        OpenedSide([*names, *pieces], read, answer, replaced, getattr(model, "front_end", None), added),
        [classifier.classes[index] for index in chosen.tolist()],
        labels,
        spans=spans,
        values=source if isinstance(source, np.ndarray) else None,
        channels=[str(number) for number in range(1, inputs.channels + 1)],
    )


def _positions(classifier: Classifier, source: Any, read: Tensor) -> tuple[list[str], list[tuple[int, int]], Replaced]:
    """What each position shows, the steps that it covers, and replacements."""
    words, config = classifier.inputs.words, classifier.source
    if words is not None:
        pieces = classifier.inputs.pieces(source)[: read.shape[1]]
        if read.dim() == 2:
            return pieces, [], replaced_tokens(read, min(len(SPECIALS), words.size - 1), words.size)
        return pieces, [], replaced_stretches(read, [(place, place + 1) for place in range(len(pieces))])
    length = read.shape[1]
    spans = patch_spans(length, getattr(config, "patch", 1), getattr(config, "stride", 1), config.length_out(length))
    return [f"{first}–{end - 1}" for first, end in spans], spans, replaced_stretches(read, spans)
