"""Words as sums of their n-grams: the hash against published values, and the sum in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.tokens.spelling import Spelling
from sightline.parts.hashed_ngrams import OF_WORDS, OFFSET, HashedNGrams


def fnv(letters: list[int], start: int = 2166136261) -> int:
    """FNV-1a with 32 bits, as its authors define it: xor with a byte, then times the prime."""
    value = start
    for letter in letters:
        value = (value ^ letter) * 16777619 % 2**32
    return value


def test_the_hash_is_fnv_1a() -> None:
    """Test vectors of the authors' page (Noll): the empty text, "a" and "foobar"."""
    assert (OFFSET, fnv(list(b"")), fnv(list(b"a")), fnv(list(b"foobar"))) == (
        0x811C9DC5,
        0x811C9DC5,
        0xE40C292C,
        0xBF9CF968,
    )
    front_end: Any = HashedNGrams(1, 6, 6).build(4)
    front_end.buckets = 2**32  # no row is shared
    rows, real = front_end.rows_of(torch.tensor([list(b"foobar")]))
    assert rows.tolist() == [[0xBF9CF968, fnv(list(b"foobar"), OF_WORDS)]]
    assert real.all()


@pytest.mark.parametrize("config", HashedNGrams.examples(), ids=str)
def test_a_word_is_the_sum_of_its_n_grams(config: HashedNGrams) -> None:
    torch.manual_seed(0)
    front_end: Any = config.build(5).double()
    table = front_end.table.weight.detach().numpy()
    words = [[1, 2, 3, 4, 1, 7, 200], [2], [4, 4], [3, 1, 2], [258, 1, 1, 1, 1, 1, 1, 1, 1, 257]]
    inputs = torch.tensor([[word + [0] * (12 - len(word)) for word in words]])
    x, _ = front_end(inputs)
    for vector, word in zip(x[0].detach().numpy(), words, strict=True):
        hashes = [fnv(word, OF_WORDS)]
        for size in range(config.shortest, config.longest + 1):
            hashes += [fnv(word[start : start + size]) for start in range(len(word) - size + 1)]
        expected = sum(table[one % config.buckets] for one in hashes) / len(hashes) ** 0.5
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-12)


def test_words_begin_with_variance_one_whatever_their_length() -> None:
    torch.manual_seed(0)
    (letters,) = Spelling().encode_batch(["a it them unbelievable incomprehensibilities"])
    x, _ = HashedNGrams(1 << 14).build(1024)(torch.from_numpy(letters)[None])
    assert torch.allclose(x[0].var(1), torch.ones(5), atol=0.25)


def test_a_range_that_is_reversed_is_refused() -> None:
    with pytest.raises(InputError, match="longest: must be at least shortest = 5, found 4"):
        HashedNGrams(shortest=5, longest=4)
