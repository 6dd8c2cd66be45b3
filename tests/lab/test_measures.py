"""Measurements of the workers: attention maps, state size, decoding time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.inspect.record import recorded_attention
from sightline.lab.attention import attention_examples, attention_maps
from sightline.tasks.texts_out.costs import ms_per_token, state_bytes
from sightline.tasks.texts_out.writer import TextOutput
from sightline.tasks.translation.config import TranslationConfig
from sightline.tasks.translation.sentences import Sentences
from sightline.tasks.translation.task import TranslationTask
from tests.clock import Clock

TEXTS = ["abc def", "ghij", "klmno pq", "rst", "uvwxyz"]


@pytest.fixture(scope="module")
def tasks() -> dict[str, TranslationTask]:
    pairs = Pairs(TEXTS, [text[::-1] for text in TEXTS])
    corpus = PairCorpus("letters", pairs, pairs, pairs, "0" * 64)
    return {
        arch: TranslationTask.create(corpus, TranslationConfig.preset(arch), parameters=120_000)
        for arch in ("lstm", "gru", "bahdanau", "luong", "transformer")
    }


@pytest.mark.parametrize("arch", ["bahdanau", "luong", "transformer"])
def test_each_row_of_a_map_is_a_distribution_over_what_is_attended_to(
    tasks: dict[str, TranslationTask], arch: str
) -> None:
    result = attention_maps(tasks[arch], "abc def")
    over = {m.over for m in result.maps}
    assert over == ({"source", "source itself", "output itself"} if arch == "transformer" else {"source"})
    assert result.output[-1] == "</s>"
    sides = {"source": 7, "source itself": 7, "output itself": len(result.output)}
    for one in result.maps:
        weights = np.array(one.weights)
        assert weights.shape == (7 if one.over == "source itself" else len(result.output), sides[one.over])
        assert np.allclose(weights.sum(1), 1, atol=0.02)  # rounded to three decimals
        assert weights.min() >= 0
        if one.heads:
            assert np.allclose(np.mean(one.heads, 0), weights, atol=0.002)
        if one.over == "output itself":
            assert np.allclose(weights, np.tril(weights))  # causal


def test_architectures_without_attention_have_no_map(tasks: dict[str, TranslationTask]) -> None:
    assert attention_maps(tasks["gru"], "abc").maps == []


def test_looking_leaves_nothing_attached(tasks: dict[str, TranslationTask]) -> None:
    model = tasks["transformer"].model
    with recorded_attention(model) as seen:
        pass
    source, target = torch.tensor([[5, 6, 7]]), torch.tensor([[1, 5]])
    model(source, None, target)
    assert seen == {}


def test_the_state_grows_with_what_an_architecture_keeps(tasks: dict[str, TranslationTask]) -> None:
    sizes = {
        arch: [state_bytes(task.trained, Sentences([[5] * m]), 0, [6] * t) for m, t in ((5, 3), (10, 3), (5, 9))]
        for arch, task in tasks.items()
    }
    for arch in ("lstm", "gru"):
        assert len(set(sizes[arch])) == 1
    assert sizes["bahdanau"][0] == sizes["bahdanau"][2] < sizes["bahdanau"][1]
    assert sizes["transformer"][0] < min(sizes["transformer"][1:])


def test_the_decoding_time_is_per_token_the_end_included(
    tasks: dict[str, TranslationTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def write_texts(part: Pairs) -> list[TextOutput]:
        clock.now += 0.25 * (len(part.sources[0]) + 1)  # a quarter of a second for each letter and for the end
        return [TextOutput(source, 0.0, True) for source in part.sources]

    monkeypatch.setattr("sightline.tasks.outcomes.time", clock)
    task = tasks["gru"]
    assert ms_per_token(write_texts, task.trained.part_of(TEXTS), task.tokenizers.target) == 250


@pytest.mark.slow
def test_the_peak_of_memory_is_the_highest_that_was_in_use() -> None:
    script = """
from sightline.core.processes import peak_memory_bytes
peaks = []
for size in (2**28, 2**29, 2**20):
    ballast = b"x" * size
    del ballast
    peaks.append(peak_memory_bytes())
print(*peaks)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second, third = map(int, done.stdout.split())
    assert second - first == pytest.approx(2**28, rel=0.1)
    assert third == second


@pytest.mark.slow
def test_the_peak_of_memory_is_not_that_of_the_process_that_started_it() -> None:
    child = "from sightline.core.processes import peak_memory_bytes; print(peak_memory_bytes())"
    parent = f"import subprocess, sys; ballast = b'x' * 2**30; subprocess.run([sys.executable, '-c', {child!r}])"
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 2**22 < int(done.stdout) < 2**30


def test_examples_are_short_enough_to_read_and_include_foreign_letters(tasks: dict[str, TranslationTask]) -> None:
    sources = ["x", "y" * 60, "abcdef", "abcdefgh", "يناير 5", "a" * 30]
    chosen = [sources[i] for i in attention_examples(tasks["gru"], sources)]
    assert "يناير 5" in chosen
    assert not {"x", "y" * 60} & set(chosen)
    assert attention_examples(tasks["gru"], ["x"]) == []
