"""Continuation of a prompt: the logits at its last position give the first token; no start token is fed."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from sightline.decoding.hypothesis import Extend, Step


class Prompted(NamedTuple):
    """The state after a prompt, with the logits of the next token until it has been chosen."""

    logits: Tensor | None  # (B, V)
    state: Any


def after_prompt(step: Step) -> Step:
    """`step` for `Prompted` states: the first call ignores the start tokens that every decoder feeds."""

    def continued(tokens: Tensor, prompted: Prompted) -> tuple[Tensor, Prompted]:
        if prompted.logits is not None:
            return prompted.logits, Prompted(None, prompted.state)
        logits, state = step(tokens, prompted.state)
        return logits, Prompted(None, state)

    return continued


def extend_after_prompt(extend: Extend) -> Extend:
    """`extend` for the `Prompted` states of `after_prompt`, once the first token has been chosen."""

    def continued(tokens: Tensor, prompted: Prompted) -> tuple[Tensor, Prompted]:
        logits, state = extend(tokens, prompted.state)
        return logits, Prompted(None, state)

    return continued
