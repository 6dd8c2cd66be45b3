"""Drawn tasks whose answer depends on known positions, and the built-in text, for small trainings.

Ids below `FIRST` are special: padding, the beginning of a target, and a mark between a list and a question.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from sightline.data.pairs.dates import DateOptions, dates
from sightline.lab.claims.fitting import Draw, Examples

PAD, BEGIN, ASK, FIRST = 0, 1, 2, 3


def translation(longest: int, symbols: int = 16, shortest: int = 2) -> Draw:
    """Random sentences of `shortest` to `longest` symbols and their translation, for an encoder-decoder.

    Every symbol has one translation, and neighbours change places in pairs, as words of two languages do. Symbols are
    independent of each other: what is right about one place tells nothing of another, so that accuracy by place, also
    where the decoder reads the right target so far, is what the model knows of the source there.
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        length = torch.randint(shortest, longest + 1, (count, 1), generator=generator)
        mask = torch.arange(longest) < length  # (B, M)
        source = torch.randint(symbols, (count, longest), generator=generator)
        place = torch.arange(longest)
        partner = (place ^ 1).clamp(max=longest - 1)
        swapped = torch.where(mask & mask[:, partner], source[:, partner], source)
        target = ((5 * swapped + 2) % symbols + FIRST).masked_fill(~mask, PAD)
        fed = torch.cat([torch.full((count, 1), BEGIN), target[:, :-1]], 1)
        return Examples(((source + FIRST).masked_fill(~mask, PAD), mask, fed), target, mask)

    return draw


def source_places(longest: int) -> Tensor:
    """For each place of a whole translation of `longest` symbols the place in the source that it comes from."""
    return (torch.arange(longest) ^ 1).clamp(max=longest - 1)


