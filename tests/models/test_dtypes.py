"""Models that were converted to another number format are saved and loaded in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sightline.models import FORMS
from sightline.models.store import load_model, save_model
from sightline.parts.series_patches import SeriesWindows
from sightline.parts.token_embedding import Tokens

LINEAR = ("dlinear", "nlinear")  # whose size follows from their windows
SOURCES = {"forecaster": (SeriesWindows(12, 5, 2), 1)}


def ties(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The names of each parameter that has several, by the first."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {one[0]: tuple(one) for one in names.values() if len(one) > 1}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_every_preset_keeps_its_dtype_and_its_ties(form: str, dtype: torch.dtype, tmp_path: Path) -> None:
    for arch, preset in FORMS[form].items():
        config = preset if arch in LINEAR else preset.resized(16)
        source, outputs = SOURCES.get(form, (Tokens(11), 11))
        torch.manual_seed(0)
        model = config.build(source, outputs).to(dtype)
        save_model(
            tmp_path, model, config, source, outputs, form=form, arch=arch, task="test", options={}, card="# card"
        )
        loaded = load_model(tmp_path).model
        own, again = model.state_dict(), loaded.state_dict()
        assert [name for name in own if own[name].dtype != again[name].dtype] == [], arch
        assert [name for name in own if not torch.equal(own[name], again[name])] == [], arch
        assert ties(loaded) == ties(model), arch
        assert any(tensor.dtype == dtype for tensor in again.values())
