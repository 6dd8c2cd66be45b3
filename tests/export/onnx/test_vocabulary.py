"""The runner's vocabularies, which need no library, give the ids of ours."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.data.tokens.spelling import Spelling
from sightline.data.tokens.text import TextTokenizer
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.data.tokens.words import Words

pytest.importorskip("onnxruntime")
from sightline.export.onnx_runner import RunnerVocabulary

_words = ["low", "lower", "newest", "wide", "don't", "we'll", "Straße", "naïve", "日本", "12", "3,5", "end.\n", "ΟΔΟΣ"]
_random = random.Random(0)
TEXTS = [" ".join(_random.choices(_words, k=8)) for _ in range(200)]
TRICKY = [
    "",
    " ",
    "  a",
    "a  b ",
    "a\n\n b",
    "'s 'S don't",
    "I'll’ve",
    "x\u00a0y\u2003 z",
    "1²½ Ⅷ",
    "é e\u0301",
    "🙂🙂",
    "\t\x1c_a_",
]
OURS = {
    "char": Tokenizer.train(TEXTS, "char", 300),
    "bpe": Tokenizer.train(TEXTS, "bpe", 320),
    "bpe, lower case": Tokenizer.train(TEXTS, "bpe", 320, lowercase=True),
    "unigram": Tokenizer.train(TEXTS, "unigram", 320),
    "word": Words.train(TEXTS, lowercase=True),
}
THEIRS = {name: RunnerVocabulary(tokenizer.to_dict()) for name, tokenizer in OURS.items()}
texts = st.text(st.characters(max_codepoint=0x3000, exclude_categories=("Cs", "Cn")), max_size=30)


@pytest.mark.parametrize("name", OURS)
@given(text=texts | st.sampled_from([*TEXTS[:20], *TRICKY]))
def test_ids(name: str, text: str) -> None:
    assert THEIRS[name].encode(text).tolist() == OURS[name].encode_batch([text])[0]


@pytest.mark.parametrize("name", ["char", "bpe", "unigram"])
@given(text=texts)
def test_texts_of_ids(name: str, text: str) -> None:
    ids = OURS[name].encode_batch([text])[0]
    assert THEIRS[name].decode([1, *ids, 2]) == text


@given(text=texts)
def test_bytes_and_letters(text: str) -> None:
    ours = TextTokenizer(None)
    theirs = RunnerVocabulary(ours.to_dict())
    assert theirs.encode(text).tolist() == ours.encode(text).tolist()
    assert theirs.decode(ours.encode(text).tolist()) == text
    assert RunnerVocabulary(Spelling().to_dict()).encode(text).tolist() == Spelling().encode_batch([text])[0].tolist()


@given(ids=st.lists(st.integers(0, 299), max_size=12))
def test_bytes_that_are_no_character(ids: list[int]) -> None:
    ours = TextTokenizer(None)
    theirs = RunnerVocabulary(ours.to_dict())
    assert theirs.decode([one for one in ids if one < 260], running=True) == ours.decode(i for i in ids if i < 260)
    for name in ("char", "bpe", "unigram"):
        known = [one for one in ids if one < OURS[name].size]
        assert THEIRS[name].decode(known) == OURS[name].decode(known)
