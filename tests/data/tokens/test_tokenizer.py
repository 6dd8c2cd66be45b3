"""Round trips, ids and files of tokenizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.tokens.tokenizer import SPECIALS, Tokenizer, TokenizerPair

KINDS = ("char", "bpe", "unigram")
TEXTS = [
    f"{word} {i}. März 20{i:02} <s> الخميس 星期四" for i in range(100) for word in ("Montag,", "den", "the thirteenth")
]
# Characters of 1 to 4 bytes, controls, combining marks and what other tokenizers treat as markers.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SIZES = {"char": 300, "bpe": 400, "unigram": 400}


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {kind: Tokenizer.train(TEXTS, kind, SIZES[kind]) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=ANY_TEXT)
@example(text="")
@example(text="<s></s><pad><unk>")
@example(text="\u2581 \u0120<0x41>##a@@ b\u200d\ufeff")
@example(text="  two  spaces\r\n\t\x00 end ")
@example(text="e\u0301 \u00e9 \ufb01 \U0001f600\u0635\u0644\u0649")
def test_decode_inverts_encode(kind: str, text: str, tokenizers: dict[str, Tokenizer]) -> None:
    ids = tokenizers[kind].encode(text)
    assert tokenizers[kind].decode(ids) == text
    assert all(len(SPECIALS) <= i < tokenizers[kind].size for i in ids)


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(ANY_TEXT, max_size=5))
def test_a_batch_is_its_texts(kind: str, texts: list[str], tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[kind]
    batch = tokenizer.encode_batch(texts)
    assert batch == [tokenizer.encode(text) for text in texts]
    assert [tokenizer.decode(ids) for ids in batch] == texts


@given(ids=st.lists(st.integers(0, 299)))
def test_decode_takes_any_ids_and_skips_specials(ids: list[int], tokenizers: dict[str, Tokenizer]) -> None:
    for tokenizer in tokenizers.values():
        within = [i % tokenizer.size for i in ids]
        assert tokenizer.decode(within) == tokenizer.decode([i for i in within if i >= len(SPECIALS)])


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens(kind: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[kind]
    assert (Tokenizer.PAD, Tokenizer.BOS, Tokenizer.EOS, Tokenizer.UNK) == (0, 1, 2, 3)
    assert tokenizer.pieces(range(4)) == ["<pad>", "<s>", "</s>", "<unk>"]
    assert tokenizer.decode([1, *tokenizer.encode("a b"), 2, 0, 0]) == "a b"


def test_characters_seen_in_training_are_one_token_each(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["char"]
    assert len(tokenizer.encode(TEXTS[7])) == len(TEXTS[7])
    assert tokenizer.pieces(tokenizer.encode("März 星z")) == list("März 星z")
    assert tokenizer.pieces(tokenizer.encode("語")) == ["<E8>", "<AA>", "<9E>"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_pieces_read_as_the_text(kind: str, tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers[kind]
    assert "".join(tokenizer.pieces(tokenizer.encode("the thirteenth 7."))) == "the thirteenth 7."
    assert len(tokenizer.encode("the thirteenth")) < len("the thirteenth")
    assert "<" in "".join(tokenizer.pieces(tokenizer.encode("語")))


def test_the_vocabulary_has_the_size_asked_for() -> None:
    texts = [f"{chr(0x4E00 + i)}{chr(0x4E00 + i) if i < 50 else ''}" for i in range(200)]
    tokenizer = Tokenizer.train(texts, "char", 310)
    assert tokenizer.size == 310
    assert len(tokenizer.encode(chr(0x4E00))) == 1  # the 50 most frequent characters
    assert len(tokenizer.encode(chr(0x4E00 + 60))) == 3
    for kind in ("bpe", "unigram"):
        assert Tokenizer.train(TEXTS, kind, 290).size <= 290


@pytest.mark.parametrize("kind", KINDS)
def test_lowercase(kind: str) -> None:
    tokenizer = Tokenizer.train(TEXTS, kind, 400, lowercase=True)
    assert tokenizer.lowercase
    assert tokenizer.decode(tokenizer.encode("MÄRZ Δ")) == "märz δ"
    assert Tokenizer.from_dict(tokenizer.to_dict()).encode("MÄRZ") == tokenizer.encode("märz")


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_in_every_process(kind: str) -> None:
    program = (
        "import hashlib, json, sys\n"
        "from sightline.data.tokens.tokenizer import Tokenizer\n"
        "texts = [f'{w} {i * i} {w[::-1]}' for i in range(60) for w in ('alpha', 'beta', 'März', '星期四')]\n"
        "print(hashlib.sha256(json.dumps(Tokenizer.train(texts, sys.argv[1], 350).to_dict()).encode()).hexdigest())\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program, kind],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_saved_pair_is_the_same_pair(kind: str, shared: bool, tmp_path: Path) -> None:
    pair = TokenizerPair.train(TEXTS, [text[::-1] for text in TEXTS], kind=kind, size=400, shared=shared)
    path = tmp_path / "tokenizer.json"
    pair.save(path)
    loaded = TokenizerPair.load(path)
    assert loaded.shared is shared
    assert (loaded.source.kind, loaded.source.size) == (kind, pair.source.size)
    for text in (TEXTS[0], "語 \U0001f600 <s>"):
        assert loaded.source.encode(text) == pair.source.encode(text)
        assert loaded.target.encode(text) == pair.target.encode(text)
    assert list(tmp_path.iterdir()) == [path]


def edited(**changes: object) -> dict[str, object]:
    inner = {**Tokenizer.train(["ab"], "char").to_dict()["tokenizer"], **changes}
    return {"format": 1, "shared": True, "source": {"kind": "char", "tokenizer": inner}}


PATTERN = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}
ADDED = [
    {
        "id": 5,
        "content": "x",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
]
SHORT = {"type": "BPE", "vocab": {token: i for i, token in enumerate(SPECIALS)}, "merges": []}
GAPS = {"type": "BPE", "vocab": {**SHORT["vocab"], "a": 9}, "merges": []}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a tokenizer file: "),
        ("{", "not a tokenizer file: "),
        ("[" * 100_000, "not a tokenizer file: "),
        ("[]", "not a tokenizer file of format 1"),
        ('{"format": 2}', "not a tokenizer file of format 1"),
        ('{"format": 1}', "not a tokenizer: expected"),
        ('{"format": 1, "source": 7}', "not a tokenizer: expected a mapping"),
        ('{"format": 1, "source": {"kind": "word", "tokenizer": {}}}', "not a tokenizer: expected 'kind'"),
        (edited(model=None), "not a char tokenizer"),
        (edited(model={"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}), "not a char tokenizer"),
        (edited(added_tokens=ADDED), "without added tokens"),
        (edited(normalizer=PATTERN), "it uses Replace"),
        (edited(normalizer={"type": "Sequence", "normalizers": [PATTERN]}), "it uses Replace"),
        (edited(model={**SHORT, "merges": [["a", "b"]]}), "not a tokenizer: "),
        (edited(model=SHORT), "some bytes have no token"),
        (edited(model=GAPS), "the ids of its vocabulary have gaps"),
        (edited(decoder=7), "not a tokenizer: "),
        ("\ud800", "not a tokenizer file: "),
    ],
)
def test_a_bad_file_is_refused_in_one_line(content: str | dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError) as caught:
        TokenizerPair.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_encoded_or_decoded_is_named(tokenizers: dict[str, Tokenizer]) -> None:
    with pytest.raises(InputError, match="text 2 contains an unpaired surrogate"):
        tokenizers["char"].encode_batch(["a", "\ud800"])
    with pytest.raises(InputError, match=r"token 9999 is outside the vocabulary of 400"):
        tokenizers["bpe"].decode([9999])
    with pytest.raises(InputError, match="token -1 is outside"):
        tokenizers["bpe"].pieces([-1])
    with pytest.raises(InputError, match="unknown tokenizer kind 'word'"):
        Tokenizer.train(TEXTS, "word")
    with pytest.raises(InputError, match="at least 260 tokens"):
        Tokenizer.train(TEXTS, "bpe", 259)
    with pytest.raises(InputError, match="no such file"):
        TokenizerPair.load("/nowhere/tokenizer.json")
