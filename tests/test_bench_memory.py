"""Peak memory of training steps beside other libraries (benchmarks/bench_memory.py)."""

from __future__ import annotations

import pytest

from bench_memory import VOCABULARY, verdict, weigh
from memory_page import memory_section
from sightline.core.processes import in_child, peak_memory_bytes
from training_models import ours


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sightline", "hand-written"])
def test_a_step_needs_at_least_gradients_and_two_averages(name):
    """Each is as large as the weights; activations of 8 rows of 32 positions add less than their logits four times."""
    if peak_memory_bytes() is None:
        pytest.skip("the system does not report peak memory")
    weights = 4 * sum(parameter.numel() for parameter in ours(VOCABULARY).parameters())
    size = in_child(weigh, name, "float32", 32)
    logits = 4 * 8 * 32 * VOCABULARY
    assert 3 * weights < size < 3 * weights + 8 * logits


def test_the_ratio_is_that_to_the_peer_that_needs_least():
    row = {"peak_bytes": {"sightline": 110, "a": 150, "b": 100, "c": None}}
    assert verdict(row) == {"best_peer": "b", "ratio": 1.1, "met": False}
    assert verdict({"peak_bytes": {"sightline": 100, "a": 100}})["met"]
    assert verdict({"peak_bytes": {"sightline": 100}}) == {}


def test_the_section_shows_what_was_measured():
    rows = [
        {"length": 128, "dtype": "float32", "peak_bytes": {"sightline": 100 * 2**20, "a": 125 * 2**20},
         "best_peer": "a", "ratio": 0.8, "met": True},
        {"length": 2048, "dtype": "bfloat16", "peak_bytes": {"sightline": 3000 * 2**20}},
    ]  # fmt: skip
    facts = {"packages": {"torch": "2.13.0"}, "git_commit": "0123456789"}
    text = memory_section([{"processor": "A processor", "results": rows, "environment": facts}])
    assert "**A processor**, torch 2.13.0, commit 0123456:" in text
    assert "| positions | precision | sightline | a | ratio |" in text
    assert "| 128 | float32 | 100 | 125 | 0.80, met |" in text
    assert "| 2,048 | bfloat16 | 3,000 |  |  |" in text
    assert memory_section([]) == ""
