"""The hash of tested items is equal exactly where row i of two measurements is of the same item."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from sightline.data.spaced import spaced
from sightline.data.text.corpus import load_text
from sightline.tasks.language.config import TextTokenizerConfig
from tests.tasks.forecasting.small import built, small
from tests.tasks.language.test_task import made
from tests.tasks.subjects import SUBJECTS
from tests.tasks.test_laws import EACH


@pytest.mark.parametrize("name", EACH)
def test_every_task_knows_its_items_and_their_order(name: str, tmp_path: Path) -> None:
    subject = SUBJECTS[name](tmp_path)
    task, part = subject.built(), subject.corpus.train
    rows = [*range(len(part))]
    known = task.items_sha256(part)
    assert len(known) == 64
    assert subject.built(seed=1).items_sha256(part.select(rows)) == known
    others = [rows[::-1], rows[:-1], rows[1:]]
    assert len({known, *(task.items_sha256(part.select(chosen)) for chosen in others)}) == 4


def windows(**changes: Any) -> tuple[str, int, str]:
    """The hash of the data, the number of tested windows, and their hash."""
    task, data = built(small("nlinear", **changes))
    part = data.test.select(spaced(len(data.test), 50))
    return data.sha256, len(part), task.items_sha256(part)


@pytest.mark.parametrize(
    "changes",
    [{"horizon": 6}, {"split": (0.7, 0.15, 0.15)}, {"split": (0.6, 0.2, 0.2)}, {"limit": 60}, {"scale": "none"}],
    ids=str,
)
def test_windows_of_equal_data_may_be_others(changes: dict[str, Any]) -> None:
    """Of another part, of other steps, or scaled by another part: with the same data and as many windows."""
    one, other = windows(), windows(**changes)
    assert one[:2] == other[:2]
    assert one[2] != other[2]


def test_windows_are_the_same_whatever_is_read_before_them() -> None:
    assert windows() == windows(lookback=12)


def test_tokens_decide_which_text_is_an_item_of_a_long_document_alone(tmp_path: Path) -> None:
    """Items are documents, and stretches of 1,024 tokens of longer ones: of bytes or of byte pairs."""
    draw = random.Random(0)
    words = [" ".join(draw.choices(["the", "cat", "sat", "on", "a", "mat"], k=count)) for count in (4000, *[12] * 60)]
    place, several = tmp_path / "long.txt", tmp_path / "several"
    place.write_text(words[0])
    several.mkdir()
    for number, text in enumerate(words[1:]):
        (several / f"{number}.txt").write_text(text)
    kinds = {"byte": TextTokenizerConfig("byte"), "bpe": TextTokenizerConfig("bpe", size=300)}
    hashes = {}
    for name, corpus in (("long", load_text(place)), ("short", load_text(several))):
        for kind, tokens in kinds.items():
            hashes[name, kind] = made(corpus, tokenizer=tokens).items_sha256(corpus.test)
        seen = made(corpus, tokenizer=kinds["byte"], context=12, stride=6).items_sha256(corpus.test)
        assert seen == hashes[name, "byte"], "the context is what a prediction can see"
    assert hashes["long", "byte"] != hashes["long", "bpe"]
    assert hashes["short", "byte"] == hashes["short", "bpe"]
