"""Every method for every family of models and tasks, through the public function."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.probe import Probe
from sightline.inspect import influence
from sightline.inspect.influence_map import Inspection
from sightline.inspect.integrated import has_captum
from sightline.mixers import MIXERS
from sightline.models.encoder_model import EncoderConfig
from sightline.tasks.forecasting.opened import open_series
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.opened import OpenedSide
from tests.tasks import subjects
from tests.tasks.translation import small

QUICK = ["softmax", "value_weighted", "rollout", "implicit", "jacobian", "gradient"]


def named(found: Inspection) -> set[tuple[str, str, str, str]]:
    return {(one.method, one.kind, one.rows, one.columns) for one in found.maps}


def check(found: Inspection) -> None:
    """Sizes, sums and sentences that every map has."""
    sizes = {"source": len(found.input.pieces), "output": len(found.output.pieces)}
    read = {"source": len(found.input.pieces), "output": len(found.output.read)}
    assert found.maps
    for one in found.maps:
        assert one.weights.shape[1:] == (sizes[one.rows], read[one.columns]), one.name
        assert one.meaning.endswith(".")
        assert one.limits.endswith(".")
        assert one.signed or one.weights.min() >= 0.0
        if one.method in ("softmax", "rollout"):
            assert np.allclose(one.weights.sum(2), 1.0, atol=1e-5)
    assert len(found.output.probability) == len(found.output.pieces)


@pytest.mark.parametrize("arch", ["transformer", "bahdanau", "lstm", "window", "gated_delta"])
def test_a_translation(arch: str, tmp_path: Path) -> None:
    task = small.untrained(arch)
    before = task.predict("907")
    found = influence(task, "907", QUICK)
    assert task.predict("907") == before
    check(found)
    assert found.input.pieces == ["9", "0", "7"]
    assert found.output.read[0] == "<s>"
    assert found.output.pieces[-1] == "</s>"
    assert ("gradient", "cross", "output", "source") in named(found)
    assert ("gradient", "self", "output", "output") in named(found)
    sequence = {"lstm": "jacobian", "bahdanau": "jacobian", "gated_delta": "implicit"}.get(arch, "softmax")
    assert (sequence, "self", "source", "source") in named(found)
    assert (("softmax", "cross", "output", "source") in named(found)) == (arch != "lstm")
    later = [one.weights for one in found.maps if one.columns == "output"]
    assert all(np.triu(weights, 1).max() == 0.0 for weights in later)
    found.save(tmp_path / "a.json")
    loaded = Inspection.load(tmp_path / "a.json")
    assert [one.name for one in loaded.maps] == [one.name for one in found.maps]


@pytest.mark.slow
def test_all_methods_and_what_is_missing_is_said():
    task = small.untrained("transformer")
    found = influence(task, "12", replacements=2)
    check(found)
    methods = {one.method for one in found.maps}
    expected = {"softmax", "value_weighted", "rollout", "effect", "gradient", "relevance"}
    assert methods == expected | ({"integrated_gradients"} if has_captum() else set())
    assert [note.partition(":")[0] for note in found.notes] == ([] if has_captum() else ["integrated_gradients"])
    recurrent = influence(small.untrained("gru"), "12", replacements=2)
    assert any("none for GRU" in note for note in recurrent.notes)
    with pytest.raises(InputError, match="none for GRU"):
        influence(small.untrained("gru"), "12", ["relevance"])
    with pytest.raises(InputError, match="unknown method 'sofmax', did you mean 'softmax'"):
        influence(task, "12", ["sofmax"])


def test_relevance_and_effect_of_the_reference_model():
    """The relevance of both sides and what is absorbed sum to the logits; the effect of a replaced source is some."""
    task = small.untrained("transformer")
    found = influence(task, "12", ["relevance", "effect"], replacements=3)
    source, read = (one for one in found.maps if one.method == "relevance")
    assert source.signed
    assert source.columns == "source"
    assert read.columns == "output"
    assert "reaches the input" in source.limits
    effect = next(one for one in found.maps if one.method == "effect")
    assert effect.weights.max() > 0.0
    assert effect.weights.max() <= 1.0


def test_what_a_window_does_not_look_at_is_skipped():
    task = small.untrained("window", model=small.config("window").model)
    task.model.encoder.encoder.encoders[1].encoder.window = 2
    task.model.decoder.mixer.mixers[1].mixer.window = 2
    found = influence(task, "9075", ["softmax", "value_weighted"])
    for method in ("softmax", "value_weighted"):
        own, written, _ = (one for one in found.maps if one.method == method)
        place = np.arange(4)
        assert np.array_equal(own.skipped, abs(place[:, None] - place) >= 2)
        assert own.weights[:, own.skipped].max() == 0.0
        place = np.arange(len(found.output.read))
        assert np.array_equal(written.skipped, place[:, None] - place >= 2)  # later positions are not marked
    assert all(one.skipped is None for one in found.maps if one.kind == "cross")


@pytest.mark.parametrize("projections", ["shared", "separate"])
def test_what_a_pattern_of_blocks_does_not_look_at_is_skipped(projections: str) -> None:
    options = {"pattern": "longformer", "block": 2, "local": 1, "globals": 1, "global_projections": projections}
    config = EncoderConfig(("block_sparse",), {"block_sparse": options}, d_model=8, heads=2, layers=1, pooling="mean")
    found = influence(config.build(11, 3), torch.randint(11, (1, 9)), ["softmax", "rollout"])
    check(found)
    attention, rollout = found.maps  # one of the layer, also where global rows have projections of their own
    block = np.arange(9) // 2
    seen = (block[:, None] == block) | (block == 0) | (block[:, None] == 0)
    assert np.array_equal(attention.skipped, ~seen)
    assert np.array_equal(attention.weights[0] > 0.0, seen)
    assert rollout.skipped is None


@pytest.mark.parametrize("mixer", ["lstm", "retention"])
def test_layers_that_read_from_the_end_are_turned_round(mixer: str) -> None:
    model = EncoderConfig((mixer,), d_model=8, heads=2, layers=1, pooling="none").build(11, 3).double()
    found = influence(model, torch.tensor([[1, 2, 3, 4, 5]]), ["implicit", "jacobian"])
    if mixer == "lstm":
        (one,) = found.maps
        assert one.weights.min() > 0.0  # both directions of one layer
    else:
        ahead, back = found.maps
        assert ahead.name.endswith("forwards.weights")
        assert np.triu(ahead.weights[0], 1).max() == 0.0
        assert back.name.endswith("backwards.weights")
        assert abs(np.tril(back.weights[0], -1)).max() == 0.0
        assert abs(np.triu(back.weights[0], 1)).max() > 0.0


@pytest.mark.parametrize("pooling", ["mean", "cls", "additive"])
def test_a_labelled_text(pooling: str, tmp_path: Path) -> None:
    subject = subjects.classification(tmp_path)
    run = subject.run.changed(model=replace(EncoderConfig(d_model=8, heads=2, layers=1), pooling=pooling))
    task = subject.task.build(subject.data, run)
    found = influence(task, "the sky of green", replacements=2)
    check(found)
    added = ["<class>"] if pooling == "cls" else []
    assert found.input.pieces[: len(added)] == added
    assert len(found.input.pieces) == 4 + len(added)
    assert found.output.pieces == [task.predict("the sky of green")]
    effect = next(one for one in found.maps if one.method == "effect")
    if pooling == "cls":
        assert effect.weights[0, 0, 0] == 0.0  # nobody can replace it
    pooled = [one for one in found.maps if one.method == "softmax" and one.kind == "cross"]
    assert len(pooled) == (pooling == "additive")


def test_any_number_of_labels_and_a_series(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    several = subjects.classification(tmp_path / "a", many=True)
    found = influence(several.task.build(several.data, several.run), "red and blue", ["gradient", "effect"])
    check(found)
    folder = tmp_path / "b"
    folder.mkdir()
    series = subjects.classification(folder, kind="series")
    task = series.task.build(series.data, series.run)
    found = influence(task, [[float(x), 0.0] for x in range(9)], QUICK)
    check(found)
    assert found.input.kind == "series"
    assert found.input.values.shape == (9, 2)
    assert found.input.spans[0][0] == 0
    assert found.input.spans[-1][1] == 9


@pytest.mark.parametrize("kind", ["audio", "image"])
def test_a_sound_and_a_picture(kind: str, tmp_path: Path) -> None:
    subject = subjects.classification_of_files(tmp_path, kind=kind)
    task = subject.task.build(subject.task.load_data(subject.run), subject.run)
    found = influence(task, subject.inputs[0], [*QUICK, "effect"], replacements=2)
    check(found)
    assert found.input.kind == kind
    assert found.output.pieces == [task.predict(subject.inputs[0])]
    effect = next(one for one in found.maps if one.method == "effect")
    assert effect.weights.max() > 0.0
    found.save(tmp_path / "a.json")
    read = Inspection.load(tmp_path / "a.json").input
    if kind == "audio":
        assert read.spectrogram.shape == (8, read.spans[-1][1])
        assert read.frame_s > 0.0
    else:
        assert read.pixels.shape[:2] == (8, 8)
        assert read.grid == [2, 2]


@pytest.mark.parametrize("arch", ["lstm", "transformer"])
def test_running_text(arch: str, tmp_path: Path) -> None:
    subject = subjects.language(tmp_path)
    run = LanguageTask.preset(arch)
    run = run.changed(data=subject.run.corpus.data, model=replace(run.settings.model, d_model=8, layers=1))
    task = LanguageTask.build(LanguageTask.load_data(run), run)
    found = influence(task, "2 é", ["softmax", "jacobian", "effect", "gradient"], replacements=2)
    check(found)
    assert found.input.pieces[0] == "<s>"
    assert found.output.pieces[:-1] == found.input.pieces[1:]
    for one in found.maps:
        assert np.triu(one.weights[0], 1).max() <= 1e-8  # rounding differs with the number of rows
    assert (len([one for one in found.maps if one.method == "jacobian"]), arch) in ((1, "lstm"), (0, "transformer"))


@pytest.mark.parametrize("arch", ["gru", "transformer", "dlinear"])
def test_a_series_and_its_forecast(arch: str, tmp_path: Path) -> None:
    subject = subjects.forecasting(tmp_path)
    settings = ForecastingTask.preset(arch).settings.model
    if arch != "dlinear":
        settings = replace(settings, d_model=8, layers=1, heads=2)
    run = ForecastingTask.preset(arch).changed(
        data=subject.run.corpus.data, lookback=24, horizon=6, season=6, model=settings
    )
    task = ForecastingTask.build(ForecastingTask.load_data(run), run)
    values = np.sin(np.arange(40.0))
    methods = ["effect"] if arch == "dlinear" else [*QUICK, "effect"]  # linear maps of steps have no vectors
    found = influence(task, values, methods, replacements=2)
    check(found)
    assert np.allclose(found.output.values, np.asarray(task.predict(values))[..., 0], atol=1e-5)
    assert np.array_equal(found.input.values[:, 0], np.float32(values[-24:]))
    effect = next(one for one in found.maps if one.method == "effect")
    assert effect.weights.max() > 0.0
    unit = "Forecasts are in the units in which the model reads the series."
    assert {one.method for one in found.maps if one.meaning.endswith(unit)} == {"effect", "gradient"} & set(methods)


@pytest.mark.parametrize("arch", ["gru", "transformer"])
def test_a_forecaster_that_reads_its_own_patches(arch: str, tmp_path: Path) -> None:
    subject = subjects.forecasting(tmp_path)
    settings = replace(
        ForecastingTask.preset(arch).settings.model, d_model=8, layers=1, heads=2, decoding="autoregressive", patch=4
    )
    run = ForecastingTask.preset(arch).changed(
        data=subject.run.corpus.data, lookback=24, horizon=6, season=6, model=replace(settings, stride=None)
    )
    task = ForecastingTask.build(ForecastingTask.load_data(run), run)
    values = np.sin(np.arange(40.0))
    found = influence(task, values, [*QUICK, "effect", "gradient"], replacements=2)
    check(found)
    assert found.input.spans == [[first, first + 4] for first in range(0, 24, 4)]
    layer = {"gru": "jacobian", "transformer": "softmax"}[arch]
    (within,) = (one for one in found.maps if one.method == layer)
    assert within.weights.shape[1:] == (6, 6)  # of the look-back; what is fed back is read later
    assert np.triu(within.weights[0], 1).max() == 0.0
    # The slope along a patch times it, through all that is fed back, by the difference quotient of a scaled patch.
    gradient = next(one for one in found.maps if one.method == "gradient").weights[0]
    model = task.model.double()
    opened = open_series(task.trained, values).source
    for patch in range(6):
        ends = [answer_with_scaled(model, opened, patch, 1.0 + step) for step in (1e-5, -1e-5)]
        assert np.allclose(gradient[:, patch], abs(ends[0] - ends[1]).numpy() / 2e-5, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def answer_with_scaled(model: Any, side: OpenedSide, patch: int, factor: float) -> Tensor:
    """The forecast of one channel when a patch of the look-back, not of what is fed back, is scaled."""
    calls: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, x: Tensor) -> Tensor:
        calls.append(x)
        if len(calls) == 1:
            x = x.clone()
            x[:, patch] *= factor
        return x

    handle = model.eval().front_end.register_forward_hook(hook)
    answer = side.answer(side.input.double())[0, :, 0]
    handle.remove()
    assert len(calls) == 2  # horizon 6, in patches of 4
    return answer


class Own(nn.Module):
    """A model of one's own, which knows nothing of the package but the probe."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)
        self.weights = Probe("B H T S")

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        weights = self.weights((x @ x.transpose(1, 2)).softmax(2).unsqueeze(1))
        return self.head((weights.squeeze(1) @ x).mean(1))


