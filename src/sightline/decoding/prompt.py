"""Going on from a prompt: the first token comes from what the prompt's last position says, not from a start token."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from sightline.decoding.hypothesis import Step


class Prompted(NamedTuple):
    """The state after a prompt, with what the model says next where nothing has been chosen yet."""

    logits: Tensor | None  # (B, V)
    state: Any


def after_prompt(step: Step) -> Step:
    """`step` for states that are `Prompted`: the first call ignores its tokens, which every decoder begins with."""

    def go_on(tokens: Tensor, prompted: Prompted) -> tuple[Tensor, Prompted]:
        if prompted.logits is not None:
            return prompted.logits, Prompted(None, prompted.state)
        logits, state = step(tokens, prompted.state)
        return logits, Prompted(None, state)

    return go_on
