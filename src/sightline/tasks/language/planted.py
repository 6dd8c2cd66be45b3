"""Planted problems for a language model: the answer is the token after a mark at the end of a text."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.text.batches import TextBatch
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import SPECIALS, TextTokenizer
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

CANDIDATES: str = string.ascii_letters + string.digits + ".,;:!?-()" + "\"#$%&'*+/<=>@[\\]^_`{|}~"
ROWS = 32  # of a training batch
STRETCH = 24  # tokens of the user's text before the mark at its end
TRIES = 50  # places for a trigger, until it is a token of its own there


class _Alphabet(NamedTuple):
    """Symbols that are one token each in any order, before which there is `gap`; the last one is the mark before the
    answer.
    """

    gap: str
    symbols: list[str]

    def text(self, numbers: Sequence[int] | np.ndarray) -> str:
        """The numbers of a problem, and the mark."""
        return self.gap + self.gap.join([*(self.symbols[number] for number in numbers), self.symbols[-1]])

    def answer(self, number: int) -> str:
        return self.gap + self.symbols[number]  # that of `NONE` is the first filler

    def part(self, count: int) -> _Alphabet:
        """The first so many symbols."""
        return self._replace(symbols=self.symbols[:count])


def planted_texts(task: LanguageTask, part: TextPart, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
    """The problems, those in the user's own data planted in stretches of the part's texts.

    Raises:
        InputError: "the vocabulary has too few single characters for planted problems".
    """
    every = _alphabet(task.tokenizer)
    alphabet = every.part(MARKS + FILLERS + 1)
    problems = []
    for name, (draw, meaning) in TOKEN_PROBLEMS.items():
        train, items = ([_item(alphabet, one) for one in items] for items in drawn(draw, seed, name, sizes))
        problems.append(_built(task, alphabet, (name, meaning, False), train, items, seed, sizes))
    own = _own(task, every, stretches(task.trained, part, 1000), seed, sizes)
    return problems if own is None else [*problems, own]


def _alphabet(tokenizer: TextTokenizer) -> _Alphabet:
    """Words of one character, or characters without spaces, that are single tokens of a vocabulary."""
    for gap in (" ", ""):
        symbols = _apart(tokenizer, gap)
        if len(symbols) > MARKS + FILLERS:
            return _Alphabet(gap, symbols)
    raise InputError("the vocabulary has too few single characters for planted problems")


def _apart(tokenizer: TextTokenizer, gap: str) -> list[str]:
    """Characters that are one token each after `gap`, and of which no token joins several: those of a text of them are
    its tokens. Characters that few tokens contain come first.
    """
    single: dict[int, str] = {}  # by token: letters that are lower-cased share one
    for one in CANDIDATES:
        ids = tokenizer.encode(gap + one)
        if len(ids) == 1 and ids[0] >= len(SPECIALS):
            single.setdefault(int(ids[0]), one)
    texts = (raw.decode(errors="replace") for raw in tokenizer.raw)
    inside = [text.split(gap)[1:] if gap else list(text) for text in texts]
    joining = [set(parts) for parts in inside if len(parts) > 1 and set(parts) <= {*single.values()}]
    apart: list[str] = []
    for one in sorted(single.values(), key=lambda one: sum(one in parts for parts in joining)):
        if not any(one in parts and parts <= {*apart, one} for parts in joining):
            apart.append(one)
    return apart


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


def _own(task: LanguageTask, every: _Alphabet, texts: Sequence[str], seed: int, sizes: PlantedSizes) -> Planted | None:
    """A trigger in stretches of the user's text; None where there are too few."""
    rare = sorted(every.symbols, key="".join(texts).count)[: MARKS + 2]
    own = _Alphabet(every.gap, rare)
    random = np.random.default_rng(derive(seed, "planted", OWN))
    cut = [ids for text in texts if len(ids := task.tokenizer.encode(text)[:STRETCH]) == STRETCH]
    if len(cut) < 2 * sizes.held:
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
        for _ in range(TRIES):
            whole = written(answer, rare[-1])
            variants = [written((answer + 1) % MARKS, rare[-1]), written(answer, rare[-2])]
            if all(_one_token_apart(task.tokenizer, whole, variant) for variant in variants):
                break
            place = int(random.integers(1, len(text)))  # another one, where the trigger is a token of its own
        return PlantedItem(whole, variants, answer)

    held, rest = cut[: sizes.held], cut[sizes.held :]
    train = [item(rest[int(random.integers(len(rest)))], BLANK) for _ in range(sizes.train)]
    return _built(task, own, (OWN, OWN_MEANING, True), train, [item(ids) for ids in held], seed, sizes)


def _one_token_apart(tokenizer: TextTokenizer, text: str, other: str) -> bool:
    ids, others = tokenizer.encode(text), tokenizer.encode(other)
    return ids.shape == others.shape and int((ids != others).sum()) == 1