def test_a_module_of_ones_own():
    model, tokens = Own().train(), torch.tensor([[3, 1, 2, 1]])
    found = influence(model, tokens, ["softmax", "effect", "gradient"], pieces=["a", "b", "c", "b"])
    check(found)
    assert model.training
    with torch.no_grad():
        x = model.embedding(tokens)
        assert np.allclose(found.maps[0].weights, (x @ x.transpose(1, 2)).softmax(2).numpy(), atol=1e-6)
    with pytest.raises(InputError, match=r"expected a tensor \(1, S, …\), got \(4,\)"):
        influence(model, tokens[0])
    with pytest.raises(InputError, match="2 pieces for 4 positions"):
        influence(model, tokens, pieces=["a", "b"])


OF_ITSELF = [name for name, kind in MIXERS.items() if getattr(kind().build(16), "d_memory", None) is None]


@pytest.mark.parametrize("name", OF_ITSELF)
def test_looking_at_a_mechanism_changes_no_output_and_leaves_no_hook(name: str) -> None:
    layer = MIXERS[name]().build(16).eval()
    x = torch.randn(1, 6, 16)

    def answer() -> Tensor:
        y = layer(x)
        return y if isinstance(y, Tensor) else y[0]

    with torch.no_grad():
        plain = answer()
    found = influence(layer, x, ["softmax", "implicit", "jacobian"])
    assert len(found.maps) == 1
    with torch.no_grad():
        assert torch.equal(answer(), plain)
    for module in layer.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
