"""Steps in place of machine code, which takes a compiler and its time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline.models import compiled, step_code


def stand_in(
    monkeypatch: pytest.MonkeyPatch, *, added: float = 0.0, faster: bool = True, stale: bool = False
) -> list[torch.Tensor]:
    """Machine code becomes the plain step of what is traced, whose logits may be wrong; the tokens of its calls.

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
