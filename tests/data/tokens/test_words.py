"""Vocabularies of words: words, unknown words, and descriptions that are not trusted."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.tokens.words import Words

TEXTS = ["the cat, the dog", "The cat!", "a dog <unk> ünï"]


def test_words_are_runs_of_letters_and_of_other_characters() -> None:
    words = Words.train(TEXTS)
    assert words.pieces("the cat!? the ünï") == ["the", "cat", "<unk>", "the", "ünï"]
    assert words.pieces("dog <unk> <pad>") == ["dog", "<", "unk", ">", "<", "<unk>", ">"]
    assert words.encode_batch(["", " \t\n"]) == [[], []]


def test_lower_case_and_counts() -> None:
    words = Words.train(TEXTS, lowercase=True, min_count=2)
    assert words.pieces("THE Cat a") == ["the", "cat", "<unk>"]
    assert words.size == 2 + 3  # the, cat, dog


def test_the_most_frequent_words_are_kept() -> None:
    texts = ["a a a b b c", "c d"]
    assert Words.train(texts, size=4).pieces("a b c d") == ["a", "b", "<unk>", "<unk>"]
    with pytest.raises(InputError, match="at least 3, found size 2"):
        Words.train(texts, size=2)


@settings(max_examples=20)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=10), st.text(max_size=20))
def test_a_description_gives_the_same_ids_and_training_is_repeatable(texts: list[str], text: str) -> None:
    words = Words.train(texts)
    again = Words.from_dict(json.loads(json.dumps(words.to_dict())))
    assert again.encode_batch([*texts, text]) == words.encode_batch([*texts, text])
    assert Words.train(texts).to_dict() == words.to_dict()
    ids = [i for of_text in words.encode_batch(texts) for i in of_text]
    assert Words.PAD not in ids
    assert Words.UNK not in ids
    assert len(set(ids)) == words.size - 2
    assert max(Counter(ids).values(), default=0) <= sum(map(len, texts))


def changed(path: str, value: Any) -> dict[str, Any]:
    made = Words.train(TEXTS).to_dict()
    inner = made
    *above, last = path.split(".")
    for key in above:
        inner = inner[key]
    inner[last] = value
    return made


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        (None, "expected 'kind' (word) and 'tokenizer'"),
        ({"kind": "char", "tokenizer": {}}, "expected 'kind' (word)"),
        (changed("tokenizer.model", None), "expected a WordLevel model"),
        (changed("tokenizer.model.type", "BPE"), "expected a WordLevel model"),
        (changed("tokenizer.added_tokens", [{"id": 0}]), "without added tokens"),
        (changed("tokenizer.pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}}), "other parts than"),
        (changed("tokenizer.normalizer", {"type": "Replace"}), "other parts than"),
        (changed("tokenizer.decoder", {"type": "Fuse"}), "other parts than"),
        (changed("tokenizer.model.vocab", {"<pad>": 0, "<unk>": 1, "a": 7}), "the ids of its words have gaps"),
        (changed("tokenizer.model.vocab", {"a": 0, "<unk>": 1, "<pad>": 2}), "its first words must be"),
        (changed("tokenizer.model.vocab", "many"), "not a vocabulary of words"),
    ],
)
def test_descriptions_of_something_else_are_refused(description: object, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        Words.from_dict(description, where="tokenizer.json")
    assert str(caught.value).startswith("tokenizer.json: not a vocabulary of words: ")
    assert problem in str(caught.value)
