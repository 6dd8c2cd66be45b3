"""Kneser–Ney smoothing is a distribution, and that of a slow implementation from the paper."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.tasks.language.kneser_ney import END, SYMBOLS, KneserNey
from tests.reference.kneser_ney import SlowKneserNey

TEXT = "the cat sat on the mat\x00the dog sat on the log\x00a cat and a dog, näher\x00\x00the end"


def symbols_of(text: str) -> np.ndarray:
    """Bytes; a NUL ends a document."""
    raw = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64)
    return np.where(raw == 0, END, raw)


@pytest.fixture(scope="module")
def text() -> np.ndarray:
    """Words by a Zipf law, so that n-grams have every count from 1."""
    random = np.random.default_rng(0)
    words = [*TEXT.replace("\x00", " ").split(), "\x00"]
    drawn = random.choice(words, 700, p=(w := 1 / np.arange(1, len(words) + 1)) / w.sum())
    return symbols_of(" ".join(drawn))


@pytest.mark.parametrize("order", [1, 2, 3, 6, 8])
def test_it_equals_a_slow_implementation(text: np.ndarray, order: int) -> None:
    model, slow = KneserNey(text, order), SlowKneserNey(text.tolist(), order)
    tested = symbols_of("the cat and a log\x00Zebra on the mat, the\x00\x00dog sat näher")
    context: list[int] = [END] * (order - 1)
    expected = []
    for symbol in tested.tolist():
        expected.append(slow.p(symbol, context))
        context = [*context, symbol][1:] if symbol != END else [END] * (order - 1)
    assert model.order == order
    np.testing.assert_allclose(model.probabilities(tested), expected, rtol=1e-10)


@pytest.mark.parametrize("context", ["", "the ", "the cat sat o", "Zzz", "on\x00", "nä"])
def test_the_probabilities_of_all_symbols_sum_to_one(text: np.ndarray, context: str) -> None:
    model, before = KneserNey(text), symbols_of(context)
    p = np.array([model.probabilities(np.array([symbol]), before)[0] for symbol in range(SYMBOLS)])
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1.0, abs=1e-12)


def test_text_in_pieces_costs_what_it_costs_whole(text: np.ndarray) -> None:
    model = KneserNey(text[:2000])
    tested = text[2000:]
    whole = model.probabilities(tested)
    pieces = [model.probabilities(tested[at : at + 7], tested[:at] if at else None) for at in range(0, len(tested), 7)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_the_discounts_of_a_small_text_by_hand() -> None:
    """Of "aaab" single symbols count 3 and 1 as they are: no pair of n₁, n₂ > 0, so half a count is discounted.

    γ = (0.5 + 0.5) / 4, so p(a) = 2.5/4 + 1/4 · 1/257 and p(b) = 0.5/4 + 1/4 · 1/257.
    """
    model = KneserNey(symbols_of("aaab"), 1)
    assert model.probabilities(symbols_of("abz")) == pytest.approx(
        [0.625 + 0.25 / 257, 0.125 + 0.25 / 257, 0.25 / 257], rel=1e-12
    )


def test_many_kinds_of_symbols_shorten_the_ngrams() -> None:
    assert KneserNey(np.arange(SYMBOLS), 8).order == 7  # 258 codes of 9 bits, 7 of them in 63 bits
    assert KneserNey(np.zeros(0, np.int64)).probabilities(symbols_of("a")) == pytest.approx([1 / SYMBOLS])
