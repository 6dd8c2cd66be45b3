"""BLEU's tokenizer by script, and the metric that ranks models by the length of targets."""

from __future__ import annotations

import pytest
import sacrebleu

from sightline.tasks.texts_out import scripts
from sightline.tasks.texts_out.scores import score_texts

CHINESE = ["今天天气很好，我们去公园散步。", "他在北京大学学习中文和历史。"]
JAPANESE = ["今日はとても良い天気です。", "彼は大学で歴史を勉強しています。"]
KOREAN = ["오늘은 날씨가 아주 좋습니다.", "그는 대학교에서 역사를 공부합니다."]
THAI = ["วันนี้อากาศดีมาก", "เขาเรียนประวัติศาสตร์"]
ENGLISH = ["Today the weather is very good, so we walk.", "He studies history (and 中文) at the university."]


def test_the_script_of_most_letters_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "_is_there", lambda name: True)
    texts = {"zh": CHINESE, "ja-mecab": JAPANESE, "ko-mecab": KOREAN, "char": THAI, "13a": ENGLISH}
    assert {name: scripts.bleu_tokenizer(of_script) for name, of_script in texts.items()} == {n: n for n in texts}
    assert scripts.bleu_tokenizer(["12.5 %", ""]) == scripts.bleu_tokenizer([]) == "13a"


def test_without_the_packages_japanese_and_korean_are_divided_into_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise RuntimeError(f"{name} needs a package")

    scripts._is_there.cache_clear()
    monkeypatch.setattr(scripts, "bleu_metric", missing)
    assert scripts.bleu_tokenizer(JAPANESE) == scripts.bleu_tokenizer(KOREAN) == "char"
    scripts._is_there.cache_clear()


@pytest.mark.parametrize("references", [CHINESE, JAPANESE, KOREAN, THAI, ENGLISH], ids=["zh", "ja", "ko", "th", "en"])
def test_bleu_is_sacrebleus_with_the_tokenizer_that_the_signature_names(references: list[str]) -> None:
    outputs = [references[0], references[1][:9]]
    scores = score_texts(outputs, references)
    tokenizer = scripts.bleu_tokenizer(references)
    assert f"|tok:{tokenizer}|" in scores.details["signatures"]["bleu"].replace(
        f"tok:{tokenizer}-", f"tok:{tokenizer}|-"
    )
    expected = sacrebleu.corpus_bleu(outputs, [references], tokenize=tokenizer).score
    assert scores.metrics["bleu"] == pytest.approx(expected, abs=1e-9)
    assert score_texts(references, references).metrics["bleu"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("targets", "metric"),
    [
        (["2024-08-07", "2024-08-08", "a b c d e f"], "exact_match"),
        (["one", "two", "one two", "two one"], "chrf"),  # half of them single words
        (["one two three", "two three", "one two three four five six"], "chrf"),
        (["one two three four five", "one two three four five six", "one"], "bleu"),
        (CHINESE, "bleu"),
        (["你好", "再见了", "天气"], "chrf"),
        (["好", "天", "地"], "exact_match"),
        ([], "exact_match"),
    ],
)
def test_the_metric_that_decides_suits_the_length_of_the_targets(targets: list[str], metric: str) -> None:
    assert scripts.metric_for(targets) == metric


def test_a_perfect_system_is_best_by_the_metric_that_decides() -> None:
    for targets in (["one two", "two three", "three"], ["你好", "再见了"], THAI, CHINESE, ENGLISH):
        perfect = score_texts(targets, targets).metrics[scripts.metric_for(targets)]
        assert perfect == pytest.approx(1.0 if perfect <= 1 else 100.0)
