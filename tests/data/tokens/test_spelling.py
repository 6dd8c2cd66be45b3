"""Words by their letters: the bytes of UTF-8 between two marks, the words of `Words`, and what is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.tokens.spelling import Spelling
from sightline.data.tokens.words import Words


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_letters_are_bytes_between_marks(text: str) -> None:
    spelling = Spelling()
    (letters,) = spelling.encode_batch([text])
    words = spelling.pieces(text)
    assert letters.shape == (len(words), Spelling.LENGTH)
    for row, word in zip(letters.tolist(), words, strict=True):
        begin, *inner = row[: row.index(0)] if 0 in row else row
        assert (begin, inner[-1]) == (Spelling.BEGIN, Spelling.END)
        assert bytes(letter - 1 for letter in inner[:-1]) == word.encode()[: Spelling.LENGTH - 2]
        assert set(row[len(inner) + 1 :]) <= {0}


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_words_are_those_of_the_vocabulary_of_words(text: str) -> None:
    words = Words.train([text, "a"], min_count=1)
    assert Spelling().pieces(text) == words.pieces(text)


def test_lower_case_sees_the_whole_text() -> None:
    assert Spelling(lowercase=True).pieces("ΟΔΟΣ ΣΑΣ") == ["οδος", "σας"]


def test_a_text_without_words_has_no_letters() -> None:
    (letters,) = Spelling().encode_batch([" \n"])
    assert letters.shape == (0, Spelling.LENGTH)


def test_every_letter_is_below_the_size() -> None:
    (letters,) = Spelling().encode_batch(["\U0010ffff ÿ"])
    assert letters.min() >= 0
    assert letters.max() < Spelling.size
    assert letters.dtype == np.int16


@pytest.mark.parametrize("lowercase", [False, True])
def test_it_is_written_and_read(lowercase: bool) -> None:
    assert Spelling.from_dict(Spelling(lowercase).to_dict()).lower_first is lowercase


@pytest.mark.parametrize(
    "content", [{"kind": "word"}, {"kind": "letters", "tokenizer": {}}, {"kind": "letters", "lowercase": 1}]
)
def test_other_descriptions_are_refused(content: dict[str, object]) -> None:
    with pytest.raises(InputError, match="x: not a"):
        Spelling.from_dict(content, where="x")
