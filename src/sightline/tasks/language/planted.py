"""Planted problems for a language model: the answer is the token after a mark at the end of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.text.batches import TextBatch
from sightline.data.text.part import TextPart
from sightline.tasks.language.opened import stretches
from sightline.tasks.opened import OpenedInput
from sightline.tasks.planted import (
    BLANK,
    FILLERS,
    MARKS,
    NONE,
    OWN,
    OWN_MEANING,
    SIZES,
    TOKEN_PROBLEMS,
    Drawn,
    Planted,
    PlantedItem,
    PlantedSizes,
    drawn,
    shuffled_batches,
)
from sightline.training.loss import Loss, cross_entropy

if TYPE_CHECKING:
    from sightline.tasks.language.task import LanguageTask

CANDIDATES: str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?-()"
ROWS = 32  # of a training batch
STRETCH = 24  # tokens of the user's text before the mark at its end


class _Alphabet(NamedTuple):
    """Symbols that are one token each, before which there is `gap`; the last one is the mark before the answer."""

    gap: str
    symbols: list[str]

    def text(self, numbers: Sequence[int] | np.ndarray) -> str:
        """The numbers of a problem, and the mark."""
        return self.gap + self.gap.join([*(self.symbols[number] for number in numbers), self.symbols[-1]])

    def answer(self, number: int) -> str:
        return self.gap + self.symbols[number]  # that of `NONE` is the first filler


def planted_texts(task: LanguageTask, part: TextPart, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
    """The problems, those in the user's own data planted in stretches of the part's texts.

    Raises:
        InputError: "the vocabulary has too few single characters for planted problems".
    """
    alphabet = _alphabet(task)
    problems = []
    for name, (draw, meaning) in TOKEN_PROBLEMS.items():
        train, items = ([_item(alphabet, one) for one in items] for items in drawn(draw, seed, name, sizes))
        problems.append(_built(task, alphabet, (name, meaning, False), train, items, seed, sizes))
    own = _own(task, stretches(task.trained, part, 1000), seed, sizes)
    return problems if own is None else [*problems, own]


def _alphabet(task: LanguageTask) -> _Alphabet:
    """Single characters, or words of one, that are single tokens of the model."""
    for gap in ("", " "):
        known = [one for one in CANDIDATES if len(ids := task.tokenizer.encode(gap + one)) == 1 and ids[0] > 3]
        joined = task.tokenizer.encode(gap + gap.join(known))
        if len(known) > MARKS + FILLERS and len(joined) == len(known):
            return _Alphabet(gap, known[: MARKS + FILLERS + 1])
    raise InputError("the vocabulary has too few single characters for planted problems")


def _item(alphabet: _Alphabet, one: Drawn) -> PlantedItem:
    text, *variants = (alphabet.text(numbers) for numbers in (one.numbers, *one.variants))
    last = alphabet.text(one.numbers)[: -len(alphabet.symbols[-1])] + alphabet.symbols[MARKS + 1]  # without the mark
    return PlantedItem(text, [*variants, last], one.answer)


def _built(
    task: LanguageTask,
    alphabet: _Alphabet,
    about: tuple[str, str, bool],
    train: list[PlantedItem],
    items: list[PlantedItem],
    seed: int,
    sizes: PlantedSizes,
) -> Planted:
    from sightline.tasks.language.language_model import LanguageModel

    run = task.run.changed(seed=derive(seed, about[0]), match=None, bptt="rows")
    config, model = task.draw(run.settings, (task.source, task.tokenizer.size), run)
    built = type(task)(LanguageModel(config, model, task.tokenizer), "")
    rows = [[task.tokenizer.BOS, *task.tokenizer.encode(item.input).tolist()] for item in train]
    answers = [task.tokenizer.encode(alphabet.answer(item.answer)).tolist() for item in train]

    def batch(numbers: Sequence[int]) -> TextBatch:
        whole = [rows[number] + answers[number] for number in numbers]
        longest = max(map(len, whole))
        padded = torch.tensor([row + [task.tokenizer.PAD] * (longest - len(row)) for row in whole])
        lengths = torch.tensor([len(row) for row in whole])
        place = torch.arange(longest - 1)
        tokens, labels = padded[:, :-1].contiguous(), padded[:, 1:].contiguous()
        return TextBatch(tokens, labels, place < lengths.unsqueeze(1) - 1, None, tuple(numbers))

    def loss(model: nn.Module, one: TextBatch) -> Loss:
        """The cross entropy of the answers alone: what comes before them is drawn at random."""
        assert one.mask is not None
        logits = model(one.tokens, None, one.mask)[0]
        last = one.mask.sum(1, keepdim=True) - 1 == torch.arange(one.tokens.shape[1], device=one.tokens.device)
        return cross_entropy(logits, one.labels, last)

    def right(opened: OpenedInput, item: PlantedItem) -> bool:
        return opened.labels is not None and int(opened.labels[-1]) == answers_of[item.answer]

    answers_of = [int(task.tokenizer.encode(alphabet.answer(number))[-1]) for number in range(MARKS + 1)]
    batches = shuffled_batches(len(rows), ROWS, seed, batch)
    return Planted(*about, built, batches, loss, items, built.open_input, right, sizes, row=-1)


def _own(task: LanguageTask, texts: Sequence[str], seed: int, sizes: PlantedSizes) -> Planted | None:
    """A trigger in stretches of the user's text; None where there are too few, or no rare characters."""
    alphabet = _alphabet(task)
    used = "".join(texts)
    rare = sorted((one for one in CANDIDATES if len(task.tokenizer.encode(alphabet.gap + one)) == 1), key=used.count)[
        : MARKS + 2
    ]
    own = _Alphabet(alphabet.gap, rare)
    random = np.random.default_rng(derive(seed, "planted", OWN))
    cut = [ids for text in texts if len(ids := task.tokenizer.encode(text)[:STRETCH]) == STRETCH]
    if len(cut) < 2 * sizes.held or len(rare) < MARKS + 2:
        return None

    def item(ids: np.ndarray, blank: float = 0.0) -> PlantedItem:
        text = task.tokenizer.decode(ids)
        for one in rare:
            text = text.replace(one, "")
        place, answer = int(random.integers(1, len(text))), int(random.integers(MARKS))

        def written(number: int, end: str) -> str:
            return text[:place] + own.gap + rare[number] + own.gap + text[place:] + own.gap + end

        if random.random() < blank:
            return PlantedItem(text + own.gap + rare[-1], [], NONE)
        variants = [written((answer + 1) % MARKS, rare[-1]), written(answer, rare[-2])]
        return PlantedItem(written(answer, rare[-1]), variants, answer)

    held, rest = cut[: sizes.held], cut[sizes.held :]
    train = [item(rest[int(random.integers(len(rest)))], BLANK) for _ in range(sizes.train)]
    return _built(task, own, (OWN, OWN_MEANING, True), train, [item(ids) for ids in held], seed, sizes)
