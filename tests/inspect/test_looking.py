"""A model that is looked into gives what it gives unseen: every preset of every form, with every probe read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.inspect.record import attention_probes, recorded_attention
from sightline.models import FORMS
from sightline.parts.series_patches import SeriesWindows

WORDS, OUTPUTS = 11, 7
PRESETS = [(form, name) for form, presets in FORMS.items() for name in presets]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def built(form: str, name: str) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """A small model of the preset, and a call of it."""
    config: Any = FORMS[form][name]
    if name not in ("dlinear", "nlinear"):  # whose sizes follow from their windows
        config = config.resized(16)
    if form == "encoder":
        config = replace(config, pooling="additive")
    source = SeriesWindows(32, 8, 2) if form == "forecaster" else WORDS
    outputs = 1 if form == "forecaster" else OUTPUTS
    if getattr(config, "tie", None) in (True, "all"):
        outputs = WORDS
    model = config.build(source, outputs).eval()
    tokens, target = torch.randint(WORDS, (2, 6)), torch.randint(OUTPUTS, (2, 5))
    values = torch.randn(2, 32, 2)
    calls: dict[str, Callable[[Any], Tensor]] = {
        "encoder-decoder": lambda model: model(tokens, None, target),
        "decoder": lambda model: model(tokens, None)[0],
        "encoder": lambda model: model(tokens),
        "forecaster": lambda model: model(values),
    }
    return model, calls[form]


@torch.no_grad()
@pytest.mark.parametrize(("form", "name"), PRESETS)
def test_outputs_are_the_same_with_every_probe_read(form: str, name: str) -> None:
    model, call = built(form, name)
    plain = call(model)
    with recorded_attention(model, signed=True) as weights:
        seen = call(model)
    probes = attention_probes(model, signed=True)
    assert set(weights) == set(probes)
    if all(probe.shape in ("B T M", "B T") for probe in probes.values()):
        assert torch.equal(seen, plain)  # weights that are always formed, or none: the same kernels run
    else:
        assert torch.allclose(seen, plain, **CLOSE)
    assert torch.equal(call(model), plain)
