"""Small random models in float64, whose outputs end at different lengths."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import torch

from sightline.decoding.engine import DecodingConfig, Speculation, decode
from sightline.decoding.hypothesis import Hypothesis
from sightline.decoding.prompt import after_prompt, extend_after_prompt
from sightline.models.decoder import Decoder
from sightline.models.language_model import LanguageModelConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.parts.token_embedding import Tokens
from sightline.tasks.language.generation import read_prompts
from tests.unchecked import unchecked

VOCABULARY, BOS, EOS = 13, 0, 1
NAMES = ("softmax", "window", "lstm", "linear", "gated_delta", "layers of both", "recurrent")
CONFIGS: dict[str, Any] = {
    **{
        name: LanguageModelConfig(mixers=(name,), d_model=12, layers=2, heads=2, activation="relu", dropout=0.0)
        for name in NAMES[:5]
    },
    "layers of both": LanguageModelConfig(
        mixers=("softmax", "gated_linear"), d_model=12, layers=2, heads=2, positions="rotary", dropout=0.0,
        options={"softmax": {"key_heads": 1}},
    ),
    "recurrent": RecurrentLanguageModelConfig(cell="gru", d_model=12, dropout=0.0),
}  # fmt: skip


@cache
def language_model(name: str, seed: int = 0) -> Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CONFIGS[name].build(Tokens(VOCABULARY)).eval().double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def prompts(count: int, seed: int = 0, longest: int = 9) -> list[list[int]]:
    """Prompts of different lengths, each with the start token."""
    draw = random.Random(seed)
    return [[BOS, *draw.choices(range(2, VOCABULARY), k=draw.randrange(longest))] for _ in range(count)]


def continued(
    model: Decoder, texts: list[list[int]], config: DecodingConfig, calls: list[int] | None = None, **options: Any
) -> list[Hypothesis]:
    """The texts continued; `calls` gets the number of rows of each step."""

    def step(tokens, state):
        if calls is not None:
            calls.append(len(tokens))
        return model.step(tokens, state)

    def extend(tokens, state):
        if calls is not None:
            calls.append(len(tokens))
        return model(tokens, state)

    draft = options.pop("draft", None)
    with torch.no_grad(), unchecked():  # the laws run with checked shapes, which cost more than these models
        return decode(
            lambda rows: read_prompts(model, [texts[row] for row in rows]),
            after_prompt(step),
            [len(text) for text in texts],
            config,
            bos=BOS,
            eos=EOS,
            max_length=options.pop("max_length", 24),
            banned=(BOS,),
            prompts=texts,
            speculation=Speculation(extend_after_prompt(extend), draft, options.pop("tally", None)),
            **options,
        )


def check_same(left: list[Hypothesis], right: list[Hypothesis]) -> None:
    """The same tokens and ends, and scores within rounding."""
    assert [(one.tokens, one.finished) for one in left] == [(one.tokens, one.finished) for one in right]
    assert max(abs(one.score - other.score) for one, other in zip(left, right, strict=True)) < 1e-9
