"""Steps and readings in place of machine code, which takes a compiler and its time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline.core.state import map_state
from sightline.models import compiled, compiled_reading, reading_code, step_code


def stand_in(
    monkeypatch: pytest.MonkeyPatch, *, added: float = 0.0, faster: bool = True, stale: bool = False
) -> list[torch.Tensor]:
    """Machine code becomes the plain step of what is traced, whose logits may be wrong; the tokens of its calls.

    Machine code that reads sources becomes the plain reading.

    stale: code is stored, and right only when it is compiled again
    """
    calls: list[torch.Tensor] = []

    def made(traced: Any, tokens: Any, state: Any, leaves: Any, precision: str, *, again: bool = False) -> Any:
        code = step_code.StepCode(
            lambda *_: [], [["n"] * len(step_code._shape_taken(leaf)) for leaf in leaves], {}, [], []
        )
        code.takes = lambda _: True
        code.stored = stale and not again
        wrong = added + code.stored

        def run(tokens: Any, leaves: Any) -> Any:
            logits, after = traced.step(tokens, step_code.with_leaves(state, leaves))
            calls.append(tokens)
            return logits + wrong, list(step_code.stored_leaves(after))

        code.run = run
        return code

    monkeypatch.setattr(compiled, "step_code", made)
    monkeypatch.setattr(step_code.StepCode, "is_faster", lambda *_: faster)
    stand_in_reading(monkeypatch)
    return calls


def stand_in_reading(
    monkeypatch: pytest.MonkeyPatch, *, added: float = 0.0, faster: bool = True, stale: bool = False
) -> list[torch.Tensor]:
    """As `stand_in`, of readings: numbers of the state may be wrong; the sources of its calls."""
    calls: list[torch.Tensor] = []

    def code_of(traced: Any, source: Any, like: Any, precision: str, *, again: bool = False) -> Any:
        code = reading_code.ReadingCode(lambda *_: [], (2, 1000), like)
        code.stored = stale and not again
        wrong = added + code.stored

        def run(source: Any) -> Any:
            calls.append(source)
            state = reading_code.read_source(traced, source)
            return map_state(lambda content: content + wrong if content.is_floating_point() else content, state)

        code.run = run
        return code

    monkeypatch.setattr(compiled_reading, "reading_code", code_of)
    monkeypatch.setattr(reading_code.ReadingCode, "is_faster", lambda *_: faster)
    return calls


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Machine code becomes the program that torch.export records, run operation by operation; those recorded."""
    programs: list[Any] = []

    def made(traced: Any, tokens: Any, state: Any, leaves: Any, precision: str) -> Any:
        step = step_code._TracedStep(traced, state)
        program, facts = step_code._recorded(step, tokens, leaves)
        programs.append(program)
        return step_code.StepCode(program.module(), facts["sizes"], {}, step.changed, step.tracks)

    monkeypatch.setattr(compiled, "step_code", made)
    monkeypatch.setattr(step_code.StepCode, "is_faster", lambda *_: True)
    return programs


def recorded_reading(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """As `recorded`, of readings."""
    programs: list[Any] = []

    def code_of(traced: Any, source: Any, like: Any, precision: str, *, again: bool = False) -> Any:
        program, facts = reading_code._recorded(reading_code._TracedReading(traced, like), source)
        programs.append(program)
        least, most = facts["lengths"]
        return reading_code.ReadingCode(program.module(), (least, most), like)

    monkeypatch.setattr(compiled_reading, "reading_code", code_of)
    monkeypatch.setattr(reading_code.ReadingCode, "is_faster", lambda *_: True)
    return programs
