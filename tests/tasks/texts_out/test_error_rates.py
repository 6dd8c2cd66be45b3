"""Error rates against the definition of edits, worked out recursively, and against published examples."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import TER

from sightline.tasks.texts_out.scores import score_texts
from sightline.training.measured import Measured

WORDS = st.text("abc", max_size=7)


def error_rates(hypotheses: list[str], references: list[str]) -> Measured:
    return score_texts(hypotheses, references, ("transcripts",))


def edits(hypothesis: str, reference: str) -> int:
    return int(error_rates([hypothesis], [reference]).items["cer"][0, 0])


def by_definition(left: str, right: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = distance(i - 1, j - 1) + (left[i - 1] != right[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(left), len(right))


@given(WORDS, WORDS)
def test_edits_are_those_of_the_definition(left, right):
    assert edits(left, right) == by_definition(left, right) == edits(right, left)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("kitten", "sitting", 3), ("intention", "execution", 5), ("", "abc", 3), ("abc", "", 3), ("", "", 0)],
)
def test_known_distances(left, right, distance):
    """Jurafsky & Martin, Speech and Language Processing, § 2.5, for the first two."""
    assert edits(left, right) == distance


def test_word_errors_are_those_of_sacrebleu_where_nothing_is_moved():
    outputs = ["the cat sat on mat", "a b c d e", "one two"]
    references = ["the cat sat on the mat", "a x c d e f", "one two"]
    rates = error_rates(outputs, references)
    assert 100 * rates.metrics["wer"] == pytest.approx(TER().corpus_score(outputs, [references]).score)
    assert rates.items["wer"].tolist() == [[1, 6], [2, 6], [0, 2]]


def test_rates_are_sums_over_sums():
    result = error_rates(["seven", "eigt", "nine nine"], ["seven", "eight", "nine"])
    assert result.items["cer"].tolist() == [[0, 5], [1, 5], [5, 4]]
    assert result.metrics == {"cer": pytest.approx(6 / 14), "wer": pytest.approx(2 / 3)}
    assert error_rates(["aaaa"], ["b"]).metrics["cer"] == 4.0


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="nothing to score"):
        error_rates([], [])
    with pytest.raises(ValueError, match="1 hypotheses for 2 references"):
        error_rates(["a"], ["a", "b"])
