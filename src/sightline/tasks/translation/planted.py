"""Planted problems for a translator: the translation is the answer alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sightline.core.seeds import derive
from sightline.data.batches import START
from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.tasks.opened import OpenedInput
from sightline.tasks.planted import SIZES, Planted, PlantedItem, PlantedSizes, PlantedTexts, text_problems

if TYPE_CHECKING:
    from sightline.tasks.translation.task import TranslationTask


def planted_pairs(task: TranslationTask, part: Pairs, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
    """The problems, those in the user's own data planted in the sources of `part`."""
    problems = text_problems(part.sources, seed, sizes, characters=task.trained.reader.kind == "char")
    return [_built(task, one, seed, sizes) for one in problems]


def _built(task: TranslationTask, problem: PlantedTexts, seed: int, sizes: PlantedSizes) -> Planted:
    """An untrained translator of the same settings, whose tokens are of the kind of the task's sources."""

    def part(items: list[PlantedItem]) -> Pairs:
        return Pairs([item.input for item in items], [problem.answers[item.answer] for item in items])

    train, held = part(problem.train), part(problem.items)
    tokenizer = replace(task.config.tokenizer, kind=task.trained.tokenizers.source.kind)
    run = task.run.changed(seed=derive(seed, problem.name), match=None, label_smoothing=0.0, tokenizer=tokenizer)
    built = type(task).build(PairCorpus(problem.name, train, held, held, ""), run)

    def right(opened: OpenedInput, item: PlantedItem) -> bool:
        return "".join(opened.outputs[:-1]).strip(" ▁␣") == problem.answers[item.answer]

    batches = (batch for batch, _ in built.batches(train, seed=seed).stream(START))
    about = problem.name, problem.meaning, problem.own
    return Planted(*about, built, batches, built.loss, problem.items, built.open_input, right, sizes)
