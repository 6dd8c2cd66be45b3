"""Small models to serve."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from tests.tasks.translation import small as pairs
from tests.waiting import PATIENCE_S


@cache
def numbers(seed: int = 0) -> Any:
    """A model that spells numbers in letters, untrained."""
    return pairs.untrained("gru", seed=seed)


class Reverser:
    """A stand-in for a task, which turns texts around."""

    name, arch, parameters = "translation", "none", 0
    accepts_decoding, continues_prompts, longest_output = True, False, None

    def __init__(self) -> None:
        from torch import nn

        self.model = nn.Module()
        self.input_sources = {"text": "text"}

    def answer(self, inputs: Sequence[str], decoding: Any = None) -> list[Any]:
        from sightline.tasks.outcomes import Answer

        return [Answer(one[::-1], {"source": one, "output": one[::-1]}) for one in inputs]


class Loud(Reverser):
    """A task whose answers, whole or in pieces, are larger than the buffers of a connection."""

    continues_prompts, tokenizer = True, SimpleNamespace(encode=list)

    def answer(self, inputs: Sequence[str], decoding: Any = None) -> list[Any]:
        return super().answer([one * (16 << 20) for one in inputs])

    def continuations(self, prompts: Sequence[str], config: Any, on_text: Any) -> list[Any]:
        from sightline.tasks.language.generation import Generated

        for _ in range(256):
            on_text(0, prompts[0] * (64 << 10))
        return [Generated(prompt, "", 0.0, 1, "end") for prompt in prompts]


class Gated:
    """A task that answers once its gate is open, and keeps what it was asked for."""

    def __init__(self, task: Any = None) -> None:
        self.task, self.gate = task or Reverser(), threading.Event()
        self.batches: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def answer(self, inputs: Sequence[str], decoding: Any = None) -> list[Any]:
        self.batches.append(list(inputs))
        assert self.gate.wait(PATIENCE_S)
        return self.task.answer(inputs, decoding)

    def continuations(self, prompts: Sequence[str], config: Any, **more: Any) -> list[Any]:
        self.batches.append(list(prompts))
        assert self.gate.wait(PATIENCE_S)
        return self.task.continuations(prompts, config, **more)
