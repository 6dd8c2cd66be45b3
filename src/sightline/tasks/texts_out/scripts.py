"""sacreBLEU's tokenizer for texts by their script, and the metric that suits the length of targets."""

from __future__ import annotations

import statistics
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from sightline.data.spaced import spaced

WORDS = "13a"  # sacreBLEU's default, for scripts with spaces between words
CHARACTERS = "char"
# Beginnings of the Unicode names of letters in scripts that 13a does not divide into words.
_KANA, _HANGUL, _HAN = ("HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA"), ("HANGUL", "HALFWIDTH HANGUL"), ("CJK",)
_OTHERS = ("THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN", "JAVANESE", "BALINESE", "TAI ")
_SAMPLE = 1000  # targets whose length is measured
_FEW = 5  # words: most shorter targets have at most one sequence of four words, of which BLEU is made


def bleu_tokenizer(texts: Sequence[str]) -> str:
    """The name of sacreBLEU's tokenizer for the script of most letters: `zh`, `ja-mecab`, `ko-mecab`, `char` or `13a`.

    Han letters with some kana are Japanese. Other scripts without spaces are divided into characters, and so are
    Japanese and Korean where the packages of `sacrebleu[ja]` and `sacrebleu[ko]` are missing.
    """
    names = Counter[str]()
    for letter, count in Counter(char for text in texts for char in text).items():
        if letter.isalpha():
            names[unicodedata.name(letter, "")] += count

    def share(*beginnings: str) -> float:
        return sum(count for name, count in names.items() if name.startswith(beginnings)) / max(names.total(), 1)

    kana, hangul, han, others = share(*_KANA), share(*_HANGUL), share(*_HAN), share(*_OTHERS)
    if kana + hangul + han + others <= 0.5:
        return WORDS
    largest = max(kana + han, hangul, others)
    if largest == others:
        return CHARACTERS
    name = "ko-mecab" if largest == hangul else "ja-mecab" if kana > 0.05 * (kana + han) else "zh"
    return name if _is_there(name) else CHARACTERS


@cache
def bleu_metric(tokenizer: str) -> Any:
    """sacreBLEU's BLEU with this tokenizer."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenizer)


@cache
def _is_there(tokenizer: str) -> bool:
    try:
        bleu_metric(tokenizer)
    except (RuntimeError, ImportError, AssertionError):  # not installed, or with another dictionary
        return False
    return True


def metric_for(targets: Sequence[str]) -> str:
    """The metric that ranks models of such targets: by their median length in words, or in BLEU's tokens where words
    are not spaced: exact match of one, chrF of two to four, otherwise BLEU.
    """
    chosen = [targets[row] for row in spaced(len(targets), _SAMPLE)] or [""]
    tokenizer = bleu_tokenizer(chosen)
    divide = str if tokenizer == WORDS else bleu_metric(tokenizer).tokenizer
    median = statistics.median(len(divide(target).split()) for target in chosen)
    return "exact_match" if median <= 1 else "chrf" if median < _FEW else "bleu"