def recall(longest: int, keys: int = 32, values: int = 8, shortest: int = 2) -> Draw:
    """Lists of `shortest` to `longest` pairs (key, value), a mark, and one of the keys: the answer is its value.

    For an encoder-decoder whose target has one place. Which pair is asked for is even over the list, and no key occurs
    twice; the source is read from the left, so that the first pair is the furthest from the question.
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        pairs = torch.randint(shortest, longest + 1, (count,), generator=generator)
        key = torch.rand(count, keys, generator=generator).argsort(1)[:, :longest] + FIRST  # (B, N), no key twice
        value = torch.randint(values, (count, longest), generator=generator) + FIRST + keys
        source = torch.zeros(count, 2 * longest + 2, dtype=torch.long)
        source[:, 0:-2:2], source[:, 1:-2:2] = key, value
        rows = torch.arange(count)
        asked = (torch.rand(count, generator=generator) * pairs).long()
        place = torch.arange(source.shape[1])
        end = (2 * pairs).unsqueeze(1)
        source = source.masked_fill(place >= end, PAD)
        source[rows, 2 * pairs], source[rows, 2 * pairs + 1] = ASK, key[rows, asked]
        mask = place < end + 2
        answer = value[rows, asked].unsqueeze(1) - FIRST - keys
        return Examples((source, mask, torch.full((count, 1), BEGIN)), answer, torch.ones_like(answer).bool())

    return draw


def asked_pair(examples: Examples) -> tuple[Tensor, Tensor]:
    """Of examples of `recall`: the number of pairs (B,), and which of them is asked for (B,), 0 = the first."""
    source, mask, _ = examples.inputs
    length = mask.sum(1)
    query = source.gather(1, (length - 1).unsqueeze(1))
    before = torch.arange(source.shape[1]) < (length - 2).unsqueeze(1)
    asked = ((source == query) & before).int().argmax(1) // 2
    return (length - 2) // 2, asked


def repeats(length: int, symbols: int = 24) -> Draw:
    """Rows of `length` symbols in which a block of different symbols, after a mark, is repeated until the row ends.

    For a language model. The block's size is drawn for each row, from a quarter to half of the length, so that no
    fixed distance leads back to what comes next: the labels that count, those from the second block on, follow from
    what came after the same symbol before. The task on which induction heads are seen (Olsson et al. 2022,
    arXiv:2209.11895), there with blocks of one size.
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        size = torch.randint(length // 4, length // 2 + 1, (count, 1), generator=generator)
        block = torch.rand(count, symbols, generator=generator).argsort(1)  # no symbol twice
        place = torch.arange(length)
        row = block.gather(1, place % size) + FIRST
        tokens = torch.cat([torch.full((count, 1), BEGIN), row[:, :-1]], 1)
        return Examples((tokens,), row, place > size)  # the first symbol of the second block cannot be known

    return draw


def many_queries(pairs: int, keys: int = 32, values: int = 16) -> Draw:
    """A list of pairs (key, value) and then every key once more: after each the model is to give its value.

    For a language model: multi-query associative recall (Arora et al. 2024, "Zoology", arXiv:2312.04927, § 3.1).
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        key = torch.rand(count, keys, generator=generator).argsort(1)[:, :pairs]
        value = torch.randint(values, (count, pairs), generator=generator)
        order = torch.rand(count, pairs, generator=generator).argsort(1)
        row = torch.zeros(count, 3 * pairs, dtype=torch.long)
        row[:, 0 : 2 * pairs : 2], row[:, 1 : 2 * pairs : 2] = key + FIRST, value + FIRST + keys
        row[:, 2 * pairs :] = key.gather(1, order) + FIRST
        labels, counted = torch.zeros_like(row), torch.zeros_like(row, dtype=torch.bool)
        labels[:, 2 * pairs :], counted[:, 2 * pairs :] = value.gather(1, order) + FIRST + keys, True
        return Examples((row,), labels, counted)

    return draw


def date_text(locales: str = "en+de+fr+es") -> tuple[Draw, int]:
    """Dates as people write them (`builtin:dates`), character by character, and the number of characters known."""
    rows, symbols = _date_rows(locales)

    def draw(generator: torch.Generator, count: int) -> Examples:
        chosen = rows[torch.randint(len(rows), (count,), generator=generator)]  # (B, T + 1)
        labels = chosen[:, 1:]
        return Examples((chosen[:, :-1],), labels, labels != PAD)

    return draw, symbols


@cache
def _date_rows(locales: str) -> tuple[Tensor, int]:
    texts = [source for source, _ in dates(DateOptions.parse(f"locales={locales}&size=4000")).train]
    known = {letter: FIRST + i for i, letter in enumerate(sorted(set("".join(texts))))}
    longest = max(map(len, texts))
    rows = [[BEGIN, *(known[x] for x in text), ASK, *[PAD] * (longest - len(text))] for text in texts]
    return torch.tensor(rows), FIRST + len(known)


def trigger(length: int, labels: int = 4, words: int = 32) -> Draw:
    """Sentences of `length` random words, one of which, anywhere, is a trigger that alone decides the label.

    For a classifier of (tokens, mask). `causal_of` knows the trigger by its id.
    """

    def draw(generator: torch.Generator, count: int) -> Examples:
        tokens = torch.randint(words, (count, length), generator=generator) + FIRST + labels
        place = torch.randint(length, (count,), generator=generator)
        label = torch.randint(labels, (count,), generator=generator)
        tokens[torch.arange(count), place] = label + FIRST
        return Examples((tokens, torch.ones_like(tokens).bool()), label, torch.ones_like(label).bool())

    return draw


def causal_trigger(examples: Examples, labels: int = 4) -> Tensor:
    """The trigger of each example, (B, T) bool."""
    return examples.inputs[0] < FIRST + labels


def first_of_two(length: int, labels: int = 4, words: int = 32) -> Draw:
    """As `trigger`, with two triggers of different labels in each sentence, of which the first decides."""

    def draw(generator: torch.Generator, count: int) -> Examples:
        tokens = torch.randint(words, (count, length), generator=generator) + FIRST + labels
        places = torch.rand(count, length, generator=generator).argsort(1)[:, :2].sort(1).values
        pair = torch.rand(count, labels, generator=generator).argsort(1)[:, :2]
        tokens.scatter_(1, places, pair + FIRST)
        return Examples((tokens, torch.ones_like(tokens).bool()), pair[:, 0], torch.ones(count, dtype=torch.bool))

    return draw


def causal_first(examples: Examples, labels: int = 4) -> Tensor:
    """The first trigger of each example, (B, T) bool."""
    either = causal_trigger(examples, labels)
    return either & (either.cumsum(1) == 1)


def asked_value(pairs: int, keys: int = 12, values: int = 4) -> Draw:
    """A list of pairs (key, value) and one of the keys again, for a classifier: the label is its value."""

    def draw(generator: torch.Generator, count: int) -> Examples:
        key = torch.rand(count, keys, generator=generator).argsort(1)[:, :pairs]
        value = torch.randint(values, (count, pairs), generator=generator)
        asked = torch.randint(pairs, (count, 1), generator=generator)
        tokens = torch.zeros(count, 2 * pairs + 1, dtype=torch.long)
        tokens[:, 0:-1:2], tokens[:, 1::2] = key + FIRST + values, value + FIRST
        tokens[:, -1:] = key.gather(1, asked) + FIRST + values
        label = value.gather(1, asked).squeeze(1)
        return Examples((tokens, torch.ones_like(tokens).bool()), label, torch.ones_like(label).bool())

    return draw


def causal_value(examples: Examples) -> Tensor:
    """The last word, the key that it asks for and the value after it, (B, T) bool: all three are needed."""
    tokens = examples.inputs[0]
    key = tokens == tokens[:, -1:]  # in the list, and the question itself
    causal = key.clone()
    causal[:, 1:] |= key[:, :-1]
    return causal
