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
from sightline.data.tokens.tokenizer import SPECIALS
from sightline.tasks.classification.classifier import Classifier
from sightline.tasks.opened import (
    OpenedInput,
    OpenedSide,
    Replaced,
    patch_spans,
    replaced_patches,
    replaced_stretches,
    replaced_tokens,
)

LIKELY = 0.5  # probability from which a label of several is shown


@torch.no_grad()
def open_item(classifier: Classifier, given: Any) -> OpenedInput:
    """An input as `predict` takes it; the output is its label, or with any number of labels each likely one.

    Raises:
        InputError: "the text has no tokens"; what `LabelledInputs` raises.
    """
    inputs, model = classifier.inputs, classifier.model
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

    pieces, replaced, facts = _POSITIONS[inputs.kind](classifier, source, read)
    one = getattr(pooling, "reads", None)
    whole = inputs.words is not None and len(pieces) == read.shape[1]  # a mask of tokens is one of positions
    return OpenedInput(
        inputs.kind,
        str(given) if isinstance(given, str | Path) else "",
        OpenedSide(["<class>"] * added + pieces, read, answer, replaced, front_end, added, masked if whole else None),
        [classifier.classes[index] for index in chosen.tolist()],
        labels,
        reads=[] if one is None else [one % (added + len(pieces))] * len(chosen),
        **facts,
    )


Positions = tuple[list[str], Replaced, dict[str, Any]]  # what each shows, replacements, and further facts of the input


def _text(classifier: Classifier, source: str, read: Tensor) -> Positions:
    pieces, words = classifier.inputs.pieces(source)[: read.shape[1]], classifier.inputs.words
    if read.dim() == 2 and words is not None:
        return pieces, replaced_tokens(read, min(len(SPECIALS), words.size - 1), words.size), {}
    return pieces, replaced_stretches(read, [(place, place + 1) for place in range(len(pieces))]), {}  # by letters


def _series(classifier: Classifier, source: np.ndarray, read: Tensor) -> Positions:
    config, length = classifier.source, read.shape[1]
    spans = patch_spans(length, getattr(config, "patch", 1), getattr(config, "stride", 1), config.length_out(length))
    pieces = [f"{first}–{end - 1}" if end - first > 1 else str(first) for first, end in spans]
    channels = [str(number) for number in range(1, classifier.inputs.channels + 1)]
    return pieces, replaced_stretches(read, spans), {"spans": spans, "values": source, "channels": channels}


def _audio(classifier: Classifier, _source: np.ndarray, read: Tensor) -> Positions:
    config: Any = classifier.source
    model: Any = classifier.model
    count, step = config.length_out(read.shape[1]), config.stride * config.hop
    samples = patch_spans(read.shape[1], step, step, count)
    frames = model.front_end.log_mel(read, None)[0][0]  # (frames, F)
    facts = {
        "spans": patch_spans(len(frames), config.stride, config.stride, count),
        "spectrogram": frames.T.cpu().numpy(),
        "frame_s": config.hop / config.rate_hz,
    }
    return [f"{first / config.rate_hz:.2f} s" for first, _ in samples], replaced_stretches(read, samples), facts


def _image(classifier: Classifier, source: np.ndarray, read: Tensor) -> Positions:
    side = getattr(classifier.source, "patch", 1)
    rows, columns = read.shape[2] // side, read.shape[3] // side
    levels = source if source.dtype == np.uint8 else np.clip(np.rint(source * 255.0), 0, 255).astype(np.uint8)
    pieces = [f"{row + 1}, {column + 1}" for row in range(rows) for column in range(columns)]
    return pieces, replaced_patches(read, side), {"pixels": levels.transpose(1, 2, 0), "grid": (rows, columns)}


_POSITIONS: dict[str, Callable[[Classifier, Any, Tensor], Positions]] = {
    "text": _text,
    "series": _series,
    "audio": _audio,
    "image": _image,
}
