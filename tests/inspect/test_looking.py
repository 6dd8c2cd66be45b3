"""A model that is looked into gives what it gives unseen: every preset of every form, with every probe read."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
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
ALWAYS = ("B T M", "B T")  # shapes of weights that are formed whether or not somebody looks
BESIDE = ("retention", "gated_linear")  # whose implicit matrix nothing is computed from
EPS = torch.finfo(torch.float32).eps


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
        "forecaster": lambda model: model(values.to(next(model.parameters()))),
    }
    return model, calls[form]


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize(("form", "name"), PRESETS)
def test_outputs_are_the_same_with_every_probe_read(form: str, name: str) -> None:
    """Bit for bit where the same kernel runs: no probe; weights that are always formed (additive attention, poolings);
    matrices that are formed beside the recurrence (retention, gated linear attention).

    Elsewhere another kernel forms the weights, and sums in another order. Its error against float64 then is about that
    of the fast kernel: at most three times as large, and half a unit in the last place of the output, the rounding of
    one number. The ratio is measured as .6 to 1.4, and up to 1.9 with the delta rule, whose matrix solves triangular
    systems. In float64 itself, where sums of these lengths round by less, both agree to 1e-13.
    """
    model, call = built(form, name)
    plain, seen = both(model, call)
    probes = attention_probes(model, signed=True)
    if all(probe.shape in ALWAYS or (probe.implicit and name in BESIDE) for probe in probes.values()):
        assert torch.equal(seen, plain)
        return
    exact, seen_exact = both(deepcopy(model).double(), call)
    scale = rms(exact)
    assert (seen_exact - exact).abs().max() <= 1e-13 * scale
    assert rms(seen - exact) <= 3 * rms(plain - exact) + EPS / 2 * scale


def both(model: nn.Module, call: Callable[[nn.Module], Tensor]) -> tuple[Tensor, Tensor]:
    """The answer unseen, which stays what it was, and the answer with every probe read."""
    plain = call(model)
    with recorded_attention(model, signed=True) as weights:
        seen = call(model)
    assert set(weights) == set(attention_probes(model, signed=True))
    assert torch.equal(call(model), plain)
    return plain, seen


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())
