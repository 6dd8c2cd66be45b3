"""Small models to serve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from typing import Any

from tests.tasks.translation import small as pairs


@cache
def numbers(seed: int = 0) -> Any:
    """A model that spells numbers in letters, untrained."""
    return pairs.untrained("gru", seed=seed)


class Slow:
    """A stand-in for a task that takes its time, and keeps what it was asked for."""

    name, arch, parameters = "translation", "none", 0
    accepts_decoding, continues_prompts = True, False

    def __init__(self, seconds: float = 0.0) -> None:
        from torch import nn

        self.seconds, self.model = seconds, nn.Module()
        self.input_sources = {"text": "text"}
        self.batches: list[list[str]] = []

    def answer(self, inputs: Sequence[str], decoding: Any = None) -> list[Any]:
        from sightline.tasks.outcomes import Answer

        self.batches.append(list(inputs))
        time.sleep(self.seconds)
        return [Answer(one[::-1], {"source": one, "output": one[::-1]}) for one in inputs]
