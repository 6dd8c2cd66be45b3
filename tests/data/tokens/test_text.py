"""Tokens of running text: no kind loses a byte, and characters appear when they are whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.text.corpus import load_text
from sightline.data.tokens.spelling import Spelling
from sightline.data.tokens.text import TextTokenizer
from sightline.data.tokens.words import Words

KINDS = ("byte", "char", "bpe", "unigram")
TEXT = "The cat — über 日本語 🙂 sat\r\n\ton the mat, and then it sat again.\n" * 40


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(TEXT.encode())
    part = load_text(path).train
    return {kind: TextTokenizer.train(part, kind, 400) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text())
def test_every_text_comes_back_and_its_bytes_are_counted(tokenizers, kind, text):
    tokenizer = tokenizers[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.bytes_of[ids].sum() == len(text.encode())
    assert (ids > 3).all()
    appearing = tokenizer.decoder()
    assert "".join([appearing.push(int(i)) for i in ids] + [appearing.end()]) == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_character_appears_with_its_last_byte(tokenizers, kind):
    tokenizer = tokenizers[kind]
    appearing = tokenizer.decoder()
    shown = [appearing.push(int(i)) for i in tokenizer.encode("a\U0001f980b")]
    assert "\ufffd" not in "".join(shown)
    assert "".join(shown) == "a\U0001f980b"


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_character_is_refused(tokenizers, kind):
    """Python has one in the argument of a command whose bytes are not UTF-8."""
    for text in ("\ud800", "the cat \udce9"):
        with pytest.raises(InputError, match=r"^text 1 contains an unpaired surrogate and cannot be encoded as UTF-8$"):
            tokenizers[kind].encode(text)


def test_half_a_character_in_a_list_of_texts_is_named():
    for encoder in (Spelling(), Spelling(lowercase=True), Words.train(["the cat"] * 3)):
        with pytest.raises(InputError, match=r"^text 2 contains an unpaired surrogate and cannot be encoded as UTF-8$"):
            encoder.encode_batch(["the", "cat \udce9"])


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(tokenizers, kind, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizers[kind].save(path)
    loaded = TextTokenizer.load(path)
    assert (loaded.kind, loaded.size, loaded.note) == (kind, tokenizers[kind].size, tokenizers[kind].note)
    assert (loaded.encode(TEXT) == tokenizers[kind].encode(TEXT)).all()


def test_characters_are_those_of_the_library(tokenizers):
    ours = tokenizers["char"].encode(TEXT + "unseen: ж")
    assert ours.tolist() == tokenizers["char"].inner.encode(TEXT + "unseen: ж")


def test_the_sample_is_bounded_and_stated(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("some words again\n" * 100_000)
    part = load_text(path).train
    note = TextTokenizer.train(part, "bpe", 300, sample_bytes=300_000).note
    seen = int(note.split()[2].replace(",", ""))
    assert 200_000 < seen <= 300_000
    assert note.endswith(f"of {part.size:,} bytes of the train part")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not a tokenizer file"),
        ("[]", "not a tokenizer file of format 1"),
        ('{"format": 2}', "not a tokenizer file of format 1"),
        ('{"format": 1, "kind": "byte", "note": 3}', "its note is not text"),
        ('{"format": 1, "kind": "words"}', "not a tokenizer"),
    ],
)
def test_what_is_no_tokenizer(tmp_path, content, problem):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem):
        TextTokenizer.load(path)


def test_a_vocabulary_that_spells_bytes_in_another_way_is_refused(tokenizers, tmp_path):
    content = tokenizers["char"].to_dict()
    vocabulary = content["tokenizer"]["model"]["vocab"]
    vocabulary["cat"] = vocabulary.pop("c")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a sightline tokenizer"):
        TextTokenizer.load(path)


def test_an_unknown_kind(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    part = load_text(path).train
    with pytest.raises(InputError, match="unknown tokenizer kind 'word'; choose byte, char, bpe or unigram"):
        TextTokenizer.train(part, "word")
    with pytest.raises(InputError, match="bytes have no case"):
        TextTokenizer.train(part, "byte", lowercase=True)
