"""Planted problems for a classifier of texts, series, sounds or pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.core.seeds import derive
from sightline.data.batches import START
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.labels import Labels
from sightline.data.labelled.part import LabelledPart
from sightline.tasks.opened import OpenedInput, patch_spans
from sightline.tasks.planted import (
    BLANK,
    LENGTH,
    MARKS,
    NONE,
    OWN,
    OWN_MEANING,
    SIZES,
    STRETCH_PROBLEMS,
    Drawn,
    Planted,
    PlantedItem,
    PlantedSizes,
    PlantedTexts,
    drawn,
    text_problems,
)

if TYPE_CHECKING:
    from sightline.tasks.classification.task import ClassificationTask

LEVELS = (-6.0, -3.0, 3.0, 6.0)  # of the four marks in a series, in standard deviations
NOISE = 0.3
PITCHES = (0.04, 0.09, 0.17, 0.3)  # of the tones of the four marks in a sound, as shares of the samples a second
HISS, LOUD = 0.1, 0.5  # the largest values of its noise, and of a tone
SHADES, GREYS = (80, 160), (0, 50, 200, 255)  # of noise in a picture, and of marks of one pixel


def planted_items(
    task: ClassificationTask, part: LabelledPart, seed: int, sizes: PlantedSizes = SIZES
) -> list[Planted]:
    """The problems, those in the user's own data planted in the items of `part`."""
    problems = _PROBLEMS[task.inputs.kind](task, part, seed, sizes)
    return [_built(task, one, seed, sizes) for one in problems]


def _built(task: ClassificationTask, problem: PlantedTexts, seed: int, sizes: PlantedSizes) -> Planted:
    """An untrained classifier of the same settings, and its batches."""

    def part(items: Sequence[PlantedItem]) -> LabelledPart:
        labels: list[Labels] = [(problem.answers[item.answer],) for item in items]
        return LabelledPart(task.inputs.kind, False, [item.input for item in items], labels, [""] * len(items))

    train, held = part(problem.train), part(problem.items)
    data = LabelledCorpus(
        problem.name, train, held, held, "", classes=tuple(sorted({name for names in train.labels for name in names}))
    )
    plain = replace(task.config.sound, augment=None)
    text = replace(task.config.text, word_dropout=0.0)
    config = replace(task.config, class_weights="none", label_smoothing=0.0, shift_pixels=0, sound=plain, text=text)
    built = type(task).build(data, task.run.changed(settings=config, seed=derive(seed, problem.name), match=None))

    def right(opened: OpenedInput, item: PlantedItem) -> bool:
        return opened.outputs[0] == problem.answers[item.answer]

    batches = (batch for batch, _ in built.batches(train, seed=seed).stream(START))
    about = problem.name, problem.meaning, problem.own
    return Planted(*about, built, batches, built.loss, problem.items, built.open_input, right, sizes)


def _texts(task: ClassificationTask, part: LabelledPart, seed: int, sizes: PlantedSizes) -> list[PlantedTexts]:
    texts = [source for source in part.sources if isinstance(source, str)]
    words = task.inputs.words
    return text_problems(texts, seed, sizes, characters=words is not None and words.kind == "char")


def _series(task: ClassificationTask, part: LabelledPart, seed: int, sizes: PlantedSizes) -> list[PlantedTexts]:
    """Stretches from one patch to the next: noise, or one of four constant levels.

    Where patches overlap, each that sees a stretch sees all of it.
    """
    patch, stride = getattr(task.source, "patch", 1), getattr(task.source, "stride", 1)
    channels, steps = task.inputs.channels, (LENGTH - 1) * stride + patch
    random = np.random.default_rng(derive(seed, "series"))
    spans = patch_spans(LENGTH * stride, stride, stride, LENGTH)

    def written(one: Drawn) -> PlantedItem:
        noise = NOISE * random.standard_normal((steps, channels))

        def series(numbers: np.ndarray) -> np.ndarray:
            values = noise.copy()
            for number, (first, end) in zip(numbers, spans, strict=True):
                values[first:end] = LEVELS[number] if number < MARKS else values[first:end]
            return values.astype(np.float32)

        return PlantedItem(series(one.numbers), [series(variant) for variant in one.variants], one.answer)

    own = [np.asarray(source, np.float32) for source in part.sources if len(source) > 2 * patch]
    center, spread = (np.concatenate(own).mean(0), np.concatenate(own).std(0) + 1e-6) if own else (0.0, 1.0)

    def overwritten(series: Any, place: Any, mark: int) -> np.ndarray:
        changed = series.copy()
        changed[place : place + stride] = center + LEVELS[mark] * spread
        return changed

    def places(series: Any) -> list[int]:
        return list(range(0, len(series) - stride + 1, stride))

    return [*_stretches(written, seed, sizes), *_own(own, places, overwritten, seed, sizes)]


