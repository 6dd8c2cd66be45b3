"""Baselines for sounds and pictures: the most frequent answer, and the answer to the most similar item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch

from sightline.core.cpu_clock import CpuClock
from sightline.core.digits import number_of
from sightline.data.media.columns import Column, MediaPart
from sightline.data.spaced import spaced
from sightline.parts.log_mel import LogMel
from sightline.tasks.media.config import MediaTextConfig
from sightline.tasks.texts_out.baselines import BaselineOutputs

MOST_NEIGHBOURS = 5000  # training items that the nearest one is looked for among
STRETCHES, SIDE = 8, 16  # of a sound, of a picture, as they are compared


def media_baselines(train: MediaPart, part: MediaPart, config: MediaTextConfig) -> list[BaselineOutputs]:
    """The baselines, learned from training items, on `part`."""
    clock = CpuClock()
    common, count = Counter(train.targets).most_common(1)[0]
    description = f"always the commonest training target ({number_of(count, 'time')})"
    baselines = [BaselineOutputs("most frequent target", description, [common] * len(part), clock.lap())]
    texts = next((number for number, column in enumerate(train.columns) if column.kind == "text"), None)
    if texts is not None:
        baselines.append(_by_text(train, part, texts, common))
    number = next(number for number, column in enumerate(train.columns) if column.kind != "text")
    baselines.append(_by_likeness(train, part, number, config))
    return baselines


def _by_text(train: MediaPart, part: MediaPart, number: int, common: str) -> BaselineOutputs:
    """The most frequent answer to the same text, whatever the sound or picture: the best that a blind model can do."""
    clock = CpuClock()
    answers: dict[str, Counter[str]] = {}
    for text, target in zip(train.columns[number].texts, train.targets, strict=True):
        answers.setdefault(text, Counter())[target] += 1
    best = {text: counts.most_common(1)[0][0] for text, counts in answers.items()}
    name = train.columns[number].name
    return BaselineOutputs(
        f"most frequent for the {name}",
        f"the commonest training target of the same {name}, the commonest of all where it is new",
        [best.get(text, common) for text in part.columns[number].texts],
        clock.lap(),
    )


def _by_likeness(train: MediaPart, part: MediaPart, number: int, config: MediaTextConfig) -> BaselineOutputs:
    from sklearn.neighbors import NearestNeighbors

    clock = CpuClock()
    known = train.select(spaced(len(train), MOST_NEIGHBOURS))
    kind = train.columns[number].kind
    view = _heard if kind == "audio" else _seen
    nearest = NearestNeighbors(n_neighbors=1).fit(np.stack(list(view(known.columns[number], config))))
    tested = np.stack(list(view(part.columns[number], config)))
    places = np.asarray(nearest.kneighbors(tested, return_distance=False))[:, 0]
    among = (
        f"the {number_of(len(known), 'training item')}"
        if len(known) == len(train)
        else f"{len(known):,} of the training items"
    )
    what = (
        f"mean log-mel energies of {STRETCHES} equal stretches"
        if kind == "audio"
        else f"grey values of {SIDE} x {SIDE} pixels"
    )
    return BaselineOutputs(
        "nearest training item",
        f"the target of the most similar of {among} (least squares over {what})",
        [known.targets[place] for place in places],
        clock.lap(),
    )


def _heard(column: Column, config: MediaTextConfig) -> Iterator[np.ndarray]:
    """Each sound as mean log-mel energies of equal stretches, of mean 0 and variance 1 over the sound."""
    frames = config.sound.front_end
    log_mel = LogMel(frames.rate_hz, frames.window, frames.hop, min(frames.mels, 20), frames.low_hz, frames.high_hz)
    for row in range(len(column)):
        bands, _ = log_mel(torch.from_numpy(column.array(row))[None])  # (1, M, mels)
        edges = np.linspace(0, bands.shape[1], STRETCHES + 1)
        spans = zip(np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int), strict=True)
        yield np.concatenate([bands[0, first : max(last, first + 1)].mean(0).numpy() for first, last in spans])


def _seen(column: Column, config: MediaTextConfig) -> Iterator[np.ndarray]:
    """Each picture as a few grey values."""
    from PIL import Image

    for row in range(len(column)):
        grey = column.array(row).astype(np.float32).mean(0)  # (H, W)
        small = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX)
        yield np.asarray(small).ravel() / 255.0
