"""Formats in the help, names of states, and the message where the extra is missing."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from sightline.cli.app import main
from sightline.export import FORMATS
from sightline.export.onnx_state import PAST, StateNames
from sightline.models import LANGUAGE_MODELS
from tests.export import small


def test_help_lists_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} (" in " ".join(shown.replace("│", " ").split()) for name in FORMATS)


@torch.no_grad()
def test_sizes_of_a_window_and_of_a_whole_cache_have_different_names() -> None:
    """Whatever the window: one of 256 positions is as long as a cache for 255 steps."""
    config = replace(LANGUAGE_MODELS["hybrid"].resized(16), mixers=("window", "softmax"), heads=2, layers=2)
    model = replace(config, options={"window": {"window": 256}}).build(9).eval()

    def after(steps: int) -> object:
        state = model.initial_state(1)
        for _ in range(steps):
            _, state = model.step(torch.tensor([3]), state)
        return state

    names = StateNames.of(after(2), after(3), {PAST: after(3)})
    sizes = {name: axes.get(2) for name, axes in zip(names.names, names.axes, strict=True)}
    window, cache = sorted({name.rpartition(".")[0] for name, size in sizes.items() if size})
    for part, size in ((window, f"past_{window}"), (cache, "past")):
        assert sizes[f"{part}.keys"] == sizes[f"{part}.values"] == size


@pytest.mark.skipif(find_spec("onnx") is not None, reason="onnx is installed")
def test_the_command_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.translation("gru", tmp_path).save(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--to", "onnx"]) == 3
    assert capsys.readouterr().err.endswith("export to onnx needs onnx: pip install 'sightline[onnx]'\n")
    assert not (tmp_path / "model-onnx").exists()