def _sounds(task: ClassificationTask, part: LabelledPart, seed: int, sizes: PlantedSizes) -> list[PlantedTexts]:
    """Stretches as long as a position: noise, or a burst of one of four tones."""
    frames = task.config.sound.front_end
    step = frames.stride * frames.hop
    tones = [np.sin(2 * np.pi * pitch * np.arange(step)) for pitch in PITCHES]
    random = np.random.default_rng(derive(seed, "sounds"))

    def overwritten(sound: Any, place: Any, mark: int) -> np.ndarray:
        changed = sound.copy()
        changed[place : place + step] = np.abs(sound).max() * tones[mark]
        return changed

    def written(one: Drawn) -> PlantedItem:
        noise = random.uniform(-HISS, HISS, LENGTH * step).astype(np.float32)

        def sound(numbers: np.ndarray) -> np.ndarray:
            values = noise.copy()
            for place, number in enumerate(numbers):
                if number < MARKS:
                    values[place * step : (place + 1) * step] = LOUD * tones[number]
            return values

        return PlantedItem(sound(one.numbers), [sound(variant) for variant in one.variants], one.answer)

    own = [source for source in part.sources if isinstance(source, np.ndarray) and len(source) > 2 * step]

    def places(sound: Any) -> list[int]:
        return list(range(0, len(sound) - step + 1, step))

    return [*_stretches(written, seed, sizes), *_own(own, places, overwritten, seed, sizes)]


def _pictures(task: ClassificationTask, part: LabelledPart, seed: int, sizes: PlantedSizes) -> list[PlantedTexts]:
    """Patches of noise, or of one of four textures; the first is the topmost, then the leftmost."""
    keys, side = task.config.picture.front_end_fields, getattr(task.source, "patch", 1)
    rows, columns = keys["height"] // side, keys["width"] // side
    at = np.indices((side, side))
    stripes = [np.full((side, side), 255), 255 * (at[0] % 2), 255 * (at[1] % 2), 255 * (at.sum(0) % 2)]
    textures = stripes if side > 1 else [np.full((1, 1), level) for level in GREYS]
    random = np.random.default_rng(derive(seed, "pictures"))

    def overwritten(picture: Any, place: Any, mark: int) -> np.ndarray:
        row, column = place // columns * side, place % columns * side
        changed = picture.copy()
        changed[:, row : row + side, column : column + side] = textures[mark]
        return changed

    def written(one: Drawn) -> PlantedItem:
        noise = random.integers(*SHADES, (keys["channels"], keys["height"], keys["width"])).astype(np.uint8)
        at_places = np.sort(random.choice(rows * columns, LENGTH, replace=rows * columns < LENGTH))

        def picture(numbers: np.ndarray) -> np.ndarray:
            values = noise
            for number, place in zip(numbers, at_places, strict=True):
                values = overwritten(values, int(place), int(number)) if number < MARKS else values
            return values

        return PlantedItem(picture(one.numbers), [picture(variant) for variant in one.variants], one.answer)

    own = [source for source in part.sources if isinstance(source, np.ndarray) and source.dtype == np.uint8]
    return [
        *_stretches(written, seed, sizes),
        *_own(own, lambda _: list(range(rows * columns)), overwritten, seed, sizes),
    ]


def _stretches(written: Callable[[Drawn], PlantedItem], seed: int, sizes: PlantedSizes) -> Iterator[PlantedTexts]:
    for name, (draw, meaning) in STRETCH_PROBLEMS.items():
        train, items = ([written(one) for one in part] for part in drawn(draw, seed, name, sizes))
        yield PlantedTexts(name, meaning, False, train, items, list("ABCDE"))


def _own(
    sources: Sequence[Any],
    places: Callable[[Any], Sequence[int]],
    overwritten: Callable[[Any, int, int], np.ndarray],
    seed: int,
    sizes: PlantedSizes,
) -> Iterator[PlantedTexts]:
    """The trigger in the user's own items, where there are enough of them."""
    held = sizes.held
    if len(sources) < 2 * held:
        return
    random = np.random.default_rng(derive(seed, "planted", OWN))

    def item(source: Any, blank: float = 0.0) -> PlantedItem:
        if random.random() < blank:
            return PlantedItem(source, [], NONE)
        place, answer = int(random.choice(places(source))), int(random.integers(MARKS))
        versions = [overwritten(source, place, mark) for mark in (answer, (answer + 1) % MARKS)]
        return PlantedItem(versions[0], versions[1:], answer)

    rest = sources[held:]
    train = [item(rest[int(random.integers(len(rest)))], BLANK) for _ in range(sizes.train)]
    yield PlantedTexts(OWN, OWN_MEANING, True, train, [item(one) for one in sources[:held]], list("ABCDE"))


_PROBLEMS: dict[str, Callable[[Any, LabelledPart, int, PlantedSizes], list[PlantedTexts]]] = {
    "text": _texts,
    "series": _series,
    "audio": _sounds,
    "image": _pictures,
}
