"""Which tokenizer texts have where none is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sightline.data.tokens.tokenizer import SMALLEST, byte_pairs_for
from sightline.tasks.texts_out.config import PER_TOKEN, TokenizerConfig

TEXTS = ["Ein Hund schläft unter dem Tisch.", "Zwei Katzen sehen ihm zu."] * 50
MANY = TEXTS * 50  # 145,000 characters
AUTO = TokenizerConfig()


@pytest.mark.parametrize("sides", [(TEXTS, TEXTS), ([], TEXTS), ([], [])])
def test_few_texts_are_split_into_characters(sides):
    assert AUTO.settled(*sides).kind == "char"


@pytest.mark.parametrize("sides", [(MANY, TEXTS), (TEXTS, MANY), (MANY,), ([], MANY)])
def test_many_texts_on_one_side_are_split_into_byte_pairs(sides):
    assert AUTO.settled(*sides).kind == "bpe"


def test_the_vocabulary_grows_with_the_texts_up_to_the_maximum():
    characters = sum(map(len, MANY))
    assert AUTO.settled(MANY).size == characters // PER_TOKEN
    assert AUTO.settled(MANY * 3, TEXTS).size == 3 * characters // PER_TOKEN
    assert AUTO.settled(MANY * 50).size == AUTO.size == 8000
    assert replace(AUTO, size=280).settled(MANY).size == 280


def test_fewer_tokens_than_bytes_are_no_vocabulary():
    assert byte_pairs_for((SMALLEST + 1) * 70 - 1, 70) == 0
    assert byte_pairs_for((SMALLEST + 1) * 70, 70) == SMALLEST + 1


@pytest.mark.parametrize("kind", ["char", "bpe", "unigram"])
def test_a_chosen_tokenizer_stays(kind):
    chosen = TokenizerConfig(kind)
    assert chosen.settled(MANY, TEXTS) == chosen == chosen.settled(TEXTS)


@pytest.mark.parametrize("texts", [TEXTS, MANY], ids=["few", "many"])
def test_auto_learns_what_its_choice_would(texts):
    learned, expected = (one.learn(texts, texts, lowercase=True) for one in (AUTO, AUTO.settled(texts)))
    assert learned.source.kind == expected.source.kind
    assert learned.source.encode_batch(TEXTS) == expected.source.encode_batch(TEXTS)
    assert learned.source.lowercase
