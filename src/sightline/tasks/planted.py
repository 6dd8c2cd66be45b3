"""Planted problems: made data whose answers are known to depend on known positions, for a model of a task.

A problem is drawn in whole numbers. The numbers below `MARKS` are marks, of which one decides the answer; the others
are fillers. Each task writes them as its own inputs: letters, stretches of a series, patches of a picture. "A trigger
in this data" plants a mark in an input of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.tasks.opened import OpenedInput, covered
from sightline.training.loss import Objective

MARKS, FILLERS, KEYS = 4, 28, 6
LENGTH, PAIRS = 12, 3  # positions; of the key-value problem, pairs
LETTERS: str = "abcdefghijklmnopqrstuvwxyz0123456789"
MOST_WORDS = 60  # of a text with a trigger
RARE: str = "§¶†‡¤◊※¦ЖΩשあXQZJKVWY@#&%~^"  # possible triggers: those that do not occur in the data are used


class PlantedSizes(NamedTuple):
    """Items of a problem: to train on, to see whether it is learned, and to calibrate tests on."""

    train: int = 3000
    check: int = 40
    measure: int = 40

    @property
    def held(self) -> int:
        """Items that are not trained on."""
        return self.check + self.measure


SIZES = PlantedSizes()


class Drawn(NamedTuple):
    """One item in numbers: its positions, the number of its answer, and the same with one causal number changed."""

    numbers: np.ndarray
    answer: int
    variants: list[np.ndarray]


class PlantedItem(NamedTuple):
    """One item as its task reads it.

    variants: the same with one thing changed that the answer depends on, as long as it is
    """

    input: Any
    variants: list[Any]
    answer: int


class Planted(NamedTuple):
    """A problem with an untrained model for it, of the architecture of the task that planted it.

    meaning: a sentence; own: whether it is planted in the user's own data
    batches: endless training batches; loss: of one, by the model
    open: an item's `input` opened; right: whether its answer is the right one
    row: the position of the answer that is looked at
    items: those to check by, as many as `sizes` says, and those to calibrate on
    """

    name: str
    meaning: str
    own: bool
    task: Any
    batches: Iterator[Any]
    loss: Objective
    items: list[PlantedItem]
    open: Callable[[Any], OpenedInput]
    right: Callable[[OpenedInput, PlantedItem], bool]
    sizes: PlantedSizes
    row: int = 0

    @property
    def checked(self) -> list[PlantedItem]:
        """The items to see by whether the problem is learned."""
        return self.items[: self.sizes.check]

    @property
    def measured(self) -> list[PlantedItem]:
        """The items to calibrate on."""
        return self.items[self.sizes.check :]

    @property
    def fault(self) -> str:
        """Why no positions of its items can be compared; empty where they can."""
        for item in self.measured:
            length = self.open(item.input).source.input.shape
            if any(self.open(variant).source.input.shape != length for variant in item.variants):
                return "not used: with another mark an input has another number of tokens"
        return ""

    def causal(self, item: PlantedItem, opened: OpenedInput) -> Tensor:
        """The positions of the opened item that its answer depends on, (S,) bool, the added ones not counted.

        Only of a problem without a `fault`.
        """
        marked = [covered(opened.source, self.open(variant).source.input) for variant in item.variants]
        return torch.stack(marked).any(0)


ProblemDraw = Callable[[np.random.Generator], Drawn]
NONE = MARKS  # the number of the answer where there is no mark
BLANK = 0.2  # share of the training items without a mark, so that an answer is lost with its mark
BROKEN = 0.5  # share of the training items in which any number may be in one place


def lookup(random: np.random.Generator) -> Drawn:
    """One mark among fillers, anywhere: it is the answer."""
    numbers = MARKS + random.integers(FILLERS, size=LENGTH)
    place, answer = int(random.integers(LENGTH)), int(random.integers(MARKS))
    numbers[place] = answer
    return Drawn(numbers, answer, [_with(numbers, place, (answer + 1) % MARKS)])


def no_mark(random: np.random.Generator) -> Drawn:
    """Fillers alone: the answer is "no mark"."""
    return Drawn(MARKS + random.integers(FILLERS, size=LENGTH), NONE, [])


def first_of_two(random: np.random.Generator) -> Drawn:
    """Two different marks among fillers: the first is the answer."""
    numbers = MARKS + random.integers(FILLERS, size=LENGTH)
    first, second = np.sort(random.choice(LENGTH, 2, replace=False)).tolist()
    answer, other = random.choice(MARKS, 2, replace=False).tolist()
    numbers[first], numbers[second] = answer, other
    rest = next(mark for mark in range(MARKS) if mark not in (answer, other))
    return Drawn(numbers, answer, [_with(numbers, first, rest)])


def first_of_any(random: np.random.Generator) -> Drawn:
    """An item of `first_of_two` with one number, anywhere, that may be any: one mark, two, three or another first."""
    numbers = first_of_two(random).numbers
    numbers[random.integers(LENGTH)] = random.integers(MARKS + FILLERS)
    return Drawn(numbers, int(numbers[(numbers < MARKS).argmax()]), [])


def value_of_a_key(random: np.random.Generator) -> Drawn:
    """Pairs of a key and a mark, and one of the keys again: its mark is the answer; all three are needed."""
    keys = (MARKS + random.permutation(KEYS)[: PAIRS + 1]).tolist()
    marks = random.integers(MARKS, size=PAIRS)
    asked = int(random.integers(PAIRS))
    numbers = np.append(np.stack([np.array(keys[:PAIRS]), marks], 1).ravel(), keys[asked])
    answer = int(marks[asked])
    changed = [(2 * PAIRS, keys[PAIRS]), (2 * asked, keys[PAIRS]), (2 * asked + 1, (answer + 1) % MARKS)]
    return Drawn(numbers, answer, [_with(numbers, place, number) for place, number in changed])


def value_of_any_key(random: np.random.Generator) -> Drawn:
    """An item of `value_of_a_key` with one number, anywhere, that may be any: with no such key, or no mark after it,
    the answer is that there is none.

    Trained on whole items alone, a model answers one without the key in the list by what is left.
    """
    numbers = value_of_a_key(random).numbers
    numbers[random.integers(len(numbers))] = random.integers(MARKS + FILLERS)
    place = 2 * int((numbers[0:-1:2] == numbers[-1]).argmax())
    mark = int(numbers[place + 1]) if numbers[place] == numbers[-1] else NONE
    return Drawn(numbers, min(mark, NONE), [])


def _with(numbers: np.ndarray, place: int, number: int) -> np.ndarray:
    changed = numbers.copy()
    changed[place] = number
    return changed


# The problems by name: how one item is drawn, and what is planted.
TOKEN_PROBLEMS: dict[str, tuple[ProblemDraw, str]] = {
    "token lookup": (lookup, "One of four marks among fillers, anywhere, is the answer."),
    "first occurrence": (first_of_two, "Of two different marks among fillers the first is the answer."),
    "key-value recall": (value_of_a_key, "After pairs of a key and a mark the last key asks for its mark."),
}
STRETCH_PROBLEMS = {name: TOKEN_PROBLEMS[name] for name in ("token lookup", "first occurrence")}
OWN = "trigger in this data"
OWN_MEANING = "In inputs of this data one place, anywhere, is one of four triggers, which is the answer."


# Of each problem the share of items in training that are drawn by another rule, and that rule.
TRAINED_WITH: dict[ProblemDraw, tuple[float, ProblemDraw]] = {
    lookup: (BLANK, no_mark),
    first_of_two: (BROKEN, first_of_any),
    value_of_a_key: (BROKEN, value_of_any_key),
}


def drawn(draw: ProblemDraw, seed: int, name: str, sizes: PlantedSizes) -> tuple[list[Drawn], list[Drawn]]:
    """Items to train on, and items to check and calibrate on.

    A share of those to train on and to check by is changed in one place, so that the rule also decides what is right
    when a position is replaced, and an answer is lost with what decides it.
    """
    random = np.random.default_rng(derive(seed, "planted", name))
    share, other = TRAINED_WITH[draw]
    train = [(other if random.random() < share else draw)(random) for _ in range(sizes.train + sizes.check)]
    return train[: sizes.train], [*train[sizes.train :], *(draw(random) for _ in range(sizes.measure))]


def shuffled_batches(count: int, size: int, seed: int, batch: Callable[[Sequence[int]], Any]) -> Iterator[Any]:
    """Endless batches of `size` of `count` items, in a new order in each epoch."""
    random = np.random.default_rng(derive(seed, "planted order"))
    while True:
        order = random.permutation(count)
        yield from (batch(order[first : first + size].tolist()) for first in range(0, count - size + 1, size))


def rare_letters(texts: Sequence[str], count: int) -> list[str]:
    """This many characters that occur nowhere in the texts; fewer if the texts have too few."""
    used = set().union(*texts) if texts else set()
    return [letter for letter in RARE if letter not in used and letter.lower() not in used][:count]


def planted_word(text: str, letters: Sequence[str], random: np.random.Generator, blank: float = 0.0) -> PlantedItem:
    """The text with one of the letters in the place of a word, or, with the probability `blank`, as it is."""
    words = text.split()
    place, answer = int(random.integers(len(words))), int(random.integers(len(letters)))
    if random.random() < blank:
        return PlantedItem(" ".join(words), [], NONE)
    versions = [" ".join([*words[:place], letter, *words[place + 1 :]]) for letter in letters]
    return PlantedItem(versions[answer], [versions[(answer + 1) % len(letters)]], answer)


class PlantedTexts(NamedTuple):
    """A problem in texts.

    answers: what is written for each number of an answer
    """

    name: str
    meaning: str
    own: bool
    train: list[PlantedItem]
    items: list[PlantedItem]
    answers: list[str]


def text_problems(
    texts: Sequence[str], seed: int, sizes: PlantedSizes, *, characters: bool = False
) -> list[PlantedTexts]:
    """The problems of tokens in single letters, and the trigger in these texts of at least two words.

    characters: whether each character is a position of the model. Letters are then not separated: a separator would be
        a position that matters as soon as something else is there
    """
    gap = "" if characters else " "
    symbols = list(LETTERS[: MARKS + FILLERS])
    answers = [letter.upper() for letter in LETTERS[: MARKS + 1]]

    def written(one: Drawn) -> PlantedItem:
        text, *variants = (gap.join(symbols[number] for number in row) for row in (one.numbers, *one.variants))
        return PlantedItem(text, variants, one.answer)

    problems = []
    for name, (draw, meaning) in TOKEN_PROBLEMS.items():
        train, items = ([written(one) for one in part] for part in drawn(draw, seed, name, sizes))
        problems.append(PlantedTexts(name, meaning, False, train, items, answers))
    own = own_problem(texts, seed, sizes)
    return problems if own is None else [*problems, own]


def own_problem(texts: Sequence[str], seed: int, sizes: PlantedSizes) -> PlantedTexts | None:
    """The trigger in these texts; None where too few of them are fit for it."""
    texts = [" ".join(text.split()[:MOST_WORDS]) for text in texts if len(text.split()) > 1]
    letters = rare_letters(texts, MARKS)
    if len(set(texts)) < 2 * sizes.held or len(letters) < MARKS:
        return None
    texts = list(dict.fromkeys(texts))
    random = np.random.default_rng(derive(seed, "planted", OWN))
    held, rest = texts[: sizes.held], texts[sizes.held :]

    train = [planted_word(rest[int(random.integers(len(rest)))], letters, random, BLANK) for _ in range(sizes.train)]
    items = [planted_word(text, letters, random) for text in held]
    return PlantedTexts(OWN, OWN_MEANING, True, train, items, list("ABCDE"))
