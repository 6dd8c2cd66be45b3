"""Which tokenizers texts have where none is chosen."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import pytest

from sightline.data.tokens.tokenizer import SMALLEST, Tokenizer, byte_pairs_for
from sightline.tasks.texts_out.config import PER_TOKEN, TokenizerConfig
from tests.english import SENTENCES

AUTO = TokenizerConfig()
LATIN = "abcdefghijklmnopqrstuvwxyz"
CYRILLIC = str.maketrans(LATIN + LATIN.upper(), "абцдефгхийклмнопярстувжьыз" + "АБЦДЕФГХИЙКЛМНОПЯРСТУВЖЬЫЗ")


def texts(characters: int) -> list[str]:
    """English sentences of at least so many characters together."""
    kept, total = [], 0
    for sentence in cycle(SENTENCES):
        kept.append(sentence)
        total += len(sentence)
        if total >= characters:
            return kept
    raise AssertionError


def cyrillic(english: list[str]) -> list[str]:
    return [text.translate(CYRILLIC) for text in english]


def chinese(english: list[str]) -> list[str]:
    """A character of three bytes for each word."""
    numbers: dict[str, int] = {}
    return ["".join(chr(0x4E00 + numbers.setdefault(w, len(numbers)) % 6000) for w in one.split()) for one in english]


FEW, MANY = texts(20_000), texts(300_000)


def tokens_for_each_character(tokenizer: Tokenizer, side: list[str]) -> float:
    return sum(map(len, tokenizer.encode_batch(side))) / sum(map(len, side))


def kinds(sources: list[str], targets: list[str], config: TokenizerConfig = AUTO) -> tuple[str, str]:
    pair = config.learn(sources, targets, lowercase=False)
    return pair.source.kind, pair.target.kind


def test_each_side_has_the_tokens_that_suit_it():
    assert kinds(FEW, FEW) == ("char", "char")
    assert kinds(MANY, FEW) == ("bpe", "char")
    assert kinds(FEW, MANY) == ("char", "bpe")
    assert kinds([], MANY) == ("bpe", "bpe")
    assert kinds(MANY, texts(110_000)) == ("bpe", "bpe")  # of the longer side: shorter targets learn as many
    assert kinds(texts(110_000), texts(110_000)) == ("char", "char")
    assert kinds([], FEW) == kinds([], []) == ("char", "char")


def test_a_shared_vocabulary_goes_by_both_sides_together():
    half = texts(80_000)
    assert kinds(half, half) == ("char", "char")
    shared = replace(AUTO, shared=True).learn(half, half, lowercase=False)
    assert shared.shared
    assert shared.source.kind == "bpe"
    assert shared.source.size == 2 * sum(map(len, half)) // PER_TOKEN


@pytest.mark.parametrize("characters", [131_000, 140_000, 160_000, 200_000, 300_000])
@pytest.mark.parametrize("script", [list, cyrillic, chinese], ids=["latin", "cyrillic", "chinese"])
def test_no_default_is_longer_than_characters(script, characters):
    side = script(texts(characters))
    tokenizer = AUTO.of_side(side)
    assert tokens_for_each_character(tokenizer, side) <= 1.0
    pairs = Tokenizer.train(side, "bpe", max(SMALLEST, sum(map(len, side)) // PER_TOKEN))
    if tokenizer.kind == "char" and sum(map(len, side)) > (SMALLEST + 1) * PER_TOKEN:
        assert tokens_for_each_character(pairs, side) > 0.9


def test_few_byte_pairs_of_long_characters_give_way():
    assert AUTO.of_side(cyrillic(texts(131_000))).kind == "char"
    assert AUTO.of_side(cyrillic(MANY)).kind == "bpe"
    assert AUTO.of_side(chinese(texts(2_000_000))).kind == "char"


def test_the_vocabulary_grows_with_the_texts_up_to_the_maximum():
    assert AUTO.of_side(MANY).size == sum(map(len, MANY)) // PER_TOKEN
    assert AUTO.of_side(MANY * 3).size == 3 * sum(map(len, MANY)) // PER_TOKEN
    assert replace(AUTO, size=400).of_side(MANY).size == 400
    assert replace(AUTO, size=261).of_side(MANY).kind == "char"  # one pair


def test_fewer_tokens_than_bytes_are_no_vocabulary():
    assert byte_pairs_for((SMALLEST + 1) * 70 - 1, 70) == 0
    assert byte_pairs_for((SMALLEST + 1) * 70, 70) == SMALLEST + 1


@pytest.mark.parametrize("kind", ["char", "bpe", "unigram"])
def test_a_chosen_tokenizer_stays(kind):
    pair = TokenizerConfig(kind, size=300).learn(MANY, FEW, lowercase=True)
    assert pair.source.kind == pair.target.kind == kind
    assert pair.source.lowercase
    assert pair.target.lowercase


@pytest.mark.parametrize("side", [FEW, MANY], ids=["few", "many"])
def test_texts_are_lower_cased(side):
    pair = AUTO.learn(side, side, lowercase=True)
    assert pair.source.decode(pair.source.encode("A Dog")) == "a dog"
    assert pair.source.encode("A Dog") == pair.target.encode("a dog")
